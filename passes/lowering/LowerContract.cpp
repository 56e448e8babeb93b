//===- LowerContract.cpp - contractions ------------------------------------------------===//
//
// Against a weight in panels: PanelProduct.h; rows that each pick one of several matrices: GroupedProduct.h. Filters
// times windows: LowerWindow.h. Two activations, accumulated in f32: ActivationProduct.h. Any other contraction: a loop
// nest with the lanes along the result's last index, plain and right for every specification and type.
//
#include "dialects/tenon/ContractSpec.h"
#include "passes/lowering/ActivationProduct.h"
#include "passes/lowering/GroupedProduct.h"
#include "passes/lowering/LowerWindow.h"
#include "passes/lowering/PanelProduct.h"

using namespace mlir;

namespace tenon {
namespace {

//===----------------------------------------------------------------------------===//
// Any specification
//===----------------------------------------------------------------------------===//

struct PlainLowering {
  PlainLowering(KernelLowering &lowering, ContractOp op) : lowering(lowering), op(op) {}

  KernelLowering &lowering;
  ContractOp op;
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  std::string error;
  ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
  Type element = elementOf(op.getLhs()), accumulator = op.getAccumulateType();

  using Point = llvm::StringMap<LaneValue>;

  SmallVector<LaneValue> indicesOf(ArrayRef<StringRef> names, const Point &point) {
    return llvm::map_to_vector(names, [&](StringRef name) { return point.lookup(name); });
  }

  Value widened(RegionEmitter &emitter, LaneValue value) {
    Value lanes = emitter.materialise(value);
    if (element == accumulator)
      return lanes;
    Type type = emitter.getLanes() == 1 ? accumulator : Type(cast<VectorType>(lanes.getType()).clone(accumulator));
    return isa<FloatType>(element) ? Value(arith::ExtFOp::create(builder, loc, type, lanes))
                                   : Value(arith::ExtSIOp::create(builder, loc, type, lanes));
  }

  Value multiplyAdd(Value a, Value b, Value sum) {
    if (!isa<FloatType>(accumulator))
      return arith::AddIOp::create(builder, loc, sum, arith::MulIOp::create(builder, loc, a, b));
    auto contract = arith::FastMathFlags::contract;
    Value product = arith::MulFOp::create(builder, loc, a, b, contract);
    return arith::AddFOp::create(builder, loc, sum, product, contract);
  }

  LaneValue narrowed(RegionEmitter &emitter, Value sum) {
    Type to = elementOf(op.getResult());
    if (to != accumulator) {
      Type type = emitter.getLanes() == 1 ? to : Type(cast<VectorType>(sum.getType()).clone(to));
      sum = isa<FloatType>(to) ? Value(arith::TruncFOp::create(builder, loc, type, sum))
                               : Value(arith::TruncIOp::create(builder, loc, type, sum));
    }
    return emitter.getLanes() == 1 ? LaneValue::uniform(sum, true) : LaneValue::varying(sum);
  }

  Dim sizeOf(StringRef index) {
    int position = positionOf(index, spec.lhs);
    return position >= 0 ? shapeOf(op.getLhs())[position] : shapeOf(op.getRhs())[positionOf(index, spec.rhs)];
  }

  Value sumAt(RegionEmitter &emitter, Point point) {
    SmallVector<StringRef> summed(spec.summed());
    llvm::append_range(summed, spec.lone());
    auto sizes = llvm::map_to_vector(summed, [&](StringRef index) { return scope.dim(sizeOf(index), loc); });
    Value zero = identityOf(builder, loc, ReduceKind::Sum, accumulator);
    Value start = emitter.materialise(LaneValue::uniform(zero));
    return emitLoopNest(scope, loc, sizes, start, [&](ArrayRef<Value> at, Value sum) {
      for (auto [index, value] : llvm::zip(summed, at))
        point[index] = LaneValue::uniform(value);
      Value a = widened(emitter, lowering.reader(op.getLhs(), emitter)(indicesOf(spec.lhs, point)));
      Value b = widened(emitter, lowering.reader(op.getRhs(), emitter)(indicesOf(spec.rhs, point)));
      return multiplyAdd(a, b, sum);
    });
  }

  KernelGrid lower() {
    Shape shape = shapeOf(op.getResult());
    bool isScalar = shape.empty();
    if (isScalar)
      shape.push_back(Dim(1));
    ArrayRef<Dim> outer = ArrayRef<Dim>(shape).drop_back();
    Value length = scope.dim(shape.back(), loc);
    lowering.forEachRow(countOf(outer), 1, [&](Value row) {
      SmallVector<LaneValue> indices = lowering.delinearise(row, outer);
      Value start = scope.mul(row, length, loc);
      emitLaneLoop(scope, loc, length, lowering.lanesOf(accumulator), [&](RegionEmitter &emitter, const LaneValue &j) {
        SmallVector<LaneValue> at(indices);
        if (!isScalar)
          at.push_back(j);
        Point point;
        for (auto [index, value] : llvm::zip(spec.result, at))
          point[index] = value;
        LaneValue element = narrowed(emitter, sumAt(emitter, point));
        lowering.finish(emitter, at, scope.add(start, j.value, loc), element);
      });
    });
    return {countOf(outer), Dim(0)};
  }
};
} // namespace

KernelGrid lowerContract(KernelLowering &lowering, ContractOp contract) {
  if (std::optional<WindowProduct> windows = WindowProduct::match(contract))
    return windows->kind != WindowProduct::Depthwise ? lowerWindowProduct(lowering, *windows)
           : windows->isAlongChannels()              ? lowerDepthwiseChannels(lowering, *windows)
                                                     : lowerDepthwise(lowering, *windows);
  if (contract.getPanels())
    return lowerPanelProduct(lowering, contract);
  if (std::optional<GroupedProduct> grouped = GroupedProduct::match(contract))
    return lowerGroupedProduct(lowering, *grouped);
  bool isLast = lowering.returned() == contract.getResult();
  if (lowering.memoryOf(contract.getLhs()) && lowering.memoryOf(contract.getRhs()))
    if (std::optional<ActivationProduct> product = ActivationProduct::match(contract, /*mayJoinColumns=*/isLast))
      return lowerActivationProduct(lowering, *product);
  return PlainLowering(lowering, contract).lower();
}

} // namespace tenon
