//===- WarpgroupProduct.cpp - a tile of a matrix product by wgmma ------------------===//
#include "compiler/codegen/nvptx/WarpgroupProduct.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {

void WarpgroupProduct::emitWhere(Value condition, function_ref<void()> body) {
  auto guard = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(guard.thenBlock());
  body();
}

static Value isBelow(OpBuilder &builder, Location loc, Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
}

void WarpgroupProduct::emit(Value words, const Load &loadLeft, const Load &loadRight) {
  Value slabs = index.ceilDiv(words, slabWords);
  initBarriers();
  Value multiplies = isBelow(builder, loc, warpgroup.uniform(warp()), index.constant(multipliers / TensorCore::warp));
  SmallVector<Type> types(rows / 2, builder.getF32Type());
  auto roles = scf::IfOp::create(builder, loc, types, multiplies, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard insertion(builder);
    builder.setInsertionPointToStart(roles.thenBlock());
    scf::YieldOp::create(builder, loc, multiplySlabs(slabs));
    builder.setInsertionPointToStart(roles.elseBlock());
    loadSlabs(slabs, loadLeft, loadRight);
    Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
    scf::YieldOp::create(builder, loc, Sums(types.size(), zero));
  }
  device.barrier();
  emitWhere(multiplies, [&] { storeSums(Sums(roles.getResults())); });
  device.barrier();
}

void WarpgroupProduct::initBarriers() {
  emitWhere(index.equal(thread, index.constant(0)), [&] {
    for (int64_t stage = 0; stage < stages; ++stage) {
      Value slab = index.constant(stage);
      warpgroup.initBarrier(fullBarrier(slab), loaders);
      warpgroup.initBarrier(emptyBarrier(slab), multipliers / TensorCore::warp);
    }
    warpgroup.fenceWrites();
  });
  device.barrier();
}

//===----------------------------------------------------------------------------===//
// Loaders
//===----------------------------------------------------------------------------===//

void WarpgroupProduct::loadSlabs(Value slabs, const Load &loadLeft, const Load &loadRight) {
  Value last = index.add(slabs, lag);
  auto loop = scf::ForOp::create(builder, loc, index.constant(0), last, index.constant(1));
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value slab = loop.getInductionVar();
  emitWhere(isBelow(builder, loc, slab, slabs), [&] {
    // A place is empty before its first use: then the phase before the first one has ended.
    warpgroup.awaitPhase(emptyBarrier(slab), index.sub(index.constant(1), parityOf(slab)));
    filling = fullBarrier(slab);
    Value at = stageAt(slab), word = index.mul(slab, slabWords);
    loadLeft(word, at);
    loadRight(word, index.add(at, leftWords));
  });
  // Groups of copies are counted: each slab is one, also a slab that does not exist.
  device.commitCopies();
  device.awaitCopies(lag);
  emitWhere(isBelow(builder, loc, index.constant(lag - 1), slab), [&] {
    warpgroup.fenceWrites();
    warpgroup.arrive(fullBarrier(index.sub(slab, index.constant(lag))));
  });
}

void WarpgroupProduct::copyPanels(Value at, function_ref<Value(Value)> from) {
  Value panel = loader();
  emitWhere(isBelow(builder, loc, panel, index.constant(columns / panelColumns)), [&] {
    constexpr int64_t bytes = panelWords * 4;
    warpgroup.expect(filling, bytes);
    warpgroup.copyBulk(from(panel), index.add(at, index.mul(panel, panelWords)), bytes, filling);
  });
}

//===----------------------------------------------------------------------------===//
// Multipliers
//===----------------------------------------------------------------------------===//

WarpgroupProduct::Sums WarpgroupProduct::multiplySlabs(Value slabs) {
  Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  auto loop = scf::ForOp::create(builder, loc, index.constant(0), slabs, index.constant(1), Sums(rows / 2, zero));
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Sums sums(loop.getRegionIterArgs());
  multiplySlab(loop.getInductionVar(), sums);
  scf::YieldOp::create(builder, loc, sums);
  return loop.getResults();
}

void WarpgroupProduct::multiplySlab(Value slab, Sums &sums) {
  warpgroup.awaitPhase(fullBarrier(slab), parityOf(slab));
  Value at = stageAt(slab), panel = index.add(at, index.add(index.mul(warp(), panelWords), leftWords));
  // The sums, then the words of each step of the slab.
  Sums registers = sums;
  for (int64_t word = 0; word < slabWords; word += Warpgroup::stepWords)
    llvm::append_range(registers, wordsOfColumns(panel, word));
  warpgroup.fence(registers);
  llvm::copy(ArrayRef(registers).take_front(sums.size()), sums.begin());
  Value descriptor = warpgroup.descriptor(at, planeWords * 4);
  for (int64_t step = 0; step < slabWords / Warpgroup::stepWords; ++step) {
    ArrayRef<Value> words = ArrayRef(registers).slice(sums.size() + step * Warpgroup::wordsOfA, Warpgroup::wordsOfA);
    warpgroup.multiplyAdd(sums, words, warpgroup.advance(descriptor, step * 2 * planeWords));
  }
  warpgroup.commit();
  warpgroup.await(sums);
  warpgroup.syncWarp();
  emitWhere(index.equal(lane(), index.constant(0)), [&] { warpgroup.arrive(emptyBarrier(slab)); });
}

/// Of a panel this thread's words of eight steps from `word` on. Lanes of the lower half read column g first and g + 8
/// then, the others the other way: so the four steps of a warp meet each bank of shared memory once.
WarpgroupProduct::Sums WarpgroupProduct::wordsOfColumns(Value panel, int64_t word) {
  Value group = index.div(lane(), 4), within = index.rem(lane(), 4), isTurned = index.div(within, 2);
  Value base = index.add(panel, index.add(index.mul(within, panelColumns), group));
  Value first = index.add(base, index.mul(isTurned, 8)),
        second = index.add(base, index.sub(index.constant(8), index.mul(isTurned, 8)));
  Value turned = index.equal(isTurned, index.constant(1));
  Sums words;
  for (int64_t half : {0, 4}) {
    auto load = [&](Value at) {
      return device.load(shared, index.add(at, (word + half) * panelColumns), builder.getI32Type());
    };
    Value one = load(first), other = load(second);
    words.push_back(arith::SelectOp::create(builder, loc, turned, other, one));
    words.push_back(arith::SelectOp::create(builder, loc, turned, one, other));
  }
  return words;
}

/// A thread has C's column g of its warp's 16 and g + 8, in each two neighbouring rows of every eight.
void WarpgroupProduct::storeSums(ArrayRef<Value> sums) {
  Value column = index.add(index.mul(warp(), panelColumns), index.div(lane(), 4));
  Value start = index.add(index.mul(index.rem(lane(), 4), 2 * sumPitch), column);
  for (auto [number, sum] : llvm::enumerate(sums)) {
    int64_t row = int64_t(number) / 4 * 8 + int64_t(number) % 2, across = int64_t(number) / 2 % 2 * 8;
    device.store(sum, shared, index.add(start, row * sumPitch + across));
  }
}

} // namespace tenon
