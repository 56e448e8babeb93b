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
// Barriers in memory (Mbarrier.h) order some threads alone. A thread that arrives
// leaves the times up to which it knows of every thread's accesses; one that has
// waited knows them too. What a wgmma reads it may read until its warpgroup has
// waited for it: a write before that, or by a thread that does not know of that
// wait, is a race.
//
// Only the last write and the last readers (one thread, several of a warp, or
// more) of a byte are kept: a race may be reported with another thread than the
// first, and one with an older access than those may be missed. None is invented.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace tenon::emulator {

inline constexpr unsigned warpLanes = 32;
inline constexpr unsigned maxBlockThreads = 1024;

class SharedMemory {
public:
  /// New memory for a block, uninitialised.
  void reset(uint64_t bytes);

  char *data() const { return bytes.get(); }
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
  void syncWarp(unsigned warp);

  /// Of every thread, and of the engine that copies in bulk, the time up to which its accesses are known.
  using Knowledge = std::array<uint32_t, maxBlockThreads + 1>;
  static constexpr unsigned engine = maxBlockThreads;

  /// Adds what `thread` knows, and what it has done.
  void publish(unsigned thread, Knowledge &to);
  void learn(unsigned thread, const Knowledge &from);

  /// What the engine writes, on behalf of a copy that `beginCopy` checked; orders it before who learns `to`.
  void endBulkCopy(uint64_t offset, uint64_t bytes, Knowledge &to);
  /// Writes of `thread` can be seen by wgmma, once it is told of them.
  void fenceForWgmma(unsigned thread);
  /// Sixteen bytes that a wgmma of `warpgroup` reads, until `endReads` with a number not below `product`.
  std::string beginRead(unsigned warpgroup, uint64_t offset, uint64_t product);
  void endReads(unsigned warpgroup, uint64_t product);

private:
  enum class Access { Read, Write, Update, Copy };
  struct Cell {
    uint32_t written = 0, read = 0; // when, by the clock
    uint16_t writer = 0, reader = 0;
  };
  static constexpr unsigned readBytes = 16, warpgroups = maxBlockThreads / 128;
  /// When the wgmmas of each warpgroup had read sixteen bytes; 0 where none did.
  using Reads = std::array<uint32_t, warpgroups>;
  struct OpenRead {
    uint64_t place, product;
  };

  std::string access(unsigned thread, uint64_t offset, uint64_t bytes, Access kind);
  bool isPlain(const Cell &cell, unsigned thread, Access kind) const;
  uint16_t flagsAfter(const Cell &cell, unsigned thread, Access kind) const;
  std::string conflict(const Cell &cell, unsigned thread, Access kind) const;
  bool isOrdered(uint32_t time, unsigned earlier, unsigned thread) const {
    return time < lastBlockSync ||
           (earlier / warpLanes == thread / warpLanes && time < lastWarpSync[thread / warpLanes]) ||
           isKnown(time, earlier, thread);
  }
  bool isKnown(uint32_t time, unsigned earlier, unsigned thread) const {
    return !known.empty() && time <= known[thread][earlier];
  }
  std::string conflictWithWgmma(uint64_t offset, uint64_t bytes, unsigned thread) const;
  std::vector<Knowledge> &knowledge();
  bool isReadOrdered(const Cell &cell, unsigned thread) const;
  void noteRead(Cell &cell, unsigned thread);

  /// As aligned as addresses in descriptors have bits, so that they are those of a GPU, where shared memory begins at 0.
  static constexpr std::align_val_t alignment{1 << 18};
  struct Free {
    void operator()(char *bytes) const { ::operator delete(bytes, alignment); }
  };
  std::unique_ptr<char, Free> bytes;
  std::vector<Cell> cells;
  uint64_t count = 0, capacity = 0;
  uint32_t now = 0, blockBegin = 0, lastBlockSync = 0;
  std::array<uint32_t, maxBlockThreads / warpLanes> lastWarpSync{};

  // Of kernels with barriers in memory, and with wgmma.
  std::vector<Knowledge> known; // of each thread
  std::vector<Reads> reads;
  std::array<std::vector<OpenRead>, warpgroups> openReads;
  Knowledge fenced{}; // when a thread last made its writes visible
};

} // namespace tenon::emulator
