//===- FlashBlock.cpp - tiles of queries, tiles of keys ------------------------------===//
//
// The outer half of FlashBlock.h: where operands lie, which tiles of keys a block takes in and when they arrive, and how
// its rows are stored.
//
#include "compiler/codegen/nvptx/FlashBlock.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/attention/PositionProducts.h"
#include "passes/attention/RegionAnalysis.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// What is taken
//===----------------------------------------------------------------------------===//

/// Shared memory a block has without asking for more.
static constexpr int64_t mostSharedWords = 48 * 1024 / 4;

/// Words of a query, its output and what it multiplies by distance up to which registers hold them beside the scores.
static constexpr int64_t longestRows = 192;

static bool isPlainOperand(AttentionOp op, unsigned layout, Value tensor) {
  std::string error;
  AttentionLayout parsed = *AttentionLayout::parse(op.getLayout(layout), error);
  return isa<BlockArgument>(tensor) && wordKindOf(elementOf(tensor)) && parsed.strideOf('d', shapeOf(tensor)) == Dim(1);
}

/// Why not, or empty.
static StringRef whyNoBlock(AttentionOp op) {
  if (op.getKeys().size() != 1 || op.getNumResults() != 1)
    return "attention with several sources of keys or results has no form of its own";
  if (!isPlainOperand(op, 0, op.getQuery()) || !isPlainOperand(op, 1, op.getKeys()[0]) ||
      !isPlainOperand(op, 2, op.getValues()[0]))
    return "attention on tensor cores wants queries, keys and values in memory as f32, bf16 or f16, rows side by side";
  AttentionOp::Sizes sizes = op.getSizes();
  if (sizes.depth.constant().value_or(FlashShape::mostDepth + 1) > FlashShape::mostDepth ||
      sizes.valueDepth.constant().value_or(FlashShape::mostDepth + 1) > FlashShape::mostDepth)
    return "attention on tensor cores wants constant depths of at most 128";
  if (!llvm::is_contained({Normaliser::Softmax, Normaliser::Sum, Normaliser::None}, op.getNormaliser()))
    return "attention that chooses among keys has no form of its own";
  if (op.hasWeight() && op.getNormaliser() != Normaliser::None && !isNaNGuard(op.getWeight()) &&
      !isProportional(op.getWeight()))
    return "attention whose weight region needs normalised weights has no form of its own";
  for (const PositionProduct &x : PositionProduct::streamed(op)) {
    if (x.depth > FlashShape::mostPositionDepth)
      return "products with positions on tensor cores want depths of at most 64";
    if (!isa<BlockArgument>(x.rows.tensor) || !isa<BlockArgument>(x.table.tensor) || !elementOf(op.getQuery()).isF32())
      return "products with positions on tensor cores want f32 in memory";
  }
  std::string error;
  if (AttentionLayout::parse(op.getLayout(3), error)->strideOf('d', shapeOf(op.getResult())) != Dim(1))
    return "attention on tensor cores wants the elements of a result's row side by side";
  return "";
}

std::optional<FlashShape> FlashShape::of(AttentionOp op, std::string &reason) {
  if (StringRef why = whyNoBlock(op); !why.empty()) {
    reason = why;
    return std::nullopt;
  }
  FlashShape shape{op, op.getSizes(), *wordKindOf(elementOf(op.getQuery())), 0, 0};
  if (elementOf(op.getQuery()) != elementOf(op.getKeys()[0]) ||
      elementOf(op.getQuery()) != elementOf(op.getValues()[0]))
    shape.kind = WordKind::F32;
  shape.depth = *shape.sizes.depth.constant();
  shape.valueDepth = *shape.sizes.valueDepth.constant();
  shape.positions = PositionProduct::streamed(op);
  if (shape.hasLongRows() || !shape.positions.empty())
    shape.keys = 16;
  shape.isGuarded = op.hasWeight() && isNaNGuard(op.getWeight());
  shape.isFactored = op.hasWeight() && op.getNormaliser() != Normaliser::None && isProportional(op.getWeight());
  if (shape.revives() && op.getNormaliser() == Normaliser::None) {
    reason = "attention that is not normalised has no weights for rows without live keys";
    return std::nullopt;
  }
  if (shape.allWords() > mostSharedWords) {
    reason = "tiles of keys and of products with positions do not fit into shared memory";
    return std::nullopt;
  }
  return shape;
}

int64_t FlashShape::words() const {
  return llvm::alignTo(llvm::divideCeil(depth, elementsOf(kind)), TensorCore::tileWords);
}

/// Of pairs, two tiles of columns are read at once.
int64_t FlashShape::columns() const { return llvm::alignTo(valueDepth, TensorCore::tileColumns * elementsOf(kind)); }

int64_t FlashShape::registerWords() const {
  int64_t count = words() + columns();
  for (const PositionProduct &x : positions)
    count += x.ofQuery ? positionPitch(x) - 4 : 0;
  return positions.empty() ? count : count + keys + TensorCore::tileRows;
}

bool FlashShape::hasLongRows() const { return kind == WordKind::F32 && registerWords() > longestRows; }

int64_t FlashShape::stages() const { return 2 * stageWords() + positionWords() <= mostSharedWords - 8 ? 2 : 1; }

int64_t FlashShape::longestPosition() const {
  int64_t longest = 0;
  for (const PositionProduct &x : positions)
    longest = std::max(longest, positionPitch(x));
  return longest;
}

int64_t FlashShape::positionWords() const {
  return positions.empty() ? 0 : (tableRows() + keys) * longestPosition() + threads / TensorCore::warp * bandWords;
}

int64_t FlashShape::sharedWords() const {
  return std::max({stages() * stageWords() + positionWords(), queries * keyPitch(), queries * longestPosition(),
                   queries * outputPitch()});
}

FlashBlock::FlashBlock(DeviceLowering &device, FlashShape shape) : device(device), shape(shape) {
  shared = math.pointerOf(device.function.shared(builder, loc, builder.getI32Type(), shape.allWords()));
  thread = device.function.thread;
  warp = index.div(thread, TensorCore::warp);
  lane = index.rem(thread, TensorCore::warp);
  if (op.hasKeep())
    intervals.emplace(device.kernel, op.getKeep(), op.getCaptures());
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

FlashBlock::Operand FlashBlock::operand(Value tensor, unsigned layout, int64_t depth, Value ofHead) {
  std::string error;
  Operand operand{OperandWords(device, tensor, shape.kind), *AttentionLayout::parse(op.getLayout(layout), error),
                  shapeOf(tensor), Value(), Value(), depth};
  auto stride = [&](char role) { return scope.dim(operand.layout.strideOf(role, operand.dims), loc); };
  operand.start = scope.dim(operand.layout.offset(operand.dims), loc);
  operand.start = scope.add(operand.start, scope.mul(batch, stride('b'), loc), loc);
  operand.start = scope.add(operand.start, scope.mul(ofHead, stride('h'), loc), loc);
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

void FlashBlock::locate() {
  Value blocks = scope.dim(shape.queryBlocks(), loc), heads = scope.dim(shape.sizes.heads, loc);
  Value batchHead = index.div(device.function.block, blocks);
  firstQuery = index.mul(index.rem(device.function.block, blocks), FlashShape::queries);
  head = index.rem(batchHead, heads);
  batch = index.div(batchHead, heads);
  queryCount = scope.dim(shape.sizes.queries, loc);
  keyCount = scope.dim(shape.sizes.keys, loc);
  Value keyHead = index.div(head, scope.dim(shape.sizes.heads.floorDiv(shape.sizes.keyHeads), loc));
  query.emplace(operand(op.getQuery(), 0, shape.depth, head));
  key.emplace(operand(op.getKeys()[0], 1, shape.depth, keyHead));
  value.emplace(operand(op.getValues()[0], 2, shape.valueDepth, keyHead));
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

/// Rows from `first` on to shared memory: row r exists up to row `last`, which stands for those behind it, and where
/// `count` is given is zeros from row `count` on.
void FlashBlock::loadRows(const Operand &operand, Value first, Value last, Value count, int64_t rows, int64_t words,
                          int64_t pitch, Value at) {
  auto startOf = [&](Value row) {
    return index.add(operand.start, index.mul(index.min(index.add(first, row), last), operand.row));
  };
  auto existsOf = [&](Value row) { return count ? isBelow(index.add(first, row), count) : Value(); };
  bring({operand.words, isCopied(operand), operand.depth, rows, words, pitch, Value()}, at, startOf, existsOf);
}

/// Visible to all behind the barrier of readQueries.
void FlashBlock::storeMasks() {
  emitGuarded(device.kernel, index.equal(thread, index.constant(0)), [&] {
    auto store = [&](uint32_t mask, int64_t at) {
      math.store(arith::ConstantIntOp::create(builder, loc, int32_t(mask), 32), shared, index.constant(at));
    };
    store(TensorCore::highMask, shape.masksAt());
    store(TensorCore::magnitudeMask, shape.masksAt() + 1);
  });
}

/// By way of shared memory; the tiles of keys come behind it in the same place.
void FlashBlock::readQueries() {
  Value last = index.sub(queryCount, index.constant(1));
  loadRows(*query, firstQuery, last, Value(), FlashShape::queries, shape.words(), shape.keyPitch(), index.constant(0));
  math.commitCopies();
  math.awaitCopies(0);
  math.barrier();
  Value row = index.mul(warp, TensorCore::tileRows * shape.keyPitch());
  for (int64_t word = 0; word < shape.words(); word += TensorCore::tileWords)
    queryWords.push_back(core.loadWords(shared, index.add(row, word), lane, shape.keyPitch()));
  math.barrier();
}

//===----------------------------------------------------------------------------===//
// Which keys
//===----------------------------------------------------------------------------===//

/// The tile of keys from `first` on exists and has live ones, for a query of the block.
Value FlashBlock::isLive(Value first) {
  Value exists = isBelow(first, keyCount);
  if (!intervals)
    return exists;
  Value lastQuery = index.sub(index.min(index.add(firstQuery, FlashShape::queries), queryCount), index.constant(1));
  Value lastKey = index.sub(index.min(index.add(first, shape.keys), keyCount), index.constant(1));
  auto guard = scf::IfOp::create(builder, loc, exists, [&](OpBuilder &, Location) {
    Value some = intervals->evaluate({batch, head, firstQuery, lastQuery, first, lastKey}).some;
    scf::YieldOp::create(builder, loc, some);
  }, [&](OpBuilder &, Location) {
    scf::YieldOp::create(builder, loc, Value(arith::ConstantIntOp::create(builder, loc, 0, 1)));
  });
  return guard.getResult(0);
}

/// Asks for the tile of keys from `first` on where it `exists`; either way a group of copies is committed.
void FlashBlock::ask(Value first, Value exists) {
  emitGuarded(device.kernel, exists, [&] {
    Value number = index.div(first, shape.keys), last = index.sub(keyCount, index.constant(1));
    Value at = index.mul(index.rem(number, shape.stages()), shape.stageWords());
    loadRows(*key, first, last, keyCount, shape.keys, shape.words(), shape.keyPitch(), at);
    loadRows(*value, first, last, keyCount, shape.keys, shape.valuePitch() - 4, shape.valuePitch(),
             index.add(at, shape.keys * shape.keyPitch()));
  });
  math.commitCopies();
}

FlashBlock::State FlashBlock::overKeys(const State &state, Masking masking) {
  auto takesPart = [&](Value first) { return masking == Masking::Keep ? isLive(first) : isBelow(first, keyCount); };
  int64_t ahead = (shape.stages() - 1) * shape.keys;
  Value none = index.constant(0), now = takesPart(none);
  if (ahead)
    ask(none, now);
  Values carried = flat(state);
  carried.push_back(now);
  auto loop = scf::ForOp::create(builder, loc, none, keyCount, index.constant(shape.keys), carried);
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
  emitGuarded(device.kernel, index.equal(lane, index.constant(0)),
         [&] { math.store(least, shared, index.add(warp, shape.flagsAt())); });
  math.barrier();
  for (int64_t other = 0; other < FlashShape::threads / TensorCore::warp; ++other)
    least = arith::MinNumFOp::create(
        builder, loc, least, math.load(shared, index.constant(shape.flagsAt() + other), builder.getF32Type()));
  Value isEmpty = compare(arith::CmpFPredicate::OEQ, least, constant(0));
  auto second = scf::IfOp::create(
      builder, loc, isEmpty,
      [&](OpBuilder &, Location) {
        State after = overKeys(live, Masking::EmptyRows);
        Value any = isBelow(index.constant(0), keyCount);
        for (Value &flag : after.live)
          flag = select(any, constant(1), flag);
        scf::YieldOp::create(builder, loc, flat(after));
      },
      [&](OpBuilder &, Location) { scf::YieldOp::create(builder, loc, flat(live)); });
  return unflat(second.getResults());
}

//===----------------------------------------------------------------------------===//
// The end
//===----------------------------------------------------------------------------===//

void FlashBlock::finish(const State &state) {
  bool isNaN = op.hasKeep() && op.getEmpty() == EmptyRow::NaN;
  Value noKeys = index.equal(keyCount, index.constant(0));
  Value ofEmptyRow = constant(0); // without any key by every rule
  if (isNaN)
    ofEmptyRow = select(noKeys, ofEmptyRow, constant(std::numeric_limits<double>::quiet_NaN()));
  math.barrier(); // the last tile is done with
  auto pair = VectorType::get({2}, builder.getF32Type());
  for (int64_t half : {0, 1}) {
    Value factor, isZero, isEmpty = noKeys;
    if (op.getNormaliser() != Normaliser::None) {
      Value sum = overQuad(state.sum[half], /*isMaximum=*/false);
      factor = arith::DivFOp::create(builder, loc, constant(1), sum);
      isZero = shape.isGuarded ? compare(arith::CmpFPredicate::UEQ, sum, constant(0)) : Value();
    }
    if (op.hasKeep())
      isEmpty = compare(arith::CmpFPredicate::OEQ, overQuad(state.live[half], /*isMaximum=*/true), constant(0));
    Value row = index.add(index.mul(warp, TensorCore::tileRows), index.add(index.div(lane, 4), 8 * half));
    Value at = index.add(index.mul(row, shape.outputPitch()), index.mul(index.rem(lane, 4), 2));
    for (int64_t tile = 0; tile < shape.columns() / TensorCore::tileColumns; ++tile) {
      Values two;
      for (int64_t i : {0, 1}) {
        Value output = state.output[4 * tile + 2 * half + i];
        if (factor)
          output = arith::MulFOp::create(builder, loc, output, factor);
        if (isZero)
          output = select(isZero, constant(0), output);
        two.push_back(select(isEmpty, ofEmptyRow, output));
      }
      Value vector = vector::FromElementsOp::create(builder, loc, pair, two);
      math.store(vector, shared, index.add(at, tile * TensorCore::tileColumns));
    }
  }
  math.barrier();
  storeOutput();
}

void FlashBlock::storeOutput() {
  std::string error;
  AttentionLayout layout = *AttentionLayout::parse(op.getLayout(3), error);
  Value elements = index.constant(FlashShape::queries * shape.valueDepth);
  auto loop = scf::ForOp::create(builder, loc, thread, elements, index.constant(FlashShape::threads));
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value row = index.div(loop.getInductionVar(), shape.valueDepth),
        d = index.rem(loop.getInductionVar(), shape.valueDepth);
  Value queryNumber = index.add(firstQuery, row);
  emitGuarded(device.kernel, isBelow(queryNumber, queryCount), [&] {
    Value output = math.load(shared, index.add(index.mul(row, shape.outputPitch()), d), builder.getF32Type());
    SmallVector<LaneValue> indices;
    Value offset = index.constant(0);
    for (auto [role, fixed, stride] :
         llvm::zip(layout.roles, layout.fixed, scope.strides(shapeOf(op.getResult()), loc))) {
      Value at = role == 'b'   ? batch
                 : role == 'h' ? head
                 : role == 'n' ? queryNumber
                 : role == 'd' ? d
                               : index.constant(fixed);
      offset = scope.add(offset, scope.mul(at, stride, loc), loc);
      indices.push_back(LaneValue::uniform(at));
    }
    RegionEmitter emitter(scope, 1, loc);
    Value element = convertFloat(builder, loc, output, elementOf(op.getResult()));
    device.kernel.finish(emitter, indices, offset, LaneValue::uniform(element, true));
  });
}

std::optional<DeviceForm> nativeAttention(Operation *op, std::string &reason) {
  auto attention = dyn_cast<AttentionOp>(op);
  if (!attention) {
    reason = (op->getName().getStringRef() + " has no form of its own").str();
    return std::nullopt;
  }
  std::optional<FlashShape> shape = FlashShape::of(attention, reason);
  if (!shape)
    return std::nullopt;
  DeviceForm form;
  form.name = "flash attention by mma.sync";
  form.tiles = shape->sizes.batch * shape->sizes.heads * shape->queryBlocks();
  form.blockThreads = FlashShape::threads;
  form.emit = [shape = *shape](DeviceLowering &device) {
    FlashBlock(device, shape).emit();
    return success();
  };
  return form;
}

} // namespace tenon
