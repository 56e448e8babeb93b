//===- FlashBlock.h - attention on tensor cores without the N x N matrix -----------===//
//
// A block takes 64 queries of one batch and head, 16 a warp, and goes over the keys in tiles of 32, or of 16 where
// rows are long and registers few. Of a row of 16 a
// thread holds two, g and g + 8 (TensorCore.h), in registers:
//
//   m[2], l[2]        the greatest score so far, and the sum of weights (this thread's part of it)
//   O[2][...]         two columns of every eight of the output's sums
//   live[2]           1 once a key was live (keep regions only)
//   Q                 its fragments, read once
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
// written side by side and any map behind can be applied.
//
// Limits: one source of keys, depths up to 128, softmax, sum or no normaliser, weight regions that are a guard against
// NaN or a factor; products with positions in f32, of depths up to 64.
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_FLASHBLOCK_H
#define TENON_COMPILER_CODEGEN_NVPTX_FLASHBLOCK_H

#include "compiler/codegen/nvptx/OperandWords.h"
#include "dialects/tenon/AttentionLayout.h"
#include "passes/attention/KeepIntervals.h"
#include "passes/attention/PositionRows.h"
#include "passes/lowering/IndexMath.h"
#include "llvm/Support/MathExtras.h"

namespace tenon {

/// What is known of an attention before anything is emitted.
struct FlashShape {
  static constexpr int64_t threads = 128;
  static constexpr int64_t queries = 64; ///< Of a block.
  static constexpr int64_t mostDepth = 128, mostPositionDepth = 64;

  AttentionOp op;
  AttentionOp::Sizes sizes;
  WordKind kind;
  int64_t depth, valueDepth;
  int64_t keys = 32; ///< Of a tile.
  bool isGuarded = false, isFactored = false; ///< What the weight region is.
  llvm::SmallVector<PositionProduct, 2> positions; ///< Score terms computed with a tile: of 16 keys then.

  /// Nothing, and why in `reason`, where the op is beyond the limits above.
  static std::optional<FlashShape> of(AttentionOp op, std::string &reason);

  bool isSoftmax() { return op.getNormaliser() == Normaliser::Softmax; }
  /// Rows without a live key take in all of them.
  bool revives() {
    return op.hasKeep() && (op.getEmpty() == EmptyRow::Uniform || op.getEmpty() == EmptyRow::IgnoreKeep);
  }
  Dim queryBlocks() const { return sizes.queries.ceilDiv(Dim(queries)); }

  /// Words along k of the first product and columns of the second, in whole tiles.
  int64_t words() const;
  int64_t columns() const;
  /// Words of each query that registers hold from tile to tile, and the widths of bands.
  int64_t registerWords() const;
  /// Of f32 a thread holds a quarter of its warp's queries and outputs: of long rows hardly any register is left.
  bool hasLongRows() const;
  TensorCore::Adding adding() const { return hasLongRows() ? TensorCore::Adding::Within : TensorCore::Adding::Apart; }
  /// Words between rows in shared memory: odd multiples of four.
  int64_t keyPitch() const { return words() + 4; }
  int64_t valuePitch() const { return columns() / elementsOf(kind) + 4; }
  int64_t outputPitch() const { return columns() + 8; }
  int64_t stageWords() const { return keys * (keyPitch() + valuePitch()); }
  /// Tiles of keys in shared memory.
  int64_t stages() const;
  int64_t sharedWords() const;

  // For a product with positions, one at a time: rows of the table, of the keys where it multiplies them, and of each warp
  // the product. Its rows lie apart so that neither writing it nor reading it along its diagonals meets many banks twice.
  static constexpr int64_t bandPitch = 41, bandWords = TensorCore::tileRows * bandPitch;
  int64_t tableRows() const { return keys + queries; }
  int64_t bandTiles() const { return (keys + TensorCore::tileRows) / TensorCore::tileColumns; }
  static int64_t positionPitch(const PositionProduct &x) { return llvm::alignTo(x.depth, TensorCore::tileWords) + 4; }
  int64_t longestPosition() const;
  int64_t positionsAt() const { return stages() * stageWords(); }
  int64_t positionKeysAt() const { return positionsAt() + tableRows() * longestPosition(); }
  int64_t bandsAt() const { return positionKeysAt() + keys * longestPosition(); }
  int64_t positionWords() const;
  /// Behind them a word for each warp, then the masks of TensorCore::Masks.
  int64_t flagsAt() const { return sharedWords(); }
  int64_t masksAt() const { return flagsAt() + threads / TensorCore::warp; }
  int64_t allWords() const { return masksAt() + 2; }
};

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
    Value start, row; ///< Of (b, h), in elements; the distance of rows.
    int64_t depth;
  };
  Operand operand(mlir::Value tensor, unsigned layout, int64_t depth, Value head);
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
  void loadRows(const Operand &operand, Value first, Value last, Value count, int64_t rows, int64_t words,
                int64_t pitch, Value at);
  void readQueries();
  State overKeys(const State &state, Masking masking);
  void ask(Value first, Value exists);
  Value isLive(Value first);
  State revive(const State &state);
  void finish(const State &state);
  void storeOutput();

  // Products with positions: FlashDistances.cpp.
  void locateDistances();
  void readPositionQueries();
  void bringPositionRows(const Distances &x, Value first, int64_t count, Value at, const Dim &existing);
  void bringTable(Distances &x, Value first);
  void multiplyDistances(Value first);
  Values termsOf(const Distances &x, const Values &band);
  llvm::SmallVector<TensorReader> captureReaders(RegionEmitter &emitter, size_t number);

  // A tile of keys: FlashStep.cpp.
  State step(const State &state, Value first, Value at, Masking masking);
  Values multiplyRows(llvm::ArrayRef<Values> left, Value at, int64_t pitch, int64_t tiles);
  Values scores(Value at) {
    return multiplyRows(queryWords, at, shape.keyPitch(), shape.keys / TensorCore::tileColumns);
  }
  struct Scores {
    Values values, live; ///< `live` is null where every key is.
  };
  Scores masked(const Values &products, Value first, const State &state, Masking masking);
  Scores evaluate(const Values &products, Value first, const State &state, Masking masking, bool everyKey);
  Value weightOf(Value weight, size_t number, Value first);
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
  /// The query of row `half` of this thread, one that exists; the key of score `number` of a tile, likewise.
  Value queryOf(int64_t half);
  Value keyOf(Value first, int64_t number);
  /// Key of score `number` of this thread, counted from the tile's first; its row is (number / 2) % 2.
  Value keyInTile(int64_t number);
  static int64_t halfOf(int64_t number) { return number / 2 % 2; }

  DeviceLowering &device;
  FlashShape shape;
  AttentionOp op = shape.op;
  KernelScope &scope = device.kernel.scope;
  mlir::OpBuilder &builder = device.kernel.builder;
  mlir::Location loc = device.kernel.loc;
  IndexMath index{builder, loc};
  DeviceMath math{builder, loc};
  TensorCore core{builder, loc, shape.kind};
  std::optional<KeepIntervals> intervals; ///< Where the keep region can be decided for tiles.
  Value shared, thread, warp, lane;
  Value batch, head, firstQuery, queryCount, keyCount;
  std::optional<Operand> query, key, value;
  llvm::SmallVector<Values> queryWords; ///< Fragments of this warp's queries, for each step of k.
  llvm::SmallVector<Distances, 2> distances;
  llvm::SmallVector<Values, 2> terms; ///< Of the tile being emitted: of each of them, a term for each score.
};

} // namespace tenon
#endif
