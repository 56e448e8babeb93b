//===- Pipeline.cpp - the phases of a compilation, in order -------------------------===//
#include "compiler/pipeline/Pipeline.h"
#include "passes/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace tenon {

static void addSimplify(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createComposeMaps());
  passes.addPass(createCSEPass());
}

static void addKernels(OpPassManager &passes) {
  passes.addPass(createCSEPass());
  passes.addPass(createFormKernels());
}

static const Phase phases[] = {
    {"simplify", "index arithmetic, masks and tables composed; nothing known left to run time", addSimplify},
    {"kernels", "fused groups outlined, equal kernels merged", addKernels},
};

llvm::ArrayRef<Phase> programPhases() { return phases; }

void addLoweringPasses(OpPassManager &passes) {
  passes.addPass(createLowerKernels());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addNestedPass<func::FuncOp>(createExpandMath()); // after CSE: an expansion is never compared
}

llvm::SmallVector<llvm::StringRef> phaseNames() {
  llvm::SmallVector<llvm::StringRef> names{"import"};
  for (const Phase &phase : phases)
    names.push_back(phase.name);
  names.push_back("lower");
  return names;
}

} // namespace tenon
