//===- MatrixUnit.cpp - instructions that products are made of ---------------------===//
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

static DictionaryAttr laneProductsOf(const Level &level, MLIRContext *context) {
  // A64FX takes twice as long for a multiply-add by lane.
  if (level.vectorGranules() != 2)
    return {};
  Builder builder(context);
  auto named = [&](StringRef key, StringRef intrinsic) {
    return builder.getNamedAttr(key, builder.getStringAttr(intrinsic));
  };
  SmallVector<NamedAttribute> names{named("lanes", "llvm.aarch64.sve.ptrue.nxv4i1"),
                                    named("load", "llvm.aarch64.sve.ld1rq.nxv4f32"),
                                    named("multiply_add", "llvm.aarch64.sve.fmla.lane.nxv4f32")};
  if (llvm::is_contained(requiredFeatures(level), "bf16"))
    names.append({named("dot", "llvm.aarch64.sve.bfdot"), named("dot_lane", "llvm.aarch64.sve.bfdot.lane.v2")});
  return builder.getDictionaryAttr(names);
}

void setProductInstructions(ModuleOp module, const Level &level) {
  MLIRContext *context = module.getContext();
  if (llvm::StringRef intrinsic = bf16DotIntrinsic(level); !intrinsic.empty())
    module->setAttr("tenon.bf16_dot", StringAttr::get(context, intrinsic));
  if (DictionaryAttr tiles = bf16TilesOf(level, context))
    module->setAttr("tenon.bf16_tile", tiles);
  if (DictionaryAttr lanes = laneProductsOf(level, context))
    module->setAttr("tenon.lane_products", lanes);
  else if (level.vectorGranules())
    module->setAttr("tenon.short_offsets", UnitAttr::get(context));
  if (level.isa == Isa::X86_64 && level.vectorBits == 512 && level.fmaPorts > 1)
    module->setAttr("tenon.multiply_add_units", IntegerAttr::get(IntegerType::get(context, 64), level.fmaPorts));
}

} // namespace tenon
