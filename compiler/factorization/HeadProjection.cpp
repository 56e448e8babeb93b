//===- HeadProjection.cpp - a product with a weight, read as heads --------------------------------------===//
#include "compiler/factorization/HeadProjection.h"
#include "compiler/program/BuildProgram.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------------===//

ContractWords::ContractWords(ContractOp op) : domain(domainOf(op)) {
  std::string error;
  spec = *ContractSpec::parse(op.getSpec(), error); // the verifier has
  for (auto [list, tensor] : {std::pair(spec.lhs, op.getLhs()), std::pair(spec.rhs, op.getRhs())})
    for (auto [word, extent] : llvm::zip(list, shapeOf(tensor)))
      if (!symbols.contains(word))
        symbols[word] = domain.addIndex(extent);
}

StringRef ContractWords::wordOf(const Dim &index) const {
  for (const auto &entry : symbols)
    if (entry.second == index)
      return entry.first();
  return "";
}

int64_t HeadWords::count() const {
  int64_t product = 1;
  for (int64_t size : sizes)
    product *= size;
  return product;
}

std::map<std::string, int64_t, std::less<>> HeadWords::at(const ContractWords &contract, int64_t head, StringRef other,
                                                          int64_t position) const {
  std::map<std::string, int64_t, std::less<>> values;
  for (auto [word, size] : llvm::reverse(llvm::zip(words, sizes))) {
    values[std::string(*contract.symbolOf(word).asSymbol())] = head % size;
    head /= size;
  }
  values[std::string(*contract.symbolOf(other).asSymbol())] = position;
  return values;
}

//===----------------------------------------------------------------------------===//
// Projections
//===----------------------------------------------------------------------------===//

/// The rows and the k columns that a reshape made a matrix of; empty if it made none.
static Shape beforeMerging(Value input) {
  auto reshape = input.getDefiningOp<ReshapeOp>();
  Shape before = reshape ? shapeOf(reshape.getInput()) : Shape();
  for (unsigned d = 0; d < before.size(); ++d)
    if (countOf(ArrayRef(before).drop_front(d)) == shapeOf(input).back()) {
      before.truncate(d);
      before.push_back(shapeOf(input).back());
      return before;
    }
  return {};
}

ProductRows::ProductRows(const MatrixProduct &product) : dim(product.dim) {
  Shape dims = shapeOf(product.input);
  if (Shape before = beforeMerging(product.input); dim + 1 == dims.size() && !before.empty()) {
    dims = before;
    dim = unsigned(dims.size()) - 1;
  }
  unsigned channels = dim;
  for (auto [d, extent] : llvm::enumerate(dims)) {
    if (d == channels)
      dim = unsigned(shape.size());
    if (d == channels || extent != Dim(1))
      shape.push_back(extent);
  }
}

HeadProjection::HeadProjection(ContractWords &words, ContractOp op, unsigned operand, StringRef width,
                               LinearAnalysis &linear)
    : words(words), width(width) {
  const ContractSpec::Indices &list = operand ? words.spec.rhs : words.spec.lhs;
  auto at = llvm::map_to_vector<4>(list, [&](StringRef word) { return words.symbolOf(word); });
  std::optional<int64_t> size = words.sizeOf(width);
  if (!size || !findProduct(viewOf(op->getOperand(operand), at, words.domain, Through::MovementAndScale), linear) ||
      !nameRows()) {
    Operation *made = op->getOperand(operand).getDefiningOp();
    problem = "'" + (made ? sourceOf(made->getLoc()) : std::string("an input")) +
              "' is no product with a weight, read as heads";
    return;
  }
  columns = *size;
}

bool HeadProjection::findProduct(const View &view, LinearAnalysis &linear) {
  scale = view.scale;
  indices = view.indices;
  product = MatrixProduct::match(view.base, linear.weights);
  auto map = view.base.getDefiningOp<MapOp>();
  for (unsigned d = 0; map && !product && d < indices.size(); ++d) {
    std::optional<Affine> sum = linear.affine.find(map, d);
    if (!sum || sum->terms.size() != 1 || sum->terms[0].elsewhere ||
        !isAll(sum->terms[0].factor, sum->terms[0].factor[0]))
      continue;
    product = MatrixProduct::match(sum->terms[0].tensor, linear.weights);
    if (product && product->dim != d)
      product.reset();
    double factor = sum->terms[0].factor[0];
    if (!product || factor == 0)
      continue;
    scale *= factor;
    offset = tenon::product(sum->offset, {1 / factor});
  }
  return product.has_value();
}

bool HeadProjection::nameRows() {
  rows.emplace(*product);
  Shape from = shapeOf(product->op.getResult()), to = rows->shape;
  to[rows->dim] = from[product->dim];
  if (from != to)
    indices = reshapeIndices(indices, from, to, words.domain);
  for (unsigned d = 0; d < indices.size(); ++d) {
    StringRef word = d == rows->dim ? "" : words.wordOf(words.domain.simplify(indices[d]));
    if (d != rows->dim && (word.empty() || llvm::is_contained(rowWords, word)))
      return false;
    rowWords.push_back(word);
  }
  return true;
}

ContractSpec::Indices HeadProjection::headWords() const {
  ContractSpec::Indices heads;
  for (StringRef word : words.spec.batch())
    if (llvm::is_contained(indices[rows->dim].symbols(), std::string(*words.symbolOf(word).asSymbol())))
      heads.push_back(word);
  return heads;
}

bool HeadProjection::findBegins(const HeadWords &heads) {
  for (int64_t head = 0; head < heads.count(); ++head)
    for (int64_t column = 0; column < columns; ++column) {
      std::optional<int64_t> place = indices[rows->dim].evaluate(heads.at(words, head, width, column));
      if (place && column == 0)
        begins.push_back(*place);
      if (!place || *place != begins[size_t(head)] + column || *place < 0 || *place >= product->n) {
        problem = "the columns of a head are no neighbours in '" + product->weight.getSymName().str() + "'";
        return false;
      }
    }
  return true;
}

WeightOp HeadProjection::matrix(int64_t head, bool withBias, ModelWeights &weights) const {
  WeightOp whole = product->isTransposed ? weights.recipes.transpose(product->weight, {1, 0}) : product->weight;
  WeightOp matrix = weights.recipes.slice(whole, 1, begins[size_t(head)], columns);
  if (!withBias)
    return matrix;
  Channels row = bias(head);
  return weights.recipes.concat(
      {matrix, weights.add(matrix, ".bias", {1, columns}, std::vector<float>(row.begin(), row.end()))}, 0);
}

Channels HeadProjection::bias(int64_t head) const {
  if (offset.size() == 1)
    return Channels(size_t(columns), offset[0]);
  auto begin = offset.begin() + begins[size_t(head)];
  return Channels(begin, begin + columns);
}

} // namespace tenon
