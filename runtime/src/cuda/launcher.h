//===- launcher.h - Commands as launches on a GPU ---------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A dispatch becomes one launch, a copy one or a few copies, all in order on the
// session's stream. A kernel takes one parameter by value:
//
//     operands[n], dims[m]            8 bytes each
//     scratch, its bytes              8 each
//     faults                          8
//     tiles, 0                        4 each
//
// A native kernel computes a tile per block. A worker kernel (blockThreads 1)
// is the CPU's form: thread t of T computes the tiles from t * tiles / T to
// (t + 1) * tiles / T. Scratch is per block and per thread, one behind the other.
//
// Each command has a fault word of its own, so that what went wrong in a run,
// looked at when all of it is done, still names the command.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_CUDA_LAUNCHER_H
#define TENON_RUNTIME_CUDA_LAUNCHER_H

#include "runtime/src/command_runner.h"
#include "runtime/src/cuda/program.h"

namespace tenon::cuda {

/// Where things are on the GPU for one run.
struct Places {
  std::vector<Address> bases; ///< as BaseLayout
  Address scratch = 0;
  uint64_t scratchBytes = 0;
  Address faults = 0; ///< a uint32 per command of the entry

  bool operator==(const Places &other) const {
    return bases == other.bases && scratch == other.scratch && scratchBytes == other.scratchBytes &&
           faults == other.faults;
  }
};

/// Scratch to take for a plan. With less, but at least plan.scratchBytes, worker kernels run on fewer threads.
uint64_t scratchNeeded(const tenon_entry &entry, const Plan &plan, const Program &program);

/// Whether the plan's launches are the same in every run, so that they can be captured: no branch or loop looks at
/// computed bytes, and unrolled it is not too long.
bool isFixed(const tenon_entry &entry, const Plan &plan);

/// Puts every command of the context's entry on the stream. With a trace it waits for each.
Status launchCommands(RunContext &context, const Program &program, const Places &places, Stream stream);

} // namespace tenon::cuda

#endif // TENON_RUNTIME_CUDA_LAUNCHER_H
