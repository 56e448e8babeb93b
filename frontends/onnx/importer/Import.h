//===- Import.h - ONNX models in the tenon dialect -------------------------------===//
//
// Symbols are the model's `dim_param`s; a dim without size or name becomes a symbol of
// its own. The entry function has the model's inputs and outputs, in their order, named
// by `tenon.name`. Integer tensors that hold sizes are evaluated as dim expressions and
// vanish; weights stay in the mapped file, which the store then keeps.
//
// Errors are diagnostics of the context, at locations that name the node.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_IMPORT_H
#define TENON_FRONTENDS_ONNX_IMPORTER_IMPORT_H

#include "dialects/tenon/WeightStore.h"
#include "frontends/MappedFile.h"
#include "frontends/builder/Assumptions.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace tenon {

/// The model in a file. Null after errors. What is `given` of its symbols decides what cannot be decided for all sizes.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(const std::string &path, mlir::MLIRContext &context, WeightStore &weights,
                                             const SymbolIntervals &given = {});

/// The model in memory. `name` stands for it in messages; external data is looked for in `folder`.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(const Bytes &bytes, const std::string &name,
                                             const std::optional<std::string> &folder, mlir::MLIRContext &context,
                                             WeightStore &weights, const SymbolIntervals &given = {});

/// The table of supported operators as Markdown: docs/onnx-support.md.
std::string onnxSupportTable();

} // namespace tenon
#endif
