//===- Kernel.h - a kernel in LLVM IR, and one launch of it ---------------------------===//
//
// The body is IR with %p (the parameter), %tid and %block at hand; %op0, %op1 … are the launch's buffers, in order.
// Intrinsics need no declaration.
//
#ifndef TENON_TESTS_COMPILER_CODEGEN_NVPTX_EMULATOR_KERNEL_H
#define TENON_TESTS_COMPILER_CODEGEN_NVPTX_EMULATOR_KERNEL_H

#include "compiler/codegen/nvptx/emulator/Emulator.h"
#include "gtest/gtest.h"
#include <string>
#include <vector>

namespace tenon::emulator {

class Kernel {
public:
  unsigned threads = 32, blocks = 1;
  uint64_t sharedBytes = 0;
  Counters counters;

  explicit Kernel(std::string body, std::string globals = "") : body(std::move(body)), globals(std::move(globals)) {}

  template <typename T> Kernel &reads(std::vector<T> &values) { return add(values, false); }
  template <typename T> Kernel &writes(std::vector<T> &values) { return add(values, true); }
  Kernel &with(unsigned newThreads, unsigned newBlocks = 1) {
    threads = newThreads;
    blocks = newBlocks;
    return *this;
  }

  /// What went wrong, or empty.
  std::string run() {
    auto emulator = Emulator::create(text());
    if (!emulator)
      return llvm::toString(emulator.takeError());
    std::vector<uint64_t> parameter;
    for (size_t i = 0; i < launchMemory.size(); ++i)
      parameter.push_back(deviceAddress(unsigned(i), launchMemory[i].data));
    Launch launch;
    launch.memory = launchMemory;
    launch.threads = threads;
    launch.blocks = blocks;
    launch.sharedBytes = sharedBytes;
    launch.parameter = parameter.data();
    launch.parameterBytes = 8 * parameter.size();
    llvm::Error error = (*emulator)->run("k", launch);
    counters = (*emulator)->counters("k");
    return error ? llvm::toString(std::move(error)) : "";
  }

private:
  template <typename T> Kernel &add(std::vector<T> &values, bool isWritable) {
    launchMemory.push_back({"operand " + std::to_string(launchMemory.size()), reinterpret_cast<char *>(values.data()),
                            values.size() * sizeof(T), isWritable});
    return *this;
  }

  std::string text() const {
    std::string count = std::to_string(launchMemory.size());
    std::string ir = "target triple = \"nvptx64-nvidia-cuda\"\n" + globals + "\ndefine ptx_kernel void @k(ptr byval([" +
                     count +
                     " x ptr]) align 8 %p) {\n%tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n"
                     "%block = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()\n";
    for (size_t i = 0; i < launchMemory.size(); ++i)
      ir += "%at" + std::to_string(i) + " = getelementptr ptr, ptr %p, i64 " + std::to_string(i) + "\n%op" +
            std::to_string(i) + " = load ptr, ptr %at" + std::to_string(i) + "\n";
    return ir + body + "\nret void\n}\n";
  }

  std::string body, globals;
  std::vector<MemoryRange> launchMemory;
};

/// 0, 1, 2, …
template <typename T> std::vector<T> counting(size_t count) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = T(i);
  return values;
}

} // namespace tenon::emulator
#endif
