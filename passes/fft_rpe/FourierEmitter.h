//===- FourierEmitter.h - Fourier transforms of many columns at once, as vector code ----===//
//
// Emits the stages of FourierPlan.h for `lanes` transforms side by side. Point n of all of them is a pair of vectors. Where
// points come from and go to is the caller's: the first stage asks `PointSource`, the last one gives to `PointSink`, and in
// between points lie in two buffers of scratch as [n][real, imaginary][lanes].
//
// Where fewer points than the length are there (zero padding) or wanted, what is known to be zero is never computed and
// what nobody wants is not either: of a convolution padded to twice its length that is half the first stage and half the last.
//
#ifndef TENON_PASSES_FFT_RPE_FOURIEREMITTER_H
#define TENON_PASSES_FFT_RPE_FOURIEREMITTER_H

#include "passes/fft_rpe/Butterflies.h"

namespace tenon {

/// Point number base + offset.
using PointSource = llvm::function_ref<Point(mlir::Value base, int64_t offset)>;
using PointSink = llvm::function_ref<void(mlir::Value base, int64_t offset, const Point &)>;

class FourierEmitter : public Butterflies {
public:
  /// Buffers from byte `scratchAt` of scratch on. `real` is f32 or f64.
  FourierEmitter(KernelLowering &lowering, mlir::Type real, int64_t scratchAt = 0);

  /// What the buffers for transforms of `length` points take, in bytes.
  int64_t scratchBytes(int64_t length) const;

  /// Σ_n x[n] e^(-2πi n k / length) for k < wanted, of the `given` points the source has. A sink may write to the buffer that `begin` names.
  void transform(int64_t length, int64_t given, int64_t wanted, PointSource source, PointSink sink);
  /// The circular convolution of period `length` with the kernel whose spectrum, divided by `length`, is `spectrum`, for k < wanted.
  void convolve(int64_t length, int64_t given, int64_t wanted, PointSource source, PointSource spectrum,
                PointSink sink);

  /// Before using buffers outside of a transform: lays them out for it. Gives the buffer its sink may write.
  int begin(int64_t length);
  /// Points from one buffer to the next. More of them may lie behind the two, if the caller has asked for their scratch.
  int64_t bufferSize() const { return bufferPoints; }
  /// The buffer the caller may fill before a transform and read in its source.
  static constexpr int sourceBuffer = 1;

  Point load(int buffer, mlir::Value base, int64_t offset);
  void store(int buffer, mlir::Value base, int64_t offset, const Point &point);
  /// The buffers as memory, and where point `base` + `offset` begins in it.
  mlir::Value memory();
  mlir::Value position(int buffer, mlir::Value base, int64_t offset);

  /// A scalar in all lanes.
  mlir::Value everywhere(mlir::Value scalar);

  mlir::VectorType vectorType() const { return llvm::cast<mlir::VectorType>(type); }

  const mlir::Type real;
  const unsigned lanes;

private:
  struct Stage {
    int64_t radix, m, s;
  };
  llvm::SmallVector<Stage> stagesOf(int64_t length);
  void direct(const Stage &stage, int64_t given, int64_t wanted, PointSource source, PointSink sink);
  void run(llvm::ArrayRef<Stage> stages, int64_t given, int64_t wanted, int buffer, PointSource source, PointSink sink);
  void turn(const Stage &last, int64_t given, int64_t wanted, PointSource source, PointSource spectrum, PointSink sink);
  void bluestein(int64_t length, int64_t given, int64_t wanted, PointSource source, PointSink sink);
  void forParts(int64_t size, int64_t most, int64_t limit, llvm::function_ref<void(mlir::Value i, int64_t count)> body);

  /// Numbers that stand in the image, as pairs; and how they are read.
  mlir::Value table(llvm::StringRef name, llvm::ArrayRef<Complex> numbers);
  Point entry(mlir::Value table, mlir::Value base, int64_t offset);
  /// The factors of a stage, and those of its transforms `p`: w^(p k) for 0 < k < radix.
  mlir::Value stageTable(int64_t m, int64_t radix);
  llvm::SmallVector<Point> stageEntries(mlir::Value table, mlir::Value p, int64_t radix);

  KernelLowering &lowering;
  KernelScope &scope;
  int64_t scratchAt, widest;
  int64_t bufferPoints = 0; ///< Points between the buffers.
};

} // namespace tenon
#endif
