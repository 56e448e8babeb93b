// What works beside a block's threads: copies in bulk, and the tensor cores of a
// warpgroup.
//
// A bulk copy is carried out as late as can be, when no thread can go on without
// it. A wgmma computes at once, but its sums are not in the registers before its
// warpgroup has waited: until then these hold NaNs that say which product is to
// come. Only a further wgmma, which adds to it, and the wait know what they mean;
// to any other code the sums are no numbers.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "compiler/codegen/nvptx/emulator/WarpgroupMultiply.h"

namespace tenon::emulator {

struct BulkCopy {
  uint64_t to, bytes, barrier; // offsets in shared memory
  const char *from;
};

/// The products of one warpgroup on their way.
class ProductQueue {
public:
  void clear() { *this = ProductQueue(); }

  /// Whether registers may be read: there was a wgmma.fence since the last commit.
  bool isFenced = false;

  /// A new product whose sums are `sums`, registers of 128 threads one after the other; its number.
  uint64_t begin(std::vector<float> sums);
  /// Registers of a thread as they are while product `number` runs.
  uint32_t pending(uint64_t number, unsigned r) const;
  std::vector<float> &sums(uint64_t number) { return products[number]; }
  /// What a register of a thread holds once it is there; `bits` itself where it is no sum on its way.
  uint32_t resolve(uint32_t bits, unsigned thread) const { return finished(bits, thread, last); }

  void commit();
  /// The number of the last product that is over when all but the last `groups` committed groups are.
  uint64_t lastOver(uint64_t groups) const;
  /// Like resolve, of products up to `number` alone.
  uint32_t finished(uint32_t bits, unsigned thread, uint64_t number) const;
  void forget(uint64_t number);
  bool isIdle() const { return products.empty(); }

private:
  uint64_t numberOf(uint32_t bits) const;

  std::map<uint64_t, std::vector<float>> products;
  std::vector<uint64_t> groups; // the last product of each committed group
  uint64_t last = 0;
};

} // namespace tenon::emulator
