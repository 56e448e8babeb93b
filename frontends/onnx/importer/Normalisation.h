//===- Normalisation.h - what ONNX's and Microsoft's norms share -----------------------===//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_NORMALISATION_H
#define TENON_FRONTENDS_ONNX_IMPORTER_NORMALISATION_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

/// The further outputs of a norm of the dims from `axis` on: their mean, and what they are multiplied by, one over the
/// root of their variance (or, of an RMS norm, their mean square) plus epsilon. In float32 or wider, the dims kept.
std::pair<mlir::Value, mlir::Value> statistics(NodeContext &n, NormKind kind, mlir::Value x, int64_t axis,
                                               double epsilon);

} // namespace tenon::onnx_importer
#endif
