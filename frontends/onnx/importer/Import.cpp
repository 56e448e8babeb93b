//===- Import.cpp - ONNX models in the tenon dialect -------------------------------===//
#include "frontends/onnx/importer/Import.h"
#include "frontends/onnx/importer/GraphImport.h"

using namespace mlir;
using namespace tenon;

/// An assumption restricts a symbol; a model has fewer symbols than this.
static constexpr unsigned maxRebuilds = 256;

static OwningOpRef<ModuleOp> importModel(const Result<onnx_reader::Model> &model, MLIRContext &context,
                                         WeightStore &weights, const SymbolIntervals &given) {
  if (!model) {
    emitError(UnknownLoc::get(&context)) << model.error().message;
    return {};
  }
  if (failed(onnx_importer::checkSupport(*model, context)))
    return {};
  Assumptions assumptions(given);
  for (unsigned i = 0; i < maxRebuilds; ++i) {
    GraphBuilder graph(context, weights, "main", &assumptions);
    LogicalResult imported = onnx_importer::GraphImport(*model, graph).run();
    if (auto none = assumptions.contradiction()) {
      auto range = given.find(none->first);
      emitError(UnknownLoc::get(&context))
          << model->file << ": no size is left for dim '" << none->first << "': wanted at least " << none->second.lo
          << ", found at most " << none->second.hi
          << (range == given.end() ? "" : "; one is what the file takes, the other what was given (--dim)");
      return {};
    }
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

OwningOpRef<ModuleOp> tenon::importOnnx(const std::string &path, MLIRContext &context, WeightStore &weights,
                                        const SymbolIntervals &given) {
  return importModel(onnx_reader::readModel(path), context, weights, given);
}

OwningOpRef<ModuleOp> tenon::importOnnx(const Bytes &bytes, const std::string &name,
                                        const std::optional<std::string> &folder, MLIRContext &context,
                                        WeightStore &weights, const SymbolIntervals &given) {
  return importModel(onnx_reader::readModel(bytes, name, folder), context, weights, given);
}
