//===- ComputeConstants.h - spectra and responses of weights, computed once ------------------===//
//
// Not a pass: it reads weights, which passes never do. It runs after the phase `choose`, where convolutions stand as
// transforms of their kernels and recurrences as responses, and before weights are packed. Where the kernel of a long
// convolution follows from weights alone (Hyena's and TNN's filters, LMU's A, B and C), its spectrum is the same in every
// run: here it becomes a weight, computed in float64 and rounded once.
//
// Costs bytes: a spectrum is about four times its kernel, which need not be kept then. Saves the transform in every run.
//
#ifndef TENON_COMPILER_CONSTANTS_COMPUTECONSTANTS_H
#define TENON_COMPILER_CONSTANTS_COMPUTECONSTANTS_H

#include "dialects/tenon/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace tenon {

/// Replaces float32 transforms and recurrences of weights alone, and the kernels of circular convolutions, by weights that are
/// added to `store`. Each is a remark. An error is one of reading a weight.
llvm::Error computeConstants(mlir::ModuleOp module, WeightStore &store);

} // namespace tenon
#endif
