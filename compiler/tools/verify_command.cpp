//===- verify.cpp - tenon verify ---------------------------------------------------------===//
#include "compiler/tools/Verify.h"
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdio>

namespace tenon {
namespace {

struct VerifyCommand {
  std::string model, dtype = "f32";
  std::vector<std::string> inputs, sizes;
  VerifyOptions options;
  bool json = false;

  int run();
};

std::pair<std::string, std::string> splitAssignment(const std::string &text) {
  size_t equals = text.rfind('=');
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void printTable(const std::vector<VerifiedTensor> &tensors) {
  std::printf("%-40s %12s %12s %12s %12s\n", "", "max error", "allowed", "rms error", "allowed");
  for (const VerifiedTensor &tensor : tensors)
    std::printf("%-40s %12.3g %12.3g %12.3g %12.3g  %s\n", tensor.name.c_str(), tensor.maxError, tensor.maxAllowed,
                tensor.rmsError, tensor.rmsAllowed, tensor.isGood ? "ok" : "DIVERGES");
}

void printJson(const std::vector<VerifiedTensor> &tensors) {
  llvm::json::Array rows;
  for (const VerifiedTensor &tensor : tensors)
    rows.push_back(llvm::json::Object{{"name", tensor.name},
                                      {"max_error", tensor.maxError},
                                      {"max_allowed", tensor.maxAllowed},
                                      {"rms_error", tensor.rmsError},
                                      {"rms_allowed", tensor.rmsAllowed},
                                      {"ok", tensor.isGood}});
  llvm::outs() << llvm::json::Value(std::move(rows)) << "\n";
}

int VerifyCommand::run() {
  for (const std::string &input : inputs)
    options.files.insert(splitAssignment(input));
  for (const std::string &size : sizes) {
    auto [name, text] = splitAssignment(size);
    if (llvm::StringRef(text).getAsInteger(10, options.sizes[name]) || options.sizes[name] < 0) {
      std::fprintf(stderr, "error: --dim wants name=size, found '%s'\n", size.c_str());
      return 2;
    }
  }
  if (dtype == "bf16" && !options.layers) {
    std::fprintf(stderr, "error: --dtype bf16 wants --layers: the model itself is not rounded to bf16\n");
    return 2;
  }
  options.compile.products = dtype == "bf16" ? ProductType::BF16 : ProductType::AsInModel;
  auto tensors = verify(model, options);
  if (!tensors) {
    std::fprintf(stderr, "error: %s\n", llvm::toString(tensors.takeError()).c_str());
    return 1;
  }
  json ? printJson(*tensors) : printTable(*tensors);
  for (const VerifiedTensor &tensor : *tensors)
    if (!tensor.isGood) {
      std::fprintf(stderr, "error: %s diverges from the interpreter: error %.3g, allowed %.3g\n", tensor.name.c_str(),
                   tensor.maxError, tensor.maxAllowed);
      return 1;
    }
  return 0;
}

} // namespace

void addVerifyCommand(CLI::App &app, Command &command) {
  auto state = std::make_shared<VerifyCommand>();
  CLI::App *verify = app.add_subcommand("verify", "Compare a model's artifact with the float64 interpreter");
  verify->add_option("model", state->model, "An .onnx file, a folder with config.json and model.safetensors, or .mlir")
      ->required();
  verify->add_option("--input", state->inputs, "NAME=FILE.npy; the other inputs are random");
  verify->add_option("--dim", state->sizes, "name=size of a dynamic dim, for random inputs (default 7)");
  verify->add_option("--target", state->options.compile.targets, "Levels; the best this machine has is run");
  verify->add_option("--dtype", state->dtype, "As for compile; bf16 with --layers only, where both sides round alike")
      ->check([](const std::string &value) {
        return value == "f32" || value == "bf16" ? "" : "wants f32 or bf16, found '" + value + "'";
      });
  verify->add_option("--seed", state->options.seed, "Of the random inputs");
  verify->add_option("--threads", state->options.threads, "Threads of the run");
  verify->add_flag("--layers", state->options.layers,
                   "Compare after every command; the first that diverges is the error");
  verify->add_flag("--json", state->json, "As JSON");
  verify->callback([state, &command] { command = [state] { return state->run(); }; });
}

} // namespace tenon
