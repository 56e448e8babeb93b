#include "compiler/codegen/nvptx/emulator/Traffic.h"

#include <algorithm>

namespace tenon::emulator {

Counters &Counters::operator+=(const Counters &other) {
  for (auto member : {&Counters::blocks, &Counters::threads, &Counters::barriers, &Counters::mmaMultiplyAdds,
                      &Counters::scalarMultiplyAdds, &Counters::globalAccesses, &Counters::coalescedAccesses,
                      &Counters::sectors, &Counters::fewestSectors, &Counters::sharedPasses,
                      &Counters::fewestSharedPasses})
    this->*member += other.*member;
  return *this;
}

/// Different values among sorted ones, each first divided by `unit`.
static uint64_t countDifferent(const uint64_t *begin, const uint64_t *end, uint64_t unit) {
  uint64_t found = 0;
  for (const uint64_t *at = begin; at != end; ++at)
    found += at == begin || *at / unit != at[-1] / unit;
  return found;
}

static constexpr uint64_t sectorBytes = 32;

void Counters::countBulkCopy(uint64_t address, uint64_t bytes) {
  ++globalAccesses;
  ++coalescedAccesses;
  sectors += (address + bytes + sectorBytes - 1) / sectorBytes - address / sectorBytes;
  fewestSectors += (bytes + sectorBytes - 1) / sectorBytes;
}

static void countGlobal(uint64_t *addresses, unsigned lanes, unsigned bytes, Counters &counters) {
  std::sort(addresses, addresses + lanes);
  // An aligned access of at most 16 bytes lies in one sector; different ones do not overlap.
  uint64_t sectors = countDifferent(addresses, addresses + lanes, sectorBytes);
  uint64_t fewest = (countDifferent(addresses, addresses + lanes, 1) * bytes + sectorBytes - 1) / sectorBytes;
  ++counters.globalAccesses;
  counters.coalescedAccesses += sectors <= fewest + 1;
  counters.sectors += sectors;
  counters.fewestSectors += fewest;
}

/// Passes that one part of a warp takes: different words in its fullest bank.
static uint64_t countPasses(const uint64_t *addresses, unsigned lanes, unsigned bytes) {
  constexpr unsigned banks = 32, wordBytes = 4, mostWords = 32;
  std::array<uint64_t, mostWords> words;
  unsigned count = 0, wordsEach = std::max(1u, bytes / wordBytes);
  for (unsigned lane = 0; lane < lanes; ++lane)
    for (unsigned word = 0; word < wordsEach; ++word)
      words[count++] = addresses[lane] / wordBytes + word;
  std::sort(words.begin(), words.begin() + count);
  std::array<uint64_t, banks> perBank{};
  for (unsigned i = 0; i < count; ++i)
    perBank[words[i] % banks] += i == 0 || words[i] != words[i - 1];
  return *std::max_element(perBank.begin(), perBank.end());
}

static void countShared(const uint64_t *addresses, unsigned lanes, unsigned bytes, Counters &counters) {
  unsigned part = warpLanes / std::max(1u, bytes / 4);
  for (unsigned first = 0; first < lanes; first += part) {
    counters.sharedPasses += countPasses(addresses + first, std::min(part, lanes - first), bytes);
    ++counters.fewestSharedPasses;
  }
}

void WarpTraffic::count(const Stream &stream, const Group &group, Counters &counters) {
  std::array<uint64_t, warpLanes> addresses;
  unsigned lanes = 0;
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    if (group.lanes >> lane & 1)
      addresses[lanes++] = group.addresses[lane];
  if (stream.isShared)
    countShared(addresses.data(), lanes, stream.bytes, counters);
  else
    countGlobal(addresses.data(), lanes, stream.bytes, counters);
}

void WarpTraffic::note(unsigned index, unsigned lane, uint64_t address, unsigned bytes, bool isShared,
                       Counters &counters) {
  if (index >= streams.size())
    streams.resize(index + 1);
  Stream &stream = streams[index];
  if (!stream.isOpen) {
    open.push_back(index);
    stream.isOpen = true;
    stream.bytes = bytes;
    stream.isShared = isShared;
  }
  uint32_t pass = stream.passes[lane]++ - stream.first;
  if (pass >= stream.groups.size())
    stream.groups.resize(pass + 1);
  Group &group = stream.groups[pass];
  group.addresses[lane] = address;
  group.lanes |= 1u << lane;
  while (!stream.groups.empty() && stream.groups.front().lanes == ~0u) { // no lane can come to it again
    count(stream, stream.groups.front(), counters);
    stream.groups.pop_front();
    ++stream.first;
  }
}

void WarpTraffic::meet(Counters &counters) {
  for (unsigned index : open) {
    Stream &stream = streams[index];
    for (const Group &group : stream.groups)
      count(stream, group, counters);
    stream.groups.clear();
    stream.passes.fill(0);
    stream.first = 0;
    stream.isOpen = false;
  }
  open.clear();
}

} // namespace tenon::emulator
