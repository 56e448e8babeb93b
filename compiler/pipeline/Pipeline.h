//===- Pipeline.h - the phases of a compilation, in order ---------------------------===//
//
// The path of a model, readable from top to bottom in Pipeline.cpp. Every phase is
// a stopping point: `--emit=mlir@PHASE` prints the module after it.
//
#ifndef TENON_COMPILER_PIPELINE_PIPELINE_H
#define TENON_COMPILER_PIPELINE_PIPELINE_H

#include "mlir/Pass/PassManager.h"

namespace tenon {

struct Phase {
  llvm::StringRef name;    ///< what users write after `mlir@`
  llvm::StringRef summary; ///< for --help
  void (*addPasses)(mlir::OpPassManager &passes);
};

/// From the imported module to outlined kernels; the same for every target.
llvm::ArrayRef<Phase> programPhases();

/// From kernels to loops and vectors, for the module's `tenon.target`: `lowerKernels` is LowerKernels, or the pass that
/// takes its place for another kind of machine.
void addLoweringPasses(mlir::OpPassManager &passes, std::unique_ptr<mlir::Pass> lowerKernels);

/// The names of all phases: "import", those of programPhases(), "lower".
llvm::SmallVector<llvm::StringRef> phaseNames();

} // namespace tenon
#endif
