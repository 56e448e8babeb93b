//===- LowerScan.cpp - a recurrence with its state in registers ----------------------===//
//
// In blocks of 32 steps. Without a rate, a register tile of the state, R rows and V vectors, stays in registers over
// the block,
//
//   for each R rows:  for each step t:  S = a_t S + k_t v_t;  o_t += q_t S           S in registers, o in scratch
//
// and what remains in memory is o. The delta rule needs a whole column before it may write: there each step walks the
// column once, and looks up the next step's key on the way,
//
//   for each step t:  w = β_t (v_t - p);  for each row:  S = a_t S + k_t w;  o_t += q_t S;  p += k_{t+1} S
//
// Costs for a step: 2 depth · value depth multiply-adds, with a decay one multiplication more, with a rate one more.
// When chunks are quicker: ScanCost.h. Scratch: the columns of the state and 32 rows of each operand.
//
#include "passes/scan/ScanForm.h"
#include "passes/scan/StepScan.h"

using namespace mlir;

namespace tenon {

constexpr int64_t lineBytes = 64;
/// Vectors of a state's row in registers, most wanted first.
constexpr int64_t manyRegisters[] = {4, 5, 3, 6, 2, 1}, fewRegisters[] = {2, 3, 1};

FailureOr<KernelGrid> StepScan::lower() {
  if (failed(readShapes()))
    return failure();
  carveScratch();
  scratch = scope.function.scratch(builder, loc, real, index(0));
  emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) { emitTile(tile); });
  return KernelGrid{sizes.batch * sizes.heads * Dim(panels), scratchBytes()};
}

//===----------------------------------------------------------------------------===//
// Shapes and scratch
//===----------------------------------------------------------------------------===//

LogicalResult StepScan::readShapes() {
  if (!sizes.depth.constant() || !sizes.valueDepth.constant())
    return op.emitOpError("wants constant depths, found ") << sizes.depth.str() << " and " << sizes.valueDepth.str();
  depth = *sizes.depth.constant();
  columns = *sizes.valueDepth.constant();
  chooseTile();
  return success();
}

/// As few vectors as hold the columns, in tiles that leave registers for a row of each operand.
void StepScan::chooseTile() {
  int64_t needed = std::max<int64_t>(1, llvm::divideCeil(columns, int64_t(lanes)));
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int64_t candidate : hasManyRegisters() ? ArrayRef<int64_t>(manyRegisters) : ArrayRef<int64_t>(fewRegisters)) {
    // The delta rule walks its columns at every step: they stay in the first-level cache.
    if (isCutInTwo(op) && candidate > 1 && candidate * int64_t(lanes) > columnsOfHalf)
      continue;
    int64_t bytes = depth * candidate * lowering.target.getVectorBits() / 8;
    if (walksAtEachStep() && candidate > 1 && bytes > lowering.target.getL1Bytes() / 2)
      continue;
    int64_t cost = llvm::divideCeil(needed, candidate) * candidate;
    if (cost < least)
      least = cost, vectors = candidate;
  }
  panels = llvm::divideCeil(needed, vectors);
  int64_t room = roomForSums() / vectors;
  rows = std::min<int64_t>(llvm::bit_floor(uint64_t(room)), llvm::PowerOf2Ceil(uint64_t(std::max<int64_t>(depth, 1))));
}

void StepScan::carveScratch() {
  int64_t width = vectors * lanes;
  height = llvm::alignTo(depth, rows);
  stateAt = carve(height * width);
  carveRows(key, height, depth, blockSteps + 1); // the delta rule looks one step ahead
  carveRows(query, height, depth, blockSteps);
  carveRows(value, width, columns, blockSteps);
  if (op.hasDiagonalDecay())
    carveRows(decay, height, depth, blockSteps);
  else if (op.getDecay())
    carveRows(decay, 1, 1, blockSteps);
  if (op.getRate())
    carveRows(rate, 1, 1, blockSteps);
  lookupAt = looksUpDecayedKeys() ? carve((blockSteps + 1) * height) : key.at;
  outputAt = carve(blockSteps * width);
}

//===----------------------------------------------------------------------------===//
// Small words
//===----------------------------------------------------------------------------===//

void StepScan::clear(int64_t at, int64_t elements) {
  carry(index(at), index(at + llvm::alignTo(elements, 16)), 16, {}, [&](Value offset, ValueRange) {
    for (unsigned part = 0; part < 16; part += lanes)
      store(zero(), plus(part, offset));
    return SmallVector<Value>();
  });
}

//===----------------------------------------------------------------------------===//
// One tile
//===----------------------------------------------------------------------------===//

void StepScan::emitTile(Value tile) {
  auto split = [&](Value of) {
    Value remainder = builder.createOrFold<arith::RemUIOp>(loc, tile, of);
    tile = builder.createOrFold<arith::DivUIOp>(loc, tile, of);
    return remainder;
  };
  firstColumn = times(split(index(panels)), vectors * lanes);
  head = split(scope.dim(sizes.heads, loc));
  batch = tile;
  state = shared(head, sizes.heads, sizes.states);
  int64_t width = vectors * lanes;
  bool isEven = columns % width == 0;
  columnCount = isEven ? index(width) : scope.minimum(index(width), scope.sub(index(columns), firstColumn, loc), loc);
  if (!op.getInitial() || !isEven || height != depth)
    clear(stateAt, height * width);
  for (Track *track : {&query, &key, &value, &decay, &rate})
    if (track->tensor) {
      // What stands behind the last row or column multiplies nothing.
      if (track->row != track->size)
        clear(track->at, track->row * blockSteps);
      track->head =
          shared(track == &query ? head : state, track == &query ? sizes.heads : sizes.states, track->heads());
      Value source = sourceOf(track->tensor);
      track->start =
          startOf(source ? lowering.memoryOf(source) : Value(), track->layout, shapeOf(track->tensor), track->head);
    }
  resultStart = startOf(lowering.resultMemory(), parsed(op.getLayoutOfResult()), shapeOf(op.getResult()), head);
  if (op.getInitial())
    loadState();
  forEachBlock(blockSteps, [&](Value first, Value count) { emitBlock(first, count); });
  if (op.getFinal())
    storeState();
}

void StepScan::emitBlock(Value first, Value count) {
  firstStep = first;
  for (Track *track : {&query, &key, &value, &decay, &rate})
    if (track->tensor)
      stage(*track, first, count);
  advanceBlock(count);
  emitLoop(scope, loc, index(0), count, [&](Value step) { storeRow(step, plus(first, step)); });
}

//===----------------------------------------------------------------------------===//
// Between memory and scratch
//===----------------------------------------------------------------------------===//

LaneValue StepScan::columnAt(const LaneValue &j) {
  LaneValue column = j;
  column.value = plus(firstColumn, j.value);
  return column;
}

/// Rows [first, first + count) of an operand.
void StepScan::stage(Track &track, Value first, Value count) {
  bool isValue = &track == &value;
  // One element by itself: a vector's store of which one lane counts is not forwarded to what reads it next.
  unsigned width = track.row == 1 ? 1 : lanes;
  Value size = isValue ? columnCount : index(track.size);
  emitLoop(scope, loc, index(0), count, [&](Value step) {
    emitLaneLoop(scope, loc, size, width, [&](RegionEmitter &emitter, const LaneValue &j) {
      Value n = plus(first, step);
      Value element = read(emitter, track, LaneValue::uniform(track.head), n, isValue ? columnAt(j) : j);
      emitter.store(lanesOf(emitter, element), scratch, placeOf(track, step, j.value));
    });
  });
}

/// Row [batch, state, d] of the initial or final state, some columns at a time.
void StepScan::forEachOfState(function_ref<void(RegionEmitter &, ArrayRef<LaneValue> at, Value here)> body) {
  emitLoop(scope, loc, index(0), index(depth), [&](Value row) {
    emitLaneLoop(scope, loc, columnCount, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
      LaneValue at[] = {LaneValue::uniform(batch), LaneValue::uniform(state), LaneValue::uniform(row), columnAt(j)};
      body(emitter, at, plus(stateOf(row, 0), j.value));
    });
  });
}

void StepScan::loadState() {
  forEachOfState([&](RegionEmitter &emitter, ArrayRef<LaneValue> at, Value here) {
    emitter.store(lanesOf(emitter, read(emitter, op.getInitial(), at)), scratch, here);
  });
}

void StepScan::storeState() {
  forEachOfState([&](RegionEmitter &emitter, ArrayRef<LaneValue> at, Value here) {
    finishState(emitter, at, emitter.materialise(emitter.loadConsecutive(scratch, here)));
  });
}

/// Row `step` of the block is row `n` of the result.
void StepScan::storeRow(Value step, Value n) {
  bool isSideBySide = parsed(op.getLayoutOfResult()).strideOf('d', shapeOf(op.getResult())) == Dim(1);
  emitLaneLoop(scope, loc, columnCount, isSideBySide ? lanes : 1, [&](RegionEmitter &emitter, const LaneValue &j) {
    Value sum = emitter.materialise(emitter.loadConsecutive(scratch, plus(outputOf(step, 0), j.value)));
    finish(emitter, LaneValue::uniform(head), n, columnAt(j), sum);
  });
}

//===----------------------------------------------------------------------------===//
// Memory ahead of its use
//===----------------------------------------------------------------------------===//

/// What a row is read from: past maps that read it in place.
Value StepScan::sourceOf(Value tensor) {
  auto map = tensor.getDefiningOp<MapOp>();
  if (!map)
    return tensor;
  auto same = llvm::find_if(map.getInputs(), [&](Value input) { return shapeOf(input) == shapeOf(tensor); });
  return same == map.getInputs().end() ? Value() : sourceOf(*same);
}

/// Where the tile's first row stands; null where rows are not elements side by side in memory.
Value StepScan::startOf(Value memory, const AttentionLayout &layout, ArrayRef<Dim> shape, Value ofHead) {
  if (!memory || layout.strideOf('d', shape) != Dim(1) || layout.strideOf('n', shape) == Dim(0))
    return {};
  auto along = [&](char role, Value position) {
    return scope.mul(position, scope.dim(layout.strideOf(role, shape), loc), loc);
  };
  return plus(plus(scope.dim(layout.offset(shape), loc), along('b', batch)), along('h', ofHead));
}

void StepScan::fetchRow(Value tensor, const AttentionLayout &layout, Value memory, Value start, Value row, int64_t size,
                        bool isWrite) {
  Value from = plus(start, scope.mul(row, scope.dim(layout.strideOf('n', shapeOf(tensor)), loc), loc));
  int64_t line = lineBytes * 8 / cast<MemRefType>(memory.getType()).getElementTypeBitWidth();
  for (int64_t d = 0; d < size; d += line)
    memref::PrefetchOp::create(builder, loc, memory, plus(d, from), isWrite, /*localityHint=*/3, /*isDataCache=*/true);
}

void StepScan::fetchPart(Value part, int64_t rowsOfPart) {
  Value last = plus(-1, scope.dim(sizes.steps, loc));
  for (int64_t r = 0; r < rowsOfPart; ++r) {
    Value row = plus(firstStep, plus(r, times(part, rowsOfPart)));
    Value next = scope.minimum(plus(blockSteps, row), last, loc);
    for (Track *track : {&query, &key, &value, &decay})
      if (track->start) {
        bool isValue = track == &value;
        fetchRow(track->tensor, track->layout, lowering.memoryOf(sourceOf(track->tensor)),
                 isValue ? plus(track->start, firstColumn) : track->start, next,
                 isValue ? std::min(columns, vectors * lanes) : track->size, /*isWrite=*/false);
      }
    if (resultStart)
      fetchRow(op.getResult(), parsed(op.getLayoutOfResult()), lowering.resultMemory(), plus(resultStart, firstColumn),
               scope.minimum(row, last, loc), std::min(columns, vectors * lanes), /*isWrite=*/true);
  }
}

//===----------------------------------------------------------------------------===//
// A block of steps
//===----------------------------------------------------------------------------===//

/// The factor of row `row` at `step`, in every lane.
Value StepScan::factorOf(Value step, Value row) {
  return broadcast(placeOf(decay, step, op.hasDiagonalDecay() ? row : index(0)));
}

void StepScan::advanceBlock(Value count) {
  if (looksUpDecayedKeys())
    decayKeys(count);
  if (op.getRate())
    followRule(count);
  else
    accumulate(count);
}

/// Without a rate: R rows over all steps of the block, then the next R.
void StepScan::accumulate(Value count) {
  emitLoop(scope, loc, index(0), count, [&](Value step) {
    for (int64_t v = 0; v < vectors; ++v)
      store(zero(), outputOf(step, v));
  });
  int64_t parts = std::max<int64_t>(1, height / rows);
  carry(index(0), index(height), rows, {}, [&](Value row, ValueRange) {
    fetchPart(builder.createOrFold<arith::DivUIOp>(loc, row, index(rows)), llvm::divideCeil(blockSteps, parts));
    SmallVector<Value> tile;
    for (int64_t r = 0; r < rows; ++r)
      llvm::append_range(tile, eachVector([&](int64_t v) { return load(stateOf(plus(r, row), v)); }));
    tile =
        carry(index(0), count, 1, tile, [&](Value step, ValueRange carried) { return takeStep(step, row, carried); });
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < vectors; ++v)
        store(tile[r * vectors + v], stateOf(plus(r, row), v));
    return SmallVector<Value>();
  });
}

StepScan::Values StepScan::takeStep(Value step, Value row, ValueRange tile) {
  SmallVector<Value> input = eachVector([&](int64_t v) { return load(placeOf(value, step, index(v * lanes))); });
  SmallVector<Value> output = eachVector([&](int64_t v) { return load(outputOf(step, v)); });
  SmallVector<Value> next;
  Value common = op.getDecay() && !op.hasDiagonalDecay() ? factorOf(step, row) : Value();
  for (int64_t r = 0; r < rows; ++r) {
    Value here = plus(r, row);
    Value factor = op.hasDiagonalDecay() ? factorOf(step, here) : common;
    Value k = broadcast(placeOf(key, step, here)), q = broadcast(placeOf(query, step, here));
    for (int64_t v = 0; v < vectors; ++v) {
      next.push_back(advance(tile[r * vectors + v], factor, k, input[v]));
      output[v] = fma(q, next.back(), output[v]);
    }
  }
  for (int64_t v = 0; v < vectors; ++v)
    store(output[v], outputOf(step, v));
  return next;
}

/// a k, by which a column that has not decayed yet is looked up.
void StepScan::decayKeys(Value count) {
  emitLoop(scope, loc, index(0), count, [&](Value step) {
    emitLoop(scope, loc, index(0), index(depth), [&](Value d) {
      auto element = [&](Track &track) { return loadScalar(placeOf(track, step, d)); };
      memref::StoreOp::create(builder, loc, product(element(key), element(decay)), scratch, lookupOf(step, d));
    });
  });
}

Value StepScan::lookupOf(Value step, Value row) { return plus(plus(lookupAt, times(step, height)), row); }

/// The delta rule: one walk down the columns for each step.
void StepScan::followRule(Value count) {
  SmallVector<Value> zeros(vectors, zero());
  SmallVector<Value> found = carry(index(0), index(height), 1, zeros, [&](Value row, ValueRange sums) {
    Value k = broadcast(lookupOf(index(0), row));
    return eachVector([&](int64_t v) { return fma(k, load(stateOf(row, v)), sums[v]); });
  });
  carry(index(0), count, 1, found, [&](Value step, ValueRange found) {
    fetchPart(step, 1);
    Value factor = op.getDecay() && !op.hasDiagonalDecay() ? factorOf(step, index(0)) : Value();
    Value beta = broadcast(placeOf(rate, step, index(0)));
    SmallVector<Value> written = eachVector([&](int64_t v) {
      Value old = factor ? product(factor, found[v]) : found[v];
      Value wanted = load(placeOf(value, step, index(v * lanes)));
      return product(beta, arith::SubFOp::create(builder, loc, wanted, old));
    });
    return walkColumns(step, factor, written);
  });
}

/// Writes k wᵀ, reads o, and gives what the next step's key finds.
StepScan::Values StepScan::walkColumns(Value step, Value common, ArrayRef<Value> written) {
  SmallVector<Value> zeros(2 * vectors, zero());
  SmallVector<Value> sums = carry(index(0), index(height), rows, zeros, [&](Value row, ValueRange carried) {
    SmallVector<Value> next(carried);
    for (int64_t r = 0; r < rows; ++r) {
      Value here = plus(r, row);
      Value factor = op.hasDiagonalDecay() ? factorOf(step, here) : common;
      Value k = broadcast(placeOf(key, step, here)), q = broadcast(placeOf(query, step, here));
      Value ahead = broadcast(lookupOf(plus(1, step), here));
      for (int64_t v = 0; v < vectors; ++v) {
        Value moved = advance(load(stateOf(here, v)), factor, k, written[v]);
        store(moved, stateOf(here, v));
        next[v] = fma(q, moved, next[v]);
        next[vectors + v] = fma(ahead, moved, next[vectors + v]);
      }
    }
    return next;
  });
  for (int64_t v = 0; v < vectors; ++v)
    store(sums[v], outputOf(step, v));
  return SmallVector<Value>(ArrayRef<Value>(sums).drop_front(vectors));
}

FailureOr<KernelGrid> lowerScan(KernelLowering &lowering, ScanOp scan) {
  if (scan.getTransition())
    return lowerTransitionScan(lowering, scan);
  if (isInChunks(scan))
    return lowerChunkScan(lowering, scan);
  if (std::optional<KernelGrid> grid = lowerChannelScan(lowering, scan))
    return *grid;
  return StepScan(lowering, scan).lower();
}

} // namespace tenon
