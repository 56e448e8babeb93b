//===- LowerCirculant.cpp - circular convolutions through the Fourier transform ---------===//
//
// A tile is a block of channels of one head: a vector of them as real parts, the next one as imaginary parts (the
// kernel is real, so what it does to one part it does to the other). Per pair of vectors: a transform of the given
// rows, the product with the spectrum in its last stage, which is the first one back, and the wanted rows
// (FourierEmitter.h). Where each channel has a kernel of its own a tile is one vector of channels, without imaginary
// parts; but where all are made of one channel x, that is transformed once for several pairs of vectors: of real f, g
// and x the transform of f x + i g x is (F + i G) X.
//
// With blocks the rows of each are transformed by themselves; the spectra of all of them stand in scratch behind the
// two buffers, frequency by frequency their products with those of the distances take their place, and each is
// transformed back.
//
// With features that happens for each feature r: the first stage reads k[j, r] x[j, c], the last one adds q[i, r] y[i,
// c] to the result. So what is held is two buffers of the period, whatever the number of features; the result's block
// of rows is read and written once a feature and stays in the cache beside them.
//
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/fft_rpe/FourierEmitter.h"
#include "passes/fft_rpe/KernelRange.h"
#include "passes/fft_rpe/LowerFourier.h"

using namespace mlir;

namespace tenon {
namespace {

/// The first buffer behind those that transforms need.
constexpr int firstSlot = 2;

/// Pairs of vectors for which one input is transformed once: a fourth of what their own transforms cost, and few enough
/// that a hundred channels are still shared among threads.
constexpr int64_t mostPairs = 4;

class CirculantLowering {
public:
  CirculantLowering(KernelLowering &lowering, CirculantOp op)
      : lowering(lowering), scope(lowering.scope), builder(lowering.builder), loc(lowering.loc), op(op),
        emitter(lowering, builder.getF32Type()), shape(shapeOf(op.getInput())), lanes(emitter.lanes),
        given(*shape[2].constant()), wanted(*shapeOf(op.getResult())[2].constant()),
        period(*shapeOf(op.getSpectrum())[2].constant()), channels(*shapeOf(op.getResult())[3].constant()),
        input(lowering.memoryOf(op.getInput())), spectrum(lowering.memoryOf(op.getSpectrum())),
        result(lowering.resultMemory()), isPerChannel(op.isPerChannel()),
        isOneForAll(shape[3] != shapeOf(op.getResult())[3]), width(isPerChannel && !isOneForAll ? lanes : 2 * lanes),
        pairs(isOneForAll ? mostPairs : 1), block(op.getBlock().value_or(0)),
        rowBlocks(block ? op.blocksOf(wanted) : 0), columnBlocks(block ? op.blocksOf(given) : 0),
        distances(block ? *shapeOf(op.getSpectrum())[3].constant() : 1) {}

  KernelGrid lower() {
    int64_t blocks = (channels + width * pairs - 1) / (width * pairs);
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) {
      place = builder.createOrFold<arith::DivUIOp>(loc, tile, index(blocks));
      Value head = builder.createOrFold<arith::RemUIOp>(loc, place, scope.dim(shape[1], loc));
      Value block = builder.createOrFold<arith::RemUIOp>(loc, tile, index(blocks));
      channel = times(block, width * pairs);
      spectrumAt = times(head, 2 * period * kernels());
      if (isOneForAll)
        emitPairs(head);
      else
        emitBlock(head, [&] { emitTransforms(); });
    });
    int64_t buffers = 2 + (isOneForAll ? 1 : std::max(rowBlocks, columnBlocks));
    return {shape[0] * shape[1] * Dim(blocks), Dim(emitter.scratchBytes(period) / 2 * buffers)};
  }

private:
  /// Kernels of a head.
  int64_t kernels() const { return isPerChannel ? channels : distances; }

  void emitTransforms() { op.getFeatures().empty() ? emitChannels() : emitFeatures(); }

  /// By transforms, or directly where they would lose the head's small values.
  void emitBlock(Value head, function_ref<void()> emitTransforms) {
    if (!op.getKernel())
      return emitTransforms();
    kernelAt = times(head, period * kernels());
    emitIf(scope, loc, isEven(), emitTransforms, [&] { emitSums(); });
  }

  Value index(int64_t value) { return scope.index(value, loc); }
  Value plus(Value a, Value b) { return scope.add(a, b, loc); }
  Value times(Value a, int64_t b) { return scope.mul(a, index(b), loc); }
  Value plus(Value a, int64_t b) { return plus(a, index(b)); }

  /// Where row `base` + `offset` of this head begins, in a tensor of `rows` rows of `width` elements a head.
  Value rowAt(int64_t rows, int64_t width, Value base, int64_t offset) {
    return plus(times(place, rows * width), plus(times(base, width), offset * width));
  }

  //===--------------------------------------------------------------------------===//
  // Channels
  //===--------------------------------------------------------------------------===//

  /// Lanes of the second vector: null where all are channels, and none where none can be.
  enum class Fill { None, Some, All };
  Fill fillOf(int64_t part) {
    if (part == 1 && width == lanes)
      return Fill::None;
    if (channels % width == 0 || channels % width >= (part + 1) * lanes)
      return Fill::All;
    // The last block holds fewer; if it is the only one, that is known.
    return channels <= part * lanes ? Fill::None : Fill::Some;
  }
  Value maskOf(int64_t part) {
    Value left = arith::SubIOp::create(builder, loc, index(channels - part * lanes), channel);
    Value count = arith::MaxSIOp::create(builder, loc, left, index(0));
    auto type = VectorType::get({lanes}, builder.getI1Type());
    return vector::CreateMaskOp::create(builder, loc, type, scope.minimum(count, index(lanes), loc));
  }

  Value loadPart(Value memory, Value row, int64_t part) {
    Value at = plus(plus(row, channel), part * lanes);
    VectorType type = emitter.vectorType();
    switch (fillOf(part)) {
    case Fill::None:
      return {};
    case Fill::All:
      return vector::LoadOp::create(builder, loc, type, memory, at);
    case Fill::Some:
      return vector::MaskedLoadOp::create(builder, loc, type, memory, at, maskOf(part), emitter.zero());
    }
    llvm_unreachable("every Fill is above");
  }
  Point loadRow(Value memory, Value row) { return {loadPart(memory, row, 0), loadPart(memory, row, 1)}; }

  void storeRow(Value row, const Point &point) {
    for (auto [part, value] : llvm::enumerate(SmallVector<Value>{point.real, point.imaginary})) {
      Value at = plus(plus(row, channel), int64_t(part) * lanes), vector = value ? value : emitter.zero();
      if (fillOf(part) == Fill::All)
        vector::StoreOp::create(builder, loc, vector, result, at);
      else if (fillOf(part) == Fill::Some)
        vector::MaskedStoreOp::create(builder, loc, result, at, maskOf(part), vector);
    }
  }

  //===--------------------------------------------------------------------------===//
  // Convolutions
  //===--------------------------------------------------------------------------===//

  void convolve(PointSource source, PointSink sink) {
    if (block)
      return convolveBlocks(source, sink);
    Value share = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(1.0f / float(period)));
    auto frequency = [&](Value base, int64_t offset) -> Point {
      auto part = [&](int64_t number) {
        if (isPerChannel) {
          Value at = plus(spectrumAt, times(plus(base, number * period + offset), channels));
          Value loaded = loadPart(spectrum, at, 0);
          return emitter.scaled(loaded, 1.0 / double(period));
        }
        Value at = plus(plus(spectrumAt, number * period + offset), base);
        Value loaded = memref::LoadOp::create(builder, loc, spectrum, at);
        return emitter.everywhere(arith::MulFOp::create(builder, loc, loaded, share));
      };
      return {part(0), part(1)};
    };
    emitter.convolve(period, given, wanted, source, frequency, sink);
  }

  /// body(number, rows) for each block of `rows` rows, the last of which may have fewer.
  void forBlocks(int64_t rows, function_ref<void(Value number, int64_t rows)> body) {
    int64_t whole = rows / block;
    emitLoop(scope, loc, index(0), index(whole), [&](Value number) { body(number, block); });
    if (rows % block)
      body(index(whole), rows % block);
  }

  void convolveBlocks(PointSource source, PointSink sink) {
    emitter.begin(period);
    int64_t size = emitter.bufferSize();
    auto slot = [&](Value number, Value base) { return plus(times(number, size), base); };
    forBlocks(given, [&](Value number, int64_t rows) {
      Value first = times(number, block);
      auto scaled = [&](Value base, int64_t offset) -> Point {
        Point point = source(plus(first, base), offset);
        return {emitter.scaled(point.real, 1.0 / double(period)),
                emitter.scaled(point.imaginary, 1.0 / double(period))};
      };
      emitter.transform(period, rows, period, scaled, [&](Value base, int64_t offset, const Point &point) {
        emitter.store(firstSlot, slot(number, base), offset, point);
      });
    });
    emitLoop(scope, loc, index(0), index(period), [&](Value frequency) { multiplySpectra(frequency, size); });
    // Backwards is forwards with real and imaginary parts exchanged.
    forBlocks(wanted, [&](Value number, int64_t rows) {
      Value first = times(number, block);
      auto stored = [&](Value base, int64_t offset) {
        return emitter.load(firstSlot, slot(number, base), offset).swapped();
      };
      emitter.transform(period, period, rows, stored, [&](Value base, int64_t offset, const Point &point) {
        sink(plus(first, base), offset, point.swapped());
      });
    });
  }

  /// At one frequency: of each block of rows the sum over the blocks of columns, in the place of these. All sums are in
  /// registers; a distance's factor is in two of them while it is met.
  void multiplySpectra(Value frequency, int64_t size) {
    SmallVector<Point> columns, sums(rowBlocks);
    for (int64_t number = 0; number < columnBlocks; ++number)
      columns.push_back(emitter.load(firstSlot, frequency, number * size));
    for (int64_t distance = 0; distance < distances; ++distance) {
      Value at = plus(plus(spectrumAt, times(frequency, distances)), distance);
      auto part = [&](int64_t number) {
        return emitter.everywhere(
            memref::LoadOp::create(builder, loc, spectrum, plus(at, number * period * distances)));
      };
      Point factor{part(0), part(1)};
      for (int64_t row = 0; row < rowBlocks; ++row)
        if (int64_t column = row + distances - rowBlocks - distance; column >= 0 && column < columnBlocks)
          sums[row] = emitter.sumOfProducts(sums[row], factor, columns[column]);
    }
    for (int64_t row = 0; row < rowBlocks; ++row)
      emitter.store(firstSlot, frequency, row * size, sums[row]);
  }

  //===--------------------------------------------------------------------------===//
  // One input for all channels
  //===--------------------------------------------------------------------------===//

  void emitPairs(Value head) {
    emitter.begin(period);
    auto source = [&](Value base, int64_t offset) -> Point {
      return {emitter.scaled(inputRow(plus(base, offset)), 1.0 / double(period)), Value()};
    };
    emitter.transform(period, given, period, source, [&](Value base, int64_t offset, const Point &point) {
      emitter.store(firstSlot, base, offset, point);
    });
    Value first = channel, left = scope.sub(index(channels + width - 1), first, loc);
    Value count = scope.minimum(builder.createOrFold<arith::DivUIOp>(loc, left, index(width)), index(pairs), loc);
    emitLoop(scope, loc, index(0), count, [&](Value pair) {
      channel = plus(first, times(pair, width));
      emitBlock(head, [&] { emitPair(); });
    });
  }

  /// The one channel of a row in all lanes.
  Value inputRow(Value row) {
    Value at = plus(times(place, given), row);
    return emitter.everywhere(memref::LoadOp::create(builder, loc, input, at));
  }

  /// F + i G of the two vectors' kernels.
  Point pairOfSpectra(Value base, int64_t offset) {
    auto load = [&](int64_t number) {
      return loadRow(spectrum, plus(spectrumAt, times(plus(base, number * period + offset), channels)));
    };
    Point real = load(0), imaginary = load(1);
    if (!real.imaginary)
      return {real.real, imaginary.real};
    return {arith::SubFOp::create(builder, loc, real.real, imaginary.imaginary),
            arith::AddFOp::create(builder, loc, imaginary.real, real.imaginary)};
  }

  void emitPair() {
    // Backwards is forwards with real and imaginary parts exchanged.
    auto source = [&](Value base, int64_t offset) {
      return emitter.times(emitter.load(firstSlot, base, offset), pairOfSpectra(base, offset)).swapped();
    };
    emitter.transform(period, period, wanted, source, [&](Value base, int64_t offset, const Point &point) {
      storeRow(rowAt(wanted, channels, base, offset), point.swapped());
    });
  }

  void emitChannels() {
    convolve([&](Value base, int64_t offset) { return loadRow(input, rowAt(given, channels, base, offset)); },
             [&](Value base, int64_t offset, const Point &point) {
               storeRow(rowAt(wanted, channels, base, offset), point);
             });
  }

  /// Element r of row base + offset of a feature tensor, in all lanes.
  Value feature(Value memory, int64_t rows, int64_t features, Value r, Value base, int64_t offset) {
    Value at = plus(rowAt(rows, features, base, offset), r);
    return emitter.everywhere(memref::LoadOp::create(builder, loc, memory, at));
  }

  void emitFeatures() {
    Value query = lowering.memoryOf(op.getFeatures()[0]), key = lowering.memoryOf(op.getFeatures()[1]);
    int64_t features = *shapeOf(op.getFeatures()[0])[3].constant();
    emitLoop(scope, loc, index(0), index(wanted),
             [&](Value i) { storeRow(rowAt(wanted, channels, i, 0), {emitter.zero(), emitter.zero()}); });
    emitLoop(scope, loc, index(0), index(features), [&](Value r) {
      auto source = [&](Value base, int64_t offset) {
        Point row = loadRow(input, rowAt(given, channels, base, offset));
        return emitter.times(row, Point{feature(key, given, features, r, base, offset), Value()});
      };
      auto sink = [&](Value base, int64_t offset, const Point &point) {
        Value row = rowAt(wanted, channels, base, offset), factor = feature(query, wanted, features, r, base, offset);
        Point sum = loadRow(result, row);
        auto added = [&](Value to, Value value) -> Value {
          return to && value ? math::FmaOp::create(builder, loc, factor, value, to) : to;
        };
        storeRow(row, {added(sum.real, point.real), added(sum.imaginary, point.imaginary)});
      };
      convolve(source, sink);
    });
  }

  //===--------------------------------------------------------------------------===//
  // Sums, for kernels whose values lie too far apart
  //===--------------------------------------------------------------------------===//

  Value kernelValue(Value n) {
    return memref::LoadOp::create(builder, loc, lowering.memoryOf(op.getKernel()), plus(kernelAt, n));
  }

  /// |g[n]| <= 100 |g[0]| for all n; not where one of them is NaN.
  Value isEven() {
    if (isPerChannel)
      return areEven();
    Value yes = arith::ConstantOp::create(builder, loc, builder.getBoolAttr(true));
    Value range = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(kernelRange));
    // Of blocks: of the distance 0 between them, behind those of columns behind the rows.
    Value first = math::AbsFOp::create(builder, loc, kernelValue(index(block ? distances - rowBlocks : 0)));
    Value most = arith::MulFOp::create(builder, loc, first, range);
    return emitLoopNest(scope, loc, {index(period * distances)}, yes, [&](ArrayRef<Value> n, Value carried) -> Value {
      Value size = math::AbsFOp::create(builder, loc, kernelValue(n[0]));
      Value here = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLE, size, most);
      return arith::AndIOp::create(builder, loc, carried, here);
    });
  }

  /// Where g of channels lies whose distance is n.
  Value kernelRow(Value n) { return plus(kernelAt, times(n, channels)); }

  /// The same of the vectors of channels.
  Value areEven() {
    Value first = areEven(0);
    return fillOf(1) == Fill::None ? first : arith::AndIOp::create(builder, loc, first, areEven(1)).getResult();
  }

  /// Of one vector, beside the largest of each channel's first values.
  Value areEven(int64_t vector) {
    auto sizeAt = [&](Value n) -> Value {
      return math::AbsFOp::create(builder, loc, loadPart(lowering.memoryOf(op.getKernel()), kernelRow(n), vector));
    };
    int64_t first = std::min(firstOfChannelKernel, period);
    // The larger one, or NaN.
    Value largest =
        emitLoopNest(scope, loc, {index(first)}, emitter.zero(), [&](ArrayRef<Value> n, Value carried) -> Value {
          return arith::MaximumFOp::create(builder, loc, carried, sizeAt(n[0]));
        });
    Value most = emitter.scaled(largest, kernelRange);
    auto mask = VectorType::get({lanes}, builder.getI1Type());
    Value yes = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(mask, true));
    Value even = emitLoopNest(scope, loc, {index(period)}, yes, [&](ArrayRef<Value> n, Value carried) -> Value {
      Value here = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLE, sizeAt(n[0]), most);
      return arith::AndIOp::create(builder, loc, carried, here);
    });
    return vector::ReductionOp::create(builder, loc, vector::CombiningKind::AND, even);
  }

  /// g[i - j] of the channels, or in all lanes; with features, times the product of the rows' ones.
  Point weightsOf(Value i, Value j) {
    Value distance = builder.createOrFold<arith::RemUIOp>(loc, scope.sub(plus(i, period), j, loc), index(period));
    if (isPerChannel)
      return loadRow(lowering.memoryOf(op.getKernel()), kernelRow(distance));
    Value weight = emitter.everywhere(timesFeatures(block ? weightOfBlock(i, j) : kernelValue(distance), i, j));
    return {weight, weight};
  }

  /// g of the blocks that i and j are in; none where that of j lies too far behind.
  Value weightOfBlock(Value i, Value j) {
    auto number = [&](Value row) { return builder.createOrFold<arith::DivUIOp>(loc, row, index(block)); };
    auto within = [&](Value row) { return builder.createOrFold<arith::RemUIOp>(loc, row, index(block)); };
    Value distance = scope.sub(plus(number(i), distances - rowBlocks), number(j), loc);
    Value n =
        builder.createOrFold<arith::RemUIOp>(loc, scope.sub(plus(within(i), period), within(j), loc), index(period));
    Value isThere = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, distance, index(0));
    Value at = arith::MaxSIOp::create(builder, loc, distance, index(0));
    Value none = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
    return arith::SelectOp::create(builder, loc, isThere, kernelValue(plus(times(n, distances), at)), none);
  }

  Value timesFeatures(Value weight, Value i, Value j) {
    if (op.getFeatures().empty())
      return weight;
    Value query = lowering.memoryOf(op.getFeatures()[0]), key = lowering.memoryOf(op.getFeatures()[1]);
    int64_t features = *shapeOf(op.getFeatures()[0])[3].constant();
    Value rowOfQuery = rowAt(wanted, features, i, 0), rowOfKey = rowAt(given, features, j, 0);
    Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
    auto step = [&](ArrayRef<Value> r, Value sum) -> Value {
      Value q = memref::LoadOp::create(builder, loc, query, plus(rowOfQuery, r[0]));
      Value k = memref::LoadOp::create(builder, loc, key, plus(rowOfKey, r[0]));
      return math::FmaOp::create(builder, loc, q, k, sum);
    };
    return arith::MulFOp::create(builder, loc, weight, emitLoopNest(scope, loc, {index(features)}, zero, step));
  }

  void emitSums() {
    emitLoop(scope, loc, index(0), index(wanted), [&](Value i) {
      Value row = rowAt(wanted, channels, i, 0);
      storeRow(row, {emitter.zero(), emitter.zero()});
      emitLoop(scope, loc, index(0), index(given), [&](Value j) {
        Point weight = weightsOf(i, j), to = loadRow(result, row);
        Value one = isOneForAll ? inputRow(j) : Value();
        Point from = isOneForAll ? Point{one, one} : loadRow(input, rowAt(given, channels, j, 0));
        auto added = [&](Value sum, Value value, Value by) -> Value {
          return sum && value && by ? math::FmaOp::create(builder, loc, by, value, sum) : sum;
        };
        storeRow(row, {added(to.real, from.real, weight.real), added(to.imaginary, from.imaginary, weight.imaginary)});
      });
    });
  }

  KernelLowering &lowering;
  KernelScope &scope;
  OpBuilder &builder;
  Location loc;
  CirculantOp op;
  FourierEmitter emitter;
  Shape shape;
  int64_t lanes, given, wanted, period, channels;
  Value input, spectrum, result;
  bool isPerChannel, isOneForAll;
  int64_t width, pairs;                              ///< Channels of a transform, and how many of these a tile has.
  int64_t block, rowBlocks, columnBlocks, distances; ///< Rows of a block, or 0; blocks; how far apart they may lie.
  Value place, channel, spectrumAt,
      kernelAt; ///< Of the tile: batch and head, first channel, the head's spectrum and kernel.
};

} // namespace

FailureOr<KernelGrid> lowerCirculant(KernelLowering &lowering, CirculantOp op) {
  Shape from = shapeOf(op.getInput()), to = shapeOf(op.getResult()), spectrum = shapeOf(op.getSpectrum());
  bool hasFeatures = !op.getFeatures().empty();
  for (const Dim &dim : {from[2], to[3], to[2], spectrum[2], hasFeatures ? shapeOf(op.getFeatures()[0])[3] : Dim(1)})
    if (!dim.isConstant())
      return op.emitOpError("wants constant rows, channels, features and period, found ") << dim.str();
  if (!elementOf(op.getInput()).isF32())
    return op.emitOpError("wants elements of f32, found ") << elementOf(op.getInput());
  if (radicesOf(*spectrum[2].constant(), 8).empty())
    return op.emitOpError("wants a period of factors up to 13, found ") << spectrum[2].str();
  return CirculantLowering(lowering, op).lower();
}

} // namespace tenon
