//===- GroupProducts.cpp - rows that each pick a matrix of a weight --------------------===//
//
// Worked example, experts of a mixture as they are exported, for R pairs of a token and one of its experts:
//
//     G[r, k, n] = W[g(r), k, n]                 R x K x N elements, a matrix for each pair
//     y[r, n] = Σ_k x[r, k] G[r, k, n]
//
// Nothing of G has to be written: rows that picked the same matrix are a product with it (lowering/GroupedProduct.h),
// for which the matrices stand in panels like any weight. The contraction stays what it means, "m k, m k n -> m n" with
// a map; that form is what FormKernels and the lowering know.
//
// Rule. An operand is a map that loads an element of a weight of three dims. Of the load's indices one is computed from
// data and from dims of the map that the other operand and the result have as well; the others are the map's two other
// dims, one summed, one a column. All other dims of the contraction are rows.
//
// Where products are wanted in bf16, these are: pairs along k, as PackWeights has them. Costs of rows of activations
// that have to be turned: a map. Limits. Weights of float32, columns that fill panels. A program for GPUs alone keeps
// its gathers: tensor cores multiply what they give, and have no form for this one.
//
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/layout/WeightRecipes.h"
#include "passes/simplify/View.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_GROUPPRODUCTS
#include "passes/Passes.h.inc"

namespace {

using Words = ContractSpec::Indices;

/// The contraction seen as rows that pick matrices.
struct RowsOfMatrices {
  ContractOp op;
  MapOp map;   ///< The picked matrices.
  LoadOp load; ///< Of the weight.
  GetOp weight;
  unsigned pick;           ///< The index of the load that is computed.
  unsigned summed, column; ///< The indices of the load that are the map's dims of these words.
  Value rows;              ///< The other operand.
  Words mapWords, rowsWords, resultWords;
  StringRef summedWord, columnWord;

  static std::optional<RowsOfMatrices> match(ContractOp op, bool isLeft);

  /// Of the weight.
  int64_t sizeOf(unsigned dim) { return *shapeOf(weight.getResult())[dim].constant(); }

private:
  bool findIndices();
  bool findWords(const ContractSpec &spec);
};

bool RowsOfMatrices::findIndices() {
  std::optional<unsigned> computed;
  llvm::SmallDenseSet<Value> plain;
  for (auto [n, index] : llvm::enumerate(load.getIndices())) {
    if (llvm::is_contained(map.getIndices(), index)) {
      if (!plain.insert(index).second)
        return false;
    } else if (!computed && readsData(index)) {
      computed = n;
    } else {
      return false;
    }
  }
  if (!computed || plain.size() != 2)
    return false;
  pick = *computed;
  Value picked = load.getIndices()[pick];
  return llvm::none_of(plain, [&](Value index) { return dependsOnIndex(picked, index); });
}

bool RowsOfMatrices::findWords(const ContractSpec &spec) {
  auto wordOf = [&](unsigned n) {
    return mapWords[llvm::find(map.getIndices(), load.getIndices()[n]) - map.getIndices().begin()];
  };
  SmallVector<unsigned, 2> others;
  for (unsigned n = 0; n < 3; ++n)
    if (n != pick)
      others.push_back(n);
  Words sums = spec.summed();
  if (sums.size() != 1 || !spec.lone().empty())
    return false;
  bool isFirstSummed = wordOf(others[0]) == sums[0];
  summed = isFirstSummed ? others[0] : others[1];
  column = isFirstSummed ? others[1] : others[0];
  summedWord = wordOf(summed);
  columnWord = wordOf(column);
  return summedWord == sums[0] && positionOf(columnWord, rowsWords) < 0 && positionOf(columnWord, resultWords) >= 0 &&
         llvm::all_of(mapWords, [&](StringRef word) { return word == columnWord || positionOf(word, rowsWords) >= 0; });
}

std::optional<RowsOfMatrices> RowsOfMatrices::match(ContractOp op, bool isLeft) {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), error);
  RowsOfMatrices found;
  found.op = op;
  found.map = (isLeft ? op.getLhs() : op.getRhs()).getDefiningOp<MapOp>();
  found.load = found.map ? found.map.getYielded().getDefiningOp<LoadOp>() : LoadOp();
  if (!spec || op.getPanels() || !found.load || found.load.getIndices().size() != 3)
    return std::nullopt;
  found.weight =
      found.map.getInputs()[cast<BlockArgument>(found.load.getTensor()).getArgNumber()].getDefiningOp<GetOp>();
  found.rows = isLeft ? op.getRhs() : op.getLhs();
  // The texts are the operation's: words outlive the specification.
  found.mapWords = isLeft ? spec->lhs : spec->rhs;
  found.rowsWords = isLeft ? spec->rhs : spec->lhs;
  found.resultWords = spec->result;
  auto isF32 = [](Value tensor) { return elementOf(tensor).isF32(); };
  if (!found.weight || !isF32(found.weight.getResult()) || !isF32(found.rows) || !isF32(op.getResult()) ||
      !found.findIndices() || !found.findWords(*spec))
    return std::nullopt;
  return found;
}

class Grouping {
public:
  Grouping(RowsOfMatrices matrices, WeightRecipes &recipes, int64_t width, bool isNarrow)
      : found(std::move(matrices)), recipes(recipes), width(width), builder(found.op), loc(found.op.getLoc()),
        element(isNarrow ? Type(builder.getBF16Type()) : builder.getF32Type()) {
    for (StringRef word : found.resultWords)
      if (word != found.columnWord)
        rowWords.push_back(word);
    for (StringRef word : rowWords)
      rowShape.push_back(sizeOf(word));
  }

  bool isWorthwhile() {
    // A walk over all rows for each matrix beside the product of each row.
    constexpr int64_t walk = 64;
    int64_t matrices = found.sizeOf(found.pick), elements = found.sizeOf(found.summed) * found.sizeOf(found.column);
    return found.sizeOf(found.column) % width == 0 && found.sizeOf(found.column) > 0 && matrices * walk <= elements;
  }

  void rewrite() {
    Dim count = countOf(rowShape), k(found.sizeOf(found.summed)), n(found.sizeOf(found.column));
    Words rowsOrder(rowWords), resultOrder(rowWords);
    rowsOrder.push_back(found.summedWord);
    resultOrder.push_back(found.columnWord);
    Value rows = rounded(reshapeTo(builder, loc, arranged(found.rows, found.rowsWords, rowsOrder), {count, k}));
    Value result = ContractOp::create(builder, loc, tensorOf(builder.getF32Type(), {count, n}),
                                      builder.getStringAttr("m k, m k n -> m n"), rows, pickedMatrices(count, k, n),
                                      IntegerAttr(), found.op.getAccumulateAttr());
    Shape shape = rowShape;
    shape.push_back(n);
    result = arranged(reshapeTo(builder, loc, result, shape), resultOrder, found.resultWords);
    remark::passed(found.op.getLoc(), remark::RemarkOpts::name("grouped").category("tenon-group-products"))
        << remark::add("rows pick one of {0} matrices each: multiplied matrix by matrix, none is copied",
                       found.sizeOf(found.pick));
    found.op.getResult().replaceAllUsesWith(result);
    MapOp map = found.map;
    found.op.erase();
    if (map->use_empty())
      map.erase();
  }

private:
  Dim sizeOf(StringRef word) {
    int at = positionOf(word, found.rowsWords);
    return at >= 0 ? shapeOf(found.rows)[at] : shapeOf(found.op.getResult())[positionOf(word, found.resultWords)];
  }

  /// The tensor with its dims in another order: a reshape where only dims of one element change places.
  Value arranged(Value tensor, ArrayRef<StringRef> words, ArrayRef<StringRef> wanted) {
    Shape from = shapeOf(tensor), to;
    for (StringRef word : wanted)
      to.push_back(from[positionOf(word, words)]);
    auto several = [&](ArrayRef<StringRef> list) {
      return llvm::to_vector(
          llvm::make_filter_range(list, [&](StringRef word) { return from[positionOf(word, words)] != Dim(1); }));
    };
    if (several(words) == several(wanted))
      return reshapeTo(builder, loc, tensor, to);
    return MapOp::create(builder, loc, tensorOf(elementOf(tensor), to), tensor,
                         [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
                           SmallVector<Value> place;
                           for (StringRef word : words)
                             place.push_back(indices[positionOf(word, wanted)]);
                           return LoadOp::create(b, at, tensors[0], place);
                         });
  }

  Value rounded(Value tensor) {
    if (elementOf(tensor) == element)
      return tensor;
    return MapOp::create(builder, loc, tensorOf(element, shapeOf(tensor)), tensor,
                         [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
                           return arith::TruncFOp::create(b, at, element, LoadOp::create(b, at, tensors[0], indices));
                         });
  }

  /// `[rows, k, n]` of the weight's panels `[matrix * n / width + panel, k, column]`, or of pairs
  /// `[…, k / 2, column * 2 + k mod 2]`.
  Value pickedMatrices(const Dim &count, const Dim &k, const Dim &n) {
    int64_t matrices = found.sizeOf(found.pick), depth = *k.constant(), columns = *n.constant();
    WeightOp weight = recipes.transpose(recipes.lookup(found.weight), {found.summed, found.pick, found.column});
    weight = recipes.reshape(weight, {depth, matrices * columns});
    bool isPaired = element.isBF16();
    weight = isPaired ? recipes.pairPanels(recipes.cast(weight, element), width) : recipes.panels(weight, width);
    SmallVector<Value> inputs(found.map.getInputs());
    unsigned argument = cast<BlockArgument>(found.load.getTensor()).getArgNumber();
    inputs[argument] = WeightRecipes::get(builder, loc, weight);
    return MapOp::create(builder, loc, tensorOf(element, {count, k, n}), inputs,
                         [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
                           auto constant = [&](int64_t value) -> Value {
                             return arith::ConstantIndexOp::create(b, at, value);
                           };
                           Value matrix = pickOf(b, at, tensors, indices[0]);
                           Value first = arith::MulIOp::create(b, at, matrix, constant(columns / width));
                           Value panel = arith::FloorDivSIOp::create(b, at, indices[2], constant(width));
                           Value place = arith::AddIOp::create(b, at, first, panel);
                           Value lane = arith::RemUIOp::create(b, at, indices[2], constant(width)), word = indices[1];
                           if (isPaired) {
                             Value half = arith::RemUIOp::create(b, at, word, constant(2));
                             lane = arith::AddIOp::create(b, at, arith::MulIOp::create(b, at, lane, constant(2)), half);
                             word = arith::FloorDivSIOp::create(b, at, word, constant(2));
                           }
                           return LoadOp::create(b, at, tensors[argument], ValueRange{place, word, lane});
                         });
  }

  /// What the map computed for the row's dims, for the row's number.
  Value pickOf(OpBuilder &b, Location at, ValueRange tensors, Value row) {
    IndexDomain domain = domainOf(found.op);
    Dim count = countOf(rowShape), number = domain.addIndex(count);
    SmallVector<Dim, 4> dims = reshapeIndices(number, count, rowShape, domain);
    IRMapping mapping;
    mapping.map(found.map.getOperandArgs(), tensors);
    Value pick = found.load.getIndices()[found.pick];
    for (auto [word, index] : llvm::zip(found.mapWords, found.map.getIndices()))
      if (int position = positionOf(word, rowWords); position >= 0)
        mapping.map(index, emitIndex(b, at, dims[position], domain, [&](StringRef) { return row; }));
    for (Operation *op : sliceOf(pick))
      b.clone(*op, mapping);
    return mapping.lookup(pick);
  }

  RowsOfMatrices found;
  WeightRecipes &recipes;
  int64_t width;
  OpBuilder builder;
  Location loc;
  Type element; ///< Of the product's operands.
  Words rowWords;
  Shape rowShape;
};

struct GroupProducts : impl::GroupProductsBase<GroupProducts> {
  using GroupProductsBase::GroupProductsBase;

  void runOnOperation() override {
    if (getOperation()->hasAttr("tenon.target"))
      return;
    auto wanted = getOperation()->getAttrOfType<StringAttr>("tenon.products");
    WeightRecipes recipes(getOperation());
    SmallVector<ContractOp> products;
    getOperation().walk([&](ContractOp op) { products.push_back(op); });
    for (ContractOp op : products)
      for (bool isLeft : {false, true})
        if (std::optional<RowsOfMatrices> found = RowsOfMatrices::match(op, isLeft))
          if (Grouping grouping(*found, recipes, width, /*isNarrow=*/bool(wanted)); grouping.isWorthwhile()) {
            grouping.rewrite();
            break;
          }
  }
};

} // namespace
} // namespace tenon
