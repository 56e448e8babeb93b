//===- ActivationProduct.cpp - contractions as products of matrices --------------------===//
#include "passes/lowering/ActivationProduct.h"
#include "dialects/tenon/ContractSpec.h"
#include "passes/lowering/IndexMath.h"

using namespace mlir;

namespace tenon {

namespace {

/// The elements between neighbours of each dim.
SmallVector<Dim> stridesOf(ArrayRef<Dim> shape) {
  SmallVector<Dim> strides(shape.size(), Dim(1));
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

/// `a` and the inner `b` are one index in every tensor that has them.
bool areNeighbours(const ProductIndex &a, const ProductIndex &b) {
  return a.left == b.left * b.size && a.right == b.right * b.size && a.result == b.result * b.size;
}

ProductIndex joined(const ProductIndex &a, const ProductIndex &b) {
  ProductIndex both{a.size * b.size, b.left, b.right, b.result, a.dims};
  llvm::append_range(both.dims, b.dims);
  return both;
}

void joinNeighbours(ActivationProduct::Indices &indices) {
  ActivationProduct::Indices kept;
  for (const ProductIndex &index : indices)
    if (!kept.empty() && areNeighbours(kept.back(), index))
      kept.back() = joined(kept.back(), index);
    else
      kept.push_back(index);
  indices = kept;
}

class Matcher {
public:
  Matcher(ContractOp op, const ContractSpec &spec) : op(op), spec(spec) {
    product.op = op;
    product.left = op.getLhs();
    product.right = op.getRhs();
    leftWords = spec.lhs;
    rightWords = spec.rhs;
  }

  std::optional<ActivationProduct> match(bool mayJoinColumns) {
    if (!spec.lone().empty() || spec.summed().empty() || !isNarrowFloat(op.getLhs()) || !isNarrowFloat(op.getRhs()) ||
        !isNarrowFloat(op.getResult()) || !op.getAccumulateType().isF32())
      return std::nullopt;
    std::optional<StringRef> last = lastWord();
    if (!last)
      return std::nullopt;
    if (positionOf(*last, rightWords) < 0) {
      std::swap(product.left, product.right);
      std::swap(leftWords, rightWords);
    }
    if (positionOf(*last, leftWords) >= 0)
      return std::nullopt;
    sortWords();
    takeColumns(mayJoinColumns);
    joinNeighbours(product.outer);
    joinNeighbours(product.rows);
    return product;
  }

private:
  static bool isNarrowFloat(Value tensor) {
    Type element = elementOf(tensor);
    return element.isF32() || element.isF16() || element.isBF16();
  }

  Dim sizeOf(StringRef word) const {
    int position = positionOf(word, leftWords);
    return position >= 0 ? shapeOf(product.left)[position] : shapeOf(product.right)[positionOf(word, rightWords)];
  }

  /// Of the result, of those that are more than one element.
  std::optional<StringRef> lastWord() const {
    for (StringRef word : llvm::reverse(spec.result))
      if (sizeOf(word) != Dim(1))
        return word;
    return std::nullopt;
  }

  ProductIndex indexOf(StringRef word) {
    auto strideIn = [&](Value tensor, ArrayRef<StringRef> words) {
      int position = positionOf(word, words);
      return position < 0 ? Dim(0) : stridesOf(shapeOf(tensor))[position];
    };
    ProductIndex index{sizeOf(word), strideIn(product.left, leftWords), strideIn(product.right, rightWords),
                       strideIn(op.getResult(), spec.result), {}};
    if (int position = positionOf(word, spec.result); position >= 0)
      index.dims.push_back(position);
    return index;
  }

  void sortWords() {
    for (StringRef word : spec.result) {
      if (sizeOf(word) == Dim(1))
        continue;
      bool isLeft = positionOf(word, leftWords) >= 0, isRight = positionOf(word, rightWords) >= 0;
      (isLeft && isRight ? product.outer : isLeft ? product.rows : product.columns).push_back(indexOf(word));
    }
    // In the order of the operand whose elements are read one by one the more often.
    for (StringRef word : leftWords)
      if (llvm::is_contained(spec.summed(), word) && sizeOf(word) != Dim(1))
        product.summed.push_back(indexOf(word));
    joinNeighbours(product.summed);
    if (product.summed.empty())
      product.summed.push_back({Dim(1), Dim(0), Dim(0), Dim(0), {}});
  }

  /// The last columns are the product's; those before them are of the outer indices.
  void takeColumns(bool mayJoin) {
    if (mayJoin)
      joinNeighbours(product.columns);
    ProductIndex last = product.columns.pop_back_val();
    llvm::append_range(product.outer, product.columns);
    product.columns = {last};
  }

  ContractOp op;
  const ContractSpec &spec;
  ContractSpec::Indices leftWords, rightWords;
  ActivationProduct product;
};

} // namespace

//===----------------------------------------------------------------------------===//
// Where elements are
//===----------------------------------------------------------------------------===//

Dim countOf(ArrayRef<ProductIndex> indices) {
  Dim count(1);
  for (const ProductIndex &index : indices)
    count *= index.size;
  return count;
}

SmallVector<Value> ProductPlaces::pointOf(Value number, ArrayRef<Dim> sizes) const {
  IndexMath index{scope.builder, loc};
  SmallVector<Value> point(sizes.size());
  for (size_t i = sizes.size(); i-- > 1;) {
    Value size = scope.dim(sizes[i], loc);
    point[i] = index.rem(number, size);
    number = index.div(number, size);
  }
  if (!point.empty())
    point.front() = number;
  return point;
}

SmallVector<Value> ProductPlaces::pointOf(Value number, ArrayRef<ProductIndex> indices) const {
  auto sizes = llvm::map_to_vector(indices, [](const ProductIndex &index) { return index.size; });
  return pointOf(number, ArrayRef<Dim>(sizes));
}

Value ProductPlaces::offsetOf(ArrayRef<Value> point, ArrayRef<ProductIndex> indices, Stride stride) const {
  IndexMath index{scope.builder, loc};
  Value offset = index.constant(0);
  for (auto [value, each] : llvm::zip_equal(point, indices))
    offset = index.add(offset, index.mul(value, scope.dim(each.*stride, loc)));
  return offset;
}

void ProductPlaces::place(ArrayRef<Value> point, ArrayRef<ProductIndex> indices, ArrayRef<Dim> shape,
                          MutableArrayRef<LaneValue> at) const {
  for (auto [value, each] : llvm::zip_equal(point, indices)) {
    auto sizes = llvm::map_to_vector(each.dims, [&](unsigned dim) { return shape[dim]; });
    for (auto [dim, coordinate] : llvm::zip_equal(each.dims, pointOf(value, ArrayRef<Dim>(sizes))))
      at[dim] = LaneValue::uniform(coordinate);
  }
}

//===----------------------------------------------------------------------------===//
// One matrix
//===----------------------------------------------------------------------------===//

void ActivationEmitter::enter(Value matrix) {
  outerPoint = pointOf(matrix, product.outer);
  leftBase = offsetOf(outerPoint, product.outer, &ProductIndex::left);
  rightBase = offsetOf(outerPoint, product.outer, &ProductIndex::right);
  resultBase = offsetOf(outerPoint, product.outer, &ProductIndex::result);
}

void ActivationEmitter::finishPiece(const PackedProduct::Piece &piece) {
  Value first = index.mul(piece.panel, RegisterTile::panelWidth);
  Value count = index.min(index.mul(piece.panelCount, RegisterTile::panelWidth),
                          index.sub(dim(columns().size), first));
  emitLoop(scope, loc, index.constant(0), piece.rowCount, [&](Value i) {
    SmallVector<Value> rowPoint = pointOf(index.add(piece.row, i), product.rows);
    Value start = index.add(index.add(resultBase, offsetOf(rowPoint, product.rows, &ProductIndex::result)), first);
    Value sums = index.add(piece.sumsOffset, index.mul(i, piece.sumsPitch));
    Shape shape = shapeOf(product.op.getResult());
    SmallVector<LaneValue> at(shape.size(), LaneValue::uniform(index.constant(0)));
    places.place(outerPoint, product.outer, shape, at);
    places.place(rowPoint, product.rows, shape, at);
    lowering.forEachElement(count, [&](RegionEmitter &emitter, const LaneValue &j) {
      if (columns().dims.size() == 1)
        at[columns().dims[0]] = {j.kind, index.add(first, j.value), j.step, false};
      LaneValue sum = emitter.loadConsecutive(piece.sums, index.add(sums, j.value));
      sum.value = convertFloat(builder, loc, sum.value, elementOf(product.op.getResult()));
      lowering.finish(emitter, at, index.add(start, j.value), sum);
    });
  });
}

std::optional<ActivationProduct> ActivationProduct::match(ContractOp op, bool mayJoinColumns) {
  std::string error;
  ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
  return Matcher(op, spec).match(mayJoinColumns);
}

} // namespace tenon
