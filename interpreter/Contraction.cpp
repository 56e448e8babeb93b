//===- Contraction.cpp - sums of products over named indices ---------------------------===//
//
// Every contraction is a batch of matrix products once its indices are sorted into
// classes (ContractSpec.h): result[b][m][n] = Σ_k lhs[b][m][k] · rhs[b][k][n], each of
// b, m, n, k standing for several indices. Both operands are copied into that order, then
// three loops; columns go in blocks that stay in the cache. The sum over k runs from left to right.
//
//===-----------------------------------------------------------------------------===//
#include "dialects/tenon/ContractSpec.h"
#include "interpreter/Evaluation.h"
#include "interpreter/Indexing.h"

using namespace mlir;

namespace tenon {
namespace {

using Indices = ContractSpec::Indices;

/// The right operand as the matrix [K, N] it stands for: panels of `width` columns, each
/// row of a panel holding `pair` neighbours along k of every column.
Array unpackPanels(const Array &panels, int64_t depth, int64_t columns, int64_t width) {
  int64_t rows = panels.shape[1], pair = panels.shape[2] / width;
  Array matrix = Array::zeros(panels.dtype, {depth, columns});
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t n = 0; n < columns; ++n) {
      int64_t from = ((n / width * rows + k / pair) * width + n % width) * pair + k % pair;
      if (matrix.isFloat())
        matrix.floats[k * columns + n] = panels.floats[from];
      else
        matrix.integers[k * columns + n] = panels.integers[from];
    }
  return matrix;
}

/// The sizes of all indices, and where an operand's stand in memory.
class IndexSpace {
public:
  llvm::Error bind(Operation *op, ArrayRef<StringRef> names, ArrayRef<int64_t> shape) {
    for (auto [name, size] : llvm::zip(names, shape)) {
      auto [it, inserted] = sizes.try_emplace(name, size);
      if (it->second != size)
        return errorAt(op, "index '" + name + "' is " + llvm::Twine(it->second) + " and " + llvm::Twine(size));
    }
    return llvm::Error::success();
  }

  int64_t count(ArrayRef<StringRef> names) const { return countOf(sizesOf(names)); }

  /// Offsets into a tensor with dimensions `names` for every value of `walked`.
  std::vector<int64_t> offsets(ArrayRef<StringRef> walked, ArrayRef<StringRef> names) const {
    std::vector<int64_t> shape = sizesOf(names), strides = stridesOf(shape), walkedStrides;
    for (StringRef name : walked) {
      int position = positionOf(name, names);
      walkedStrides.push_back(position < 0 ? 0 : strides[position]);
    }
    return offsetsOf(sizesOf(walked), walkedStrides);
  }

private:
  std::vector<int64_t> sizesOf(ArrayRef<StringRef> names) const {
    std::vector<int64_t> found;
    for (StringRef name : names)
      found.push_back(sizes.lookup(name));
    return found;
  }
  llvm::StringMap<int64_t> sizes;
};

/// Arithmetic of the accumulate type: T holds the values, `round` fits a result to the type.
struct InDouble {
  using T = double;
  T round(T value) const { return value; }
};
struct InFloat {
  using T = float;
  T round(T value) const { return value; }
};
struct InInteger {
  using T = uint64_t;
  T round(T value) const { return value; }
};
struct InSmallFloat {
  using T = double;
  DType type;
  T round(T value) const { return roundTo(type, value); }
};

template <typename T> T elementOf(const Array &array, int64_t n) {
  return array.isFloat() ? T(array.floats[n]) : T(array.integers[n]);
}

template <typename Arithmetic> class Product {
public:
  using T = typename Arithmetic::T;

  Product(const ContractSpec &spec, const IndexSpace &space, const Array &lhs, const Array &rhs, Arithmetic arithmetic)
      : spec(spec), space(space), lhs(lhs), rhs(rhs), arithmetic(arithmetic), batch(space.count(spec.batch())),
        rows(space.count(spec.rows())), columns(space.count(spec.columns())), depth(space.count(spec.summed())) {}

  void run(Array &result) {
    std::vector<int64_t> batchTo = space.offsets(spec.batch(), spec.result);
    std::vector<int64_t> rowTo = space.offsets(spec.rows(), spec.result);
    std::vector<int64_t> columnTo = space.offsets(spec.columns(), spec.result);
    std::vector<T> a = copy(lhs, spec.lhs, spec.rows(), spec.summed());
    std::vector<T> b = copy(rhs, spec.rhs, spec.summed(), spec.columns());
    std::vector<T> sums(blockColumns);
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t begin = 0; begin < columns; begin += blockColumns) {
        int64_t width = std::min(blockColumns, columns - begin);
        for (int64_t m = 0; m < rows; ++m) {
          multiplyRow(a.data() + (n * rows + m) * depth, b.data() + n * depth * columns + begin, width, sums);
          for (int64_t c = 0; c < width; ++c)
            store(result, batchTo[n] + rowTo[m] + columnTo[begin + c], sums[c]);
        }
      }
  }

private:
  static constexpr int64_t blockColumns = 64;

  void multiplyRow(const T *a, const T *b, int64_t width, std::vector<T> &sums) {
    std::fill(sums.begin(), sums.end(), T(0));
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t c = 0; c < width; ++c)
        sums[c] = arithmetic.round(sums[c] + arithmetic.round(a[k] * b[k * columns + c]));
  }

  void store(Array &result, int64_t at, T value) {
    using Signed = std::conditional_t<std::is_integral_v<T>, int64_t, T>;
    if (result.isFloat())
      result.floats[at] = double(Signed(value));
    else
      result.integers[at] = int64_t(value);
  }

  /// [batch][outer][inner], the indices that only this operand has summed on the way.
  std::vector<T> copy(const Array &from, const Indices &names, const Indices &outer, const Indices &inner) {
    Indices lone = llvm::filter_to_vector<4>(spec.lone(), [&](StringRef name) { return positionOf(name, names) >= 0; });
    std::vector<int64_t> batchAt = space.offsets(spec.batch(), names), outerAt = space.offsets(outer, names),
                         innerAt = space.offsets(inner, names), loneAt = space.offsets(lone, names);
    std::vector<T> matrix;
    matrix.reserve(batchAt.size() * outerAt.size() * innerAt.size());
    for (int64_t b : batchAt)
      for (int64_t o : outerAt)
        for (int64_t i : innerAt) {
          T sum = 0;
          for (int64_t l : loneAt)
            sum = arithmetic.round(sum + elementOf<T>(from, b + o + i + l));
          matrix.push_back(sum);
        }
    return matrix;
  }

  const ContractSpec &spec;
  const IndexSpace &space;
  const Array &lhs, &rhs;
  Arithmetic arithmetic;
  int64_t batch, rows, columns, depth;
};

template <typename Arithmetic>
void multiply(const ContractSpec &spec, const IndexSpace &space, const Array &lhs, const Array &rhs,
              Arithmetic arithmetic, Array &result) {
  Product<Arithmetic>(spec, space, lhs, rhs, arithmetic).run(result);
}

void multiplyIn(DType accumulate, bool plain, const ContractSpec &spec, const IndexSpace &space, const Array &lhs,
                const Array &rhs, Array &result) {
  if (!isFloat(accumulate))
    multiply(spec, space, lhs, rhs, InInteger{}, result);
  else if (!plain || accumulate == DType::F64)
    multiply(spec, space, lhs, rhs, InDouble{}, result);
  else if (accumulate == DType::F32)
    multiply(spec, space, lhs, rhs, InFloat{}, result);
  else
    multiply(spec, space, lhs, rhs, InSmallFloat{accumulate}, result);
}

/// Through the accumulate type to the result's.
void finish(DType accumulate, const Evaluation &evaluation, Array &result) {
  for (double &value : result.floats)
    value = evaluation.round(result.dtype, value);
  for (int64_t &value : result.integers)
    value = wrapTo(result.dtype, wrapTo(accumulate, value));
}

} // namespace

llvm::Expected<Array> evaluateContract(ContractOp op, Operands operands, const Evaluation &evaluation) {
  llvm::Expected<Array> result = makeResult(op.getResult(), evaluation);
  if (!result)
    return result.takeError();
  llvm::Expected<DType> accumulate = dtypeOf(op.getAccumulateType(), op);
  if (!accumulate)
    return accumulate.takeError();
  std::string message;
  std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), message);
  if (!spec)
    return errorAt(op, message);

  const Array &lhs = *operands[0];
  if (lhs.isFloat() && !isFloat(*accumulate))
    return errorAt(op, "wanted to accumulate products of " + toString(lhs.dtype) + " in a float, found " +
                           toString(*accumulate));
  Array unpacked;
  if (op.getPanels())
    unpacked = unpackPanels(*operands[1], lhs.shape[positionOf(spec->rhs[0], spec->lhs)],
                            result->shape[positionOf(spec->rhs[1], spec->result)], *op.getPanels());
  const Array &rhs = op.getPanels() ? unpacked : *operands[1];

  IndexSpace space;
  for (auto [names, shape] :
       {std::pair(&spec->lhs, &lhs.shape), {&spec->rhs, &rhs.shape}, {&spec->result, &result->shape}})
    if (llvm::Error error = space.bind(op, *names, *shape))
      return error;
  multiplyIn(*accumulate, evaluation.arithmetic == Arithmetic::Plain, *spec, space, lhs, rhs, *result);
  finish(*accumulate, evaluation, *result);
  return result;
}

} // namespace tenon
