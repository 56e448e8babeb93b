//===- bench.cpp - tenon bench ----------------------------------------------------------===//
//
// One model, one table. Engines take turns, each in a process of its own but Tenon, which is
// this one; a ratio is of medians over all turns. Errors are against the float64
// interpreter, which shares no code with any of them.
//
#include "compiler/tools/HostArtifact.h"
#include "compiler/tools/Peer.h"
#include "compiler/tools/Verify.h"
#include "compiler/tools/WorkFolder.h"
#include "compiler/tools/commands.h"
#include "CLI/CLI.hpp"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include "runtime/tools/run_artifact.h"
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <unistd.h>

namespace tenon {
namespace {

namespace fs = std::filesystem;

struct Row {
  std::string engine;
  std::vector<double> seconds;
  std::optional<double> error;

  double median() const {
    std::vector<double> sorted = seconds;
    std::nth_element(sorted.begin(), sorted.begin() + ptrdiff_t(sorted.size() / 2), sorted.end());
    return sorted[sorted.size() / 2];
  }
};

class BenchCommand {
public:
  int run();

  std::string model, python;
  RunOptions options;
  std::vector<std::string> inputs, shapes, against;
  double seconds = 3;
  bool exact = false, json = false;

private:
  llvm::Error prepare();
  llvm::Error measure();
  llvm::Error measureErrors();
  void print() const;
  void printJson() const;
  void say(const std::string &text) const {
    if (!options.quiet)
      std::fprintf(stderr, "%s\n", text.c_str());
  }
  bool isArtifact() const { return llvm::StringRef(model).ends_with(".tenon"); }
  std::string folder(const std::string &name) const { return (work.path / name).string(); }

  WorkFolder work;
  std::unique_ptr<ArtifactRun> tenon;
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<Row> rows; ///< Tenon, then the peers
};

llvm::Error failure(const std::string &message) { return llvm::createStringError(message); }

std::string chosenPython(const std::string &option) {
  if (!option.empty())
    return option;
  const char *named = std::getenv("TENON_PYTHON");
  return named && *named ? named : "python3";
}

llvm::Error BenchCommand::prepare() {
  if (work.path.empty())
    return failure("no folder for temporary files can be made in " + fs::temp_directory_path().string());
  if (!against.empty() && !llvm::StringRef(model).ends_with(".onnx"))
    return failure(model + ": --against wants an .onnx file, which the other engines can read");
  options.artifact = model;
  if (!isArtifact()) {
    say("compiling " + model);
    options.artifact = folder("model.tenon");
    if (llvm::Error error = compileForThisMachine(model, options.artifact))
      return error;
  }
  options.random = true;
  tenon = std::make_unique<ArtifactRun>(options);
  if (std::string error = tenon->open(); !error.empty())
    return failure(error);
  if (std::string error = tenon->writeInputs(folder("inputs")); !error.empty())
    return failure(error);
  rows.push_back({"Tenon", {}, std::nullopt});
  for (const std::string &engine : against) {
    say("starting " + engine);
    auto peer = Peer::start(chosenPython(python), engine, fs::absolute(model).string(), folder("inputs"),
                            tenon->threads());
    if (!peer)
      return peer.takeError();
    rows.push_back({(*peer)->title(), {}, std::nullopt});
    peers.push_back(std::move(*peer));
  }
  return llvm::Error::success();
}

llvm::Error BenchCommand::measure() {
  constexpr unsigned rounds = 5;
  say("measuring");
  auto turn = [&](size_t engine, unsigned count) -> llvm::Expected<std::vector<double>> {
    if (engine > 0)
      return peers[engine - 1]->run(count);
    std::vector<double> times(count);
    for (double &time : times)
      if (std::string error = tenon->runOnce(time); !error.empty())
        return failure(error);
    return times;
  };
  for (unsigned round = 0; round < rounds; ++round)
    for (size_t i = 0; i < rows.size(); ++i) {
      size_t engine = (round + i) % rows.size(); // nobody always goes first
      auto first = turn(engine, 1); // warms caches; says how many fit
      if (!first)
        return first.takeError();
      double share = seconds / rounds / std::max(first->front(), 1e-7);
      auto times = turn(engine, unsigned(std::clamp(share, 2.0, 1000.0)));
      if (!times)
        return times.takeError();
      llvm::append_range(rows[engine].seconds, *times);
    }
  return llvm::Error::success();
}

llvm::Error BenchCommand::measureErrors() {
  say("evaluating in float64");
  if (std::string error = tenon->writeOutputs(folder("0")); !error.empty())
    return failure(error);
  for (auto [number, peer] : llvm::enumerate(peers))
    if (llvm::Error error = peer->save(folder(std::to_string(number + 1))))
      return error;
  std::vector<std::string> folders;
  for (size_t i = 0; i < rows.size(); ++i)
    folders.push_back(folder(std::to_string(i)));
  auto errors = errorsOf(model, folder("inputs"), folders);
  if (!errors)
    return errors.takeError();
  for (auto [row, error] : llvm::zip(rows, *errors))
    row.error = error;
  return llvm::Error::success();
}

void BenchCommand::print() const {
  std::printf("%s, %u threads\n", tenon->level().c_str(), tenon->threads());
  std::printf("%-24s %10s %10s %8s%s\n", "", "median ms", "best ms", "ratio", exact ? "      error" : "");
  for (const Row &row : rows) {
    std::printf("%-24s %10.3f %10.3f %8.2f", row.engine.c_str(), 1e3 * row.median(),
                1e3 * *llvm::min_element(row.seconds), row.median() / rows[0].median());
    if (row.error)
      std::printf(" %10.2g", *row.error);
    std::printf("\n");
  }
}

void BenchCommand::printJson() const {
  llvm::json::Array engines;
  for (const Row &row : rows) {
    llvm::json::Object object{{"engine", row.engine}, {"median", row.median()}, {"seconds", row.seconds}};
    if (row.error)
      object["error"] = *row.error;
    engines.push_back(std::move(object));
  }
  llvm::json::Object all{{"model", model}, {"target", tenon->level()}, {"threads", tenon->threads()}};
  all["engines"] = std::move(engines);
  llvm::outs() << llvm::json::Value(std::move(all)) << "\n";
}

int BenchCommand::run() {
  for (const std::string &input : inputs) {
    size_t equals = input.rfind('=');
    bool isNamed = equals != std::string::npos;
    options.inputs.emplace_back(isNamed ? input.substr(0, equals) : "", isNamed ? input.substr(equals + 1) : input);
  }
  for (const std::string &shape : shapes) {
    auto [name, text] = llvm::StringRef(shape).rsplit('=');
    options.shapes.emplace_back(name.str(), std::vector<int64_t>());
    if (!parseDims(text.str(), options.shapes.back().second)) {
      std::fprintf(stderr, "error: --shape wants NAME=1x128, found '%s'\n", shape.c_str());
      return 2;
    }
  }
  exact = exact && !isArtifact();
  for (auto step : {&BenchCommand::prepare, &BenchCommand::measure, exact ? &BenchCommand::measureErrors : nullptr})
    if (step)
      if (llvm::Error error = (this->*step)()) {
        std::fprintf(stderr, "error: %s\n", llvm::toString(std::move(error)).c_str());
        return 1;
      }
  json ? printJson() : print();
  return 0;
}

std::string checkEngine(const std::string &engine) {
  std::string known;
  for (auto [name, title] : peerNames()) {
    if (engine == name)
      return "";
    known += (known.empty() ? "" : ", ") + name.str();
  }
  return "no engine '" + engine + "'; there are " + known;
}

} // namespace

void addBenchCommand(CLI::App &app, Command &command) {
  auto state = std::make_shared<BenchCommand>();
  CLI::App *bench = app.add_subcommand("bench", "Measure a model, beside other engines if asked");
  bench->add_option("model", state->model, "What `tenon compile` takes, or an artifact")->required();
  bench->add_option("--against", state->against, "Engines to measure beside, by comma: ort, openvino (an .onnx file)")
      ->delimiter(',')
      ->check(checkEngine);
  bench->add_option("--python", state->python, "Python that has them (default: $TENON_PYTHON, else python3)");
  bench->add_option("--input", state->inputs, "NAME=FILE.npy or FILE.npz; the other inputs are made up");
  bench->add_option("--shape", state->shapes,
                    "NAME=1x128: the dims of a made-up input; the others follow where they share names of dims");
  bench->add_option("--threads", state->options.threads, "Threads of each engine (default: CPUs this process may use)");
  bench->add_option("--seconds", state->seconds, "To measure each engine for (default: 3)")->check(CLI::PositiveNumber);
  bench->add_flag("!--no-error", state->exact, "Skip the errors, which take a float64 evaluation of the model")
      ->default_val(true);
  bench->add_flag("--json", state->json, "As JSON, with all times");
  bench->add_flag("--quiet", state->options.quiet, "No progress on standard error");
  bench->callback([state, &command] { command = [state] { return state->run(); }; });
}

} // namespace tenon
