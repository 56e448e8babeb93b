//===- Explanation.h - a compiled program, told command by command ---------------------===//
//
// What `tenon explain` shows, as plain data: which operations became which command, what
// they cost, and what the passes decided. Costs are expressions of the model's dims;
// rendering evaluates them where sizes are given.
//
#ifndef TENON_COMPILER_EXPLAIN_EXPLANATION_H
#define TENON_COMPILER_EXPLAIN_EXPLANATION_H

#include "dialects/tenon/Dim.h"
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tenon {

struct ExplainedSymbol {
  std::string name;
  int64_t min = 0, max = 0;
};

struct ExplainedTensor {
  std::string name, type; // "input_ids", "i64[B, S]"
};

/// One command of the artifact, with its number there.
struct ExplainedCommand {
  unsigned number = 0;
  std::string kernel;             // "contract_3", or "copy"
  std::vector<std::string> steps; // the operations fused in it, in order
  std::string sources;            // names in the model, "a, b"
  std::vector<std::pair<std::string, Dim>> dims; // the kernel's dims and their values
  Dim operations, bytesRead, bytesWritten;
};

struct ExplainedEntry {
  std::string name;
  std::vector<ExplainedTensor> inputs, outputs;
  std::vector<ExplainedCommand> commands;
};

/// What a pass reported as a remark; equal ones are one with a count.
struct Decision {
  std::string outcome; // "passed", "missed", "failed", "analysis"
  std::string pass, text;
  std::string place; // of the first
  unsigned count = 1;
};

struct Explanation {
  unsigned kernels = 0;
  std::vector<ExplainedSymbol> symbols;
  std::vector<ExplainedEntry> entries;
  std::vector<Decision> decisions;
};

using Sizes = std::map<std::string, int64_t, std::less<>>;

/// An empty text, or what is wrong with these sizes: an unknown name, a size out of bounds.
std::string checkSizes(const Explanation &explanation, const Sizes &sizes);

/// For people. Costs are numbers where `sizes` names every dim they depend on.
std::string renderText(const Explanation &explanation, const Sizes &sizes);
/// One JSON object; costs are {"expression": "2 * S", "value": 14}, the value where it is known.
std::string renderJson(const Explanation &explanation, const Sizes &sizes);

} // namespace tenon
#endif
