//===- LowerChannelScan.cpp - recurrences of many heads with one column ----------------===//
//
// Mamba's channels have 16 states and one value each, HGRN's one state: lanes run along the heads. A tile is one vector of heads
// over the whole of time, taken in blocks of 16 steps:
//
//   the block's factors, states by heads, into scratch
//   for each 16 states:  for each step:  S[d] = a_t[d] S[d] + k_t[d] v_t;  o_t += q_t[d] S[d]        S in registers
//
// Factors usually are a map, exp(Δ_t[h] A[h, d]), and lie by heads, then states. So they are computed with lanes along the
// states, a square of heads and states at a time, which is then turned on its diagonal: nothing is gathered, and nothing of
// [time, heads, states] is ever in memory.
//
// Costs for a step, head and state: a multiplication and two multiply-adds, what the factors' map costs (an exponential: 13), and 4 for
// turning a square. Scratch: 16 steps of factors. Limits: one column, no rate, a state for each head, and of each operand heads
// that lie side by side, or one for all.
//
#include "passes/lowering/TransposeTile.h"
#include "passes/scan/ScanKernel.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr int64_t blockSteps = 16;
/// States in registers.
constexpr int64_t manyStates = 16, fewStates = 8;

class ChannelScanLowering : ScanKernel {
public:
  ChannelScanLowering(KernelLowering &lowering, ScanOp op) : ScanKernel(lowering, op) {}

  bool fits() {
    AttentionLayout result = parsed(op.getLayoutOfResult());
    return !op.getRate() && sizes.valueDepth == Dim(1) && sizes.depth.isConstant() && sizes.states == sizes.heads &&
           sizes.heads != Dim(1) && result.strideOf('h', shapeOf(op.getResult())) == Dim(1) && isByHeads(value) &&
           (isShared(query) || isByHeads(query)) && (isShared(key) || isByHeads(key)) &&
           (!decay.tensor || isShared(decay) || isByHeads(decay) || isByStates(decay));
  }

  KernelGrid lower() {
    depth = *sizes.depth.constant();
    bool hasMany = lowering.target.getVectorRegisters() >= 32;
    // As many as divide the states: one too many might be multiplied by a factor that is no number.
    for (rows = hasMany ? manyStates : fewStates; depth % rows != 0;)
      --rows;
    height = llvm::alignTo(depth, lanes);
    carveScratch();
    scratch = scope.function.scratch(builder, loc, real, index(0));
    Dim blocks = sizes.heads.ceilDiv(Dim(lanes));
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) {
      Value count = scope.dim(blocks, loc);
      batch = builder.createOrFold<arith::DivUIOp>(loc, tile, count);
      firstHead = times(builder.createOrFold<arith::RemUIOp>(loc, tile, count), lanes);
      headCount = scope.minimum(index(lanes), scope.sub(scope.dim(sizes.heads, loc), firstHead, loc), loc);
      emitTile();
    });
    return {sizes.batch * blocks, scratchBytes()};
  }

private:
  //===--------------------------------------------------------------------------===//
  // What an operand is
  //===--------------------------------------------------------------------------===//

  static bool isShared(const Track &track) { return track.heads() == Dim(1); }
  bool isByHeads(const Track &track) const {
    return track.heads() == sizes.heads && track.layout.strideOf('h', shapeOf(track.tensor)) == Dim(1);
  }
  /// States side by side, for every head.
  bool isByStates(const Track &track) const {
    return track.heads() == sizes.heads && track.has('d') &&
           track.layout.strideOf('d', shapeOf(track.tensor)) == Dim(1);
  }
  /// Without d, or as the value, it has one row for all states.
  bool hasStates(const Track &track) const { return &track != &value && track.has('d'); }

  /// A shared row is one number for each state, others a vector of heads.
  void carveScratch() {
    for (Track *track : {&query, &key, &value, &decay})
      if (track->tensor)
        carveRows(*track, (hasStates(*track) ? height : 1) * (isShared(*track) ? 1 : lanes),
                  hasStates(*track) ? depth : 1, blockSteps);
    stateAt = carve(height * lanes);
    outputAt = carve(blockSteps * lanes);
  }

  //===--------------------------------------------------------------------------===//
  // One tile
  //===--------------------------------------------------------------------------===//

  Value stateOf(Value row) { return plus(stateAt, times(row, lanes)); }
  Value outputOf(Value step) { return plus(outputAt, times(step, lanes)); }

  void emitTile() {
    emitLoop(scope, loc, index(0), index(depth), [&](Value row) { store(zero(), stateOf(row)); });
    if (op.getInitial())
      forEachOfState([&](RegionEmitter &emitter, ArrayRef<LaneValue> at, Value here) {
        emitter.store(lanesOf(emitter, read(emitter, op.getInitial(), at)), scratch, here);
      });
    forEachBlock(blockSteps, [&](Value first, Value count) {
      for (Track *track : {&query, &key, &value, &decay})
        if (track->tensor)
          emitLoop(scope, loc, index(0), count, [&](Value step) { stage(*track, step, plus(first, step)); });
      accumulate(count);
      emitLoop(scope, loc, index(0), count, [&](Value step) {
        emitLaneLoop(scope, loc, headCount, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
          Value sum = emitter.materialise(emitter.loadConsecutive(scratch, plus(outputOf(step), j.value)));
          finish(emitter, headAt(j), plus(first, step), LaneValue::uniform(index(0)), sum);
        });
      });
    });
    if (op.getFinal())
      forEachOfState([&](RegionEmitter &emitter, ArrayRef<LaneValue> at, Value here) {
        finishState(emitter, at, loadScalar(here));
      });
  }

  LaneValue headAt(const LaneValue &j) {
    LaneValue head = j;
    head.value = plus(firstHead, j.value);
    return head;
  }

  /// One element after another: in memory a head's states lie side by side, in scratch a state's heads.
  void forEachOfState(function_ref<void(RegionEmitter &, ArrayRef<LaneValue> at, Value here)> body) {
    RegionEmitter scalar(scope, 1, loc);
    emitLoop(scope, loc, index(0), headCount, [&](Value head) {
      emitLoop(scope, loc, index(0), index(depth), [&](Value row) {
        LaneValue at[] = {LaneValue::uniform(batch), LaneValue::uniform(plus(firstHead, head)), LaneValue::uniform(row),
                          LaneValue::uniform(index(0))};
        body(scalar, at, plus(stateOf(row), head));
      });
    });
  }

  //===--------------------------------------------------------------------------===//
  // A block of steps
  //===--------------------------------------------------------------------------===//

  /// Step `n` of an operand.
  void stage(Track &track, Value step, Value n) {
    if (isShared(track)) {
      emitLaneLoop(scope, loc, index(track.size), lanes, [&](RegionEmitter &emitter, const LaneValue &d) {
        Value element = read(emitter, track, LaneValue::uniform(index(0)), n, d);
        emitter.store(lanesOf(emitter, element), scratch, placeOf(track, step, d.value));
      });
      return;
    }
    if (isByHeads(track)) {
      emitLoop(scope, loc, index(0), index(track.size), [&](Value d) {
        emitLaneLoop(scope, loc, headCount, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
          Value element = read(emitter, track, headAt(j), n, LaneValue::uniform(d));
          emitter.store(lanesOf(emitter, element), scratch, placeOf(track, step, plus(times(d, lanes), j.value)));
        });
      });
      return;
    }
    carry(index(0), index(depth), lanes, {}, [&](Value d, ValueRange) {
      stageSquare(track, step, n, d);
      return SmallVector<Value>();
    });
  }

  /// States d, d + 1, … of each head, turned into the heads of each state.
  void stageSquare(Track &track, Value step, Value n, Value d) {
    RegionEmitter emitter(scope, lanes, loc);
    if (depth % lanes != 0)
      emitter.limitLanes(scope.minimum(index(lanes), scope.sub(index(depth), d, loc), loc));
    SmallVector<Value> byHead;
    Value last = plus(-1, headCount);
    for (int64_t head = 0; head < lanes; ++head)
      byHead.push_back(read(emitter, track, LaneValue::uniform(plus(firstHead, scope.minimum(index(head), last, loc))),
                            n, LaneValue::linear(d)));
    for (auto [state, vector] : llvm::enumerate(transposeTile(builder, loc, byHead)))
      store(vector, placeOf(track, step, times(plus(state, d), lanes)));
  }

  /// State `row` of an operand at `step`, in every lane that of its head.
  Value stateAtStep(const Track &track, Value step, Value row) {
    Value state = hasStates(track) ? row : index(0);
    return isShared(track) ? broadcast(placeOf(track, step, state)) : load(placeOf(track, step, times(state, lanes)));
  }

  void accumulate(Value count) {
    emitLoop(scope, loc, index(0), count, [&](Value step) { store(zero(), outputOf(step)); });
    carry(index(0), index(depth), rows, {}, [&](Value row, ValueRange) {
      SmallVector<Value> states;
      for (int64_t r = 0; r < rows; ++r)
        states.push_back(load(stateOf(plus(r, row))));
      states = carry(index(0), count, 1, states, [&](Value step, ValueRange old) {
        Value input = load(placeOf(value, step, index(0)));
        SmallVector<Value> next, sums;
        for (int64_t r = 0; r < rows; ++r) {
          Value here = plus(r, row), factor = decay.tensor ? stateAtStep(decay, step, here) : Value();
          next.push_back(advance(old[r], factor, stateAtStep(key, step, here), input));
          Value q = stateAtStep(query, step, here);
          // Four sums side by side, so that none waits for another.
          if (r < 4)
            sums.push_back(product(q, next[r]));
          else
            sums[r % 4] = fma(q, next[r], sums[r % 4]);
        }
        Value sum = load(outputOf(step));
        for (Value each : sums)
          sum = arith::AddFOp::create(builder, loc, sum, each);
        store(sum, outputOf(step));
        return next;
      });
      for (int64_t r = 0; r < rows; ++r)
        store(states[r], stateOf(plus(r, row)));
      return SmallVector<Value>();
    });
  }

  int64_t depth = 0, rows = 1, height = 0, stateAt = 0, outputAt = 0;
  // Of the tile being emitted.
  Value firstHead, headCount;
};

} // namespace

std::optional<KernelGrid> lowerChannelScan(KernelLowering &lowering, ScanOp op) {
  ChannelScanLowering channels(lowering, op);
  return channels.fits() ? std::optional(channels.lower()) : std::nullopt;
}

} // namespace tenon
