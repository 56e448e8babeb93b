//===- plan.h - Everything a shape decides ----------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// For one entry and one set of symbol values: how large each tensor is, where
// each buffer lies in the arena, and for every command its operands' places,
// kernel dims, grid and scratch. Made once per shape; running reads it.
//
// Placing buffers. Two buffers may share bytes if no command lies in both live
// ranges. They are placed in order of falling size, each at the lowest offset
// free of those already placed that live at the same time. Example: A (100
// bytes, commands 0-1), B (60, 1-2), C (80, 2-3):
//
//     A at 0; C does not meet A: at 0; B meets both: at 128 (100 rounded up to
//     a multiple of 64). Total 192, the sum is 240.
//
// First fit by size is within a few percent of the best for transformer graphs
// and takes microseconds, and the same table gives the same offsets everywhere.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_PLAN_H
#define TENON_RUNTIME_PLAN_H

#include "runtime/src/model.h"

namespace tenon {

/// Base pointers a run knows: the entry's inputs, its outputs, all states, then
/// one for weights and one for the arena.
struct BaseLayout {
  explicit BaseLayout(const tenon_entry &entry);
  uint32_t outputs, states, weights, arena, count; ///< inputs start at 0
};

/// A command with its shapes known.
struct Step {
  uint32_t grid = 0;         ///< dispatch: tiles
  uint32_t grain = 1;        ///< dispatch: neighbouring tiles that share work
  uint64_t scratchBytes = 0; ///< dispatch: per worker, a multiple of 64
  uint32_t firstOperand = 0; ///< into Plan::places
  uint32_t firstDim = 0;     ///< into Plan::dims
  int64_t expression = 0;    ///< copy: bytes; branch: condition; loop: rounds
  bool varies = false;       ///< depends on a loop counter: resolved again each time
};

struct Place {
  uint32_t base;
  uint64_t offset;
};

/// What a device keeps of a plan.
struct DeviceForm {
  virtual ~DeviceForm() = default;
};

struct Plan {
  std::vector<int64_t> symbols; ///< what the plan is for
  std::vector<std::vector<int64_t>> outputDims;
  std::vector<uint64_t> tensorBytes; ///< inputs, then outputs
  std::vector<uint64_t> bufferOffsets;
  std::vector<uint64_t> bufferBytes; ///< of the group a buffer shares memory with
  uint64_t arenaBytes = 0;
  uint64_t scratchBytes = 0; ///< per worker, a multiple of 64
  std::vector<Step> steps;
  std::vector<Place> places;
  std::vector<int64_t> dims;
  std::vector<int64_t> current; ///< symbols and loop counters as they are now
  std::unique_ptr<DeviceForm> deviceForm; ///< made by the device that runs it, if one does
};

/// The most a state can need, for its symbols' largest values.
Status stateBytes(const tenon_model &model, uint32_t state, uint64_t &bytes);

/// Makes the plan for bound symbols. If `reserved` is a plan of the same entry in
/// which every buffer is at least as large, and placing afresh would need more
/// than its arena, the reserved placement is kept.
Status makePlan(const tenon_entry &entry, std::vector<int64_t> symbols, const Plan *reserved, Plan &plan);

/// Fills in one command from plan.current. Called by makePlan, and while running
/// for commands that vary.
Status resolveStep(const tenon_entry &entry, uint32_t command, Plan &plan);

} // namespace tenon

#endif // TENON_RUNTIME_PLAN_H
