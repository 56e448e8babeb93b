//===- FlashAttention.h - attention without the N x N matrix ----------------------===//
//
// Lanes run along queries. For one (batch, head) and `width` queries the state is
//
//   m[q]      what scores are measured from: at most 2^8 below their maximum  (softmax only)
//   l[q]      Σ of the weights so far                                         (softmax and sum)
//   O^T[d][q] Σ of weight times value
//   e[q]      1 once a key was live, else 0                                   (keep regions only)
//
// and one step takes in a tile of keys:
//
//   S^T[j][q] = Σ_d K[j][d] Q^T[d][q]         register tiles
//   S^T = score, keep                         one vector a key: the regions, element by element
//   where max S^T > m + 8 log 2:  m, l, O^T follow it                          rare after the first tile
//   P^T = exp(S^T - m); l += Σ_j P^T
//   O^T[d][q] += Σ_j V^T[d][j] P^T[j][q]      register tiles
//
// Everything a softmax needs is per lane: no sum or maximum across lanes exists. A tile of K and V is copied into
// scratch once for all queries of a block where its rows lie apart (slices of a merged product): at a distance of
// some KB they would share a few sets of the first-level cache and a page each.
//
// Measured from m and not from the maximum, weights reach 2^8 and cancel in O / l; m moves seldom, so
// rescaling O costs nothing. Where the score's region bounds it (a tanh cap) m is 0 and no maximum is taken.
//
// Tiles of keys that the keep region rules out are skipped, tiles it lets through throughout are not masked
// (KeepIntervals.h); of the others the dead ends are cut.
//
// Score terms that are products with rows chosen by distance are computed with the tile (FlashPositions.cpp).
//
// Normalisers that choose among the keys (hard, topk_softmax) pass over them once before: FlashSelection.cpp.
//
// Costs for a live pair (query, key): 2 d multiply-adds for the two products, one exponential, and the regions.
// Memory: a few tiles of scratch, independent of N. Operands of bf16 and f16 are made f32 with the copy of a tile.
// Limits: constant depth and row strides, any normaliser but
// sinkhorn. A weight region other than the guard select(isnan(p), 0, p) or a factor needs normalised weights:
// then l is summed in a first pass over the keys, and scores are computed once more in a second.
//
#ifndef TENON_PASSES_ATTENTION_FLASHATTENTION_H
#define TENON_PASSES_ATTENTION_FLASHATTENTION_H

#include "dialects/tenon/AttentionLayout.h"
#include "passes/attention/KeepIntervals.h"
#include "passes/attention/PositionRows.h"
#include "passes/lowering/MicroKernel.h"

namespace tenon {

/// One operand seen through its layout.
struct FlashOperand {
  mlir::Value memory;
  AttentionLayout layout;
  Shape shape;
  mlir::Value start; ///< Of (b, h), once set.
  int64_t row = 0;   ///< Elements between rows.
  bool isCopied = false; ///< Tile by tile, as f32 rows side by side.
};

/// Keys [first, first + count), where the two products read them.
struct FlashKeys {
  mlir::Value first, count;
  mlir::Value keys, keysAt, values, valuesAt; ///< memref and offset of row `first`.
};

/// A product with positions and its places in scratch.
struct FlashPosition : PositionRows {
  explicit FlashPosition(PositionRows rows) : PositionRows(std::move(rows)) {}

  std::optional<TileFunction> tile;
  /// The table's rows of a tile, their product with a panel of queries, rows of keys, and the terms.
  int64_t tableAt = 0, bandAt = 0, keysAt = 0, productAt = 0;
  int64_t queriesAt = 0; ///< In the state of a group.

  /// Floats between the terms of neighbouring keys.
  int64_t rowLength(int64_t width) const { return width + (product.ofQuery ? 0 : RegisterTile::panelWidth); }
};

class FlashLowering {
public:
  FlashLowering(KernelLowering &lowering, AttentionOp op)
      : lowering(lowering), op(op), scope(lowering.scope), builder(lowering.builder), loc(lowering.loc) {}

  mlir::FailureOr<KernelGrid> lower();

private:
  using Value = mlir::Value;
  /// Which keys take part in a step.
  enum class Masking {
    None,
    Keep,
    EmptyRows ///< every key, in rows no key was live in; no key in others
  };
  /// What a step is for: all at once, first l and then weights and values, or first what is chosen of a row.
  enum class Phase { Stream, Statistics, Weigh, Choose };
  /// How a score is measured for the exponential.
  struct ScoreForm {
    enum Kind {
      Scaled,  ///< x times a positive constant: S holds x
      Bounded, ///< a region whose values lie in a known range: S holds y, m is 0
      General
    } kind = General;
    double scale = 1; ///< Of Scaled.
  };

  // Shapes and scratch.
  mlir::LogicalResult readOperand(FlashOperand &operand, unsigned layout, Value tensor, int64_t depth,
                                  llvm::StringRef what);
  mlir::LogicalResult readShapes();
  ScoreForm scoreForm();
  int64_t carve(int64_t floats);
  void carveScratch();

  // Products with positions: FlashPositions.cpp.
  mlir::LogicalResult readPositions();
  void carvePositions();
  void carvePositionQueries();
  void makePositionTiles(mlir::ModuleOp module);
  void locatePositions();
  void packPositionQueries();
  void multiplyPositions(const FlashKeys &keys);
  void multiplyQueryPositions(FlashPosition &x, const FlashKeys &keys);
  void multiplyKeyPositions(FlashPosition &x, const FlashKeys &keys);
  void alignBand(FlashPosition &x, const FlashKeys &keys, int64_t first, Value column);
  FlashPosition *positionOfCapture(unsigned capture);
  LaneValue positionTerm(FlashPosition &x, Value j, Value column, RegionEmitter &emitter,
                         llvm::ArrayRef<LaneValue> indices);

  // Rows into scratch.
  void copyRow(const FlashRows &rows, Value from, int64_t depth, Value to);
  Value elementOffset(const FlashRows &rows, Value d);
  void packPanel(const FlashRows &from, llvm::ArrayRef<Value> rows, int64_t depth, Value to);
  void packQueryPanels(const FlashRows &from, int64_t depth, int64_t at);

  // A tile of queries.
  void emitTile(Value number);
  void locate(Value number);
  void emitKeyLoop(Phase phase);
  void emitRevival();
  void emitBlockOfKeys(Value firstKey, Value count, Phase phase);
  void emitMaskedStep(const FlashKeys &keys, Phase phase);
  FlashKeys trimmed(const FlashKeys &keys);
  AttentionBox groupBox(const FlashKeys &keys);
  void forEachGroup(llvm::function_ref<void()> body);
  void enterGroup(Value number);
  void initialise();
  FlashKeys takeKeys(Value firstKey, Value count);
  void copyRows(const FlashOperand &operand, int64_t depth, Value first, Value count, int64_t to);
  void fetchRows(const FlashOperand &operand, int64_t depth, Value first);

  // A tile of keys.
  void emitStep(const FlashKeys &keys, Masking masking, Phase phase);
  void multiplyTiles(TileFunction &family, Value rows, TileFunction::Arguments x,
                     llvm::function_ref<Value(Value row)> aOffset, Value cAt, int64_t cRow);
  void multiplyScores(const FlashKeys &keys);
  void multiplyValues(const FlashKeys &keys);
  struct Score {
    Value score, live; ///< `live` is null where every key is.
  };
  Score scoreOf(Value j, const FlashKeys &keys, Value column, Masking masking);
  void limitToQueries(RegionEmitter &emitter, Value column);
  llvm::SmallVector<TensorReader> captureReaders(RegionEmitter &emitter, Value j, Value column);
  Value weightOf(Value p, Value j, const FlashKeys &keys, Value column);
  void storeWeight(Value weight, Value j, const FlashKeys &keys, Value column);
  void updateSoftmax(const FlashKeys &keys, Value column, Masking masking, bool keepsWeights);
  Value emitMaximum(const FlashKeys &keys, Value column, Masking masking);
  void followMaximum(Value maximum, Value column);
  Value rawMaximum(Value count, Value column);
  void sumKeys(const FlashKeys &keys, Value column, bool notes, llvm::function_ref<Score(Value j)> term,
               int64_t atOnce = 1);
  void updateSum(const FlashKeys &keys, Value column, Masking masking, bool keepsWeights);
  void weigh(const FlashKeys &keys, Value column, Masking masking);
  Value exponentialOf(Value score, Value shift);
  Value shiftOf(Value column);

  // Normalisers that choose: FlashSelection.cpp.
  bool isHard() { return op.getNormaliser() == Normaliser::Hard; }
  bool isTopK() { return op.getNormaliser() == Normaliser::TopKSoftmax; }
  bool chooses() { return isHard() || isTopK(); }
  /// How many of a row's greatest scores are known; m is the first.
  int64_t rankCount() { return isTopK() ? int64_t(*op.getCount()) : 1; }
  Value rankAt(Value rank, Value column) { return plus(ofGroup(maximumAt, column), times(rank, width)); }
  Value places(int32_t key);
  void initialiseChoice(Value column);
  void choose(const FlashKeys &keys, Value column, Masking masking);
  void chooseGreatest(const FlashKeys &keys, Value column, Masking masking);
  void enter(Value score, Value column);
  void weighChosen(const FlashKeys &keys, Value column, Masking masking);
  void chooseBest(const FlashKeys &keys, Value column, Masking masking);
  void takeBetter(const Score &score, Value place, llvm::SmallVectorImpl<Value> &held);
  void takeChosen();

  // The end.
  void invertSums();
  std::pair<Value, Value> normaliser(Value column);
  void finish();
  void storeRow(Value row, Value column, Value d);
  void storeElements(unsigned count, LaneValue elements, Value column, LaneValue d);

  // Small words.
  Value index(int64_t value) { return scope.index(value, loc); }
  Value plus(Value a, Value b) { return scope.add(a, b, loc); }
  Value plus(int64_t a, Value b) { return scope.add(index(a), b, loc); }
  Value minus(Value a, Value b) { return scope.sub(a, b, loc); }
  Value times(Value a, int64_t b) { return scope.mul(a, index(b), loc); }
  mlir::VectorType vectorType() { return mlir::VectorType::get({int64_t(lanes)}, builder.getF32Type()); }
  Value load(Value offset);
  void store(Value vector, Value offset);
  Value constant(double value);
  Value minusInfinity();
  Value add(Value a, Value b);
  Value subtract(Value a, Value b);
  Value multiply(Value a, Value b);
  Value fma(Value a, Value b, Value c);
  Value greater(Value a, Value b);
  Value select(Value condition, Value yes, Value no);
  Value compare(mlir::arith::CmpFPredicate predicate, Value a, Value b);
  Value anyOf(Value condition);
  Value ofGroup(int64_t at, Value column) { return plus(plus(at, state), column); }
  Value outputOf(Value d, Value column) { return plus(plus(plus(outputAt, state), times(d, width)), column); }
  Value scoreOffset(Value j, Value column) { return plus(plus(scoresAt, times(j, width)), column); }
  void emitIf(Value condition, llvm::function_ref<void()> yes, llvm::function_ref<void()> no = {}) {
    tenon::emitIf(scope, loc, condition, yes, no);
  }
  void forEachVector(llvm::function_ref<void(Value column)> body);
  llvm::SmallVector<Value> overKeys(Value count, llvm::ArrayRef<Value> start,
                                    llvm::function_ref<llvm::SmallVector<Value>(Value j, mlir::ValueRange)> body,
                                    int64_t atOnce = 1);
  llvm::SmallVector<Value> overScores(const FlashKeys &keys, Value column, bool notes, llvm::SmallVector<Value> carried,
                                      llvm::function_ref<Score(Value j, llvm::SmallVectorImpl<Value> &)> body,
                                      int64_t atOnce = 1);
  Value startOf(const FlashOperand &operand, Value b, Value h);
  /// All keys are one tile, and there is one.
  bool hasOneTile() {
    std::optional<int64_t> keys = sizes.keys.constant();
    return keys && *keys > 0 && *keys <= keyTile;
  }
  bool isSoftmax() { return op.getNormaliser() == Normaliser::Softmax || isTopK(); }

  /// Keys of one step: a tile of K, V and its scores share the first-level cache in turn.
  static constexpr int64_t keyTile = 64;

  KernelLowering &lowering;
  AttentionOp op;
  KernelScope &scope;
  mlir::OpBuilder &builder;
  mlir::Location loc;

  AttentionOp::Sizes sizes;
  FlashOperand query, key, value;
  AttentionLayout resultLayout;
  ScoreForm form;
  std::optional<KeepIntervals> intervals; ///< Where the keep region can be decided for tiles.
  bool twoPhases = false, revives = false;
  bool isOneStep = false; ///< A group takes in all keys in one step: nothing is before it.
  bool guarded = false, factored = false; ///< What the weight region is, where it does not need two phases.
  int64_t depth = 0, valueDepth = 0, width = 0, scratchFloats = 0, stateFloats = 0, groupsPerTile = 1;
  int64_t keyRow = 0, valueRow = 0;
  int64_t keysAt = 0, valuesAt = 0, queriesAt = 0, scoresAt = 0, outputAt = 0, maximumAt = 0, sumAt = 0, liveAt = 0,
          placeAt = 0;
  unsigned lanes = 0;
  RegisterTile tile;
  std::optional<TileFunction> scoreTile, valueTile;
  llvm::SmallVector<FlashPosition, 2> positions;
  Value scratch, placeMemory, queryBlocks; ///< `placeMemory` is the scratch as i32.
  // Of the tile being emitted.
  Value batch, head, blockStart, groups, group, firstQuery, queryCount, panels, columns, state;
};

/// States of attention: dialects/tenon/AttentionOps.td.
mlir::FailureOr<KernelGrid> lowerAttentionUpdate(KernelLowering &lowering, AttentionUpdateOp update);
mlir::FailureOr<KernelGrid> lowerAttentionMerge(KernelLowering &lowering, AttentionMergeOp merge);
mlir::FailureOr<KernelGrid> lowerAttentionFinish(KernelLowering &lowering, AttentionFinishOp finish);

/// Why flash attention cannot choose the keys of a `hard` or `topk_softmax`, or empty.
llvm::StringRef whyNotChosen(AttentionOp op);

/// The range of a region's result over all x and all tensors, NaN apart; none if it is not bounded.
std::optional<std::pair<double, double>> boundsOfScore(mlir::Region &score);

} // namespace tenon
#endif
