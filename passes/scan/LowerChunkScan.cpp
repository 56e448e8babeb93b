//===- LowerChunkScan.cpp - a recurrence as products of chunks ------------------------===//
//
// C = 16 steps at once. With the products of factors L[i, j] = Π_{j < t ≤ i} a_t and D[i] = Π_{t ≤ i} a_t, and S₀ before the chunk,
//
//   w_i = β_i (v_i - D[i] k_iᵀ S₀ - Σ_{j < i} L[i, j] (k_iᵀ k_j) w_j)       without a rate w = v
//   o_i = D[i] q_iᵀ S₀ + Σ_{j ≤ i} L[i, j] (q_iᵀ k_j) w_j
//   S   = D[C - 1] S₀ + Σ_j L[C - 1, j] k_j w_jᵀ
//
// A tile, its scratch and its memory are those of StepScan.h; what is left over behind the last whole chunk goes by steps. A chunk:
//
//   Kᵀ in scratch: what lanes along the steps of the chunk read
//   L and D, row i from row i - 1: never a quotient, at most 1 where factors are, 0 and 1 exact
//   P = L Q Kᵀ;  with a rate A = -β L K Kᵀ                                             R rows of C columns in registers
//   for each R steps:  w = β (v - D k S₀) + Σ_{j < i} A w;  o = D q S₀ + Σ_{j ≤ i} P w   R rows of the tile's columns in registers
//   for each R rows of the state:  S = D S + Σ_j L k_j w_jᵀ                            S in registers
//
// Sums stop at the diagonal, they do not multiply by 0 behind it: what a later step holds, NaN as well, reaches no
// earlier one.
//
// Costs for a step: 2 depth · value depth multiply-adds, with a rate one more; C · depth for P and once more for A, C /
// 2 · value depth for each of their sums; and of the state a C-th of what steps multiply, read and write. Limits: no
// decay of rows.
//
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/lowering/TransposeTile.h"
#include "passes/scan/ScanForm.h"
#include "passes/scan/StepScan.h"

using namespace mlir;

namespace tenon {
namespace {

class ChunkScan : public StepScan {
public:
  ChunkScan(KernelLowering &lowering, ScanOp op)
      : StepScan(lowering, op, chunk), wide(std::min<int64_t>(lanes, chunk)) {}

private:
  static constexpr int64_t chunk = chunkSteps;

  bool walksAtEachStep() override { return false; }

  void carveScratch() override {
    StepScan::carveScratch();
    turnedAt = carve(llvm::alignTo(height, wide) * chunk);
    scoresAt = carve(chunk * chunk);
    if (op.getRate())
      systemAt = carve(chunk * chunk);
    if (op.getDecay()) {
      betweenAt = carve(chunk * chunk);
      fromStartAt = carve(chunk);
    }
  }

  void advanceBlock(Value count) override {
    Value isWhole = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, count, index(chunk));
    emitIf(scope, loc, isWhole, [&] { advanceChunk(); }, [&] { StepScan::advanceBlock(count); });
  }

  void advanceChunk() {
    turnKeys();
    if (op.getDecay())
      multiplyFactors();
    int64_t room = roomForSums() / (chunk / wide) / (op.getRate() ? 2 : 1);
    int64_t together = std::min<int64_t>(chunk, llvm::bit_floor(uint64_t(room)));
    for (int64_t first = 0; first < chunk; first += together)
      scoreRows(first, together);
    together = std::min<int64_t>(chunk, llvm::bit_floor(uint64_t(roomForSums() / vectors)));
    carry(index(0), index(chunk), together, {}, [&](Value first, ValueRange) {
      fetchPart(builder.createOrFold<arith::DivUIOp>(loc, first, index(together)), together);
      if (op.getRate())
        solveRows(first, together);
      readRows(first, together);
      return Values();
    });
    updateState();
  }

  //===--------------------------------------------------------------------------===//
  // Within the chunk
  //===--------------------------------------------------------------------------===//

  /// Element d of the keys of steps j, j + 1, …
  Value turnedOf(Value d, Value j) { return plus(plus(turnedAt, times(d, chunk)), j); }
  /// Row i of a square of steps.
  Value rowOf(int64_t square, Value i) { return plus(square, times(i, chunk)); }
  /// Vectors of a row of such a square that hold something up to its diagonal.
  int64_t partsOfRow(int64_t i) { return i / wide + 1; }

  void turnKeys() {
    for (int64_t j = 0; j < chunk; j += wide)
      carry(index(0), index(height), wide, {}, [&](Value d, ValueRange) {
        Values keys;
        for (int64_t step = 0; step < wide; ++step)
          keys.push_back(load(placeOf(key, index(j + step), d), wide));
        for (auto [row, turned] : llvm::enumerate(transposeTile(builder, loc, keys)))
          store(turned, turnedOf(plus(row, d), index(j)));
        return Values();
      });
  }

  /// L[i, j], 1 on the diagonal, and D[i].
  void multiplyFactors() {
    Value one = arith::ConstantOp::create(builder, loc, builder.getFloatAttr(real, 1));
    Value fromStart = one;
    Values between(chunk / wide, zero(wide));
    for (int64_t i = 0; i < chunk; ++i) {
      Value factor = loadScalar(placeOf(decay, index(i), index(0)));
      Value all = vector::BroadcastOp::create(builder, loc, vectorType(wide), factor);
      fromStart = product(fromStart, factor);
      memref::StoreOp::create(builder, loc, fromStart, scratch, index(fromStartAt + i));
      for (int64_t part = 0; part < partsOfRow(i); ++part) {
        between[part] = product(between[part], all);
        if (part == i / wide)
          between[part] = vector::InsertOp::create(builder, loc, one, between[part], i % wide);
        store(between[part], plus(part * wide, rowOf(betweenAt, index(i))));
      }
    }
  }

  /// Rows of P, and of A where there is a rate.
  void scoreRows(int64_t first, int64_t count) {
    SmallVector<Track *> sides{&query};
    if (op.getRate())
      sides.push_back(&key);
    int64_t parts = partsOfRow(first + count - 1);
    Values zeros(sides.size() * count * parts, zero(wide));
    Values sums = carry(index(0), index(depth), 1, zeros, [&](Value d, ValueRange old) {
      Values keys, next;
      for (int64_t part = 0; part < parts; ++part)
        keys.push_back(load(turnedOf(d, index(part * wide)), wide));
      for (Track *side : sides)
        for (int64_t r = 0; r < count; ++r) {
          Value element = broadcast(placeOf(*side, index(first + r), d), wide);
          for (Value keysOfPart : keys)
            next.push_back(fma(element, keysOfPart, old[next.size()]));
        }
      return next;
    });
    for (auto [number, sum] : llvm::enumerate(sums)) {
      int64_t row = first + number / parts % count, part = number % parts;
      bool isSystem = int64_t(number) >= count * parts;
      if (part < partsOfRow(row))
        storeScores(sum, isSystem ? systemAt : scoresAt, index(row), part * wide);
    }
  }

  void storeScores(Value sum, int64_t square, Value row, int64_t column) {
    if (op.getDecay())
      sum = product(sum, load(plus(column, rowOf(betweenAt, row)), wide));
    if (op.getRate() && square == systemAt) {
      Value beta = broadcast(placeOf(rate, row, index(0)), wide);
      sum = product(sum, arith::NegFOp::create(builder, loc, beta));
    }
    store(sum, plus(column, rowOf(square, row)));
  }

  //===--------------------------------------------------------------------------===//
  // Between the chunk and the state
  //===--------------------------------------------------------------------------===//

  Value writtenOf(Value step, int64_t vector) { return placeOf(value, step, index(vector * lanes)); }

  /// sums[r] + factors[r] · row.
  Values addRow(ValueRange sums, ArrayRef<Value> factors, ArrayRef<Value> row) {
    Values next(sums);
    for (auto [r, factor] : llvm::enumerate(factors))
      for (int64_t v = 0; v < vectors; ++v)
        next[r * vectors + v] = fma(factor, row[v], next[r * vectors + v]);
    return next;
  }

  Values writtenRow(Value step) {
    return eachVector([&](int64_t v) { return load(writtenOf(step, v)); });
  }

  /// D x S₀ for some steps' rows of an operand.
  Values timesState(const Track &track, Value first, int64_t count) {
    Values sums = carry(index(0), index(depth), 1, Values(count * vectors, zero()), [&](Value d, ValueRange old) {
      Values state = eachVector([&](int64_t v) { return load(stateOf(d, v)); }), elements;
      for (int64_t r = 0; r < count; ++r)
        elements.push_back(broadcast(placeOf(track, plus(r, first), d)));
      return addRow(old, elements, state);
    });
    for (int64_t r = 0; op.getDecay() && r < count; ++r) {
      Value factor = broadcast(plus(fromStartAt + r, first));
      for (int64_t v = 0; v < vectors; ++v)
        sums[r * vectors + v] = product(factor, sums[r * vectors + v]);
    }
    return sums;
  }

  /// Adds what the steps before the first of these rows wrote, times their scores.
  Values addWritten(ArrayRef<Value> sums, int64_t square, Value first, int64_t count) {
    return carry(index(0), first, 1, sums, [&](Value j, ValueRange old) {
      Values scores;
      for (int64_t r = 0; r < count; ++r)
        scores.push_back(broadcast(plus(rowOf(square, plus(r, first)), j)));
      return addRow(old, scores, writtenRow(j));
    });
  }

  /// The w of some steps, in the place of their values: forward substitution.
  void solveRows(Value first, int64_t count) {
    Values sums = timesState(key, first, count);
    for (int64_t r = 0; r < count; ++r) {
      Value beta = broadcast(placeOf(rate, plus(r, first), index(0)));
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = sums[r * vectors + v];
        sum = product(beta, arith::SubFOp::create(builder, loc, load(writtenOf(plus(r, first), v)), sum));
      }
    }
    sums = addWritten(sums, systemAt, first, count);
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t j = 0; j < r; ++j)
        addWithin(sums, r, systemAt, first, j, ArrayRef<Value>(sums).slice(j * vectors, vectors));
      for (int64_t v = 0; v < vectors; ++v)
        store(sums[r * vectors + v], writtenOf(plus(r, first), v));
    }
  }

  /// Row r of the tile takes in what row j of it wrote.
  void addWithin(Values &sums, int64_t r, int64_t square, Value first, int64_t j, ArrayRef<Value> written) {
    Value score = broadcast(plus(rowOf(square, plus(r, first)), plus(j, first)));
    for (int64_t v = 0; v < vectors; ++v)
      sums[r * vectors + v] = fma(score, written[v], sums[r * vectors + v]);
  }

  /// The o of some steps.
  void readRows(Value first, int64_t count) {
    Values sums = addWritten(timesState(query, first, count), scoresAt, first, count);
    for (int64_t j = 0; j < count; ++j) {
      Values written = writtenRow(plus(j, first));
      for (int64_t r = j; r < count; ++r)
        addWithin(sums, r, scoresAt, first, j, written);
    }
    for (int64_t r = 0; r < count; ++r)
      for (int64_t v = 0; v < vectors; ++v)
        store(sums[r * vectors + v], outputOf(plus(r, first), v));
  }

  /// S = D S₀ + Σ_j L k_j w_jᵀ over the whole chunk.
  void updateState() {
    if (op.getDecay())
      carry(index(0), index(depth), 1, {}, [&](Value d, ValueRange) {
        for (int64_t j = 0; j < chunk; j += wide) {
          Value at = turnedOf(d, index(j));
          store(product(load(at, wide), load(plus(j, rowOf(betweenAt, index(chunk - 1))), wide)), at);
        }
        return Values();
      });
    carry(index(0), index(height), rows, {}, [&](Value row, ValueRange) {
      Values sums;
      Value factor = op.getDecay() ? broadcast(index(fromStartAt + chunk - 1)) : Value();
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t v = 0; v < vectors; ++v) {
          Value old = load(stateOf(plus(r, row), v));
          sums.push_back(factor ? product(factor, old) : old);
        }
      sums = carry(index(0), index(chunk), 1, sums, [&](Value j, ValueRange old) {
        Values keys;
        for (int64_t r = 0; r < rows; ++r)
          keys.push_back(broadcast(turnedOf(plus(r, row), j)));
        return addRow(old, keys, writtenRow(j));
      });
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t v = 0; v < vectors; ++v)
          store(sums[r * vectors + v], stateOf(plus(r, row), v));
      return Values();
    });
  }

  const int64_t wide; ///< Lanes along the steps of a chunk.
  int64_t turnedAt = 0, scoresAt = 0, systemAt = 0, betweenAt = 0, fromStartAt = 0;
};

} // namespace

FailureOr<KernelGrid> lowerChunkScan(KernelLowering &lowering, ScanOp op) { return ChunkScan(lowering, op).lower(); }

} // namespace tenon
