#include "compiler/codegen/nvptx/emulator/SharedMemory.h"

#include <algorithm>
#include <cstddef>

namespace tenon::emulator {

// What `writer` says besides the thread, and `reader` instead of one.
static constexpr uint16_t isCopying = 0x8000, isAtomic = 0x4000, threadBits = 0x7ff;
static constexpr uint16_t severalOfWarp = 0x8000, severalWarps = 0xffff;

void SharedMemory::reset(uint64_t wanted) {
  constexpr uint32_t longestRun = 1u << 30; // ticks one block may add before the clock starts again
  if (wanted > capacity || now > longestRun) {
    capacity = std::max(capacity, (wanted + 255) / 256 * 256);
    bytes.reset(static_cast<char *>(::operator new(capacity, alignment)));
    cells.assign(capacity, Cell());
    now = 0;
  }
  count = wanted;
  blockBegin = lastBlockSync = ++now;
  lastWarpSync.fill(now);
  known.clear();
  reads.clear();
  for (std::vector<OpenRead> &open : openReads)
    open.clear();
  fenced.fill(0);
  constexpr int poison = 0x7f; // no value a kernel would write, in any type
  std::fill_n(data(), count, char(poison));
}

bool SharedMemory::isReadOrdered(const Cell &cell, unsigned thread) const {
  if (cell.read < lastBlockSync || cell.reader == thread)
    return true;
  if (cell.reader == severalWarps)
    return !known.empty(); // which ones is not kept, so nor whether a barrier in memory has ordered them
  if (!(cell.reader & severalOfWarp))
    return isOrdered(cell.read, cell.reader, thread);
  unsigned first = (cell.reader & threadBits) * warpLanes;
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    if (isOrdered(cell.read, first + lane, thread))
      return true;
  return false;
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

static std::string describeWriter(unsigned writer) {
  return writer == SharedMemory::engine ? "a bulk copy" : "thread " + std::to_string(writer);
}

std::string SharedMemory::conflict(const Cell &cell, unsigned thread, Access kind) const {
  bool isWritten = cell.written >= blockBegin, isReading = kind == Access::Read || kind == Access::Update;
  unsigned writer = cell.writer & threadBits;
  if (isReading && !isWritten)
    return "nothing was written there before";
  if (isWritten && (cell.writer & isCopying))
    return "thread " + std::to_string(writer) + " is still copying there (cp.async without a wait for it)";
  bool bothAtomic = kind == Access::Update && (cell.writer & isAtomic);
  if (isWritten && writer != thread && !bothAtomic && !isOrdered(cell.written, writer, thread))
    return "a race: " + describeWriter(writer) + " wrote there, and no barrier lies between";
  if (kind != Access::Read && cell.read >= blockBegin && !isReadOrdered(cell, thread))
    return "a race: " + describeReader(cell.reader) + " read there, and no barrier lies between";
  return "";
}

/// What `writer` is to say beside the thread. A plain write that nothing has ordered yet stays one, whatever follows.
uint16_t SharedMemory::flagsAfter(const Cell &cell, unsigned thread, Access kind) const {
  if (kind != Access::Update)
    return kind == Access::Copy ? isCopying : 0;
  bool isUnordered =
      !(cell.writer & isAtomic) && cell.written >= lastBlockSync && cell.written >= lastWarpSync[thread / warpLanes];
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
  if (kind != Access::Read && !reads.empty())
    if (std::string what = conflictWithWgmma(offset, length, thread); !what.empty())
      return what;
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

//===----------------------------------------------------------------------===//
// Barriers in memory
//===----------------------------------------------------------------------===//

std::vector<SharedMemory::Knowledge> &SharedMemory::knowledge() {
  if (known.empty())
    known.assign(maxBlockThreads, Knowledge{});
  return known;
}

static void merge(SharedMemory::Knowledge &into, const SharedMemory::Knowledge &from) {
  for (size_t i = 0; i < into.size(); ++i)
    into[i] = std::max(into[i], from[i]);
}

void SharedMemory::publish(unsigned thread, Knowledge &to) {
  merge(to, knowledge()[thread]);
  to[thread] = now++;
}

void SharedMemory::learn(unsigned thread, const Knowledge &from) { merge(knowledge()[thread], from); }

/// A warp's lanes tell each other what they know.
void SharedMemory::syncWarp(unsigned warp) {
  if (!known.empty()) {
    Knowledge all{};
    for (unsigned lane = 0; lane < warpLanes; ++lane) {
      merge(all, known[warp * warpLanes + lane]);
      all[warp * warpLanes + lane] = now;
    }
    std::fill_n(known.begin() + warp * warpLanes, warpLanes, all);
  }
  lastWarpSync[warp] = ++now;
}

void SharedMemory::endBulkCopy(uint64_t offset, uint64_t length, Knowledge &to) {
  endCopy(engine, offset, length);
  to[engine] = now++;
}

//===----------------------------------------------------------------------===//
// What wgmma reads
//===----------------------------------------------------------------------===//

static constexpr uint32_t isReading = ~0u;
static constexpr unsigned warpgroupThreads = 128;

void SharedMemory::fenceForWgmma(unsigned thread) { fenced[thread] = now++; }

std::string SharedMemory::beginRead(unsigned warpgroup, uint64_t offset, uint64_t product) {
  if (reads.empty())
    reads.assign(capacity / readBytes, Reads{});
  for (uint64_t at = offset; at < offset + readBytes; ++at) {
    const Cell &cell = cells[at];
    unsigned writer = cell.writer & threadBits;
    for (unsigned warp = 0; warp < warpgroupThreads / warpLanes; ++warp)
      if (std::string what = conflict(cell, warpgroup * warpgroupThreads + warp * warpLanes, Access::Read);
          !what.empty())
        return what;
    if (writer != engine && cell.written > fenced[writer])
      return "thread " + std::to_string(writer) + " wrote there without fence.proxy.async behind it";
  }
  reads[offset / readBytes][warpgroup] = isReading;
  openReads[warpgroup].push_back({offset / readBytes, product});
  return "";
}

void SharedMemory::endReads(unsigned warpgroup, uint64_t product) {
  std::vector<OpenRead> &open = openReads[warpgroup];
  auto isOver = [&](const OpenRead &read) { return read.product <= product; };
  for (const OpenRead &read : open)
    if (isOver(read))
      reads[read.place][warpgroup] = now;
  open.erase(std::remove_if(open.begin(), open.end(), isOver), open.end());
  for (const OpenRead &read : open) // by a later product again
    reads[read.place][warpgroup] = isReading;
  ++now;
}

std::string SharedMemory::conflictWithWgmma(uint64_t offset, uint64_t length, unsigned thread) const {
  for (uint64_t place = offset / readBytes; place <= (offset + length - 1) / readBytes; ++place)
    for (unsigned warpgroup = 0; warpgroup < warpgroups; ++warpgroup) {
      uint32_t time = reads[place][warpgroup];
      std::string name = "a wgmma of threads " + std::to_string(warpgroup * warpgroupThreads) + "-" +
                         std::to_string((warpgroup + 1) * warpgroupThreads - 1);
      if (time == isReading)
        return name + " may still read there (no wait for it)";
      for (unsigned warp = 0; time && warp < warpgroupThreads / warpLanes; ++warp)
        if (unsigned reader = warpgroup * warpgroupThreads + warp * warpLanes;
            reader != thread && !isOrdered(time, reader, thread))
          return "a race: " + name + " read there, and no barrier lies between";
    }
  return "";
}

} // namespace tenon::emulator
