// The intrinsics of NVPTX the emulator knows.
//
// A call of one becomes a call of Block::intrinsic with its arguments in slots of
// 8 bytes, one each; results take the slots' place, from the first on, one per
// member. What is not in the table is an error when the code is retargeted.

#pragma once

#include <optional>

#include "compiler/codegen/nvptx/emulator/Block.h"
#include "llvm/ADT/StringRef.h"

namespace tenon::emulator {

struct Intrinsic {
  llvm::StringRef name; // without "llvm.nvvm."; ends in '*' for all that begin so
  void (*run)(Block &block, const Site &site, uint64_t *slots);
  /// For collectives: computes every lane's results, once all are there.
  void (*together)(Block &block, const Site &site, unsigned warp, uint32_t mask) = nullptr;
};

/// What inline PTX does that LLVM has no intrinsic for, or nothing and why not.
std::optional<Site> siteOfPtx(llvm::StringRef ptx, std::string &error);

/// The intrinsic "llvm.nvvm.X", or null.
const Intrinsic *findIntrinsic(llvm::StringRef name);

} // namespace tenon::emulator
