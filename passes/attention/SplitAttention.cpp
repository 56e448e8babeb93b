//===- SplitAttention.cpp - attention as states that are merged and divided -------------===//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_SPLITATTENTION
#include "passes/Passes.h.inc"

namespace {

/// Keys to a part. One query: enough work to hide its dispatch, few enough that a long cache gives every thread
/// some. Many: each has work for every thread, and its states cost memory.
int64_t keysOfPart(const Dim &queries) {
  std::optional<int64_t> constant = queries.constant();
  return constant && *constant <= 16 ? 512 : 4096;
}

/// One source's state.
Value update(OpBuilder &builder, AttentionOp op, unsigned source) {
  unsigned sources = op.getKeys().size();
  SmallVector<StringRef> layouts{op.getLayout(0), op.getLayout(1 + source), op.getLayout(1 + sources + source)};
  Value key = op.getKeys()[source], value = op.getValues()[source];
  std::string error;
  AttentionOp::Sizes sizes = op.getSizes();
  Dim keys = AttentionLayout::parse(layouts[1], error)->sizeOf('n', shapeOf(key));
  std::optional<int64_t> constant = keys.constant();
  int64_t ofPart = keysOfPart(sizes.queries);
  bool isSplit = !constant || *constant > ofPart;
  Dim parts = isSplit ? keys.ceilDiv(Dim(ofPart)) : Dim(1);
  Shape shape{parts, sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth + Dim(2)};
  auto state = AttentionUpdateOp::create(builder, op.getLoc(), tensorOf(op.getScoreType(), shape), op.getQuery(), key,
                                         value, op.getCaptures(), op.getNormaliser(),
                                         builder.getStrArrayAttr(layouts),
                                         isSplit ? builder.getI64IntegerAttr(ofPart) : IntegerAttr());
  IRMapping mapping;
  op.getScore().cloneInto(&state.getScore(), mapping);
  op.getKeep().cloneInto(&state.getKeep(), mapping);
  return state;
}

/// All keys of all sources.
Dim allKeys(AttentionOp op) {
  Dim keys(0);
  for (auto [source, key] : llvm::enumerate(op.getKeys())) {
    std::string error;
    keys = keys + AttentionLayout::parse(op.getLayout(1 + source), error)->sizeOf('n', shapeOf(key));
  }
  return keys;
}

/// Without any key an attention is zero whatever its rule for empty rows; a state cannot tell why it is empty.
Value zeroWithoutKeys(OpBuilder &builder, AttentionOp op, Value result) {
  Dim keys = allKeys(op);
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

Value split(AttentionOp op) {
  OpBuilder builder(op);
  unsigned sources = op.getKeys().size();
  SmallVector<Value> states;
  for (unsigned source = 0; source < sources; ++source)
    states.push_back(update(builder, op, source));
  Value state = states.front();
  if (Shape shape = shapeOf(state); sources > 1 || shape[0] != Dim(1)) {
    shape[0] = Dim(1);
    state = AttentionMergeOp::create(builder, op.getLoc(), tensorOf(elementOf(state), shape), states,
                                     op.getNormaliser());
  }
  EmptyRow empty = op.hasKeep() ? op.getEmpty() : EmptyRow::Zero;
  Value result = AttentionFinishOp::create(builder, op.getLoc(), op.getType(), state, op.getNormaliser(), empty,
                                           op.getLayout(1 + 2 * sources));
  return empty == EmptyRow::NaN ? zeroWithoutKeys(builder, op, result) : result;
}

struct SplitAttention : impl::SplitAttentionBase<SplitAttention> {
  void runOnOperation() override {
    SmallVector<AttentionOp> found;
    getOperation().walk([&](AttentionOp op) {
      if (op.getAlgorithm() == AttentionAlgorithm::Split)
        found.push_back(op);
    });
    for (AttentionOp op : found) {
      op.getResult().replaceAllUsesWith(split(op));
      op.erase();
    }
  }
};

} // namespace
} // namespace tenon
