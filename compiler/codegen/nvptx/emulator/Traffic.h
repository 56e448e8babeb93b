// What a kernel asks of a GPU's memory, counted as the hardware would see it.
//
// Lanes run one after another here, so the accesses of one instruction by a warp
// are put together again: the n-th time a lane passes a place in the code since
// the warp last met belongs to the n-th time of the others. A warp meets at
// barriers, shuffles, mma.sync and the end.
//
//   global   32-byte sectors touched, beside the fewest that hold those bytes.
//            An access of a warp is coalesced if it takes at most one more: a
//            range that starts within a sector cannot do better.
//   shared   passes over the 32 banks of 4 bytes. 8 bytes a lane go by half
//            warps, 16 by quarters; each such part takes as many passes as it
//            has different words in its fullest bank, and one at best.

#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "compiler/codegen/nvptx/emulator/SharedMemory.h"

namespace tenon::emulator {

struct Counters {
  uint64_t blocks = 0, threads = 0, barriers = 0;
  uint64_t mmaMultiplyAdds = 0, scalarMultiplyAdds = 0;
  uint64_t globalAccesses = 0, coalescedAccesses = 0, sectors = 0, fewestSectors = 0; // accesses: of warps
  uint64_t sharedPasses = 0, fewestSharedPasses = 0;

  Counters &operator+=(const Counters &other);
  /// One access, of neighbouring bytes from global `address` on.
  void countBulkCopy(uint64_t address, uint64_t bytes);
};

/// The accesses of one warp since it last met.
class WarpTraffic {
public:
  /// Lane `lane` passes the place `stream` of the code with an access of `bytes` (at most 16) at `address`.
  void note(unsigned stream, unsigned lane, uint64_t address, unsigned bytes, bool isShared, Counters &counters);
  /// The warp meets: what lanes have passed is all there is.
  void meet(Counters &counters);

private:
  struct Group {
    uint32_t lanes = 0;
    std::array<uint64_t, warpLanes> addresses;
  };
  struct Stream {
    std::deque<Group> groups; // of the passes `first` and later
    uint32_t first = 0, bytes = 0;
    std::array<uint32_t, warpLanes> passes{};
    bool isShared = false, isOpen = false;
  };
  static void count(const Stream &stream, const Group &group, Counters &counters);

  std::vector<Stream> streams;
  std::vector<unsigned> open; // streams passed since the warp last met
};

} // namespace tenon::emulator
