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

class DepthwiseLowering : WindowEmitter {
public:
  DepthwiseLowering(KernelLowering &lowering, const WindowProduct &product) : WindowEmitter(lowering, product) {
    chooseBlock();
  }

  KernelGrid lower() {
    Dim chunks = rows.positions.ceilDiv(Dim(chunkRows));
    scratch = scope.function.scratch(builder, loc, f32, index(0));
    forEachTile(chunks, [&](Value number) {
      firstRow = mul(number, index(chunkRows));
      rowCount = scope.minimum(index(chunkRows), sub(dim(rows.positions), firstRow), loc);
      copyRows();
      emitBlocks();
    });
    return grid(chunks, Dim(chunkInputs() * columns.stride) * pitch() + Dim(blockRows * blockWidth()));
  }

private:
  int64_t blockWidth() const { return blockVectors * int64_t(lanes); }
  /// Rows of x that `count` rows of the result read.
  int64_t inputsOf(int64_t count) const { return (count - 1) * rows.stride + (rows.taps - 1) * rows.dilation + 1; }
  int64_t chunkInputs() const { return inputsOf(chunkRows); }
  /// Elements of one phase of a row that whole blocks read.
  Dim phaseLength() const {
    return columns.positions.ceilDiv(Dim(blockWidth())) * Dim(blockWidth()) +
           Dim((columns.taps - 1) * columns.dilation / columns.stride);
  }
  Dim pitch() const { return phaseLength().ceilDiv(Dim(lanes)) * Dim(lanes); }

  /// A block's sums take half of the registers; the rest is for weights and what they meet.
  void chooseBlock() {
    int64_t sums = lowering.target.getVectorRegisters() / 2;
    std::optional<int64_t> width = columns.positions.constant(), height = rows.positions.constant();
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
    Value plane = planeOf(index(0)), step = dim(pitch());
    Value needed = add(mul(sub(rowCount, index(1)), index(rows.stride)), index((rows.taps - 1) * rows.dilation + 1));
    emitLoop(scope, loc, index(0), needed, [&](Value i) {
      Value row = sub(add(mul(firstRow, index(rows.stride)), i), dim(rows.before));
      // Each phase is code of its own, whose masks are known.
      for (int64_t phase = 0; phase < columns.stride; ++phase)
        copyRow(reader, plane, row, sub(index(phase), dim(columns.before)), step, scratch,
                mul(add(mul(i, index(columns.stride)), index(phase)), step));
    });
  }

  void emitBlocks() {
    Value blocks = builder.createOrFold<arith::DivUIOp>(loc, add(rowCount, index(blockRows - 1)), index(blockRows));
    Value width = dim(columns.positions);
    SmallVector<int64_t, 4> rest = restWidths();
    Value wholeEnd = rest.empty() ? width : index(*columns.positions.constant() / blockWidth() * blockWidth());
    emitLoop(scope, loc, index(0), blocks, [&](Value block) {
      Value row = mul(block, index(blockRows));
      auto loop = scf::ForOp::create(builder, loc, index(0), wholeEnd, index(blockWidth()));
      {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(loop.getBody());
        emitBlock(row, loop.getInductionVar(), SmallVector<int64_t, 4>(blockVectors, lanes));
      }
      if (!rest.empty())
        emitBlock(row, wholeEnd, rest);
    });
  }

  /// The vectors behind the last whole block of a row, where its length is known: half of the last one where that is
  /// enough. Empty where blocks of one kind do.
  SmallVector<int64_t, 4> restWidths() const {
    int64_t rest = columns.positions.constant().value_or(0) % blockWidth();
    SmallVector<int64_t, 4> widths(rest / lanes, lanes);
    if (rest % lanes != 0)
      widths.push_back(rest % lanes <= lanes / 2 ? lanes / 2 : lanes);
    return widths;
  }

  void emitBlock(Value row, Value x, ArrayRef<int64_t> vectorWidths) {
    widths.assign(vectorWidths.begin(), vectorWidths.end());
    Value sumsAt = mul(dim(pitch()), index(chunkInputs() * columns.stride));
    storeSums(sumBlock(row, x), sumsAt);
    finishBlock(row, x, scope.minimum(index(blockWidth()), sub(dim(columns.positions), x), loc), sumsAt);
  }

  VectorType vectorType(int64_t width) { return VectorType::get({width}, f32); }

  SmallVector<Value> sumBlock(Value row, Value x) {
    SmallVector<Value> start;
    for (int64_t o = 0; o < blockRows; ++o)
      for (int64_t width : widths)
        start.push_back(arith::ConstantOp::create(builder, loc, builder.getZeroAttr(vectorType(width))));
    auto loop = scf::ForOp::create(builder, loc, index(0), index(columns.taps), index(1), start);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value tap = loop.getInductionVar(), distance = mul(tap, index(columns.dilation));
    Value phase = builder.createOrFold<arith::RemUIOp>(loc, distance, index(columns.stride));
    Value shift = builder.createOrFold<arith::DivUIOp>(loc, distance, index(columns.stride));
    Value firstInput = add(mul(mul(row, index(rows.stride)), index(columns.stride)), phase);
    Value from = add(mul(firstInput, dim(pitch())), add(x, shift));
    SmallVector<Value> sums(loop.getRegionIterArgs());
    addTaps(sums, from, weightsOf(tap));
    scf::YieldOp::create(builder, loc, sums);
    return SmallVector<Value>(loop.getResults());
  }

  /// The weights of tap `tap` of each row of the filter, in every lane.
  SmallVector<Value> weightsOf(Value tap) {
    Value filters = lowering.memoryOf(product.filters());
    Value first = add(mul(group, index(rows.taps * columns.taps)), tap);
    SmallVector<Value> weights;
    for (int64_t p = 0; p < rows.taps; ++p) {
      Value weight = memref::LoadOp::create(builder, loc, filters, add(first, index(p * columns.taps)));
      weights.push_back(vector::BroadcastOp::create(builder, loc, vectorType(lanes), weight));
    }
    return weights;
  }

  void addTaps(SmallVector<Value> &sums, Value from, ArrayRef<Value> weights) {
    Value step = mul(dim(pitch()), index(columns.stride));
    for (int64_t r = 0; r < inputsOf(blockRows); ++r) {
      SmallVector<Value> elements;
      for (int64_t o = 0; o < blockRows; ++o) {
        int64_t distance = r - o * rows.stride;
        if (distance < 0 || distance % rows.dilation != 0 || distance / rows.dilation >= rows.taps)
          continue;
        for (size_t v = elements.size(); v < widths.size(); ++v)
          elements.push_back(vector::LoadOp::create(builder, loc, vectorType(widths[v]), scratch,
                                                    add(add(from, mul(step, index(r))), index(int64_t(v * lanes)))));
        for (auto [v, width] : llvm::enumerate(widths)) {
          Value &sum = sums[o * widths.size() + v], weight = weights[distance / rows.dilation];
          if (width != int64_t(lanes))
            weight = vector::ExtractStridedSliceOp::create(builder, loc, weight, ArrayRef<int64_t>{0},
                                                           ArrayRef<int64_t>{width}, ArrayRef<int64_t>{1});
          sum = vector::FMAOp::create(builder, loc, elements[v], weight, sum);
        }
      }
    }
  }

  void storeSums(ArrayRef<Value> sums, Value to) {
    for (auto [number, sum] : llvm::enumerate(sums)) {
      int64_t row = number / widths.size(), vector = number % widths.size();
      vector::StoreOp::create(builder, loc, sum, scratch, add(to, index(row * blockWidth() + vector * lanes)));
    }
  }

  /// The rows of a block that exist pass through the map behind the contraction.
  void finishBlock(Value row, Value x, Value count, Value sumsAt) {
    Value existing = scope.minimum(index(blockRows), sub(rowCount, row), loc);
    emitLoop(scope, loc, index(0), existing, [&](Value i) {
      Value position = add(mul(add(firstRow, add(row, i)), dim(columns.positions)), x);
      finishRun(index(0), position, count, scratch, add(sumsAt, mul(i, index(blockWidth()))));
    });
  }

  int64_t blockRows = 1, blockVectors = 1, chunkRows = 1;
  SmallVector<int64_t, 4> widths; ///< Of the vectors of a row of the block being emitted.
  Value scratch;
  // Of the tile being emitted.
  Value firstRow, rowCount;
};

} // namespace

KernelGrid lowerDepthwise(KernelLowering &lowering, const WindowProduct &product) {
  return DepthwiseLowering(lowering, product).lower();
}

} // namespace tenon
