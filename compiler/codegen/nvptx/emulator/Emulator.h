// GPU kernels on the CPU, for their numbers and their mistakes.
//
//   auto emulator = Emulator::create(irOfKernels);          // LLVM IR for nvptx64
//   Launch launch;
//   launch.threads = 128; launch.memory = {{"x", x, bytes, false}, {"y", y, bytes, true}};
//   uint64_t parameter[] = {deviceAddress(0, x), deviceAddress(1, y)};
//   launch.parameter = parameter; launch.parameterBytes = sizeof parameter;
//   if (llvm::Error error = (*emulator)->run("scale", launch)) ...
//   (*emulator)->counters("scale").sectors ...
//
// What is found in a run: accesses outside of the launch's memory, misaligned
// ones, barriers and warp operations that part of the threads does not come to,
// races in shared memory and reads of shared memory that nothing wrote. What is
// counted: Traffic.h. What is not seen: races in global memory, timing, and the
// hardware's rounding where it is not documented.

#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "compiler/codegen/nvptx/emulator/Block.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "tenon/kernel_abi.h"

namespace tenon::emulator {

class Emulator {
public:
  /// From a module for nvptx64 whose kernels (`ptx_kernel`) take one pointer: to their parameter.
  static llvm::Expected<std::unique_ptr<Emulator>> create(std::unique_ptr<llvm::LLVMContext> context,
                                                          std::unique_ptr<llvm::Module> module);
  /// The same from its text.
  static llvm::Expected<std::unique_ptr<Emulator>> create(llvm::StringRef ir);
  ~Emulator();

  /// Runs the blocks of `launch`, whose `kernel` and `code` are filled in here; `sharedBytes` comes on top of the
  /// kernel's own variables.
  llvm::Error run(llvm::StringRef kernel, const Launch &launch);
  /// The same for some of its blocks. Several threads may call it at once.
  llvm::Error run(llvm::StringRef kernel, Launch launch, unsigned firstBlock, unsigned lastBlock);

  /// Functions of the CPU's kernel ABI, one for each of `contexts`: each calls run(context, args, first, last).
  using Run = void (*)(void *context, const tenon_kernel_args *args, uint32_t firstTile, uint32_t lastTile);
  llvm::Expected<std::vector<tenon_kernel_fn>> makeEntries(llvm::ArrayRef<void *> contexts, Run run);

  /// Of all runs of a kernel so far.
  Counters counters(llvm::StringRef kernel) const;

private:
  struct Code;
  explicit Emulator(std::unique_ptr<Code> code);
  std::unique_ptr<Block> takeBlock();

  std::unique_ptr<Code> code;
  mutable std::mutex mutex; // of what follows
  std::vector<std::unique_ptr<Block>> idle;
  std::map<std::string, Counters, std::less<>> counted;
};

} // namespace tenon::emulator
