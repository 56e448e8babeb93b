//===- Import.cpp - ONNX models in the tenon dialect -------------------------------===//
#include "frontends/onnx/importer/Import.h"
#include "frontends/onnx/importer/GraphImport.h"

using namespace mlir;
using namespace tenon;

/// An assumption restricts a symbol; a model has fewer symbols than this.
static constexpr unsigned maxRebuilds = 256;

static OwningOpRef<ModuleOp> importModel(const Result<onnx_reader::Model> &model, MLIRContext &context,
                                         WeightStore &weights) {
  if (!model) {
    emitError(UnknownLoc::get(&context)) << model.error().message;
    return {};
  }
  if (failed(onnx_importer::checkSupport(*model, context)))
    return {};
  Assumptions assumptions;
  for (unsigned i = 0; i < maxRebuilds; ++i) {
    GraphBuilder graph(context, weights, "main", &assumptions);
    LogicalResult imported = onnx_importer::GraphImport(*model, graph).run();
    if (graph.wantsRebuild())
      continue;
    if (failed(imported))
      return {};
    FailureOr<OwningOpRef<ModuleOp>> module = graph.finish();
    return failed(module) ? OwningOpRef<ModuleOp>() : std::move(*module);
  }
  emitError(UnknownLoc::get(&context)) << model->file << ": its dimensions cannot be made to agree";
  return {};
}

OwningOpRef<ModuleOp> tenon::importOnnx(const std::string &path, MLIRContext &context, WeightStore &weights) {
  return importModel(onnx_reader::readModel(path), context, weights);
}

OwningOpRef<ModuleOp> tenon::importOnnx(const Bytes &bytes, const std::string &name,
                                        const std::optional<std::string> &folder, MLIRContext &context,
                                        WeightStore &weights) {
  return importModel(onnx_reader::readModel(bytes, name, folder), context, weights);
}
