// Barriers in shared memory (mbarrier), eight bytes each.
//
// A phase is complete when as many threads have arrived as init said, and as many
// bytes have been copied as they announced; the next phase then begins. A wait
// names the parity of a phase, 0 for the first one: it ends once the phase of now
// has the other parity. What the threads of a phase had done before they arrived
// is known to who has waited for it (SharedMemory.h).

#pragma once

#include <map>
#include <memory>
#include <string>

#include "compiler/codegen/nvptx/emulator/SharedMemory.h"

namespace tenon::emulator {

class Mbarriers {
public:
  explicit Mbarriers(SharedMemory &shared) : shared(shared) {}

  void clear() { all.clear(); }

  // At byte `at` of shared memory. What is wrong, or empty.

  std::string init(unsigned thread, uint64_t at, uint32_t count);
  /// Announces `bytes` of copies.
  std::string expect(unsigned thread, uint64_t at, uint32_t bytes);
  std::string arrive(unsigned thread, uint64_t at);
  /// Whether a copy may be told of here: it must see the init.
  std::string beginCopy(unsigned thread, uint64_t at);
  void endCopy(uint64_t at, uint64_t to, uint64_t bytes);
  std::string beginWait(unsigned thread, uint64_t at);
  /// Whether the phase of `parity` is complete; `thread` then knows of it.
  bool endWait(unsigned thread, uint64_t at, uint32_t parity);
  /// What `thread` has initialised can be seen by copies.
  void fence(unsigned thread);

private:
  struct Phase {
    int64_t missing = 0, bytes = 0;
    SharedMemory::Knowledge knowledge{};
  };
  struct Mbarrier {
    uint32_t count = 0;
    bool parity = false, isSeenByCopies = false;
    unsigned initialiser = 0;
    Phase now, before;
  };

  std::string use(unsigned thread, uint64_t at, Mbarrier *&barrier);
  void finishPhase(Mbarrier &barrier);

  SharedMemory &shared;
  std::map<uint64_t, std::unique_ptr<Mbarrier>> all;
};

} // namespace tenon::emulator
