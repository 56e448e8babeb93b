//===- KeyParts.cpp - into how many parts the keys of an attention are split ------------===//
#include "passes/attention/KeyParts.h"
#include "passes/attention/PositionProducts.h"
#include "passes/fft_rpe/ToeplitzCost.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

/// Of a GPU: rows of a block, blocks a multiprocessor should have, keys that a part is a multiple of and at least.
static constexpr int64_t blockRows = 64, blocksEach = 2, keyStep = 64, leastKeys = 128;

KeyParts::KeyParts(ModuleOp program) : bounds(boundsOf(program)), multiprocessors(0) {
  if (auto target = program->getAttrOfType<TargetAttr>("tenon.target"))
    multiprocessors = multiprocessorsOf(target.getLevel());
}

bool KeyParts::hasFewQueries(AttentionOp op) {
  constexpr int64_t mostQueries = 4, mostRows = 32;
  AttentionOp::Sizes sizes = op.getSizes();
  std::optional<int64_t> queries = sizes.queries.constant(), group = sizes.heads.floorDiv(sizes.keyHeads).constant();
  return queries && group && *queries <= mostQueries && *queries * *group <= mostRows;
}

/// Heads with masks of their own are not packed.
Dim KeyParts::units(AttentionOp op) const {
  AttentionOp::Sizes sizes = op.getSizes();
  bool areApart = op.hasKeep() && !op.getKeep().getArgument(1).use_empty();
  Dim heads = areApart ? sizes.heads : sizes.keyHeads;
  Dim rows = sizes.queries * (areApart ? Dim(1) : sizes.heads.floorDiv(sizes.keyHeads));
  return sizes.batch * heads * rows.ceilDiv(Dim(blockRows));
}

int64_t KeyParts::keysOfDevicePart(int64_t units, const Dim &keys, int64_t most) const {
  int64_t greatest = keys.interval(bounds).hi;
  if (greatest == Interval::plusInfinity)
    return std::min<int64_t>(most, 512);
  int64_t parts = llvm::divideCeil(blocksEach * multiprocessors, std::max<int64_t>(units, 1));
  int64_t keysEach = llvm::alignTo(llvm::divideCeil(std::max<int64_t>(greatest, 1), parts), keyStep);
  return std::clamp(keysEach, leastKeys, most);
}

bool KeyParts::leavesIdle(AttentionOp op) const {
  if (multiprocessors == 0 || !PositionProduct::streamed(op).empty())
    return false;
  int64_t most = units(op).interval(bounds).hi;
  return most < Interval::plusInfinity / 2 && 2 * most < multiprocessors &&
         op.getAllKeys().interval(bounds).hi >= 2 * leastKeys;
}

int64_t KeyParts::keysOfPart(AttentionOp op, unsigned source) const {
  // One query: enough work to hide its dispatch, few enough that a long cache gives every thread some. Many: each has
  // work for every thread, and its states cost memory.
  std::optional<int64_t> queries = op.getSizes().queries.constant();
  int64_t ofThread = queries && *queries <= 16 ? 512 : 4096;
  if (multiprocessors == 0)
    return ofThread;
  Interval blocks = units(op).interval(bounds);
  int64_t expected = hasFewQueries(op) ? std::max<int64_t>(blocks.lo, 1) : blocks.hi;
  return expected > multiprocessors ? ofThread : keysOfDevicePart(expected, op.getKeysOf(source), ofThread);
}

} // namespace tenon
