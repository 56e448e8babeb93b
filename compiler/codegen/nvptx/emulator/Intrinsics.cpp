#include "compiler/codegen/nvptx/emulator/Intrinsics.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/bit.h"

namespace tenon::emulator {

using Slots = uint64_t *;

static float toFloat(uint64_t slot) { return std::bit_cast<float>(uint32_t(slot)); }
static uint64_t toSlot(float value) { return std::bit_cast<uint32_t>(value); }

//===----------------------------------------------------------------------===//
// Where a thread is
//===----------------------------------------------------------------------===//

/// Blocks and grids have one dimension; the others have size 1.
static void zero(Block &, const Site &, Slots slots) { slots[0] = 0; }
static void one(Block &, const Site &, Slots slots) { slots[0] = 1; }
static void warpSize(Block &, const Site &, Slots slots) { slots[0] = warpLanes; }
static void threadIndex(Block &block, const Site &, Slots slots) { slots[0] = block.threadIndex(); }
static void blockThreads(Block &block, const Site &, Slots slots) { slots[0] = block.launchOf().threads; }
static void blockIndex(Block &block, const Site &, Slots slots) { slots[0] = block.blockIndex(); }
static void gridBlocks(Block &block, const Site &, Slots slots) { slots[0] = block.launchOf().blocks; }
static void laneIndex(Block &block, const Site &, Slots slots) { slots[0] = block.threadIndex() % warpLanes; }
static void warpIndex(Block &block, const Site &, Slots slots) { slots[0] = block.threadIndex() / warpLanes; }

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

static void barrier(Block &block, const Site &site, Slots slots) { block.barrier(site, uint32_t(slots[0])); }

static void nothing(Block &, const Site &, Slots) {}

/// (mask)
static void warpCollective(Block &block, const Site &site, Slots slots) {
  block.collective(site, uint32_t(slots[0]), slots);
}

/// Orders the accesses of the whole warp; by part of one, of nobody: what then depends on it is reported as a race.
static void syncWarp(Block &block, const Site &, unsigned warp, uint32_t mask) {
  if (mask == ~0u)
    block.syncWarp(warp);
}

//===----------------------------------------------------------------------===//
// Shuffles, votes and reductions of a warp
//===----------------------------------------------------------------------===//

/// Runs compute(lane, slots) for each lane of the mask.
template <typename Compute> static void forLanes(Block &block, unsigned warp, uint32_t mask, Compute compute) {
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    if (mask >> lane & 1)
      compute(lane, block.slotsOf(warp, lane));
}

namespace {
struct Source {
  unsigned lane;
  bool isInRange;
};
} // namespace

/// The lane a shuffle reads, as the PTX manual computes it from `b` and the clamp `c`.
static Source shuffleSource(llvm::StringRef mode, unsigned lane, uint32_t b, uint32_t c) {
  unsigned distance = b & 31, clamp = c & 31, segments = c >> 8 & 31;
  unsigned last = (lane & segments) | (clamp & ~segments), first = lane & segments;
  if (mode == "up") {
    int source = int(lane) - int(distance);
    return source >= int(last) ? Source{unsigned(source), true} : Source{lane, false};
  }
  unsigned source = mode == "down"   ? lane + distance
                    : mode == "bfly" ? lane ^ distance
                                     : first | (distance & ~segments);
  return source <= last ? Source{source, true} : Source{lane, false};
}

/// (mask, value, b, c) -> value, or {value, whether the lane is in range}
static void shuffle(Block &block, const Site &site, unsigned warp, uint32_t mask) {
  std::array<uint64_t, warpLanes> values{};
  forLanes(block, warp, mask, [&](unsigned lane, Slots slots) { values[lane] = slots[1]; });
  llvm::StringRef mode = llvm::StringRef(site.what).split("shfl.sync.").second.split('.').first;
  forLanes(block, warp, mask, [&](unsigned lane, Slots slots) {
    Source source = shuffleSource(mode, lane, uint32_t(slots[2]), uint32_t(slots[3]));
    if (!(mask >> source.lane & 1))
      block.fail(site, warp * warpLanes + lane, "",
                 "it reads lane " + std::to_string(source.lane) + ", which is not in its mask");
    slots[0] = values[source.lane];
    slots[1] = source.isInRange;
  });
}

/// (mask, predicate) -> the lanes where it holds, or a truth about them
static void vote(Block &block, const Site &site, unsigned warp, uint32_t mask) {
  uint32_t ballot = 0;
  forLanes(block, warp, mask, [&](unsigned lane, Slots slots) { ballot |= uint32_t(slots[1] & 1) << lane; });
  llvm::StringRef name(site.what);
  uint32_t result = name.contains(".ballot.") ? ballot
                    : name.contains(".any.")  ? ballot != 0
                    : name.contains(".all.")  ? ballot == mask
                                              : ballot == mask || ballot == 0;
  forLanes(block, warp, mask, [&](unsigned, Slots slots) { slots[0] = result; });
}

static uint32_t reduce(llvm::StringRef name, uint32_t a, uint32_t b) {
  if (name == "add")
    return a + b;
  if (name == "and")
    return a & b;
  if (name == "or")
    return a | b;
  if (name == "xor")
    return a ^ b;
  if (name == "umin" || name == "umax")
    return (name == "umin") == (a < b) ? a : b;
  return (name == "min") == (int32_t(a) < int32_t(b)) ? a : b;
}

/// (value, mask)
static void beginReduction(Block &block, const Site &site, Slots slots) {
  block.collective(site, uint32_t(slots[1]), slots);
}

static void finishReduction(Block &block, const Site &site, unsigned warp, uint32_t mask) {
  llvm::StringRef name = llvm::StringRef(site.what).rsplit('.').second;
  std::optional<uint32_t> total;
  forLanes(block, warp, mask, [&](unsigned, Slots slots) {
    total = total ? reduce(name, *total, uint32_t(slots[0])) : uint32_t(slots[0]);
  });
  forLanes(block, warp, mask, [&](unsigned, Slots slots) { slots[0] = *total; });
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

static void wholeWarp(Block &block, const Site &site, Slots slots) { block.collective(site, ~0u, slots); }

static void multiply(Block &block, const Site &site, unsigned warp, uint32_t) {
  LaneSlots slots;
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    slots[lane] = block.slotsOf(warp, lane);
  multiplyTiles(site.mma, slots);
  block.counted().mmaMultiplyAdds += site.mma.multiplyAdds();
}

/// (address): lane 8 m + r has that of row r of matrix m, and gets one register of each matrix.
static void loadMatrices(Block &block, const Site &site, unsigned warp, uint32_t) {
  std::array<std::array<const char *, 8>, 4> rows;
  for (unsigned lane = 0; lane < 8 * site.matrices; ++lane)
    rows[lane / 8][lane % 8] = block.matrixRow(site, warp * warpLanes + lane, block.slotsOf(warp, lane)[0]);
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    for (unsigned m = 0; m < site.matrices; ++m)
      block.slotsOf(warp, lane)[m] = matrixRegister(rows[m], lane, site.isTransposed);
}

//===----------------------------------------------------------------------===//
// Asynchronous copies
//===----------------------------------------------------------------------===//

/// (to, from)
static void copyWhole(Block &block, const Site &site, Slots slots) {
  block.copyAsync(site, slots[0], slots[1], site.bytes);
}

/// (to, from, bytes to read; the rest becomes zeros)
static void copyPart(Block &block, const Site &site, Slots slots) {
  block.copyAsync(site, slots[0], slots[1], uint32_t(slots[2]));
}

static void commitCopies(Block &block, const Site &, Slots) { block.commitCopies(); }
static void waitForCopies(Block &block, const Site &, Slots slots) { block.waitForCopies(uint32_t(slots[0])); }
static void waitForAllCopies(Block &block, const Site &, Slots) { block.waitForAllCopies(); }

//===----------------------------------------------------------------------===//
// Barriers in memory, bulk copies and wgmma
//===----------------------------------------------------------------------===//

/// (barrier, arrivals)
static void initMbarrier(Block &block, const Site &site, Slots slots) {
  block.initMbarrier(site, slots[0], uint32_t(slots[1]));
}

/// (barrier); the state it returns is for waits by state, which have no rule.
static void arrive(Block &block, const Site &site, Slots slots) { block.arrive(site, slots[0]); }
/// (barrier, bytes)
static void expectCopies(Block &block, const Site &site, Slots slots) {
  block.expectCopies(site, slots[0], uint32_t(slots[1]));
}
static void arriveExpecting(Block &block, const Site &site, Slots slots) {
  expectCopies(block, site, slots);
  arrive(block, site, slots);
}

/// (barrier, parity) -> whether its phase is complete: it may wait, and does here until it is.
static void awaitMbarrier(Block &block, const Site &site, Slots slots) {
  block.awaitMbarrier(site, slots[0], uint32_t(slots[1]));
  slots[0] = 1;
}

static void fenceAsyncProxy(Block &block, const Site &, Slots) { block.fenceAsyncProxy(); }

/// (to, barrier, from, bytes, …)
static void copyBulk(Block &block, const Site &site, Slots slots) {
  block.copyBulk(site, slots[0], slots[1], slots[2], uint32_t(slots[3]));
}

static void wholeWarpgroup(Block &block, const Site &site, Slots slots) { block.warpgroupCollective(site, slots); }
static void fenceRegisters(Block &block, const Site &, unsigned warpgroup, uint32_t) {
  block.products(warpgroup).isFenced = true;
}
static void multiplyWarpgroup(Block &block, const Site &site, unsigned warpgroup, uint32_t) {
  block.multiply(site, warpgroup);
}
static void commitProducts(Block &block, const Site &, unsigned warpgroup, uint32_t) {
  block.products(warpgroup).commit();
  block.products(warpgroup).isFenced = false; // registers of A are written anew
}
static void awaitProducts(Block &block, const Site &site, unsigned warpgroup, uint32_t) {
  block.awaitProducts(site, warpgroup);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

// The hardware's approximations are computed exactly here: an error bound must allow for theirs (2 ulp or less).

template <float (*function)(float)> static void unary(Block &, const Site &, Slots slots) {
  slots[0] = toSlot(function(toFloat(slots[0])));
}

template <float (*function)(float, float)> static void binary(Block &, const Site &, Slots slots) {
  slots[0] = toSlot(function(toFloat(slots[0]), toFloat(slots[1])));
}

static float reciprocal(float x) { return 1 / x; }
static float reciprocalRoot(float x) { return 1 / std::sqrt(x); }
static float least(float a, float b) { return std::fmin(a, b); }
static float largest(float a, float b) { return std::fmax(a, b); }

static void multiplyAdd(Block &block, const Site &, Slots slots) {
  slots[0] = toSlot(std::fma(toFloat(slots[0]), toFloat(slots[1]), toFloat(slots[2])));
  ++*block.multiplyAdds();
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static const Intrinsic table[] = {
    {"read.ptx.sreg.tid.x", threadIndex},
    {"read.ptx.sreg.tid.*", zero},
    {"read.ptx.sreg.ntid.x", blockThreads},
    {"read.ptx.sreg.ntid.*", one},
    {"read.ptx.sreg.ctaid.x", blockIndex},
    {"read.ptx.sreg.ctaid.*", zero},
    {"read.ptx.sreg.nctaid.x", gridBlocks},
    {"read.ptx.sreg.nctaid.*", one},
    {"read.ptx.sreg.laneid", laneIndex},
    {"read.ptx.sreg.warpid", warpIndex},
    {"read.ptx.sreg.warpsize", warpSize},
    {"barrier.cta.sync.aligned.all", barrier},
    {"barrier.cta.sync.all", barrier},
    {"bar.warp.sync", warpCollective, syncWarp},
    {"membar.*", nothing},
    {"shfl.sync.*", warpCollective, shuffle},
    {"vote.*", warpCollective, vote},
    {"redux.sync.*", beginReduction, finishReduction},
    {"mma.*", wholeWarp, multiply},
    {"ldmatrix.sync.aligned.m8n8.*", wholeWarp, loadMatrices},
    {"cp.async.ca.shared.global.4", copyWhole},
    {"cp.async.ca.shared.global.8", copyWhole},
    {"cp.async.ca.shared.global.16", copyWhole},
    {"cp.async.cg.shared.global.16", copyWhole},
    {"cp.async.ca.shared.global.4.s", copyPart},
    {"cp.async.ca.shared.global.8.s", copyPart},
    {"cp.async.ca.shared.global.16.s", copyPart},
    {"cp.async.cg.shared.global.16.s", copyPart},
    {"cp.async.commit.group", commitCopies},
    {"cp.async.wait.group", waitForCopies},
    {"cp.async.wait.all", waitForAllCopies},
    {"mbarrier.init.shared", initMbarrier},
    {"mbarrier.arrive.shared", arrive},
    {"mbarrier.arrive.expect.tx.scope.cta.space.cta", arriveExpecting},
    {"mbarrier.expect.tx.scope.cta.space.cta", expectCopies},
    {"mbarrier.try.wait.parity.scope.cta.space.cta", awaitMbarrier},
    {"fence.proxy.async.shared_cta", fenceAsyncProxy},
    {"cp.async.bulk.global.to.shared.cluster", copyBulk},
    {"wgmma.commit_group.sync.aligned", wholeWarpgroup, commitProducts},
    {"setmaxnreg.*", nothing},
    {"ex2.approx.f", unary<std::exp2>},
    {"ex2.approx.ftz.f", unary<std::exp2>},
    {"ex2.approx.f32", unary<std::exp2>},
    {"ex2.approx.ftz.f32", unary<std::exp2>},
    {"lg2.approx.f", unary<std::log2>},
    {"lg2.approx.ftz.f", unary<std::log2>},
    {"rcp.approx.ftz.f", unary<reciprocal>},
    {"rcp.rn.f", unary<reciprocal>},
    {"rsqrt.approx.f", unary<reciprocalRoot>},
    {"rsqrt.approx.ftz.f", unary<reciprocalRoot>},
    {"sqrt.approx.f", unary<std::sqrt>},
    {"sqrt.rn.f", unary<std::sqrt>},
    {"fmin.f", binary<least>},
    {"fmax.f", binary<largest>},
    {"fma.rn.f", multiplyAdd},
};

const Intrinsic *findIntrinsic(llvm::StringRef name) {
  if (!name.consume_front("llvm.nvvm."))
    return nullptr;
  for (const Intrinsic &intrinsic : table) {
    llvm::StringRef pattern = intrinsic.name;
    bool isFound = pattern.consume_back("*") ? name.starts_with(pattern) : name == pattern;
    if (isFound)
      return name.starts_with("mma.") && !parseMma(name.substr(4)) ? nullptr : &intrinsic;
  }
  return nullptr;
}

// What has no intrinsic is inline PTX, and takes and returns the registers it is about: (sums, …) -> sums.
static const Intrinsic registersFenced = {"wgmma.fence", wholeWarpgroup, fenceRegisters};
static const Intrinsic productsAwaited = {"wgmma.wait_group", wholeWarpgroup, awaitProducts};
static const Intrinsic warpgroupProduct = {"wgmma.mma_async", wholeWarpgroup, multiplyWarpgroup};

std::optional<Site> siteOfPtx(llvm::StringRef ptx, std::string &error) {
  Site site;
  llvm::StringRef rest = ptx;
  if (ptx == "wgmma.fence.sync.aligned;") {
    site.intrinsic = &registersFenced;
  } else if (rest.consume_front("wgmma.wait_group.sync.aligned ") && !rest.consumeInteger(10, site.pendingGroups) &&
             rest == ";") {
    site.intrinsic = &productsAwaited;
  } else if (ptx.contains("wgmma.mma_async")) {
    std::optional<WarpgroupShape> shape = parseWarpgroupMultiply(ptx, error);
    if (!shape)
      return std::nullopt;
    site.intrinsic = &warpgroupProduct;
    site.wgmma = *shape;
  } else {
    error = "inline PTX cannot be run: " + ptx.str();
    return std::nullopt;
  }
  site.what = site.intrinsic->name.str();
  return site;
}

} // namespace tenon::emulator
