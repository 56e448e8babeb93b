//===- Model.cpp - reading models, writing artifacts --------------------------------===//
#include "compiler/codegen/Codegen.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/ModelImpl.h"
#include "frontends/builder/GraphBuilder.h"
#include "frontends/huggingface/importer/Import.h"
#include "frontends/onnx/importer/Import.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace tenon {

Model::Model(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Model::Model(Model &&) = default;
Model &Model::operator=(Model &&) = default;
Model::~Model() = default;
ModuleOp Model::module() const { return *impl->module; }
const WeightStore &Model::weights() const { return impl->weights; }

CompiledModel::CompiledModel(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
CompiledModel::CompiledModel(CompiledModel &&) = default;
CompiledModel &CompiledModel::operator=(CompiledModel &&) = default;
CompiledModel::~CompiledModel() = default;
CompiledModel::Summary CompiledModel::summary() const { return impl->summary; }

EmulatedModel::EmulatedModel(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
EmulatedModel::EmulatedModel(EmulatedModel &&) = default;
EmulatedModel &EmulatedModel::operator=(EmulatedModel &&) = default;
EmulatedModel::~EmulatedModel() = default;
const tenon_linked_program &EmulatedModel::program() const { return impl->program; }
std::string EmulatedModel::fault() const { return impl->kernels->fault(); }
std::string EmulatedModel::report() const { return impl->kernels->report(); }

llvm::Error CompiledModel::write(const std::string &path) {
  if (ArtifactBuilder::Failure failure = impl->artifact->writeFile(path, impl->threads))
    return makeError(*failure);
  return llvm::Error::success();
}

llvm::Expected<ArtifactBytes> CompiledModel::toMemory() {
  ArtifactBytes bytes;
  if (ArtifactBuilder::Failure failure = impl->artifact->writeMemory(bytes, impl->threads))
    return makeError(*failure);
  return std::move(bytes);
}

std::unique_ptr<MLIRContext> makeContext() {
  DialectRegistry registry;
  registry.insert<TenonDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect>();
  registerCodegenDialects(registry);
  auto context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->printOpOnDiagnostic(false);
  context->loadDialect<TenonDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect>();
  return context;
}

CompiledModel::Summary summarise(const Program &program, const std::vector<LevelCode> &codes,
                                 const std::vector<WeightDesc> &weights) {
  CompiledModel::Summary summary;
  for (const LevelCode &code : codes) {
    summary.levels.push_back(code.name);
    summary.codeBytes.push_back(code.image.size());
  }
  for (const WeightDesc &weight : weights)
    summary.weightBytes += weight.sameAs == format::none ? weight.bytes : 0;
  summary.kernels = program.kernels.size();
  for (const EntryDesc &entry : program.tables.entries)
    summary.commands += entry.commands.size();
  return summary;
}

//===----------------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------------===//

static llvm::Expected<ModelFormat> guessFormat(const std::string &path) {
  if (!llvm::sys::fs::exists(path))
    return makeError(path + ": no such file or folder");
  if (llvm::sys::fs::is_directory(path))
    return ModelFormat::HuggingFace;
  StringRef extension = llvm::sys::path::extension(path);
  if (extension == ".mlir")
    return ModelFormat::Mlir;
  if (extension == ".onnx")
    return ModelFormat::Onnx;
  return makeError(path + ": cannot tell the format from the name; wanted a file ending in .onnx or .mlir, or a folder "
                          "with config.json and model.safetensors");
}

static std::unique_ptr<Model::Impl> emptyModel() {
  auto impl = std::make_unique<Model::Impl>();
  impl->context = makeContext();
  return impl;
}

/// What the options say of dims, for the importer to decide with.
static SymbolIntervals givenDims(const CompileOptions &options) {
  SymbolIntervals given;
  for (const auto &[name, range] : options.dims)
    given[name] = {range.first, range.second};
  return given;
}

llvm::Expected<Model> Compiler::load(const std::string &path, ModelFormat format) {
  if (format == ModelFormat::Guess) {
    auto guessed = guessFormat(path);
    if (!guessed)
      return guessed.takeError();
    format = *guessed;
  }
  auto model = emptyModel();
  DiagnosticCollector diagnostics(model->context.get(), path);
  if (format == ModelFormat::Onnx) {
    model->module = importOnnx(path, *model->context, model->weights, givenDims(optionsOf(*impl)));
  } else if (format == ModelFormat::HuggingFace) {
    model->module = importHuggingFace(path, *model->context, model->weights);
  } else {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    if (!buffer)
      return makeError(path + ": " + buffer.getError().message());
    return loadBytes((*buffer)->getBuffer(), format, path);
  }
  if (!model->module)
    return diagnostics.takeError(path + ": cannot be read");
  return Model(std::move(model));
}

llvm::Expected<Model> Compiler::loadBytes(StringRef bytes, ModelFormat format, const std::string &name) {
  auto model = emptyModel();
  DiagnosticCollector diagnostics(model->context.get(), name);
  if (format == ModelFormat::Onnx) {
    Bytes kept = Bytes::own(std::vector<uint8_t>(bytes.bytes_begin(), bytes.bytes_end()));
    model->module = importOnnx(kept, name, std::nullopt, *model->context, model->weights, givenDims(optionsOf(*impl)));
  } else if (format == ModelFormat::Mlir) {
    model->module = parseSourceString<ModuleOp>(bytes, ParserConfig(model->context.get()), name);
  } else {
    return makeError(name + ": wants the format of a model in memory to be named: ONNX or MLIR");
  }
  if (!model->module)
    return diagnostics.takeError(name + ": cannot be read");
  return Model(std::move(model));
}

llvm::Expected<Model> Compiler::build(llvm::function_ref<void(GraphBuilder &)> define) {
  auto model = emptyModel();
  DiagnosticCollector diagnostics(model->context.get());
  GraphBuilder graph(*model->context, model->weights);
  define(graph);
  FailureOr<OwningOpRef<ModuleOp>> module = graph.finish();
  if (failed(module))
    return diagnostics.takeError("the graph cannot be built");
  model->module = std::move(*module);
  return Model(std::move(model));
}

} // namespace tenon
