//===- memory.h - Memory that shapes decide ---------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_MEMORY_H
#define TENON_RUNTIME_MEMORY_H

#include "runtime/src/status.h"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace tenon {

/// The system's memory as a tenon_allocator; large blocks ask for huge pages.
tenon_allocator systemAllocator();

/// One block from an allocator, 64-byte aligned, that only grows.
class Block {
public:
  Block() = default;
  explicit Block(const tenon_allocator *allocator) : allocator(allocator) {}
  Block(Block &&other) noexcept { swap(other); }
  Block &operator=(Block &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Block() { release(); }

  /// At least `bytes` bytes; the contents are lost if it grows. Keeps what it
  /// has when there is no memory. `what` is for the message.
  Status reserve(uint64_t bytes, const char *what);
  void release();

  uint8_t *data() const { return start; }
  uint64_t size() const { return count; }

private:
  void swap(Block &other) {
    std::swap(allocator, other.allocator);
    std::swap(start, other.start);
    std::swap(count, other.count);
  }
  const tenon_allocator *allocator = nullptr;
  uint8_t *start = nullptr;
  uint64_t count = 0;
};

} // namespace tenon

#endif // TENON_RUNTIME_MEMORY_H
