//===- NativeFourier.cpp - a batch of Fourier transforms on a GPU --------------------===//
//
// A block is some transforms, in its shared memory (FourierBlock.h):
//
//   | innermost in memory          | name    | a block                                                       |
//   |------------------------------|---------|---------------------------------------------------------------|
//   | the transformed dimension    | rows    | one transform, or as many as 2048 points are                  |
//   | a dimension of the batch     | columns | neighbouring ones: 8 to 32, fewer of more than 1024 points    |
//
// Rows whose first stage would read, or last one write, less than whole sectors go through shared memory once more.
// Limits: f32 and narrower, constant lengths, and 8192 points: of a length with a prime above 13, of its convolution.
//
#include "compiler/codegen/nvptx/FourierBlock.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/fft_rpe/FourierSides.h"

using namespace mlir;

namespace tenon {
namespace {

class BlockFFT : FourierSides {
public:
  BlockFFT(DeviceLowering &native, FFTOp op, const FourierBlockPlan &plan, Value shared)
      : FourierSides(native.kernel, op), native(native), plan(plan), builder(native.kernel.builder),
        transforms(native, plan, shared), batch(batchDims(plan.isInterleaved ? columnDim() : std::nullopt)) {}

  void emit() {
    locate();
    transforms.transform(
        from.points, to.points, [&](Value t) { return isThere(t); },
        [&](Value t, Value n) { return entering(load(offsetOf(from, startOf(from, t), n, 0, 0))); },
        [&](Value t, Value n, const Point &point) {
          store(offsetOf(to, startOf(to, t), n, 0, 0), leaving(transforms, point));
        });
  }

private:
  using FourierSides::startOf;

  /// The block's first transform, and how many there are of its kind.
  void locate() {
    Value block = native.function.block;
    Dim size = plan.isInterleaved ? from.shape[*columnDim()] : batchCount(batch);
    count = scope.dim(size, loc);
    if (plan.isInterleaved) {
      Value blocks = scope.dim(size.ceilDiv(Dim(plan.transforms)), loc);
      place = builder.createOrFold<arith::DivUIOp>(loc, block, blocks);
      block = builder.createOrFold<arith::RemUIOp>(loc, block, blocks);
    }
    first = scope.mul(block, index(plan.transforms), loc);
    isWhole = size.constant() && *size.constant() % plan.transforms == 0;
  }

  Value isThere(Value t) {
    if (isWhole || plan.transforms == 1)
      return {};
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, scope.add(first, t, loc), count);
  }

  /// Of transform t of the block, or of the last one there is.
  Value startOf(const FourierSide &side, Value t) {
    Value number = scope.add(first, t, loc);
    if (!isWhole && plan.transforms > 1)
      number = scope.minimum(number, scope.sub(count, index(1), loc), loc);
    if (!plan.isInterleaved)
      return startOf(side, batch, number);
    return scope.add(startOf(side, batch, place), scope.mul(number, side.strides[*columnDim()], loc), loc);
  }

  bool isPair(const FourierSide &side) { return side.partsInside && side.parts == 2; }
  VectorType pairOf(Type element) { return VectorType::get({2}, element); }
  llvm::MaybeAlign pairAlignment(Type element) { return llvm::MaybeAlign(element.getIntOrFloatBitWidth() / 4); }
  Value besides(const FourierSide &side, Value at) { return scope.add(at, side.strides[op.getParts()], loc); }

  Point load(Value at) {
    auto number = [&](Value where) -> Value {
      Value loaded = memref::LoadOp::create(builder, loc, from.memory, where);
      return convertFloat(builder, loc, loaded, transforms.type);
    };
    if (!isPair(from))
      return {number(at), from.parts == 2 ? number(besides(from, at)) : Value()};
    Value loaded = vector::LoadOp::create(builder, loc, pairOf(from.element), from.memory, at, /*nontemporal=*/false,
                                          pairAlignment(from.element));
    Value pair = convertFloat(builder, loc, loaded, transforms.type);
    return {vector::ExtractOp::create(builder, loc, pair, 0), vector::ExtractOp::create(builder, loc, pair, 1)};
  }

  void store(Value at, const Point &point) {
    Value real = point.real ? point.real : transforms.zero();
    Value imaginary = point.imaginary ? point.imaginary : transforms.zero();
    auto put = [&](Value number, Value where) {
      memref::StoreOp::create(builder, loc, convertFloat(builder, loc, number, to.element), to.memory, where);
    };
    if (!isPair(to)) {
      put(real, at);
      if (to.parts == 2)
        put(imaginary, besides(to, at));
      return;
    }
    Value pair =
        vector::FromElementsOp::create(builder, loc, pairOf(builder.getF32Type()), ValueRange{real, imaginary});
    vector::StoreOp::create(builder, loc, convertFloat(builder, loc, pair, to.element), to.memory, at,
                            /*nontemporal=*/false, pairAlignment(to.element));
  }

  DeviceLowering &native;
  const FourierBlockPlan &plan;
  OpBuilder &builder;
  FourierBlock transforms;
  SmallVector<int64_t> batch;
  Value first, count, place;
  bool isWhole = false;
};

constexpr int64_t sectorBytes = 32, staticSharedBytes = 48 * 1024;

/// Bytes from a point of a row to the next one, of the operand or of the result.
int64_t pointBytes(FFTOp op, Value tensor) {
  Shape shape = shapeOf(tensor);
  bool isPair = op.getParts() + 1 == shape.size() && *shape[op.getParts()].constant() == 2;
  return elementOf(tensor).getIntOrFloatBitWidth() / 8 * (isPair ? 2 : 1);
}

/// Whether `points` neighbours of a row are whole sectors, at every row and place.
bool isOfSectors(FFTOp op, Value tensor, int64_t points) {
  int64_t bytes = pointBytes(op, tensor);
  return points * bytes % sectorBytes == 0 && *shapeOf(tensor)[op.getAxis()].constant() * bytes % sectorBytes == 0;
}

std::optional<FourierBlockPlan> planOf(FFTOp op, std::string &reason) {
  Shape from = shapeOf(op.getInput()), to = shapeOf(op.getResult());
  Dim length = op.getLength().getValue();
  if (!length.isConstant() || !from[op.getAxis()].isConstant() || !to[op.getAxis()].isConstant() ||
      elementOf(op.getInput()).isF64()) {
    reason = "wants a transform of a constant length, in f32 or narrower";
    return std::nullopt;
  }
  std::optional<int64_t> column = FourierSides::columnDimOf(op);
  Dim atOnce = column ? from[*column] : FourierSides::batchCountOf(op, FourierSides::batchDimsOf(op));
  auto plan = FourierBlockPlan::create(*length.constant(), column.has_value(), atOnce.constant());
  if (!plan) {
    reason = "a transform of " + std::to_string(*length.constant()) + " points does not fit into shared memory";
    return std::nullopt;
  }
  if (column || plan->transforms == 1)
    return plan;
  SmallVector<int64_t> radices = radicesOf(plan->period, 8);
  bool isConvolution = plan->period != plan->length; // back by the same radices, the last one first
  plan->stagesIn = !isOfSectors(op, op.getInput(), plan->period / radices.front());
  plan->stagesOut = !isOfSectors(op, op.getResult(), plan->period / (isConvolution ? radices.front() : radices.back()));
  return plan;
}

} // namespace

std::optional<DeviceForm> nativeFFT(FFTOp op, std::string &reason) {
  std::optional<FourierBlockPlan> plan = planOf(op, reason);
  if (!plan)
    return std::nullopt;
  std::optional<int64_t> column = FourierSides::columnDimOf(op);
  SmallVector<int64_t> batch = FourierSides::batchDimsOf(op, column);
  Dim transforms(plan->transforms);
  int64_t bytes = 4 * plan->sharedWords();
  DeviceForm form;
  form.name = "fft, " + std::to_string(plan->transforms) + (column ? " columns a block" : " rows a block");
  form.blockThreads = plan->threads();
  form.tiles = FourierSides::batchCountOf(op, batch);
  form.tiles =
      column ? form.tiles * shapeOf(op.getInput())[*column].ceilDiv(transforms) : form.tiles.ceilDiv(transforms);
  form.sharedBytes = bytes > staticSharedBytes ? unsigned(bytes) : 0;
  form.emit = [op, plan = *plan, isLaunched = form.sharedBytes > 0](DeviceLowering &native) {
    KernelLowering &lowering = native.kernel;
    Type f32 = lowering.builder.getF32Type();
    Value shared = isLaunched ? native.function.launchedShared(lowering.builder, lowering.loc, f32)
                              : native.function.shared(lowering.builder, lowering.loc, f32, plan.sharedWords());
    BlockFFT(native, op, plan, shared).emit();
    return success();
  };
  return form;
}

} // namespace tenon
