//===- Contraction.cpp - ONNX's matrix products ---------------------------------------===//
#include "frontends/onnx/importer/NodeContext.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

LogicalResult onnx_importer::importMatMul(NodeContext &n) { return n.result(n.graph.matmul(n.tensor(0), n.tensor(1))); }

LogicalResult onnx_importer::importGemm(NodeContext &n) {
  bool transposeA = n.integer("transA", 0) != 0, transposeB = n.integer("transB", 0) != 0;
  double alpha = n.real("alpha", 1), beta = n.real("beta", 1);
  Value a = n.tensor(0), b = n.tensor(1), c = n.optional(2);
  if (!a || !b)
    return failure();
  if (shapeOf(a).size() != 2 || shapeOf(b).size() != 2)
    return n.error() << "wants two matrices, found " << toString(shapeOf(a)) << " and " << toString(shapeOf(b));
  // A weight is transposed once, when the artifact is written; data by naming its indices.
  if (transposeB && b.getDefiningOp<GetOp>()) {
    b = n.graph.transposedWeight(b, {1, 0});
    transposeB = false;
  }
  std::string spec = std::string(transposeA ? "k m" : "m k") + ", " + (transposeB ? "n k" : "k n") + " -> m n";
  Value product = n.graph.scale(n.graph.contract(spec, a, b), alpha);
  return n.result(c ? n.graph.add(product, n.graph.scale(c, beta)) : product);
}

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

static std::optional<Equation> parseEquation(NodeContext &n, std::string text) {
  llvm::erase(text, ' ');
  StringRef left = text, right;
  bool hasResult = left.contains("->");
  std::tie(left, right) = left.split("->");
  Equation equation;
  for (StringRef operand : llvm::split(left, ','))
    equation.operands.push_back(operand.str());
  equation.result = right.str();
  if (!hasResult)
    for (char c = 'A'; c <= 'z'; ++c)
      if (llvm::isAlpha(c) && left.count(c) == 1)
        equation.result += c;
  auto isPlain = [](StringRef letters) { return llvm::all_of(letters, llvm::isAlpha) && !hasRepeatedLetter(letters); };
  if (!llvm::all_of(equation.operands, isPlain) || !isPlain(equation.result) || equation.operands.size() > 2) {
    n.error() << "attribute 'equation': wanted one or two operands of distinct letters, found " << quote(text);
    return std::nullopt;
  }
  return equation;
}

/// One operand: sum what the result does not have, then permute.
static LogicalResult sumAndTranspose(NodeContext &n, const Equation &equation) {
  Value x = n.tensor(0);
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

LogicalResult onnx_importer::importEinsum(NodeContext &n) {
  std::optional<Equation> equation = parseEquation(n, n.text("equation", ""));
  if (!equation)
    return failure();
  if (equation->operands.size() != n.count())
    return n.error() << "wants " << equation->operands.size() << " inputs for its equation, found " << n.count();
  if (n.count() == 1)
    return sumAndTranspose(n, *equation);
  auto spaced = [](StringRef letters) {
    return llvm::join(llvm::map_range(letters, [](char c) { return std::string(1, c); }), " ");
  };
  std::string spec =
      spaced(equation->operands[0]) + ", " + spaced(equation->operands[1]) + " -> " + spaced(equation->result);
  return n.result(n.graph.contract(spec, n.tensor(0), n.tensor(1)));
}
