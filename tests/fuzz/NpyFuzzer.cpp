//===- NpyFuzzer.cpp - Any bytes as .npy and .npz files -------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The bytes are read as both. What is read has exactly the bytes its type and
// dims say, and as a .npy file what is written from it reads back the same.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/npz.h"

#include <cstdlib>

using namespace tenon;

static void check(const NpyArray &array) {
  uint64_t bytes = tenon_dtype_bytes(array.dtype);
  for (int64_t dim : array.dims)
    if (dim < 0 || __builtin_mul_overflow(bytes, uint64_t(dim), &bytes))
      std::abort();
  if (bytes != array.bytes.size())
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  NpyArray array;
  if (readNpyMemory(data, size, "fuzz.npy", array).empty())
    check(array);
  NpzArrays arrays;
  if (readNpzMemory(data, size, "fuzz.npz", arrays).empty())
    for (const auto &[name, member] : arrays)
      check(member);
  return 0;
}
