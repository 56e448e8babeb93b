//===- Microsoft.h - importers of the domain com.microsoft -------------------------===//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_MICROSOFT_H
#define TENON_FRONTENDS_ONNX_IMPORTER_MICROSOFT_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer::microsoft {

#define TENON_MICROSOFT_OPERATOR(name, types, summary) mlir::LogicalResult import##name(NodeContext &n);
#include "frontends/onnx/importer/MicrosoftOperators.def"
#undef TENON_MICROSOFT_OPERATOR

/// True if an attribute has the one value that is supported; else an error.
bool wantInteger(NodeContext &n, llvm::StringRef attribute, int64_t wanted);

/// [first, extents..., channels] as [first, channels, extents...]; of rank below 3 as it is.
mlir::Value channelsSecond(NodeContext &n, mlir::Value x);
/// And back.
mlir::Value channelsLast(NodeContext &n, mlir::Value x);

} // namespace tenon::onnx_importer::microsoft
#endif
