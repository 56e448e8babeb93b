//===- Import.cpp - Hugging Face folders in the tenon dialect --------------------------===//
#include "frontends/huggingface/importer/Import.h"
#include "frontends/huggingface/importer/Architecture.h"
#include "frontends/huggingface/importer/Architectures.inc"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::huggingface_importer;

static const Architecture *findArchitecture(StringRef modelType) {
  for (const Architecture *architecture : architectures)
    if (architecture->modelType == modelType)
      return architecture;
  return nullptr;
}

static std::string knownTypes() {
  return llvm::join(llvm::map_range(architectures, [](const Architecture *a) { return a->modelType.str(); }), ", ");
}

static void build(FolderImport &import) {
  GraphBuilder &graph = import.graph;
  const Architecture *architecture = findArchitecture(import.string("model_type"));
  if (!architecture)
    return import.unsupported("model_type", "one of: " + knownTypes());
  Encoded encoded = architecture->build(import);
  if (graph.hasFailed())
    return;
  if (import.folder.sentence)
    return graph.output("sentence_embedding", poolSentence(graph, encoded, *import.folder.sentence));
  graph.output("last_hidden_state", encoded.states);
  for (auto &[name, value] : encoded.others)
    graph.output(name, value);
}

OwningOpRef<ModuleOp> tenon::importHuggingFace(const std::string &path, MLIRContext &context, WeightStore &weights) {
  Result<huggingface_reader::Folder> folder = huggingface_reader::readFolder(path);
  if (!folder) {
    emitError(UnknownLoc::get(&context)) << folder.error().message;
    return {};
  }
  GraphBuilder graph(context, weights);
  FolderImport import(graph, *folder);
  build(import);
  FailureOr<OwningOpRef<ModuleOp>> module = graph.finish();
  return failed(module) ? OwningOpRef<ModuleOp>() : std::move(*module);
}
