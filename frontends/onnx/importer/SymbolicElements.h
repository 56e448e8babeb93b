//===- SymbolicElements.h - elements of tensors as dim expressions ------------------===//
//
// Exporters compute pads, scales and window counts with any operator there is: a size cast
// to float, halved, rounded up, put into a tensor, transposed, sliced backwards. As tensors
// these are maps; evaluated at constant indices over symbols, an element of such a map is an
// expression again. A rounding to float in between is left out: sizes are far below 2^24.
//
// Example: Cast(Ceil(Div(Cast(Shape(x)[1], float), 2.0)), int64) is `(S + 1) floordiv 2`.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_SYMBOLICELEMENTS_H
#define TENON_FRONTENDS_ONNX_IMPORTER_SYMBOLICELEMENTS_H

#include "frontends/onnx/importer/ImportedValue.h"
#include "llvm/ADT/DenseMap.h"

namespace tenon::onnx_importer {

class SymbolicElements {
public:
  explicit SymbolicElements(const Bounds &bounds) : bounds(bounds) {}

  /// What a tensor was made from, so that its map need not be evaluated.
  void remember(mlir::Value tensor, const Sizes &sizes);
  /// All elements of a small integer or boolean tensor, if each is decided for all sizes.
  std::optional<Sizes> sizesOf(mlir::Value tensor);
  /// Each element of a list of integers, none where it is not decided; nothing for what is no list of known length.
  std::optional<llvm::SmallVector<std::optional<Dim>>> eachSizeOf(mlir::Value list);
  /// The element of a tensor that has one, of any type, as a fraction: numerator and denominator.
  std::optional<std::pair<Dim, int64_t>> fractionOf(mlir::Value scalar);
  /// Whether all elements of a tensor of any size are one known number, and that is not zero.
  std::optional<bool> isNonZeroThroughout(mlir::Value tensor);

private:
  /// numerator / denominator; integers have the denominator 1.
  struct Number {
    Dim numerator;
    int64_t denominator = 1;
  };
  using MaybeNumber = std::optional<Number>;
  using Elements = llvm::SmallVector<Number>;
  using Scalars = llvm::DenseMap<mlir::Value, Number>;

  const Elements *elementsOf(mlir::Value tensor);
  /// What all elements of a tensor are.
  MaybeNumber everyElement(mlir::Value tensor);
  MaybeNumber elementAt(mlir::Value tensor, llvm::ArrayRef<int64_t> at);
  MaybeNumber evaluate(MapOp map, llvm::ArrayRef<int64_t> at);
  MaybeNumber evaluate(mlir::Operation &op, MapOp map, const Scalars &known);
  MaybeNumber load(LoadOp op, MapOp map, const Scalars &known);
  MaybeNumber select(mlir::arith::SelectOp op, const Scalars &known);
  MaybeNumber arithmetic(mlir::Operation &op, const Number &a, const Number &b);
  MaybeNumber compare(mlir::Operation &op, const Number &a, const Number &b);
  MaybeNumber convert(mlir::Operation &op, const Number &a);

  const Bounds &bounds;
  llvm::DenseMap<mlir::Value, std::optional<Elements>> memory;
  unsigned depth = 0;
};

} // namespace tenon::onnx_importer
#endif
