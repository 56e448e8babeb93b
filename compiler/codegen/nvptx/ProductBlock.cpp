//===- ProductBlock.cpp - who does what in a block's matrix product -----------------===//
#include "compiler/codegen/nvptx/ProductBlock.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

/// This loader's units of `units` in all: its number, that + loaders, ….
void ProductBlock::forEachUnit(int64_t units, function_ref<void(Value)> body) {
  Value number = loader();
  for (int64_t first = 0; first < units; first += shape.loaders)
    body(index.add(number, first));
}

void ProductBlock::forEachLeftChunk(Value at, function_ref<void(Value, Value, Value)> body) {
  int64_t chunks = shape.slabWords / 4;
  forEachUnit(shape.rows * chunks, [&](Value unit) {
    Value row = index.div(unit, chunks), word = index.mul(index.rem(unit, chunks), 4);
    body(row, word, index.add(at, leftPlace(row, word)));
  });
}

void ProductBlock::forEachRightChunk(Value at, function_ref<void(Value, Value, Value)> body) {
  int64_t chunks = shape.columns / 4;
  forEachUnit(shape.slabWords * chunks, [&](Value unit) {
    Value word = index.div(unit, chunks), column = index.mul(index.rem(unit, chunks), 4);
    body(word, column, index.add(at, rightPlace(word, column)));
  });
}

void ProductBlock::fillLeft(Value at, bool alongRows, function_ref<Value(Value, Value)> body) {
  forEachUnit(shape.rows * shape.slabWords, [&](Value unit) {
    Value row = alongRows ? index.rem(unit, shape.rows) : index.div(unit, shape.slabWords);
    Value word = alongRows ? index.div(unit, shape.rows) : index.rem(unit, shape.slabWords);
    device.store(body(row, word), shared, index.add(at, leftPlace(row, word)));
  });
}

void ProductBlock::fillRight(Value at, bool alongColumns, function_ref<Value(Value, Value)> body) {
  forEachUnit(shape.columns * shape.slabWords, [&](Value unit) {
    // Words in eights: a sector of memory, and banks of shared memory meet twice instead of four times.
    constexpr int64_t eight = 8;
    Value rest = index.div(unit, eight);
    Value column = alongColumns ? index.rem(unit, shape.columns) : index.rem(rest, shape.columns);
    Value word = alongColumns ? index.div(unit, shape.columns)
                              : index.add(index.mul(index.div(rest, shape.columns), eight), index.rem(unit, eight));
    device.store(body(word, column), shared, index.add(at, rightPlace(word, column)));
  });
}

/// Rows of `length` words that a slab has words of, at most: slabs begin at multiples of their length.
static int64_t mostRows(int64_t length, int64_t slabWords) {
  int64_t most = 0;
  for (int64_t slab = 0; slab < length; ++slab)
    most = std::max<int64_t>(most, llvm::divideCeil(slab * slabWords % length + slabWords, length));
  return most;
}

void ProductBlock::fillRightByRows(Value at, Value firstWord, int64_t length, function_ref<Value(Value, Value)> body) {
  Value firstRow = index.div(firstWord, length), last = index.constant(shape.slabWords - 1);
  int64_t units = mostRows(length, shape.slabWords) * length * shape.columns;
  auto isBelow = [&](Value a, Value b) { return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b); };
  forEachUnit(llvm::alignTo(units, shape.loaders), [&](Value unit) {
    Value rest = index.div(unit, length), row = index.add(firstRow, index.div(rest, shape.columns));
    Value k = index.add(index.mul(row, length), index.rem(unit, length)), column = index.rem(rest, shape.columns);
    Value isBefore = isBelow(k, firstWord), word = index.sub(k, firstWord);
    Value nearest = arith::SelectOp::create(builder, loc, isBefore, index.constant(0), index.min(word, last));
    Value loaded = body(nearest, column);
    Value isOfSlab = isBelow(word, index.constant(shape.slabWords)); // one before the slab has wrapped around
    auto guard = scf::IfOp::create(builder, loc, isOfSlab, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard insertion(builder);
    builder.setInsertionPointToStart(guard.thenBlock());
    device.store(loaded, shared, index.add(at, rightPlace(word, column)));
  });
}

void ProductBlock::forEachElement(function_ref<void(Value, Value, Value)> body) {
  int64_t rowsAtOnce = shape.threads / shape.columns;
  Value column = index.rem(thread, shape.columns), first = index.div(thread, shape.columns);
  auto loop = scf::ForOp::create(builder, loc, first, index.constant(shape.rows), index.constant(rowsAtOnce));
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value row = loop.getInductionVar();
  Value element = device.load(shared, index.add(index.mul(row, shape.sumPitch), column), builder.getF32Type());
  body(row, column, element);
}

} // namespace tenon
