//===- FourierEmitter.cpp - Fourier transforms of many columns at once, as vector code --===//
#include "passes/fft_rpe/FourierEmitter.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tenon {

/// Buffers lie this many points off a power of two, so that what is read and what is written share no cache set.
static constexpr int64_t skew = 5;

FourierEmitter::FourierEmitter(KernelLowering &lowering, Type real, int64_t scratchAt)
    : Butterflies(lowering.builder, lowering.loc, VectorType::get({int64_t(lowering.lanesOf(real))}, real)), real(real),
      lanes(lowering.lanesOf(real)), lowering(lowering), scope(lowering.scope), scratchAt(scratchAt),
      widest(lowering.target.getVectorRegisters() >= 32 ? 8 : 4) {}

//===----------------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------------===//

/// The points that pass through the buffers: those of the convolution, where Bluestein makes it one.
static int64_t pointsOf(int64_t length, int64_t widest) {
  return radicesOf(length, widest).empty() ? convolutionLength(2 * length - 1) : length;
}

int64_t FourierEmitter::scratchBytes(int64_t length) const {
  int64_t pointBytes = 2 * int64_t(lanes) * real.getIntOrFloatBitWidth() / 8;
  return 2 * (pointsOf(length, widest) + skew) * pointBytes;
}

Value FourierEmitter::memory() { return scope.function.scratch(builder, loc, real, scope.index(scratchAt, loc)); }

Value FourierEmitter::position(int buffer, Value base, int64_t offset) {
  int64_t point = 2 * int64_t(lanes);
  Value start = scope.mul(base, scope.index(point, loc), loc);
  return scope.add(start, scope.index((buffer * bufferPoints + offset) * point, loc), loc);
}

Point FourierEmitter::load(int buffer, Value base, int64_t offset) {
  Value at = position(buffer, base, offset), from = memory();
  Value next = scope.add(at, scope.index(lanes, loc), loc);
  return {vector::LoadOp::create(builder, loc, vectorType(), from, at),
          vector::LoadOp::create(builder, loc, vectorType(), from, next)};
}

void FourierEmitter::store(int buffer, Value base, int64_t offset, const Point &point) {
  Value at = position(buffer, base, offset), to = memory();
  Value next = scope.add(at, scope.index(lanes, loc), loc);
  vector::StoreOp::create(builder, loc, point.real ? point.real : zero(), to, at);
  vector::StoreOp::create(builder, loc, point.imaginary ? point.imaginary : zero(), to, next);
}

Value FourierEmitter::table(StringRef name, ArrayRef<Complex> numbers) {
  return complexTable(lowering, cast<FloatType>(real), name, numbers);
}

Value FourierEmitter::everywhere(Value scalar) {
  return vector::BroadcastOp::create(builder, loc, vectorType(), scalar);
}

Point FourierEmitter::entry(Value table, Value base, int64_t offset) {
  Value at = scope.add(scope.mul(base, scope.index(2, loc), loc), scope.index(2 * offset, loc), loc);
  auto read = [&](Value where) { return everywhere(memref::LoadOp::create(builder, loc, table, where)); };
  return {read(at), read(scope.add(at, scope.index(1, loc), loc))};
}

/// Whether factors are lanes of vectors: 128 bits, of which machines with few lanes multiply by one. Broadcast, the factors of
/// radix 8 would take the registers that its points are in.
static bool takesLanes(VectorType type) { return type.getNumElements() * type.getElementTypeBitWidth() == 128; }

Value FourierEmitter::stageTable(int64_t m, int64_t radix) {
  std::vector<Complex> numbers = stageFactors(m, radix);
  if (takesLanes(vectorType()))
    numbers.resize(numbers.size() + lanes); // the last vector may begin with its last number
  return table(("fourier.factors." + Twine(m) + "." + Twine(radix)).str(), numbers);
}

SmallVector<Point> FourierEmitter::stageEntries(Value table, Value p, int64_t radix) {
  Value first = scope.mul(p, scope.index(radix - 1, loc), loc);
  SmallVector<Point> entries;
  if (!takesLanes(vectorType())) {
    for (int64_t k = 1; k < radix; ++k)
      entries.push_back(entry(table, first, k - 1));
    return entries;
  }
  Value at = scope.mul(first, scope.index(2, loc), loc);
  SmallVector<Value> vectors;
  for (int64_t i = 0; i < 2 * (radix - 1); i += lanes)
    vectors.push_back(
        vector::LoadOp::create(builder, loc, vectorType(), table, scope.add(at, scope.index(i, loc), loc)));
  auto number = [&](int64_t i) {
    return everywhere(vector::ExtractOp::create(builder, loc, vectors[i / lanes], i % lanes));
  };
  for (int64_t k = 1; k < radix; ++k)
    entries.push_back({number(2 * k - 2), number(2 * k - 1)});
  return entries;
}

//===----------------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------------===//

SmallVector<FourierEmitter::Stage> FourierEmitter::stagesOf(int64_t length) {
  SmallVector<Stage> stages;
  int64_t n = length, s = 1;
  for (int64_t radix : radicesOf(length, widest)) {
    stages.push_back({radix, n / radix, s});
    n /= radix;
    s *= radix;
  }
  return stages;
}

int FourierEmitter::begin(int64_t length) {
  int64_t points = pointsOf(length, widest);
  bufferPoints = points + skew;
  int passes = int(radicesOf(points, widest).size());
  if (points != length)
    passes = 2 * passes - 1;
  return (passes - 1) % 2;
}

/// body(i, count) for i < size, where `count` is how many of i, i + size, i + 2 size, … are below `limit`.
void FourierEmitter::forParts(int64_t size, int64_t most, int64_t limit, function_ref<void(Value, int64_t)> body) {
  auto range = [&](int64_t begin, int64_t end, int64_t count) {
    if (end - begin == 1)
      body(scope.index(begin, loc), count);
    else if (end > begin)
      emitLoop(scope, loc, scope.index(begin, loc), scope.index(end, loc), [&](Value i) { body(i, count); });
  };
  if (limit >= size * most)
    return range(0, size, most);
  range(0, limit % size, limit / size + 1);
  range(limit % size, size, limit / size);
}

void FourierEmitter::direct(const Stage &stage, int64_t given, int64_t wanted, PointSource source, PointSink sink) {
  auto [radix, m, s] = stage;
  bool isFirst = s == 1, isLast = m == 1;
  Value factors;
  if (!isLast)
    factors = stageTable(m, radix);
  forParts(m, radix, isFirst ? given : m * radix, [&](Value p, int64_t present) {
    SmallVector<Point> powers;
    if (!isLast)
      powers = stageEntries(factors, p, radix);
    Value from = scope.mul(p, scope.index(s, loc), loc), to = scope.mul(p, scope.index(s * radix, loc), loc);
    forParts(s, radix, isLast ? wanted : s * radix, [&](Value q, int64_t kept) {
      SmallVector<Point> points(radix);
      for (int64_t j = 0; j < present; ++j)
        points[j] = source(scope.add(from, q, loc), j * m * s);
      dft(points);
      for (int64_t k = 0; k < kept; ++k)
        sink(scope.add(to, q, loc), k * s, k && !isLast ? times(points[k], powers[k - 1]) : points[k]);
    });
  });
}

/// All of `stages`, the first of which reads from `source`, the last gives to `sink`, and the others write to buffers `buffer`, 1 - `buffer`, …
void FourierEmitter::run(ArrayRef<Stage> stages, int64_t given, int64_t wanted, int buffer, PointSource source,
                         PointSink sink) {
  for (auto [i, stage] : llvm::enumerate(stages)) {
    int to = int((buffer + i) % 2), from = 1 - to;
    auto read = [&](Value base, int64_t offset) { return load(from, base, offset); };
    auto write = [&](Value base, int64_t offset, const Point &point) { store(to, base, offset, point); };
    bool isFirst = i == 0, isLast = i + 1 == stages.size();
    direct(stage, given, wanted, isFirst ? source : PointSource(read), isLast ? sink : PointSink(write));
  }
}

void FourierEmitter::transform(int64_t length, int64_t given, int64_t wanted, PointSource source, PointSink sink) {
  SmallVector<Stage> stages = stagesOf(length);
  if (stages.empty())
    return bluestein(length, given, wanted, source, sink);
  begin(length);
  run(stages, given, wanted, 0, source, sink);
}

/// The last stage forwards has at hand, for each q, just the frequencies the first stage backwards begins with: both and the
/// product between them are one. Backwards is forwards with real and imaginary parts exchanged.
void FourierEmitter::convolve(int64_t length, int64_t given, int64_t wanted, PointSource source, PointSource spectrum,
                              PointSink sink) {
  bufferPoints = length + skew;
  SmallVector<Stage> forwards = stagesOf(length), backwards;
  for (int64_t s = 1; const Stage &stage : llvm::reverse(forwards)) {
    backwards.push_back({stage.radix, length / (s * stage.radix), s});
    s *= stage.radix;
  }
  int passes = int(forwards.size());
  int before = passes % 2, behind = 1 - before;
  auto stored = [&](Value base, int64_t offset) { return load(before, base, offset); };
  auto product = [&](Value base, int64_t offset) { return load(behind, base, offset); };
  auto write = [&](Value base, int64_t offset, const Point &point) { store(before, base, offset, point); };
  auto exchanged = [&](Value base, int64_t offset, const Point &point) { sink(base, offset, point.swapped()); };
  auto keep = [&](Value base, int64_t offset, const Point &point) { store(behind, base, offset, point); };
  if (passes == 1)
    return turn(forwards.back(), given, wanted, source, spectrum, exchanged);
  run(ArrayRef<Stage>(forwards).drop_back(), given, length, 0, source, write);
  turn(forwards.back(), length, length, stored, spectrum, keep);
  run(ArrayRef<Stage>(backwards).drop_front(), length, wanted, before, product, exchanged);
}

/// The last stage forwards, the product, the first stage backwards.
void FourierEmitter::turn(const Stage &last, int64_t given, int64_t wanted, PointSource source, PointSource spectrum,
                          PointSink sink) {
  int64_t radix = last.radix, s = last.s;
  Value factors;
  if (s > 1)
    factors = stageTable(s, radix);
  forParts(s, radix, s * radix, [&](Value q, int64_t) {
    SmallVector<Point> points(radix);
    for (int64_t j = 0; j < radix && j * s < given; ++j)
      points[j] = source(q, j * s);
    dft(points);
    for (int64_t k = 0; k < radix; ++k)
      points[k] = times(points[k], spectrum(q, k * s)).swapped();
    dft(points);
    Value to = scope.mul(q, scope.index(radix, loc), loc);
    SmallVector<Point> powers;
    if (s > 1)
      powers = stageEntries(factors, q, radix);
    for (int64_t k = 0; k < radix && k < wanted; ++k)
      sink(to, k, k && s > 1 ? times(points[k], powers[k - 1]) : points[k]);
  });
}

void FourierEmitter::bluestein(int64_t length, int64_t given, int64_t wanted, PointSource source, PointSink sink) {
  int64_t period = convolutionLength(2 * length - 1);
  std::string name = ("fourier.chirp." + Twine(length)).str();
  Value chirps = table(name, chirp(length, length));
  Value kernel = table((name + "." + Twine(period)).str(), chirpSpectrum(length, period));
  auto turned = [&](Value base, int64_t offset) { return times(source(base, offset), entry(chirps, base, offset)); };
  auto spectrum = [&](Value base, int64_t offset) { return entry(kernel, base, offset); };
  auto turnedBack = [&](Value base, int64_t offset, const Point &point) {
    sink(base, offset, times(point, entry(chirps, base, offset)));
  };
  convolve(period, given, wanted, turned, spectrum, turnedBack);
}

} // namespace tenon
