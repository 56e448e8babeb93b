//===- PtxImage.h - LLVM's modules for a GPU, and the rules of PTX ------------------===//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_PTXIMAGE_H
#define TENON_COMPILER_CODEGEN_NVPTX_PTXIMAGE_H

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace tenon {

/// Gives the module's functions what the device needs of them: before optimising.
void prepareForDevice(llvm::Module &module);

/// Checks that `ptx` stands on its own (no symbol of a library such as libdevice) and holds the kernels `names`.
llvm::Error checkPtx(llvm::StringRef ptx, llvm::ArrayRef<std::string> names);

} // namespace tenon
#endif
