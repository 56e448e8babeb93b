//===- session.h - Runs on a GPU --------------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// What a session keeps on a GPU: a stream, the arena, scratch, states, and for
// each entry its inputs, outputs and fault words. A run sends the inputs, runs
// the commands, and brings outputs and fault words back.
//
// The first run of a plan launches command by command. When the plan comes a
// second time its launches are captured as a graph, which takes about as long as
// a run, and from then on one call launches all of them: a shape that comes once,
// as every length of a growing cache does, costs nothing extra.
//
// States are on the GPU. Their copies on the host are brought up to date when
// asked for, and sent back before the next run, for they may have been changed.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CUDA_SESSION_H
#define TENON_RUNTIME_CUDA_SESSION_H

#include "runtime/src/cuda/launcher.h"
#include "runtime/src/memory.h"

namespace tenon::cuda {

class Session {
public:
  /// `states` are the host's copies; their number and sizes stay.
  Session(const Program &program, std::vector<Block> &states);
  ~Session();
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  /// Takes the stream and the memory of states.
  Status prepare();
  /// The host's copies of all states are the right ones from here on.
  void sendStates();
  /// Makes the host's copy of a state the right one.
  Status fetchState(size_t index);

  /// Takes memory for a plan.
  Status reserve(const tenon_entry &entry, const Plan &plan);
  /// Runs the entry's commands, in memory taken for their plan. The context's bases of inputs and outputs are the host's; others, scratch and workers
  /// are not used. Nothing is under way when it returns.
  Status run(RunContext &context);

  /// Bytes of arena and scratch.
  uint64_t memoryBytes() const { return arena.size() + scratch.size(); }

private:
  /// What an entry has on the GPU: its inputs and outputs, one behind the other, and its fault words.
  struct EntryMemory {
    DeviceBlock tensors;
    DeviceBlock faults;
    std::vector<uint32_t> faultBits; ///< brought back
  };

  Places placesOf(const tenon_entry &entry, const Plan &plan) const;
  Status send(const RunContext &context, const Places &places);
  Status bringBack(const RunContext &context, const Places &places);
  Status runAll(RunContext &context);
  Status launch(RunContext &context, const Places &places);
  Status capture(RunContext &context, const Places &places, GraphExec &exec);
  Status checkFaults(const tenon_entry &entry);
  Status sendChangedStates();

  const Program &program;
  const DriverTable &driver;
  Stream stream = nullptr;
  DeviceBlock arena, scratch;
  std::vector<EntryMemory> entries;
  std::vector<Block> &hostStates;
  std::vector<DeviceBlock> states;
  std::vector<bool> isHostNewer; ///< per state
};

} // namespace tenon::cuda

#endif // TENON_RUNTIME_CUDA_SESSION_H
