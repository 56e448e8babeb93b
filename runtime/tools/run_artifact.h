//===- run_artifact.h - What `tenon run` and tenon-run do -------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_TOOLS_RUN_ARTIFACT_H
#define TENON_RUNTIME_TOOLS_RUN_ARTIFACT_H

#include "tenon/tenon.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tenon {

struct RunOptions {
  std::string artifact;                                             ///< path
  std::string entry;                                                ///< empty: the only one, or "main"
  std::vector<std::pair<std::string, std::string>> inputs;          ///< name, .npy file; no name: all of a .npz file
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes; ///< name, dims of a random input
  bool random = false;                                              ///< inputs without a file are made up
  std::string outputFolder;                                         ///< empty: outputs are not written
  std::string level;                                                ///< empty: the best there is
  uint32_t threads = 0;                                             ///< 0: as many as CPUs
  uint32_t repeat = 1;                                              ///< timed runs
  uint32_t warmup = 0;                                              ///< runs before them
  bool json = false;  ///< one line: {"target": .., "threads": .., "seconds": [..]}
  bool quiet = false; ///< nothing on standard error but errors
  std::string trust;  ///< public key whose signature the artifact must have, or empty
  std::string trace;  ///< file for a trace of the last run, or empty
  const tenon_linked_program *linked = nullptr; ///< run instead of the artifact's file
  bool alignInputs = false;                     ///< inputs begin at multiples of 256 bytes, as in a GPU's memory
  std::function<std::string()> check;           ///< what was wrong with a run besides its status; may be empty
  /// Called after each command of each run, if there is something to call.
  std::function<void(const tenon_trace_event &event)> onCommand;
};

/// Loads, binds, runs, writes `<output>.npy` files, prints times to standard
/// output. Empty on success, else what is wrong.
///
/// Random inputs are the same each time: floats uniform in -1..1; integers and
/// booleans 0 or 1, but all rows of a table that the artifact says they index.
std::string runArtifact(const RunOptions &options);

/// An artifact loaded, its inputs read or made up and bound, for who runs it step by step.
class ArtifactRun {
public:
  explicit ArtifactRun(const RunOptions &options);
  ~ArtifactRun();
  ArtifactRun(const ArtifactRun &) = delete;

  /// Empty on success, else what is wrong; so do the others.
  std::string open();
  std::string runOnce(double &seconds);
  /// Every input it runs on, as NAME.npy.
  std::string writeInputs(const std::string &folder) const;
  /// Every output of the last run, as NAME.npy.
  std::string writeOutputs(const std::string &folder) const;
  std::string level() const;
  uint32_t threads() const;

  class Runner;

private:
  std::unique_ptr<Runner> runner;
};

/// "1x128" as dims; false if it is something else.
bool parseDims(const std::string &text, std::vector<int64_t> &dims);

} // namespace tenon

#endif // TENON_RUNTIME_TOOLS_RUN_ARTIFACT_H
