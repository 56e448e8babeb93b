//===- FourierSides.h - where the numbers of Fourier transforms are ---------------------===//
#ifndef TENON_PASSES_FFT_RPE_FOURIERSIDES_H
#define TENON_PASSES_FFT_RPE_FOURIERSIDES_H

#include "passes/fft_rpe/Butterflies.h"

namespace tenon {

/// The operand or the result of tenon.fft.
struct FourierSide {
  mlir::Value memory;
  Shape shape;
  mlir::Type element;
  llvm::SmallVector<mlir::Value> strides;
  int64_t points, parts;
  bool partsInside, axisInside; ///< The last dimension is the pair; is, but for the pair, the transformed one.
};

/// Of a transform of constant length. Emits offsets.
class FourierSides {
public:
  FourierSides(KernelLowering &lowering, FFTOp op);

  /// The dimension of the batch that is innermost in memory, but for the pair.
  std::optional<int64_t> columnDim() const { return columnDimOf(op); }
  static std::optional<int64_t> columnDimOf(FFTOp op);
  /// The dims of the batch, in order.
  static llvm::SmallVector<int64_t> batchDimsOf(FFTOp op, std::optional<int64_t> without = {});
  llvm::SmallVector<int64_t> batchDims(std::optional<int64_t> without = {}) const { return batchDimsOf(op, without); }
  static Dim batchCountOf(FFTOp op, llvm::ArrayRef<int64_t> batch);
  Dim batchCount(llvm::ArrayRef<int64_t> batch) const { return batchCountOf(op, batch); }

  /// Where transform `number` of the dims `batch` begins.
  mlir::Value startOf(const FourierSide &side, llvm::ArrayRef<int64_t> batch, mlir::Value number);
  /// Part `part` of point base + offset of the transform that begins at `start`.
  mlir::Value offsetOf(const FourierSide &side, mlir::Value start, mlir::Value base, int64_t offset, int64_t part);
  mlir::Value index(int64_t value) { return scope.index(value, loc); }

  /// The inverse is the transform with real and imaginary parts exchanged, before and after, divided by its length.
  Point entering(const Point &point) { return op.getInverse() ? point.swapped() : point; }
  Point leaving(Butterflies &arithmetic, const Point &point);

  KernelLowering &lowering;
  KernelScope &scope;
  mlir::Location loc;
  FFTOp op;
  int64_t length;
  FourierSide from, to; ///< from.points: at most the length

private:
  FourierSide sideOf(mlir::Value tensor, mlir::Value memory);
};

} // namespace tenon
#endif
