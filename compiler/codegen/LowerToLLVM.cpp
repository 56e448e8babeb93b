// Kernels to the llvm dialect, in one in-process pass pipeline.
//
// Greedy pattern sets over vectors can run away (notes in
// docs/decisions/0001-packed-gemm.md), so nothing here mixes canonicalization
// with vector rewrites: emitters already write vectors of register size, and
// only their one-to-one conversion remains.

#include "compiler/codegen/LowerToLLVM.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace tenon {

/// arith.ceildivsi and arith.floordivsi have no LLVM instruction. The upstream
/// arith-expand pass would also split maximumf into a compare and two selects,
/// where LLVM knows the target's own form.
static LogicalResult expandDivisions(ModuleOp module) {
  RewritePatternSet patterns(module.getContext());
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  return applyPatternsGreedily(module, std::move(patterns));
}

static void buildPipeline(OpPassManager &pm) {
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

/// Verified once before; what comes out is verified by the translation to LLVM.
/// Between these passes it would cost half of their time.
LogicalResult lowerToLLVMDialect(ModuleOp module) {
  if (failed(verify(module)))
    return failure();
  PassManager simplify(module->getContext(), ModuleOp::getOperationName());
  simplify.enableVerifier(false);
  simplify.addPass(createCanonicalizerPass());
  simplify.addPass(createCSEPass());
  if (failed(simplify.run(module)) || failed(expandDivisions(module)))
    return failure();
  PassManager lower(module->getContext(), ModuleOp::getOperationName());
  lower.enableVerifier(false);
  buildPipeline(lower);
  return lower.run(module);
}

} // namespace tenon
