//===- Subgraph.h - graphs that are attributes of a node -------------------------------===//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_SUBGRAPH_H
#define TENON_FRONTENDS_ONNX_IMPORTER_SUBGRAPH_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

/// The graph the node must have under this name; null after an error.
const onnx_reader::Graph *graphAttribute(NodeContext &n, llvm::StringRef name);

} // namespace tenon::onnx_importer
#endif
