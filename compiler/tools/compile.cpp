//===- compile.cpp - tenon compile -----------------------------------------------------===//
#include "compiler/driver/Compiler.h"
#include "compiler/tools/commands.h"
#include "runtime/tools/signature.h"
#include "CLI/CLI.hpp"
#include <chrono>
#include <cstdio>
#include <unistd.h>

namespace tenon {
namespace {

struct CompileCommand {
  std::string model, output, emit = "artifact", dtype = "f32", key, recipe;
  std::vector<std::string> dims;
  CompileOptions options;
  bool timing = false, quiet = false;

  int run();
  int emitText(Compiler &compiler, Model model);
  int writeArtifact(Compiler &compiler, Model model);
  llvm::Error parseDims();
  llvm::Error checkTargetOfPtx() const;
  std::string outputPath() const;
};

int fail(llvm::Error error) {
  std::fprintf(stderr, "error: %s\n", llvm::toString(std::move(error)).c_str());
  return 1;
}

/// "name=lo..hi" or "name=n".
llvm::Error CompileCommand::parseDims() {
  for (const std::string &text : dims) {
    auto [name, range] = llvm::StringRef(text).split('=');
    auto [low, high] = range.split("..");
    std::pair<int64_t, int64_t> bounds;
    if (name.empty() || low.getAsInteger(10, bounds.first) ||
        (high.empty() ? (bounds.second = bounds.first, false) : high.getAsInteger(10, bounds.second)) ||
        bounds.first < 0 || bounds.second < bounds.first)
      return llvm::createStringError("--dim wants name=low..high or name=size, found '%s'", text.c_str());
    options.dims[name.str()] = bounds;
  }
  return llvm::Error::success();
}

/// PTX is the assembly of a GPU, and nothing else's.
llvm::Error CompileCommand::checkTargetOfPtx() const {
  if (emit != "ptx")
    return llvm::Error::success();
  auto levels = parseTargets(options.targets.empty() ? defaultTargets() : options.targets);
  if (!levels)
    return levels.takeError();
  if (!levels->front().isDevice())
    return llvm::createStringError("--emit=ptx wants a GPU as --target, found " + levels->front().name);
  return llvm::Error::success();
}

std::string CompileCommand::outputPath() const {
  if (!output.empty())
    return output;
  llvm::StringRef path(model);
  while (path.size() > 1 && path.ends_with("/"))
    path = path.drop_back();
  size_t dot = path.rfind('.'), slash = path.rfind('/');
  bool hasExtension = dot != llvm::StringRef::npos && (slash == llvm::StringRef::npos || dot > slash + 1);
  return (hasExtension ? path.take_front(dot) : path).str() + (emit == "object" ? ".o" : ".tenon");
}

int CompileCommand::emitText(Compiler &compiler, Model loaded) {
  bool isPhase = emit.rfind("mlir@", 0) == 0;
  auto text = isPhase ? compiler.printAfter(std::move(loaded), llvm::StringRef(emit).drop_front(5))
                      : compiler.printCode(std::move(loaded), emit != "llvm");
  if (!text)
    return fail(text.takeError());
  if (output.empty() || output == "-") {
    std::fwrite(text->data(), 1, text->size(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
  }
  FILE *file = std::fopen(output.c_str(), "w");
  bool isWritten = file && std::fwrite(text->data(), 1, text->size(), file) == text->size();
  isWritten = file && std::fclose(file) == 0 && isWritten;
  return isWritten ? 0 : fail(llvm::createStringError("%s: cannot be written", output.c_str()));
}

/// One line for all that changed, then the weights, with their errors.
void printFactorized(const FactorizationReport &report) {
  const std::vector<FactorizedWeight> &weights = report.weights;
  if (weights.empty())
    return;
  size_t changed = 0;
  double before = 0, after = 0;
  for (const FactorizedWeight &weight : weights) {
    changed += weight.isChanged();
    before += weight.elementsBefore();
    after += weight.elementsAfter();
  }
  std::printf("  factorized %zu of %zu weights: %.2f to %.2f million elements\n", changed, weights.size(), before / 1e6,
              after / 1e6);
  for (const FactorizedWeight &weight : weights) {
    std::string what = !weight.isChanged() ? "left as it is, " + weight.reason
                       : weight.rank       ? "rank " + std::to_string(weight.rank)
                                           : weight.change;
    std::printf("    %s, %lld x %lld: %s", weight.weight.c_str(), (long long)weight.rows, (long long)weight.columns,
                what.c_str());
    if (weight.rank || weight.error != 0)
      std::printf(", relative error %.3g", weight.error);
    if (weight.distance)
      std::printf("; result %.3g off", *weight.distance);
    std::printf("\n");
  }
  for (const OutputDistance &output : report.outputs)
    std::printf("    output %s: %.3g off the original's on the calibration inputs\n", output.name.c_str(),
                output.distance);
}

int CompileCommand::writeArtifact(Compiler &compiler, Model loaded) {
  auto begin = std::chrono::steady_clock::now();
  std::string path = outputPath();
  bool isObject = emit == "object";
  auto compiled = isObject ? compiler.compileToObject(std::move(loaded), path) : compiler.compile(std::move(loaded));
  if (!compiled)
    return fail(compiled.takeError());
  if (options.progress)
    options.progress("write " + path, -1);
  if (llvm::Error error = isObject ? llvm::Error::success() : compiled->write(path))
    return fail(std::move(error));
  if (!key.empty())
    if (std::string error = signFile(path, key); !error.empty())
      return fail(llvm::createStringError(error));
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CompiledModel::Summary summary = compiled->summary();
  if (quiet)
    return 0;
  std::printf("%s: %.1f MB of weights, %u commands, %u kernels, %.1f s\n", path.c_str(), summary.weightBytes / 1e6,
              summary.commands, summary.kernels, seconds);
  for (size_t i = 0; i < summary.levels.size(); ++i)
    std::printf("  %-16s %zu KB of code\n", summary.levels[i].c_str(), (summary.codeBytes[i] + 1023) / 1024);
  printFactorized(summary.factorized);
  if (!isObject)
    std::printf("next: tenon inspect %s\n", path.c_str());
  return 0;
}

int CompileCommand::run() {
  if (llvm::Error error = parseDims())
    return fail(std::move(error)), 2;
  if (llvm::Error error = checkTargetOfPtx())
    return fail(std::move(error)), 2;
  if (!quiet && (timing || isatty(STDERR_FILENO)))
    options.progress = [this](const std::string &step, double seconds) {
      if (seconds < 0 && !timing)
        std::fprintf(stderr, "%s\n", step.c_str());
      else if (seconds >= 0 && timing)
        std::fprintf(stderr, "%8.3f s  %s\n", seconds, step.c_str());
    };
  if (!recipe.empty()) {
    auto read = FactorizationRecipe::read(recipe);
    if (!read)
      return fail(read.takeError());
    options.factorization = std::move(*read);
  }
  options.products = dtype == "bf16" ? ProductType::BF16 : ProductType::AsInModel;
  if (emit == "object" && options.targets.empty())
    options.targets = "host";
  Compiler compiler(options);
  auto loaded = compiler.load(model);
  if (!loaded)
    return fail(loaded.takeError());
  return emit == "artifact" || emit == "object" ? writeArtifact(compiler, std::move(*loaded))
                                                : emitText(compiler, std::move(*loaded));
}

std::string checkEmit(const std::string &value) {
  if (value == "artifact" || value == "object" || value == "llvm" || value == "asm" || value == "ptx" ||
      value.rfind("mlir@", 0) == 0)
    return "";
  return "wants artifact, object, llvm, asm, ptx or mlir@PHASE, found '" + value + "'";
}

std::string checkDtype(const std::string &value) {
  return value == "f32" || value == "bf16" ? "" : "wants f32 or bf16, found '" + value + "'";
}

std::string levelNames() {
  std::string names;
  for (const Level &level : allLevels())
    names += (names.empty() ? "" : ", ") + level.name.str();
  return names;
}

/// "list" prints the levels and ends the program well, whatever else was asked.
std::string checkTargets(const std::string &value) {
  if (value == "list") {
    std::printf("%s", levelList().c_str());
    throw CLI::Success();
  }
  auto levels = parseTargets(value);
  return levels ? "" : llvm::toString(levels.takeError());
}

} // namespace

void addKeysCommand(CLI::App &app, Command &command) {
  auto name = std::make_shared<std::string>();
  CLI::App *keys = app.add_subcommand("keys", "Make NAME.key, for compile --sign, and NAME.pub, for run --trust");
  keys->add_option("name", *name, "What the two files are called")->required();
  keys->callback([name, &command] {
    command = [name] {
      std::string error = makeKeys(*name);
      return error.empty() ? 0 : fail(llvm::createStringError(error));
    };
  });
}

void addCompileCommand(CLI::App &app, Command &command) {
  auto state = std::make_shared<CompileCommand>();
  CLI::App *compile = app.add_subcommand("compile", "Compile a model into an artifact");
  compile->add_option("model", state->model, "An .onnx file, a folder with config.json and model.safetensors, or .mlir")
      ->required();
  compile->add_option("-o,--output", state->output, "The artifact; default: the model's name with .tenon");
  compile
      ->add_option("--target", state->options.targets,
                   "Levels, by comma: " + levelNames() +
                       ", host; or list, to see what they need. Default: " + defaultTargets())
      ->check(checkTargets);
  compile
      ->add_option("--dtype", state->dtype,
                   "What products with weights multiply: f32 (as in the model) or bf16; sums stay f32")
      ->check(checkDtype);
  compile->add_option("--factorize", state->recipe,
                      "Replace weights by products of smaller ones as this JSON file says (docs/factorize.md)");
  compile->add_option("--dim", state->dims, "Bounds of a dynamic dim: name=low..high; may be repeated");
  compile
      ->add_option("--emit", state->emit,
                   "artifact, object (NAME.o and NAME.h, for one level), llvm, asm, ptx (a GPU's asm), or mlir@PHASE: "
                   "the module after a phase")
      ->check(checkEmit);
  compile->add_option("--threads", state->options.threads, "Compiler threads; the artifact does not depend on it");
  compile->add_option("--sign", state->key, "Write ARTIFACT.sig with this secret key (tenon keys)");
  compile->add_flag("--timing", state->timing, "Print the seconds of each step");
  compile->add_flag("--quiet", state->quiet, "Print errors only");
  compile->callback([state, &command] { command = [state] { return state->run(); }; });
}

} // namespace tenon
