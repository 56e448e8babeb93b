//===- LowerFourier.h - kernels of Fourier transforms -------------------------------===//
#ifndef TENON_PASSES_FFT_RPE_LOWERFOURIER_H
#define TENON_PASSES_FFT_RPE_LOWERFOURIER_H

#include "passes/lowering/KernelLowering.h"

namespace tenon {

/// Of constant lengths: ExpandFFT makes products of the others.
mlir::FailureOr<KernelGrid> lowerFFT(KernelLowering &lowering, FFTOp op);
/// Of constant sizes, f32.
mlir::FailureOr<KernelGrid> lowerCirculant(KernelLowering &lowering, CirculantOp op);

} // namespace tenon
#endif
