//===- KeyParts.h - into how many parts the keys of an attention are split --------------===//
//
// On a CPU parts are of a fixed size: each kernel's tiles are shared among few threads. On a GPU (a program compiled for GPUs alone,
// whose module has their target) a block is 64 rows of a head, or of the heads that share keys, and what counts is that every
// multiprocessor has some:
//
//   units   blocks without parts: batch * key heads * ceildiv(queries * heads of a key head, 64)
//   parts   as many as make 2 blocks a multiprocessor, of 128 keys or more
//
// Worked example: one token of 32 heads on 8 over a cache of up to 8192 keys, on 108 multiprocessors. Units are 8, so 216 / 8 = 27
// parts are wanted: of 303 keys, in multiples of 64 of 320, which are 26 parts and 208 blocks.
//
// Few queries are split in any case, for the least sizes their dims can have: one sequence has to fill the machine, and more of
// them lose little. Others only where the blocks of the greatest sizes leave more than half of the multiprocessors without work:
// states are memory, and merging them is another kernel. **Not measured: no GPU was at hand.**
//
#ifndef TENON_PASSES_ATTENTION_KEYPARTS_H
#define TENON_PASSES_ATTENTION_KEYPARTS_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

class KeyParts {
public:
  explicit KeyParts(mlir::ModuleOp program);

  /// Too few queries for a CPU's lanes to run along them, or for a GPU's blocks to be many.
  static bool hasFewQueries(AttentionOp op);
  /// A GPU has more than twice as many multiprocessors as `op` makes blocks, and parts would change that.
  bool leavesIdle(AttentionOp op) const;
  /// Keys to a part of one source.
  int64_t keysOfPart(AttentionOp op, unsigned source) const;

private:
  Dim units(AttentionOp op) const;
  int64_t keysOfDevicePart(int64_t units, const Dim &keys, int64_t most) const;

  Bounds bounds;
  int64_t multiprocessors; ///< Of the GPU the program is for; 0: CPUs.
};

} // namespace tenon
#endif
