//===- WarpgroupProduct.h - a tile of a matrix product by wgmma --------------------===//
//
// A block computes 128 rows x 128 columns of C = A B, of bf16 or f16. Three warpgroups (Warpgroup.h): the last one brings
// slabs of 32 words (64 steps of k), the first two multiply, 64 columns of C each. Shared memory holds four slabs; each has a
// barrier that says it is full and one that says it is empty.
//
//   loaders, for each slab                        multipliers, for each slab
//     wait until its place is empty                 wait until it is full
//     ask for it                                    words of B to registers
//     of the slab two before:                       four products of 16 steps, wait for them
//       wait for it, make it visible, it is full    it is empty
//
// What wgmma takes from registers has the layout of panels of weights, and what it takes from shared memory that of rows:
// so a product computes C's transpose, B's columns times A's rows. Neither is moved again on its way.
//
//   A   planes of 8 steps of k, in each 16 bytes a row; 16 more between planes keep a row's words in different banks
//   B   panels of 16 columns, in each a step's 16 words side by side, as in memory: a panel's slab is one bulk copy
//
// Rows and columns behind the last are copies of it, words are zero in both operands.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_WARPGROUPPRODUCT_H
#define TENON_COMPILER_CODEGEN_NVPTX_WARPGROUPPRODUCT_H

#include "compiler/codegen/nvptx/ProductBlock.h"
#include "compiler/codegen/nvptx/Warpgroup.h"

namespace tenon {

class WarpgroupProduct : public ProductBlock {
public:
  static constexpr int64_t loaders = Warpgroup::threads, multipliers = 2 * Warpgroup::threads;
  static constexpr int64_t threads = multipliers + loaders;
  static constexpr int64_t rows = 128, columns = 2 * Warpgroup::rows; ///< Of C.
  static constexpr int64_t slabWords = 32;
  static constexpr int64_t panelColumns = 16;

  /// Words of shared memory, which a launch has to ask for.
  static constexpr int64_t sharedWords() { return barriersAt + 2 * barrierWords * stages; }

  WarpgroupProduct(mlir::OpBuilder &builder, mlir::Location loc, WordKind kind, Value shared, Value thread)
      : ProductBlock(builder, loc, kind, shared, thread, {rows, columns, slabWords, threads, loaders, sumPitch}),
        warpgroup(builder, loc, kind, shared) {}

  /// Emits the product; behind it C is in shared memory.
  void emit(Value words, const Load &loadLeft, const Load &loadRight);

  /// In a load of B: brings the slab of `columns` / 16 panels, which lie whole in memory; from(panel) is where in global memory.
  void copyPanels(Value at, llvm::function_ref<Value(Value panel)> from);

private:
  using Sums = llvm::SmallVector<Value>;

  static constexpr int64_t stages = 4;
  static constexpr int64_t lag = 2; ///< Slabs on their way while one is asked for.
  static constexpr int64_t planeWords = rows * 4 + 4, panelWords = slabWords * panelColumns;
  static constexpr int64_t leftWords = slabWords / 4 * planeWords, stageWords = leftWords + slabWords * columns;
  static constexpr int64_t barrierWords = 2, barriersAt = stages * stageWords;
  static constexpr int64_t sumPitch = columns + 4;
  static_assert(rows * sumPitch <= barriersAt, "C takes the place of the slabs");

  Value stageOf(Value slab) { return index.rem(slab, stages); }
  Value stageAt(Value slab) { return index.mul(stageOf(slab), stageWords); }
  Value fullBarrier(Value slab) { return index.add(index.mul(stageOf(slab), barrierWords), barriersAt); }
  Value emptyBarrier(Value slab) { return index.add(fullBarrier(slab), stages * barrierWords); }
  /// The parity of a place's use by this slab.
  Value parityOf(Value slab) { return index.rem(index.div(slab, stages), 2); }

  void initBarriers();
  void loadSlabs(Value slabs, const Load &loadLeft, const Load &loadRight);
  Sums multiplySlabs(Value slabs);
  void multiplySlab(Value slab, Sums &sums);
  Sums wordsOfColumns(Value panel, int64_t word);
  void storeSums(llvm::ArrayRef<Value> sums);
  void emitWhere(Value condition, llvm::function_ref<void()> body);

  Value leftPlace(Value row, Value word) override {
    Value within = index.add(index.mul(row, 4), index.rem(word, 4));
    return index.add(index.mul(index.div(word, 4), planeWords), within);
  }
  Value rightPlace(Value word, Value column) override {
    Value panel = index.mul(index.div(column, panelColumns), panelWords);
    return index.add(panel, index.add(index.mul(word, panelColumns), index.rem(column, panelColumns)));
  }

  Warpgroup warpgroup;
  Value filling; ///< The barrier of the slab that is loaded.
};

} // namespace tenon
#endif
