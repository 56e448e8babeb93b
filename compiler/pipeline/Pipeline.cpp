//===- Pipeline.cpp - the phases of a compilation, in order -------------------------===//
#include "compiler/pipeline/Pipeline.h"
#include "passes/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace tenon {

/// Maps composed and folded until index arithmetic has said all it can.
static void addComposition(OpPassManager &passes) {
  passes.addPass(createNarrowReductions());
  passes.addPass(createReshapeThroughMaps());
  passes.addPass(createComposeMaps());
  passes.addPass(createCSEPass()); // equal loads are one, so that what they load composes
  passes.addPass(createFoldMaps());
  passes.addPass(createComposeMaps());
  passes.addPass(createCSEPass());
}

static void addFolding(OpPassManager &passes) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createFoldMaps());
}

static void addMapSimplification(OpPassManager &passes) {
  addFolding(passes);
  addComposition(passes);
}

static void addSimplify(OpPassManager &passes) {
  addFolding(passes);
  passes.addPass(createFoldScatters());            // before loops: steps that write their results are their parts
  passes.addPass(createRaiseScan());               // while each step of a loop still stands by itself
  passes.addPass(createRaiseChunkedScan());        // before operands become one with their padding
  addComposition(passes);
}

static void addFuse(OpPassManager &passes) {
  passes.addPass(createFoldWeightMoves());
  passes.addPass(createSinkInterpolations());      // while matrices are weights, and nothing is merged
  passes.addPass(createRaiseNorms());
  passes.addPass(createNarrowToDemandedRows());
  passes.addPass(createMergeProjections());        // before attention, which then reads slices of one product
  passes.addPass(createPickRowsBehindProducts());
  passes.addPass(createRaiseAttention());          // before contractions take in the transposes it explains
  passes.addPass(createMoveRowFactors());          // before what wants weights that one product reads
  passes.addPass(createRaiseLinearAttention());    // before functions: recurrences it is, where it can be
  passes.addPass(createRaiseUnnormalisedAttention());
  passes.addPass(createRaiseKeep());
  passes.addPass(createFoldAttentionMoves());
  passes.addPass(createFoldScanMoves());
  passes.addPass(createFuseContractionOperands());
  addMapSimplification(passes);                    // not before attention: it would undo the merging
}

static void addChoose(OpPassManager &passes) {
  passes.addPass(createReassociateAttention());    // linear scores: no algorithm to choose
  passes.addPass(createScanAttention());           // before distances, which are decays to it, become tables
  passes.addPass(createExpandScan());              // before Toeplitz forms: convolutions are such products
  passes.addPass(createChooseToeplitzForm());
  passes.addPass(createLowerToeplitz());           // before algorithms: a direct product is an attention
  passes.addPass(createExpandFFT());
  passes.addPass(createTabulateDiagonals());
  passes.addPass(createStreamSinkhorn());          // before algorithms: a half-step is an attention
  passes.addPass(createChooseAttentionAlgorithm());
  passes.addPass(createSplitAttention());
  passes.addPass(createMaterialiseAttention());
  passes.addPass(createOrientCaptures());
  addMapSimplification(passes);
}

static void addLayout(OpPassManager &passes) {
  passes.addPass(createPlaceChannelsLast());       // while convolutions still are products of windows
  passes.addPass(createPlaceBatchFirst());         // maps composed below take the transpose in
  passes.addPass(createFoldWeightMoves());
  passes.addPass(createFlattenContractions());
  passes.addPass(createGroupProducts());           // before reshapes sink, through those it makes
  passes.addPass(createMoveRows());
  passes.addPass(createNormaliseRows());
  passes.addPass(createSinkReshapes());
  passes.addPass(createFoldScanMoves());           // the reshapes that went behind maps
  passes.addPass(createNarrowProducts());
  addMapSimplification(passes); // what now stands on one form composes
  passes.addPass(createPackWeights());
}

static void addKernels(OpPassManager &passes) {
  passes.addPass(createCSEPass());
  passes.addPass(createFormKernels());
}

static const Phase phases[] = {
    {"simplify", "index arithmetic, masks and tables composed; nothing known left to run time", addSimplify},
    {"fuse", "attention recognised, projections merged, transposes and scalings taken in", addFuse},
    {"choose", "an algorithm for each attention", addChoose},
    {"layout", "products with weights flattened to rows, weights in panels", addLayout},
    {"kernels", "fused groups outlined, equal kernels merged", addKernels},
};

llvm::ArrayRef<Phase> programPhases() { return phases; }

void addLoweringPasses(OpPassManager &passes, std::unique_ptr<Pass> lowerKernels) {
  passes.addPass(std::move(lowerKernels));
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
