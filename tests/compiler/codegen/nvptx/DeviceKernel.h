// One tenon.kernel as a GPU runs it, in the emulator: what the tests of native lowerings run.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/nvptx/emulator/Emulator.h"
#include "dialects/tenon/Dim.h"

namespace tenon {

class DeviceKernel {
public:
  /// `text` is a module with one tenon.kernel, @k.
  explicit DeviceKernel(const std::string &text, const std::string &level = "nvptx-sm_80");

  /// What `tenon explain` says of it.
  const std::string &form() const { return formText; }

  /// Memory of one operand; written where it is a result.
  struct Buffer {
    void *data;
    uint64_t bytes;
    bool isResult = false;

    template <typename T> static Buffer of(std::vector<T> &values) {
      return {values.data(), values.size() * sizeof(T)};
    }
    template <typename T> static Buffer result(std::vector<T> &values) {
      return {values.data(), values.size() * sizeof(T), true};
    }
  };

  /// Runs all blocks with d0, d1, … = dims. What went wrong, or empty.
  std::string run(const std::vector<Buffer> &buffers, const std::vector<int64_t> &dims);

  /// Of all runs so far.
  emulator::Counters counters() const { return emulator->counters("k"); }
  /// The part of all multiply-adds that tensor cores did.
  double tensorShare() const;
  /// The part of accesses to global memory by warps that take no more sectors than they have to.
  double coalescedShare() const;
  /// Passes over the banks of shared memory, beside the fewest.
  double bankPasses() const;

private:
  std::string compile(const std::string &text, const std::string &levelName);

  std::unique_ptr<emulator::Emulator> emulator;
  std::string error, formText;
  Dim tiles;
  unsigned threads = 0, sharedBytes = 0;
};

} // namespace tenon
