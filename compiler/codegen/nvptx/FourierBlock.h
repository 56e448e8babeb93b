//===- FourierBlock.h - Fourier transforms by one block of threads -------------------===//
//
// The stages of FourierPlan.h, for some transforms at a time. In each stage a thread takes some butterflies: it reads their
// points, transforms them in registers, and writes them. Between stages points are in shared memory, once: all are read before
// one is written. The first stage reads from the caller's source, the last one writes to its sink.
//
//   | transforms        | point n of transform t     | for
//   |-------------------|----------------------------|--------------------------------------------
//   | one after another | t L + n                    | rows: neighbours in memory are points
//   | interleaved       | n transforms + t           | columns: neighbours are transforms. Stockham's form begins with so many
//
// A stage of radix r with s points interleaved writes words r s apart, which meet the same banks of shared memory while s is
// small. There a word's number within its 32 is changed by the bits above it, (n / 32) % 8 + 8 ((n / 64) % 4): neighbours stay in
// different banks, and so do every eighth, and runs of eight that lie 64 apart.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_FOURIERBLOCK_H
#define TENON_COMPILER_CODEGEN_NVPTX_FOURIERBLOCK_H

#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "passes/fft_rpe/Butterflies.h"
#include "passes/lowering/IndexMath.h"

namespace tenon {

/// How transforms are shared among blocks and their threads.
struct FourierBlockPlan {
  int64_t length;
  int64_t period;     ///< Of the convolution that a length with a prime above 13 becomes (Bluestein); else the length.
  int64_t transforms; ///< Of a block.
  bool isInterleaved;
  /// Whether points go through shared memory on their way in, or out, so that a warp reads or writes neighbours.
  bool stagesIn = false, stagesOut = false;

  /// Nothing where one transform is more than mostPoints. `atOnce`: transforms that lie side by side in memory, if known.
  static std::optional<FourierBlockPlan> create(int64_t length, bool isInterleaved, std::optional<int64_t> atOnce);

  int64_t points() const { return transforms * period; }
  int64_t sharedWords() const { return 2 * plane(); }
  int64_t plane() const { return (points() + 31) / 32 * 32; } ///< Real parts, then imaginary parts.
  unsigned threads() const;

  static constexpr int64_t mostPoints = 8192, usualPoints = 2048, pointsOfThread = 16;
};

class FourierBlock : public Butterflies {
public:
  /// Point n of transform t of the block. A source bears any t.
  using Source = llvm::function_ref<Point(mlir::Value t, mlir::Value n)>;
  using Sink = llvm::function_ref<void(mlir::Value t, mlir::Value n, const Point &point)>;
  /// Whether transform t is there, i1; null: all are.
  using Presence = llvm::function_ref<mlir::Value(mlir::Value t)>;

  /// Frequency k of what transform t is multiplied with.
  using Spectrum = llvm::function_ref<Point(mlir::Value t, mlir::Value k)>;

  /// `shared`: plan.sharedWords() f32.
  FourierBlock(DeviceLowering &native, const FourierBlockPlan &plan, mlir::Value shared);

  /// Σ_n x[n] e^(-2πi n k / length) for k < wanted, of the `given` points there are, by the whole block.
  void transform(int64_t given, int64_t wanted, Presence isPresent, Source source, Sink sink);
  /// The first `wanted` points of circular convolutions of the plan's period: transformed, multiplied and transformed back but for
  /// the factor period, which the spectrum bears. A barrier must stand between it and the next one.
  void convolve(int64_t given, int64_t wanted, Presence isPresent, Source source, Spectrum spectrum, Sink sink);

private:
  /// Of radix r, as in FourierPlan.h; s counts interleaved transforms, too.
  struct Stage {
    int64_t radix, m, s;
  };
  /// One of this thread's.
  struct Butterfly {
    mlir::Value exists; ///< null: in every thread
    mlir::Value outer;  ///< the transform, where they lie one after another
    mlir::Value p, q;
    llvm::SmallVector<Point> points;
  };
  using Threads = llvm::SmallVector<Butterfly>;

  llvm::SmallVector<Stage> stagesOf(llvm::ArrayRef<int64_t> radices) const;
  Threads butterfliesOf(const Stage &stage);
  Threads read(const Stage &first, int64_t given, Source source);
  void multiply(const Stage &stage, Threads &butterflies);
  Threads exchange(const Stage &from, const Stage &to, const Threads &butterflies);
  /// All but the transform of the last stage, of butterflies that hold the first one's points.
  Threads runTo(llvm::ArrayRef<Stage> stages, Threads butterflies);
  void write(const Stage &last, int64_t wanted, Presence isPresent, Sink sink, const Threads &butterflies);
  void turn(const Stage &last, Spectrum spectrum, Threads &butterflies);

  void run(int64_t given, int64_t wanted, Presence isPresent, Source source, Sink sink);
  void forEachPoint(int64_t count, llvm::function_ref<void(mlir::Value t, mlir::Value n)> body);

  mlir::Value transformOf(const Butterfly &butterfly) {
    return inner > 1 ? index.rem(butterfly.q, inner) : butterfly.outer;
  }
  mlir::Value startOf(const Butterfly &butterfly) { return index.mul(butterfly.outer, plan.period * inner); }
  mlir::Value place(mlir::Value t, mlir::Value n);
  mlir::Value swizzled(mlir::Value at);
  Point load(mlir::Value at);
  void store(mlir::Value at, const Point &point);
  Point entry(mlir::Value table, mlir::Value number);
  mlir::Value isBelow(mlir::Value at, int64_t limit);
  void guarded(mlir::Value condition, llvm::function_ref<void()> body);
  void barrier();

  DeviceLowering &native;
  KernelLowering &lowering;
  FourierBlockPlan plan;
  mlir::Value shared;
  IndexMath index;
  const int64_t inner, outer; ///< Interleaved transforms; others.
  bool isRead = false;        ///< Whether shared memory was read behind the last barrier.
};

} // namespace tenon
#endif
