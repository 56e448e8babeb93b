//===- SplitAttention.cpp - attention as states that are merged and divided -------------===//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/attention/KeyParts.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_SPLITATTENTION
#include "passes/Passes.h.inc"

namespace {

/// The region, its keys numbered from zero where the attention numbers them from `first` on.
void cloneFrom(Region &region, Region &into, const Dim &first) {
  IRMapping mapping;
  region.cloneInto(&into, mapping);
  if (into.empty() || first == Dim(0))
    return;
  Block &block = into.front();
  unsigned numbered = llvm::count_if(block.getArgumentTypes(), [](Type type) { return !isa<TensorType>(type); });
  Value key = block.getArgument(numbered - 1);
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  Location loc = key.getLoc();
  Value start = SizeOp::create(builder, loc, builder.getIndexType(), DimAttr::get(builder.getContext(), first));
  Operation *sum = arith::AddIOp::create(builder, loc, key, start);
  key.replaceAllUsesExcept(sum->getResult(0), sum);
}

/// One source's state.
Value update(OpBuilder &builder, AttentionOp op, unsigned source, const KeyParts &keyParts) {
  unsigned sources = op.getKeys().size();
  SmallVector<StringRef> layouts{op.getLayout(0), op.getLayout(1 + source), op.getLayout(1 + sources + source)};
  Value key = op.getKeys()[source], value = op.getValues()[source];
  AttentionOp::Sizes sizes = op.getSizes();
  Dim keys = op.getKeysOf(source);
  std::optional<int64_t> constant = keys.constant();
  int64_t ofPart = keyParts.keysOfPart(op, source);
  bool isSplit = !constant || *constant > ofPart;
  Dim parts = isSplit ? keys.ceilDiv(Dim(ofPart)) : Dim(1);
  Shape shape{parts, sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth + Dim(2)};
  auto state = AttentionUpdateOp::create(builder, op.getLoc(), tensorOf(op.getScoreType(), shape), op.getQuery(), key,
                                         value, op.getCaptures(), op.getNormaliser(),
                                         builder.getStrArrayAttr(layouts),
                                         isSplit ? builder.getI64IntegerAttr(ofPart) : IntegerAttr());
  Dim first(0);
  for (unsigned before = 0; before < source; ++before)
    first += op.getKeysOf(before);
  cloneFrom(op.getScore(), state.getScore(), first);
  cloneFrom(op.getKeep(), state.getKeep(), first);
  return state;
}

/// Without any key an attention is zero whatever its rule for empty rows; a state cannot tell why it is empty.
Value zeroWithoutKeys(OpBuilder &builder, AttentionOp op, Value result) {
  Dim keys = op.getAllKeys();
  if (keys.constant())
    return result;
  return MapOp::create(builder, op.getLoc(), cast<RankedTensorType>(result.getType()), result,
                       [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) -> Value {
                         Value count = SizeOp::create(b, loc, b.getIndexType(), DimAttr::get(b.getContext(), keys));
                         Value zero = arith::ConstantIndexOp::create(b, loc, 0);
                         Value none = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, count, zero);
                         Value element = LoadOp::create(b, loc, tensors[0], at);
                         Value nothing = arith::ConstantOp::create(b, loc, b.getZeroAttr(element.getType()));
                         return arith::SelectOp::create(b, loc, none, nothing, element);
                       });
}

/// A guard turns weights that are no numbers into zeros: those of a row all are, where their sum is none.
Value guarded(OpBuilder &builder, AttentionOp op, Value state, Value result) {
  std::string error;
  AttentionLayout layout = *AttentionLayout::parse(op.getLayout(1 + 2 * op.getKeys().size()), error);
  Dim depth = op.getSizes().valueDepth;
  return MapOp::create(
      builder, op.getLoc(), cast<RankedTensorType>(result.getType()), ValueRange{result, state},
      [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) -> Value {
        Value zero = arith::ConstantIndexOp::create(b, loc, 0);
        SmallVector<Value> place{zero};
        for (char role : StringRef("bhn")) {
          size_t found = StringRef(layout.roles.data(), layout.roles.size()).find(role);
          place.push_back(found == StringRef::npos ? zero : at[found]);
        }
        DimAttr sum = DimAttr::get(b.getContext(), depth + Dim(1));
        place.push_back(SizeOp::create(b, loc, b.getIndexType(), sum));
        Value l = LoadOp::create(b, loc, tensors[1], place), element = LoadOp::create(b, loc, tensors[0], at);
        Value isNone = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, l, l);
        Value nothing = arith::ConstantOp::create(b, loc, b.getZeroAttr(element.getType()));
        return arith::SelectOp::create(b, loc, isNone, nothing, element);
      });
}

/// m + log l of the one part of a state, as `also log_sum_exp` has it.
Value logSumExp(OpBuilder &builder, AttentionOp op, Value state) {
  auto type = cast<RankedTensorType>(op.getAlso("log_sum_exp").getType());
  Dim depth = op.getSizes().valueDepth;
  return MapOp::create(builder, op.getLoc(), type, state,
                       [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) -> Value {
                         Value zero = arith::ConstantIndexOp::create(b, loc, 0);
                         SmallVector<Value> indices{zero};
                         llvm::append_range(indices, at);
                         auto part = [&](const Dim &place) -> Value {
                           DimAttr dim = DimAttr::get(b.getContext(), place);
                           indices.push_back(SizeOp::create(b, loc, b.getIndexType(), dim));
                           Value element = LoadOp::create(b, loc, tensors[0], indices);
                           indices.pop_back();
                           return element;
                         };
                         Value m = part(depth), l = part(depth + Dim(1));
                         return arith::AddFOp::create(b, loc, m, math::LogOp::create(b, loc, l));
                       });
}

void split(AttentionOp op, const KeyParts &keyParts) {
  OpBuilder builder(op);
  unsigned sources = op.getKeys().size();
  SmallVector<Value> states;
  for (unsigned source = 0; source < sources; ++source)
    states.push_back(update(builder, op, source, keyParts));
  Value state = states.front();
  if (Shape shape = shapeOf(state); sources > 1 || shape[0] != Dim(1)) {
    shape[0] = Dim(1);
    state = AttentionMergeOp::create(builder, op.getLoc(), tensorOf(elementOf(state), shape), states,
                                     op.getNormaliser());
  }
  EmptyRow empty = op.hasKeep() ? op.getEmpty() : EmptyRow::Zero;
  if (Value asked = op.getAlso("log_sum_exp"))
    asked.replaceAllUsesWith(logSumExp(builder, op, state));
  Value result = AttentionFinishOp::create(builder, op.getLoc(), op.getResult().getType(), state, op.getNormaliser(),
                                           empty, op.getLayout(1 + 2 * sources));
  if (op.hasWeight())
    result = guarded(builder, op, state, result);
  op.getResult().replaceAllUsesWith(empty == EmptyRow::NaN ? zeroWithoutKeys(builder, op, result) : result);
}

struct SplitAttention : impl::SplitAttentionBase<SplitAttention> {
  void runOnOperation() override {
    SmallVector<AttentionOp> found;
    getOperation().walk([&](AttentionOp op) {
      if (op.getAlgorithm() == AttentionAlgorithm::Split)
        found.push_back(op);
    });
    KeyParts keyParts(getOperation());
    for (AttentionOp op : found) {
      split(op, keyParts);
      op.erase();
    }
  }
};

} // namespace
} // namespace tenon
