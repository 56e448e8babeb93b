// A block's shared memory, every byte with its history: who wrote it, who read
// it, and whether a barrier lies between that and now.
//
// Example. Thread 3 writes byte 8, thread 40 reads it:
//
//     write(3, 8)   barrier   read(40, 8)      fine
//     write(3, 8)             read(40, 8)      race with thread 3
//     write(3, 8)   warp sync read(5, 8)       fine: both are in warp 0
//     write(3, 8)   warp sync read(40, 8)      race: the barrier was warp 0's
//                             read(40, 8)      uninitialised
//
// Rule. A clock ticks at each barrier of the block and of a warp. An earlier
// access is ordered before one of now if it is the same thread's, is older than
// the block's last barrier, or is the same warp's and older than that warp's.
// Two accesses to a byte, one of them a write, that are not ordered are a race.
// An asynchronous copy owns its bytes from its issue until its thread has waited
// for it; after that they count as written by that thread.
//
// Only the last write and the last readers (one thread, several of a warp, or
// more) of a byte are kept: a race may be reported with another thread than the
// first, and one with an older access than those may be missed. None is invented.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tenon::emulator {

inline constexpr unsigned warpLanes = 32;
inline constexpr unsigned maxBlockThreads = 1024;

class SharedMemory {
public:
  /// New memory for a block, uninitialised.
  void reset(uint64_t bytes);

  char *data() const { return reinterpret_cast<char *>(bytes.get()); }
  uint64_t size() const { return count; }
  bool contains(uint64_t address) const { return address - reinterpret_cast<uintptr_t>(data()) < count; }

  /// An access by `thread`, checked and remembered. What is wrong with it, or empty. `offset + bytes` is inside.
  std::string read(unsigned thread, uint64_t offset, uint64_t bytes);
  std::string write(unsigned thread, uint64_t offset, uint64_t bytes);
  /// Reads and writes; atomic accesses of different threads need no order.
  std::string update(unsigned thread, uint64_t offset, uint64_t bytes);
  std::string beginCopy(unsigned thread, uint64_t offset, uint64_t bytes);
  void endCopy(unsigned thread, uint64_t offset, uint64_t bytes);

  void syncBlock() { lastBlockSync = ++now; }
  void syncWarp(unsigned warp) { lastWarpSync[warp] = ++now; }

private:
  enum class Access { Read, Write, Update, Copy };
  struct Cell {
    uint32_t written = 0, read = 0; // when, by the clock
    uint16_t writer = 0, reader = 0;
  };

  std::string access(unsigned thread, uint64_t offset, uint64_t bytes, Access kind);
  bool isPlain(const Cell &cell, unsigned thread, Access kind) const;
  uint16_t flagsAfter(const Cell &cell, unsigned thread, Access kind) const;
  std::string conflict(const Cell &cell, unsigned thread, Access kind) const;
  bool isOrdered(uint32_t time, unsigned warp, unsigned thread) const {
    return time < lastBlockSync || (warp == thread / warpLanes && time < lastWarpSync[warp]);
  }
  bool isReadOrdered(const Cell &cell, unsigned thread) const;
  void noteRead(Cell &cell, unsigned thread);

  std::unique_ptr<std::max_align_t[]> bytes;
  std::vector<Cell> cells;
  uint64_t count = 0, capacity = 0;
  uint32_t now = 0, blockBegin = 0, lastBlockSync = 0;
  std::array<uint32_t, maxBlockThreads / warpLanes> lastWarpSync{};
};

} // namespace tenon::emulator
