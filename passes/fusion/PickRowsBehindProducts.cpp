//===- PickRowsBehindProducts.cpp - a product with rows that positions choose, as one with the table --===//
//
// Worked example, distances as Shaw, wav2vec2-BERT and BERT's relative keys have them, of a table of R rows:
//
//     G[l, r, d] = T[f(l, r), d]                 every pair of positions has a row: N x N x D elements
//     S[b, h, l, r] = Σ_d Q[b, l, h, d] G[l, r, d]
//
// is S[b, h, l, r] = P[b, h, l, f(l, r)] with P = Σ_d Q[b, l, h, d] T[t, d], which has R columns and not N, and whose
// elements the score of an attention reads by distance (`PositionProducts.h`).
//
// Rule. The operand is a map that loads one element of one tensor. Of the load's indices one is arithmetic on dims of
// the map that the result keeps, some of which the other operand has and some it has not; the others are the map's
// other dims. The number of rows is known, or not that of what it is replaced by.
//
// Limits. Rows that data chooses (a bad index must be reported once, not where nobody reads), and tables that stand for
// a few positions only, of more rows than twice the positions.
//
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Passes.h"
#include "passes/simplify/IndexExpression.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_PICKROWSBEHINDPRODUCTS
#include "passes/Passes.h.inc"

namespace {

/// A map whose elements are rows of a table.
struct PickedRows {
  MapOp map;
  LoadOp load;
  unsigned row;                        ///< The index of the load that is computed.
  llvm::SmallDenseSet<unsigned> chose; ///< The dims of the map that it is computed from.

  static std::optional<PickedRows> match(Value operand);
};

std::optional<PickedRows> PickedRows::match(Value operand) {
  auto map = operand.getDefiningOp<MapOp>();
  auto load = map ? map.getYielded().getDefiningOp<LoadOp>() : LoadOp();
  if (!load || !operand.hasOneUse())
    return std::nullopt;
  PickedRows picked{map, load, 0, {}};
  llvm::SmallDenseSet<unsigned> plain;
  bool hasRow = false;
  for (auto [n, index] : llvm::enumerate(load.getIndices())) {
    if (auto found = llvm::find(map.getIndices(), index); found != map.getIndices().end()) {
      if (!plain.insert(found - map.getIndices().begin()).second)
        return std::nullopt;
      continue;
    }
    if (hasRow || readsData(index))
      return std::nullopt;
    for (auto [d, dim] : llvm::enumerate(map.getIndices()))
      if (dependsOnIndex(index, dim))
        picked.chose.insert(d);
    hasRow = true;
    picked.row = n;
  }
  auto isPlain = [&](unsigned dim) { return plain.contains(dim); };
  if (!hasRow || llvm::any_of(picked.chose, isPlain) ||
      plain.size() + picked.chose.size() != shapeOf(map.getResult()).size())
    return std::nullopt;
  return picked;
}

struct PickBehind : OpRewritePattern<ContractOp> {
  using OpRewritePattern::OpRewritePattern;
  using Words = SmallVector<std::string>;

  LogicalResult matchAndRewrite(ContractOp op, PatternRewriter &rewriter) const override {
    std::string error;
    std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), error);
    if (!spec || op.getPanels() || !isa<FloatType>(elementOf(op.getResult())))
      return failure();
    for (bool isLeft : {false, true})
      if (succeeded(pick(op, *spec, isLeft, rewriter)))
        return success();
    return failure();
  }

private:
  static LogicalResult pick(ContractOp op, const ContractSpec &spec, bool isLeft, PatternRewriter &rewriter) {
    std::optional<PickedRows> picked = PickedRows::match(isLeft ? op.getLhs() : op.getRhs());
    if (!picked)
      return failure();
    const ContractSpec::Indices &own = isLeft ? spec.lhs : spec.rhs, &other = isLeft ? spec.rhs : spec.lhs;
    Shape shape = shapeOf(picked->map.getResult());
    SmallVector<StringRef> gone; // Chose a row, and stand in no other operand.
    Dim extent(1);
    for (unsigned dim : picked->chose) {
      if (!llvm::is_contained(spec.result, own[dim]))
        return failure();
      if (llvm::is_contained(other, own[dim]))
        continue;
      gone.push_back(own[dim]);
      extent *= shape[dim];
    }
    Value table = picked->map.getInputs()[cast<BlockArgument>(picked->load.getTensor()).getArgNumber()];
    Dim rows = shapeOf(table)[picked->row];
    if (gone.empty() || gone.size() == picked->chose.size() ||
        (rows.isConstant() && extent.isConstant() && *rows.constant() > 2 * *extent.constant()))
      return failure();

    // The product with the table: a word of its own for rows, last in the result.
    std::string rowWord = "row";
    while (llvm::is_contained(own, rowWord) || llvm::is_contained(other, rowWord))
      rowWord += "s";
    Words tableWords, kept;
    Shape size;
    for (auto [n, index] : llvm::enumerate(picked->load.getIndices()))
      tableWords.push_back(n == picked->row ? rowWord : own[positionOf(picked->map, index)].str());
    for (auto [word, dim] : llvm::zip(spec.result, shapeOf(op.getResult())))
      if (!llvm::is_contained(gone, word)) {
        kept.push_back(word.str());
        size.push_back(dim);
      }
    kept.push_back(rowWord);
    size.push_back(rows);
    std::string rest = llvm::join(other, " "), read = llvm::join(tableWords, " ");
    std::string text = (isLeft ? read + ", " + rest : rest + ", " + read) + " -> " + llvm::join(kept, " ");
    Location loc = op.getLoc();
    Value product = ContractOp::create(rewriter, loc, tensorOf(elementOf(op.getResult()), size),
                                       rewriter.getStringAttr(text), isLeft ? table : op.getLhs(),
                                       isLeft ? op.getRhs() : table, IntegerAttr(), op.getAccumulateAttr());
    auto type = cast<RankedTensorType>(op.getType());
    rewriter.replaceOpWithNewOp<MapOp>(
        op, type, product, [&](OpBuilder &builder, Location loc, ValueRange tensors, ValueRange at) -> Value {
          IRMapping mapping;
          for (unsigned dim : picked->chose)
            mapping.map(picked->map.getIndices()[dim], at[tenon::positionOf(own[dim], spec.result)]);
          SmallVector<Value> place;
          for (auto [word, index] : llvm::zip(spec.result, at))
            if (!llvm::is_contained(gone, word))
              place.push_back(index);
          Value row = picked->load.getIndices()[picked->row];
          for (Operation *arithmetic : sliceOf(row))
            builder.clone(*arithmetic, mapping);
          place.push_back(mapping.lookup(row));
          return LoadOp::create(builder, loc, tensors[0], place);
        });
    return success();
  }

  static unsigned positionOf(MapOp map, Value index) {
    return llvm::find(map.getIndices(), index) - map.getIndices().begin();
  }
};

struct PickRowsBehindProducts : impl::PickRowsBehindProductsBase<PickRowsBehindProducts> {
  using PickRowsBehindProductsBase::PickRowsBehindProductsBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<PickBehind>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
