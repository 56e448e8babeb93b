// One attention as a kernel of its own, compiled in process: what the tests and the benchmark of its
// lowering run.
//
//   operands  q [B][Nq][H][d], k [B][Nk][Hk][d], v [B][Nk][Hk][dv], tables…, result [B][Nq][H][dv]
//             or, merged: one tensor [B][N][3][H][d] for all three; of an attention_update the result is its state,
//             [parts][B][H][Nq][dv + 2]
//   dims      d0 = B, d1 = Nq, d2 = Nk

#pragma once

#include <string>
#include <vector>

#include "compiler/codegen/Codegen.h"
#include "compiler/levels/Level.h"
#include "dialects/tenon/Dim.h"
#include "tests/compiler/codegen/LoadedImage.h"

namespace tenon {

struct AttentionText {
  int64_t heads = 1, keyHeads = 1, depth = 64, valueDepth = 64;
  bool merged = false;               // slices of one product
  std::string normalise = "softmax", empty = "zero";
  std::vector<std::string> captures; // types of tables
  std::string regions;               // score, keep and weight
  unsigned queries = 0;              // a constant number of queries; 0: d1
  unsigned partsOf = 0;              // attention_update over parts of so many keys; 0: flash attention
};

/// The kernel's assembly; empty if it does not compile.
std::string assemblyOf(const AttentionText &text, const Level &level);

class AttentionKernel {
public:
  /// With `counts`, scratch gets one more float behind its end: multiply-adds of the two
  /// products, in units of 16; of an attention_update those of vectors, exponentials among them.
  AttentionKernel(const AttentionText &text, const Level &level, bool counts = false);

  /// Why there is no kernel; empty if there is one.
  const std::string &error() const { return message; }
  int64_t tiles(int64_t batch, int64_t queries, int64_t keys) const {
    return evaluate(tileCount, batch, queries, keys);
  }

  /// Computes tiles [first, last) into the last operand; 0, 0 for all. Gives what was counted.
  double run(std::vector<void *> operands, int64_t batch, int64_t queries, int64_t keys, uint32_t first = 0,
             uint32_t last = 0);

  uint64_t hints = 0; ///< What the machine is said to be quick at: TENON_HINT_ bits.

private:
  std::string compile(const AttentionText &text, const Level &level, bool counts);
  int64_t evaluate(const Dim &dim, int64_t batch, int64_t queries, int64_t keys) const;

  Dim tileCount, scratchBytes;
  std::string message;
  LoadedImage image;
  std::vector<float> scratch;
  bool counts;
};

} // namespace tenon
