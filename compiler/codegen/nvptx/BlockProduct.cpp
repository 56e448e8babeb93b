//===- BlockProduct.cpp - a tile of a matrix product by one block ------------------===//
#include "compiler/codegen/nvptx/BlockProduct.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Slabs of k
//===----------------------------------------------------------------------------===//

Value BlockProduct::stageAt(Value slab) { return index.mul(index.rem(slab, stages), stageWords); }

void BlockProduct::loadStage(Value slab, const Load &loadLeft, const Load &loadRight) {
  Value at = stageAt(slab), word = index.mul(slab, slabWords);
  loadLeft(word, at);
  loadRight(word, index.add(at, leftWords));
}

void BlockProduct::emit(Value words, const Load &loadLeft, const Load &loadRight) {
  Value slabs = index.ceilDiv(words, slabWords);
  // Groups of copies are counted: each slab is one, also a slab that does not exist.
  auto ask = [&](Value slab) {
    Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, slab, slabs);
    auto guard = scf::IfOp::create(builder, loc, exists, /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard insertion(builder);
      builder.setInsertionPointToStart(guard.thenBlock());
      loadStage(slab, loadLeft, loadRight);
    }
    device.commitCopies();
  };
  for (int64_t slab = 0; slab < stages - 1; ++slab)
    ask(index.constant(slab));
  Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  Sums sums(rowTiles * columnTiles * 4, zero);
  auto loop = scf::ForOp::create(builder, loc, index.constant(0), slabs, index.constant(1), sums);
  {
    OpBuilder::InsertionGuard insertion(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value slab = loop.getInductionVar();
    device.awaitCopies(stages - 2);
    device.barrier();
    ask(index.add(slab, stages - 1));
    sums.assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
    multiplySlab(stageAt(slab), sums);
    scf::YieldOp::create(builder, loc, sums);
  }
  device.awaitCopies(0);
  device.barrier();
  storeSums(SmallVector<Value>(loop.getResults()));
  device.barrier();
}

void BlockProduct::multiplySlab(Value at, Sums &sums) {
  TensorCore core(builder, loc, kind);
  Value group = index.div(lane(), 4), within = index.rem(lane(), 4);
  Value left = index.add(at, index.mul(warpRow(), leftPitch));
  Value right = index.add(at, index.add(index.mul(within, rightPitch), index.add(warpColumn(), group)));
  for (int64_t word = 0; word < slabWords; word += TensorCore::tileWords) {
    SmallVector<TensorCore::Fragment, 4> rightTiles;
    for (int64_t column = 0; column < columnTiles; ++column) {
      Value first = index.add(right, leftWords + word * rightPitch + column * TensorCore::tileColumns);
      rightTiles.push_back(core.fragment({core.loadWord(shared, first),
                                          core.loadWord(shared, index.add(first, 4 * rightPitch))}));
    }
    for (int64_t row = 0; row < rowTiles; ++row) {
      Value tile = index.add(left, row * TensorCore::tileRows * leftPitch + word);
      TensorCore::Fragment leftTile = core.loadA(shared, tile, lane(), leftPitch);
      for (int64_t column = 0; column < columnTiles; ++column)
        core.multiplyAdd(MutableArrayRef(sums).slice(4 * (row * columnTiles + column), 4), leftTile,
                         rightTiles[column]);
    }
  }
}

/// A thread has two neighbours of a row at a time.
void BlockProduct::storeSums(ArrayRef<Value> sums) {
  Value row = index.add(warpRow(), index.div(lane(), 4));
  Value column = index.add(warpColumn(), index.mul(index.rem(lane(), 4), 2));
  Value start = index.add(index.mul(row, sumPitch), column);
  auto pair = VectorType::get({2}, builder.getF32Type());
  for (int64_t i = 0; i < rowTiles * columnTiles; ++i)
    for (int64_t half = 0; half < 2; ++half) {
      int64_t down = i / columnTiles * TensorCore::tileRows + half * 8,
              across = i % columnTiles * TensorCore::tileColumns;
      ArrayRef<Value> two = sums.slice(4 * i + 2 * half, 2);
      Value vector = vector::FromElementsOp::create(builder, loc, pair, two);
      device.store(vector, shared, index.add(start, down * sumPitch + across));
    }
}

} // namespace tenon
