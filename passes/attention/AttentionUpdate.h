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
// Rows of K and V are read from end to end, in their order, each line once for all rows, and neighbouring parts by the same
// worker: then memory gives most. Keys side by side give a third, a second pass over a tile leaves memory waiting, and
// asking for lines ahead takes from what hardware asks for (Zen 4).
//
// Costs per key and row some (2 depth + value depth) / lanes + 4 vector operations, beside the bytes of a key and value
// that the rows share: with up to about eight rows memory is what limits it; with many, flash attention,
// whose lanes run along them, takes two thirds of the time. Scratch: a part's scores and sums for every row.
// Where queries, keys and values are bf16 and the level multiplies pairs of it, both products are those, and weights rounded to bf16
// (their sum l is not).
//
// Limits: constant depth and row strides, a constant number of keys to a part; elements of f32, bf16 or f16, computed in f32.
//
#ifndef TENON_PASSES_ATTENTION_ATTENTIONUPDATE_H
#define TENON_PASSES_ATTENTION_ATTENTIONUPDATE_H

#include "dialects/tenon/AttentionLayout.h"
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
  struct Piece {
    int64_t from, vectors;
    bool inPairs;
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
  void locate(Value tile);
  Value startOf(const Operand &operand, Value b, Value h);
  Value headOf(Value r);
  Value queryOf(Value r);
  Value scoreOf(Value r, Value j) { return plus(times(r, pitch), j); }
  Value outputOf(Value r, Value d) { return plus(plus(outputAt, times(r, outputPitch())), d); }
  Value applyRegions(Value r);
  void applyAt(RegionEmitter &emitter, Value r, LaneValue j);
  void weigh(Value r, Value whole, Value live);
  void writeState(Value r);

  // The two products: UpdateProducts.cpp.
  int64_t sumRegisters() const { return lowering.target.getVectorRegisters() / 2; }
  int64_t rowsTogether() const;
  int64_t valueRegisters() const;
  int64_t valueRowsTogether() const;
  Values rowsFrom(Value first, int64_t together);
  Value elements(const Operand &operand, Value at);
  Value element(const Operand &operand, Value at);
  Value keyAt(Value j);
  Value valueAt(Value j);
  Value queryAt(Value r);
  void multiply(Value whole);
  Value partialOf(Value r, Value lane);
  Values productsOf(llvm::ArrayRef<Value> rows, Value keyAt);
  void addProducts(int64_t from, int64_t to, bool inPairs, llvm::ArrayRef<Value> queriesAt, Value keyAt, Values &sums);
  void addAcross(Value r, Value j, Value last);
  void takeValues();
  void takeTile(llvm::ArrayRef<Value> rows, Value begin, Value end);
  void takePiece(llvm::ArrayRef<Value> rows, Value begin, Value end, const Piece &piece);
  void takeElement(llvm::ArrayRef<Value> rows, Value begin, Value end, int64_t d);
  Values forKeys(Value begin, Value end, bool inPairs, llvm::ArrayRef<Value> sums,
                 llvm::function_ref<Values(Value, bool, mlir::ValueRange)> body);
  Values valuesOf(Value j, const Piece &piece, bool isLast);
  Value weightOf(Value r, Value j, bool inPairs);

  // Pairs of bf16, where the query is bf16 as well and the level has an instruction for them.
  bool usesDots() const { return !dotIntrinsic.empty(); }
  int64_t pairedValues() const;
  Value pairs(const Operand &operand, Value at);
  Value dot(Value sum, Value a, Value b);
  void interleave(Value a, Value b, Values &into);
  void narrowWeights(Value r, Value whole);
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
  Value scratch, blockCount, partCount, totalRows, queryCount, groupSize;
  // Of the tile being emitted.
  Value firstRow, rowCount, part, batch, keyHead, keyStart, valueStart, firstKey, count;
};

} // namespace tenon
#endif
