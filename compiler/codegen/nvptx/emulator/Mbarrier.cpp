#include "compiler/codegen/nvptx/emulator/Mbarrier.h"

namespace tenon::emulator {

static constexpr uint64_t barrierBytes = 8;

std::string Mbarriers::init(unsigned thread, uint64_t at, uint32_t count) {
  constexpr uint32_t mostArrivals = (1 << 20) - 1;
  if (count == 0 || count > mostArrivals)
    return "wanted 1 to " + std::to_string(mostArrivals) + " arrivals, found " + std::to_string(count);
  if (std::string what = shared.write(thread, at, barrierBytes); !what.empty())
    return what;
  auto barrier = std::make_unique<Mbarrier>();
  barrier->count = count;
  barrier->initialiser = thread;
  barrier->now.missing = count;
  all[at] = std::move(barrier);
  return "";
}

/// The barrier at a place, which `thread` can see.
std::string Mbarriers::use(unsigned thread, uint64_t at, Mbarrier *&barrier) {
  auto found = all.find(at);
  if (found == all.end())
    return "no mbarrier was initialised there";
  barrier = found->second.get();
  return shared.update(thread, at, barrierBytes);
}

void Mbarriers::finishPhase(Mbarrier &barrier) {
  if (barrier.now.missing > 0 || barrier.now.bytes != 0)
    return;
  barrier.before = barrier.now;
  barrier.now.missing = barrier.count;
  barrier.parity = !barrier.parity;
}

std::string Mbarriers::expect(unsigned thread, uint64_t at, uint32_t bytes) {
  Mbarrier *barrier;
  if (std::string what = use(thread, at, barrier); !what.empty())
    return what;
  barrier->now.bytes += bytes;
  return "";
}

std::string Mbarriers::arrive(unsigned thread, uint64_t at) {
  Mbarrier *barrier;
  if (std::string what = use(thread, at, barrier); !what.empty())
    return what;
  if (barrier->now.missing == 0)
    return "more than the " + std::to_string(barrier->count) + " arrivals of its phase";
  shared.publish(thread, barrier->now.knowledge);
  --barrier->now.missing;
  finishPhase(*barrier);
  return "";
}

std::string Mbarriers::beginCopy(unsigned thread, uint64_t at) {
  Mbarrier *barrier;
  if (std::string what = use(thread, at, barrier); !what.empty())
    return what;
  return barrier->isSeenByCopies ? "" : "its mbarrier was initialised without fence.proxy.async behind it";
}

void Mbarriers::endCopy(uint64_t at, uint64_t to, uint64_t bytes) {
  Mbarrier &barrier = *all[at];
  shared.endBulkCopy(to, bytes, barrier.now.knowledge);
  barrier.now.bytes -= int64_t(bytes);
  finishPhase(barrier);
}

std::string Mbarriers::beginWait(unsigned thread, uint64_t at) {
  Mbarrier *barrier;
  return use(thread, at, barrier);
}

bool Mbarriers::endWait(unsigned thread, uint64_t at, uint32_t parity) {
  const Mbarrier &barrier = *all[at];
  if (barrier.parity == bool(parity & 1))
    return false;
  shared.learn(thread, barrier.before.knowledge);
  return true;
}

void Mbarriers::fence(unsigned thread) {
  for (auto &[at, barrier] : all)
    if (barrier->initialiser == thread)
      barrier->isSeenByCopies = true;
}

} // namespace tenon::emulator
