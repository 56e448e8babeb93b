//===- FoldMaps.cpp - index arithmetic decided, maps that compute nothing removed ------===//
//
// Reads the integer arithmetic of regions as dim expressions over the region's indices, whose
// ranges are the result's dims, and keeps what is left when every decided part is gone.
//
#include "passes/Passes.h"
#include "passes/simplify/View.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FOLDMAPS
#include "passes/Passes.h.inc"

namespace {

/// The symbols of a map's indices, and the way back to the block arguments.
struct MapIndices {
  IndexDomain domain;
  KnownIndices known;
  SmallVector<Dim, 4> at;
  llvm::StringMap<Value> valueOf;

  explicit MapIndices(MapOp map) : domain(domainOf(map)) {
    for (auto [index, extent] : llvm::zip(map.getIndices(), shapeOf(map.getResult()))) {
      at.push_back(known[index] = domain.addIndex(extent));
      valueOf[std::string(*at.back().asSymbol())] = index;
    }
  }

  Value emit(OpBuilder &builder, Location loc, const Dim &dim) const {
    return emitIndex(builder, loc, dim, domain, [&](StringRef symbol) { return valueOf.lookup(symbol); });
  }
};

bool isLeaf(Value value) {
  Operation *op = value.getDefiningOp();
  return !op || isa<arith::ConstantOp, SizeOp>(op);
}

/// Operations of the tree behind a value that was read, down to what is opaque.
unsigned treeCost(Value value, const IndexDomain &domain) {
  if (isLeaf(value) || domain.isOpaque(value))
    return 0;
  unsigned cost = 1;
  for (Value operand : value.getDefiningOp()->getOperands())
    cost += treeCost(operand, domain);
  return cost;
}

/// The same for what `emitIndex` would write: a cast for each integer that is not an index.
unsigned emittedCost(const Dim &dim, const IndexDomain &domain) {
  unsigned cost = costOf(dim, domain);
  for (const std::string &name : dim.symbols())
    if (Value value = domain.opaqueValue(name); value && !value.getType().isIndex())
      ++cost;
  return cost;
}

/// `load %x[(%b * 12 + %h) floordiv 12]` is `load %x[%b]` where %h < 12.
struct SimplifyLoadIndices : OpRewritePattern<LoadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LoadOp load, PatternRewriter &rewriter) const override {
    auto map = dyn_cast<MapOp>(load->getParentOp());
    if (!map || llvm::all_of(load.getIndices(), isLeaf))
      return failure();
    MapIndices indices(map);
    bool changed = false;
    for (OpOperand &operand : load.getIndicesMutable()) {
      if (isLeaf(operand.get()))
        continue;
      Dim dim = indices.domain.simplify(readIndex(operand.get(), indices.known, indices.domain));
      if (emittedCost(dim, indices.domain) >= treeCost(operand.get(), indices.domain))
        continue;
      Value value = indices.emit(rewriter, load.getLoc(), dim);
      rewriter.modifyOpInPlace(load, [&] { operand.set(value); });
      changed = true;
    }
    return success(changed);
  }
};

std::optional<bool> decide(arith::CmpIPredicate predicate, const Dim &a, const Dim &b, const IndexDomain &domain) {
  using Predicate = arith::CmpIPredicate;
  auto either = [](bool yes, bool no) { return yes ? std::optional(true) : no ? std::optional(false) : std::nullopt; };
  bool less = domain.isLess(a, b), lessEqual = domain.isLessEqual(a, b);
  bool greater = domain.isLess(b, a), greaterEqual = domain.isLessEqual(b, a);
  switch (predicate) {
  case Predicate::slt: return either(less, greaterEqual);
  case Predicate::sle: return either(lessEqual, greater);
  case Predicate::sgt: return either(greater, lessEqual);
  case Predicate::sge: return either(greaterEqual, less);
  case Predicate::eq: return either(domain.isEqual(a, b), less || greater);
  case Predicate::ne: return either(less || greater, domain.isEqual(a, b));
  default: return std::nullopt;
  }
}

/// `%i >= 0` is true, `%i < S` is true where %i runs over a dim S.
struct DecideComparison : OpRewritePattern<arith::CmpIOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::CmpIOp op, PatternRewriter &rewriter) const override {
    auto map = dyn_cast<MapOp>(op->getParentOp());
    Type type = op.getLhs().getType();
    if (!map || !(type.isIndex() || type.isInteger(64)))
      return failure();
    MapIndices indices(map);
    Dim a = readIndex(op.getLhs(), indices.known, indices.domain);
    Dim b = readIndex(op.getRhs(), indices.known, indices.domain);
    // Data may sit at the ends of i64, where sums wrap.
    if (indices.domain.hasOpaque(a) || indices.domain.hasOpaque(b))
      return failure();
    std::optional<bool> outcome = decide(op.getPredicate(), a, b, indices.domain);
    if (!outcome)
      return failure();
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(op, rewriter.getBoolAttr(*outcome));
    return success();
  }
};

/// A minimum or maximum of indices one side of which always wins.
template <typename OpType, bool isMaximum> struct DecideExtremum : OpRewritePattern<OpType> {
  using OpRewritePattern<OpType>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpType op, PatternRewriter &rewriter) const override {
    auto map = dyn_cast<MapOp>(op->getParentOp());
    if (!map || !(op.getType().isIndex() || op.getType().isInteger(64)))
      return failure();
    MapIndices indices(map);
    Dim a = readIndex(op.getLhs(), indices.known, indices.domain);
    Dim b = readIndex(op.getRhs(), indices.known, indices.domain);
    if (indices.domain.hasOpaque(a) || indices.domain.hasOpaque(b))
      return failure();
    if (indices.domain.isLessEqual(a, b))
      rewriter.replaceOp(op, isMaximum ? op.getRhs() : op.getLhs());
    else if (indices.domain.isLessEqual(b, a))
      rewriter.replaceOp(op, isMaximum ? op.getLhs() : op.getRhs());
    else
      return failure();
    return success();
  }
};

/// The one value of a constant tensor that is small enough to be in the IR.
TypedAttr splatOf(Value tensor) {
  auto get = tensor.getDefiningOp<GetOp>();
  auto weight = get ? SymbolTable::lookupNearestSymbolFrom<WeightOp>(get, get.getWeightAttr()) : WeightOp();
  auto dense = weight ? dyn_cast<DenseElementsAttr>(weight.getValue()) : DenseElementsAttr();
  return dense && dense.isSplat() ? cast<TypedAttr>(dense.getSplatValue<Attribute>()) : TypedAttr();
}

/// A load of a constant whose elements are all equal is that element.
struct FoldConstantLoad : OpRewritePattern<LoadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LoadOp load, PatternRewriter &rewriter) const override {
    auto map = dyn_cast<MapOp>(load->getParentOp());
    if (!map)
      return failure();
    TypedAttr value = splatOf(map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()]);
    if (!value)
      return failure();
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(load, value);
    return success();
  }
};

/// Division by a power of two is the product with its inverse, exactly.
struct DivideByPowerOfTwo : OpRewritePattern<arith::DivFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::DivFOp op, PatternRewriter &rewriter) const override {
    FloatAttr divisor;
    APFloat inverse(0.0);
    if (!matchPattern(op.getRhs(), m_Constant(&divisor)) || !divisor.getValue().getExactInverse(&inverse))
      return failure();
    Value factor = arith::ConstantOp::create(rewriter, op.getLoc(), rewriter.getFloatAttr(op.getType(), inverse));
    rewriter.replaceOpWithNewOp<arith::MulFOp>(op, op.getLhs(), factor);
    return success();
  }
};

/// A map that loads every element where it stands in row-major order is a reshape, or nothing.
struct MapToReshape : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MapOp map, PatternRewriter &rewriter) const override {
    MapIndices indices(map);
    std::optional<View> view = movementOf(map, indices.at, indices.domain, Through::Movement);
    if (!view)
      return failure();
    Shape from = shapeOf(view->base), to = shapeOf(map.getResult());
    if (countOf(from) != countOf(to) || elementOf(view->base) != elementOf(map.getResult()) ||
        !indices.domain.isEqual(linearise(view->indices, from), linearise(indices.at, to)))
      return failure();
    rewriter.replaceOp(map, reshapeTo(rewriter, map.getLoc(), view->base, to));
    return success();
  }
};

struct FoldMaps : impl::FoldMapsBase<FoldMaps> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    patterns.add<SimplifyLoadIndices, DecideComparison, DecideExtremum<arith::MaxSIOp, true>,
                 DecideExtremum<arith::MinSIOp, false>, FoldConstantLoad, DivideByPowerOfTwo, MapToReshape>(context);
    for (RegisteredOperationName op : context->getRegisteredOperations())
      if (isa<arith::ArithDialect>(op.getDialect()))
        op.getCanonicalizationPatterns(patterns, context);
    MapOp::getCanonicalizationPatterns(patterns, context);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
