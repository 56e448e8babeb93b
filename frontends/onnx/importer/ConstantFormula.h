//===- ConstantFormula.h - constants that positions give -----------------------------===//
//
// Files carry tables that the program which wrote them had computed: positions 0, 1, 2, …; a causal mask as
// `torch.tril(torch.ones(1024, 1024))`, sliced to the length of the input; a window; a unit matrix. As a formula of the
// index they take part in what is derived from index arithmetic: attention skips the keys that such a mask excludes.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_CONSTANTFORMULA_H
#define TENON_FRONTENDS_ONNX_IMPORTER_CONSTANTFORMULA_H

#include "frontends/builder/GraphBuilder.h"
#include "frontends/onnx/importer/ImportedValue.h"

namespace tenon::onnx_importer {

/// `first + stride[0] * index[0] + …`: integers alone, and the same value everywhere if all strides are 0.
struct LinearFormula {
  int64_t first;
  llvm::SmallVector<int64_t> strides;

  static std::optional<LinearFormula> match(const onnx_reader::Tensor &tensor);
};

/// Of rows i and columns j, the last two dims of a tensor that has no others but of size 1:
/// one value where `least <= j - i <= greatest`, another elsewhere.
struct BandFormula {
  std::optional<int64_t> least, greatest; ///< None where it bounds nothing; never both.
  int64_t inside, outside;                ///< Where an element of that value stands.

  static std::optional<BandFormula> match(const onnx_reader::Tensor &tensor);
};

/// The tensor as a map without operands, if one of these gives it; else null.
mlir::Value formulaOf(const onnx_reader::Tensor &tensor, mlir::Type element, GraphBuilder &graph);

} // namespace tenon::onnx_importer
#endif
