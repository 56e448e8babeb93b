//===- FakeState.h - What the tests' driver keeps ---------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Shared by FakeDriver.cpp, the driver's functions, and FakeKernels.cpp, which
// reads PTX and runs kernels.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_TESTS_RUNTIME_CUDA_FAKESTATE_H
#define TENON_TESTS_RUNTIME_CUDA_FAKESTATE_H

#include "tenon/kernel_abi.h"
#include "tests/runtime/cuda/FakeDriver.h"

#include <functional>
#include <memory>
#include <set>

namespace tenon::test {

/// Something on a stream.
using Work = std::function<cuda::Result()>;

struct KnownKernel {
  uint32_t operands, dims;
  tenon_kernel_fn body; ///< null: reads where it may not
  bool isForeign = false; ///< not of kernels.c: operands stands for all words of its parameter before scratch
};

struct Allocation {
  std::unique_ptr<uint8_t[]> memory;
  size_t bytes;
};

} // namespace tenon::test

namespace tenon::cuda {
struct ContextObject {
  int device;
};
struct FunctionObject {
  std::string name;
  test::KnownKernel kernel;
  uint32_t blockThreads = 0; ///< as the PTX says; 0: a worker kernel
  int dynamicSharedBytes = 0;
};
struct ModuleObject {
  std::map<std::string, FunctionObject> functions;
};
struct GraphObject {
  std::vector<test::Work> work;
};
struct GraphExecObject {
  std::vector<test::Work> work;
};
struct StreamObject {
  std::vector<test::Work> queue;
  GraphObject *capture = nullptr;
};
struct LinkStateObject {
  std::string cubin;
  char *log = nullptr;
  size_t logBytes = 0;
};
} // namespace tenon::cuda

namespace tenon::test {

struct State {
  FakeDriver face;
  std::map<cuda::Address, Allocation> memory;
  cuda::Address next = cuda::Address(0x7f) << 40;
  std::set<void *> modules, streams, graphs, execs, links;
  int retained = 0;
  cuda::ContextObject context{0};
  cuda::Result sticky = cuda::success; ///< after a kernel went wrong, every call gives this
};
extern State state;

/// The host's address of so many bytes, or null if they are not all in one allocation.
uint8_t *hostAddress(cuda::Address address, size_t bytes);

/// A launch and its parameter, as kernels read it.
struct Launch {
  cuda::FunctionObject function;
  unsigned blocks, threads, sharedBytes;
  std::vector<uint64_t> words;

  cuda::Result run() const;
  uint64_t scratch() const { return words[words.size() - 4]; }
  uint64_t scratchBytes() const { return words[words.size() - 3]; }
  uint64_t faults() const { return words[words.size() - 2]; }
  uint32_t tiles() const { return uint32_t(words.back()); }

private:
  cuda::Result runTiles(tenon_kernel_args &args, uint64_t scratchIndex, uint32_t first, uint32_t last) const;
};

/// Reads the entries of PTX; invalidPtx for one that is not a kernel of kernels.c with its parameter.
cuda::Result findFunctions(const std::string &ptx, cuda::ModuleObject &module);
/// The number behind `key` in `text` from `from` on, before `end`; 0 if there is none.
int numberBehind(const std::string &text, const char *key, size_t from, size_t end = std::string::npos);

} // namespace tenon::test

#endif // TENON_TESTS_RUNTIME_CUDA_FAKESTATE_H
