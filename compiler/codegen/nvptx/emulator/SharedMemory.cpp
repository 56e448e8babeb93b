#include "compiler/codegen/nvptx/emulator/SharedMemory.h"

#include <algorithm>
#include <cstddef>

namespace tenon::emulator {

// What `writer` says besides the thread, and `reader` instead of one.
static constexpr uint16_t isCopying = 0x8000, isAtomic = 0x4000, threadBits = 0x3ff;
static constexpr uint16_t severalOfWarp = 0x8000, severalWarps = 0xffff;

void SharedMemory::reset(uint64_t wanted) {
  constexpr uint32_t longestRun = 1u << 30; // ticks one block may add before the clock starts again
  if (wanted > capacity || now > longestRun) {
    capacity = std::max(capacity, (wanted + 255) / 256 * 256);
    bytes.reset(new std::max_align_t[capacity / sizeof(std::max_align_t)]);
    cells.assign(capacity, Cell());
    now = 0;
  }
  count = wanted;
  blockBegin = lastBlockSync = ++now;
  lastWarpSync.fill(now);
  constexpr int poison = 0x7f; // no value a kernel would write, in any type
  std::fill_n(data(), count, char(poison));
}

bool SharedMemory::isReadOrdered(const Cell &cell, unsigned thread) const {
  if (cell.read < lastBlockSync || cell.reader == thread)
    return true;
  if (cell.reader == severalWarps)
    return false;
  unsigned warp = cell.reader & severalOfWarp ? cell.reader & threadBits : cell.reader / warpLanes;
  return isOrdered(cell.read, warp, thread);
}

void SharedMemory::noteRead(Cell &cell, unsigned thread) {
  uint16_t warp = uint16_t(severalOfWarp | thread / warpLanes);
  if (cell.read < lastBlockSync)
    cell.reader = uint16_t(thread);
  else if (cell.reader != thread && cell.reader != warp)
    cell.reader = !(cell.reader & severalOfWarp) && cell.reader / warpLanes == thread / warpLanes ? warp : severalWarps;
  cell.read = now;
}

static std::string describeReader(uint16_t reader) {
  if (reader == severalWarps)
    return "threads of several warps";
  return reader & severalOfWarp ? "threads of warp " + std::to_string(reader & threadBits)
                                : "thread " + std::to_string(reader);
}

std::string SharedMemory::conflict(const Cell &cell, unsigned thread, Access kind) const {
  bool isWritten = cell.written >= blockBegin, isReading = kind == Access::Read || kind == Access::Update;
  unsigned writer = cell.writer & threadBits;
  if (isReading && !isWritten)
    return "nothing was written there before";
  if (isWritten && (cell.writer & isCopying))
    return "thread " + std::to_string(writer) + " is still copying there (cp.async without a wait for it)";
  bool bothAtomic = kind == Access::Update && (cell.writer & isAtomic);
  if (isWritten && writer != thread && !bothAtomic && !isOrdered(cell.written, writer / warpLanes, thread))
    return "a race: thread " + std::to_string(writer) + " wrote there, and no barrier lies between";
  if (kind != Access::Read && cell.read >= blockBegin && !isReadOrdered(cell, thread))
    return "a race: " + describeReader(cell.reader) + " read there, and no barrier lies between";
  return "";
}

/// What `writer` is to say beside the thread. A plain write that nothing has ordered yet stays one, whatever follows.
uint16_t SharedMemory::flagsAfter(const Cell &cell, unsigned thread, Access kind) const {
  if (kind != Access::Update)
    return kind == Access::Copy ? isCopying : 0;
  bool isUnordered = !(cell.writer & isAtomic) && cell.written >= lastBlockSync && cell.written >= lastWarpSync[thread / warpLanes];
  return isUnordered ? 0 : isAtomic;
}

/// Whether nothing can be wrong, as in most cases: all that was done here lies before the last barrier or is the thread's own.
bool SharedMemory::isPlain(const Cell &cell, unsigned thread, Access kind) const {
  bool isOld = cell.written < lastBlockSync && !(cell.writer & isCopying);
  if (kind == Access::Read)
    return cell.written >= blockBegin && (isOld || cell.writer == thread);
  return kind != Access::Update && isOld && cell.read < lastBlockSync;
}

std::string SharedMemory::access(unsigned thread, uint64_t offset, uint64_t length, Access kind) {
  for (Cell *cell = &cells[offset], *end = cell + length; cell != end; ++cell) {
    if (!isPlain(*cell, thread, kind))
      if (std::string what = conflict(*cell, thread, kind); !what.empty())
        return what;
    if (kind == Access::Read) {
      noteRead(*cell, thread);
      continue;
    }
    cell->writer = uint16_t(thread | flagsAfter(*cell, thread, kind));
    cell->written = now;
  }
  return "";
}

std::string SharedMemory::read(unsigned thread, uint64_t offset, uint64_t length) {
  return access(thread, offset, length, Access::Read);
}

std::string SharedMemory::write(unsigned thread, uint64_t offset, uint64_t length) {
  return access(thread, offset, length, Access::Write);
}

std::string SharedMemory::update(unsigned thread, uint64_t offset, uint64_t length) {
  return access(thread, offset, length, Access::Update);
}

std::string SharedMemory::beginCopy(unsigned thread, uint64_t offset, uint64_t length) {
  return access(thread, offset, length, Access::Copy);
}

void SharedMemory::endCopy(unsigned thread, uint64_t offset, uint64_t length) {
  for (Cell *cell = &cells[offset], *end = cell + length; cell != end; ++cell) {
    cell->written = now;
    cell->writer = uint16_t(thread);
  }
}

} // namespace tenon::emulator
