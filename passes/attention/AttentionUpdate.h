//===- AttentionUpdate.h - a state of attention, row by row ---------------------===//
//
// One tile is one part of the keys of one (batch, key head), for up to 32 rows: the queries of all heads that
// share it, so that a key is read from memory once for all of them. Lanes run along the depth, and
// along the keys for what is done to scores:
//
//   S[r][j] = Σ_d Q[r][d] K[j][d]     key by key for four rows; the lanes of the sums are added later, many at once
//   S = score, keep                   the regions, `lanes` keys at once
//   m[r], P = exp(S - m), l[r]
//   A[r][d] += P[r][j] V[j][d]        key by key for as many rows as registers hold A of
//
// Rows of K and V are read from end to end, in their order, each line from memory once, neighbouring parts by the same
// worker. The processor looks some 130 vector operations ahead: the fewer of them each line has, the more lines are on their way
// at once. So two rows, whose queries or sums registers hold, meet a page or two of memory, then the next two find it in the
// first-level cache. Four rows at once left memory waiting (60 % of its rate where two reach 95 %), and keys side by side, or
// asking for lines ahead where others are read, gave a third to two thirds (Zen 4); asked for into L2, they cost Zen 4 nothing. Zen 5
// has fewer on their way by itself: a cache that comes from memory it reads at 1.1 to 1.2 times the rate where lines are asked for into
// L2, 1.4 times where into L1. So they are, of such a cache: into L1 where the machine says that this is quicker (a hint of the ABI). While weights are made, which reads nothing, the first values are fetched.
//
// Costs per key and row some (2 depth + value depth) / lanes + 4 vector operations, beside the bytes of a key and value
// that the rows share: of four rows in f32 a line costs a processor of one multiply-add a cycle at least 4 cycles, which is what
// limits a cache that lies in L2 or L3; of a longer one memory does. With many rows flash attention, whose lanes run along
// them, takes two thirds of the time. Scratch: a part's scores and sums for every row.
// Where queries, keys and values are bf16 and the level multiplies pairs of it, both products are those, and weights rounded to bf16
// (their sum l is not).
//
// Where the keep region can be decided for a box (KeepIntervals.h), every piece of 64 keys is first: dead ones are not read at all,
// neither keys nor values, and no mask is evaluated in those that are live throughout. Rows of a block may be of several
// heads: a region that reads the head's number is then decided where there is one.
//
// Limits: constant depth and row strides, a constant number of keys to a part; elements of f32, bf16 or f16, computed in f32.
//
#ifndef TENON_PASSES_ATTENTION_ATTENTIONUPDATE_H
#define TENON_PASSES_ATTENTION_ATTENTIONUPDATE_H

#include "dialects/tenon/AttentionLayout.h"
#include "passes/attention/KeepIntervals.h"
#include "passes/lowering/KernelLowering.h"

namespace tenon {

class UpdateLowering {
public:
  UpdateLowering(KernelLowering &lowering, AttentionUpdateOp op)
      : lowering(lowering), op(op), scope(lowering.scope), builder(lowering.builder), loc(lowering.loc) {}

  mlir::FailureOr<KernelGrid> lower();

private:
  using Value = mlir::Value;
  using Values = llvm::SmallVector<mlir::Value>;

  /// One operand seen through its layout.
  struct Operand {
    Value memory;
    AttentionLayout layout;
    Shape shape;
    int64_t row = 0;
    mlir::Type element;
  };

  /// Vectors of the depth of values that are taken in together; in pairs, those of two keys.
  struct Columns {
    int64_t from, vectors;
    bool inPairs;
  };

  /// Keys [begin, end) of the part; `every`: whether all are live for all rows, null where that is not known.
  struct Piece {
    Value begin, end, every;
  };

  /// Of a tile of keys that groups of rows meet one after the other: what one group asks for.
  struct Share {
    Value begin;
    int64_t tile;
    Value firstRow;
    int64_t together;
  };

  /// Where some rows of queries begin, and their vectors where registers hold them: for each of the depth, one a row.
  struct QueryRows {
    Values at, held;
  };

  mlir::LogicalResult readOperand(Operand &operand, unsigned number, llvm::StringRef what);
  mlir::LogicalResult readShapes();
  int64_t outputPitch() const { return llvm::alignTo(valueDepth, 16); }

  // Small words.
  Value index(int64_t value) { return scope.index(value, loc); }
  Value plus(Value a, Value b) { return scope.add(a, b, loc); }
  Value plus(int64_t a, Value b) { return scope.add(index(a), b, loc); }
  Value times(Value a, int64_t b) { return scope.mul(a, index(b), loc); }
  Value quotient(Value a, Value b) { return builder.createOrFold<mlir::arith::DivUIOp>(loc, a, b); }
  Value remainder(Value a, Value b) { return builder.createOrFold<mlir::arith::RemUIOp>(loc, a, b); }
  Value least(Value a, Value b) { return scope.minimum(a, b, loc); }
  mlir::VectorType vectorType() { return mlir::VectorType::get({lanes}, builder.getF32Type()); }
  Value load(Value at);
  void store(Value vector, Value at);
  Value loadScalar(Value at);
  void storeScalar(Value scalar, Value at);
  Value splat(Value scalar);
  Value number(float value);
  Value constant(float value);
  Value fma(Value a, Value b, Value c);
  bool isSoftmax() { return op.getNormaliser() == Normaliser::Softmax; }
  float deadScore() { return isSoftmax() ? -std::numeric_limits<float>::infinity() : 0.0f; }
  Values carry(Value begin, Value end, int64_t step, llvm::ArrayRef<Value> start,
               llvm::function_ref<Values(Value, mlir::ValueRange)> body) {
    return emitCarryingLoop(scope, loc, begin, end, step, start, body);
  }
  void step(Value begin, Value end, int64_t by, llvm::function_ref<void(Value)> body) {
    carry(begin, end, by, {}, [&](Value i, mlir::ValueRange) { return body(i), Values(); });
  }

  // One part of the keys.
  void emitTile(Value tile);
  AttentionBox boxOf(Value begin, Value end);
  KeepTruth truthOf(Value begin, Value end);
  void findPieces();
  Values overPieces(mlir::ValueRange start, llvm::function_ref<Values(const Piece &, mlir::ValueRange)> body);
  void forPieces(llvm::function_ref<void(const Piece &)> body) {
    overPieces({}, [&](const Piece &piece, mlir::ValueRange) { return body(piece), Values(); });
  }
  void locate(Value tile);
  Value startOf(const Operand &operand, Value b, Value h);
  Value headOf(Value r);
  Value queryOf(Value r);
  Value scoreOf(Value r, Value j) { return plus(times(r, pitch), j); }
  Value outputOf(Value r, Value d) { return plus(plus(outputAt, times(r, outputPitch())), d); }
  Value applyRegions(Value r);
  void applyTo(Value r, const Piece &piece, bool masks);
  void applyAt(RegionEmitter &emitter, Value r, LaneValue j, bool masks);
  void fetchValues(Value number);
  Value greatestScore(Value r);
  Value weighScores(Value r, Value maximum, Value whole);
  void weigh(Value r, Value whole, Value live);
  void writeState(Value r);

  // The two products: UpdateProducts.cpp.
  int64_t sumRegisters() const { return lowering.target.getVectorRegisters() / 2; }
  int64_t rowsTogether() const;
  int64_t pairedDepth() const;
  int64_t widthAt(int64_t d) const;
  int64_t valueRowsTogether() const;
  Values rowsFrom(Value first, int64_t together);
  Value isLongCache();
  void fetchShare(const Operand &operand, Value start, int64_t elements, const Share &share);
  Value elements(const Operand &operand, Value at);
  Value element(const Operand &operand, Value at);
  Value keyAt(Value j);
  Value valueAt(Value j);
  Value queryAt(Value r);
  void multiply(const Piece &piece);
  Value partialOf(Value r, Value lane);
  void multiplyFour(llvm::ArrayRef<Value> rows, const QueryRows &queries, Value j, Value lane, Value last);
  QueryRows readQueries(llvm::ArrayRef<Value> rows);
  Value vectorAt(const Operand &operand, Value row, Value d, bool inPairs);
  Values productsOf(const QueryRows &queries, Value keyAt);
  void addProducts(int64_t from, int64_t to, const QueryRows &queries, Value keyAt, Values &sums);
  void addAcross(Value r, Value j, Value last);
  void takeValues(const Piece &piece);
  void takeTile(llvm::ArrayRef<Value> rows, Value begin, Value end);
  void takeColumns(llvm::ArrayRef<Value> rows, Value begin, Value end, const Columns &columns);
  void takeElement(llvm::ArrayRef<Value> rows, Value begin, Value end, int64_t d);
  Values forKeys(Value begin, Value end, bool inPairs, llvm::ArrayRef<Value> sums,
                 llvm::function_ref<Values(Value, bool, mlir::ValueRange)> body);
  Values valuesOf(Value j, const Columns &columns, bool isLast);
  Value weightOf(Value r, Value j, bool inPairs);

  // Pairs of bf16, where the query is bf16 as well and the level has an instruction for them.
  bool usesDots() const { return !dotIntrinsic.empty(); }
  int64_t pairedValues() const;
  Value pairs(const Operand &operand, Value at);
  Value dot(Value sum, Value a, Value b);
  void interleave(Value a, Value b, Values &into);
  void narrowWeights(Value r);
  void orderOutput(Value r);

  KernelLowering &lowering;
  AttentionUpdateOp op;
  KernelScope &scope;
  mlir::OpBuilder &builder;
  mlir::Location loc;

  AttentionOp::Sizes sizes;
  Operand query, key, value;
  int64_t rows = 0, partKeys = 0, depth = 0, valueDepth = 0, pitch = 0;
  int64_t outputAt = 0, maximumAt = 0, sumAt = 0, partialAt = 0;
  int64_t lanes = 0;
  llvm::StringRef dotIntrinsic;
  Value narrowScratch, weightPairs; ///< Weights as bf16 and as words of two, numbered as scores are.
  std::optional<KeepIntervals> intervals; ///< Where the keep region can be decided for pieces of keys.
  int64_t pieceKeys = 0;
  Value pieces; ///< i32, of each piece with live keys: twice its first key, and 1 where all are live.
  Value isLong, lastKey; ///< Whether keys and values come from memory; of all parts.
  Value fetchesNear;     ///< Whether lines are asked for into L1.
  Value scratch, blockCount, partCount, totalRows, queryCount, groupSize;
  // Of the tile being emitted.
  Value firstRow, rowCount, part, batch, keyHead, keyStart, valueStart, firstKey, count, pieceCount;
};

} // namespace tenon
#endif
