//===- Butterflies.h - the arithmetic of Fourier transforms in registers ----------------===//
//
// Complex numbers as pairs of values, and transforms of 2 to 13 of them. A value is a float, or a vector of one from each of
// several transforms side by side.
//
#ifndef TENON_PASSES_FFT_RPE_BUTTERFLIES_H
#define TENON_PASSES_FFT_RPE_BUTTERFLIES_H

#include "passes/fft_rpe/FourierPlan.h"
#include "passes/lowering/KernelLowering.h"

namespace tenon {

/// One number of each transform. A part that is null is zero.
struct Point {
  mlir::Value real, imaginary;

  Point swapped() const { return {imaginary, real}; }
  bool isZero() const { return !real && !imaginary; }
};

class Butterflies {
public:
  /// Values are of `type`: f32, f64, or vectors of them.
  Butterflies(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type type) : type(type), builder(builder), loc(loc) {}

  // Parts that are zero cost nothing.
  mlir::Value sum(mlir::Value a, mlir::Value b);
  mlir::Value difference(mlir::Value a, mlir::Value b);
  mlir::Value scaled(mlir::Value a, double factor);
  Point times(const Point &a, const Point &b);
  /// c + a b.
  Point sumOfProducts(const Point &c, const Point &a, const Point &b);
  mlir::Value zero();

  /// Numbers become their transform: one of 1, 2, 4, 8, or an odd number.
  void dft(llvm::MutableArrayRef<Point> points);

  const mlir::Type type;

protected:
  mlir::OpBuilder &builder;
  mlir::Location loc;

private:
  void dft4(Point &a, Point &b, Point &c, Point &d);
  void dft8(llvm::MutableArrayRef<Point> points);
  void dftOdd(llvm::MutableArrayRef<Point> points);
  Point sum(const Point &a, const Point &b) { return {sum(a.real, b.real), sum(a.imaginary, b.imaginary)}; }
  Point difference(const Point &a, const Point &b) {
    return {difference(a.real, b.real), difference(a.imaginary, b.imaginary)};
  }
  mlir::Value negated(mlir::Value a);
  /// c + factor · a.
  mlir::Value sumScaled(mlir::Value c, mlir::Value a, double factor);
  mlir::Value constant(double value);
  mlir::Value product(mlir::Value a, mlir::Value b);
};

/// Numbers that stand in the image under `name`, as pairs of `real`.
mlir::Value complexTable(KernelLowering &lowering, mlir::FloatType real, llvm::StringRef name,
                         llvm::ArrayRef<Complex> numbers);

} // namespace tenon
#endif
