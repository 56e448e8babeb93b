//===- NativeScan.cpp - recurrences on a GPU ----------------------------------------===//
//
// Columns of a state do not meet: a thread carries one of them over the whole of time, in registers.
//
//   | form                  | a block is                                | keys, queries, factors, rates              |
//   |-----------------------|-------------------------------------------|--------------------------------------------|
//   | a thread a column     | up to 128 columns of one head's state     | a few steps at a time in shared memory     |
//   | a thread a head       | 128 heads, where a state has one column   | read by each thread, as they are its own   |
//
// Costs for a step, a row and a column: 2 multiply-adds, with a decay a multiplication more, with a rate another
// multiply-add. Limits: a column that fits into registers, so at most 128 rows in f32.
//
#include "compiler/codegen/nvptx/ThreadGroup.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/scan/ScanKernel.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr unsigned threads = 128;
constexpr int64_t mostStagedSteps = 16, stagedBytes = 32 * 1024;

/// Registers of 32 bits a column may take of the 255 a thread has; with a rate the step's key is kept beside it.
int64_t mostRegisters(ScanOp op) { return op.getRate() ? 112 : 128; }

class DeviceScan : ScanKernel {
public:
  DeviceScan(DeviceLowering &native, ScanOp op)
      : ScanKernel(native.kernel, op), native(native), emitter(scope, 1, loc), depth(*sizes.depth.constant()) {}

  void byHeads() {
    Value perBatch = scope.dim(sizes.heads.ceilDiv(Dim(int64_t(threads))), loc), block = native.function.block;
    batch = builder.createOrFold<arith::DivUIOp>(loc, block, perBatch);
    head = plus(times(builder.createOrFold<arith::RemUIOp>(loc, block, perBatch), threads), native.function.thread);
    column = index(0);
    Value exists = compare(head, scope.dim(sizes.heads, loc));
    emitIf(lowering.scope, lowering.loc, exists, [&] {
      placeTracks();
      auto states = carry(index(0), scope.dim(sizes.steps, loc), 1, initialStates(), [&](Value n, ValueRange old) {
        return takeStep(old, n, [&](Track &track, int64_t row) { return element(track, n, index(row)); });
      });
      storeStates(states);
    });
  }

  void byColumns() {
    int64_t columns = *sizes.valueDepth.constant(), panels = llvm::divideCeil(columns, int64_t(threads));
    Value rest = native.function.block;
    auto split = [&](Value of) {
      Value remainder = builder.createOrFold<arith::RemUIOp>(loc, rest, of);
      rest = builder.createOrFold<arith::DivUIOp>(loc, rest, of);
      return remainder;
    };
    Value own = plus(times(split(index(panels)), threads), native.function.thread);
    head = split(scope.dim(sizes.heads, loc));
    batch = rest;
    // A thread without a column helps to bring rows, and computes the last column once more.
    column = scope.minimum(own, index(columns - 1), loc);
    hasColumn = columns % threads ? compare(own, index(columns)) : Value();
    placeTracks();
    makeRoom();
    SmallVector<Value> states = initialStates();
    Value steps = scope.dim(sizes.steps, loc);
    states = carry(index(0), steps, stagedSteps, states, [&](Value first, ValueRange old) {
      return takeBlock(first, scope.minimum(index(stagedSteps), scope.sub(steps, first, loc), loc), old);
    });
    storeStates(states);
  }

private:
  using Element = llvm::function_ref<Value(Track &track, int64_t row)>;

  Value compare(Value a, Value b) { return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b); }
  Value element(Track &track, Value n, Value d) {
    return read(emitter, track, LaneValue::uniform(track.head), n, LaneValue::uniform(d));
  }
  Value zeroScalar() { return arith::ConstantOp::create(builder, loc, FloatAttr::get(real, 0.0)); }

  void placeTracks() {
    state = shared(head, sizes.heads, sizes.states);
    for (Track *track : {&query, &key, &value, &decay, &rate})
      if (track->tensor)
        track->head =
            shared(track == &query ? head : state, track == &query ? sizes.heads : sizes.states, track->heads());
  }

  //===--------------------------------------------------------------------------===//
  // The state
  //===--------------------------------------------------------------------------===//

  SmallVector<LaneValue> placeOfState(int64_t row) {
    return {LaneValue::uniform(batch), LaneValue::uniform(state), LaneValue::uniform(index(row)),
            LaneValue::uniform(column)};
  }

  SmallVector<Value> initialStates() {
    return llvm::map_to_vector(llvm::seq<int64_t>(depth), [&](int64_t row) {
      return op.getInitial() ? read(emitter, op.getInitial(), placeOfState(row)) : zeroScalar();
    });
  }

  void whereColumn(function_ref<void()> body) {
    hasColumn ? emitIf(lowering.scope, lowering.loc, hasColumn, body) : body();
  }

  void storeStates(ArrayRef<Value> states) {
    if (op.getFinal())
      whereColumn([&] {
        for (auto [row, each] : llvm::enumerate(states))
          finishState(emitter, placeOfState(row), each);
      });
  }

  /// The sum of a(row) b(row), in four sums side by side.
  Value dot(function_ref<Value(int64_t)> a, function_ref<Value(int64_t)> b) {
    SmallVector<Value> sums;
    for (int64_t row = 0; row < depth; ++row)
      if (row < 4)
        sums.push_back(product(a(row), b(row)));
      else
        sums[row % 4] = fma(a(row), b(row), sums[row % 4]);
    Value total = zeroScalar();
    for (Value sum : sums)
      total = arith::AddFOp::create(builder, loc, total, sum);
    return total;
  }

  /// S = a S + k wᵀ and o = q S, where w is the value, or with a rate β what it differs by from kᵀ a S, times β.
  SmallVector<Value> takeStep(ValueRange old, Value n, Element at) {
    Value common = op.getDecay() && !op.hasDiagonalDecay() ? at(decay, 0) : Value();
    SmallVector<Value> keys, states;
    for (int64_t row = 0; row < depth; ++row) {
      Value factor = op.hasDiagonalDecay() ? at(decay, row) : common;
      keys.push_back(at(key, row));
      states.push_back(factor ? product(factor, old[row]) : old[row]);
    }
    auto keyAt = [&](int64_t row) { return keys[row]; };
    auto stateAt = [&](int64_t row) { return states[row]; };
    Value written = element(value, n, column);
    if (op.getRate())
      written = product(at(rate, 0), arith::SubFOp::create(builder, loc, written, dot(keyAt, stateAt)));
    for (int64_t row = 0; row < depth; ++row)
      states[row] = fma(keys[row], written, states[row]);
    Value sum = dot([&](int64_t row) { return at(query, row); }, stateAt);
    whereColumn([&] { finish(emitter, LaneValue::uniform(head), n, LaneValue::uniform(column), sum); });
    return states;
  }

  //===--------------------------------------------------------------------------===//
  // Steps in shared memory
  //===--------------------------------------------------------------------------===//

  /// Elements of a step of an operand.
  int64_t widthOf(const Track &track) {
    return &track == &rate || (&track == &decay && !op.hasDiagonalDecay()) ? 1 : depth;
  }

  /// As many steps as there is room for; each operand's stand together.
  void makeRoom() {
    int64_t width = 0;
    for (Track *track : {&query, &key, &decay, &rate})
      width += track->tensor ? widthOf(*track) : 0;
    int64_t bytes = width * real.getIntOrFloatBitWidth() / 8;
    stagedSteps = std::clamp<int64_t>(stagedBytes / bytes, 1, mostStagedSteps);
    staged = native.function.shared(builder, loc, real, stagedSteps * width);
    int64_t at = 0;
    for (Track *track : {&query, &key, &decay, &rate})
      if (track->tensor) {
        track->at = at;
        track->row = widthOf(*track);
        at += stagedSteps * track->row;
      }
  }

  SmallVector<Value> takeBlock(Value first, Value count, ValueRange old) {
    ThreadGroup block(native, ThreadGroup::Block);
    for (Track *track : {&query, &key, &decay, &rate})
      if (track->tensor)
        block.forEach(times(count, track->row), [&](Value j) {
          Value step = builder.createOrFold<arith::DivUIOp>(loc, j, index(track->row));
          Value d = builder.createOrFold<arith::RemUIOp>(loc, j, index(track->row));
          memref::StoreOp::create(builder, loc, element(*track, plus(first, step), d), staged, plus(track->at, j));
        });
    native.function.barrier(builder, loc);
    SmallVector<Value> states = carry(index(0), count, 1, SmallVector<Value>(old), [&](Value step, ValueRange carried) {
      return takeStep(carried, plus(first, step), [&](Track &track, int64_t row) -> Value {
        return memref::LoadOp::create(builder, loc, staged, placeOf(track, step, index(row)));
      });
    });
    native.function.barrier(builder, loc); // before the next steps take their place
    return states;
  }

  DeviceLowering &native;
  RegionEmitter emitter;
  int64_t depth, stagedSteps = 1;
  Value head, state, column; ///< Of this thread.
  Value hasColumn;           ///< Null where every thread has a column of its own.
  Value staged;
};

} // namespace

std::optional<DeviceForm> nativeScan(ScanOp op, std::string &reason) {
  ScanOp::Sizes sizes = op.getSizes();
  std::optional<int64_t> depth = sizes.depth.constant(), columns = sizes.valueDepth.constant();
  if (op.getTransition()) {
    reason = "a recurrence with a dense transition";
    return std::nullopt;
  }
  int64_t words = op.getStateType().getIntOrFloatBitWidth() / 32;
  if (!depth || !columns || *depth < 1 || *depth * words > mostRegisters(op) || *columns < 1) {
    reason = "a recurrence of " + sizes.depth.str() + " rows and " + sizes.valueDepth.str() +
             " columns does not fit into registers";
    return std::nullopt;
  }
  bool isByHeads = *columns == 1;
  DeviceForm form;
  form.name = isByHeads ? "scan, a thread a head" : "scan, a thread a column";
  form.blockThreads = threads;
  form.tiles = sizes.batch * (isByHeads ? sizes.heads.ceilDiv(Dim(int64_t(threads)))
                                        : sizes.heads * Dim(llvm::divideCeil(*columns, int64_t(threads))));
  form.emit = [op, isByHeads](DeviceLowering &native) {
    DeviceScan scan(native, op);
    isByHeads ? scan.byHeads() : scan.byColumns();
    return success();
  };
  return form;
}

} // namespace tenon
