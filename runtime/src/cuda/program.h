//===- program.h - A level's kernels on a GPU -------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// What a model holds when its level is an NVIDIA GPU's: the kernels, made from
// the level's PTX or taken from the cache, and the weights, resident. Sessions
// share it.
//
// A kernel that reads where it may not ends everything in the process's context
// of that GPU: from then on every session there fails, at once and by name, and
// the process goes on.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CUDA_PROGRAM_H
#define TENON_RUNTIME_CUDA_PROGRAM_H

#include "runtime/src/cuda/memory.h"
#include "runtime/src/format.h"

#include <atomic>
#include <vector>

struct tenon_model;

namespace tenon::cuda {

struct Kernel {
  Function function = nullptr;
  uint32_t blockThreads = 0; ///< 1: a worker kernel, whose threads take tiles as a CPU's workers do
  uint32_t sharedBytes = 0; ///< given at launch, beside what the kernel declares
};

class Program {
public:
  Program() = default;
  ~Program();

  /// Loads the kernels of the model's level onto the GPU that has it, and the weights. `note` says what was done.
  Status load(const tenon_model &model, std::string &note);

  const PrimaryContext &context() const { return primary; }
  const DriverTable &driver() const { return primary.driver(); }
  const Kernel &kernel(uint32_t index) const { return kernels[index]; }
  Address weights() const { return weightData.address(); }

  /// Nothing for success, else what was tried and the driver's name of the error. Remembers those after which the
  /// GPU does nothing more. `what` is a function that makes the text.
  template <typename What> Status check(Result error, What what) const {
    return error == success ? nullptr : fail(error, what());
  }
  /// A failure once the GPU does nothing more.
  Status checkAlive() const;

private:
  Status fail(Result error, const std::string &what) const;
  Status loadCode(const tenon_model &model, std::string &note);
  Status compile(const char *ptx, size_t bytes, const char *name, std::vector<uint8_t> &cubin) const;
  Status findKernels(const tenon_model &model);
  Status findKernel(const char *name, const format::KernelCodeRecord &code);
  Status sendWeights(const tenon_model &model);

  PrimaryContext primary;
  Module module = nullptr;
  std::vector<Kernel> kernels;
  DeviceBlock weightData{primary};
  mutable std::atomic<int> fatal{success}; ///< the first error after which nothing works
};

} // namespace tenon::cuda

#endif // TENON_RUNTIME_CUDA_PROGRAM_H
