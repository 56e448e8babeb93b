#include "compiler/codegen/nvptx/emulator/AsyncUnits.h"

#include <bit>

namespace tenon::emulator {

// A NaN: above its quiet bit the product's number, 13 bits that are not 0, and the register, 8.
static constexpr uint32_t mark = 0x7fc00000u, markBits = 0xffe00000u;
static constexpr unsigned registerBits = 8;
static constexpr uint32_t numbers = (1u << 13) - 1;

static uint32_t labelOf(uint64_t number) { return uint32_t((number - 1) % numbers + 1); }

uint64_t ProductQueue::begin(std::vector<float> sums) {
  products[++last] = std::move(sums);
  return last;
}

uint32_t ProductQueue::pending(uint64_t number, unsigned r) const { return mark | labelOf(number) << registerBits | r; }

/// The product a register waits for, or 0.
uint64_t ProductQueue::numberOf(uint32_t bits) const {
  if ((bits & markBits) != mark)
    return 0;
  for (auto &[number, sums] : products)
    if (labelOf(number) == (bits & ~markBits) >> registerBits)
      return number;
  return 0;
}

uint32_t ProductQueue::finished(uint32_t bits, unsigned thread, uint64_t number) const {
  uint64_t product = numberOf(bits);
  if (product == 0 || product > number)
    return bits;
  const std::vector<float> &sums = products.at(product);
  return std::bit_cast<uint32_t>(sums[thread * (sums.size() / warpgroupThreads) + (bits & ((1u << registerBits) - 1))]);
}

void ProductQueue::commit() { groups.push_back(last); }

uint64_t ProductQueue::lastOver(uint64_t pendingGroups) const {
  return groups.size() > pendingGroups ? groups[groups.size() - 1 - pendingGroups] : 0;
}

void ProductQueue::forget(uint64_t number) { products.erase(products.begin(), products.upper_bound(number)); }

} // namespace tenon::emulator
