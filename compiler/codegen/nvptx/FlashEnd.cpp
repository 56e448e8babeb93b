//===- FlashEnd.cpp - the rows of a block, divided and stored ------------------------===//
//
// The last part of FlashBlock.h: states of warps that shared the keys become one, sums are divided, and rows leave by
// way of shared memory, which holds O of each row once for every warp that took in some of its keys.
//
#include "compiler/codegen/nvptx/FlashBlock.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tenon {

static constexpr double infinity = std::numeric_limits<double>::infinity();

/// m, l and live of the rows over all warps along the keys; O to the common m.
void FlashBlock::mergeWarps(State &state) {
  auto slot = [&](int64_t word, Value ofWarp, int64_t half) {
    Value row = index.add(index.mul(ofWarp, shape.rows()), rowInBlock(half));
    return index.add(row, shape.statesAt() + word * FlashShape::mostQueries);
  };
  emitIf(device.kernel.scope, device.kernel.loc, index.equal(index.rem(lane, 4), index.constant(0)), [&] {
    for (int64_t half : {0, 1})
      for (auto [word, value] : llvm::enumerate(Values{state.maximum[half], state.sum[half], state.live[half]}))
        math.store(value, shared, slot(int64_t(word), keyWarp, half));
  });
  math.barrier();
  for (int64_t half : {0, 1}) {
    Values maxima, sums, lives;
    for (int64_t other = 0; other < shape.keyWarps; ++other)
      for (auto [word, values] : llvm::enumerate(SmallVector<Values *>{&maxima, &sums, &lives}))
        values->push_back(math.load(shared, slot(int64_t(word), index.constant(other), half), builder.getF32Type()));
    auto combined = [&](auto op, ArrayRef<Value> values) {
      Value result = values.front();
      for (Value value : values.drop_front())
        result = decltype(op)::create(builder, loc, result, value);
      return result;
    };
    state.live[half] = combined(arith::MaxNumFOp(), lives);
    if (task.isSoftmax()) {
      Value greatest = combined(arith::MaxNumFOp(), maxima), shift = shiftOf(greatest);
      for (auto [sum, maximum] : llvm::zip(sums, maxima))
        sum = arith::MulFOp::create(builder, loc, sum, factorOf(maximum, shift));
      rescale(state, half, factorOf(state.maximum[half], shift));
      state.maximum[half] = greatest;
    }
    state.sum[half] = combined(arith::AddFOp(), sums);
  }
}

void FlashBlock::finish(State state) {
  Value hasKeys = isBelow(firstKey, keyEnd);
  for (int64_t half : {0, 1}) {
    state.sum[half] = overQuad(state.sum[half], /*isMaximum=*/false);
    state.live[half] = task.keep ? overQuad(state.live[half], /*isMaximum=*/true)
                                 : select(hasKeys, constant(1), constant(0));
  }
  if (shape.keyWarps > 1)
    mergeWarps(state);
  math.barrier(); // the last tile is done with
  task.givesState ? storeStates(state) : storeRows(state);
}

Value FlashBlock::isEmptyRow(const State &state, int64_t half) {
  return compare(arith::CmpFPredicate::OEQ, state.live[half], constant(0));
}

/// Column 0 of this warp's part of row `half`, in shared memory.
Value FlashBlock::outputAt(int64_t half) {
  Value row = index.add(index.mul(keyWarp, shape.rows()), rowInBlock(half));
  return index.mul(row, shape.outputPitch());
}

/// O to shared memory.
void FlashBlock::putOutput(const State &state, function_ref<Value(Value output, int64_t half)> finished) {
  auto pair = VectorType::get({2}, builder.getF32Type());
  for (int64_t half : {0, 1}) {
    Value at = index.add(outputAt(half), index.mul(index.rem(lane, 4), 2));
    for (int64_t tile = 0; tile < shape.columns() / TensorCore::tileColumns; ++tile) {
      Values two;
      for (int64_t i : {0, 1})
        two.push_back(finished(state.output[4 * tile + 2 * half + i], half));
      Value vector = vector::FromElementsOp::create(builder, loc, pair, two);
      math.store(vector, shared, index.add(at, tile * TensorCore::tileColumns));
    }
  }
}

/// Row `number` of `existing` ones in the order in which they lie in memory: packed heads follow each other there, or the
/// queries of one.
Value FlashBlock::rowInMemory(Value number, Value existing, bool areHeadsFirst) {
  if (!areHeadsFirst || shape.group == 1 || shape.rows() % shape.group != 0)
    return number;
  Value queries = index.div(existing, shape.group);
  return index.add(index.mul(index.rem(number, queries), shape.group), index.div(number, queries));
}

/// The first `width` words of each row that exists, side by side: a thread a word. `columnOf(d)` is where it stands.
void FlashBlock::forEachOutput(int64_t width, bool areHeadsFirst, function_ref<Value(Value d)> columnOf,
                               function_ref<void(const Row &row, Value d, Value output)> body) {
  Value existing = index.min(index.constant(shape.rows()), index.sub(rowCount, firstRow));
  auto loop =
      scf::ForOp::create(builder, loc, thread, index.mul(existing, width), index.constant(FlashShape::threads));
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value row = rowInMemory(index.div(loop.getInductionVar(), width), existing, areHeadsFirst);
  Value d = index.rem(loop.getInductionVar(), width);
  Value at = index.add(index.mul(row, shape.outputPitch()), columnOf(d)), output;
  for (int64_t other = 0; other < shape.keyWarps; ++other) {
    Value from = index.add(at, other * shape.rows() * shape.outputPitch());
    Value ofWarp = math.load(shared, from, builder.getF32Type());
    output = output ? arith::AddFOp::create(builder, loc, output, ofWarp) : ofWarp;
  }
  body(rowOf(row), d, output);
}

//===----------------------------------------------------------------------------===//
// Rows of an attention
//===----------------------------------------------------------------------------===//

void FlashBlock::storeRows(const State &state) {
  Value ofEmptyRow = constant(0); // without any key by every rule
  if (task.keep && task.empty == EmptyRow::NaN)
    ofEmptyRow = select(isBelow(firstKey, keyEnd), constant(std::numeric_limits<double>::quiet_NaN()), ofEmptyRow);
  Value factor[2], isZero[2], isEmpty[2];
  for (int64_t half : {0, 1}) {
    isEmpty[half] = isEmptyRow(state, half);
    if (task.normaliser == Normaliser::None)
      continue;
    factor[half] = arith::DivFOp::create(builder, loc, constant(1), state.sum[half]);
    if (shape.isGuarded)
      isZero[half] = compare(arith::CmpFPredicate::UEQ, state.sum[half], constant(0));
  }
  putOutput(state, [&](Value output, int64_t half) {
    if (factor[half])
      output = arith::MulFOp::create(builder, loc, output, factor[half]);
    if (isZero[half])
      output = select(isZero[half], constant(0), output);
    return select(isEmpty[half], ofEmptyRow, output);
  });
  math.barrier();
  AttentionLayout layout = task.layout(3);
  SmallVector<Value> strides = scope.strides(shapeOf(task.result), loc);
  bool areHeadsFirst = llvm::find(layout.roles, 'h') < llvm::find(layout.roles, 'n');
  forEachOutput(shape.valueDepth, areHeadsFirst, [](Value d) { return d; }, [&](const Row &row, Value d, Value output) {
    SmallVector<LaneValue> indices;
    Value offset = index.constant(0);
    for (auto [role, fixed, stride] : llvm::zip(layout.roles, layout.fixed, strides)) {
      Value at = role == 'b'   ? batch
                 : role == 'h' ? row.head
                 : role == 'n' ? row.query
                 : role == 'd' ? d
                               : index.constant(fixed);
      offset = scope.add(offset, scope.mul(at, stride, loc), loc);
      indices.push_back(LaneValue::uniform(at));
    }
    RegionEmitter emitter(scope, 1, loc);
    Value element = convertFloat(builder, loc, output, elementOf(task.result));
    device.kernel.finish(emitter, indices, offset, LaneValue::uniform(element, true));
  });
}

//===----------------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------------===//

/// a, m, l of each row, as attention_update has them: m and l stand behind the columns of O, where no tile writes.
void FlashBlock::storeStates(const State &state) {
  Value isFirst = index.equal(keyWarp, index.constant(0)), none = constant(0);
  Value isEmpty[2] = {isEmptyRow(state, 0), isEmptyRow(state, 1)};
  putOutput(state, [&](Value output, int64_t half) { return select(isEmpty[half], none, output); });
  emitIf(device.kernel.scope, device.kernel.loc, index.equal(index.rem(lane, 4), index.constant(0)), [&] {
    for (int64_t half : {0, 1}) {
      Value maximum = none, sum = task.normaliser == Normaliser::None ? none : state.sum[half];
      if (task.isSoftmax())
        maximum = arith::MaxNumFOp::create(builder, loc, state.maximum[half],
                                           constant(-std::numeric_limits<float>::max()));
      maximum = select(isEmpty[half], constant(-infinity), maximum);
      sum = select(isEmpty[half], none, sum);
      Value at = index.add(outputAt(half), shape.columns());
      math.store(select(isFirst, maximum, none), shared, at);
      math.store(select(isFirst, sum, none), shared, index.add(at, 1));
    }
  });
  math.barrier();
  Value depth = index.constant(shape.valueDepth), heads = scope.dim(task.sizes.heads, loc);
  Value partAndBatch = index.add(index.mul(part, scope.dim(task.sizes.batch, loc)), batch);
  Value memory = device.kernel.resultMemory(), queries = scope.dim(task.sizes.queries, loc);
  auto columnOf = [&](Value d) {
    int64_t padding = shape.columns() - shape.valueDepth;
    return padding ? select(isBelow(d, depth), d, index.add(d, padding)) : d;
  };
  forEachOutput(shape.valueDepth + 2, /*areHeadsFirst=*/true, columnOf, [&](const Row &row, Value d, Value output) {
    Value number = index.add(index.mul(partAndBatch, heads), row.head);
    number = index.add(index.mul(number, queries), row.query);
    memref::StoreOp::create(builder, loc, output, memory, index.add(index.mul(number, shape.valueDepth + 2), d));
  });
}

//===----------------------------------------------------------------------------===//
// The form
//===----------------------------------------------------------------------------===//

static DeviceForm formOf(const FlashShape &shape) {
  DeviceForm form;
  form.name = shape.name();
  form.tiles = shape.blocks();
  form.blockThreads = FlashShape::threads;
  form.sharedBytes = shape.launchedBytes();
  form.emit = [shape](DeviceLowering &device) {
    FlashBlock(device, shape).emit();
    return success();
  };
  return form;
}

std::optional<DeviceForm> nativeAttention(Operation *op, std::string &reason) {
  auto attention = dyn_cast<AttentionOp>(op);
  if (!attention) {
    reason = (op->getName().getStringRef() + " has no form of its own").str();
    return std::nullopt;
  }
  std::optional<FlashShape> shape = FlashShape::of(attention, reason);
  return shape ? std::optional(formOf(*shape)) : std::nullopt;
}

std::optional<DeviceForm> nativeUpdateOnTensorCores(AttentionUpdateOp op) {
  std::string reason;
  std::optional<FlashShape> shape = FlashShape::of(op, reason);
  return shape ? std::optional(formOf(*shape)) : std::nullopt;
}

} // namespace tenon
