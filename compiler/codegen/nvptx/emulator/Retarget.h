// LLVM IR made for NVPTX, made to run on the host under the emulator.
//
//   load/store/atomic     its pointer becomes the result of @tenon.emulator.access
//   llvm.nvvm.X           a call of @tenon.emulator.intrinsic, arguments and
//                         results in slots of 8 bytes on the stack
//   @g in addrspace(3)    @tenon.emulator.shared() + where g lies in the block's
//                         memory; one without a size lies behind the others
//   fma, fmul + fadd      as before, and counted
//
// Everything else is the code the GPU gets: a wrong index, a missing barrier or
// a mixed-up fragment is wrong here too. What cannot be followed (inline PTX, an
// intrinsic that is not in the table) is an error that names it.

#pragma once

#include <deque>
#include <string>
#include <vector>

#include "compiler/codegen/nvptx/emulator/Block.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

namespace tenon::emulator {

/// The names of what the code calls.
inline constexpr const char *accessName = "tenon.emulator.access";
inline constexpr const char *intrinsicName = "tenon.emulator.intrinsic";
inline constexpr const char *sharedName = "tenon.emulator.shared";
inline constexpr const char *multiplyAddsName = "tenon.emulator.multiply_adds";

struct RetargetedCode {
  std::deque<Site> sites;                // the code has their addresses
  std::vector<std::string> kernels;      // functions with one pointer as parameter
  llvm::StringMap<uint64_t> sharedBytes; // what a kernel's own variables take
};

/// Changes `module` in place.
llvm::Expected<RetargetedCode> retarget(llvm::Module &module, llvm::TargetMachine &host);

} // namespace tenon::emulator
