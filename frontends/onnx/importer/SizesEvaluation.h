//===- SizesEvaluation.h - rules shared by tensors and sizes -------------------------===//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_SIZESEVALUATION_H
#define TENON_FRONTENDS_ONNX_IMPORTER_SIZESEVALUATION_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

/// The dims Reshape gives: -1 is what is left, 0 copies unless `allowZero`. None after an error.
std::optional<Shape> reshapedTo(NodeContext &n, llvm::ArrayRef<Dim> from, llvm::ArrayRef<Dim> target, bool allowZero);

/// `size` elements from `begin`, `step` apart.
struct SliceRange {
  Dim begin, size;
  int64_t step;
};

/// What ONNX's start, end and step mean along a dim: below zero counts from the end,
/// beyond either end is clamped. None after an error.
std::optional<SliceRange> sliceRange(NodeContext &n, const Dim &start, const Dim &end, int64_t step, const Dim &dim);

} // namespace tenon::onnx_importer
#endif
