//===- memory.cpp - A GPU's context and memory ----------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/memory.h"

#include <cinttypes>

namespace tenon::cuda {

Status PrimaryContext::open(const DriverTable &driver, const Gpu &wanted) {
  if (Result error = driver.cuDevicePrimaryCtxRetain(&context, wanted.device))
    return driverFailure(driver, error, "cannot use " + wanted.name);
  table = &driver;
  gpu = wanted;
  return nullptr;
}

PrimaryContext::~PrimaryContext() {
  if (table)
    table->cuDevicePrimaryCtxRelease_v2(gpu.device);
}

Current::Current(const PrimaryContext &of)
    : of(of), pushed(of.table && of.table->cuCtxPushCurrent_v2(of.context) == success) {}

Current::~Current() {
  Context popped;
  if (pushed)
    of.table->cuCtxPopCurrent_v2(&popped);
}

Status DeviceBlock::reserve(uint64_t bytes, const char *what) {
  if (bytes <= count)
    return nullptr;
  release();
  const DriverTable &driver = context->driver();
  Result error = driver.cuMemAlloc_v2(&start, bytes);
  if (error == success) {
    count = bytes;
    return nullptr;
  }
  start = 0;
  if (error != outOfMemory)
    return driverFailure(driver, error, text("cannot take %" PRIu64 " bytes of GPU memory for %s", bytes, what));
  size_t free = 0, total = 0;
  driver.cuMemGetInfo_v2(&free, &total);
  return failure(TENON_OUT_OF_MEMORY, "no GPU memory for the %" PRIu64 " bytes of %s: %zu of %zu bytes are free on %s",
                 bytes, what, free, total, context->device().name.c_str());
}

void DeviceBlock::release() {
  if (count)
    context->driver().cuMemFree_v2(start);
  start = 0;
  count = 0;
}

} // namespace tenon::cuda
