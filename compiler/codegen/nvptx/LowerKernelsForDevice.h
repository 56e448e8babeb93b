//===- LowerKernelsForDevice.h - every kernel to a function for a GPU ---------------===//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_LOWERKERNELSFORDEVICE_H
#define TENON_COMPILER_CODEGEN_NVPTX_LOWERKERNELSFORDEVICE_H

#include "mlir/Pass/Pass.h"

namespace tenon {

/// What LowerKernels (passes/lowering/Passes.td) is for a CPU: each tenon.kernel becomes the function DeviceFunction.h
/// describes, with `tenon.tiles` and `tenon.scratch`, and in addition:
///
///   tenon.block_threads  i32: 1 for the form "worker"
///   tenon.shared_bytes   i32: to launch with
///   tenon.form           string: "map", or "worker: tenon.scan has no form of its own"
///
/// Needs the module's tenon.target.
std::unique_ptr<mlir::Pass> createLowerKernelsForDevice();

} // namespace tenon
#endif
