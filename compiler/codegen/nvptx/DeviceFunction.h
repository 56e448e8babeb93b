//===- DeviceFunction.h - the entry of a kernel on a GPU ----------------------------===//
//
// A kernel on a GPU takes one parameter by value, so that a launch copies everything it needs to know at once
// (n operands, m dims; format.h bounds its size):
//
//   { ptr operands[n]; i64 dims[m]; ptr scratch; i64 scratchBytes; ptr faults; i32 tiles; i32 pad }
//
// Operands point into global memory, their offsets added. Threads share the tiles in one of two ways:
//
//   | form   | a tile is      | launched as                  | scratch                        |
//   |--------|----------------|------------------------------|--------------------------------|
//   | worker | a thread's     | any T threads; thread t does | thread t: scratch +            |
//   |        |                | [t*tiles/T, (t+1)*tiles/T)   | t*scratchBytes                 |
//   | block  | a block's      | `tiles` blocks               | block b: scratch +             |
//   |        |                |                              | b*scratchBytes                 |
//
// Either way `kernel` shows the body what a CPU's kernel has: operands, dims, first and last tile, scratch, faults.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_DEVICEFUNCTION_H
#define TENON_COMPILER_CODEGEN_NVPTX_DEVICEFUNCTION_H

#include "passes/lowering/KernelFunction.h"

namespace tenon {

/// Threads of a warp, which run in step and exchange registers.
inline constexpr unsigned warpThreads = 32;
/// The address space of a block's shared memory.
inline constexpr unsigned sharedMemory = 3;

class DeviceFunction {
public:
  /// Appends a public kernel `name` to `module`: of the form "worker" where blockThreads is 1, else "block" with as many
  /// threads a block. Leaves `builder` in the body. Fails with an error at `loc` where the parameter would be too long.
  static mlir::FailureOr<DeviceFunction> create(mlir::OpBuilder &builder, mlir::Location loc, mlir::ModuleOp module,
                                                llvm::StringRef name, llvm::ArrayRef<mlir::Type> operandElements,
                                                unsigned dims, unsigned blockThreads);

  KernelFunction kernel;
  unsigned blockThreads = 1;

  /// The block's number (its tile, in the form "block") and the thread's in the block, as index.
  mlir::Value block, thread;

  /// `count` elements of the block's shared memory, as memref<?xelement, 3>, aligned for vectors of 16 bytes.
  mlir::Value shared(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type element, int64_t count) const;
  /// The shared memory a launch asks for (DeviceForm::sharedBytes), which may be more. For one use in a kernel.
  mlir::Value launchedShared(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type element) const;
  /// Waits until every thread of the block is here, and sees what the others have written. For the whole block only.
  void barrier(mlir::OpBuilder &builder, mlir::Location loc) const;
};

} // namespace tenon
#endif
