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

/// A tensor of extent n cut in two along a dim and joined in the other order, as exporters write a roll:
/// `e < C ? x[f(e + n)] : x[f(e)]` with 0 <= e < n is `x[f((e + n - C) mod n + C)]`. So it is one load, and composes.
struct RollToRemainder : OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::SelectOp op, PatternRewriter &rewriter) const override {
    auto map = dyn_cast<MapOp>(op->getParentOp());
    auto below = op.getTrueValue().getDefiningOp<LoadOp>(), above = op.getFalseValue().getDefiningOp<LoadOp>();
    auto condition = op.getCondition().getDefiningOp<arith::CmpIOp>();
    if (!map || !below || !above || !condition || below.getTensor() != above.getTensor() ||
        condition.getPredicate() != arith::CmpIPredicate::slt)
      return failure();
    MapIndices indices(map);
    std::optional<Roll> roll = Roll::read(condition, indices);
    if (!roll)
      return failure();
    SmallVector<Dim> at;
    for (auto [low, high] : llvm::zip(below.getIndices(), above.getIndices())) {
      std::optional<Dim> index = roll->joined(roll->readIndexWhere(low, true, indices),
                                              roll->readIndexWhere(high, false, indices), indices.domain);
      if (!index)
        return failure();
      at.push_back(*index);
    }
    auto emitted = llvm::map_to_vector(at, [&](const Dim &dim) { return indices.emit(rewriter, op.getLoc(), dim); });
    rewriter.replaceOpWithNewOp<LoadOp>(op, op.getType(), below.getTensor(), emitted);
    return success();
  }

private:
  /// The condition `e < C`.
  struct Roll {
    arith::CmpIOp condition;
    Dim position, symbol; ///< e, and what stands for it.
    Dim bound, extent;    ///< C, n.
    Dim part;             ///< An index below C.

    static std::optional<Roll> read(arith::CmpIOp condition, MapIndices &indices) {
      IndexDomain &domain = indices.domain;
      Roll roll{condition, domain.simplify(readIndex(condition.getLhs(), indices.known, domain)), Dim(),
                readIndex(condition.getRhs(), indices.known, domain), Dim(), Dim()};
      std::optional<Dim> extent = extentOf(roll.position, domain);
      if (!extent || !domain.isSize(roll.bound) || !domain.isNonNegative(roll.bound) ||
          !domain.isLess(roll.bound, *extent))
        return std::nullopt;
      roll.extent = *extent;
      roll.symbol = domain.addIndex(roll.extent);
      roll.part = domain.addIndex(roll.bound);
      return roll;
    }

    /// How many values an index, a quotient or a remainder of one takes.
    static std::optional<Dim> extentOf(const Dim &dim, const IndexDomain &domain) {
      auto terms = dim.terms();
      if (terms.size() != 1 || terms[0].coefficient != 1 || terms[0].factors.size() != 1)
        return std::nullopt;
      const Dim::Atom &atom = *terms[0].factors[0];
      if (atom.kind == Dim::AtomKind::Symbol)
        return domain.isIndex(atom.name) ? std::optional(domain.extentOf(atom.name)) : std::nullopt;
      if (atom.kind == Dim::AtomKind::Mod)
        return domain.isSize(atom.operands[1]) ? std::optional(atom.operands[1]) : std::nullopt;
      if (atom.kind != Dim::AtomKind::FloorDiv || !domain.isSize(atom.operands[1]))
        return std::nullopt;
      std::optional<Dim> inner = extentOf(atom.operands[0], domain);
      return inner ? inner->exactDiv(atom.operands[1]) : std::nullopt;
    }

    static Dim replaced(const Dim &dim, const Dim &symbol, const Dim &by) {
      return dim.substitute({{std::string(*symbol.asSymbol()), by}});
    }

    /// `first` where e < C and `second` elsewhere as one expression, if they are.
    std::optional<Dim> joined(const Dim &first, const Dim &second, const IndexDomain &domain) const {
      if (domain.hasOpaque(first) || domain.hasOpaque(second))
        return std::nullopt;
      Dim low = domain.simplify(replaced(first, symbol, part));
      Dim high = domain.simplify(replaced(second, symbol, part + extent));
      if (!domain.isEqual(low, high))
        return std::nullopt;
      return domain.simplify(replaced(second, symbol, (position + extent - bound).mod(extent) + bound));
    }

    /// An index where the condition is known: of selects by the same comparison one side counts.
    Dim readIndexWhere(Value index, bool holds, MapIndices &indices) {
      KnownIndices known = indices.known;
      known[condition.getLhs()] = symbol;
      std::function<void(Value)> visit = [&](Value value) {
        Operation *inner = value.getDefiningOp();
        if (!inner || known.contains(value) || isa<LoadOp>(inner))
          return;
        for (Value operand : inner->getOperands())
          visit(operand);
        auto select = dyn_cast<arith::SelectOp>(inner);
        auto other = select ? select.getCondition().getDefiningOp<arith::CmpIOp>() : arith::CmpIOp();
        if (!other || other.getLhs() != condition.getLhs() || other.getRhs() != condition.getRhs())
          return;
        bool isSame = other.getPredicate() == condition.getPredicate();
        if (isSame || other.getPredicate() == arith::invertPredicate(condition.getPredicate())) {
          Value chosen = isSame == holds ? select.getTrueValue() : select.getFalseValue();
          known[value] = readIndex(chosen, known, indices.domain);
        }
      };
      visit(index);
      return indices.domain.simplify(readIndex(index, known, indices.domain));
    }
  };
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

/// Arithmetic of a choice between two constants chooses between two constants: `(c ? 1 : 0) == 0` is `not c`, and
/// `(1 - float(c)) * -1e4` is `c ? -0 : -1e4`. So a mask that was a number on its way is a condition again.
struct FoldChoiceOfConstants : RewritePattern {
  explicit FoldChoiceOfConstants(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isa<arith::ArithDialect>(op->getDialect()) || isa<arith::SelectOp>(op) || op->getNumResults() != 1)
      return failure();
    std::optional<Choice> choice;
    SmallVector<Attribute> ifTrue, ifFalse;
    for (Value operand : op->getOperands()) {
      Attribute constant;
      if (matchPattern(operand, m_Constant(&constant))) {
        ifTrue.push_back(constant);
        ifFalse.push_back(constant);
        continue;
      }
      std::optional<Choice> other = Choice::match(operand);
      if (!other || (choice && choice->condition != other->condition))
        return failure();
      choice = other;
      ifTrue.push_back(other->ifTrue);
      ifFalse.push_back(other->ifFalse);
    }
    TypedAttr yes = choice ? folded(op, ifTrue) : TypedAttr(), no = yes ? folded(op, ifFalse) : TypedAttr();
    if (!no)
      return failure();
    auto constant = [&](TypedAttr value) { return arith::ConstantOp::create(rewriter, op->getLoc(), value); };
    Value first = constant(yes), second = constant(no);
    rewriter.replaceOpWithNewOp<arith::SelectOp>(op, choice->condition, first, second);
    return success();
  }

private:
  struct Choice {
    Value condition;
    Attribute ifTrue, ifFalse;

    static std::optional<Choice> match(Value value) {
      Attribute yes, no;
      if (auto select = value.getDefiningOp<arith::SelectOp>()) {
        if (!matchPattern(select.getTrueValue(), m_Constant(&yes)) ||
            !matchPattern(select.getFalseValue(), m_Constant(&no)))
          return std::nullopt;
        return Choice{select.getCondition(), yes, no};
      }
      Operation *op = value.getDefiningOp();
      if (!isa_and_nonnull<arith::UIToFPOp, arith::ExtUIOp>(op) || !op->getOperand(0).getType().isInteger(1))
        return std::nullopt;
      Builder builder(value.getContext());
      auto number = [&](int64_t n) -> Attribute {
        return isa<FloatType>(value.getType()) ? Attribute(builder.getFloatAttr(value.getType(), n))
                                               : builder.getIntegerAttr(value.getType(), n);
      };
      return Choice{op->getOperand(0), number(1), number(0)};
    }
  };

  static TypedAttr folded(Operation *op, ArrayRef<Attribute> operands) {
    SmallVector<OpFoldResult> results;
    if (failed(op->fold(operands, results)) || results.size() != 1)
      return {};
    auto same = dyn_cast<Value>(results[0]); // x - 0 is the operand x.
    return dyn_cast_or_null<TypedAttr>(same ? operands[llvm::find(op->getOperands(), same) - op->operand_begin()]
                                            : cast<Attribute>(results[0]));
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
                 DecideExtremum<arith::MinSIOp, false>, FoldChoiceOfConstants, FoldConstantLoad, DivideByPowerOfTwo,
                 RollToRemainder, MapToReshape>(context);
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
