//===- LowerFlashAttention.cpp - tiles of queries, tiles of keys ---------------------===//
//
// The outer half of FlashAttention.h: where operands lie, what a worker keeps in scratch, which tiles of keys a
// block of queries takes in, and how its results are stored.
//
#include "passes/attention/FlashAttention.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/attention/RegionAnalysis.h"
#include "passes/lowering/TransposeTile.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {

/// Groups of queries that take a tile of keys in, one after another, share what copying it costs; at most.
static constexpr int64_t mostGroups = 16;
/// Dead ends of a tile are cut in pieces of this many keys.
static constexpr int64_t trimStep = 16;

//===----------------------------------------------------------------------------===//
// Shapes and scratch
//===----------------------------------------------------------------------------===//

LogicalResult FlashLowering::readOperand(FlashOperand &operand, unsigned layout, Value tensor, int64_t depth,
                                         StringRef what) {
  std::string error;
  operand.layout = *AttentionLayout::parse(op.getLayout(layout), error);
  operand.shape = shapeOf(tensor);
  operand.memory = lowering.memoryOf(tensor);
  std::optional<int64_t> row = operand.layout.strideOf('n', operand.shape).constant();
  if (!operand.memory || !row || operand.layout.strideOf('d', operand.shape) != Dim(1) || elementOf(tensor).isF64())
    return op.emitOpError("flash wants the ")
           << what << " in memory as f32, bf16 or f16, rows a constant distance apart and their elements side by side";
  operand.row = *row;
  operand.isCopied = *row != depth || !elementOf(tensor).isF32();
  return success();
}

LogicalResult FlashLowering::readShapes() {
  sizes = op.getSizes();
  if (op.getKeys().size() != 1 || !sizes.depth.constant() || !sizes.valueDepth.constant())
    return op.emitOpError("flash wants one source and a constant depth");
  keyRow = depth = *sizes.depth.constant();
  valueRow = valueDepth = *sizes.valueDepth.constant();
  guarded = op.hasWeight() && isNaNGuard(op.getWeight());
  factored = op.hasWeight() && op.getNormaliser() != Normaliser::None && isProportional(op.getWeight());
  twoPhases = op.hasWeight() && !guarded && !factored && op.getNormaliser() != Normaliser::None;
  revives = op.hasKeep() && (op.getEmpty() == EmptyRow::Uniform || op.getEmpty() == EmptyRow::IgnoreKeep);
  isOneStep = !op.hasKeep() && !twoPhases && !chooses() && hasOneTile();
  if (revives && (twoPhases || op.getNormaliser() == Normaliser::None))
    return op.emitOpError("flash gives rows without live keys no weights but those of a softmax or sum");
  if (StringRef reason = whyNotChosen(op); !reason.empty())
    return op.emitOpError("cannot choose keys tile by tile: ") << reason;
  TargetAttr target = lowering.target;
  tile = {unsigned(target.getVectorBits() / 32), unsigned(target.getVectorRegisters()), unsigned(target.getRowTile())};
  lanes = tile.lanes;
  width = tile.panelsAt(tile.rows) * RegisterTile::panelWidth;
  form = scoreForm();
  std::string error;
  resultLayout = *AttentionLayout::parse(op.getLayout(3), error);
  if (resultLayout.strideOf('d', shapeOf(op.getResult())) != Dim(1))
    return op.emitOpError("flash wants the elements of a row of the result side by side");
  if (failed(readOperand(query, 0, op.getQuery(), depth, "query")) ||
      failed(readOperand(key, 1, op.getKeys()[0], depth, "keys")))
    return failure();
  if (failed(readOperand(value, 2, op.getValues()[0], valueDepth, "values")))
    return failure();
  if (isHard())
    value.isCopied = false; // read row by row, when all keys have passed
  return readPositions();
}

int64_t FlashLowering::carve(int64_t floats) {
  int64_t at = scratchFloats;
  scratchFloats += llvm::alignTo(floats, RegisterTile::panelWidth);
  return at;
}

void FlashLowering::carveScratch() {
  scoresAt = carve(keyTile * width);
  keysAt = carve(key.isCopied ? keyTile * keyRow : 0);
  valuesAt = carve(value.isCopied ? keyTile * valueRow : 0);
  carvePositions();
  // The state of the first group; the others' follow.
  int64_t states = scratchFloats;
  queriesAt = carve(depth * width);
  carvePositionQueries();
  outputAt = carve(llvm::alignTo(valueDepth, lanes) * width);
  maximumAt = carve(rankCount() * width);
  sumAt = carve(width);
  liveAt = carve(width);
  placeAt = carve(isHard() ? width : 0);
  stateFloats = scratchFloats - states;
  // Their states stay in a part of the second-level cache.
  groupsPerTile = std::clamp<int64_t>(lowering.target.getL2Bytes() / 3 / (4 * stateFloats), 1, mostGroups);
  carve(stateFloats * (groupsPerTile - 1));
  scratch = scope.function.scratch(builder, loc, builder.getF32Type(), index(0));
  placeMemory = scope.function.scratch(builder, loc, builder.getI32Type(), index(0));
}

FailureOr<KernelGrid> FlashLowering::lower() {
  if (failed(readShapes()))
    return failure();
  carveScratch();
  if (op.hasKeep())
    intervals.emplace(lowering, op.getKeep(), op.getCaptures());
  if (intervals && !intervals->decides())
    intervals.reset();
  ModuleOp module = scope.function.function()->getParentOfType<ModuleOp>();
  scoreTile.emplace(TileFunction::get(module, tile, {keyRow, 16, width, 1, /*fetchesAhead=*/false}));
  if (!isHard())
    valueTile.emplace(TileFunction::get(module, tile, {1, width, width, valueRow, /*fetchesAhead=*/false}));
  makePositionTiles(module);
  Dim blocks = sizes.queries.ceilDiv(Dim(width * groupsPerTile));
  queryBlocks = scope.dim(blocks, loc);
  emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value number) { emitTile(number); });
  return KernelGrid{sizes.batch * sizes.heads * blocks, Dim(4 * scratchFloats)};
}

//===----------------------------------------------------------------------------===//
// One tile of queries
//===----------------------------------------------------------------------------===//

Value FlashLowering::startOf(const FlashOperand &operand, Value b, Value h) {
  Value start = scope.dim(operand.layout.offset(operand.shape), loc);
  start = plus(start, scope.mul(b, scope.dim(operand.layout.strideOf('b', operand.shape), loc), loc));
  return plus(start, scope.mul(h, scope.dim(operand.layout.strideOf('h', operand.shape), loc), loc));
}

void FlashLowering::locate(Value number) {
  Value block = builder.createOrFold<arith::RemUIOp>(loc, number, queryBlocks);
  Value batchHead = builder.createOrFold<arith::DivUIOp>(loc, number, queryBlocks);
  Value heads = scope.dim(sizes.heads, loc);
  head = builder.createOrFold<arith::RemUIOp>(loc, batchHead, heads);
  batch = builder.createOrFold<arith::DivUIOp>(loc, batchHead, heads);
  Value perKeyHead = scope.dim(sizes.heads.floorDiv(sizes.keyHeads), loc);
  Value keyHead = builder.createOrFold<arith::DivUIOp>(loc, head, perKeyHead);
  query.start = startOf(query, batch, head);
  key.start = startOf(key, batch, keyHead);
  value.start = startOf(value, batch, keyHead);
  locatePositions();
  blockStart = times(block, width * groupsPerTile);
  Value left = minus(scope.dim(sizes.queries, loc), blockStart);
  groups = scope.minimum(builder.createOrFold<arith::DivUIOp>(loc, plus(width - 1, left), index(width)),
                         index(groupsPerTile), loc);
}

void FlashLowering::emitTile(Value number) {
  locate(number);
  forEachGroup([&] {
    packQueryPanels({query.memory, query.start, index(query.row), Value()}, depth, queriesAt);
    packPositionQueries();
    initialise();
  });
  if (chooses())
    emitKeyLoop(Phase::Choose);
  if (!isHard())
    emitKeyLoop(twoPhases ? Phase::Statistics : Phase::Stream);
  if (twoPhases) {
    forEachGroup([&] { invertSums(); });
    emitKeyLoop(Phase::Weigh);
  }
  if (revives)
    emitRevival();
  forEachGroup([&] {
    if (isHard())
      takeChosen();
    finish();
  });
}

void FlashLowering::forEachGroup(llvm::function_ref<void()> body) {
  emitLoop(scope, loc, index(0), groups, [&](Value number) {
    enterGroup(number);
    body();
  });
}

/// What follows is about one group of at most `width` queries of the tile.
void FlashLowering::enterGroup(Value number) {
  group = number;
  firstQuery = plus(blockStart, times(group, width));
  queryCount = scope.minimum(index(width), minus(scope.dim(sizes.queries, loc), firstQuery), loc);
  // Whole panels: lanes past the last query work on copies of it.
  panels = builder.createOrFold<arith::DivUIOp>(loc, plus(queryCount, index(15)), index(16));
  columns = times(panels, 16);
  state = times(group, stateFloats);
}

void FlashLowering::initialise() {
  if (isOneStep)
    return;
  forEachVector([&](Value column) {
    initialiseChoice(column);
    store(constant(0), ofGroup(sumAt, column));
    if (op.hasKeep())
      store(constant(0), ofGroup(liveAt, column));
    emitLoop(scope, loc, index(0), index(valueDepth), [&](Value d) { store(constant(0), outputOf(d, column)); });
  });
}

//===----------------------------------------------------------------------------===//
// Which keys
//===----------------------------------------------------------------------------===//

/// Calls body(first, count) for all tiles of keys.
static void forEachKeyTile(KernelScope &scope, Location loc, Value keys, int64_t keyTile,
                           llvm::function_ref<void(Value first, Value count)> body) {
  auto loop = scf::ForOp::create(scope.builder, loc, scope.index(0, loc), keys, scope.index(keyTile, loc));
  OpBuilder::InsertionGuard guard(scope.builder);
  scope.builder.setInsertionPointToStart(loop.getBody());
  Value first = loop.getInductionVar();
  body(first, scope.minimum(scope.index(keyTile, loc), scope.sub(keys, first, loc), loc));
}

void FlashLowering::emitKeyLoop(Phase phase) {
  Value queriesEnd = scope.minimum(plus(blockStart, times(groups, width)), scope.dim(sizes.queries, loc), loc);
  forEachKeyTile(scope, loc, scope.dim(sizes.keys, loc), keyTile, [&](Value first, Value count) {
    if (!intervals)
      return emitBlockOfKeys(first, count, phase);
    AttentionBox box{batch, head, blockStart, minus(queriesEnd, index(1)), first, plus(first, minus(count, index(1)))};
    emitIf(intervals->evaluate(box).some, [&] { emitBlockOfKeys(first, count, phase); });
  });
}

void FlashLowering::emitBlockOfKeys(Value firstKey, Value count, Phase phase) {
  FlashKeys keys = takeKeys(firstKey, count);
  forEachGroup([&] {
    fetchRows(key, depth, firstKey);
    fetchRows(value, valueDepth, firstKey);
    if (intervals)
      emitMaskedStep(keys, phase);
    else
      emitStep(keys, op.hasKeep() ? Masking::Keep : Masking::None, phase);
  });
}

AttentionBox FlashLowering::groupBox(const FlashKeys &keys) {
  return {batch, head, firstQuery, plus(firstQuery, minus(queryCount, index(1))), keys.first,
          plus(keys.first, minus(keys.count, index(1)))};
}

void FlashLowering::emitMaskedStep(const FlashKeys &keys, Phase phase) {
  KeepTruth truth = intervals->evaluate(groupBox(keys));
  emitIf(truth.some, [&] {
    emitIf(truth.every, [&] { emitStep(keys, Masking::None, phase); },
           [&] { emitStep(trimmed(keys), Masking::Keep, phase); });
  });
}

/// Without the pieces at both ends that are dead.
FlashKeys FlashLowering::trimmed(const FlashKeys &keys) {
  auto loop = scf::ForOp::create(builder, loc, index(0), keys.count, index(trimStep), ValueRange{keys.count, index(0)});
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value from = loop.getInductionVar();
    FlashKeys piece = keys;
    piece.first = plus(keys.first, from);
    piece.count = scope.minimum(index(trimStep), minus(keys.count, from), loc);
    Value some = intervals->evaluate(groupBox(piece)).some;
    Value begin = scope.minimum(loop.getRegionIterArg(0), from, loc);
    Value yieldedBegin = arith::SelectOp::create(builder, loc, some, begin, loop.getRegionIterArg(0));
    Value yieldedEnd = arith::SelectOp::create(builder, loc, some, plus(from, piece.count), loop.getRegionIterArg(1));
    scf::YieldOp::create(builder, loc, ValueRange{yieldedBegin, yieldedEnd});
  }
  Value begin = loop.getResult(0), end = loop.getResult(1);
  FlashKeys result = keys;
  result.first = plus(keys.first, begin);
  result.count = builder.createOrFold<arith::MaxSIOp>(loc, minus(end, begin), index(0));
  result.keysAt = plus(keys.keysAt, times(begin, keyRow));
  result.valuesAt = plus(keys.valuesAt, times(begin, valueRow));
  return result;
}

/// Rows no key was live in take in all keys, by the rule of the op.
void FlashLowering::emitRevival() {
  Value keyCount = scope.dim(sizes.keys, loc);
  forEachGroup([&] {
    Value none = arith::ConstantIntOp::create(builder, loc, 0, 1);
    auto scan = scf::ForOp::create(builder, loc, index(0), columns, index(lanes), none);
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(scan.getBody());
      Value live = load(ofGroup(liveAt, scan.getInductionVar()));
      Value empty = anyOf(compare(arith::CmpFPredicate::OEQ, live, constant(0)));
      scf::YieldOp::create(builder, loc,
                           Value(arith::OrIOp::create(builder, loc, scan.getRegionIterArg(0), empty)));
    }
    emitIf(scan.getResult(0), [&] {
      auto takeAll = [&](Phase phase) {
        forEachKeyTile(scope, loc, keyCount, keyTile, [&](Value first, Value count) {
          emitStep(takeKeys(first, count), Masking::EmptyRows, phase);
        });
      };
      if (chooses())
        takeAll(Phase::Choose);
      if (!isHard())
        takeAll(Phase::Stream);
      Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sgt, keyCount, index(0));
      Value mark = arith::SelectOp::create(builder, loc, any, constant(1), constant(0));
      forEachVector([&](Value column) {
        Value live = load(ofGroup(liveAt, column));
        Value isEmpty = compare(arith::CmpFPredicate::OEQ, live, constant(0));
        store(select(isEmpty, mark, live), ofGroup(liveAt, column));
      });
    });
  });
}

//===----------------------------------------------------------------------------===//
// Where the products read keys and values
//===----------------------------------------------------------------------------===//

void FlashLowering::copyRows(const FlashOperand &operand, int64_t depth, Value first, Value count, int64_t to) {
  int64_t whole = depth / lanes * lanes;
  emitLoop(scope, loc, index(0), count, [&](Value row) {
    Value from = plus(operand.start, times(plus(first, row), operand.row));
    Value target = plus(to, times(row, depth));
    auto loop = scf::ForOp::create(builder, loc, index(0), index(whole), index(lanes));
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value d = loop.getInductionVar();
      store(loadAsF32(builder, loc, operand.memory, plus(from, d), lanes), plus(target, d));
    }
    for (int64_t d = whole; d < depth; ++d) {
      memref::StoreOp::create(builder, loc, loadAsF32(builder, loc, operand.memory, plus(d, from)), scratch,
                              plus(d, target));
    }
  });
}

/// Asks for this group's share of the rows of the tile after this one: hardware does not follow rows that lie in
/// different pages, and all of them at once would wait for each other.
void FlashLowering::fetchRows(const FlashOperand &operand, int64_t depth, Value first) {
  if (hasOneTile() || !operand.isCopied)
    return;
  int64_t lineElements = 512 / cast<MemRefType>(operand.memory.getType()).getElementTypeBitWidth();
  Value last = minus(scope.dim(sizes.keys, loc), index(1));
  Value share = builder.createOrFold<arith::DivUIOp>(loc, plus(keyTile - 1, groups), groups);
  Value from = scope.mul(group, share, loc), to = scope.minimum(plus(from, share), index(keyTile), loc);
  emitLoop(scope, loc, from, to, [&](Value row) {
    Value next = scope.minimum(plus(keyTile, plus(first, row)), last, loc);
    Value start = plus(operand.start, times(next, operand.row));
    for (int64_t d = 0; d < depth; d += lineElements)
      memref::PrefetchOp::create(builder, loc, operand.memory, plus(d, start), /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
  });
}

FlashKeys FlashLowering::takeKeys(Value firstKey, Value count) {
  FlashKeys keys{firstKey, count, key.memory, plus(key.start, times(firstKey, key.row)),
                 value.memory, plus(value.start, times(firstKey, value.row))};
  if (key.isCopied) {
    copyRows(key, depth, firstKey, count, keysAt);
    keys.keys = scratch;
    keys.keysAt = index(keysAt);
  }
  if (value.isCopied) {
    copyRows(value, valueDepth, firstKey, count, valuesAt);
    keys.values = scratch;
    keys.valuesAt = index(valuesAt);
  }
  return keys;
}

//===----------------------------------------------------------------------------===//
// The end
//===----------------------------------------------------------------------------===//

void FlashLowering::invertSums() {
  forEachVector([&](Value column) {
    Value sum = load(ofGroup(sumAt, column));
    store(arith::DivFOp::create(builder, loc, constant(1), sum), ofGroup(sumAt, column));
  });
}

/// What O^T is multiplied with, and where the result is zero whatever it is: behind a guard a row of NaN weights.
std::pair<Value, Value> FlashLowering::normaliser(Value column) {
  if (op.getNormaliser() == Normaliser::None || twoPhases || isHard())
    return {Value(), Value()};
  Value sum = load(ofGroup(sumAt, column));
  Value factor = arith::DivFOp::create(builder, loc, constant(1), sum);
  return {factor, guarded ? compare(arith::CmpFPredicate::UEQ, sum, constant(0)) : Value()};
}

void FlashLowering::finish() {
  bool isNaN = op.hasKeep() && op.getEmpty() == EmptyRow::NaN;
  Value noKeys = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, scope.dim(sizes.keys, loc), index(0));
  Value ofEmptyRow = constant(0); // without any key by every rule
  if (isNaN)
    ofEmptyRow = arith::SelectOp::create(builder, loc, noKeys, ofEmptyRow,
                                         constant(std::numeric_limits<float>::quiet_NaN()));
  forEachVector([&](Value column) {
    auto [factor, isZero] = normaliser(column);
    Value isEmpty = noKeys;
    if (op.hasKeep())
      isEmpty = compare(arith::CmpFPredicate::OEQ, load(ofGroup(liveAt, column)), constant(0));
    auto finished = [&, factor = factor, isZero = isZero](Value d) -> Value {
      Value output = load(outputOf(d, column));
      if (factor)
        output = multiply(output, factor);
      if (isZero)
        output = select(isZero, constant(0), output);
      return arith::SelectOp::create(builder, loc, isEmpty, ofEmptyRow, output);
    };
    auto loop = scf::ForOp::create(builder, loc, index(0), index(llvm::alignTo(valueDepth, lanes)), index(lanes));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value d = loop.getInductionVar();
    SmallVector<Value> block;
    for (unsigned i = 0; i < lanes; ++i)
      block.push_back(finished(plus(i, d)));
    SmallVector<Value> rows = transposeTile(builder, loc, block);
    for (auto [lane, row] : llvm::enumerate(rows))
      storeRow(row, plus(lane, column), d);
  });
}

/// Elements d… of one query's result, if there is such a query.
void FlashLowering::storeRow(Value row, Value column, Value d) {
  Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, column, queryCount);
  emitIf(exists, [&] {
    if (valueDepth % lanes == 0)
      return storeElements(lanes, LaneValue::varying(row), column, LaneValue::linear(d));
    for (unsigned i = 0; i < lanes; ++i) {
      Value at = plus(i, d);
      Value element = vector::ExtractOp::create(builder, loc, row, int64_t(i));
      emitIf(arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, index(valueDepth)), [&] {
        storeElements(1, LaneValue::uniform(element, true), column, LaneValue::uniform(at));
      });
    }
  });
}

void FlashLowering::storeElements(unsigned count, LaneValue elements, Value column, LaneValue d) {
  RegionEmitter emitter(scope, count, loc);
  SmallVector<Value> strides = scope.strides(shapeOf(op.getResult()), loc);
  SmallVector<LaneValue> indices;
  Value offset = index(0);
  for (auto [role, fixed, stride] : llvm::zip(resultLayout.roles, resultLayout.fixed, strides)) {
    LaneValue at = role == 'b'   ? LaneValue::uniform(batch)
                   : role == 'h' ? LaneValue::uniform(head)
                   : role == 'n' ? LaneValue::uniform(plus(firstQuery, column))
                   : role == 'd' ? d
                                 : LaneValue::uniform(index(fixed));
    offset = plus(offset, scope.mul(at.value, stride, loc));
    indices.push_back(at);
  }
  elements.value = convertFloat(builder, loc, elements.value, elementOf(op.getResult()));
  lowering.finish(emitter, indices, offset, elements);
}

FailureOr<KernelGrid> lowerAttention(KernelLowering &lowering, Operation *op) {
  return llvm::TypeSwitch<Operation *, FailureOr<KernelGrid>>(op)
      .Case([&](AttentionOp attention) { return FlashLowering(lowering, attention).lower(); })
      .Case([&](AttentionUpdateOp update) { return lowerAttentionUpdate(lowering, update); })
      .Case([&](AttentionMergeOp merge) { return lowerAttentionMerge(lowering, merge); })
      .Case([&](AttentionFinishOp finish) { return lowerAttentionFinish(lowering, finish); })
      .Default([](Operation *other) -> FailureOr<KernelGrid> {
        return other->emitError("no lowering to a kernel for '") << other->getName() << "'";
      });
}

} // namespace tenon
