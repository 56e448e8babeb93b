//===- FuseContractionOperands.cpp - contractions read and write where the data is -----===//
//
// Costs nothing when it runs: the indices of a contraction's specification are renamed and
// reordered. What disappears is a copy of each permuted operand and result.
//
#include "dialects/tenon/ContractSpec.h"
#include "passes/Passes.h"
#include "passes/simplify/View.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FUSECONTRACTIONOPERANDS
#include "passes/Passes.h.inc"

namespace {

using Words = SmallVector<std::string, 4>;

/// An operand read from the tensor behind its transposes and scalings.
struct OperandForm {
  Value base;
  Shape shape; ///< What the base has to be reshaped to.
  Words words;
  double scale = 1.0;
};

/// Dimensions of size 1 that no index runs over keep their word: in front, at no cost.
void addUnitWords(OperandForm &form, ArrayRef<StringRef> words, ArrayRef<Dim> shape) {
  for (auto [word, size] : llvm::reverse(llvm::zip(words, shape)))
    if (size == Dim(1) && !llvm::is_contained(form.words, word)) {
      form.words.insert(form.words.begin(), word.str());
      form.shape.insert(form.shape.begin(), Dim(1));
    }
}

/// The operand as one of the tensors it is a view of, if every dim of that is a word.
std::optional<OperandForm> formOf(const View &view, ArrayRef<Dim> at, ArrayRef<StringRef> words,
                                  ArrayRef<StringRef> otherWords, ArrayRef<Dim> shape, const IndexDomain &domain) {
  auto dims = splitDims(view.indices, shapeOf(view.base), domain);
  if (!dims)
    return std::nullopt;
  OperandForm form{view.base, {}, {}, view.scale};
  for (const SplitDim &dim : *dims) {
    auto it = llvm::find_if(at, [&](const Dim &symbol) { return *symbol.asSymbol() == dim.symbol; });
    if (it == at.end())
      return std::nullopt;
    form.words.push_back(words[it - at.begin()].str());
    form.shape.push_back(dim.size);
  }
  addUnitWords(form, words, shape);
  // A broadcast operand lacks a word: the product is the same if the other operand has it.
  for (StringRef word : words)
    if (!llvm::is_contained(form.words, word) && positionOf(word, otherWords) < 0)
      return std::nullopt;
  return form;
}

/// The furthest such tensor.
std::optional<OperandForm> formOf(Value operand, ArrayRef<StringRef> words, ArrayRef<StringRef> otherWords) {
  Operation *place = operand.getDefiningOp();
  IndexDomain domain = domainOf(place ? place : operand.getParentBlock()->getParentOp());
  Shape shape = shapeOf(operand);
  auto at = llvm::map_to_vector<4>(shape, [&](const Dim &extent) { return domain.addIndex(extent); });
  bool isFloat = isa<FloatType>(elementOf(operand));
  auto views = viewsOf(operand, at, domain, isFloat ? Through::MovementAndScale : Through::Movement);
  for (const View &view : llvm::reverse(llvm::drop_begin(views)))
    if (auto form = formOf(view, at, words, otherWords, shape, domain))
      return form;
  return std::nullopt;
}

std::string join(ArrayRef<std::string> words) { return llvm::join(words, " "); }
std::string join(ArrayRef<StringRef> words) { return llvm::join(words, " "); }

Value scaled(PatternRewriter &rewriter, Location loc, Value tensor, double scale) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return MapOp::create(rewriter, loc, type, tensor,
                       [&](OpBuilder &builder, Location loc, ValueRange tensors, ValueRange indices) -> Value {
                         Value element = LoadOp::create(builder, loc, tensors[0], indices);
                         auto factor = builder.getFloatAttr(type.getElementType(), scale);
                         return arith::MulFOp::create(builder, loc, element,
                                                      arith::ConstantOp::create(builder, loc, factor));
                       });
}

struct ReadBehindOperands : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ContractOp op, PatternRewriter &rewriter) const override {
    std::string error;
    std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), error);
    if (!spec || op.getPanels())
      return failure();
    std::optional<OperandForm> lhs = formOf(op.getLhs(), spec->lhs, spec->rhs);
    std::optional<OperandForm> rhs = formOf(op.getRhs(), spec->rhs, spec->lhs);
    // A word both operands lack would be lost.
    if (lhs && rhs)
      for (StringRef word : spec->lhs)
        if (!llvm::is_contained(lhs->words, word) && !llvm::is_contained(rhs->words, word))
          return failure();
    std::string left = lhs ? join(lhs->words) : join(spec->lhs), right = rhs ? join(rhs->words) : join(spec->rhs);
    double scale = (lhs ? lhs->scale : 1.0) * (rhs ? rhs->scale : 1.0);
    std::string text = left + ", " + right + " -> " + join(spec->result);
    if (text == spec->str() && scale == 1.0)
      return failure();
    rewriter.setInsertionPoint(op);
    Value a = lhs ? reshapeTo(rewriter, op.getLoc(), lhs->base, lhs->shape) : op.getLhs();
    Value b = rhs ? reshapeTo(rewriter, op.getLoc(), rhs->base, rhs->shape) : op.getRhs();
    Value result = ContractOp::create(rewriter, op.getLoc(), op.getType(), rewriter.getStringAttr(text), a, b,
                                      IntegerAttr(), op.getAccumulateAttr());
    rewriter.replaceOp(op, scale == 1.0 ? result : scaled(rewriter, op.getLoc(), result, scale));
    return success();
  }
};

/// The result's words in the order of a transpose of it.
struct WriteTransposed : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MapOp map, PatternRewriter &rewriter) const override {
    auto op = map.getInputs().size() == 1 ? map.getInputs()[0].getDefiningOp<ContractOp>() : ContractOp();
    if (!op || !op->hasOneUse() || op.getPanels())
      return failure();
    IndexDomain domain = domainOf(map);
    auto at = llvm::map_to_vector<4>(shapeOf(map.getResult()), [&](const Dim &e) { return domain.addIndex(e); });
    std::optional<View> view = movementOf(map, at, domain, Through::Movement);
    if (!view || view->indices.size() != at.size())
      return failure();
    std::string error;
    ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
    Words words;
    Shape whole = shapeOf(op.getResult());
    for (const Dim &symbol : at) {
      auto it = llvm::find(view->indices, symbol);
      // The first rows alone are a slice, no transpose.
      if (it == view->indices.end() || whole[it - view->indices.begin()] != domain.extentOf(*symbol.asSymbol()))
        return failure();
      words.push_back(spec.result[it - view->indices.begin()].str());
    }
    std::string text = join(spec.lhs) + ", " + join(spec.rhs) + " -> " + join(words);
    rewriter.replaceOpWithNewOp<ContractOp>(map, map.getType(), rewriter.getStringAttr(text), op.getLhs(), op.getRhs(),
                                            IntegerAttr(), op.getAccumulateAttr());
    return success();
  }
};

struct FuseContractionOperands : impl::FuseContractionOperandsBase<FuseContractionOperands> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ReadBehindOperands, WriteTransposed>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
