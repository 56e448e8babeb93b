#include "compiler/codegen/nvptx/emulator/Block.h"

#include <algorithm>
#include <cstring>

#include "compiler/codegen/nvptx/emulator/Intrinsics.h"

namespace tenon::emulator {

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

// 0001 in the highest bits, then the range, then a distance from the middle of its window.
static constexpr uint64_t deviceTag = uint64_t(1) << 60;
static constexpr unsigned windowShift = 40;
static constexpr uint64_t windowMiddle = uint64_t(1) << (windowShift - 1);
static constexpr uint64_t lowBits = 0xff;

uint64_t deviceAddress(unsigned index, const void *data) {
  return deviceTag | uint64_t(index) << windowShift | windowMiddle | (reinterpret_cast<uintptr_t>(data) & lowBits);
}

static bool isDevice(uint64_t address) { return address >> 60 == 1; }

static uint64_t rangeOf(uint64_t address) { return (address & ~deviceTag) >> windowShift; }

/// Bytes from the beginning of the range; negative before it.
static int64_t offsetIn(const MemoryRange &range, uint64_t address) {
  uint64_t inWindow = address & ((uint64_t(1) << windowShift) - 1);
  return int64_t(inWindow) - int64_t(windowMiddle | (reinterpret_cast<uintptr_t>(range.data) & lowBits));
}

std::string Block::describe(uint64_t address) const {
  if (isDevice(address) && rangeOf(address) < launch->memory.size()) {
    const MemoryRange &range = launch->memory[rangeOf(address)];
    return "byte " + std::to_string(offsetIn(range, address)) + " of " + range.name + " (" +
           std::to_string(range.bytes) + " bytes)";
  }
  int64_t inShared = int64_t(address - reinterpret_cast<uintptr_t>(shared.data()));
  constexpr int64_t near = 1 << 24;
  if (shared.size() && inShared > -near && inShared < near)
    return "byte " + std::to_string(inShared) + " of shared memory (" + std::to_string(shared.size()) + " bytes)";
  char text[32];
  std::snprintf(text, sizeof text, "address 0x%llx", static_cast<unsigned long long>(address));
  return text;
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

static thread_local Block *current = nullptr;

Block &currentBlock() { return *current; }

void Block::body(void *argument) {
  auto *thread = static_cast<Thread *>(argument);
  thread->block->launch->code(thread->block->launch->parameter);
}

std::string Block::prepare(const Launch &newLaunch, unsigned newIndex) {
  launch = &newLaunch;
  index = newIndex;
  fault.clear();
  shared.reset(launch->sharedBytes);
  mbarriers.clear();
  bulkCopies.clear();
  for (ProductQueue &queue : queues)
    queue.clear();
  while (threads.size() < launch->threads) {
    threads.push_back(std::make_unique<Thread>());
    if (!threads.back()->fiber) {
      threads.pop_back();
      return "no memory for the stacks of " + std::to_string(launch->threads) + " threads";
    }
  }
  traffic.resize(launch->threads == 1 ? 0 : (launch->threads + warpLanes - 1) / warpLanes);
  for (unsigned i = 0; i < launch->threads; ++i) {
    Thread &thread = *threads[i];
    thread.index = i;
    thread.state = State::Ready;
    thread.block = this;
    thread.copies.clear();
    thread.groups = 0;
    thread.fiber.start(body, &thread);
  }
  return "";
}

/// Round by round, every thread that is ready; ends when none is, and nothing works beside them.
void Block::schedule() {
  for (bool hasRun = true; hasRun;) {
    hasRun = false;
    for (unsigned i = 0; i < launch->threads && fault.empty(); ++i) {
      running = threads[i].get();
      wake(*running);
      if (running->state != State::Ready)
        continue;
      hasRun = true;
      running->fiber.resume();
      if (running->fiber.isDone())
        running->state = State::Done;
    }
    if (!hasRun && fault.empty())
      hasRun = finishBulkCopies();
  }
}

std::string Block::run(const Launch &newLaunch, unsigned newIndex, Counters &newCounters) {
  if (std::string error = prepare(newLaunch, newIndex); !error.empty())
    return "kernel '" + newLaunch.kernel + "': " + error;
  counters = &newCounters;
  current = this;
  schedule();
  current = nullptr;
  auto end = threads.begin() + launch->threads;
  auto waiting = std::find_if(threads.begin(), end, [](auto &thread) { return thread->state != State::Done; });
  if (fault.empty() && waiting != end) {
    running = waiting->get();
    fault = describeStandstill();
  }
  if (fault.empty())
    fault = describeLeftWork();
  for (WarpTraffic &warp : traffic)
    warp.meet(*counters);
  ++counters->blocks;
  counters->threads += launch->threads;
  return fault.empty() ? "" : "kernel '" + launch->kernel + "', block " + std::to_string(index) + ", " + fault;
}

void Block::fail(const Site &site, unsigned thread, const std::string &where, const std::string &what) {
  fault = "thread " + std::to_string(thread) + ": " + site.what + (where.empty() ? "" : " at " + where) + ": " +
          what;
  running->fiber.suspend(); // for good
}

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

void Block::wait(State state, const Site &site) {
  running->state = state;
  running->site = &site;
  running->fiber.suspend();
}

/// Numbers as ranges: "0-31, 40".
static std::string ranges(const std::vector<unsigned> &numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1)
      ++last;
    text += (text.empty() ? "" : ", ") + std::to_string(numbers[i]);
    if (last > i)
      text += "-" + std::to_string(numbers[last]);
    i = last + 1;
  }
  return text;
}

/// Nobody can go on, and not all are done.
std::string Block::describeStandstill() const {
  std::vector<unsigned> same, ended, elsewhere;
  for (unsigned i = 0; i < launch->threads; ++i) {
    const Thread &thread = *threads[i];
    bool isDone = thread.state == State::Done;
    (isDone ? ended : thread.site == running->site ? same : elsewhere).push_back(i);
  }
  std::string text = "thread " + std::to_string(running->index) + ": " + running->site->what +
                     ": waits without end, with threads " + ranges(same);
  if (!ended.empty())
    text += "; threads " + ranges(ended) + " ended without it";
  if (!elsewhere.empty())
    text += "; threads " + ranges(elsewhere) + " wait in " + threads[elsewhere.front()]->site->what;
  return text;
}

// The last to arrive looks for the others, so both look from the end: the thread that is likely not there yet is seen first.

void Block::barrier(const Site &site, uint32_t id) {
  running->mask = id;
  for (unsigned i = launch->threads; i-- > 0;) {
    const Thread &other = *threads[i];
    if (&other != running && (other.state != State::AtBarrier || other.mask != id))
      return wait(State::AtBarrier, site);
  }
  for (unsigned i = 0; i < launch->threads; ++i)
    threads[i]->state = State::Ready;
  shared.syncBlock();
  ++counters->barriers;
  for (WarpTraffic &warp : traffic)
    warp.meet(*counters);
}

void Block::collective(const Site &site, uint32_t mask, uint64_t *slots) {
  unsigned warp = running->index / warpLanes, own = running->index % warpLanes;
  if (!(mask >> own & 1))
    fail(site, "", "the thread is lane " + std::to_string(own) + ", which is not in its mask");
  running->mask = mask;
  running->slots = slots;
  for (unsigned lane = warpLanes; lane-- > 0;) {
    unsigned i = warp * warpLanes + lane;
    if (!(mask >> lane & 1) || lane == own)
      continue;
    if (i >= launch->threads || threads[i]->state == State::Done)
      fail(site, "", "lane " + std::to_string(lane) + " of its mask has ended");
    const Thread &other = *threads[i];
    bool isSame = other.site == &site || (other.site && other.site->what == site.what);
    if (other.state != State::InCollective || other.mask != mask || !isSame)
      return wait(State::InCollective, site);
  }
  site.intrinsic->together(*this, site, warp, mask);
  for (unsigned lane = 0; lane < warpLanes; ++lane)
    if (mask >> lane & 1)
      threads[warp * warpLanes + lane]->state = State::Ready;
  if (mask == ~0u && !traffic.empty())
    traffic[warp].meet(*counters);
}

void Block::intrinsic(const Site &site, uint64_t *slots) { site.intrinsic->run(*this, site, slots); }

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

void Block::note(const Site &site, unsigned thread, uint64_t address, bool isShared) {
  if (traffic.empty())
    return;
  for (unsigned piece = 0; piece * site.piece < site.bytes; ++piece)
    traffic[thread / warpLanes].note(site.stream + piece, thread % warpLanes, address + piece * site.piece, site.piece,
                                     isShared, *counters);
}

void Block::checkAlignment(const Site &site, unsigned thread, uint64_t address, unsigned alignment) {
  if (address % alignment)
    fail(site, thread, describe(address), "misaligned: wanted a multiple of " + std::to_string(alignment) + " bytes");
}

char *Block::global(const Site &site, uint64_t address, uint64_t bytes, Site::Kind kind) {
  if (!isDevice(address) || rangeOf(address) >= launch->memory.size())
    fail(site, describe(address), "out of bounds: no operand is there");
  const MemoryRange &range = launch->memory[rangeOf(address)];
  int64_t offset = offsetIn(range, address);
  if (offset < 0 || bytes > range.bytes || uint64_t(offset) > range.bytes - bytes)
    fail(site, describe(address), "out of bounds");
  if (kind != Site::Load && !range.isWritable)
    fail(site, describe(address), "it is read only");
  return range.data + offset;
}

uint64_t Block::sharedOffset(const Site &site, unsigned thread, uint64_t address, uint64_t bytes) {
  uint64_t offset = address - reinterpret_cast<uintptr_t>(shared.data());
  if (offset >= shared.size() || bytes > shared.size() - offset)
    fail(site, thread, describe(address), "out of bounds");
  return offset;
}

char *Block::sharedAccess(const Site &site, uint64_t address) {
  unsigned thread = running->index;
  uint64_t offset = sharedOffset(site, thread, address, site.bytes);
  std::string what = site.kind == Site::Load    ? shared.read(thread, offset, site.bytes)
                     : site.kind == Site::Store ? shared.write(thread, offset, site.bytes)
                                                : shared.update(thread, offset, site.bytes);
  if (!what.empty())
    fail(site, describe(address), what);
  note(site, thread, address, true);
  return shared.data() + offset;
}

void *Block::access(const Site &site, uint64_t address) {
  checkAlignment(site, running->index, address, site.piece);
  if (isDevice(address)) {
    note(site, running->index, address, false);
    return global(site, address, site.bytes, site.kind);
  }
  if (shared.contains(address))
    return sharedAccess(site, address);
  uint64_t inParameter = address - reinterpret_cast<uintptr_t>(launch->parameter);
  bool isParameter = site.kind == Site::Load && inParameter < launch->parameterBytes;
  if (!running->fiber.hasOnStack(address) && !isParameter)
    fail(site, describe(address), "out of bounds");
  return reinterpret_cast<void *>(address);
}

//===----------------------------------------------------------------------===//
// Asynchronous copies and matrices
//===----------------------------------------------------------------------===//

void Block::copyAsync(const Site &site, uint64_t to, uint64_t from, uint64_t sourceBytes) {
  unsigned thread = running->index;
  checkAlignment(site, thread, to, site.bytes);
  checkAlignment(site, thread, from, site.bytes);
  if (sourceBytes > site.bytes)
    fail(site, "", "wanted at most " + std::to_string(site.bytes) + " bytes, found " + std::to_string(sourceBytes));
  const char *source = sourceBytes ? global(site, from, sourceBytes, Site::Load) : nullptr;
  uint64_t offset = sharedOffset(site, thread, to, site.bytes);
  if (std::string what = shared.beginCopy(thread, offset, site.bytes); !what.empty())
    fail(site, describe(to), what);
  if (!traffic.empty()) {
    WarpTraffic &warp = traffic[thread / warpLanes];
    if (source)
      warp.note(site.stream, thread % warpLanes, from, site.bytes, false, *counters);
    warp.note(site.stream + 1, thread % warpLanes, to, site.bytes, true, *counters);
  }
  running->copies.push_back({offset, site.bytes, running->groups, source, sourceBytes});
}

void Block::commitCopies() { ++running->groups; }

/// Carries out the copies of the groups before `group`.
void Block::finishCopies(uint64_t group) {
  auto isLater = [&](const Copy &copy) { return copy.group >= group; };
  auto end = std::find_if(running->copies.begin(), running->copies.end(), isLater);
  for (auto copy = running->copies.begin(); copy != end; ++copy) {
    char *to = shared.data() + copy->to;
    std::memset(to, 0, copy->bytes);
    if (copy->sourceBytes)
      std::memcpy(to, copy->from, copy->sourceBytes);
    shared.endCopy(running->index, copy->to, copy->bytes);
  }
  running->copies.erase(running->copies.begin(), end);
}

void Block::waitForCopies(uint64_t pending) {
  if (running->groups > pending)
    finishCopies(running->groups - pending);
}

void Block::waitForAllCopies() { finishCopies(running->groups + 1); }

const char *Block::matrixRow(const Site &site, unsigned thread, uint64_t address) {
  constexpr unsigned rowBytes = 16;
  checkAlignment(site, thread, address, rowBytes);
  uint64_t offset = sharedOffset(site, thread, address, rowBytes);
  if (std::string what = shared.read(thread, offset, rowBytes); !what.empty())
    fail(site, thread, describe(address), what);
  if (!traffic.empty())
    traffic[thread / warpLanes].note(site.stream, thread % warpLanes, address, rowBytes, true, *counters);
  return shared.data() + offset;
}

} // namespace tenon::emulator
