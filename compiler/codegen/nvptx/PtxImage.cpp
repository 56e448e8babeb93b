//===- PtxImage.cpp - LLVM's modules for a GPU, and the rules of PTX ----------------===//
#include "compiler/codegen/nvptx/PtxImage.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"

namespace tenon {

void prepareForDevice(llvm::Module &module) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    // A kernel is what takes its arguments by value (DeviceFunction.h); others are helpers.
    if (function.hasParamAttribute(0, llvm::Attribute::ByVal))
      function.setCallingConv(llvm::CallingConv::PTX_Kernel);
    else
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
    function.removeFnAttr("frame-pointer");
    // Inline PTX is for a whole warp at once (Warpgroup.h): no pass may put it into a branch of part of one.
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *call = llvm::dyn_cast<llvm::CallInst>(&instruction); call && call->isInlineAsm())
        call->setConvergent();
  }
}

llvm::Error checkPtx(llvm::StringRef ptx, llvm::ArrayRef<std::string> names) {
  llvm::SmallVector<llvm::StringRef> lines;
  ptx.split(lines, '\n');
  for (llvm::StringRef line : lines)
    if (line.ltrim().starts_with(".extern") && !line.contains(".shared"))
      return llvm::createStringError("PTX: wanted no imports, found '" + line.trim() + "'");
  for (const std::string &name : names)
    if (!ptx.contains(".entry " + name + "("))
      return llvm::createStringError("PTX: no kernel '" + name + "'");
  return llvm::Error::success();
}

} // namespace tenon
