// One block of a GPU kernel, run on one host thread.
//
// Each GPU thread is a fiber that runs until it waits for others. The code is
// the kernel's own, with every access to memory and every intrinsic made a call
// (Retarget.h); the calls end in the members below.
//
// Addresses. Operand k of a launch lies in a window of its own in an address
// range no host has, with nothing near it: an access past its end can hit no
// other operand. access() turns such an address into the host's.
//
// The first fault ends the block: the error names kernel, block, thread, what it
// did and where.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/nvptx/emulator/AsyncUnits.h"
#include "compiler/codegen/nvptx/emulator/Fiber.h"
#include "compiler/codegen/nvptx/emulator/MatrixMultiply.h"
#include "compiler/codegen/nvptx/emulator/Mbarrier.h"
#include "compiler/codegen/nvptx/emulator/SharedMemory.h"
#include "compiler/codegen/nvptx/emulator/Traffic.h"

namespace tenon::emulator {

struct Intrinsic;

/// A place in the code that a call leads from.
struct Site {
  enum Kind { Load, Store, Update, Call };
  Kind kind = Call;
  std::string what;                     // "load of 16 bytes", "llvm.nvvm.barrier0"
  unsigned bytes = 0;                   // of the access
  unsigned piece = 1;                   // bytes that move at once: the alignment the code promises, at most 16
  unsigned stream = 0;                  // for WarpTraffic, the first of bytes / piece (a copy's: global, then shared)
  const Intrinsic *intrinsic = nullptr; // of a call
  MmaShape mma{};                       // of a call of mma.sync
  unsigned matrices = 0;                // of a call of ldmatrix
  bool isTransposed = false;
  unsigned slots = 0;                   // of a call
  WarpgroupShape wgmma{};               // of a wgmma.mma_async
  uint64_t pendingGroups = 0;           // of a wgmma.wait_group
};

/// Memory a kernel may use.
struct MemoryRange {
  std::string name; // "operand 2"
  char *data = nullptr;
  uint64_t bytes = 0;
  bool isWritable = false;
};

/// Where range `index` begins, for the kernel. Equal to `data` in its low 8 bits, so that alignment is as on the host.
uint64_t deviceAddress(unsigned index, const void *data);

struct Launch {
  std::string kernel;
  void (*code)(const void *parameter) = nullptr;
  const void *parameter = nullptr;
  uint64_t parameterBytes = 0;
  unsigned blocks = 1, threads = 1; // of the grid, of a block: all in x
  uint64_t sharedBytes = 0;
  std::vector<MemoryRange> memory;
};

class Block {
public:
  /// Runs block `index` and adds to `counters`. The fault, or empty.
  std::string run(const Launch &launch, unsigned index, Counters &counters);

  // What the code calls, all on the fiber of the thread that runs.

  /// Checks an access and gives the address to use on the host.
  void *access(const Site &site, uint64_t address);
  void intrinsic(const Site &site, uint64_t *slots);
  char *sharedData() const { return shared.data(); }
  uint64_t *multiplyAdds() { return &counters->scalarMultiplyAdds; }

  // What intrinsics are made of.

  unsigned threadIndex() const { return running->index; }
  unsigned blockIndex() const { return index; }
  const Launch &launchOf() const { return *launch; }
  /// Waits until every thread of the block is here.
  void barrier(const Site &site, uint32_t id);
  /// Waits until the lanes of `mask` have come to the same intrinsic; the last one runs its `together` for all.
  void collective(const Site &site, uint32_t mask, uint64_t *slots);
  /// The slots of a lane that waits in a collective.
  uint64_t *slotsOf(unsigned warp, unsigned lane) { return threads[warp * warpLanes + lane]->slots; }
  void syncWarp(unsigned warp) { shared.syncWarp(warp); }
  Counters &counted() { return *counters; }

  void copyAsync(const Site &site, uint64_t to, uint64_t from, uint64_t sourceBytes);
  void commitCopies();
  /// Waits until all but the last `pending` committed groups are done.
  void waitForCopies(uint64_t pending);
  void waitForAllCopies();

  // Barriers in memory, bulk copies and wgmma (BlockAsync.cpp). Addresses are of shared memory unless they are said to be global.

  void initMbarrier(const Site &site, uint64_t address, uint32_t count);
  void arrive(const Site &site, uint64_t address);
  /// Announces bytes of bulk copies.
  void expectCopies(const Site &site, uint64_t address, uint32_t bytes);
  /// Waits until the phase of `parity` is complete.
  void awaitMbarrier(const Site &site, uint64_t address, uint32_t parity);
  void fenceAsyncProxy();
  void copyBulk(const Site &site, uint64_t to, uint64_t barrier, uint64_t from, uint32_t bytes);
  /// Waits until every thread of the warpgroup has come to the same instruction; the last one runs its `together` for all.
  void warpgroupCollective(const Site &site, uint64_t *slots);
  ProductQueue &products(unsigned warpgroup) { return queues[warpgroup]; }
  void multiply(const Site &site, unsigned warpgroup);
  void awaitProducts(const Site &site, unsigned warpgroup);

  /// The 16 bytes of a matrix row that `thread` gives the address of.
  const char *matrixRow(const Site &site, unsigned thread, uint64_t address);

  /// Ends the block. Does not return.
  void fail(const Site &site, const std::string &where, const std::string &what) {
    fail(site, running->index, where, what);
  }
  void fail(const Site &site, unsigned thread, const std::string &where, const std::string &what);

private:
  enum class State { Ready, AtBarrier, InCollective, InWarpgroup, AtMbarrier, Done };
  struct Copy {
    uint64_t to, bytes, group;
    const char *from;
    uint64_t sourceBytes;
  };
  struct Thread {
    Fiber fiber;
    unsigned index = 0;
    State state = State::Done;
    const Site *site = nullptr; // where it waits
    uint32_t mask = 0;          // for whom, in a collective; which, at a barrier
    uint64_t *slots = nullptr;
    uint64_t mbarrier = 0; // where it waits for a phase
    uint32_t parity = 0;
    std::vector<Copy> copies;
    uint64_t groups = 0; // committed
    Block *block = nullptr;
  };

  std::string prepare(const Launch &launch, unsigned index);
  void schedule();
  static void body(void *thread);
  void wait(State state, const Site &site);
  std::string describeStandstill() const;
  std::string describeLeftWork();
  void finishCopies(uint64_t lastGroup);
  bool finishBulkCopies();
  void wake(Thread &thread);
  uint64_t mbarrierAt(const Site &site, uint64_t address);
  std::vector<float> sumsOf(const Site &site, unsigned warpgroup);
  BDescriptor descriptorOf(const Site &site, unsigned warpgroup);
  /// 16 bytes of B, checked.
  const char *columnOfB(const Site &site, unsigned warpgroup, uint64_t product, uint64_t offset);
  char *global(const Site &site, uint64_t address, uint64_t bytes, Site::Kind kind);
  char *sharedAccess(const Site &site, uint64_t address);
  std::string describe(uint64_t address) const;
  void note(const Site &site, unsigned thread, uint64_t address, bool isShared);
  void checkAlignment(const Site &site, unsigned thread, uint64_t address, unsigned alignment);
  /// Where in shared memory, checked to be inside.
  uint64_t sharedOffset(const Site &site, unsigned thread, uint64_t address, uint64_t bytes);

  const Launch *launch = nullptr;
  unsigned index = 0;
  Counters *counters = nullptr;
  SharedMemory shared;
  Mbarriers mbarriers{shared};
  std::vector<BulkCopy> bulkCopies;
  std::array<ProductQueue, maxBlockThreads / warpgroupThreads> queues;
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<WarpTraffic> traffic; // one a warp; none for a block of one thread
  Thread *running = nullptr;
  std::string fault;
};

/// The block the host thread is running.
Block &currentBlock();

} // namespace tenon::emulator
