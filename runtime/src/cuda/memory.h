//===- memory.h - A GPU's context and memory --------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CUDA_MEMORY_H
#define TENON_RUNTIME_CUDA_MEMORY_H

#include "runtime/src/cuda/driver.h"

#include <utility>

namespace tenon::cuda {

/// The process's context of a GPU, held as long as this lives.
class PrimaryContext {
public:
  PrimaryContext() = default;
  PrimaryContext(const PrimaryContext &) = delete;
  PrimaryContext &operator=(const PrimaryContext &) = delete;
  ~PrimaryContext();

  Status open(const DriverTable &table, const Gpu &gpu);

  const DriverTable &driver() const { return *table; }
  const Gpu &device() const { return gpu; }

private:
  friend class Current;
  const DriverTable *table = nullptr;
  Gpu gpu;
  Context context = nullptr;
};

/// Makes a context the calling thread's for a scope, as the driver's calls want it.
class Current {
public:
  explicit Current(const PrimaryContext &of);
  ~Current();
  Current(const Current &) = delete;
  Current &operator=(const Current &) = delete;

private:
  const PrimaryContext &of;
  bool pushed;
};

/// One block of the GPU's memory that only grows. Used and destroyed with its context current.
class DeviceBlock {
public:
  explicit DeviceBlock(const PrimaryContext &context) : context(&context) {}
  DeviceBlock(DeviceBlock &&other) noexcept : context(other.context) { swap(other); }
  DeviceBlock(const DeviceBlock &) = delete;
  DeviceBlock &operator=(const DeviceBlock &) = delete;
  ~DeviceBlock() { release(); }

  /// At least `bytes` bytes, 256-byte aligned. When it grows its address changes, what was in it is lost, and on
  /// failure it is empty: the old block is given back first, for the GPU may not hold both. `what` is for the message.
  Status reserve(uint64_t bytes, const char *what);
  void release();

  Address address() const { return start; }
  uint64_t size() const { return count; }

private:
  void swap(DeviceBlock &other) {
    std::swap(start, other.start);
    std::swap(count, other.count);
  }
  const PrimaryContext *context;
  Address start = 0;
  uint64_t count = 0;
};

} // namespace tenon::cuda

#endif // TENON_RUNTIME_CUDA_MEMORY_H
