//===- LowerFFT.cpp - a batch of Fourier transforms -------------------------------------===//
//
// A tile is as many transforms as a vector has lanes. How they get there:
//
//   | innermost in memory | name | the first stage reads, the last one writes |
//   |---|---|---|
//   | a dimension of the batch | columns | vectors where they stand |
//   | the same, but for the pairs of complex numbers | columns | two vectors, sorted into real and imaginary parts |
//   | the transformed dimension | rows | scratch: rows are turned into lanes in squares |
//
// In the last tile of columns lanes without a transform are masked; in that of rows they repeat the last row,
// and so write what it writes.
//
#include "passes/fft_rpe/FourierEmitter.h"
#include "passes/fft_rpe/FourierSides.h"
#include "passes/fft_rpe/LowerFourier.h"
#include "passes/lowering/TransposeTile.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tenon {
namespace {

class FFTLowering : FourierSides {
public:
  FFTLowering(KernelLowering &lowering, FFTOp op)
      : FourierSides(lowering, op), builder(lowering.builder), emitter(lowering, realType(op)), lanes(emitter.lanes) {}

  KernelGrid lower() {
    int64_t scratch = emitter.scratchBytes(length);
    if (std::optional<int64_t> column = laneDim())
      return {lowerColumns(*column), Dim(scratch)};
    return {lowerRows(), Dim(scratch)};
  }

private:
  static Type realType(FFTOp op) {
    Type element = elementOf(op.getInput());
    return element.isF64() ? element : Type(Float32Type::get(op.getContext()));
  }

  /// The dimension lanes run along, where one of the batch is innermost and fills them.
  std::optional<int64_t> laneDim() {
    std::optional<int64_t> dim = columnDim();
    std::optional<int64_t> size = dim ? from.shape[*dim].constant() : std::nullopt;
    return size && *size < int64_t(lanes) / 2 ? std::nullopt : dim;
  }

  Point leaving(const Point &point) { return FourierSides::leaving(emitter, point); }

  //===--------------------------------------------------------------------------===//
  // Columns
  //===--------------------------------------------------------------------------===//

  VectorType vectorOf(Type element, int64_t count) { return VectorType::get({count}, element); }

  Value loadVector(const FourierSide &side, Value at, int64_t count, Value present) {
    VectorType type = vectorOf(side.element, count);
    Value loaded;
    if (!present) {
      loaded = vector::LoadOp::create(builder, loc, type, side.memory, at);
    } else {
      Value mask = maskOf(count, present), none = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
      loaded = vector::MaskedLoadOp::create(builder, loc, type, side.memory, at, mask, none);
    }
    return convertFloat(builder, loc, loaded, emitter.real);
  }

  void storeVector(const FourierSide &side, Value at, Value vector, Value present) {
    Value narrow = convertFloat(builder, loc, vector, side.element);
    int64_t count = cast<VectorType>(narrow.getType()).getDimSize(0);
    if (present)
      vector::MaskedStoreOp::create(builder, loc, side.memory, at, maskOf(count, present), narrow);
    else
      vector::StoreOp::create(builder, loc, narrow, side.memory, at);
  }

  Value maskOf(int64_t count, Value present) {
    return vector::CreateMaskOp::create(builder, loc, vectorOf(builder.getI1Type(), count), present);
  }

  /// Lanes from..from + lanes - 1 of what stands at `at`, `stride` elements apart.
  Point loadColumns(Value start, Value present, Value base, int64_t offset) {
    Value at = offsetOf(from, start, base, offset, 0);
    if (!from.partsInside || from.parts == 1) {
      Point point{loadVector(from, at, lanes, present), Value()};
      if (from.parts == 2)
        point.imaginary = loadVector(from, offsetOf(from, start, base, offset, 1), lanes, present);
      return entering(point);
    }
    Value twice = present ? scope.mul(present, index(2), loc) : Value();
    Value pairs = loadVector(from, at, 2 * int64_t(lanes), twice);
    auto sorted = vector::DeinterleaveOp::create(builder, loc, pairs);
    return entering({sorted.getRes1(), sorted.getRes2()});
  }

  void storeColumns(Value start, Value present, Value base, int64_t offset, const Point &result) {
    Point point = leaving(result);
    Value at = offsetOf(to, start, base, offset, 0);
    Value real = point.real ? point.real : emitter.zero();
    Value imaginary = point.imaginary ? point.imaginary : emitter.zero();
    if (to.parts == 1)
      return storeVector(to, at, real, present);
    if (!to.partsInside) {
      storeVector(to, at, real, present);
      return storeVector(to, offsetOf(to, start, base, offset, 1), imaginary, present);
    }
    Value pairs = vector::InterleaveOp::create(builder, loc, real, imaginary);
    storeVector(to, at, pairs, present ? scope.mul(present, index(2), loc) : Value());
  }

  Dim lowerColumns(int64_t column) {
    SmallVector<int64_t> batch = batchDims(column);
    Dim size = from.shape[column], blocks = size.ceilDiv(Dim(int64_t(lanes)));
    bool isWhole = size.constant() && *size.constant() % lanes == 0;
    Value blockCount = scope.dim(blocks, loc), total = scope.dim(size, loc);
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) {
      Value number = builder.createOrFold<arith::DivUIOp>(loc, tile, blockCount);
      Value block = builder.createOrFold<arith::RemUIOp>(loc, tile, blockCount);
      Value lane = scope.mul(block, index(lanes), loc);
      Value present = isWhole ? Value() : scope.minimum(scope.sub(total, lane, loc), index(lanes), loc);
      auto begin = [&](const FourierSide &side) {
        return scope.add(startOf(side, batch, number), scope.mul(lane, side.strides[column], loc), loc);
      };
      Value source = begin(from), target = begin(to);
      emitter.transform(
          length, from.points, to.points,
          [&](Value base, int64_t offset) { return loadColumns(source, present, base, offset); },
          [&](Value base, int64_t offset, const Point &point) {
            storeColumns(target, present, base, offset, point);
          });
    });
    return batchCount(batch) * blocks;
  }

  //===--------------------------------------------------------------------------===//
  // Rows
  //===--------------------------------------------------------------------------===//

  /// Elements of a transform that lie side by side, and where the first of them is in scratch.
  struct Run {
    int64_t part, count, pointsApart; ///< Part of the first; elements; vectors of scratch from one to the next.
  };
  SmallVector<Run> runsOf(const FourierSide &side) {
    if (side.partsInside && side.axisInside && side.parts == 2)
      return {{0, 2 * side.points, 1}};
    SmallVector<Run> runs{{0, side.points, 2}};
    if (side.parts == 2)
      runs.push_back({1, side.points, 2});
    return runs;
  }

  /// Whether the elements of a run are neighbours in memory and of the type of the arithmetic.
  bool isTurnable(const FourierSide &side) { return side.axisInside && side.element == emitter.real; }

  Value elementAt(const FourierSide &side, const Run &run, Value start, Value i) {
    if (run.pointsApart == 1)
      return scope.add(start, i, loc);
    return offsetOf(side, start, i, 0, run.part);
  }
  Value vectorAt(int buffer, const Run &run, Value i) {
    Value vectors = scope.add(scope.mul(i, index(run.pointsApart), loc), index(run.part), loc);
    return scope.add(emitter.position(buffer, index(0), 0), scope.mul(vectors, index(lanes), loc), loc);
  }

  void readRun(const Run &run, ArrayRef<Value> starts, int buffer) {
    Value scratch = emitter.memory();
    int64_t whole = isTurnable(from) ? run.count / lanes * lanes : 0;
    forEach(0, whole, lanes, [&](Value i) {
      auto rows = llvm::map_to_vector(starts, [&](Value start) -> Value {
        return vector::LoadOp::create(builder, loc, emitter.vectorType(), from.memory, elementAt(from, run, start, i));
      });
      for (auto [k, vector] : llvm::enumerate(transposeTile(builder, loc, rows)))
        vector::StoreOp::create(builder, loc, vector, scratch, vectorAt(buffer, run, scope.add(i, index(k), loc)));
    });
    forEach(whole, run.count, 1, [&](Value i) {
      for (auto [lane, start] : llvm::enumerate(starts)) {
        Value element = memref::LoadOp::create(builder, loc, from.memory, elementAt(from, run, start, i));
        Value at = scope.add(vectorAt(buffer, run, i), index(lane), loc);
        memref::StoreOp::create(builder, loc, convertFloat(builder, loc, element, emitter.real), scratch, at);
      }
    });
  }

  void writeRun(const Run &run, ArrayRef<Value> starts, int buffer) {
    Value scratch = emitter.memory();
    int64_t whole = isTurnable(to) ? run.count / lanes * lanes : 0;
    forEach(0, whole, lanes, [&](Value i) {
      SmallVector<Value> vectors;
      for (unsigned k = 0; k < lanes; ++k)
        vectors.push_back(vector::LoadOp::create(builder, loc, emitter.vectorType(), scratch,
                                                 vectorAt(buffer, run, scope.add(i, index(k), loc))));
      for (auto [row, start] : llvm::zip(transposeTile(builder, loc, vectors), starts))
        vector::StoreOp::create(builder, loc, row, to.memory, elementAt(to, run, start, i));
    });
    forEach(whole, run.count, 1, [&](Value i) {
      for (auto [lane, start] : llvm::enumerate(starts)) {
        Value at = scope.add(vectorAt(buffer, run, i), index(lane), loc);
        Value element = memref::LoadOp::create(builder, loc, scratch, at);
        memref::StoreOp::create(builder, loc, convertFloat(builder, loc, element, to.element), to.memory,
                                elementAt(to, run, start, i));
      }
    });
  }

  /// body(i) for i = begin, begin + step, … below end.
  void forEach(int64_t begin, int64_t end, int64_t step, function_ref<void(Value)> body) {
    if (begin < end)
      emitLoop(scope, loc, index(0), index((end - begin + step - 1) / step), [&](Value i) {
        body(scope.add(index(begin), scope.mul(i, index(step), loc), loc));
      });
  }

  Dim lowerRows() {
    SmallVector<int64_t> batch = batchDims();
    Dim count = batchCount(batch);
    Value last = scope.sub(scope.dim(count, loc), index(1), loc);
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) {
      SmallVector<Value> sources, targets;
      for (unsigned lane = 0; lane < lanes; ++lane) {
        Value number = scope.add(scope.mul(tile, index(lanes), loc), index(lane), loc);
        number = scope.minimum(number, last, loc);
        sources.push_back(startOf(from, batch, number));
        targets.push_back(startOf(to, batch, number));
      }
      int sink = emitter.begin(length);
      for (const Run &run : runsOf(from))
        readRun(run, sources, FourierEmitter::sourceBuffer);
      bool isReal = from.parts == 1;
      emitter.transform(
          length, from.points, to.points,
          [&](Value base, int64_t offset) {
            Point point = emitter.load(FourierEmitter::sourceBuffer, base, offset);
            return entering(isReal ? Point{point.real, Value()} : point);
          },
          [&](Value base, int64_t offset, const Point &point) { emitter.store(sink, base, offset, leaving(point)); });
      for (const Run &run : runsOf(to))
        writeRun(run, targets, sink);
    });
    return count.ceilDiv(Dim(int64_t(lanes)));
  }

  OpBuilder &builder;
  FourierEmitter emitter;
  unsigned lanes;
};

} // namespace

FailureOr<KernelGrid> lowerFFT(KernelLowering &lowering, FFTOp op) {
  if (!op.getLength().getValue().isConstant() || !shapeOf(op.getInput())[op.getAxis()].isConstant() ||
      !shapeOf(op.getResult())[op.getAxis()].isConstant())
    return op.emitOpError("wants constant lengths here, found ") << op.getLength().getValue().str();
  return FFTLowering(lowering, op).lower();
}

} // namespace tenon
