//===- NativeCirculant.cpp - circular convolutions on a GPU --------------------------===//
//
// A block is some neighbouring columns of one batch and head, each a complex transform in its shared memory (FourierBlock.h): of a
// kernel that all channels share, two channels, one as real parts and one as imaginary parts (the kernel is real, so
// what it does to one part it does to the other); of kernels of their own, one channel. Transformed, multiplied with the
// spectrum and transformed back without leaving the block:
//
//   for each feature r (one, where there are none)
//     X = fft(k[j, r] x[j, c]);  Y = S X;  y[i, c] += q[i, r] fft⁻¹(Y)
//
// y's sums stand in the result, which the thread that writes an element also reads. Heads whose kernels are beyond
// KernelRange.h are summed directly, a thread an element.
//
// Limits: f32 in memory, constant sizes, periods up to 8192 points, no blocks.
//
#include "compiler/codegen/nvptx/FourierBlock.h"
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/fft_rpe/KernelRange.h"

using namespace mlir;

namespace tenon {
namespace {

/// What is known of a convolution before anything is emitted.
struct CirculantPlan {
  CirculantOp op;
  FourierBlockPlan transforms;
  int64_t given, wanted, period, channels, features; ///< No features: 0.
  bool isPerChannel;

  /// Transforms of a batch and head.
  static int64_t columnsOf(int64_t channels, bool isPerChannel) { return isPerChannel ? channels : (channels + 1) / 2; }
  int64_t columns() const { return columnsOf(channels, isPerChannel); }
  int64_t groups() const { return (columns() + transforms.transforms - 1) / transforms.transforms; }
  int64_t channelsOfColumn() const { return isPerChannel ? 1 : 2; }
};

class CirculantBlock {
public:
  CirculantBlock(DeviceLowering &native, const CirculantPlan &plan, Value shared)
      : native(native), plan(plan), op(plan.op), transforms(native, plan.transforms, shared),
        input(memoryOf(op.getInput())), spectrum(memoryOf(op.getSpectrum())), result(lowering.resultMemory()) {
    if (op.getKernel())
      kernel = memoryOf(op.getKernel());
    if (plan.features) {
      query = memoryOf(op.getFeatures()[0]);
      key = memoryOf(op.getFeatures()[1]);
    }
  }

  void emit() {
    Value number = index.div(native.function.block, plan.groups());
    firstColumn = index.mul(index.rem(native.function.block, plan.groups()), plan.transforms.transforms);
    place = number;
    head = index.rem(number, scope.dim(shapeOf(op.getInput())[1], loc));
    if (!kernel)
      return transform();
    emitIf(scope, loc, isEven(), [&] { transform(); }, [&] { sum(); });
  }

private:
  Value memoryOf(Value tensor) { return lowering.memoryOf(tensor); }
  Value load(Value memory, Value at) { return memref::LoadOp::create(builder, loc, memory, at); }
  Value number(double real) { return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(float(real))); }
  Value isBelow(Value a, int64_t b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, index.constant(b));
  }

  //===--------------------------------------------------------------------------===//
  // Columns
  //===--------------------------------------------------------------------------===//

  /// Column t of the block, or the last one there is; null: every block has all of its columns.
  Value columnOf(Value t) {
    return index.min(index.add(firstColumn, t), index.constant(plan.columns() - 1));
  }
  Value isThere(Value t) {
    if (plan.columns() % plan.transforms.transforms == 0)
      return {};
    return isBelow(index.add(firstColumn, t), plan.columns());
  }
  Value channelOf(Value t) { return index.mul(columnOf(t), plan.channelsOfColumn()); }

  /// Channel `channel` of row n, of `rows` of this batch and head.
  Value elementAt(int64_t rows, Value n, Value channel) {
    return index.add(index.mul(index.add(index.mul(place, rows), n), plan.channels), channel);
  }

  /// Pairs of channels begin at multiples of a pair where rows have an even number of them.
  bool isPaired() const { return !plan.isPerChannel && plan.channels % 2 == 0; }
  Value second(Value channel) { return index.min(index.add(channel, 1), index.constant(plan.channels - 1)); }

  Point loadColumn(Value memory, int64_t rows, Value n, Value channel) {
    Value at = elementAt(rows, n, channel);
    if (isPaired()) {
      auto type = VectorType::get({2}, builder.getF32Type());
      Value pair = vector::LoadOp::create(builder, loc, type, memory, at, /*nontemporal=*/false, llvm::MaybeAlign(8));
      return {vector::ExtractOp::create(builder, loc, pair, 0), vector::ExtractOp::create(builder, loc, pair, 1)};
    }
    // Of an odd last one the imaginary part is itself once more, and not stored.
    return {load(memory, at), plan.isPerChannel ? Value() : load(memory, elementAt(rows, n, second(channel)))};
  }

  void storeColumn(Value n, Value channel, const Point &point) {
    Value at = elementAt(plan.wanted, n, channel);
    Value real = point.real ? point.real : transforms.zero();
    Value imaginary = point.imaginary ? point.imaginary : transforms.zero();
    if (isPaired()) {
      auto type = VectorType::get({2}, builder.getF32Type());
      Value pair = vector::FromElementsOp::create(builder, loc, type, ValueRange{real, imaginary});
      vector::StoreOp::create(builder, loc, pair, result, at, /*nontemporal=*/false, llvm::MaybeAlign(8));
      return;
    }
    memref::StoreOp::create(builder, loc, real, result, at);
    if (!plan.isPerChannel)
      emitIf(scope, loc, isBelow(index.add(channel, 1), plan.channels),
             [&] { memref::StoreOp::create(builder, loc, imaginary, result, index.add(at, 1)); });
  }

  /// Frequency k, divided by the period.
  Point frequency(Value t, Value k) {
    auto part = [&](int64_t part) {
      Value at = index.add(index.mul(head, 2 * plan.period), index.add(k, part * plan.period));
      if (plan.isPerChannel)
        at = index.add(index.mul(at, plan.channels), channelOf(t));
      return transforms.scaled(load(spectrum, at), 1.0 / double(plan.period));
    };
    return {part(0), part(1)};
  }

  /// Feature r of row n of a tensor of `rows` of them.
  Value feature(Value memory, int64_t rows, Value n, Value r) {
    return load(memory, index.add(index.mul(index.add(index.mul(place, rows), n), plan.features), r));
  }

  //===--------------------------------------------------------------------------===//
  // By transforms
  //===--------------------------------------------------------------------------===//

  void transform() {
    auto spectrumOf = [&](Value t, Value k) { return frequency(t, k); };
    auto isPresent = [&](Value t) { return isThere(t); };
    if (!plan.features)
      return transforms.convolve(
          plan.given, plan.wanted, isPresent,
          [&](Value t, Value n) { return loadColumn(input, plan.given, n, channelOf(t)); }, spectrumOf,
          [&](Value t, Value n, const Point &point) { storeColumn(n, channelOf(t), point); });
    emitCarryingLoop(scope, loc, index.constant(0), index.constant(plan.features), 1, {}, [&](Value r, ValueRange) {
      transforms.convolve(
          plan.given, plan.wanted, isPresent,
          [&](Value t, Value n) {
            Point row = loadColumn(input, plan.given, n, channelOf(t));
            return transforms.times(row, Point{feature(key, plan.given, n, r), Value()});
          },
          spectrumOf, [&](Value t, Value n, const Point &point) { addColumn(r, n, channelOf(t), point); });
      native.function.barrier(builder, loc);
      return SmallVector<Value>();
    });
  }

  /// y += q[n, r] of what feature r gives; the first one finds nothing.
  void addColumn(Value r, Value n, Value channel, const Point &point) {
    Value factor = feature(query, plan.wanted, n, r), isFirst = index.equal(r, index.constant(0));
    Point sum = loadColumn(result, plan.wanted, n, channel);
    auto added = [&](Value to, Value value) -> Value {
      if (!to || !value)
        return {};
      Value before = arith::SelectOp::create(builder, loc, isFirst, number(0), to);
      return math::FmaOp::create(builder, loc, factor, value, before);
    };
    storeColumn(n, channel, {added(sum.real, point.real), added(sum.imaginary, point.imaginary)});
  }

  //===--------------------------------------------------------------------------===//
  // Directly
  //===--------------------------------------------------------------------------===//

  /// g[n] of this head, and of `channel` where each has its own.
  Value kernelAt(Value n, Value channel) {
    Value at = index.add(index.mul(head, plan.period), n);
    return load(kernel, plan.isPerChannel ? index.add(index.mul(at, plan.channels), channel) : at);
  }
  Value sizeAt(Value n, Value channel) { return math::AbsFOp::create(builder, loc, kernelAt(n, channel)); }

  /// What no |g[n]| of the column may exceed. A NaN among the first stays one.
  Value mostOf(Value channel) {
    int64_t first = plan.isPerChannel ? std::min(firstOfChannelKernel, plan.period) : 1;
    Value largest = sizeAt(index.constant(0), channel);
    for (int64_t n = 1; n < first; ++n)
      largest = arith::MaximumFOp::create(builder, loc, largest, sizeAt(index.constant(n), channel));
    return arith::MulFOp::create(builder, loc, largest, number(kernelRange));
  }

  /// Of all of the block's columns, in every thread.
  Value isEven() {
    int64_t kernels = plan.isPerChannel ? plan.transforms.transforms : 1;
    Value limits = native.function.shared(builder, loc, builder.getF32Type(), kernels);
    emitIf(scope, loc, isBelow(native.function.thread, kernels), [&] {
      memref::StoreOp::create(builder, loc, mostOf(channelOf(native.function.thread)), limits, native.function.thread);
    });
    native.function.barrier(builder, loc);
    ThreadGroup block(native, ThreadGroup::Block);
    Type i32 = builder.getI32Type();
    Value odd = block.reduce(index.constant(plan.period * kernels), ReduceKind::Max, i32, [&](Value j) -> Value {
      Value t = index.rem(j, kernels), size = sizeAt(index.div(j, kernels), channelOf(t));
      Value isOdd = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UGT, size, load(limits, t));
      return arith::ExtUIOp::create(builder, loc, i32, isOdd);
    });
    Value none = arith::ConstantIntOp::create(builder, loc, i32, 0);
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, odd, none);
  }

  /// A thread an element of the block's columns.
  void sum() {
    int64_t width = plan.transforms.transforms * plan.channelsOfColumn();
    Value firstChannel = index.mul(firstColumn, plan.channelsOfColumn());
    auto loop = [&](int64_t count, Value start, function_ref<Value(Value, Value)> body) {
      return emitCarryingLoop(scope, loc, index.constant(0), index.constant(count), 1, start,
                              [&](Value i, ValueRange sum) { return SmallVector<Value>{body(i, sum.front())}; })
          .front();
    };
    Value elements = index.constant(plan.wanted * width);
    emitCarryingLoop(
        scope, loc, native.function.thread, elements, plan.transforms.threads(), {}, [&](Value e, ValueRange) {
          Value channel = index.add(firstChannel, index.rem(e, width)), i = index.div(e, width);
          emitIf(scope, loc, isBelow(channel, plan.channels), [&] {
            Value total = loop(plan.given, number(0), [&](Value j, Value carried) -> Value {
              Value distance = index.rem(index.sub(index.add(i, plan.period), j), plan.period);
              Value weight = kernelAt(distance, channel);
              if (plan.features) {
                Value product = loop(plan.features, number(0), [&](Value r, Value sum) -> Value {
                  return math::FmaOp::create(builder, loc, feature(query, plan.wanted, i, r),
                                             feature(key, plan.given, j, r), sum);
                });
                weight = arith::MulFOp::create(builder, loc, weight, product);
              }
              return math::FmaOp::create(builder, loc, weight, load(input, elementAt(plan.given, j, channel)), carried);
            });
            memref::StoreOp::create(builder, loc, total, result, elementAt(plan.wanted, i, channel));
          });
          return SmallVector<Value>();
        });
  }

  DeviceLowering &native;
  const CirculantPlan &plan;
  CirculantOp op;
  KernelLowering &lowering = native.kernel;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  IndexMath index{builder, loc};
  FourierBlock transforms;
  Value input, spectrum, result, kernel, query, key;
  Value place, head, firstColumn; ///< Batch and head; of those the head.
};

std::optional<CirculantPlan> planOf(CirculantOp op, std::string &reason) {
  Shape from = shapeOf(op.getInput()), to = shapeOf(op.getResult()), spectrum = shapeOf(op.getSpectrum());
  bool hasFeatures = !op.getFeatures().empty();
  Dim features = hasFeatures ? shapeOf(op.getFeatures()[0])[3] : Dim(0);
  bool areConstant = llvm::all_of(ArrayRef<Dim>{from[2], from[3], to[2], spectrum[2], features},
                                  [](const Dim &dim) { return dim.isConstant(); });
  if (!areConstant || op.getBlock() || !llvm::all_of(op->getOperands(), llvm::IsaPred<BlockArgument>)) {
    reason = "a circular convolution wants constant sizes, operands in memory and no blocks";
    return std::nullopt;
  }
  int64_t period = *spectrum[2].constant(), channels = *from[3].constant();
  bool isPerChannel = op.isPerChannel();
  auto transforms =
      FourierBlockPlan::create(period, /*isInterleaved=*/true, CirculantPlan::columnsOf(channels, isPerChannel));
  if (!transforms || radicesOf(period, 8).empty() || !elementOf(op.getInput()).isF32()) {
    reason = "a circular convolution of " + std::to_string(period) + " points does not fit into shared memory";
    return std::nullopt;
  }
  return CirculantPlan{op, *transforms, *from[2].constant(), *to[2].constant(), period, channels, *features.constant(),
                       isPerChannel};
}

/// Shared memory a block has without asking for more, and what isEven needs of it.
constexpr int64_t staticSharedBytes = 47 * 1024;

} // namespace

std::optional<DeviceForm> nativeCirculant(CirculantOp op, std::string &reason) {
  std::optional<CirculantPlan> plan = planOf(op, reason);
  if (!plan)
    return std::nullopt;
  int64_t bytes = 4 * plan->transforms.sharedWords();
  DeviceForm form;
  form.name = "circulant, " + std::to_string(plan->transforms.transforms) + " columns a block";
  form.blockThreads = plan->transforms.threads();
  form.tiles = shapeOf(op.getInput())[0] * shapeOf(op.getInput())[1] * Dim(plan->groups());
  form.sharedBytes = bytes > staticSharedBytes ? unsigned(bytes) : 0;
  form.emit = [plan = *plan, isLaunched = form.sharedBytes > 0](DeviceLowering &native) {
    KernelLowering &lowering = native.kernel;
    Type f32 = lowering.builder.getF32Type();
    Value shared = isLaunched
                       ? native.function.launchedShared(lowering.builder, lowering.loc, f32)
                       : native.function.shared(lowering.builder, lowering.loc, f32, plan.transforms.sharedWords());
    CirculantBlock(native, plan, shared).emit();
    return success();
  };
  return form;
}

} // namespace tenon
