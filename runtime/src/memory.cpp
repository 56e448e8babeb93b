//===- memory.cpp - Memory that shapes decide -----------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/memory.h"

#include <algorithm>
#include <cinttypes>
#include <cstdlib>
#include <sys/mman.h>

namespace tenon {

static constexpr size_t blockAlignment = 64;
static constexpr size_t hugePage = size_t(2) << 20;

/// A matrix product touches a page per row, and 4 KiB pages overflow the TLB. From a quarter of a huge page on
/// the rest of it is worth losing.
static bool wantsHugePages(size_t bytes) { return bytes >= hugePage / 4; }

static void *allocateSystem(void *, size_t bytes, size_t alignment) {
  if (wantsHugePages(bytes))
    alignment = std::max(alignment, hugePage);
  size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void *memory = rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded);
  if (memory && wantsHugePages(bytes))
    ::madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

static void freeSystem(void *, void *memory, size_t) { std::free(memory); }

tenon_allocator systemAllocator() { return {nullptr, allocateSystem, freeSystem}; }

Status Block::reserve(uint64_t bytes, const char *what) {
  if (bytes <= count)
    return nullptr;
  void *memory = bytes > SIZE_MAX / 2 ? nullptr : allocator->allocate(allocator->user, bytes, blockAlignment);
  if (!memory)
    return failure(TENON_OUT_OF_MEMORY, "no memory for the %" PRIu64 " bytes of %s", bytes, what);
  release();
  start = static_cast<uint8_t *>(memory);
  count = bytes;
  return nullptr;
}

void Block::release() {
  if (start)
    allocator->deallocate(allocator->user, start, count);
  start = nullptr;
  count = 0;
}

} // namespace tenon
