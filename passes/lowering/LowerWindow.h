//===- LowerWindow.h - convolutions ---------------------------------------------------===//
#ifndef TENON_PASSES_LOWERING_LOWERWINDOW_H
#define TENON_PASSES_LOWERING_LOWERWINDOW_H

#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/WindowProduct.h"

namespace tenon {

/// Vectors of f32 elements `stride` apart in memory; of lanes that are not asked for nothing is read, they are 0.
struct StridedReader {
  KernelScope &scope;
  mlir::Location loc;
  mlir::Value memory;
  int64_t stride;
  unsigned lanes;

  /// Lane l is the element at offset + l · stride, for the lanes begin to end - 1.
  mlir::Value load(mlir::Value offset, mlir::Value begin, mlir::Value end);
  mlir::Value maskOf(mlir::Value begin, mlir::Value end);
  /// Of the lanes begin to end - 1, at positions x + l · stride, those within [0, size).
  std::pair<mlir::Value, mlir::Value> within(mlir::Value x, mlir::Value size, mlir::Value begin, mlir::Value end);

private:
  mlir::Value loadNeighbours(mlir::Value offset, mlir::Value begin, mlir::Value end);
  mlir::Value loadWholeOrPart(mlir::Value offset, mlir::Value begin, mlir::Value end);
  mlir::Value loadEverySecond(mlir::Value offset, mlir::Value begin, mlir::Value end);
};

/// Filters times windows, the register tile of matrix products over panels packed from x.
KernelGrid lowerWindowProduct(KernelLowering &lowering, const WindowProduct &product);
/// One filter a channel: sums of shifted rows.
KernelGrid lowerDepthwise(KernelLowering &lowering, const WindowProduct &product);

} // namespace tenon
#endif
