//===- Profile.cpp - the time of each command of a program -----------------------------===//
#include "compiler/tools/Profile.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/machine/Rates.h"
#include "compiler/tools/HostArtifact.h"
#include "compiler/tools/WorkFolder.h"
#include "llvm/TargetParser/Host.h"
#include "runtime/tools/run_artifact.h"
#include <algorithm>

namespace tenon {

static double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + ptrdiff_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Runs an artifact and keeps what each command of each run took.
namespace {
class Profiler {
public:
  Profiler(const std::string &artifact, const ExplainedEntry &entry, const Sizes &sizes, unsigned threads)
      : commandCount(entry.commands.size()) {
    options.artifact = artifact;
    options.entry = entry.name;
    options.random = true;
    options.threads = threads;
    for (const ExplainedTensor &input : entry.inputs) {
      std::vector<int64_t> dims;
      for (const Dim &dim : input.dims)
        dims.push_back(dim.evaluate(sizes).value_or(0));
      options.shapes.push_back({input.name, dims});
    }
    options.onCommand = [this](const tenon_trace_event &event) {
      current.push_back(double(event.end_ns - event.start_ns) * 1e-9);
    };
  }

  std::string run(Measurement &measurement) {
    ArtifactRun artifact(options);
    if (std::string error = artifact.open(); !error.empty())
      return error;
    measurement.threads = artifact.threads();
    measurement.machine = llvm::sys::getHostCPUName().str() + ", code of " + artifact.level();
    measureMachine(measurement);
    constexpr double wanted = 2;
    std::vector<double> totals;
    std::vector<std::vector<double>> runs;
    for (double spent = 0; spent < wanted || totals.size() < 3;) {
      double seconds;
      current.clear();
      if (std::string error = artifact.runOnce(seconds); !error.empty())
        return error;
      if (current.size() != commandCount)
        return "a run of " + std::to_string(current.size()) + " commands, wanted " + std::to_string(commandCount) +
               ": programs with loops and branches have no times";
      totals.push_back(seconds);
      runs.push_back(current);
      spent += seconds;
    }
    takeMedians(totals, runs, measurement);
    return "";
  }

private:
  static void measureMachine(Measurement &measurement) {
    constexpr size_t bytes = size_t(256) << 20; // beyond the caches
    ThreadRates rates(measurement.threads, bytes);
    measurement.flopsPerSecond = rates.flopsPerSecond();
    measurement.bytesPerSecond = rates.bytesPerSecond(bytes);
  }

  /// The first run warms caches: it does not count.
  static void takeMedians(std::vector<double> totals, std::vector<std::vector<double>> runs, Measurement &measurement) {
    totals.erase(totals.begin());
    runs.erase(runs.begin());
    measurement.runs = unsigned(totals.size());
    measurement.seconds = median(totals);
    for (size_t command = 0; command < runs.front().size(); ++command) {
      std::vector<double> times;
      for (const std::vector<double> &run : runs)
        times.push_back(run[command]);
      measurement.commands.push_back(median(times));
    }
  }

  RunOptions options;
  size_t commandCount;
  std::vector<double> current;
};
} // namespace

llvm::Expected<Measurement> profile(const std::string &model, const CompileOptions &options,
                                    const Explanation &explanation, const Sizes &sizes, unsigned threads) {
  WorkFolder work;
  if (work.path.empty())
    return makeError("no folder for temporary files can be made in " + std::filesystem::temp_directory_path().string());
  std::string artifact = (work.path / "model.tenon").string();
  if (llvm::Error error = compileForThisMachine(model, artifact, options))
    return std::move(error);
  Measurement measurement;
  measurement.model = std::filesystem::path(model).filename().string();
  if (std::string error = Profiler(artifact, explanation.entries.front(), sizes, threads).run(measurement);
      !error.empty())
    return makeError(error);
  return measurement;
}

} // namespace tenon
