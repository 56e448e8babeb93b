//===- FourierBlock.cpp - Fourier transforms by one block of threads -----------------===//
#include "compiler/codegen/nvptx/FourierBlock.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tenon {

/// The widest power of two that is a radix: eight points are sixteen registers.
static constexpr int64_t widest = 8;

//===----------------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------------===//

std::optional<FourierBlockPlan> FourierBlockPlan::create(int64_t length, bool isInterleaved,
                                                         std::optional<int64_t> atOnce) {
  FourierBlockPlan plan{length, length, 1, isInterleaved};
  if (radicesOf(length, widest).empty())
    plan.period = convolutionLength(2 * length - 1);
  if (plan.period > mostPoints)
    return std::nullopt;
  plan.transforms = std::max<int64_t>(usualPoints / plan.period, 1);
  if (isInterleaved) // eight neighbours of 4 bytes are a sector
    plan.transforms = std::clamp<int64_t>(plan.transforms, std::min<int64_t>(8, mostPoints / plan.period), warpThreads);
  if (atOnce)
    plan.transforms = std::clamp<int64_t>(plan.transforms, 1, std::max<int64_t>(*atOnce, 1));
  return plan;
}

unsigned FourierBlockPlan::threads() const {
  int64_t warps = (points() / pointsOfThread + warpThreads - 1) / warpThreads;
  return warpThreads * unsigned(std::clamp<int64_t>(warps, 4, 16));
}

FourierBlock::FourierBlock(DeviceLowering &native, const FourierBlockPlan &plan, Value shared)
    : Butterflies(native.kernel.builder, native.kernel.loc, native.kernel.builder.getF32Type()), native(native),
      lowering(native.kernel), plan(plan), shared(shared), index{native.kernel.builder, native.kernel.loc},
      inner(plan.isInterleaved ? plan.transforms : 1), outer(plan.isInterleaved ? 1 : plan.transforms) {}

SmallVector<FourierBlock::Stage> FourierBlock::stagesOf(ArrayRef<int64_t> radices) const {
  SmallVector<Stage> stages;
  int64_t n = plan.period, s = inner;
  for (int64_t radix : radices) {
    stages.push_back({radix, n / radix, s});
    n /= radix;
    s *= radix;
  }
  return stages;
}

//===----------------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------------===//

Value FourierBlock::place(Value t, Value n) {
  return inner > 1 ? index.add(index.mul(n, inner), t) : index.add(index.mul(t, plan.period), n);
}

Value FourierBlock::swizzled(Value at) {
  auto bits = [&](int64_t shift, int64_t mask) -> Value {
    Value shifted = builder.createOrFold<arith::ShRUIOp>(loc, at, index.constant(shift));
    return builder.createOrFold<arith::AndIOp>(loc, shifted, index.constant(mask));
  };
  Value change = builder.createOrFold<arith::OrIOp>(loc, bits(5, 7), bits(3, 24));
  return builder.createOrFold<arith::XOrIOp>(loc, at, change);
}

Point FourierBlock::load(Value at) {
  Value next = index.add(at, plan.plane());
  return {memref::LoadOp::create(builder, loc, shared, at), memref::LoadOp::create(builder, loc, shared, next)};
}

void FourierBlock::store(Value at, const Point &point) {
  Value next = index.add(at, plan.plane());
  memref::StoreOp::create(builder, loc, point.real ? point.real : zero(), shared, at);
  memref::StoreOp::create(builder, loc, point.imaginary ? point.imaginary : zero(), shared, next);
}

void FourierBlock::barrier() {
  native.function.barrier(builder, loc);
  isRead = false;
}

void FourierBlock::forEachPoint(int64_t count, function_ref<void(Value t, Value n)> body) {
  Value end = index.constant(plan.transforms * count);
  emitCarryingLoop(lowering.scope, loc, native.function.thread, end, plan.threads(), {}, [&](Value i, ValueRange) {
    body(index.div(i, count), index.rem(i, count));
    return SmallVector<Value>();
  });
}

Value FourierBlock::isBelow(Value at, int64_t limit) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, index.constant(limit));
}

void FourierBlock::guarded(Value condition, function_ref<void()> body) {
  if (condition)
    emitIf(lowering.scope, lowering.loc, condition, body);
  else
    body();
}

Point FourierBlock::entry(Value table, Value number) {
  auto type = VectorType::get({2}, builder.getF32Type());
  Value pair = vector::LoadOp::create(builder, loc, type, table, index.mul(number, 2), /*nontemporal=*/false,
                                      llvm::MaybeAlign(8));
  return {vector::ExtractOp::create(builder, loc, pair, 0), vector::ExtractOp::create(builder, loc, pair, 1)};
}

//===----------------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------------===//

/// This thread's: those beyond the last are the last again, and are not written.
FourierBlock::Threads FourierBlock::butterfliesOf(const Stage &stage) {
  Threads butterflies;
  int64_t each = stage.m * stage.s, count = outer * each, threads = plan.threads();
  for (int64_t first = 0; first < count; first += threads) {
    Butterfly &butterfly = butterflies.emplace_back();
    Value number = index.add(native.function.thread, first);
    if (first + threads > count) {
      butterfly.exists = isBelow(number, count);
      number = index.min(number, index.constant(count - 1));
    }
    Value within = index.rem(number, each);
    butterfly.outer = index.div(number, each);
    butterfly.p = index.div(within, stage.s);
    butterfly.q = index.rem(within, stage.s);
    butterfly.points.resize(stage.radix);
  }
  return butterflies;
}

/// The first stage's points; those that are not given are zero.
FourierBlock::Threads FourierBlock::read(const Stage &first, int64_t given, Source source) {
  Threads butterflies = butterfliesOf(first);
  for (Butterfly &butterfly : butterflies)
    for (int64_t j = 0; j < first.radix && j * first.m < given; ++j) {
      Value n = index.add(butterfly.p, j * first.m);
      Point &point = butterfly.points[j];
      if ((j + 1) * first.m <= given) {
        point = source(transformOf(butterfly), n);
        continue;
      }
      Value isGiven = isBelow(n, given);
      point = source(transformOf(butterfly), index.min(n, index.constant(given - 1)));
      for (Value *part : {&point.real, &point.imaginary})
        if (*part)
          *part = arith::SelectOp::create(builder, loc, isGiven, *part, zero());
    }
  return butterflies;
}

/// Σ_j, and factors: their table has those of one k side by side, as threads read them.
void FourierBlock::multiply(const Stage &stage, Threads &butterflies) {
  Value factors;
  if (stage.m > 1) {
    std::vector<Complex> numbers = stageFactors(stage.m, stage.radix), turned;
    for (int64_t k = 1; k < stage.radix; ++k)
      for (int64_t p = 0; p < stage.m; ++p)
        turned.push_back(numbers[p * (stage.radix - 1) + k - 1]);
    std::string name = ("fourier.turned." + Twine(stage.m) + "." + Twine(stage.radix)).str();
    factors = complexTable(lowering, builder.getF32Type(), name, turned);
  }
  for (Butterfly &butterfly : butterflies) {
    dft(butterfly.points);
    for (int64_t k = 1; factors && k < stage.radix; ++k)
      butterfly.points[k] = times(butterfly.points[k], entry(factors, index.add(butterfly.p, (k - 1) * stage.m)));
  }
}

FourierBlock::Threads FourierBlock::exchange(const Stage &from, const Stage &to, const Threads &butterflies) {
  auto at = [&](Value place) { return from.s < warpThreads ? swizzled(place) : place; };
  if (isRead)
    barrier();
  for (const Butterfly &butterfly : butterflies)
    guarded(butterfly.exists, [&] {
      Value first = index.add(startOf(butterfly), index.add(butterfly.q, index.mul(butterfly.p, from.s * from.radix)));
      for (auto [k, point] : llvm::enumerate(butterfly.points))
        store(at(index.add(first, int64_t(k) * from.s)), point);
    });
  barrier();
  Threads next = butterfliesOf(to);
  for (Butterfly &butterfly : next) {
    Value first = index.add(startOf(butterfly), index.add(butterfly.q, index.mul(butterfly.p, to.s)));
    for (auto [j, point] : llvm::enumerate(butterfly.points))
      point = load(at(index.add(first, int64_t(j) * to.m * to.s)));
  }
  isRead = true;
  return next;
}

FourierBlock::Threads FourierBlock::runTo(ArrayRef<Stage> stages, Threads butterflies) {
  for (size_t i = 0; i + 1 < stages.size(); ++i) {
    multiply(stages[i], butterflies);
    butterflies = exchange(stages[i], stages[i + 1], butterflies);
  }
  return butterflies;
}

void FourierBlock::write(const Stage &last, int64_t wanted, Presence isPresent, Sink sink, const Threads &butterflies) {
  int64_t apart = last.s / inner;
  if (plan.stagesOut && isRead)
    barrier();
  for (const Butterfly &butterfly : butterflies) {
    Value t = transformOf(butterfly), condition = isPresent(t);
    if (butterfly.exists)
      condition =
          condition ? Value(arith::AndIOp::create(builder, loc, condition, butterfly.exists)) : butterfly.exists;
    guarded(condition, [&] {
      for (int64_t k = 0; k < last.radix && k * apart < wanted; ++k) {
        Value n = index.add(index.div(butterfly.q, inner), k * apart);
        guarded((k + 1) * apart <= wanted ? Value() : isBelow(n, wanted), [&] { sink(t, n, butterfly.points[k]); });
      }
    });
  }
}

//===----------------------------------------------------------------------------===//
// Transforms
//===----------------------------------------------------------------------------===//

/// Of the last stage forwards to the first one's points backwards, which are the same: times the spectrum, parts exchanged.
void FourierBlock::turn(const Stage &last, Spectrum spectrum, Threads &butterflies) {
  int64_t apart = last.s / inner;
  multiply(last, butterflies);
  for (Butterfly &butterfly : butterflies) {
    Value t = transformOf(butterfly);
    butterfly.p = index.div(butterfly.q, inner);
    butterfly.q = index.rem(butterfly.q, inner);
    for (auto [k, point] : llvm::enumerate(butterfly.points))
      point = times(point, spectrum(t, index.add(butterfly.p, int64_t(k) * apart))).swapped();
  }
}

void FourierBlock::convolve(int64_t given, int64_t wanted, Presence isPresent, Source source,
                            Spectrum spectrum, Sink sink) {
  SmallVector<int64_t> radices = radicesOf(plan.period, widest);
  SmallVector<Stage> forwards = stagesOf(radices), backwards = stagesOf(llvm::to_vector(llvm::reverse(radices)));
  Threads butterflies = runTo(forwards, read(forwards.front(), given, source));
  turn(forwards.back(), spectrum, butterflies);
  butterflies = runTo(backwards, std::move(butterflies));
  multiply(backwards.back(), butterflies);
  write(backwards.back(), wanted, isPresent,
        [&](Value t, Value n, const Point &point) { sink(t, n, point.swapped()); }, butterflies);
}

void FourierBlock::run(int64_t given, int64_t wanted, Presence isPresent, Source source, Sink sink) {
  if (plan.period == plan.length) {
    SmallVector<Stage> stages = stagesOf(radicesOf(plan.length, widest));
    Threads butterflies = runTo(stages, read(stages.front(), given, source));
    multiply(stages.back(), butterflies);
    return write(stages.back(), wanted, isPresent, sink, butterflies);
  }
  FloatType f32 = builder.getF32Type();
  std::string name = ("fourier.chirp." + Twine(plan.length)).str();
  Value chirps = complexTable(lowering, f32, name, chirp(plan.length, plan.length));
  Value spectrum =
      complexTable(lowering, f32, name + "." + std::to_string(plan.period), chirpSpectrum(plan.length, plan.period));
  convolve(given, wanted, isPresent, [&](Value t, Value n) { return times(source(t, n), entry(chirps, n)); },
           [&](Value, Value k) { return entry(spectrum, k); },
           [&](Value t, Value n, const Point &point) { sink(t, n, times(point, entry(chirps, n))); });
}

void FourierBlock::transform(int64_t given, int64_t wanted, Presence isPresent, Source source, Sink sink) {
  auto fromShared = [&](Value t, Value n) { return load(place(t, n)); };
  auto toShared = [&](Value t, Value n, const Point &point) { store(place(t, n), point); };
  if (plan.stagesIn) {
    forEachPoint(given, [&](Value t, Value n) { toShared(t, n, source(t, n)); });
    barrier();
    isRead = true;
  }
  run(given, wanted, isPresent, plan.stagesIn ? Source(fromShared) : source, plan.stagesOut ? Sink(toShared) : sink);
  if (!plan.stagesOut)
    return;
  barrier();
  forEachPoint(wanted, [&](Value t, Value n) {
    guarded(isPresent(t), [&] { sink(t, n, fromShared(t, n)); });
  });
}

} // namespace tenon
