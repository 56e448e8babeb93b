//===- explain.cpp - tenon explain -----------------------------------------------------===//
#include "compiler/driver/Compiler.h"
#include "compiler/explain/Explanation.h"
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include <cstdio>

namespace tenon {
namespace {

struct ExplainCommand {
  std::string model;
  std::vector<std::string> dims;
  bool json = false;

  int run();
};

int fail(const std::string &message, int code = 1) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return code;
}

int ExplainCommand::run() {
  Sizes sizes;
  for (const std::string &dim : dims) {
    auto [name, size] = llvm::StringRef(dim).rsplit('=');
    if (name.empty() || size.getAsInteger(10, sizes[name.str()]))
      return fail("--dim wants name=size, found '" + dim + "'", 2);
  }
  Compiler compiler;
  auto loaded = compiler.load(model);
  if (!loaded)
    return fail(llvm::toString(loaded.takeError()));
  auto explanation = compiler.explain(std::move(*loaded));
  if (!explanation)
    return fail(llvm::toString(explanation.takeError()));
  if (std::string wrong = checkSizes(*explanation, sizes); !wrong.empty())
    return fail(wrong);
  std::string text = json ? renderJson(*explanation, sizes) : renderText(*explanation, sizes);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : fail("the explanation cannot be written");
}

} // namespace

void addExplainCommand(CLI::App &app, Command &command) {
  auto state = std::make_shared<ExplainCommand>();
  CLI::App *explain = app.add_subcommand(
      "explain", "Show what a model becomes: per command the fused operations and their cost; what passes decided");
  explain->add_option("model", state->model, "An .onnx file, a folder with config.json and model.safetensors, or .mlir")
      ->required();
  explain->add_option("--dim", state->dims, "name=size: costs for this size; may be repeated. Default: expressions");
  explain->add_flag("--json", state->json, "As JSON");
  explain->callback([state, &command] { command = [state] { return state->run(); }; });
}

} // namespace tenon
