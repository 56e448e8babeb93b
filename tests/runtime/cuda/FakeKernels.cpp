//===- FakeKernels.cpp - Reading PTX and running kernels ------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/cuda/FakeState.h"

#include <cstdlib>
#include <cstring>

using namespace tenon;
using namespace tenon::cuda;
using namespace tenon::test;

extern "C" {
#define KERNEL(name) void name(const tenon_kernel_args *args, uint32_t first, uint32_t last);
KERNEL(addKernel)
KERNEL(doubleKernel)
KERNEL(countKernel)
KERNEL(gatherKernel)
KERNEL(decrementKernel)
KERNEL(slowKernel)
#undef KERNEL
}

static const std::map<std::string, KnownKernel> knownKernels = {
    {"addKernel", {3, 1, addKernel}},       {"doubleKernel", {2, 1, doubleKernel}},
    {"countKernel", {2, 2, countKernel}},   {"gatherKernel", {3, 2, gatherKernel}},
    {"decrementKernel", {2, 0, decrementKernel}}, {"slowKernel", {2, 1, slowKernel}},
    {"faultKernel", {2, 1, nullptr}},
};


static Result outside(const std::string &what) {
  state.face.misuse.push_back(what + " outside of the GPU's memory");
  return state.sticky = illegalAddress;
}

//===- Kernels ------------------------------------------------------------===//

Result Launch::runTiles(tenon_kernel_args &args, uint64_t index, uint32_t first, uint32_t last) const {
  if (scratchBytes()) {
    args.scratch = hostAddress(scratch() + index * scratchBytes(), scratchBytes());
    if (!args.scratch)
      return outside(function.name + ": scratch");
  }
  if (first < last)
    function.kernel.body(&args, first, last);
  return success;
}

Result Launch::run() const {
  state.face.launches.push_back(function.name + " " + std::to_string(blocks) + "x" + std::to_string(threads));
  if (function.kernel.isForeign) {
    std::string wrong = state.face.run({function.name, blocks, threads, sharedBytes, words});
    if (wrong.empty())
      return success;
    state.face.misuse.push_back(wrong);
    return state.sticky = launchFailed;
  }
  if (!function.kernel.body)
    return state.sticky = illegalAddress;
  std::vector<void *> operands;
  for (uint32_t i = 0; i < function.kernel.operands; ++i) {
    operands.push_back(hostAddress(words[i], 1));
    if (!operands.back())
      return outside(function.name + ": operand " + std::to_string(i));
  }
  auto *faultWord = reinterpret_cast<uint32_t *>(hostAddress(faults(), sizeof(uint32_t)));
  if (!faultWord || faults() % sizeof(uint32_t))
    return outside(function.name + ": fault word");
  auto *dims = reinterpret_cast<const int64_t *>(words.data() + function.kernel.operands);
  tenon_kernel_args args = {operands.data(), dims, nullptr, faultWord};
  if (function.blockThreads) { // native: a tile per block
    for (uint32_t block = 0; block < blocks; ++block)
      if (Result error = runTiles(args, block, block, block + 1))
        return error;
    return success;
  }
  uint64_t workers = uint64_t(blocks) * threads;
  for (uint64_t t = 0; t < workers; ++t)
    if (Result error = runTiles(args, t, uint32_t(t * tiles() / workers), uint32_t((t + 1) * tiles() / workers)))
      return error;
  return success;
}

//===- Code ---------------------------------------------------------------===//

int tenon::test::numberBehind(const std::string &text, const char *key, size_t from, size_t end) {
  size_t found = text.find(key, from);
  return found == std::string::npos || found > end ? 0 : std::atoi(text.c_str() + found + std::strlen(key));
}

Result tenon::test::findFunctions(const std::string &ptx, ModuleObject &module) {
  const std::string key = ".entry ";
  for (size_t at = ptx.find(key); at != std::string::npos; at = ptx.find(key, at + 1)) {
    size_t start = at + key.size(), end = ptx.find('(', start), next = ptx.find(key, end);
    FunctionObject function;
    function.name = ptx.substr(start, end - start);
    int bytes = numberBehind(ptx, "_param_0[", end, next);
    auto known = knownKernels.find(function.name);
    if (known == knownKernels.end() && (!state.face.run || bytes < 32 || bytes % 8))
      return invalidPtx;
    function.kernel =
        known == knownKernels.end() ? KnownKernel{uint32_t(bytes - 32) / 8, 0, nullptr, true} : known->second;
    if (bytes != int(8 * (function.kernel.operands + function.kernel.dims) + 32))
      return invalidPtx;
    function.blockThreads = uint32_t(numberBehind(ptx, ".reqntid ", end, next));
    module.functions[function.name] = function;
  }
  return success;
}
