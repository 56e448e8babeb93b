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
  std::vector<Dim> dims;
};

/// One command of the artifact, with its number there.
struct ExplainedCommand {
  unsigned number = 0;
  std::string kernel;             // "contract_3", or "copy"
  std::vector<std::string> steps; // the operations fused in it, in order
  std::string sources;            // names in the model, "a, b"
  std::vector<std::pair<std::string, Dim>> dims; // the kernel's dims and their values
  Dim operations, bytesRead, bytesWritten;
  std::vector<unsigned> reads; // numbers of the commands whose results it reads, rising
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

/// The dims of the model that have no size yet.
std::vector<std::string> missingSizes(const Explanation &explanation, const Sizes &sizes);

/// For people. Costs are numbers where `sizes` names every dim they depend on.
std::string renderText(const Explanation &explanation, const Sizes &sizes);
/// One JSON object; costs are {"expression": "2 * S", "value": 14}, the value where it is known.
std::string renderJson(const Explanation &explanation, const Sizes &sizes);

/// What one run took on this machine.
struct Measurement {
  std::string model, machine; // as a heading names them
  unsigned threads = 0;
  unsigned runs = 0;               // that medians are of
  double flopsPerSecond = 0;       // peak of float32 multiply-adds of all threads
  double bytesPerSecond = 0;       // reading memory, of all threads
  double seconds = 0;              // a run
  std::vector<double> commands;    // seconds of each command of the first entry
};

/// One page without links: the first entry's commands as a graph and under the machine's roofline, what each does, took and
/// moved, and what the passes decided. `sizes` names every dim.
std::string renderHtml(const Explanation &explanation, const Sizes &sizes, const Measurement &measurement);

} // namespace tenon
#endif
