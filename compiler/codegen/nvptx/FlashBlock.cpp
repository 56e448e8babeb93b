//===- FlashBlock.cpp - tiles of queries, tiles of keys ------------------------------===//
//
// The outer half of FlashBlock.h: where operands lie, which tiles of keys a block takes in and when they arrive.
//
#include "compiler/codegen/nvptx/FlashBlock.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {

FlashBlock::FlashBlock(DeviceLowering &device, FlashShape of) : device(device), shape(std::move(of)) {
  Type word = builder.getI32Type();
  shared = math.pointerOf(shape.launchedBytes() ? device.function.launchedShared(builder, loc, word)
                                                : device.function.shared(builder, loc, word, shape.allWords()));
  thread = device.function.thread;
  lane = index.rem(thread, TensorCore::warp);
  Value number = index.div(thread, TensorCore::warp);
  warp = index.rem(number, shape.rowWarps());
  keyWarp = index.div(number, shape.rowWarps());
  if (task.keep)
    intervals.emplace(device.kernel, *task.keep, task.captures);
  if (intervals && !intervals->decides())
    intervals.reset();
}

void FlashBlock::emit() {
  locate();
  locateDistances();
  if (shape.kind == WordKind::F32)
    storeMasks();
  readQueries();
  readPositionQueries();
  State state = overKeys(initial(), Masking::Keep);
  if (shape.revives())
    state = revive(state);
  finish(state);
}

//===----------------------------------------------------------------------------===//
// Where operands lie
//===----------------------------------------------------------------------------===//

FlashBlock::Operand FlashBlock::operand(Value tensor, unsigned number, int64_t depth) {
  Operand operand{OperandWords(device, tensor, shape.kind), task.layout(number), shapeOf(tensor), {}, {}, {}, depth};
  auto stride = [&](char role) { return scope.dim(operand.layout.strideOf(role, operand.dims), loc); };
  operand.start = scope.dim(operand.layout.offset(operand.dims), loc);
  operand.start = scope.add(operand.start, scope.mul(batch, stride('b'), loc), loc);
  operand.head = stride('h');
  operand.row = stride('n');
  return operand;
}

/// Sixteen bytes at a time.
bool FlashBlock::isCopied(const Operand &operand) {
  Dim distances[] = {Dim(operand.depth), operand.layout.offset(operand.dims),
                     operand.layout.strideOf('b', operand.dims), operand.layout.strideOf('h', operand.dims),
                     operand.layout.strideOf('n', operand.dims)};
  return llvm::all_of(distances, [&](const Dim &dim) { return operand.words.mayCopy(dim); });
}

/// Blocks of rows, which read the same keys, follow each other; then heads, batches, parts.
void FlashBlock::locate() {
  Value rest = device.function.block;
  auto split = [&](const Dim &of) {
    Value size = scope.dim(of, loc), last = index.rem(rest, size);
    rest = index.div(rest, size);
    return last;
  };
  firstRow = index.mul(split(shape.rowBlocks()), shape.rows());
  head = split(shape.packedHeads());
  batch = task.parts == Dim(1) ? rest : split(task.sizes.batch);
  part = task.parts == Dim(1) ? index.constant(0) : rest;
  rowCount = scope.dim(shape.allRows(), loc);
  firstQuery = index.div(firstRow, shape.group);
  keyHead = shape.group > 1 ? head : index.div(head, scope.dim(task.sizes.heads.floorDiv(task.sizes.keyHeads), loc));
  Value keyCount = scope.dim(task.sizes.keys, loc);
  firstKey = index.mul(part, task.keysOfPart.value_or(0));
  keyEnd = task.keysOfPart ? index.min(index.add(firstKey, *task.keysOfPart), keyCount) : keyCount;
  query.emplace(operand(task.query, 0, shape.depth));
  key.emplace(operand(task.key, 1, shape.depth));
  value.emplace(operand(task.value, 2, shape.valueDepth));
}

/// Of row `number` of the block, or the last one there is.
FlashBlock::Row FlashBlock::rowOf(Value number) {
  Value row = index.min(index.add(firstRow, number), index.sub(rowCount, index.constant(1)));
  if (shape.group == 1)
    return {row, head};
  return {index.div(row, shape.group), index.add(index.mul(head, shape.group), index.rem(row, shape.group))};
}

void FlashBlock::bring(const Rows &rows, Value to, function_ref<Value(Value)> startOf,
                       function_ref<Value(Value)> existsOf) {
  Value depth = index.constant(rows.depth);
  int64_t unitWords = rows.areCopied ? OperandWords::copyBytes / 4 : 1, units = rows.words / unitWords;
  auto loop =
      scf::ForOp::create(builder, loc, thread, index.constant(rows.count * units), index.constant(FlashShape::threads));
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value row = index.div(loop.getInductionVar(), units), start = startOf(row);
  Value word = index.mul(index.rem(loop.getInductionVar(), units), unitWords);
  Value k = rows.source.stepOf(word), at = index.add(to, index.add(index.mul(row, rows.pitch), word));
  Value exists = existsOf ? existsOf(row) : Value();
  if (rows.areCopied) {
    Value lastCopy = index.constant(rows.depth - rows.source.copiedElements());
    Value isWord = isBelow(k, depth);
    exists = exists ? Value(arith::AndIOp::create(builder, loc, exists, isWord)) : isWord;
    return rows.source.copy(index.add(start, index.min(k, lastCopy)), shared, at, exists);
  }
  Value loaded = rows.source.word(k, depth, [&](Value step) {
    return index.add(start, rows.element ? index.mul(step, rows.element) : step);
  });
  if (exists)
    loaded = select(exists, loaded, arith::ConstantOp::create(builder, loc, builder.getZeroAttr(loaded.getType())));
  math.store(loaded, shared, at);
}

/// A tile's rows from key `first` on; those of keys that do not exist are zeros.
void FlashBlock::loadKeys(const Operand &operand, Value first, int64_t words, int64_t pitch, Value at) {
  Value last = index.sub(keyEnd, index.constant(1));
  Value start = index.add(operand.start, index.mul(keyHead, operand.head));
  bring({operand.words, isCopied(operand), operand.depth, shape.keys, words, pitch, Value()}, at,
        [&](Value row) { return index.add(start, index.mul(index.min(index.add(first, row), last), operand.row)); },
        [&](Value row) { return isBelow(index.add(first, row), keyEnd); });
}

/// Visible to all behind the barrier of readQueries.
void FlashBlock::storeMasks() {
  emitIf(device.kernel.scope, device.kernel.loc, index.equal(thread, index.constant(0)), [&] {
    auto store = [&](uint32_t mask, int64_t at) {
      math.store(arith::ConstantIntOp::create(builder, loc, int32_t(mask), 32), shared, index.constant(at));
    };
    store(TensorCore::highMask, shape.masksAt());
    store(TensorCore::magnitudeMask, shape.masksAt() + 1);
  });
}

/// By way of shared memory, where the tiles of keys come behind it in the same place unless queries stay.
void FlashBlock::readQueries() {
  bring({query->words, isCopied(*query), query->depth, shape.rows(), shape.words(), shape.keyPitch(), Value()},
        index.constant(shape.areQueriesStored() ? shape.queriesAt() : 0), [&](Value number) {
          Row row = rowOf(number);
          return index.add(query->start,
                           index.add(index.mul(row.head, query->head), index.mul(row.query, query->row)));
        });
  math.commitCopies();
  math.awaitCopies(0);
  math.barrier();
  if (shape.areQueriesStored())
    return;
  Value row = index.mul(warp, TensorCore::tileRows * shape.keyPitch());
  for (int64_t word = 0; word < shape.words(); word += TensorCore::tileWords)
    queryWords.push_back(core.loadWords(shared, index.add(row, word), lane, shape.keyPitch()));
  math.barrier();
}

FlashBlock::Values FlashBlock::queriesOfStep(int64_t step) {
  if (!shape.areQueriesStored())
    return queryWords[step];
  Value row = index.add(index.mul(warp, TensorCore::tileRows * shape.keyPitch()), shape.queriesAt());
  return core.loadWords(shared, index.add(row, step * TensorCore::tileWords), lane, shape.keyPitch());
}

//===----------------------------------------------------------------------------===//
// Which keys
//===----------------------------------------------------------------------------===//

/// Keys from `first` to before `end` that exist, or the last, for the queries of the block. Heads that are packed have one mask.
AttentionBox FlashBlock::boxOf(Value first, Value end) {
  Value one = index.constant(1), lastRow = index.sub(index.min(index.add(firstRow, shape.rows()), rowCount), one);
  Value from = shape.keyWarps > 1 ? index.min(first, index.sub(keyEnd, one)) : first;
  return {batch, head, firstQuery, index.div(lastRow, shape.group), from, index.sub(index.min(end, keyEnd), one)};
}

/// The tile of keys from `first` on exists and has live ones, for a query of the block.
Value FlashBlock::isLive(Value first) {
  Value exists = isBelow(first, keyEnd);
  if (!intervals)
    return exists;
  auto guard = scf::IfOp::create(builder, loc, exists, [&](OpBuilder &, Location) {
    Value some = intervals->evaluate(boxOf(first, index.add(first, shape.keys))).some;
    scf::YieldOp::create(builder, loc, some);
  }, [&](OpBuilder &, Location) {
    scf::YieldOp::create(builder, loc, Value(arith::ConstantIntOp::create(builder, loc, 0, 1)));
  });
  return guard.getResult(0);
}

/// Asks for the tile of keys from `first` on where it `exists`; either way a group of copies is committed.
void FlashBlock::ask(Value first, Value exists) {
  emitIf(device.kernel.scope, device.kernel.loc, exists, [&] {
    Value number = index.div(first, shape.keys);
    Value at = index.mul(index.rem(number, shape.stages()), shape.stageWords());
    loadKeys(*key, first, shape.words(), shape.keyPitch(), at);
    loadKeys(*value, first, shape.valuePitch() - 4, shape.valuePitch(), index.add(at, shape.keys * shape.keyPitch()));
  });
  math.commitCopies();
}

FlashBlock::State FlashBlock::overKeys(const State &state, Masking masking) {
  auto takesPart = [&](Value first) { return masking == Masking::Keep ? isLive(first) : isBelow(first, keyEnd); };
  int64_t ahead = (shape.stages() - 1) * shape.keys;
  Value now = takesPart(firstKey);
  if (ahead)
    ask(firstKey, now);
  Values carried = flat(state);
  carried.push_back(now);
  auto loop = scf::ForOp::create(builder, loc, firstKey, keyEnd, index.constant(shape.keys), carried);
  {
    OpBuilder::InsertionGuard insertion(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value first = loop.getInductionVar(), next = index.add(first, ahead);
    State before = unflat(loop.getRegionIterArgs().drop_back());
    math.barrier(); // the tile before is done with
    Value nextTakesPart = takesPart(next);
    ask(next, nextTakesPart);
    math.awaitCopies(shape.stages() - 1);
    math.barrier();
    Value at = index.mul(index.rem(index.div(first, shape.keys), shape.stages()), shape.stageWords());
    auto taken = scf::IfOp::create(builder, loc, ahead ? loop.getRegionIterArgs().back() : nextTakesPart,
                                   [&](OpBuilder &, Location) {
                                     scf::YieldOp::create(builder, loc, flat(step(before, first, at, masking)));
                                   },
                                   [&](OpBuilder &, Location) { scf::YieldOp::create(builder, loc, flat(before)); });
    Values yielded(taken.getResults());
    yielded.push_back(nextTakesPart);
    scf::YieldOp::create(builder, loc, yielded);
  }
  math.awaitCopies(0);
  return unflat(loop.getResults().drop_back());
}

/// A second round for the rows of the block that are empty, if there is one.
FlashBlock::State FlashBlock::revive(const State &state) {
  State live = state;
  for (int64_t half : {0, 1})
    live.live[half] = overQuad(state.live[half], /*isMaximum=*/true);
  Value least = arith::MinNumFOp::create(builder, loc, live.live[0], live.live[1]);
  least = math.reduce(least, TensorCore::warp,
                      [&](Value a, Value b) { return arith::MinNumFOp::create(builder, loc, a, b).getResult(); });
  emitIf(device.kernel.scope, device.kernel.loc, index.equal(lane, index.constant(0)),
         [&] { math.store(least, shared, index.add(warp, shape.flagsAt())); });
  math.barrier();
  for (int64_t other = 0; other < FlashShape::warps; ++other)
    least = arith::MinNumFOp::create(
        builder, loc, least, math.load(shared, index.constant(shape.flagsAt() + other), builder.getF32Type()));
  Value isEmpty = compare(arith::CmpFPredicate::OEQ, least, constant(0));
  auto second = scf::IfOp::create(
      builder, loc, isEmpty,
      [&](OpBuilder &, Location) {
        State after = overKeys(live, Masking::EmptyRows);
        Value any = isBelow(firstKey, keyEnd);
        for (Value &flag : after.live)
          flag = select(any, constant(1), flag);
        scf::YieldOp::create(builder, loc, flat(after));
      },
      [&](OpBuilder &, Location) { scf::YieldOp::create(builder, loc, flat(live)); });
  return unflat(second.getResults());
}

} // namespace tenon
