//===- Contraction.cpp - ONNX's matrix products ---------------------------------------===//
#include "frontends/onnx/importer/Contraction.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

LogicalResult onnx_importer::importMatMul(NodeContext &n) { return n.result(n.graph.matmul(n.tensor(0), n.tensor(1))); }

Value onnx_importer::generalProduct(NodeContext &n) {
  bool transposeA = n.integer("transA", 0) != 0, transposeB = n.integer("transB", 0) != 0;
  double alpha = n.real("alpha", 1), beta = n.real("beta", 1);
  Value a = n.tensor(0), b = n.tensor(1), c = n.optional(2);
  if (!a || !b)
    return {};
  if (shapeOf(a).size() != 2 || shapeOf(b).size() != 2)
    return n.error() << "wants two matrices, found " << toString(shapeOf(a)) << " and " << toString(shapeOf(b)),
           Value();
  // A weight is transposed once, when the artifact is written; data by naming its indices.
  if (transposeB && b.getDefiningOp<GetOp>()) {
    b = n.graph.transposedWeight(b, {1, 0});
    transposeB = false;
  }
  std::string spec = std::string(transposeA ? "k m" : "m k") + ", " + (transposeB ? "n k" : "k n") + " -> m n";
  Value product = n.graph.scale(n.graph.contract(spec, a, b), alpha);
  return c ? n.graph.add(product, n.graph.scale(c, beta)) : product;
}

LogicalResult onnx_importer::importGemm(NodeContext &n) { return n.result(generalProduct(n)); }

//===----------------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------------===//

namespace {
/// "bij,bjk->bik" taken apart: one letter an index.
struct Equation {
  SmallVector<std::string> operands;
  std::string result;
};
} // namespace

static bool hasRepeatedLetter(StringRef letters) {
  llvm::SmallDenseSet<char> seen;
  return llvm::any_of(letters, [&](char c) { return !seen.insert(c).second; });
}

/// "..." as letters that the equation does not use, one for each of the `count` dims it stands for:
/// the last ones of the `most` that another operand has, as broadcasting aligns them.
static std::string withoutEllipsis(StringRef letters, StringRef used, int64_t count, int64_t most) {
  auto [front, back] = letters.split("...");
  if (front.size() == letters.size())
    return letters.str();
  std::string batch;
  for (char c = 'A'; c <= 'z'; ++c)
    if (llvm::isAlpha(c) && !used.contains(c))
      batch += c;
  return (front + StringRef(batch).take_front(most).take_back(std::max<int64_t>(count, 0)) + back).str();
}

static std::optional<Equation> parseEquation(NodeContext &n, std::string text) {
  llvm::erase(text, ' ');
  StringRef left = text, right;
  bool hasResult = left.contains("->"), hasEllipsis = left.contains("...");
  std::tie(left, right) = left.split("->");
  Equation equation;
  SmallVector<StringRef> operands(llvm::split(left, ','));
  SmallVector<int64_t> counts;
  int64_t batch = 0;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    int64_t rank = i < n.count() ? int64_t(n.shape(i).size()) : 0;
    counts.push_back(operand.contains("...") ? rank - int64_t(operand.size() - 3) : 0);
    batch = std::max(batch, counts.back());
  }
  for (auto [operand, count] : llvm::zip(operands, counts))
    equation.operands.push_back(withoutEllipsis(operand, text, count, batch));
  equation.result = withoutEllipsis(right, text, batch, batch);
  if (!hasResult)
    for (char c = 'A'; c <= 'z'; ++c)
      if (llvm::isAlpha(c) && left.count(c) == 1)
        equation.result += c;
  auto isPlain = [](StringRef letters) { return llvm::all_of(letters, llvm::isAlpha); };
  bool sameBatch = !hasEllipsis || llvm::all_of(llvm::seq<size_t>(0, equation.operands.size()), [&](size_t i) {
    return equation.operands.size() == 1 || int64_t(equation.operands[i].size()) == int64_t(n.shape(i).size());
  });
  if (!llvm::all_of(equation.operands, isPlain) || !isPlain(equation.result) || hasRepeatedLetter(equation.result) ||
      (hasEllipsis && !hasResult) || !sameBatch) {
    n.error() << "attribute 'equation': wanted operands of letters and a result of distinct ones, found "
              << quote(text);
    return std::nullopt;
  }
  return equation;
}

/// Takes the diagonal of every letter that an operand has more than once: one dim for each letter.
static Value diagonal(NodeContext &n, Value x, std::string &letters) {
  if (!x || !hasRepeatedLetter(letters))
    return x;
  Shape from = shapeOf(x), to;
  std::string kept;
  if (from.size() != letters.size()) {
    n.error() << "wants an operand of rank " << letters.size() << ", found " << toString(from);
    return {};
  }
  for (auto [letter, dim] : llvm::zip(letters, from)) {
    size_t at = kept.find(letter);
    if (at == std::string::npos) {
      kept += letter;
      to.push_back(dim);
    } else if (!n.graph.wantEqual(to[at], dim, "an index that occurs twice")) {
      return {};
    }
  }
  Value result = n.graph.map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    auto source = llvm::map_to_vector(letters, [&](char letter) -> Value { return at[kept.find(letter)]; });
    return s.load(t[0], source);
  });
  letters = kept;
  return result;
}

/// One operand: sum what the result does not have, then permute.
static LogicalResult sumAndTranspose(NodeContext &n, Equation &equation) {
  Value x = diagonal(n, n.tensor(0), equation.operands[0]);
  StringRef from = equation.operands[0];
  if (!x)
    return failure();
  if (from.size() != shapeOf(x).size())
    return n.error() << "wants an operand of rank " << from.size() << ", found " << toString(shapeOf(x));
  SmallVector<int64_t> over, permutation;
  std::string kept;
  for (auto [i, letter] : llvm::enumerate(from))
    if (StringRef(equation.result).contains(letter))
      kept += letter;
    else
      over.push_back(i);
  for (char letter : equation.result)
    permutation.push_back(int64_t(kept.find(letter)));
  return n.result(n.graph.transpose(n.graph.reduce(ReduceKind::Sum, x, over, false), permutation));
}

static std::string spaced(StringRef letters) {
  return llvm::join(llvm::map_range(letters, [](char c) { return std::string(1, c); }), " ");
}

/// The indices of the product of `letters` and operand i that a later operand or the result has.
static std::string wantedAfter(const Equation &equation, unsigned i, StringRef letters) {
  std::string later = equation.result, kept;
  for (const std::string &operand : ArrayRef(equation.operands).drop_front(i + 1))
    later += operand;
  for (char letter : letters.str() + equation.operands[i])
    if (StringRef(later).contains(letter) && !StringRef(kept).contains(letter))
      kept += letter;
  return kept;
}

/// Operands are multiplied from left to right, as PyTorch and NumPy do; each product sums what nothing behind it has.
LogicalResult onnx_importer::importEinsum(NodeContext &n) {
  std::optional<Equation> equation = parseEquation(n, n.text("equation", ""));
  if (!equation)
    return failure();
  if (equation->operands.size() != n.count())
    return n.error() << "wants " << equation->operands.size() << " inputs for its equation, found " << n.count();
  if (n.count() == 1)
    return sumAndTranspose(n, *equation);
  Value product = diagonal(n, n.tensor(0), equation->operands[0]);
  std::string letters = equation->operands[0];
  for (unsigned i = 1; i < n.count(); ++i) {
    Value factor = diagonal(n, n.tensor(i), equation->operands[i]);
    std::string kept = i + 1 == n.count() ? equation->result : wantedAfter(*equation, i, letters);
    product = n.graph.contract(spaced(letters) + ", " + spaced(equation->operands[i]) + " -> " + spaced(kept), product,
                               factor);
    letters = kept;
  }
  return n.result(product);
}
