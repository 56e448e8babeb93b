//===- NativeUpdate.cpp - a part of the keys for few queries, on a GPU --------------===//
//
// A block is one part of the keys of one (batch, key head), for some of the rows that share it (the queries of the
// group's heads): what a token that is decoded asks of a long cache, so that its parts fill the machine.
//
//   S[r][j] = Σ_d Q[r][d] K[j][d]     a warp four keys, its threads along the depth: a key is read once, in one piece
//   score, keep; m[r], P, l[r]        a warp a row, its threads along the keys
//   A[r][d] = Σ_j P[r][j] V[j][d]     a thread a column, its sums of all rows in registers
//
// Scores stay in shared memory. Limits: operands in memory, in f32 or narrower, a part whose scores fit for one row.
// This is for what tensor cores do not take (FlashShape.h): depths above 256, as multi-head latent attention has, or
// odd layouts.
//
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/VectorMath.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr unsigned threads = 128;
constexpr int64_t mostRows = 16, scoreBytes = 32 * 1024;

/// How parts and rows become blocks.
struct UpdatePlan {
  decltype(std::declval<AttentionUpdateOp>().getSizes()) sizes;
  Dim allRows, blocks; ///< that share a key head; blocks of them
  int64_t partKeys, rows, depth, valueDepth;
};

class UpdateEmitter {
public:
  UpdateEmitter(DeviceLowering &native, AttentionUpdateOp op, const UpdatePlan &plan)
      : native(native), lowering(native.kernel), op(op), plan(plan), emitter(scope, 1, loc),
        warp(native, ThreadGroup::Warp), query(operand(0)), key(operand(1)), value(operand(2)) {}

  void emit() {
    locate();
    scores = native.function.shared(builder, loc, builder.getF32Type(), plan.rows * plan.partKeys);
    multiply();
    native.function.barrier(builder, loc);
    strided(warp.number, rowCount, threads / warpThreads, [&](Value r) { weigh(r); });
    native.function.barrier(builder, loc);
    takeValues();
  }

private:
  /// One operand seen through its layout.
  struct Operand {
    Value memory;
    AttentionLayout layout;
    Shape shape;
  };

  Operand operand(unsigned number) {
    std::string error;
    Value tensor = op->getOperand(number);
    return {lowering.memoryOf(tensor), *AttentionLayout::parse(op.getLayout(number), error), shapeOf(tensor)};
  }

  Value index(int64_t number) { return scope.index(number, loc); }
  Value plus(Value a, Value b) { return scope.add(a, b, loc); }
  Value times(Value a, Value b) { return scope.mul(a, b, loc); }
  Value quotient(Value a, Value b) { return builder.createOrFold<arith::DivUIOp>(loc, a, b); }
  Value remainder(Value a, Value b) { return builder.createOrFold<arith::RemUIOp>(loc, a, b); }
  Value number(float real) { return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(real)); }
  Value isBelow(Value a, Value b) { return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b); }
  Value choose(Value condition, Value a, Value b) { return arith::SelectOp::create(builder, loc, condition, a, b); }
  void strided(Value begin, Value end, int64_t by, function_ref<void(Value)> body) {
    emitCarryingLoop(scope, loc, begin, end, by, {}, [&](Value i, ValueRange) {
      body(i);
      return SmallVector<Value>();
    });
  }
  bool isSoftmax() { return op.getNormaliser() == Normaliser::Softmax; }

  /// Element (b, h, n, d) of an operand, as f32.
  Value element(const Operand &from, Value h, Value n, Value d) {
    Value at = scope.dim(from.layout.offset(from.shape), loc);
    for (auto [role, position] : {std::pair('b', batch), {'h', h}, {'n', n}, {'d', d}})
      at = plus(at, times(position, scope.dim(from.layout.strideOf(role, from.shape), loc)));
    return loadAsF32(builder, loc, from.memory, at);
  }

  //===--------------------------------------------------------------------------===//
  // Where the block is
  //===--------------------------------------------------------------------------===//

  /// As on a CPU: blocks of rows, which read the same keys, follow each other; then parts.
  void locate() {
    Value rest = native.function.block;
    auto split = [&](const Dim &of) {
      Value size = scope.dim(of, loc), last = remainder(rest, size);
      rest = quotient(rest, size);
      return last;
    };
    firstRow = times(split(plan.blocks), index(plan.rows));
    rowCount = scope.minimum(index(plan.rows), scope.sub(scope.dim(plan.allRows, loc), firstRow, loc), loc);
    part = split(op.getParts());
    keyHead = split(plan.sizes.keyHeads);
    batch = rest;
    queryCount = scope.dim(plan.sizes.queries, loc);
    groupSize = scope.dim(plan.sizes.heads.floorDiv(plan.sizes.keyHeads), loc);
    firstKey = times(part, index(plan.partKeys));
    count = scope.minimum(index(plan.partKeys), scope.sub(scope.dim(plan.sizes.keys, loc), firstKey, loc), loc);
  }

  Value headOf(Value r) { return plus(times(keyHead, groupSize), quotient(plus(firstRow, r), queryCount)); }
  Value queryOf(Value r) { return remainder(plus(firstRow, r), queryCount); }
  Value scoreAt(Value r, Value j) { return plus(times(r, index(plan.partKeys)), j); }
  Value loadScore(Value r, Value j) { return memref::LoadOp::create(builder, loc, scores, scoreAt(r, j)); }
  void storeScore(Value score, Value r, Value j) {
    memref::StoreOp::create(builder, loc, score, scores, scoreAt(r, j));
  }

  //===--------------------------------------------------------------------------===//
  // Scores
  //===--------------------------------------------------------------------------===//

  /// This thread's elements of a row; zeros where the depth ends before the warp does.
  SmallVector<Value> elementsOf(const Operand &from, Value h, Value n) {
    SmallVector<Value> elements;
    for (int64_t d = 0; d < plan.depth; d += warpThreads) {
      Value own = plus(index(d), warp.rank);
      bool isWhole = d + warpThreads <= plan.depth;
      Value read = element(from, h, n, isWhole ? own : scope.minimum(own, index(plan.depth - 1), loc));
      elements.push_back(isWhole ? read : choose(isBelow(own, index(plan.depth)), read, number(0)));
    }
    return elements;
  }

  /// A warp takes some keys at once, so that a query is read once for all of them.
  int64_t keysAtOnce() const { return std::clamp<int64_t>(96 / llvm::divideCeil(plan.depth, warpThreads), 1, 4); }

  void multiply() {
    int64_t atOnce = keysAtOnce();
    Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, warp.rank, index(0));
    Value lastKey = scope.sub(count, index(1), loc);
    strided(times(warp.number, index(atOnce)), count, threads / warpThreads * atOnce, [&](Value first) {
      SmallVector<SmallVector<Value>> keys;
      for (int64_t k = 0; k < atOnce; ++k)
        keys.push_back(elementsOf(key, keyHead, plus(firstKey, scope.minimum(plus(first, index(k)), lastKey, loc))));
      strided(index(0), rowCount, 1, [&](Value r) {
        SmallVector<Value> queries = elementsOf(query, headOf(r), queryOf(r));
        for (auto [k, elements] : llvm::enumerate(keys)) {
          Value sum = number(0), j = plus(first, index(int64_t(k)));
          for (auto [x, y] : llvm::zip(elements, queries))
            sum = math::FmaOp::create(builder, loc, x, y, sum);
          Value total = warp.combine(ReduceKind::Sum, sum);
          Value isOwn = arith::AndIOp::create(builder, loc, isFirst, isBelow(j, count));
          emitIf(scope, loc, isOwn, [&] { storeScore(total, r, j); });
        }
      });
    });
  }

  /// Score and keep, in place; whether the key is live (i1).
  Value applyRegions(Value r, Value j) {
    SmallVector<TensorReader> captures;
    for (Value capture : op.getCaptures())
      captures.push_back(lowering.reader(capture, emitter));
    SmallVector<LaneValue> point;
    for (Value place : {batch, headOf(r), queryOf(r), plus(firstKey, j)})
      point.push_back(LaneValue::uniform(place));
    Value score = loadScore(r, j);
    if (op.hasScore()) {
      SmallVector<LaneValue> withScore{LaneValue::uniform(score, true)};
      llvm::append_range(withScore, point);
      score = emitter.materialise(emitter.evaluate(op.getScore(), withScore, captures));
    }
    Value live = arith::ConstantIntOp::create(builder, loc, builder.getI1Type(), 1);
    if (op.hasKeep()) {
      live = emitter.materialise(emitter.evaluate(op.getKeep(), point, captures));
      score = choose(live, score, number(isSoftmax() ? -std::numeric_limits<float>::infinity() : 0.0f));
    }
    storeScore(score, r, j);
    return live;
  }

  /// Scores to weights, and the row's m and l. A thread reads the scores it has written itself.
  void weigh(Value r) {
    Type f32 = builder.getF32Type(), i32 = builder.getI32Type();
    Value anyLive = warp.reduce(count, ReduceKind::Max, i32, [&](Value j) -> Value {
      return arith::ExtUIOp::create(builder, loc, i32, applyRegions(r, j));
    });
    Value none = arith::ConstantIntOp::create(builder, loc, i32, 0);
    Value live = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt, anyLive, none);
    Value maximum = number(0), least = number(-std::numeric_limits<float>::max());
    if (isSoftmax())
      maximum = combine(builder, loc, ReduceKind::Max, least, warp.reduce(count, ReduceKind::Max, f32, [&](Value j) {
                          // A score that is no number is not the greatest: m stays one, and the weights say NaN.
                          Value score = loadScore(r, j);
                          Value isGreater =
                              arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, score, least);
                          return choose(isGreater, score, least);
                        }));
    Value sum = warp.reduce(count, ReduceKind::Sum, f32, [&](Value j) {
      Value weight = loadScore(r, j);
      if (isSoftmax()) {
        weight = emitMath(builder, loc, MathFunction::ExpNonPositive,
                          Value(arith::SubFOp::create(builder, loc, weight, maximum)));
        storeScore(weight, r, j);
      }
      return weight;
    });
    Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, warp.rank, index(0));
    emitIf(scope, loc, isFirst, [&] {
      Value to = plus(stateOf(r), index(plan.valueDepth));
      Value dead = number(-std::numeric_limits<float>::infinity());
      store(choose(live, maximum, dead), to);
      store(op.getNormaliser() == Normaliser::None ? number(0) : sum, plus(to, index(1)));
    });
  }

  //===--------------------------------------------------------------------------===//
  // Values, and the state
  //===--------------------------------------------------------------------------===//

  /// Row [part, batch, head, query] of the state.
  Value stateOf(Value r) {
    Value row = plus(times(part, scope.dim(plan.sizes.batch, loc)), batch);
    row = plus(times(row, scope.dim(plan.sizes.heads, loc)), headOf(r));
    row = plus(times(row, queryCount), queryOf(r));
    return times(row, index(plan.valueDepth + 2));
  }
  void store(Value element, Value at) { memref::StoreOp::create(builder, loc, element, lowering.resultMemory(), at); }

  /// A value is read once for all rows; rows behind the last compute what that one does, and store nothing.
  void takeValues() {
    Value lastRow = scope.sub(rowCount, index(1), loc);
    strided(native.function.thread, index(plan.valueDepth), threads, [&](Value d) {
      SmallVector<Value> zeros(plan.rows, number(0));
      SmallVector<Value> sums =
          emitCarryingLoop(scope, loc, index(0), count, 1, zeros, [&](Value j, ValueRange carried) {
            Value weighed = element(value, keyHead, plus(firstKey, j), d);
            SmallVector<Value> next;
            for (auto [r, sum] : llvm::enumerate(carried)) {
              Value score = loadScore(scope.minimum(index(r), lastRow, loc), j);
              next.push_back(math::FmaOp::create(builder, loc, score, weighed, sum));
            }
            return next;
          });
      for (auto [r, sum] : llvm::enumerate(sums)) {
        Value row = index(r);
        emitIf(scope, loc, isBelow(row, rowCount), [&] { store(sum, plus(stateOf(row), d)); });
      }
    });
  }

  DeviceLowering &native;
  KernelLowering &lowering;
  AttentionUpdateOp op;
  const UpdatePlan &plan;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  RegionEmitter emitter;
  ThreadGroup warp;
  Operand query, key, value;
  Value scores;
  // Of this block.
  Value batch, keyHead, part, firstRow, rowCount, firstKey, count, queryCount, groupSize;
};

/// Nothing where the form does not fit, and why in `reason`.
std::optional<UpdatePlan> planOf(AttentionUpdateOp op, std::string &reason) {
  UpdatePlan plan{op.getSizes()};
  std::optional<int64_t> keys = op.getPartsOf() ? std::optional<int64_t>(*op.getPartsOf()) : plan.sizes.keys.constant();
  if (!keys || *keys < 1 || *keys * 4 > scoreBytes || !plan.sizes.depth.constant() ||
      !plan.sizes.valueDepth.constant()) {
    reason = "scores of a part of the keys do not fit into shared memory";
    return std::nullopt;
  }
  for (Value tensor : {op.getQuery(), op.getKey(), op.getValue()})
    if (!isa<BlockArgument>(tensor) || elementOf(tensor).isF64()) {
      reason = "wants query, keys and values in memory, as f32 or narrower";
      return std::nullopt;
    }
  plan.partKeys = *keys;
  plan.depth = *plan.sizes.depth.constant();
  plan.valueDepth = *plan.sizes.valueDepth.constant();
  plan.allRows = plan.sizes.heads.floorDiv(plan.sizes.keyHeads) * plan.sizes.queries;
  plan.rows =
      std::clamp<int64_t>(plan.allRows.constant().value_or(mostRows), 1, std::min(mostRows, scoreBytes / (4 * *keys)));
  plan.blocks = plan.allRows.ceilDiv(Dim(plan.rows));
  return plan;
}

} // namespace

std::optional<DeviceForm> nativeUpdate(AttentionUpdateOp op, std::string &reason) {
  if (std::optional<DeviceForm> form = nativeUpdateOnTensorCores(op))
    return form;
  std::optional<UpdatePlan> plan = planOf(op, reason);
  if (!plan)
    return std::nullopt;
  DeviceForm form;
  form.name = "attention_update, a block a part of the keys";
  form.blockThreads = threads;
  form.tiles = op.getParts() * plan->sizes.batch * plan->sizes.keyHeads * plan->blocks;
  form.emit = [op, plan = *plan](DeviceLowering &native) {
    UpdateEmitter(native, op, plan).emit();
    return success();
  };
  return form;
}

} // namespace tenon
