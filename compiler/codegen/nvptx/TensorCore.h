//===- TensorCore.h - fragments of a warp and their products -----------------------===//
//
// What tensor cores multiply is words of 32 bits: an f32, or two neighbours along k of 16 bits. A warp holds a tile
// in fragments, so many words in each thread. With g = lane / 4 and c = lane % 4:
//
//   | tile            | shape             | thread holds                            |
//   |-----------------|-------------------|-----------------------------------------|
//   | A, left         | 16 rows x 8 words | A[g][c] A[g+8][c] A[g][c+4] A[g+8][c+4] |
//   | B, right        | 8 words x 8 cols  | B[c][g] B[c+4][g]                       |
//   | C, sums, in f32 | 16 rows x 8 cols  | C[g][2c] C[g][2c+1] C[g+8][2c] C[g+8][2c+1] |
//
// One instruction adds the product of an A and a B to a C. Pairs of 16 bits are multiplied exactly. A word of f32 has
// to be split, since the cores take 11 bits of it: x = hi + lo, each the nearest of 11 bits, so that at most 2^-22 of x is
// lost, to either side, and x y = hi hi' + hi lo' + lo hi' but for lo lo', which is as small: what a sum of some terms
// in f32 loses anyway. Infinities stay what they are: they have no lo, and meet none (infinity times a lo of 0 would be
// NaN). The three are added up from zero and then to the sum by an addition of its own: tensor cores cut what they add
// off instead of rounding it (Ootomo, Yokota, "Recovering single precision accuracy from Tensor Cores", 2022), which
// over a long sum would be lost from its last bits always to the same side.
//
// Worked example: 1 + 2^-12 is hi = 1 and lo = 2^-12, both exact; its square is 1 + 2^-11 + 2^-12 * 2^-12, and only
// the last term, 2^-24, is lost.
//
// Shared memory is a `!llvm.ptr<3>`; offsets in it are in words, as index.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_TENSORCORE_H
#define TENON_COMPILER_CODEGEN_NVPTX_TENSORCORE_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

namespace tenon {

/// What a word holds.
enum class WordKind { F32, PairOfBF16, PairOfF16 };

/// Elements along k of one word.
inline int64_t elementsOf(WordKind kind) { return kind == WordKind::F32 ? 1 : 2; }
/// The kind words of this element type have; none for types tensor cores do not take.
std::optional<WordKind> wordKindOf(mlir::Type element);

class TensorCore {
public:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<Value, 4>;

  static constexpr int64_t warp = 32;     ///< Threads that work on one tile.
  static constexpr int64_t tileRows = 16; ///< Of A and C.
  static constexpr int64_t tileColumns = 8;
  static constexpr int64_t tileWords = 8;

  TensorCore(mlir::OpBuilder &builder, mlir::Location loc, WordKind kind) : builder(builder), loc(loc), kind(kind) {}

  /// A fragment, ready to be multiplied: of f32 also what is left of each word, and each word where it is finite.
  struct Fragment {
    Values words, rest, finite;
  };

  /// The words of an A tile whose first word is at `at`, rows `pitch` words apart, an odd multiple of 4. `lane` is this thread's.
  Values loadWords(Value shared, Value at, Value lane, int64_t pitch);
  Fragment loadA(Value shared, Value at, Value lane, int64_t pitch) {
    return fragment(loadWords(shared, at, lane, pitch));
  }
  /// The B tiles of pairs along k, for two times eight columns, from rows of 16 bits along the columns: rows of k from
  /// word `at` on, `pitch` words apart, 16 of them.
  std::pair<Fragment, Fragment> loadTransposed(Value shared, Value at, Value lane, int64_t pitch);
  /// What a word is split with: the bits of its hi, and those of its magnitude, as i32.
  struct Masks {
    Value high, magnitude;
  };
  static constexpr uint32_t highMask = 0xffffe000, magnitudeMask = 0x7fffffff;

  /// A fragment of these words, as i32. Masks that are no constants keep LLVM from splitting words ahead of a loop, where
  /// each would take three registers.
  Fragment fragment(llvm::ArrayRef<Value> words, Masks masks = {});
  /// The same of elements in f32, four of A or two of B; pairs are rounded and packed in the order given.
  Fragment fragmentOfFloats(llvm::ArrayRef<Value> floats);
  /// One word, as i32.
  Value loadWord(Value shared, Value at);

  /// How products of f32 come to a sum: by themselves first, or within it, which takes four registers fewer for every
  /// product on its way.
  enum class Adding { Apart, Within };

  /// sums += a * b; `sums` is C's four words, f32.
  void multiplyAdd(llvm::MutableArrayRef<Value> sums, const Fragment &a, const Fragment &b,
                   Adding adding = Adding::Apart);

  /// Two neighbours along k as a word; both f32.
  Value pack(Value first, Value second);

private:
  Values loadMatrices(llvm::StringRef name, Value shared, Value at, Value lane, int64_t pitch);
  Value bits(int64_t value);
  Value both(Value a, Value b);
  Values multiply(llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b, llvm::ArrayRef<Value> sums);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  WordKind kind;
};

/// The instructions around them. Every thread of a block takes part in `barrier`.
struct DeviceMath {
  mlir::OpBuilder &builder;
  mlir::Location loc;
  using Value = mlir::Value;

  /// The pointer under a flat memref, in its address space.
  Value pointerOf(Value view) const;
  /// The address of word `at` of memory at `pointer`, shared or global.
  Value address(Value pointer, Value at) const;
  Value load(Value shared, Value at, mlir::Type type) const;
  /// A scalar or a vector; a vector's address is a multiple of its size.
  void store(Value value, Value shared, Value at) const;

  /// Sixteen bytes from global memory at `from` to shared memory at word `at`, when they arrive; zeros unless `exists`
  /// (i1). Both are multiples of 16 bytes; `from` can be read in any case.
  void copyAsync(Value from, Value shared, Value at, Value exists) const;
  /// The copies since the last commit are one group.
  void commitCopies() const;
  /// This thread's groups have arrived, but for the `pending` last ones.
  void awaitCopies(int64_t pending) const;
  void barrier() const;

  /// `combine(x, the x of the lane whose number differs in the bits of `mask`)`: of `lanes` lanes, a power of two, all
  /// hold the result for their group.
  Value reduce(Value x, int64_t lanes, llvm::function_ref<Value(Value, Value)> combine) const;
  /// 2^x to two units in the last place; results below 2^-126 are 0.
  Value exp2(Value x) const;

private:
  Value intrinsic(mlir::Type type, llvm::StringRef name, llvm::ArrayRef<Value> operands) const;
  void intrinsic(llvm::StringRef name, llvm::ArrayRef<Value> operands) const;
  Value i32(int64_t value) const { return mlir::arith::ConstantIntOp::create(builder, loc, value, 32); }
};

} // namespace tenon
#endif
