//===- explain.cpp - tenon explain -----------------------------------------------------===//
#include "compiler/driver/Compiler.h"
#include "compiler/explain/Explanation.h"
#include "compiler/levels/Level.h"
#include "compiler/tools/Profile.h"
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdio>

namespace tenon {
namespace {

struct ExplainCommand {
  std::string model;
  std::vector<std::string> dims;
  bool json = false;
  std::string html, recipe;
  CompileOptions options;
  unsigned threads = 0;

  int run();
  int writePage(const Explanation &explanation, const Sizes &sizes);
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
  if (!recipe.empty()) {
    auto read = FactorizationRecipe::read(recipe);
    if (!read)
      return fail(llvm::toString(read.takeError()));
    options.factorization = std::move(*read);
  }
  Compiler compiler(options);
  auto loaded = compiler.load(model);
  if (!loaded)
    return fail(llvm::toString(loaded.takeError()));
  auto explanation = compiler.explain(std::move(*loaded));
  if (!explanation)
    return fail(llvm::toString(explanation.takeError()));
  if (std::string wrong = checkSizes(*explanation, sizes); !wrong.empty())
    return fail(wrong);
  if (!html.empty())
    return writePage(*explanation, sizes);
  std::string text = json ? renderJson(*explanation, sizes) : renderText(*explanation, sizes);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? 0 : fail("the explanation cannot be written");
}

int ExplainCommand::writePage(const Explanation &explanation, const Sizes &sizes) {
  if (std::vector<std::string> missing = missingSizes(explanation, sizes); !missing.empty())
    return fail("--html runs the model: give --dim for " + llvm::join(missing, ", ") + ", such as --dim " + missing[0] +
                    "=1",
                2);
  std::fprintf(stderr, "[explain] compiling for this machine and running for two seconds\n");
  auto measurement = profile(model, options, explanation, sizes, threads);
  if (!measurement)
    return fail(llvm::toString(measurement.takeError()));
  std::string page = renderHtml(explanation, sizes, *measurement);
  llvm::Error error = llvm::writeToOutput(html, [&](llvm::raw_ostream &out) {
    out << page;
    return llvm::Error::success();
  });
  if (error)
    return fail(html + ": " + llvm::toString(std::move(error)));
  std::fprintf(stderr, "%s: open it in a browser\n", html.c_str());
  return 0;
}

} // namespace

void addExplainCommand(CLI::App &app, Command &command) {
  auto state = std::make_shared<ExplainCommand>();
  CLI::App *explain = app.add_subcommand(
      "explain", "Show what a model becomes: per command the fused operations and their cost; what passes decided");
  explain->add_option("model", state->model, "An .onnx file, a folder with config.json and model.safetensors, or .mlir")
      ->required();
  explain->add_option("--dim", state->dims, "name=size: costs for this size; may be repeated. Default: expressions");
  explain
      ->add_option("--target", state->options.targets,
                   "GPUs, by comma, such as nvptx-sm_80: say also how each kernel runs there")
      ->check([](const std::string &value) {
        auto levels = parseTargets(value);
        return levels ? std::string() : llvm::toString(levels.takeError());
      });
  explain->add_option("--factorize", state->recipe,
                      "With the weights this JSON file says replaced (docs/factorize.md)");
  explain->add_flag("--json", state->json, "As JSON");
  explain->add_option(
      "--html", state->html,
      "Run it on this machine and write one page: graph, times, roofline, decisions. Wants every --dim");
  explain->add_option("--threads", state->threads, "Of that run (default: CPUs this process may use)");
  explain->callback([state, &command] { command = [state] { return state->run(); }; });
}

} // namespace tenon
