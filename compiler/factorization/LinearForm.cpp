//===- LinearForm.cpp - a tensor as a matrix times another one, plus an offset -----------===//
#include "compiler/factorization/LinearForm.h"
#include <cmath>

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------------===//

std::optional<MatrixProduct> MatrixProduct::match(Value result, const ModelWeights &weights) {
  auto op = result.getDefiningOp<ContractOp>();
  std::string error;
  std::optional<ContractSpec> spec = op && !op.getPanels() ? ContractSpec::parse(op.getSpec(), error) : std::nullopt;
  if (!spec)
    return std::nullopt;
  MatrixProduct product{op, op.getLhs(), weights.of(op.getRhs())};
  if (!product.weight) {
    product.input = op.getRhs();
    product.weight = weights.of(op.getLhs());
    std::swap(spec->lhs, spec->rhs);
  }
  if (!product.weight || weights.of(product.input) || !isFloat32(product.weight) || !elementOf(product.input).isF32())
    return std::nullopt;
  if (spec->rhs.size() != 2 || !spec->batch().empty() || !spec->lone().empty() || spec->summed().size() != 1 ||
      spec->columns().size() != 1)
    return std::nullopt;
  StringRef k = spec->summed()[0], n = spec->columns()[0];
  product.isTransposed = spec->rhs[0] == n;
  product.dim = unsigned(positionOf(n, spec->result));
  ContractSpec::Indices inPlace = spec->result;
  inPlace[product.dim] = k;
  if (inPlace != spec->lhs)
    return std::nullopt;
  product.k = sizesOf(product.weight)[product.isTransposed];
  product.n = sizesOf(product.weight)[!product.isTransposed];
  return product;
}

//===----------------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------------===//

void LinearForm::append(const LinearForm &other) {
  matrix.append(other.matrix);
  offsets.append(other.offsets);
}

static void appendTo(Chain &chain, const Factor &factor) {
  if (!factor.matrix && isAll(factor.diagonal, 1))
    return;
  if (!factor.matrix && !chain.empty() && !chain.back().matrix)
    chain.back().diagonal = product(chain.back().diagonal, factor.diagonal);
  else
    chain.push_back(factor);
}

void LinearForm::append(const Factor &factor) {
  for (Chain &chain : matrix)
    appendTo(chain, factor);
  for (Offset &offset : offsets)
    appendTo(offset.factors, factor);
}

static bool hasMatrix(const Chain &chain) {
  return llvm::any_of(chain, [](const Factor &factor) { return factor.matrix; });
}
bool LinearForm::hasMatrix() const {
  return llvm::any_of(matrix, [](const Chain &chain) { return tenon::hasMatrix(chain); });
}
bool LinearForm::isDiagonal() const {
  return llvm::none_of(matrix, [](const Chain &chain) { return tenon::hasMatrix(chain); });
}

static bool areFinite(const Channels &channels) {
  return llvm::all_of(channels, [](double value) { return std::isfinite(value); });
}
bool LinearForm::isFinite() const {
  auto isFiniteChain = [](const Chain &chain) {
    return llvm::all_of(chain, [](const Factor &factor) { return areFinite(factor.diagonal); });
  };
  return llvm::all_of(matrix, isFiniteChain) && llvm::all_of(offsets, [&](const Offset &offset) {
           return areFinite(offset.vector) && isFiniteChain(offset.factors);
         });
}

std::optional<LinearForm> LinearAnalysis::formOf(ArrayRef<AffineTerm> terms, const Channels &offset, Value base,
                                                 unsigned dim) {
  Budget budget;
  return formOf(terms, offset, base, dim, budget);
}

std::optional<LinearForm> LinearAnalysis::formOf(ArrayRef<AffineTerm> terms, const Channels &offset, Value base,
                                                 unsigned dim, Budget &budget) {
  LinearForm form;
  for (const AffineTerm &term : terms) {
    std::optional<LinearForm> part = term.elsewhere ? std::nullopt : formOf(term.tensor, base, dim, budget);
    if (!part)
      return std::nullopt;
    part->append(Factor{{}, term.factor});
    form.append(*part);
  }
  if (!isAll(offset, 0))
    form.offsets.push_back({offset, {}});
  return form;
}

std::optional<LinearForm> LinearAnalysis::formOf(Value value, Value base, unsigned dim, Budget &budget) {
  if (value == base)
    return LinearForm{{Chain()}, {}};
  if (budget.steps == 0)
    return std::nullopt;
  --budget.steps;
  if (auto product = MatrixProduct::match(value, weights)) {
    std::optional<LinearForm> form = product->dim == dim ? formOf(product->input, base, dim, budget) : std::nullopt;
    if (form)
      form->append(
          Factor{product->isTransposed ? weights.recipes.transpose(product->weight, {1, 0}) : product->weight, {}});
    return form;
  }
  auto map = value.getDefiningOp<MapOp>();
  std::optional<Affine> sum = map && dim < map.getIndices().size() ? affine.find(map, dim) : std::nullopt;
  return sum ? formOf(sum->terms, sum->offset, base, dim, budget) : std::nullopt;
}

SmallVector<Value> LinearAnalysis::inputsOf(Value value, unsigned dim) {
  if (auto product = MatrixProduct::match(value, weights))
    return product->dim == dim ? SmallVector<Value>{product->input} : SmallVector<Value>();
  auto map = value.getDefiningOp<MapOp>();
  std::optional<Affine> sum = map && dim < map.getIndices().size() ? affine.find(map, dim) : std::nullopt;
  return sum ? llvm::map_to_vector(sum->terms, [](const AffineTerm &term) { return term.tensor; })
             : SmallVector<Value>();
}

llvm::SetVector<Value> LinearAnalysis::ancestorsOf(Value value, unsigned dim) {
  constexpr size_t most = 12; // a stream of residuals has no end
  llvm::SetVector<Value> found;
  found.insert(value);
  for (size_t next = 0; next < found.size() && found.size() < most; ++next)
    found.insert_range(inputsOf(found[next], dim));
  found.remove(value);
  return found;
}

llvm::SetVector<Operation *> LinearAnalysis::cone(ArrayRef<Value> values, Value base, unsigned dim) {
  llvm::SetVector<Value> found;
  found.insert_range(values);
  found.remove(base);
  llvm::SetVector<Operation *> operations;
  for (size_t next = 0; next < found.size(); ++next) {
    operations.insert(found[next].getDefiningOp());
    for (Value input : inputsOf(found[next], dim))
      if (input != base)
        found.insert(input);
  }
  return operations;
}

//===----------------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------------===//

static std::vector<float> rounded(const Channels &channels, size_t count) {
  std::vector<float> floats(count, float(channels[0]));
  if (channels.size() > 1)
    llvm::transform(channels, floats.begin(), [](double value) { return float(value); });
  return floats;
}

/// A vector to multiply the rows (columns = 1) or the columns (rows = 1) of a matrix with.
WeightOp LinearAnalysis::vector(WeightOp near, const Channels &channels, int64_t rows, int64_t columns) {
  return weights.add(near, ".factor", {rows, columns}, rounded(channels, size_t(rows * columns)));
}

WeightOp LinearAnalysis::matrixOf(const Chain &chain) {
  WeightRecipes &recipes = weights.recipes;
  SmallVector<WeightOp> matrices;
  Channels before{1};
  for (const Factor &factor : chain) {
    if (factor.matrix) {
      WeightOp matrix = factor.matrix;
      if (!isAll(before, 1))
        matrix = recipes.multiply(matrix, vector(matrix, before, sizesOf(matrix)[0], 1));
      before = {1};
      matrices.push_back(matrix);
    } else if (matrices.empty()) {
      before = product(before, factor.diagonal);
    } else {
      WeightOp &matrix = matrices.back();
      matrix = recipes.multiply(matrix, vector(matrix, factor.diagonal, 1, sizesOf(matrix)[1]));
    }
  }
  // The chain's narrower end first.
  while (matrices.size() > 1) {
    size_t size = matrices.size();
    bool fromFront = sizesOf(matrices[0])[0] <= sizesOf(matrices[size - 1])[1];
    size_t at = fromFront ? 0 : size - 2;
    matrices[at] = recipes.product(matrices[at], matrices[at + 1]);
    matrices.erase(matrices.begin() + at + 1);
  }
  return matrices.front();
}

llvm::Expected<WeightOp> LinearAnalysis::matrixOf(const LinearForm &form) {
  // Looked at before anything is added.
  for (const Chain &chain : form.matrix) {
    if (!tenon::hasMatrix(chain))
      return WeightOp();
    std::vector<float> elements;
    for (const Factor &factor : chain)
      if (factor.matrix)
        if (std::string error = weights.read(factor.matrix, elements); !error.empty())
          return llvm::createStringError(error);
  }
  WeightOp sum;
  for (const Chain &chain : form.matrix) {
    WeightOp matrix = matrixOf(chain);
    sum = sum ? weights.recipes.add(sum, matrix) : matrix;
  }
  return sum;
}

llvm::Expected<Channels> LinearAnalysis::offsetOf(const LinearForm &form) {
  Channels total{0};
  std::vector<float> elements;
  for (const LinearForm::Offset &offset : form.offsets) {
    Channels vector = offset.vector;
    for (const Factor &factor : offset.factors) {
      if (!factor.matrix) {
        vector = product(vector, factor.diagonal);
        continue;
      }
      if (std::string error = weights.read(factor.matrix, elements); !error.empty())
        return llvm::createStringError(error);
      size_t k = size_t(sizesOf(factor.matrix)[0]), n = size_t(sizesOf(factor.matrix)[1]);
      Channels result(n, 0);
      for (size_t row = 0; row < k; ++row)
        for (size_t column = 0; column < n; ++column)
          result[column] += vector[vector.size() == 1 ? 0 : row] * elements[row * n + column];
      vector = std::move(result);
    }
    total = sum(total, vector);
  }
  return total;
}

} // namespace tenon
