//===- MatrixUnit.cpp - the instructions of a level's matrix unit -------------------===//
#include "compiler/codegen/MatrixUnit.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

namespace tenon {

DictionaryAttr bf16TilesOf(const Level &level, MLIRContext *context) {
  if (!llvm::is_contained(requiredFeatures(level), "amx-bf16"))
    return {};
  context->loadDialect<LLVM::LLVMDialect>();
  Builder builder(context);
  auto named = [&](StringRef key, StringRef intrinsic) {
    return builder.getNamedAttr(key, builder.getStringAttr(intrinsic));
  };
  return builder.getDictionaryAttr({named("zero", "llvm.x86.tilezero.internal"),
                                    named("load", "llvm.x86.tileloadd64.internal"),
                                    named("store", "llvm.x86.tilestored64.internal"),
                                    named("multiply_add", "llvm.x86.tdpbf16ps.internal"),
                                    builder.getNamedAttr("type", TypeAttr::get(LLVM::LLVMX86AMXType::get(context)))});
}

} // namespace tenon
