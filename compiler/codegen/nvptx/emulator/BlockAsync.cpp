// A block's barriers in memory, bulk copies and products of warpgroups.

#include <algorithm>
#include <bit>

#include "compiler/codegen/nvptx/emulator/Block.h"
#include "compiler/codegen/nvptx/emulator/Intrinsics.h"

namespace tenon::emulator {

//===----------------------------------------------------------------------===//
// Barriers in memory
//===----------------------------------------------------------------------===//

uint64_t Block::mbarrierAt(const Site &site, uint64_t address) {
  constexpr unsigned bytes = 8;
  checkAlignment(site, running->index, address, bytes);
  return sharedOffset(site, running->index, address, bytes);
}

void Block::initMbarrier(const Site &site, uint64_t address, uint32_t count) {
  if (std::string what = mbarriers.init(running->index, mbarrierAt(site, address), count); !what.empty())
    fail(site, describe(address), what);
}

void Block::arrive(const Site &site, uint64_t address) {
  if (std::string what = mbarriers.arrive(running->index, mbarrierAt(site, address)); !what.empty())
    fail(site, describe(address), what);
}

void Block::expectCopies(const Site &site, uint64_t address, uint32_t bytes) {
  if (std::string what = mbarriers.expect(running->index, mbarrierAt(site, address), bytes); !what.empty())
    fail(site, describe(address), what);
}

void Block::awaitMbarrier(const Site &site, uint64_t address, uint32_t parity) {
  running->mbarrier = mbarrierAt(site, address);
  running->parity = parity;
  if (std::string what = mbarriers.beginWait(running->index, running->mbarrier); !what.empty())
    fail(site, describe(address), what);
  if (!mbarriers.endWait(running->index, running->mbarrier, parity))
    wait(State::AtMbarrier, site);
}

/// Makes a thread ready whose phase is complete by now.
void Block::wake(Thread &thread) {
  if (thread.state == State::AtMbarrier && mbarriers.endWait(thread.index, thread.mbarrier, thread.parity))
    thread.state = State::Ready;
}

void Block::fenceAsyncProxy() {
  mbarriers.fence(running->index);
  shared.fenceForWgmma(running->index);
}

//===----------------------------------------------------------------------===//
// Bulk copies
//===----------------------------------------------------------------------===//

void Block::copyBulk(const Site &site, uint64_t to, uint64_t barrier, uint64_t from, uint32_t bytes) {
  constexpr unsigned unit = 16;
  unsigned thread = running->index;
  checkAlignment(site, thread, to, unit);
  checkAlignment(site, thread, from, unit);
  if (bytes % unit)
    fail(site, "", "wanted a multiple of 16 bytes, found " + std::to_string(bytes));
  uint64_t at = mbarrierAt(site, barrier);
  if (std::string what = mbarriers.beginCopy(thread, at); !what.empty())
    fail(site, describe(barrier), what);
  const char *source = global(site, from, bytes, Site::Load);
  uint64_t offset = sharedOffset(site, thread, to, bytes);
  if (std::string what = shared.beginCopy(thread, offset, bytes); !what.empty())
    fail(site, describe(to), what);
  bulkCopies.push_back({offset, bytes, at, source});
  counters->countBulkCopy(from, bytes);
}

/// All of them, where a thread waits for one. Whether there were any.
bool Block::finishBulkCopies() {
  auto isWaiting = [](auto &thread) { return thread->state == State::AtMbarrier; };
  if (bulkCopies.empty() || std::none_of(threads.begin(), threads.begin() + launch->threads, isWaiting))
    return false;
  for (const BulkCopy &copy : bulkCopies) {
    std::copy_n(copy.from, copy.bytes, shared.data() + copy.to);
    mbarriers.endCopy(copy.barrier, copy.to, copy.bytes);
  }
  bulkCopies.clear();
  return true;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void Block::warpgroupCollective(const Site &site, uint64_t *slots) {
  unsigned warpgroup = running->index / warpgroupThreads, first = warpgroup * warpgroupThreads;
  if (first + warpgroupThreads > launch->threads)
    fail(site, "", "wanted a warpgroup of 128 threads, found " + std::to_string(launch->threads - first));
  running->slots = slots;
  for (unsigned i = first; i < first + warpgroupThreads; ++i) {
    const Thread &other = *threads[i];
    if (other.state == State::Done)
      fail(site, "", "thread " + std::to_string(i) + " of its warpgroup has ended");
    if (&other != running && (other.state != State::InWarpgroup || other.site != &site))
      return wait(State::InWarpgroup, site);
  }
  site.intrinsic->together(*this, site, warpgroup, 0);
  for (unsigned i = first; i < first + warpgroupThreads; ++i)
    threads[i]->state = State::Ready;
  for (unsigned warp = first / warpLanes; warp < (first + warpgroupThreads) / warpLanes; ++warp)
    traffic[warp].meet(*counters);
}

std::vector<float> Block::sumsOf(const Site &site, unsigned warpgroup) {
  unsigned each = site.wgmma.sums();
  std::vector<float> sums(warpgroupThreads * each);
  for (unsigned t = 0; t < warpgroupThreads; ++t)
    for (unsigned r = 0; r < each; ++r) {
      uint32_t bits = uint32_t(threads[warpgroup * warpgroupThreads + t]->slots[r]);
      sums[t * each + r] = std::bit_cast<float>(queues[warpgroup].resolve(bits, t));
    }
  return sums;
}

/// The one all threads have.
BDescriptor Block::descriptorOf(const Site &site, unsigned warpgroup) {
  unsigned first = warpgroup * warpgroupThreads, slot = site.wgmma.sums() + 4;
  BDescriptor descriptor{threads[first]->slots[slot]};
  for (unsigned t = first; t < first + warpgroupThreads; ++t)
    if (threads[t]->slots[slot] != descriptor.bits)
      fail(site, t, "", "its descriptor is not that of thread " + std::to_string(first));
  if (std::string what = descriptor.check(); !what.empty())
    fail(site, "", what);
  return descriptor;
}

const char *Block::columnOfB(const Site &site, unsigned warpgroup, uint64_t product, uint64_t offset) {
  constexpr unsigned bytes = 16;
  uint64_t address = reinterpret_cast<uintptr_t>(shared.data()) + offset;
  sharedOffset(site, running->index, address, bytes);
  if (std::string what = shared.beginRead(warpgroup, offset, product); !what.empty())
    fail(site, describe(address), what);
  return shared.data() + offset;
}

void Block::multiply(const Site &site, unsigned warpgroup) {
  ProductQueue &queue = queues[warpgroup];
  if (!queue.isFenced)
    fail(site, "", "its registers may still change: wanted wgmma.fence since the last commit");
  // A descriptor has the low 18 bits of an address.
  constexpr uint64_t addressBits = (1 << 18) - 1;
  BDescriptor descriptor = descriptorOf(site, warpgroup);
  uint64_t start = (descriptor.start() - reinterpret_cast<uintptr_t>(shared.data())) & addressBits;
  unsigned each = site.wgmma.sums(), first = warpgroup * warpgroupThreads;
  uint64_t number = queue.begin(sumsOf(site, warpgroup));
  multiplyWarpgroup(
      site.wgmma, queue.sums(number),
      [&](unsigned t, unsigned r) { return uint32_t(threads[first + t]->slots[each + r]); },
      [&](unsigned column, unsigned half) {
        return columnOfB(site, warpgroup, number, start + placeInB(descriptor, column, half));
      });
  for (unsigned t = first; t < first + warpgroupThreads; ++t)
    for (unsigned r = 0; r < each; ++r)
      threads[t]->slots[r] = queue.pending(number, r);
  counters->mmaMultiplyAdds += site.wgmma.multiplyAdds();
}

/// (registers) -> registers, with the sums of products that are over
void Block::awaitProducts(const Site &site, unsigned warpgroup) {
  ProductQueue &queue = queues[warpgroup];
  uint64_t over = queue.lastOver(site.pendingGroups);
  for (unsigned t = 0; t < warpgroupThreads; ++t)
    for (unsigned slot = 0; slot < site.slots; ++slot) {
      uint64_t &value = threads[warpgroup * warpgroupThreads + t]->slots[slot];
      value = queue.finished(uint32_t(value), t, over);
    }
  queue.forget(over);
  shared.endReads(warpgroup, over);
}

/// What a block must not leave behind.
std::string Block::describeLeftWork() {
  if (!bulkCopies.empty())
    return "it ends while a bulk copy is on its way";
  for (unsigned warpgroup = 0; warpgroup < queues.size(); ++warpgroup)
    if (!queues[warpgroup].isIdle())
      return "thread " + std::to_string(warpgroup * warpgroupThreads) + ": it ends without a wait for its last wgmma";
  return "";
}

} // namespace tenon::emulator
