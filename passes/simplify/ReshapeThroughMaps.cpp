//===- ReshapeThroughMaps.cpp - load from the tensor behind a reshape -----------------===//
#include "passes/Passes.h"
#include "passes/simplify/MapCost.h"
#include "passes/simplify/View.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RESHAPETHROUGHMAPS
#include "passes/Passes.h.inc"

namespace {

SmallVector<Dim, 4> withoutUnitDims(ArrayRef<Dim> shape) {
  return SmallVector<Dim, 4>(llvm::make_filter_range(shape, [](const Dim &dim) { return dim != Dim(1); }));
}

/// Only dimensions of size 1 come or go.
bool changesUnitDimsOnly(ReshapeOp reshape) {
  return withoutUnitDims(shapeOf(reshape.getInput())) == withoutUnitDims(shapeOf(reshape.getResult()));
}

bool isWorthIt(ReshapeOp reshape) {
  auto producer = reshape.getInput().getDefiningOp<MapOp>();
  return changesUnitDimsOnly(reshape) || (producer && isFreeToRepeat(producer));
}

struct LoadBehindReshape : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MapOp map, PatternRewriter &rewriter) const override {
    for (BlockArgument argument : map.getOperandArgs()) {
      auto reshape = map.getInputs()[argument.getArgNumber()].getDefiningOp<ReshapeOp>();
      if (!reshape || argument.use_empty() || !isWorthIt(reshape))
        continue;
      if (succeeded(rewrite(map, argument, reshape, rewriter)))
        return success();
    }
    return failure();
  }

  /// Data-dependent indices are clamped where they load; taken apart they would be
  /// clamped in each part, so they stay, except where only unit dims change.
  static LogicalResult rewrite(MapOp map, BlockArgument argument, ReshapeOp reshape, PatternRewriter &rewriter) {
    IndexDomain domain = domainOf(map);
    KnownIndices known;
    llvm::StringMap<Value> valueOf;
    for (auto [index, extent] : llvm::zip(map.getIndices(), shapeOf(map.getResult()))) {
      Dim symbol = known[index] = domain.addIndex(extent);
      valueOf[std::string(*symbol.asSymbol())] = index;
    }
    Shape from = shapeOf(reshape.getResult()), to = shapeOf(reshape.getInput());
    SmallVector<std::pair<LoadOp, SmallVector<Dim, 4>>> rewritten;
    for (Operation *user : argument.getUsers()) {
      auto load = cast<LoadOp>(user);
      auto at = llvm::map_to_vector<4>(load.getIndices(), [&](Value index) { return readIndex(index, known, domain); });
      bool opaque = llvm::any_of(at, [&](const Dim &dim) { return domain.hasOpaque(dim); });
      if (opaque && !changesUnitDimsOnly(reshape))
        return failure();
      rewritten.emplace_back(load, opaque ? moveUnitDims(at, from, to) : reshapeIndices(at, from, to, domain));
    }
    rewriter.modifyOpInPlace(map, [&] {
      BlockArgument inner = map.getBody().front().insertArgument(map.getInputs().size(), reshape.getInput().getType(),
                                                                 reshape.getLoc());
      map.getInputsMutable().append(reshape.getInput());
      for (auto &[load, at] : rewritten) {
        rewriter.setInsertionPoint(load);
        auto indices = llvm::map_to_vector(at, [&](const Dim &dim) {
          return emitIndex(rewriter, load.getLoc(), dim, domain, [&](StringRef name) { return valueOf.lookup(name); });
        });
        rewriter.replaceOpWithNewOp<LoadOp>(load, inner, indices);
      }
    });
    return success();
  }

  /// The indices of the dims that are not 1, in order; 0 in the others.
  static SmallVector<Dim, 4> moveUnitDims(ArrayRef<Dim> at, ArrayRef<Dim> from, ArrayRef<Dim> to) {
    SmallVector<Dim, 4> kept, result;
    for (auto [index, size] : llvm::zip(at, from))
      if (size != Dim(1))
        kept.push_back(index);
    unsigned next = 0;
    for (const Dim &size : to)
      result.push_back(size == Dim(1) ? Dim(0) : kept[next++]);
    return result;
  }
};

struct ReshapeThroughMaps : impl::ReshapeThroughMapsBase<ReshapeThroughMaps> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<LoadBehindReshape>(&getContext());
    MapOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
