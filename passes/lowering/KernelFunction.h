// The function a kernel lowers to: the C ABI of tenon/kernel_abi.h seen as
// values an emitter can use.
//
//   void k(const tenon_kernel_args *args, uint32_t first_tile, uint32_t last_tile)
//
// The prologue reads the argument block once. Operands appear as flat
// memref<?xT> of unit stride whose size is not known: emitters compute element
// offsets themselves and never ask a view for its dim.

#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace tenon {

class KernelFunction {
public:
  /// Appends a public kernel `name` to `module`. Operand k has elements of type
  /// operandElements[k]; the kernel has `dims` dimension values. Leaves `builder`
  /// in the body, before the return.
  static KernelFunction create(mlir::OpBuilder &builder, mlir::Location loc, mlir::ModuleOp module,
                               llvm::StringRef name, llvm::ArrayRef<mlir::Type> operandElements, unsigned dims);

  /// What an entry of another form (a GPU's) has read for the body. `first` and `last` are of type index, `dims`
  /// too, all else pointers.
  struct Values {
    llvm::SmallVector<mlir::Value> operands, dims;
    mlir::Value first, last, scratch, faults;
    mlir::Value hints; ///< i64, or null.
  };
  /// A kernel over values: `function` is the one the body stands in.
  static KernelFunction over(mlir::OpBuilder &builder, mlir::Location loc, mlir::func::FuncOp function,
                             llvm::ArrayRef<mlir::Type> operandElements, Values values);

  mlir::func::FuncOp function() const { return func; }

  /// Operand k, as memref<?xT>. In the ABI's order: inputs, weights, results.
  mlir::Value operand(unsigned k) const { return operandViews[k]; }
  /// Operand k, as memref<?xelement> of the same bytes.
  mlir::Value operandAs(mlir::OpBuilder &builder, mlir::Location loc, unsigned k, mlir::Type element) const;
  /// Kernel dim k, as index.
  mlir::Value dim(unsigned k) const { return dimValues[k]; }
  /// The tiles this call is to compute, [firstTile, lastTile), as index.
  mlir::Value firstTile() const { return first; }
  mlir::Value lastTile() const { return last; }

  /// This worker's scratch from `byteOffset` (index) on, as memref<?xT>. The
  /// scratch starts on a cache line; offsets that keep to one are the caller's.
  mlir::Value scratch(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type element,
                      mlir::Value byteOffset) const;

  /// Whether this machine has all of `bits` (TENON_HINT_ bits of the ABI), as i1; no where none are told (a GPU).
  mlir::Value hasHints(mlir::OpBuilder &builder, mlir::Location loc, int64_t bits) const;

  /// ORs `bits` (i32) into the faults of the run, whatever other workers do.
  void raiseFaults(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value bits) const;

private:
  mlir::func::FuncOp func;
  llvm::SmallVector<mlir::Value> operandPointers, operandViews, dimValues;
  mlir::Value first, last;
  mlir::Value scratchPointer, faultsPointer, hints;
};

/// A flat memref<?xT> over `pointer` (!llvm.ptr) in its address space, unit stride, size unknown.
mlir::Value viewOfPointer(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value pointer, mlir::Type element);

} // namespace tenon
