//===- SinkReshapes.cpp - maps, norms and sums on the rows a matrix product gives ------===//
//
// A reshape costs nothing, but between a contraction and the map that finishes it, it hides that the
// map reads the result in place. So it moves behind the map.
//
#include "passes/Passes.h"
#include "passes/simplify/View.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_SINKRESHAPES
#include "passes/Passes.h.inc"

namespace {

/// `from` has fewer dims than `to`; each is the product of some neighbouring dims of `to`: their count for each.
std::optional<SmallVector<unsigned>> groupsOf(ArrayRef<Dim> from, ArrayRef<Dim> to) {
  SmallVector<unsigned> groups;
  unsigned next = 0;
  for (auto [position, dim] : llvm::enumerate(from)) {
    Dim product(1);
    unsigned begin = next;
    bool isLast = position + 1 == from.size();
    while (next < to.size() && (product != dim || next == begin || isLast))
      product *= to[next++];
    if (product != dim || next == begin)
      return std::nullopt;
    groups.push_back(next - begin);
  }
  return next == to.size() ? std::optional(groups) : std::nullopt;
}

/// A map rewritten over merged dims. Each load names the indices of a merged group
/// one after another, where the operand has the same dims, or none of them.
class MergedMap {
public:
  MergedMap(MapOp map, ArrayRef<unsigned> groups) : map(map), groups(groups) {
    for (auto [group, count] : llvm::enumerate(groups))
      for (unsigned i = 0; i < count; ++i)
        groupOf.push_back(group);
  }

  bool canMerge() {
    for (Operation &op : map.getBody().front()) {
      auto load = dyn_cast<LoadOp>(op);
      if (load ? !canMergeLoad(load) : llvm::any_of(op.getOperands(), [&](Value v) { return isMergedIndex(v); }))
        return false;
    }
    return loadsOfOneOperandAgree();
  }

  Value create(PatternRewriter &rewriter, ArrayRef<Dim> shape) {
    Location loc = map.getLoc();
    SmallVector<Value> inputs;
    for (auto [argument, input] : llvm::zip(map.getOperandArgs(), map.getInputs()))
      inputs.push_back(mergedInput(rewriter, argument, input));
    auto merged = MapOp::create(rewriter, loc, tensorOf(elementOf(map.getResult()), shape), inputs,
                                [&](OpBuilder &builder, Location, ValueRange tensors, ValueRange at) {
                                  return cloneBody(builder, tensors, at);
                                });
    return reshapeTo(rewriter, loc, merged.getResult(), shapeOf(map.getResult()));
  }

private:
  std::optional<unsigned> positionOfIndex(Value value) const {
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getArgNumber() < map.getInputs().size())
      return std::nullopt;
    return argument.getArgNumber() - map.getInputs().size();
  }

  bool isMergedIndex(Value value) const {
    std::optional<unsigned> position = positionOfIndex(value);
    return position && groups[groupOf[*position]] > 1;
  }

  bool startsGroup(unsigned position) const { return position == 0 || groupOf[position] != groupOf[position - 1]; }

  /// For each index of the merged load, the number of its indices now.
  std::optional<SmallVector<unsigned>> partsOf(LoadOp load) const {
    Shape shape = shapeOf(load.getTensor()), result = shapeOf(map.getResult());
    SmallVector<unsigned> parts;
    for (unsigned d = 0; d < load.getIndices().size();) {
      if (!isMergedIndex(load.getIndices()[d])) {
        parts.push_back(1);
        ++d;
        continue;
      }
      unsigned first = *positionOfIndex(load.getIndices()[d]), count = groups[groupOf[first]];
      if (!startsGroup(first) || d + count > load.getIndices().size())
        return std::nullopt;
      for (unsigned i = 0; i < count; ++i)
        if (positionOfIndex(load.getIndices()[d + i]) != first + i || shape[d + i] != result[first + i])
          return std::nullopt;
      parts.push_back(count);
      d += count;
    }
    return parts;
  }

  bool canMergeLoad(LoadOp load) const { return partsOf(load).has_value(); }

  bool loadsOfOneOperandAgree() const {
    for (BlockArgument argument : map.getOperandArgs()) {
      std::optional<SmallVector<unsigned>> parts;
      for (Operation *user : argument.getUsers()) {
        auto own = partsOf(cast<LoadOp>(user));
        if (parts && *parts != *own)
          return false;
        parts = own;
      }
    }
    return true;
  }

  Value mergedInput(PatternRewriter &rewriter, BlockArgument argument, Value input) const {
    if (argument.use_empty())
      return input;
    Shape shape = shapeOf(input), merged;
    unsigned d = 0;
    SmallVector<unsigned> parts = *partsOf(cast<LoadOp>(*argument.user_begin()));
    for (unsigned count : parts) {
      merged.push_back(countOf(ArrayRef<Dim>(shape).slice(d, count)));
      d += count;
    }
    if (auto reshape = input.getDefiningOp<ReshapeOp>())
      return reshapeTo(rewriter, map.getLoc(), reshape.getInput(), merged);
    return reshapeTo(rewriter, map.getLoc(), input, merged);
  }

  Value cloneBody(OpBuilder &builder, ValueRange tensors, ValueRange at) const {
    IRMapping mapping;
    mapping.map(map.getOperandArgs(), tensors);
    for (auto [position, index] : llvm::enumerate(map.getIndices()))
      if (groups[groupOf[position]] == 1)
        mapping.map(index, at[groupOf[position]]);
    for (Operation &op : map.getBody().front().without_terminator()) {
      auto load = dyn_cast<LoadOp>(op);
      if (!load) {
        builder.clone(op, mapping);
        continue;
      }
      SmallVector<Value> indices;
      unsigned d = 0;
      SmallVector<unsigned> parts = *partsOf(load);
      for (unsigned count : parts) {
        Value index = load.getIndices()[d];
        indices.push_back(count > 1 ? at[groupOf[*positionOfIndex(index)]] : mapping.lookup(index));
        d += count;
      }
      Value tensor = mapping.lookup(load.getTensor());
      mapping.map(load.getResult(), LoadOp::create(builder, load.getLoc(), tensor, indices).getResult());
    }
    return mapping.lookup(map.getYielded());
  }

  mutable MapOp map;
  ArrayRef<unsigned> groups;
  SmallVector<unsigned> groupOf; ///< Per index of the map.
};

/// The map could finish what the reshape's operand comes from, or what reads the map wants the operand's dims.
bool isWorthSinking(ReshapeOp reshape, MapOp map) {
  bool onlyReader = reshape->hasOneUse() && reshape.getInput().hasOneUse();
  return onlyReader || llvm::all_of(map->getUsers(), [&](Operation *user) {
           auto merged = dyn_cast<ReshapeOp>(user);
           return merged && merged.getType() == tensorOf(elementOf(map.getResult()), shapeOf(reshape.getInput()));
         });
}

struct SinkThroughMap : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MapOp map, PatternRewriter &rewriter) const override {
    for (Value input : map.getInputs()) {
      auto reshape = input.getDefiningOp<ReshapeOp>();
      if (!reshape || shapeOf(reshape.getResult()) != shapeOf(map.getResult()) || !isWorthSinking(reshape, map))
        continue;
      Shape from = shapeOf(reshape.getInput());
      std::optional<SmallVector<unsigned>> groups = groupsOf(from, shapeOf(map.getResult()));
      if (!groups || from.size() >= shapeOf(map.getResult()).size())
        continue;
      MergedMap merged(map, *groups);
      if (!merged.canMerge())
        continue;
      rewriter.replaceOp(map, merged.create(rewriter, from));
      return success();
    }
    return failure();
  }
};

/// A norm over the last dims does not see how the dims before are grouped.
struct SinkThroughNorm : OpRewritePattern<NormOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(NormOp op, PatternRewriter &rewriter) const override {
    auto reshape = op.getInput().getDefiningOp<ReshapeOp>();
    if (!reshape || op.getKind() == NormKind::Group)
      return failure();
    Shape from = shapeOf(reshape.getInput()), to = shapeOf(op.getResult());
    size_t over = op.getOver();
    if (from.size() >= to.size() || from.size() <= over ||
        ArrayRef<Dim>(from).take_back(over) != ArrayRef<Dim>(to).take_back(over))
      return failure();
    Value norm = NormOp::create(rewriter, op.getLoc(), reshape.getInput().getType(), op.getKind(), reshape.getInput(),
                                op.getScale(), op.getShift(), op.getOver(), op.getEpsilon());
    rewriter.replaceOp(op, reshapeTo(rewriter, op.getLoc(), norm, to));
    return success();
  }
};

/// A reduction does not see how the dims that it leaves are grouped.
struct SinkThroughReduce : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    auto reshape = op.getInput().getDefiningOp<ReshapeOp>();
    if (!reshape)
      return failure();
    Shape from = shapeOf(reshape.getInput()), to = shapeOf(op.getInput());
    std::optional<SmallVector<unsigned>> groups = groupsOf(from, to);
    if (!groups || from.size() >= to.size())
      return failure();
    SmallVector<int64_t> over;
    unsigned next = 0;
    for (auto [group, count] : llvm::enumerate(*groups)) {
      unsigned reduced = 0, larger = 0; // dims of size 1 may be either
      for (unsigned dim = next; dim < next + count; ++dim) {
        bool isReduced = llvm::is_contained(op.getOver(), dim);
        reduced += isReduced;
        larger += !isReduced && to[dim] != Dim(1);
      }
      if (reduced && larger)
        return failure();
      if (reduced)
        over.push_back(group);
      next += count;
    }
    Value sum = ReduceOp::create(rewriter, op.getLoc(), op.getKind(), reshape.getInput(), over);
    rewriter.replaceOp(op, reshapeTo(rewriter, op.getLoc(), sum, shapeOf(op.getResult())));
    return success();
  }
};

/// A map over dims of size 1 is one over the others.
struct DropUnitDims : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MapOp map, PatternRewriter &rewriter) const override {
    Shape shape = shapeOf(map.getResult()), kept;
    for (const Dim &dim : shape)
      if (dim != Dim(1))
        kept.push_back(dim);
    if (kept.size() == shape.size() || kept.empty())
      return failure();
    auto inner = MapOp::create(
        rewriter, map.getLoc(), tensorOf(elementOf(map.getResult()), kept), map.getInputs(),
        [&](OpBuilder &builder, Location loc, ValueRange tensors, ValueRange at) {
          IRMapping mapping;
          mapping.map(map.getOperandArgs(), tensors);
          unsigned next = 0;
          for (auto [index, dim] : llvm::zip(map.getIndices(), shape))
            mapping.map(index, dim != Dim(1) ? at[next++] : arith::ConstantIndexOp::create(builder, loc, 0));
          for (Operation &op : map.getBody().front().without_terminator())
            builder.clone(op, mapping);
          return mapping.lookup(map.getYielded());
        });
    rewriter.replaceOp(map, reshapeTo(rewriter, map.getLoc(), inner.getResult(), shape));
    return success();
  }
};

struct SinkReshapes : impl::SinkReshapesBase<SinkReshapes> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SinkThroughMap, SinkThroughNorm, SinkThroughReduce, DropUnitDims>(&getContext());
    MapOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
