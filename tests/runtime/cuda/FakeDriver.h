//===- FakeDriver.h - An NVIDIA driver without a GPU ------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The driver's functions over the host's memory, for tests of everything in the
// runtime that talks to a GPU. Kernels are those of kernels.c, found by name.
//
// It is stricter than a GPU's driver. Addresses of its memory mean nothing to
// the host, and every range and handle is looked up. What is put on a stream is
// done when somebody waits for it and no sooner. Graphs replay what was
// captured. Calls without a current context, wrong blocks and parameters, and
// whatever was not given back are noted.
//
// The same source is the tests' own libcuda.so.1, for programs that load it by
// name.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_TESTS_RUNTIME_CUDA_FAKEDRIVER_H
#define TENON_TESTS_RUNTIME_CUDA_FAKEDRIVER_H

#include "runtime/src/cuda/driver_api.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tenon::test {

struct FakeGpu {
  std::string name = "Fake GPU";
  int capability = 80;
  size_t bytes = size_t(1) << 30;
};

/// A launch of a kernel that is none of kernels.c's.
struct FakeLaunch {
  std::string kernel;
  unsigned blocks, threads, sharedBytes;
  std::vector<uint64_t> parameter;
};

/// What the driver pretends to be, and what it saw. Set it up while nothing uses it.
struct FakeDriver {
  int version = 12040;
  cuda::Result start = cuda::success; ///< what cuInit gives
  std::vector<FakeGpu> gpus = {FakeGpu()};

  std::map<std::string, int> calls;  ///< by function
  int callCount = 0;                 ///< of calls that may fail
  int failingCall = -1;              ///< the call of this number fails, counted from 0
  cuda::Result failure = cuda::outOfMemory;
  std::string failingFunction;       ///< every call of this function fails
  std::vector<std::string> misuse;   ///< what a caller did wrong
  std::vector<std::string> launches; ///< "addKernel 4x32", as executed

  /// Runs other kernels than kernels.c's; says what went wrong. Without it their PTX is refused.
  std::function<std::string(const FakeLaunch &)> run;

  /// Things not given back: "2 allocations, 1 stream"; empty: none.
  std::string leaks() const;
  /// Bytes taken now.
  size_t bytesInUse() const;
};

/// For FakeDriver::run: the host's memory at an address of the GPU's and how much of its allocation follows, or null.
std::pair<char *, size_t> fakeMemory(cuda::Address address);

/// The one there is.
FakeDriver &fakeDriver();
/// All as at first; forgets what was leaked.
void resetFakeDriver();
/// Its functions.
cuda::DriverTable fakeTable();

} // namespace tenon::test

#endif // TENON_TESTS_RUNTIME_CUDA_FAKEDRIVER_H
