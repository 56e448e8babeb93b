//===- Contraction.h - ONNX's general matrix product ----------------------------------===//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_CONTRACTION_H
#define TENON_FRONTENDS_ONNX_IMPORTER_CONTRACTION_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

/// alpha A B + beta C by the node's attributes, either factor transposed; null after an error.
mlir::Value generalProduct(NodeContext &n);

} // namespace tenon::onnx_importer
#endif
