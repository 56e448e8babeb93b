//===- run.cpp - tenon run, inspect ---------------------------------------------------===//
//
// Thin over the runtime's library: what needs no compiler is done by the same code as in
// tenon-run.
//
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include "compiler/driver/Compiler.h"
#include "runtime/tools/run_artifact.h"
#include "tenon/inspect.h"
#include <cstdio>

namespace tenon {
namespace {

int fail(const std::string &message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return 1;
}

/// "NAME=VALUE"; a name may hold dots and slashes, the last '=' separates.
std::pair<std::string, std::string> splitAssignment(const std::string &text) {
  size_t equals = text.rfind('=');
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::string checkAssignment(const std::string &text) {
  size_t equals = text.rfind('=');
  bool isGood = equals != std::string::npos && equals > 0 && equals + 1 < text.size();
  return isGood ? "" : "wants NAME=VALUE, found '" + text + "'";
}

std::string checkShape(const std::string &text) {
  std::vector<int64_t> dims;
  if (std::string error = checkAssignment(text); !error.empty())
    return error;
  return parseDims(splitAssignment(text).second, dims) ? "" : "wants NAME=1x128, found '" + text + "'";
}

/// NAME=FILE, or a .npz file, which has its own names.
std::pair<std::string, std::string> splitInput(const std::string &text) {
  return text.find('=') == std::string::npos ? std::make_pair(std::string(), text) : splitAssignment(text);
}

std::string checkInput(const std::string &text) {
  bool isArchive = text.find('=') == std::string::npos && text.size() > 4 && text.rfind(".npz") == text.size() - 4;
  return isArchive || checkAssignment(text).empty() ? "" : "wants NAME=FILE.npy or FILE.npz, found '" + text + "'";
}

struct RunCommand {
  RunOptions options;
  std::vector<std::string> inputs, shapes;
  std::string recipe; // of --emulate: what becomes factors
  bool isEmulating = false;

  int run() {
    for (const std::string &input : inputs)
      options.inputs.push_back(splitInput(input));
    for (const std::string &shape : shapes) {
      auto [name, text] = splitAssignment(shape);
      options.shapes.emplace_back(name, std::vector<int64_t>());
      parseDims(text, options.shapes.back().second);
    }
    std::string error = isEmulating       ? emulate()
                        : !recipe.empty() ? "--factorize is for models: give --emulate, or compile with it"
                                          : runArtifact(options);
    return error.empty() ? 0 : fail(error);
  }

  /// Compiles the model for a GPU, runs it on the CPU and prints what each kernel did.
  std::string emulate() {
    if (!options.trust.empty())
      return "--trust is for artifacts; --emulate compiles a model";
    CompileOptions compile;
    if (options.level.empty())
      options.level = "nvptx-sm_80";
    compile.targets = options.level;
    compile.threads = options.threads;
    if (!recipe.empty()) {
      auto read = FactorizationRecipe::read(recipe);
      if (!read)
        return llvm::toString(read.takeError());
      compile.factorization = std::move(*read);
    }
    Compiler compiler(compile);
    auto model = compiler.load(options.artifact);
    if (!model)
      return llvm::toString(model.takeError());
    auto emulated = compiler.emulate(std::move(*model));
    if (!emulated)
      return llvm::toString(emulated.takeError());
    options.linked = &emulated->program();
    options.alignInputs = true;
    options.check = [&] { return emulated->fault(); };
    std::string error = runArtifact(options);
    if (error.empty() && !options.json)
      std::printf("%s", emulated->report().c_str());
    return error;
  }
};

int printText(tenon_status *status, char *text) {
  if (status) {
    int code = fail(tenon_status_message(status));
    tenon_status_free(status);
    return code;
  }
  std::printf("%s%s", text, *text == '{' ? "\n" : "");
  tenon_text_free(text);
  return 0;
}

} // namespace

void addRunCommand(CLI::App &app, Command &command) {
  auto state = std::make_shared<RunCommand>();
  CLI::App *run = app.add_subcommand("run", "Run an artifact on .npy and .npz files");
  RunOptions &options = state->options;
  run->add_option("artifact", options.artifact, "What `tenon compile` wrote; with --emulate, a model")->required();
  run->add_option("--input", state->inputs, "NAME=FILE.npy, the name as in the model, or FILE.npz; may be repeated")
      ->check(checkInput);
  run->add_flag("--random", options.random,
                "Make up the inputs that have no file; integers stay inside the tables they index");
  run->add_option("--shape", state->shapes,
                  "NAME=1x128: the dims of a made-up input; the others follow where they share names of dims")
      ->check(checkShape);
  run->add_option("--entry", options.entry, "Entry point (default: main)");
  run->add_option("--output-dir", options.outputFolder, "Write every output to DIR/NAME.npy");
  run->add_option("--level,--target", options.level, "Run this level's code (default: the best this machine has)");
  run->add_flag(
      "--emulate", state->isEmulating,
      "Compile a model for a GPU (--target; default nvptx-sm_80), run its kernels on this CPU with every access\n"
      "checked, and print what they did: coalescing, bank conflicts, multiply-adds by mma.sync");
  run->add_option("--factorize", state->recipe,
                  "With --emulate: replace weights as this JSON file says (docs/factorize.md)");
  run->add_option("--threads", options.threads, "Threads (default: CPUs this process may use)");
  run->add_option("--repeat", options.repeat, "Timed runs");
  run->add_option("--warmup", options.warmup, "Runs before them");
  run->add_option("--trust", options.trust, "Run it only if ARTIFACT.sig is a signature by this public key");
  run->add_option("--trace", options.trace, "Record one more run as JSON for chrome://tracing or ui.perfetto.dev");
  run->add_flag("--json", options.json, "Times as one line: {\"target\": .., \"threads\": .., \"seconds\": [..]}");
  run->add_flag("--quiet", options.quiet, "No progress on standard error");
  run->callback([state, &command] { command = [state] { return state->run(); }; });
}

void addInspectCommand(CLI::App &app, Command &command) {
  struct State {
    std::string artifact;
    bool json = false;
  };
  auto state = std::make_shared<State>();
  CLI::App *inspect = app.add_subcommand("inspect", "Show what is in an artifact; executes nothing of it");
  inspect->add_option("artifact", state->artifact, "What `tenon compile` wrote")->required();
  inspect->add_flag("--json", state->json, "As JSON");
  inspect->callback([state, &command] {
    command = [state] {
      char *text = nullptr;
      tenon_status *status = tenon_inspect_file(state->artifact.c_str(), state->json ? TENON_JSON : TENON_PLAIN, &text);
      return printText(status, text);
    };
  });
}

} // namespace tenon
