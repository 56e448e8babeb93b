//===- Reduction.h - what other operators need of reductions ---------------------------===//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_REDUCTION_H
#define TENON_FRONTENDS_ONNX_IMPORTER_REDUCTION_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

/// Element i combines the elements of x up to i along `axis` (without i if exclusive, those from i on if reverse).
mlir::Value running(NodeContext &n, ReduceKind kind, mlir::Value x, int64_t axis, bool exclusive, bool reverse);

/// Where the maximum (or minimum) along `axis` stands, i64: the first place of several, or the last. A NaN is the extreme.
mlir::Value placeOfExtreme(NodeContext &n, ReduceKind kind, mlir::Value x, int64_t axis, bool last, bool keepDims);

} // namespace tenon::onnx_importer
#endif
