//===- FlattenContractions.cpp - products with weights as plain matrix products --------===//
//
// Free when it runs: the rows' dims are reshaped into one, the weight is put in order when the
// artifact is written.
//
#include "dialects/tenon/ContractSpec.h"
#include "passes/Passes.h"
#include "passes/layout/WeightRecipes.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FLATTENCONTRACTIONS
#include "passes/Passes.h.inc"

namespace {

using Words = ContractSpec::Indices;

/// A contraction seen as rows of activations times a weight, whichever side the weight is on.
struct WeightProduct {
  ContractOp op;
  GetOp weight;
  Value rows;
  Words rowsWords, weightWords, resultWords;
  Words kept, summed, columns; ///< In the order of the rows' operand and of the result.

  static std::optional<WeightProduct> match(ContractOp op, const ContractSpec &spec) {
    auto right = op.getRhs().getDefiningOp<GetOp>(), left = op.getLhs().getDefiningOp<GetOp>();
    if (op.getPanels() || !spec.batch().empty() || !spec.lone().empty() || (!left && !right))
      return std::nullopt;
    bool weightIsRight = bool(right);
    WeightProduct product;
    product.op = op;
    product.weight = weightIsRight ? right : left;
    product.rows = weightIsRight ? op.getLhs() : op.getRhs();
    product.rowsWords = weightIsRight ? spec.lhs : spec.rhs;
    product.weightWords = weightIsRight ? spec.rhs : spec.lhs;
    product.resultWords = spec.result;
    product.kept = weightIsRight ? spec.rows() : spec.columns();
    product.columns = weightIsRight ? spec.columns() : spec.rows();
    for (StringRef word : product.rowsWords)
      if (positionOf(word, product.weightWords) >= 0)
        product.summed.push_back(word);
    return product;
  }

  /// Rows then summed in the operand, rows then columns in the result: nothing has to move.
  bool isRowMajor() const {
    return llvm::equal(llvm::concat<const StringRef>(kept, summed), rowsWords) &&
           llvm::equal(llvm::concat<const StringRef>(kept, columns), resultWords) && !summed.empty() &&
           !columns.empty();
  }

  bool isFlat() {
    return rows == op.getLhs() && kept.size() == 1 && summed.size() == 1 && columns.size() == 1 &&
           weightWords[0] == summed[0];
  }
};

void flatten(const WeightProduct &product, WeightRecipes &recipes) {
  ContractOp op = product.op;
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Shape rowsShape = shapeOf(product.rows), resultShape = shapeOf(op.getResult());
  size_t kept = product.kept.size();
  Dim m = countOf(ArrayRef<Dim>(rowsShape).take_front(kept)), k = countOf(ArrayRef<Dim>(rowsShape).drop_front(kept));
  Dim n = countOf(ArrayRef<Dim>(resultShape).drop_front(kept));

  SmallVector<int64_t> permutation;
  for (StringRef word : llvm::concat<const StringRef>(product.summed, product.columns))
    permutation.push_back(positionOf(word, product.weightWords));
  WeightOp weight = recipes.transpose(recipes.lookup(product.weight), permutation);
  weight = recipes.reshape(weight, {*k.constant(), *n.constant()});

  Value rows = reshapeTo(builder, loc, product.rows, {m, k});
  Value matrix = WeightRecipes::get(builder, loc, weight);
  Value result = ContractOp::create(builder, loc, tensorOf(elementOf(op.getResult()), {m, n}),
                                    builder.getStringAttr("m k, k n -> m n"), rows, matrix, IntegerAttr(),
                                    op.getAccumulateAttr());
  op.getResult().replaceAllUsesWith(reshapeTo(builder, loc, result, resultShape));
  op.erase();
}

struct FlattenContractions : impl::FlattenContractionsBase<FlattenContractions> {
  void runOnOperation() override {
    WeightRecipes recipes(getOperation());
    SmallVector<ContractOp> contractions;
    getOperation().walk([&](ContractOp op) { contractions.push_back(op); });
    for (ContractOp op : contractions) {
      std::string error;
      ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
      std::optional<WeightProduct> product = WeightProduct::match(op, spec);
      if (product && product->isRowMajor() && !product->isFlat())
        flatten(*product, recipes);
    }
  }
};

} // namespace
} // namespace tenon
