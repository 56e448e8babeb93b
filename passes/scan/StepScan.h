//===- StepScan.h - a recurrence whose lanes are the columns of its state -------------===//
//
// One tile carries some columns of the state of one head over the whole of time. Columns do not meet (o, and the delta
// rule's kᵀ S, are sums along rows), so they are the lanes, and tiles are independent.
//
// Time is taken in blocks of steps. What a block reads is brought into scratch first, in the type of the state: with it
// whatever maps compute it. How the state is carried over a block is `advanceBlock`: step by step here, all
// of them at once in LowerChunkScan.cpp.
//
#ifndef TENON_PASSES_SCAN_STEPSCAN_H
#define TENON_PASSES_SCAN_STEPSCAN_H

#include "passes/scan/ScanKernel.h"

namespace tenon {

class StepScan : protected ScanKernel {
public:
  /// Blocks of 32 steps: four operands of 64 columns share the first-level cache with a column of the state.
  StepScan(KernelLowering &lowering, ScanOp op, int64_t blockSteps = 32)
      : ScanKernel(lowering, op), blockSteps(blockSteps) {}
  virtual ~StepScan() = default;

  mlir::FailureOr<KernelGrid> lower();

protected:
  using ValueRange = mlir::ValueRange;
  using Values = llvm::SmallVector<mlir::Value>;

  //===--------------------------------------------------------------------------===//
  // What a form of it decides
  //===--------------------------------------------------------------------------===//

  /// Carries the state over the `count` steps in scratch and leaves their rows of the result there.
  virtual void advanceBlock(Value count);
  virtual void carveScratch();
  /// Whether every step walks the whole state, which then is to stay in the first-level cache.
  virtual bool walksAtEachStep() { return bool(op.getRate()); }

  //===--------------------------------------------------------------------------===//
  // Small words
  //===--------------------------------------------------------------------------===//

  Value stateOf(Value row, int64_t vector) { return plus(stateAt + vector * lanes, times(row, vectors * lanes)); }
  Value outputOf(Value step, int64_t vector) { return plus(outputAt + vector * lanes, times(step, vectors * lanes)); }
  Values eachVector(llvm::function_ref<Value(int64_t)> make) {
    return llvm::map_to_vector(llvm::seq<int64_t>(vectors), make);
  }
  bool hasManyRegisters() { return lowering.target.getVectorRegisters() >= 32; }
  /// Sums that fit into the registers beside a row of each operand, in vectors.
  int64_t roomForSums() { return hasManyRegisters() ? 16 : 8; }
  /// Asks for part `part` of what the next block reads and this one writes, `rowsOfPart` rows of each operand.
  void fetchPart(Value part, int64_t rowsOfPart);

  const int64_t blockSteps;
  int64_t depth = 0, columns = 0, height = 0, rows = 1, vectors = 1, panels = 1;
  int64_t stateAt = 0, outputAt = 0, lookupAt = 0;

private:
  mlir::LogicalResult readShapes();
  void chooseTile();
  bool looksUpDecayedKeys() { return op.getRate() && op.hasDiagonalDecay(); }
  void clear(int64_t at, int64_t elements);

  void emitTile(Value tile);
  void emitBlock(Value first, Value count);

  LaneValue columnAt(const LaneValue &j);
  void stage(Track &track, Value first, Value count);
  void forEachOfState(llvm::function_ref<void(RegionEmitter &, llvm::ArrayRef<LaneValue> at, Value here)> body);
  void loadState();
  void storeState();
  void storeRow(Value step, Value n);

  Value sourceOf(Value tensor);
  Value startOf(Value memory, const AttentionLayout &layout, llvm::ArrayRef<Dim> shape, Value ofHead);
  void fetchRow(Value tensor, const AttentionLayout &layout, Value memory, Value start, Value row, int64_t size,
                bool isWrite);

  Value factorOf(Value step, Value row);
  void accumulate(Value count);
  Values takeStep(Value step, Value row, ValueRange tile);
  void decayKeys(Value count);
  Value lookupOf(Value step, Value row);
  void followRule(Value count);
  Values walkColumns(Value step, Value common, llvm::ArrayRef<Value> written);

  // Of the tile being emitted.
  Value head, state, firstColumn, columnCount, firstStep, resultStart;
};

/// In chunks of chunkSteps, what is left over by steps.
mlir::FailureOr<KernelGrid> lowerChunkScan(KernelLowering &lowering, ScanOp op);

} // namespace tenon
#endif
