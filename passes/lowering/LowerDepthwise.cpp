//===- LowerDepthwise.cpp - one filter a channel ---------------------------------------===//
//
// A chunk of rows of one channel is copied into scratch, zeros around it, and elements a stride apart side by side:
// row r of x as `stride` rows, phase f of which holds x[r][e * stride + f - before] at e. A tap of neighbouring
// positions is then a vector, whatever the stride, dilation and pads.
//
// Sums of a block of R x V vectors stay in registers over all taps; a vector of the scratch is loaded once for all
// rows of the block it serves:
//
//     for each tap q of a row                       a loop
//       for each row r the block reads              unrolled
//         load V vectors; for each row o of the block with a tap p at r:  sum[o] += w[p][q] * them
//
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/LowerWindow.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {
namespace {

class DepthwiseLowering {
public:
  DepthwiseLowering(KernelLowering &lowering, const WindowProduct &product)
      : lowering(lowering), product(product), read(this->product.read) {
    if (read.axes.size() == 2)
      rows = read.axes.front();
    else
      rows.positions = Dim(1);
    chooseBlock();
  }

  KernelGrid lower() {
    Dim chunks = rows.positions.ceilDiv(Dim(chunkRows));
    scratch = scope.function.scratch(builder, loc, f32, index(0));
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value number) {
      Value count = scope.dim(chunks, loc), channels = index(read.groups);
      firstRow = mul(builder.createOrFold<arith::RemUIOp>(loc, number, count), index(chunkRows));
      Value outer = builder.createOrFold<arith::DivUIOp>(loc, number, count);
      channel = builder.createOrFold<arith::RemUIOp>(loc, outer, channels);
      batch = builder.createOrFold<arith::DivUIOp>(loc, outer, channels);
      rowCount = scope.minimum(index(chunkRows), sub(scope.dim(rows.positions, loc), firstRow), loc);
      copyRows();
      emitBlocks();
    });
    Dim floats = Dim(chunkInputs() * lanesAxis.stride) * pitch() + Dim(blockRows * blockWidth());
    return {shapeOf(read.source)[0] * Dim(read.groups) * chunks, Dim(4) * floats};
  }

private:
  Value index(int64_t value) { return scope.index(value, loc); }
  Value add(Value a, Value b) { return scope.add(a, b, loc); }
  Value sub(Value a, Value b) { return scope.sub(a, b, loc); }
  Value mul(Value a, Value b) { return scope.mul(a, b, loc); }
  int64_t blockWidth() const { return blockVectors * lanes; }
  /// Rows of x that `count` rows of the result read.
  int64_t inputsOf(int64_t count) const { return (count - 1) * rows.stride + (rows.taps - 1) * rows.dilation + 1; }
  int64_t chunkInputs() const { return inputsOf(chunkRows); }
  /// Elements of one phase of a row that whole blocks read.
  Dim phaseLength() const {
    return lanesAxis.positions.ceilDiv(Dim(blockWidth())) * Dim(blockWidth()) +
           Dim((lanesAxis.taps - 1) * lanesAxis.dilation / lanesAxis.stride);
  }
  Dim pitch() const { return phaseLength().ceilDiv(Dim(lanes)) * Dim(lanes); }

  /// A block's sums take half of the registers; the rest is for weights and what they meet.
  void chooseBlock() {
    int64_t sums = lowering.target.getVectorRegisters() / 2;
    std::optional<int64_t> width = lanesAxis.positions.constant(), height = rows.positions.constant();
    int64_t most = read.axes.size() == 2 ? 2 : 8;
    blockVectors = width ? std::clamp<int64_t>(llvm::divideCeil(*width, lanes), 1, most) : most;
    int64_t tallest = read.axes.size() == 2 ? std::min<int64_t>(sums / blockVectors, 8) : 1;
    blockRows = tallest;
    // The least rows for nothing, then the tallest block.
    if (height)
      for (int64_t candidate = tallest; candidate > tallest / 2; --candidate)
        if (llvm::alignTo(*height, candidate) < llvm::alignTo(*height, blockRows))
          blockRows = candidate;
    chunkRows = read.axes.size() == 2 ? 4 * blockRows : 1;
  }

  /// The rows of x this tile reads, phase by phase.
  void copyRows() {
    Shape shape = shapeOf(read.source);
    Value width = scope.dim(shape.back(), loc), step = scope.dim(pitch(), loc);
    Value plane = mul(add(mul(batch, index(read.groups)), channel),
                      scope.dim(countOf(ArrayRef<Dim>(shape).drop_front(2)), loc));
    Value needed = add(mul(sub(rowCount, index(1)), index(rows.stride)), index((rows.taps - 1) * rows.dilation + 1));
    emitLoop(scope, loc, index(0), needed, [&](Value i) {
      Value row = sub(add(mul(firstRow, index(rows.stride)), i), scope.dim(rows.before, loc));
      Value isInside = insideRows(row);
      emitLoop(scope, loc, index(0), index(lanesAxis.stride), [&](Value phase) {
        Value to = mul(add(mul(i, index(lanesAxis.stride)), phase), step);
        auto loop = scf::ForOp::create(builder, loc, index(0), step, index(lanes));
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(loop.getBody());
        Value e = loop.getInductionVar();
        Value x = sub(add(mul(e, index(lanesAxis.stride)), phase), scope.dim(lanesAxis.before, loc));
        auto [begin, end] = reader.within(x, width, index(0), index(lanes));
        end = arith::SelectOp::create(builder, loc, isInside, end, index(0));
        Value elements = reader.load(add(add(plane, mul(row, width)), x), begin, end);
        vector::StoreOp::create(builder, loc, elements, scratch, add(to, e));
      });
    });
  }

  Value insideRows(Value row) {
    Value height = read.axes.size() == 2 ? scope.dim(shapeOf(read.source)[2], loc) : index(1);
    Value below = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, row, height);
    Value above = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, row, index(0));
    return arith::AndIOp::create(builder, loc, below, above);
  }

  void emitBlocks() {
    Value blocks = builder.createOrFold<arith::DivUIOp>(loc, add(rowCount, index(blockRows - 1)), index(blockRows));
    Value width = scope.dim(lanesAxis.positions, loc);
    emitLoop(scope, loc, index(0), blocks, [&](Value block) {
      auto loop = scf::ForOp::create(builder, loc, index(0), width, index(blockWidth()));
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value x = loop.getInductionVar(), row = mul(block, index(blockRows));
      Value sumsAt = mul(scope.dim(pitch(), loc), index(chunkInputs() * lanesAxis.stride));
      storeSums(sumBlock(row, x), sumsAt);
      finishBlock(row, x, scope.minimum(index(blockWidth()), sub(width, x), loc), sumsAt);
    });
  }

  VectorType vectorType() { return VectorType::get({int64_t(lanes)}, f32); }

  SmallVector<Value> sumBlock(Value row, Value x) {
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(vectorType()));
    SmallVector<Value> start(blockRows * blockVectors, zero);
    auto loop = scf::ForOp::create(builder, loc, index(0), index(lanesAxis.taps), index(1), start);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value tap = loop.getInductionVar(), distance = mul(tap, index(lanesAxis.dilation));
    Value phase = builder.createOrFold<arith::RemUIOp>(loc, distance, index(lanesAxis.stride));
    Value shift = builder.createOrFold<arith::DivUIOp>(loc, distance, index(lanesAxis.stride));
    Value firstInput = add(mul(mul(row, index(rows.stride)), index(lanesAxis.stride)), phase);
    Value from = add(mul(firstInput, scope.dim(pitch(), loc)), add(x, shift));
    SmallVector<Value> sums(loop.getRegionIterArgs());
    addTaps(sums, from, weightsOf(tap));
    scf::YieldOp::create(builder, loc, sums);
    return SmallVector<Value>(loop.getResults());
  }

  /// The weights of tap `tap` of each row of the filter, in every lane.
  SmallVector<Value> weightsOf(Value tap) {
    Value filters = lowering.memoryOf(product.op.getLhs());
    Value first = add(mul(channel, index(rows.taps * lanesAxis.taps)), tap);
    SmallVector<Value> weights;
    for (int64_t p = 0; p < rows.taps; ++p) {
      Value weight = memref::LoadOp::create(builder, loc, filters, add(first, index(p * lanesAxis.taps)));
      weights.push_back(vector::BroadcastOp::create(builder, loc, vectorType(), weight));
    }
    return weights;
  }

  void addTaps(SmallVector<Value> &sums, Value from, ArrayRef<Value> weights) {
    Value step = mul(scope.dim(pitch(), loc), index(lanesAxis.stride));
    for (int64_t r = 0; r < inputsOf(blockRows); ++r) {
      SmallVector<Value> elements;
      for (int64_t o = 0; o < blockRows; ++o) {
        int64_t distance = r - o * rows.stride;
        if (distance < 0 || distance % rows.dilation != 0 || distance / rows.dilation >= rows.taps)
          continue;
        for (int64_t v = int64_t(elements.size()); v < blockVectors; ++v)
          elements.push_back(vector::LoadOp::create(builder, loc, vectorType(), scratch,
                                                    add(add(from, mul(step, index(r))), index(v * lanes))));
        for (int64_t v = 0; v < blockVectors; ++v) {
          Value &sum = sums[o * blockVectors + v];
          sum = vector::FMAOp::create(builder, loc, elements[v], weights[distance / rows.dilation], sum);
        }
      }
    }
  }

  void storeSums(ArrayRef<Value> sums, Value to) {
    for (auto [number, sum] : llvm::enumerate(sums))
      vector::StoreOp::create(builder, loc, sum, scratch, add(to, index(int64_t(number) * lanes)));
  }

  /// The rows of a block that exist pass through the map behind the contraction.
  void finishBlock(Value row, Value x, Value count, Value sumsAt) {
    Value width = scope.dim(lanesAxis.positions, loc);
    Value plane = mul(add(mul(batch, index(read.groups)), channel), mul(scope.dim(rows.positions, loc), width));
    Value existing = scope.minimum(index(blockRows), sub(rowCount, row), loc);
    emitLoop(scope, loc, index(0), existing, [&](Value i) {
      Value position = add(mul(add(firstRow, add(row, i)), width), x);
      Value sums = add(sumsAt, mul(i, index(blockWidth())));
      emitLaneLoop(scope, loc, count, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
        SmallVector<LaneValue> at{LaneValue::uniform(channel),
                                  LaneValue{j.kind, add(position, j.value), j.step, false}};
        if (product.hasBatch)
          at.insert(at.begin(), LaneValue::uniform(batch));
        lowering.finish(emitter, at, add(add(plane, position), j.value),
                        emitter.loadConsecutive(scratch, add(sums, j.value)));
      });
    });
  }

  KernelLowering &lowering;
  WindowProduct product;
  const WindowRead &read;
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Type f32 = Float32Type::get(builder.getContext());
  unsigned lanes = lowering.lanesOf(f32);
  WindowRead::Axis rows; ///< Of one position and one tap where x has one extent.
  const WindowRead::Axis &lanesAxis = read.axes.back();
  StridedReader reader{scope, loc, lowering.memoryOf(read.source), lanesAxis.stride, lanes};
  int64_t blockRows = 1, blockVectors = 1, chunkRows = 1;
  Value scratch;
  // Of the tile being emitted.
  Value batch, channel, firstRow, rowCount;
};

} // namespace

KernelGrid lowerDepthwise(KernelLowering &lowering, const WindowProduct &product) {
  return DepthwiseLowering(lowering, product).lower();
}

} // namespace tenon
