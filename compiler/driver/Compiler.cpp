//===- Compiler.cpp - a model in, an artifact out -----------------------------------===//
#include "compiler/driver/Compiler.h"
#include "compiler/codegen/Codegen.h"
#include "compiler/codegen/MatrixUnit.h"
#include "compiler/codegen/nvptx/LowerKernelsForDevice.h"
#include "compiler/codegen/nvptx/emulator/EmulatedProgram.h"
#include "compiler/constants/ComputeConstants.h"
#include "compiler/constants/FoldConstants.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/ModelImpl.h"
#include "compiler/explain/Explain.h"
#include "compiler/explain/RemarkCollector.h"
#include "compiler/pipeline/Pipeline.h"
#include "compiler/program/BuildProgram.h"
#include "compiler/weights/Recipe.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ThreadPool.h"

#include <chrono>

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Steps, timed and reported
//===----------------------------------------------------------------------------===//

struct Compiler::Impl {
  CompileOptions options;

  template <typename Work> auto step(const std::string &name, Work work) {
    if (!options.progress)
      return work();
    options.progress(name, -1);
    auto begin = std::chrono::steady_clock::now();
    llvm::scope_exit report([&] {
      options.progress(name, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    });
    return work();
  }

  unsigned threads() const { return llvm::hardware_concurrency(options.threads).compute_thread_count(); }

  llvm::Error applyRecipe(Model &model);
  llvm::Error runProgramPhases(Model &model, StringRef last);
  llvm::Expected<std::vector<Level>> levels() const;
};

const CompileOptions &optionsOf(const Compiler::Impl &compiler) { return compiler.options; }

Compiler::Compiler(CompileOptions options) : impl(new Impl{std::move(options)}) {}
Compiler::~Compiler() = default;

std::string defaultTargets() {
#if defined(__x86_64__)
  return "x86-64-v3,host";
#else
  return "host";
#endif
}

llvm::Expected<std::vector<Level>> Compiler::Impl::levels() const {
  return parseTargets(options.targets.empty() ? defaultTargets() : options.targets);
}

//===----------------------------------------------------------------------------===//
// From a module to kernels
//===----------------------------------------------------------------------------===//

/// Narrows the bounds of symbols to what the options say: what the model takes for granted stays.
static llvm::Error applyBounds(ModuleOp module, const CompileOptions &options) {
  for (const auto &[name, range] : options.dims) {
    auto symbol = module.lookupSymbol<SymbolOp>(name);
    if (!symbol) {
      std::string known;
      for (SymbolOp op : module.getOps<SymbolOp>())
        known += (known.empty() ? "" : ", ") + op.getSymName().str();
      return makeError("no dim is named '" + name + "'; the model has: " + (known.empty() ? "none" : known));
    }
    int64_t low = std::max<int64_t>(symbol.getMin(), range.first);
    int64_t high = std::min<int64_t>(symbol.getMax(), range.second);
    if (low > high)
      return makeError("dim '" + name + "': the model takes " + Twine(symbol.getMin()) + ".." + Twine(symbol.getMax()) +
                       ", wanted a size of it, found --dim " + name + "=" + Twine(range.first) + ".." +
                       Twine(range.second));
    symbol.setMin(low);
    symbol.setMax(high);
  }
  return llvm::Error::success();
}

llvm::Error Compiler::Impl::applyRecipe(Model &model) {
  if (options.factorization.steps.empty())
    return llvm::Error::success();
  return step("factorize", [&]() -> llvm::Error {
    auto factorized = factorize(model.module(), model.impl->weights, options.factorization, threads());
    if (!factorized)
      return factorized.takeError();
    model.impl->factorized = std::move(*factorized);
    return llvm::Error::success();
  });
}

static TargetAttr targetOf(const Level &level, MLIRContext *context) {
  return TargetAttr::get(context, level.name, level.vectorBits, level.vectorRegisters, level.tileRows, level.l1Bytes,
                         level.l2Bytes);
}

/// A program is the same for all of its levels. One for GPUs alone is planned for the first of them.
static void planFor(ModuleOp module, ArrayRef<Level> levels) {
  if (llvm::all_of(levels, [](const Level &level) { return level.isDevice(); }))
    module->setAttr("tenon.target", targetOf(levels.front(), module.getContext()));
}

llvm::Error Compiler::Impl::runProgramPhases(Model &model, StringRef last) {
  if (llvm::Error error = applyBounds(model.module(), options))
    return error;
  MLIRContext *context = model.module().getContext();
  if (options.products == ProductType::BF16)
    model.module()->setAttr("tenon.products", StringAttr::get(context, "bf16"));
  if (!options.targets.empty()) {
    auto levels = this->levels();
    if (!levels)
      return levels.takeError();
    planFor(model.module(), *levels);
  }
  // A module of kernels, as exposeKernelResults leaves it, has been through all of them.
  if (last == "import" || !model.module().getOps<KernelOp>().empty())
    return llvm::Error::success();
  for (const Phase &phase : programPhases()) {
    DiagnosticCollector diagnostics(context);
    PassManager passes(context);
    phase.addPasses(passes);
    bool isDone = step(phase.name.str(), [&] { return succeeded(passes.run(model.module())); });
    if (!isDone)
      return diagnostics.takeError("the phase '" + phase.name.str() + "' failed");
    if (phase.name == "simplify") {
      if (llvm::Error error = applyRecipe(model))
        return error;
      step("constants", [&] { foldConstants(model.module(), model.impl->weights); });
    }
    if (phase.name == "choose")
      if (llvm::Error error = step("constants", [&] { return computeConstants(model.module(), model.impl->weights); }))
        return error;
    if (phase.name == last)
      break;
  }
  return llvm::Error::success();
}

/// The kernels alone, as bytecode: each level reads them into a context of its own, so that
/// levels can be lowered and compiled side by side.
static std::string serialiseKernels(ModuleOp module) {
  OpBuilder builder(module.getContext());
  OwningOpRef<ModuleOp> kernels = ModuleOp::create(module.getLoc());
  builder.setInsertionPointToStart(kernels->getBody());
  for (KernelOp kernel : module.getOps<KernelOp>())
    builder.clone(*kernel);
  std::string bytes;
  llvm::raw_string_ostream stream(bytes);
  (void)writeBytecodeToFile(*kernels, stream);
  return bytes;
}

namespace {
/// Kernels lowered to functions for one level.
struct LoweredKernels {
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module;
};
} // namespace

/// Appends what the passes report to `decisions`, where there is one.
static llvm::Expected<LoweredKernels> lowerFor(const Level &level, StringRef kernels,
                                               std::vector<Decision> *decisions = nullptr) {
  LoweredKernels lowered;
  lowered.context = makeContext();
  MLIRContext *context = lowered.context.get();
  std::optional<RemarkCollector> remarks;
  if (decisions)
    remarks.emplace(context);
  DiagnosticCollector diagnostics(context);
  lowered.module = parseSourceString<ModuleOp>(kernels, ParserConfig(context));
  if (!lowered.module)
    return diagnostics.takeError("the kernels cannot be read back");
  (*lowered.module)->setAttr("tenon.target", targetOf(level, context));
  setProductInstructions(*lowered.module, level);
  PassManager passes(context);
  addLoweringPasses(passes, level.isDevice() ? createLowerKernelsForDevice() : createLowerKernels());
  if (failed(passes.run(*lowered.module)))
    return diagnostics.takeError("lowering for " + level.name.str() + " failed");
  if (decisions)
    llvm::append_range(*decisions, remarks->take());
  return std::move(lowered);
}

//===----------------------------------------------------------------------------===//
// Artifacts
//===----------------------------------------------------------------------------===//

static unsigned rankOf(const Level &level) {
  return unsigned(llvm::find_if(allLevels(), [&](const Level &other) { return other.id == level.id; }) -
                  allLevels().begin());
}

namespace {
/// What compiling for one level gives.
struct LevelResult {
  LevelCode code;
  std::vector<std::pair<Dim, Dim>> grids; // per kernel: tiles and scratch bytes, over its dims
  std::string error;
};
} // namespace

static LevelResult failedLevel(llvm::Error error) {
  LevelResult result;
  result.error = llvm::toString(std::move(error));
  return result;
}

static LevelResult compileLevel(const Level &level, StringRef kernels, const std::vector<KernelDesc> &order) {
  auto lowered = lowerFor(level, kernels);
  if (!lowered)
    return failedLevel(lowered.takeError());
  LevelResult result;
  LevelCode &code = result.code;
  for (const KernelDesc &kernel : order) {
    auto function = lowered->module->lookupSymbol<func::FuncOp>(kernel.name);
    result.grids.emplace_back(function->getAttrOfType<DimAttr>("tenon.tiles").getValue(),
                              function->getAttrOfType<DimAttr>("tenon.scratch").getValue());
    auto number = [&](StringRef name) {
      auto value = function->getAttrOfType<IntegerAttr>(name);
      return value ? unsigned(value.getInt()) : 0;
    };
    KernelCode &launch = code.kernels.emplace_back();
    launch.blockThreads = number("tenon.block_threads");
    launch.sharedBytes = number("tenon.shared_bytes");
    launch.grain = number("tenon.grain");
  }
  DiagnosticCollector diagnostics(lowered->context.get());
  FailureOr<CodeImage> image = compileKernels(*lowered->module, level);
  if (failed(image))
    return failedLevel(diagnostics.takeError("code generation for " + level.name.str() + " failed"));
  llvm::StringMap<uint64_t> addresses;
  for (const KernelSymbol &symbol : image->kernels)
    addresses[symbol.name] = symbol.address;
  code.name = level.name.str();
  code.features = requiredFeatures(level);
  code.machine = level.elfMachine();
  code.rank = rankOf(level);
  code.image.assign(image->bytes.begin(), image->bytes.end());
  for (auto [kernel, launch] : llvm::zip(order, code.kernels))
    launch.address = addresses.lookup(kernel.name);
  return result;
}

/// Every level at once, as many threads as there are.
static llvm::Expected<std::vector<LevelCode>> compileLevels(ArrayRef<Level> levels, StringRef kernels,
                                                            ProgramDesc &tables, unsigned threads) {
  std::vector<LevelResult> results(levels.size());
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(threads));
  for (size_t i = 0; i < levels.size(); ++i)
    pool.async([&, i] { results[i] = compileLevel(levels[i], kernels, tables.kernels); });
  pool.wait();
  std::vector<LevelCode> codes;
  for (LevelResult &result : results) {
    if (!result.error.empty())
      return makeError(result.error);
    for (auto [kernel, grid] : llvm::zip(result.code.kernels, result.grids)) {
      kernel.grid = addKernelDim(tables, grid.first);
      kernel.scratch = addKernelDim(tables, grid.second);
    }
    codes.push_back(std::move(result.code));
  }
  return codes;
}

static llvm::Expected<std::vector<WeightDesc>> describeWeights(const Program &program, const Model &model) {
  std::vector<WeightDesc> weights;
  llvm::StringMap<uint32_t> seen;
  for (WeightOp weight : program.weights) {
    auto recipe = std::make_shared<WeightRecipe>(weight, model.weights());
    WeightDesc described;
    described.name = weight.getSymName().str();
    auto type = cast<RankedTensorType>(weight.getType());
    described.dataType = *dataTypeOf(type.getElementType());
    described.shape.assign(type.getShape().begin(), type.getShape().end());
    described.bytes = uint64_t(type.getNumElements()) * format::elementBytes(described.dataType);
    auto [it, isNew] = seen.try_emplace(recipe->key(), weights.size());
    if (isNew)
      described.fill = [recipe](std::span<uint8_t> bytes) { return recipe->fill(bytes); };
    else
      described.sameAs = it->second;
    weights.push_back(std::move(described));
  }
  return weights;
}

/// The program of a module after the phase "kernels".
static llvm::Expected<Program> programOf(const Model &model) {
  DiagnosticCollector diagnostics(model.module().getContext());
  FailureOr<Program> program = buildProgram(model.module());
  if (failed(program))
    return diagnostics.takeError("the program could not be built");
  return std::move(*program);
}

llvm::Expected<CompiledModel> Compiler::compile(Model model) {
  auto levels = impl->levels();
  if (!levels)
    return levels.takeError();
  if (llvm::Error error = impl->runProgramPhases(model, "kernels"))
    return std::move(error);
  auto program = programOf(model);
  if (!program)
    return program.takeError();
  std::string kernels = serialiseKernels(model.module());
  auto codes = impl->step("code", [&] { return compileLevels(*levels, kernels, program->tables, impl->threads()); });
  if (!codes)
    return codes.takeError();
  auto weights = describeWeights(*program, model);
  if (!weights)
    return weights.takeError();
  auto result = std::make_unique<CompiledModel::Impl>();
  result->summary = summarise(*program, *codes, *weights);
  result->summary.factorized = model.impl->factorized;
  result->threads = impl->threads();
  for (const KernelDesc &kernel : program->tables.kernels)
    result->kernels.push_back(kernel.name);
  result->artifact.emplace(std::move(program->tables), std::move(*codes), std::move(*weights));
  result->model.emplace(std::move(model));
  return CompiledModel(std::move(result));
}

//===----------------------------------------------------------------------------===//
// Object files
//===----------------------------------------------------------------------------===//

/// The file's name without folder and ending, as a C identifier.
static std::string identifierOf(StringRef path) {
  std::string name = llvm::sys::path::stem(path).str();
  for (char &c : name)
    if (!llvm::isAlnum(c))
      c = '_';
  return name.empty() || llvm::isDigit(name[0]) ? "model_" + name : name;
}

static llvm::Error writeWhole(StringRef path, StringRef content) {
  return llvm::writeToOutput(path, [&](llvm::raw_ostream &out) {
    out << content;
    return llvm::Error::success();
  });
}

static std::string headerFor(StringRef name) {
  std::string guard = name.upper() + "_H";
  return ("/* Made by tenon compile --emit=object; to be linked with the object file of the same name. */\n#ifndef " +
          guard + "\n#define " + guard +
          "\n\n#include \"tenon/tenon.h\"\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n" +
          "/** tenon_model_load_linked(&" + name + ", NULL, &model) */\nextern const tenon_linked_program " + name +
          ";\n\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n")
      .str();
}

llvm::Expected<CompiledModel> Compiler::compileToObject(Model model, const std::string &path) {
  auto levels = impl->levels();
  if (!levels)
    return levels.takeError();
  if (levels->size() != 1)
    return makeError("an object file holds the code of one level, found " + llvm::Twine(levels->size()) +
                     "; give --target");
  if (levels->front().isDevice())
    return makeError("an object file holds code of a CPU, found " + levels->front().name + "; give another --target");
  auto compiled = compile(std::move(model));
  if (!compiled)
    return compiled;
  llvm::SmallString<128> artifact;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("tenon-object", "tenon", artifact))
    return makeError("no temporary file can be made: " + error.message());
  llvm::FileRemover remover(artifact);
  if (llvm::Error error = compiled->write(artifact.str().str()))
    return std::move(error);
  LinkedProgram program{identifierOf(path), artifact.str().str(), 0, compiled->impl->kernels};
  if (std::error_code error = llvm::sys::fs::file_size(artifact, program.artifactBytes))
    return makeError(artifact.str() + ": " + error.message());
  auto lowered = lowerFor(levels->front(), serialiseKernels(compiled->impl->model->module()));
  if (!lowered)
    return lowered.takeError();
  DiagnosticCollector diagnostics(lowered->context.get());
  FailureOr<std::string> object = compileLinkedObject(*lowered->module, levels->front(), program);
  if (failed(object))
    return diagnostics.takeError("the object file could not be made");
  llvm::SmallString<128> header(path);
  llvm::sys::path::replace_extension(header, "h");
  if (llvm::Error error = llvm::joinErrors(writeWhole(path, *object), writeWhole(header, headerFor(program.symbol))))
    return std::move(error);
  return compiled;
}

//===----------------------------------------------------------------------------===//
// Emulation
//===----------------------------------------------------------------------------===//

static std::vector<emulator::KernelShape> kernelShapes(ModuleOp program, ModuleOp lowered,
                                                       ArrayRef<std::string> order) {
  std::vector<emulator::KernelShape> shapes;
  for (const std::string &name : order) {
    auto kernel = program.lookupSymbol<KernelOp>(name);
    auto function = lowered.lookupSymbol<func::FuncOp>(name);
    auto dimOf = [&](StringRef attribute) { return function->getAttrOfType<DimAttr>(attribute).getValue(); };
    auto numberOf = [&](StringRef attribute) {
      return unsigned(function->getAttrOfType<IntegerAttr>(attribute).getInt());
    };
    emulator::KernelShape shape;
    shape.name = name;
    for (Type type : llvm::concat<const Type>(kernel.getArgumentTypes(), kernel.getResultTypes()))
      shape.operandBytes.push_back(
          countOf(shapeOf(type)) *
          Dim(format::elementBytes(*dataTypeOf(cast<RankedTensorType>(type).getElementType()))));
    shape.results = kernel.getResultTypes().size();
    shape.dims = kernel.getNumDims();
    shape.tiles = dimOf("tenon.tiles");
    shape.scratchBytes = dimOf("tenon.scratch");
    shape.blockThreads = numberOf("tenon.block_threads");
    shape.sharedBytes = numberOf("tenon.shared_bytes");
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

static llvm::Expected<std::unique_ptr<emulator::EmulatedProgram>> emulateKernels(const Level &level, ModuleOp program,
                                                                                ArrayRef<std::string> order) {
  auto lowered = lowerFor(level, serialiseKernels(program));
  if (!lowered)
    return lowered.takeError();
  std::vector<emulator::KernelShape> shapes = kernelShapes(program, *lowered->module, order);
  DiagnosticCollector diagnostics(lowered->context.get());
  FailureOr<TranslatedKernels> translated = translateKernels(*lowered->module, level);
  if (failed(translated))
    return diagnostics.takeError("code generation for " + level.name.str() + " failed");
  return emulator::EmulatedProgram::create(std::move(translated->context), std::move(translated->module),
                                           std::move(shapes));
}

llvm::Expected<EmulatedModel> Compiler::emulate(Model model) {
  auto levels = impl->levels();
  if (!levels)
    return levels.takeError();
  if (levels->size() != 1 || !levels->front().isDevice())
    return makeError("wanted one level of a GPU to emulate, found " +
                     (impl->options.targets.empty() ? defaultTargets() : impl->options.targets) +
                     "; give --target=nvptx-sm_80");
  auto compiled = compile(std::move(model));
  if (!compiled)
    return compiled.takeError();
  auto result = std::make_unique<EmulatedModel::Impl>();
  auto kernels = impl->step("emulator", [&] {
    return emulateKernels(levels->front(), compiled->impl->model->module(), compiled->impl->kernels);
  });
  if (!kernels)
    return kernels.takeError();
  result->kernels = std::move(*kernels);
  auto artifact = compiled->toMemory();
  if (!artifact)
    return artifact.takeError();
  result->artifact = std::move(*artifact);
  const auto &functions = result->kernels->functions();
  result->program = {sizeof result->program, result->artifact.data(), result->artifact.size(),
                     levels->front().name.data(), functions.data(),   functions.size()};
  return EmulatedModel(std::move(result));
}

/// Every dispatch's results returned, in order, instead of what the function returned.
static void exposeResults(func::FuncOp function) {
  auto returned = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  OpBuilder builder(returned);
  SmallVector<Value> values;
  SmallVector<Attribute> attributes;
  for (auto dispatch : function.getOps<DispatchOp>())
    for (Value result : dispatch.getResults()) {
      values.push_back(result);
      std::string name = (dispatch.getKernel() + ": " + sourceOf(dispatch.getLoc())).str();
      attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr("tenon.name", builder.getStringAttr(name))));
    }
  func::ReturnOp::create(builder, returned.getLoc(), values);
  returned.erase();
  function.setType(builder.getFunctionType(function.getArgumentTypes(), TypeRange(ValueRange(values))));
  function.setResAttrsAttr(builder.getArrayAttr(attributes));
}

llvm::Error Compiler::exposeKernelResults(Model &model) {
  if (llvm::Error error = impl->runProgramPhases(model, "kernels"))
    return error;
  for (auto function : model.module().getOps<func::FuncOp>())
    if (function->hasAttr("tenon.entry"))
      exposeResults(function);
  return llvm::Error::success();
}

llvm::Expected<Explanation> Compiler::explain(Model model) {
  RemarkCollector remarks(model.module().getContext());
  if (llvm::Error error = impl->runProgramPhases(model, "kernels"))
    return std::move(error);
  auto program = programOf(model);
  if (!program)
    return program.takeError();
  std::vector<Decision> decisions = remarks.take();
  auto levels = impl->levels();
  if (!levels)
    return levels.takeError();
  for (const Level &level : *levels)
    if (level.isDevice())
      if (auto lowered = lowerFor(level, serialiseKernels(model.module()), &decisions); !lowered)
        return lowered.takeError();
  return explainProgram(model.module(), *program, std::move(decisions));
}

/// The kernels of `model` lowered for the first of `levels`.
static llvm::Expected<LoweredKernels> lowerForFirst(llvm::Expected<std::vector<Level>> levels, const Model &model) {
  if (!levels)
    return levels.takeError();
  return lowerFor(levels->front(), serialiseKernels(model.module()));
}

static std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  return text + "\n";
}

llvm::Expected<std::string> Compiler::printAfter(Model model, StringRef phase) {
  if (!llvm::is_contained(phaseNames(), phase))
    return makeError("no phase is called '" + phase + "'; wanted one of " + llvm::join(phaseNames(), ", "));
  bool isLast = phase == "lower";
  if (llvm::Error error = impl->runProgramPhases(model, isLast ? "kernels" : phase))
    return std::move(error);
  if (!isLast)
    return print(model.module());
  auto lowered = lowerForFirst(impl->levels(), model);
  return lowered ? llvm::Expected<std::string>(print(*lowered->module)) : lowered.takeError();
}

llvm::Expected<std::string> Compiler::printCode(Model model, bool assembly) {
  if (llvm::Error error = impl->runProgramPhases(model, "kernels"))
    return std::move(error);
  auto lowered = lowerForFirst(impl->levels(), model);
  if (!lowered)
    return lowered.takeError();
  DiagnosticCollector diagnostics(lowered->context.get());
  FailureOr<std::string> text = printKernels(*lowered->module, impl->levels()->front(),
                                             assembly ? CodeText::Assembly : CodeText::LLVM);
  if (failed(text))
    return diagnostics.takeError("code generation failed");
  return *text;
}

} // namespace tenon
