//===- FlashBlock.h - attention on tensor cores without the N x N matrix -----------===//
//
// A block takes 64 rows of one batch and key head (FlashShape.h: queries, of grouped heads packed), 16 a warp, and goes over the
// keys in tiles of 32, or of 16 where rows are long and registers few. Of a row of 16 a
// thread holds two, g and g + 8 (TensorCore.h), in registers:
//
//   m[2], l[2]        the greatest score so far, and the sum of weights (this thread's part of it)
//   O[2][...]         two columns of every eight of the output's sums
//   live[2]           1 once a key was live (keep regions only)
//   Q                 its fragments, read once; of depths above 128 from shared memory with each tile
//
// One tile:
//
//   S = Q K^T                        mma.sync; K's rows in shared memory are the columns of B as they lie
//   S = score, keep                  the regions, an element at a time, in registers
//   m' = max(m, S over the row)      two exchanges in a quad of lanes
//   P = 2^((S - m') log2 e);  l, O rescaled;  l += P
//   O += P V                         P's fragment is S's own: of f32 keys 2c and 2c + 1 of each eight stand in columns
//                                    c and c + 4, and V's rows are read in that order; pairs fit as they are
//
// Tiles of keys that the keep region rules out are skipped, tiles it lets through throughout are not masked
// (passes/attention/KeepIntervals.h). The tile to come arrives in shared memory while this one is worked on, where two
// of them fit. Rows no key was live in take in all keys in a second round, where the op's rule says so.
//
// Score terms that are products with rows chosen by distance are computed with the tile, from as many rows of the table
// as a block's queries and a tile's keys have distances: FlashDistances.cpp.
//
// Rows of keys that do not exist are zeros and masked. In the end O goes through shared memory, so that rows are
// written side by side and any map behind can be applied (FlashEnd.cpp).
//
// Where a key head has 32 rows or fewer, as when a token is decoded, warps share the keys of each tile instead: each has a
// state of its own for the same rows, and in the end those are one by the rule that merges states (attention_merge).
//
// An attention_update is the same over one part of the keys, and its result a, m, l of each row.
//
// Limits: one source of keys, depths up to 256, softmax, sum or no normaliser, weight regions that are a guard against
// NaN or a factor; products with positions in f32, of depths up to 64.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_FLASHBLOCK_H
#define TENON_COMPILER_CODEGEN_NVPTX_FLASHBLOCK_H

#include "compiler/codegen/nvptx/FlashShape.h"
#include "compiler/codegen/nvptx/OperandWords.h"
#include "passes/attention/KeepIntervals.h"
#include "passes/attention/PositionRows.h"
#include "passes/lowering/IndexMath.h"

namespace tenon {

class FlashBlock {
public:
  FlashBlock(DeviceLowering &device, FlashShape shape);
  void emit();

private:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<Value>;

  /// Which keys take part in a tile.
  enum class Masking {
    Keep,
    EmptyRows ///< Every key, in rows no key was live in; no key in others.
  };

  /// A row of the block, and which it is of the attention's.
  struct Row {
    Value query, head;
  };
  Row rowOf(Value number);

  /// What a thread carries from tile to tile.
  struct State {
    Values output;
    Value maximum[2], sum[2], live[2];
  };
  State initial();
  Values flat(const State &state);
  State unflat(mlir::ValueRange values);

  /// One operand seen through its layout.
  struct Operand {
    OperandWords words;
    AttentionLayout layout;
    Shape dims;
    Value start, head, row; ///< Of batch b, in elements; the distances of heads and rows.
    int64_t depth;
  };
  Operand operand(mlir::Value tensor, unsigned layout, int64_t depth);
  bool isCopied(const Operand &operand);

  /// Rows on their way to shared memory, `count` of them, `pitch` words apart from word `at` on.
  struct Rows {
    const OperandWords &source;
    bool areCopied; ///< Sixteen bytes at a time.
    int64_t depth, count, words, pitch;
    Value element; ///< Between elements of a row; null: they lie side by side.
  };
  /// Row r begins with element `startOf(r)`; it is zeros where `existsOf(r)`, if there is one, does not hold.
  void bring(const Rows &rows, Value at, llvm::function_ref<Value(Value row)> startOf,
             llvm::function_ref<Value(Value row)> existsOf = {});

  /// A product with positions.
  struct Distances {
    PositionRows rows;
    OperandWords rowWords, tableWords;
    llvm::SmallVector<Values> queryWords; ///< Fragments of this warp's rows, where they are the queries'.
  };

  // The block: FlashBlock.cpp.
  void locate();
  void storeMasks();
  void loadKeys(const Operand &operand, Value first, int64_t words, int64_t pitch, Value at);
  void readQueries();
  Values queriesOfStep(int64_t step);
  State overKeys(const State &state, Masking masking);
  void ask(Value first, Value exists);
  Value isLive(Value first);
  State revive(const State &state);

  // The end: FlashEnd.cpp.
  void mergeWarps(State &state);
  Value isEmptyRow(const State &state, int64_t half);
  void finish(State state);
  void putOutput(const State &state, llvm::function_ref<Value(Value output, int64_t half)> finished);
  Value outputAt(int64_t half);
  Value rowInMemory(Value number, Value existing, bool areHeadsFirst);
  void forEachOutput(int64_t width, bool areHeadsFirst, llvm::function_ref<Value(Value d)> columnOf,
                     llvm::function_ref<void(const Row &row, Value d, Value output)> body);
  void storeRows(const State &state);
  void storeStates(const State &state);

  // Products with positions: FlashDistances.cpp.
  void locateDistances();
  void readPositionQueries();
  void bringPositionRows(const Distances &x, Value first, int64_t count, Value at, const Dim &existing);
  void bringTable(Distances &x, Value first);
  void multiplyDistances(Value first);
  Values termsOf(const Distances &x, const Values &band);
  llvm::SmallVector<TensorReader> captureReaders(RegionEmitter &emitter, size_t number);

  // A tile of keys: FlashStep.cpp.
  State step(const State &state, Value tile, Value at, Masking masking);
  Values multiplyRows(int64_t steps, llvm::function_ref<Values(int64_t step)> left, Value at, int64_t pitch,
                      int64_t tiles);
  Values scores(Value at);
  struct Scores {
    Values values, live; ///< `live` is null where every key is.
  };
  Scores masked(const Values &products, Value first, const State &state, Masking masking);
  Scores evaluate(const Values &products, Value first, const State &state, Masking masking, bool everyKey);
  Value weightOf(Value weight, size_t number, Value first);
  /// What is subtracted from scores where the greatest is this, and what moves a state from a maximum to that.
  Value shiftOf(Value greatest);
  Value factorOf(Value maximum, Value shift);
  void rescale(State &state, int64_t half, Value factor);
  void measure(State &state, const Scores &scores, Values &weights);
  void addWeights(State &state, const Scores &scores, Value first, Values &weights);
  void multiplyValues(State &state, llvm::ArrayRef<Value> weights, Value at);

  // Small words.
  Value constant(double value);
  Value compare(mlir::arith::CmpFPredicate predicate, Value a, Value b);
  Value select(Value condition, Value yes, Value no) {
    return mlir::arith::SelectOp::create(builder, loc, condition, yes, no);
  }
  Value isBelow(Value a, Value b) {
    return mlir::arith::CmpIOp::create(builder, loc, mlir::arith::CmpIPredicate::ult, a, b);
  }
  Value overQuad(Value x, bool isMaximum);
  /// The number of row `half` of this thread in the block, and its query and head, of one that exists.
  Value rowInBlock(int64_t half);
  Row ownRow(int64_t half) { return rowOf(rowInBlock(half)); }
  /// The key of score `number` of a tile, one that exists.
  Value keyOf(Value first, int64_t number);
  /// b, h, i, j of a score, as regions take them.
  llvm::SmallVector<LaneValue> pointOf(Value first, size_t number);
  AttentionBox boxOf(Value first, Value end);
  /// Key of score `number` of this thread, counted from its warp's first; its row is (number / 2) % 2.
  Value keyInTile(int64_t number);
  static int64_t halfOf(int64_t number) { return number / 2 % 2; }

  DeviceLowering &device;
  FlashShape shape;
  const FlashTask &task = shape.task;
  KernelScope &scope = device.kernel.scope;
  mlir::OpBuilder &builder = device.kernel.builder;
  mlir::Location loc = device.kernel.loc;
  IndexMath index{builder, loc};
  DeviceMath math{builder, loc};
  TensorCore core{builder, loc, shape.kind};
  std::optional<KeepIntervals> intervals; ///< Where the keep region can be decided for tiles.
  Value shared, thread, lane;
  Value warp, keyWarp; ///< Which rows, and which keys of a tile, are this warp's.
  Value batch, head, part, firstRow, rowCount; ///< `head`: its number among packed ones.
  Value keyHead, firstQuery, firstKey, keyEnd;
  std::optional<Operand> query, key, value;
  llvm::SmallVector<Values> queryWords; ///< Fragments of this warp's queries, for each step of k; none where they are stored.
  llvm::SmallVector<Distances, 2> distances;
  llvm::SmallVector<Values, 2> terms; ///< Of the tile being emitted: of each of them, a term for each score.
};

} // namespace tenon
#endif
