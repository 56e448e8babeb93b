// The kernels of a program, compiled for a GPU, as functions the CPU's runtime
// calls (tenon/kernel_abi.h).
//
// The runtime plans, splits the tiles over its threads and hands each kernel its
// operands; here a tile becomes a block, or a thread where the kernel is of the
// worker form (DeviceFunction.h), with a parameter as the GPU gets it. An operand
// is as long as its tensor's shape says.

#pragma once

#include <atomic>

#include "compiler/codegen/nvptx/emulator/Emulator.h"
#include "dialects/tenon/Dim.h"
#include "tenon/kernel_abi.h"

namespace tenon::emulator {

/// What is to be known of a kernel beside its code. Dims are over its own: d0, d1, …
struct KernelShape {
  std::string name;
  std::vector<Dim> operandBytes; // inputs and weights, then results
  unsigned results = 0, dims = 0;
  Dim tiles, scratchBytes; // scratch of a tile
  unsigned blockThreads = 1; // 1: the worker form
  unsigned sharedBytes = 0;
};

class EmulatedProgram {
public:
  static llvm::Expected<std::unique_ptr<EmulatedProgram>> create(std::unique_ptr<llvm::LLVMContext> context,
                                                                 std::unique_ptr<llvm::Module> module,
                                                                 std::vector<KernelShape> kernels);

  /// One for each kernel, in the order given. After a fault they return at once.
  const std::vector<tenon_kernel_fn> &functions() const { return entries; }

  /// The first fault of all runs, or empty.
  std::string fault() const;
  /// A table with a line for each kernel that ran: its form and its counters.
  std::string report() const;

private:
  struct Kernel {
    KernelShape shape;
    EmulatedProgram *program;
  };
  static void enter(void *kernel, const tenon_kernel_args *args, uint32_t firstTile, uint32_t lastTile);
  llvm::Error run(const KernelShape &shape, const tenon_kernel_args &args, uint32_t firstTile, uint32_t lastTile);

  std::unique_ptr<Emulator> emulator;
  std::vector<Kernel> kernels;
  std::vector<tenon_kernel_fn> entries;
  std::atomic<bool> hasFault = false;
  mutable std::mutex mutex; // of what follows
  std::string firstFault;
};

} // namespace tenon::emulator
