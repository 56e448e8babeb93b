//===- LowerFlashAttention.cpp - attention without the N x N matrix ------------------===//
//
// Lanes run along queries. For one (batch, head) and `width` queries the state is
//
//   m[q]      running maximum of the scores            (softmax only)
//   l[q]      Σ of the weights so far                  (softmax and sum)
//   O^T[d][q] Σ of weight times value
//
// and one step takes in a tile of keys:
//
//   S^T[j][q] = Σ_d K[j][d] Q^T[d][q]         register tiles, K read where it lies
//   S^T = score, keep; m' = max(m, S^T)       one vector a key: the regions, element by element
//   P^T = exp(S^T - m'); l = l e^(m-m') + Σ_j P^T; O^T *= e^(m-m')
//   O^T[d][q] += Σ_j V^T[d][j] P^T[j][q]      register tiles, V read where it lies
//
// Everything a softmax needs is per lane: no sum or maximum across lanes exists,
// and neither K nor V is transposed or packed; Q^T (once) and O^T (at the end) are.
//
// Costs for a pair (query, key): 2 d multiply-adds for the two products, one
// exponential, and the regions. Memory: a few tiles of scratch, independent of N.
// Limits: f32, constant depth and row strides, softmax, sum or none, empty rows
// zero, nan or uniform; the weight region may be the guard select(isnan(p), 0, p).
//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/PackedProduct.h"
#include "passes/lowering/TransposeTile.h"
#include "passes/lowering/VectorMath.h"

using namespace mlir;

namespace tenon {
namespace {

/// Keys of one step: scores of a tile stay in L1 between the two products.
constexpr int64_t keyTile = 64;
/// Groups of queries that take a tile of keys in, one after another, while it is in cache.
constexpr int64_t groupsPerTile = 4;

/// What weight regions may be here: select(p is NaN, 0, p).
bool isNaNGuard(Region &weight) {
  Value p = weight.getArgument(0);
  auto select = weight.front().getTerminator()->getOperand(0).getDefiningOp<arith::SelectOp>();
  if (!select || select.getFalseValue() != p || !matchPattern(select.getTrueValue(), m_AnyZeroFloat()))
    return false;
  auto compare = select.getCondition().getDefiningOp<arith::CmpFOp>();
  return compare && compare.getPredicate() == arith::CmpFPredicate::UNO && compare.getLhs() == p &&
         compare.getRhs() == p;
}

/// One operand seen through its layout.
struct View {
  Value memory;
  AttentionLayout layout;
  Shape shape;
  Value start;    // of (b, h), once set
  int64_t row = 0; // elements between rows
};

class FlashLowering {
public:
  FlashLowering(KernelLowering &lowering, AttentionOp op)
      : lowering(lowering), op(op), scope(lowering.scope), builder(lowering.builder), loc(lowering.loc) {}

  FailureOr<KernelGrid> lower() {
    if (failed(readShapes()))
      return failure();
    carveScratch();
    ModuleOp module = scope.function.function()->getParentOfType<ModuleOp>();
    scoreTile.emplace(TileFunction::get(module, tile, {key.row, 16, width, 1, /*fetchesAhead=*/false}));
    valueTile.emplace(TileFunction::get(module, tile, {1, width, width, value.row, /*fetchesAhead=*/false}));
    Dim blocks = sizes.queries.ceilDiv(Dim(width * groupsPerTile));
    queryBlocks = scope.dim(blocks, loc);
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value number) { emitTile(number); });
    return KernelGrid{sizes.batch * sizes.heads * blocks, Dim(4 * scratchFloats)};
  }

private:
  //===--------------------------------------------------------------------------===//
  // Shapes and scratch
  //===--------------------------------------------------------------------------===//

  LogicalResult readView(View &view, unsigned layout, Value tensor, Value memory, StringRef what) {
    std::string error;
    view.layout = *AttentionLayout::parse(op.getLayout(layout), error);
    view.shape = shapeOf(tensor);
    view.memory = memory;
    std::optional<int64_t> row = view.layout.strideOf('n', view.shape).constant();
    if (!memory || !row || view.layout.strideOf('d', view.shape) != Dim(1) || !elementOf(tensor).isF32())
      return op.emitOpError("flash wants the ")
             << what << " in memory as f32, rows a constant distance apart and their elements side by side";
    view.row = *row;
    return success();
  }

  LogicalResult readShapes() {
    sizes = op.getSizes();
    if (op.getKeys().size() != 1 || !sizes.depth.constant() || !sizes.valueDepth.constant() ||
        op.getEmpty() == EmptyRow::IgnoreKeep)
      return op.emitOpError("flash wants one source, a constant depth and another rule for empty rows");
    if (op.hasWeight() && !isNaNGuard(op.getWeight()))
      return op.emitOpError("flash takes no weight region but the guard against NaN");
    depth = *sizes.depth.constant();
    valueDepth = *sizes.valueDepth.constant();
    TargetAttr target = lowering.target;
    tile = {unsigned(target.getVectorBits() / 32), unsigned(target.getVectorRegisters()), unsigned(target.getRowTile())};
    lanes = tile.lanes;
    width = tile.panelsAt(tile.rows) * RegisterTile::panelWidth;
    resultLayout = *AttentionLayout::parse(op.getLayout(3), layoutError);
    if (resultLayout.strideOf('d', shapeOf(op.getResult())) != Dim(1))
      return op.emitOpError("flash wants the elements of a row of the result side by side");
    if (failed(readView(query, 0, op.getQuery(), lowering.memoryOf(op.getQuery()), "query")) ||
        failed(readView(key, 1, op.getKeys()[0], lowering.memoryOf(op.getKeys()[0]), "keys")))
      return failure();
    return readView(value, 2, op.getValues()[0], lowering.memoryOf(op.getValues()[0]), "values");
  }

  int64_t carve(int64_t floats) {
    int64_t at = scratchFloats;
    scratchFloats += llvm::alignTo(floats, RegisterTile::panelWidth);
    return at;
  }

  void carveScratch() {
    scoresAt = carve(keyTile * width);
    // The state of the first group; the others' follow.
    int64_t states = scratchFloats;
    queriesAt = carve(depth * width);
    outputAt = carve(llvm::alignTo(valueDepth, lanes) * width);
    maximumAt = carve(width);
    sumAt = carve(width);
    stateFloats = scratchFloats - states;
    carve(stateFloats * (groupsPerTile - 1));
    scratch = scope.function.scratch(builder, loc, builder.getF32Type(), index(0));
  }

  //===--------------------------------------------------------------------------===//
  // Small words
  //===--------------------------------------------------------------------------===//

  Value index(int64_t value) { return scope.index(value, loc); }
  Value plus(Value a, Value b) { return scope.add(a, b, loc); }
  Value plus(int64_t a, Value b) { return scope.add(index(a), b, loc); }
  Value times(Value a, int64_t b) { return scope.mul(a, index(b), loc); }
  VectorType vectorType() { return VectorType::get({int64_t(lanes)}, builder.getF32Type()); }
  Value load(Value offset) { return vector::LoadOp::create(builder, loc, vectorType(), scratch, offset); }
  void store(Value vector, Value offset) { vector::StoreOp::create(builder, loc, vector, scratch, offset); }
  Value constant(double value) {
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vectorType(), float(value)));
  }
  Value minusInfinity() { return constant(-std::numeric_limits<float>::infinity()); }
  Value subtract(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
  Value multiply(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }
  /// Of a score less the maximum.
  Value exponential(Value x) { return emitMath(builder, loc, MathFunction::ExpNonPositive, x); }
  /// NaN in `a` is dropped: it comes back through exp(NaN - m).
  Value greater(Value a, Value b) {
    Value isGreater = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, a, b);
    return arith::SelectOp::create(builder, loc, isGreater, a, b);
  }
  Value startOf(const View &view, Value b, Value h) {
    Value start = scope.dim(view.layout.offset(view.shape), loc);
    start = plus(start, scope.mul(b, scope.dim(view.layout.strideOf('b', view.shape), loc), loc));
    return plus(start, scope.mul(h, scope.dim(view.layout.strideOf('h', view.shape), loc), loc));
  }
  bool isSoftmax() { return op.getNormaliser() == Normaliser::Softmax; }

  /// `body(column)` for each vector of queries that has any.
  void forEachVector(llvm::function_ref<void(Value column)> body) {
    auto loop = scf::ForOp::create(builder, loc, index(0), columns, index(lanes));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar());
  }

  //===--------------------------------------------------------------------------===//
  // One tile of queries
  //===--------------------------------------------------------------------------===//

  void emitTile(Value number) {
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
    Value first = times(block, width * groupsPerTile);
    Value left = scope.sub(scope.dim(sizes.queries, loc), first, loc);
    Value groups = scope.minimum(builder.createOrFold<arith::DivUIOp>(loc, plus(width - 1, left), index(width)),
                                 index(groupsPerTile), loc);
    auto forEachGroup = [&](llvm::function_ref<void()> body) {
      emitLoop(scope, loc, index(0), groups, [&](Value group) {
        enterGroup(first, group);
        body();
      });
    };
    forEachGroup([&] {
      packQueries();
      initialise();
    });
    Value keys = scope.dim(sizes.keys, loc);
    auto loop = scf::ForOp::create(builder, loc, index(0), keys, index(keyTile));
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      Value firstKey = loop.getInductionVar();
      Value count = scope.minimum(index(keyTile), scope.sub(keys, firstKey, loc), loc);
      forEachGroup([&] { emitStep(firstKey, count); });
    }
    forEachGroup([&] { finish(); });
  }

  /// What follows is about one group of at most `width` queries of the tile.
  void enterGroup(Value first, Value group) {
    firstQuery = plus(first, times(group, width));
    queryCount = scope.minimum(index(width), scope.sub(scope.dim(sizes.queries, loc), firstQuery, loc), loc);
    // Whole panels: lanes past the last query work on copies of it.
    panels = builder.createOrFold<arith::DivUIOp>(loc, plus(queryCount, index(15)), index(16));
    columns = times(panels, 16);
    state = times(group, stateFloats);
  }

  Value queryRow(Value column) {
    Value last = scope.sub(queryCount, index(1), loc);
    Value row = plus(firstQuery, scope.minimum(column, last, loc));
    return plus(query.start, times(row, query.row));
  }

  /// Q^T in panels [depth][16].
  void packQueries() {
    int64_t whole = depth / lanes * lanes;
    forEachVector([&](Value column) {
      Value panel = builder.createOrFold<arith::DivUIOp>(loc, column, index(16));
      Value inPanel = builder.createOrFold<arith::RemUIOp>(loc, column, index(16));
      Value to = plus(plus(plus(queriesAt, state), times(panel, depth * 16)), inPanel);
      SmallVector<Value> rows;
      for (unsigned lane = 0; lane < lanes; ++lane)
        rows.push_back(queryRow(plus(lane, column)));
      auto packBlock = [&](Value d) {
        SmallVector<Value> block;
        for (Value row : rows)
          block.push_back(vector::LoadOp::create(builder, loc, vectorType(), query.memory, plus(row, d)));
        for (auto [i, turned] : llvm::enumerate(transposeTile(builder, loc, block)))
          store(turned, plus(to, times(plus(i, d), 16)));
      };
      auto loop = scf::ForOp::create(builder, loc, index(0), index(whole), index(lanes));
      {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(loop.getBody());
        packBlock(loop.getInductionVar());
      }
      for (int64_t d = whole; d < depth; ++d)
        for (auto [lane, row] : llvm::enumerate(rows)) {
          Value element = memref::LoadOp::create(builder, loc, query.memory, plus(d, row));
          memref::StoreOp::create(builder, loc, element, scratch, plus(d * 16 + int64_t(lane), to));
        }
    });
  }

  void initialise() {
    forEachVector([&](Value column) {
      store(minusInfinity(), plus(plus(maximumAt, state), column));
      store(constant(0), plus(plus(sumAt, state), column));
      emitLoop(scope, loc, index(0), index(valueDepth),
               [&](Value d) { store(constant(0), plus(plus(plus(outputAt, state), times(d, width)), column)); });
    });
  }

  //===--------------------------------------------------------------------------===//
  // One tile of keys
  //===--------------------------------------------------------------------------===//

  void multiplyTiles(TileFunction &family, Value rows, TileFunction::Arguments x,
                     llvm::function_ref<Value(Value row)> aOffset, Value cAt) {
    RowSplit split = RowSplit::create(builder, loc, rows, tile.rows);
    emitLoop(scope, loc, index(0), split.count, [&](Value number) {
      Value row = split.firstRowOf(builder, loc, number);
      x.aOffset = aOffset(row);
      x.c = scratch;
      x.cOffset = plus(cAt, times(row, width));
      x.height = split.heightOf(builder, loc, number);
      family.call(builder, loc, x);
    });
  }

  void emitStep(Value firstKey, Value count) {
    Value no = arith::ConstantIntOp::create(builder, loc, 0, 1), yes = arith::ConstantIntOp::create(builder, loc, 1, 1);
    TileFunction::Arguments scores;
    scores.a = key.memory;
    scores.b = scratch;
    scores.bOffset = plus(queriesAt, state);
    scores.panelStride = index(depth * 16);
    scores.panels = panels;
    scores.k = index(depth);
    scores.accumulate = no;
    multiplyTiles(*scoreTile, count, scores,
                  [&](Value row) { return plus(key.start, times(plus(firstKey, row), key.row)); }, index(scoresAt));
    forEachVector([&](Value column) {
      if (isSoftmax())
        updateSoftmax(firstKey, count, column);
      else
        updateSum(firstKey, count, column);
    });
    TileFunction::Arguments values;
    values.a = value.memory;
    values.b = scratch;
    values.bOffset = index(scoresAt);
    values.panelStride = index(16);
    values.panels = panels;
    values.k = count;
    values.accumulate = yes;
    Value start = plus(value.start, times(firstKey, value.row));
    multiplyTiles(*valueTile, index(valueDepth), values, [&](Value row) { return plus(start, row); },
                  plus(outputAt, state));
  }

  /// A loop over the keys of the tile that carries one vector.
  Value overKeys(Value count, Value start, llvm::function_ref<Value(Value j, Value carried)> body) {
    return emitLoopNest(scope, loc, {count}, start,
                        [&](ArrayRef<Value> point, Value carried) { return body(point[0], carried); });
  }

  Value scoreOffset(Value j, Value column) { return plus(plus(scoresAt, times(j, width)), column); }

  /// The score after its regions; a dead key gives `dead`.
  Value scoreOf(Value j, Value firstKey, Value column, Value dead) {
    RegionEmitter emitter(scope, lanes, loc);
    SmallVector<TensorReader> captures;
    for (Value capture : op.getCaptures())
      captures.push_back(lowering.reader(capture, emitter));
    SmallVector<LaneValue> point{LaneValue::uniform(batch), LaneValue::uniform(head),
                                 LaneValue::linear(plus(firstQuery, column)), LaneValue::uniform(plus(firstKey, j))};
    LaneValue score = LaneValue::varying(load(scoreOffset(j, column)));
    SmallVector<LaneValue> withScore{score};
    llvm::append_range(withScore, point);
    if (op.hasScore())
      score = emitter.evaluate(op.getScore(), withScore, captures);
    Value result = emitter.materialise(score);
    if (!op.hasKeep())
      return result;
    LaneValue live = emitter.evaluate(op.getKeep(), point, captures);
    Value condition = live.kind == LaneValue::Uniform ? live.value : emitter.materialise(live);
    return arith::SelectOp::create(builder, loc, condition, result, dead);
  }

  void updateSoftmax(Value firstKey, Value count, Value column) {
    // With the uniform rule a dead key has the least finite score: it vanishes beside
    // any live key, and keys that are all dead weigh the same.
    Value dead = op.getEmpty() == EmptyRow::Uniform ? constant(-std::numeric_limits<float>::max()) : minusInfinity();
    Value before = load(plus(plus(maximumAt, state), column));
    Value maximum = overKeys(count, before, [&](Value j, Value carried) {
      Value score = scoreOf(j, firstKey, column, dead);
      store(score, scoreOffset(j, column));
      return greater(score, carried);
    });
    // Nothing live yet: any finite shift makes exp(-inf) = 0.
    Value isEmpty = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, maximum, minusInfinity());
    Value shift = arith::SelectOp::create(builder, loc, isEmpty, constant(0), maximum);
    Value sum = overKeys(count, constant(0), [&](Value j, Value carried) {
      Value weight = exponential(subtract(load(scoreOffset(j, column)), shift));
      store(weight, scoreOffset(j, column));
      return Value(arith::AddFOp::create(builder, loc, carried, weight));
    });
    Value factor = exponential(subtract(before, shift));
    Value scaled = multiply(load(plus(plus(sumAt, state), column)), factor);
    store(arith::AddFOp::create(builder, loc, scaled, sum), plus(plus(sumAt, state), column));
    store(maximum, plus(plus(maximumAt, state), column));
    emitLoop(scope, loc, index(0), index(valueDepth), [&](Value d) {
      Value at = plus(plus(plus(outputAt, state), times(d, width)), column);
      store(multiply(load(at), factor), at);
    });
  }

  void updateSum(Value firstKey, Value count, Value column) {
    Value sum = overKeys(count, load(plus(plus(sumAt, state), column)), [&](Value j, Value carried) {
      Value weight = scoreOf(j, firstKey, column, constant(0));
      store(weight, scoreOffset(j, column));
      return Value(arith::AddFOp::create(builder, loc, carried, weight));
    });
    store(sum, plus(plus(sumAt, state), column));
  }

  //===--------------------------------------------------------------------------===//
  // The end
  //===--------------------------------------------------------------------------===//

  /// What O^T is multiplied with, and whether a query's result is replaced by zero.
  std::pair<Value, Value> normaliser(Value column) {
    Value sum = load(plus(plus(sumAt, state), column));
    if (op.getNormaliser() == Normaliser::None)
      return {constant(1), Value()};
    Value factor = arith::DivFOp::create(builder, loc, constant(1), sum);
    auto isSum = [&](arith::CmpFPredicate predicate, Value other) -> Value {
      return arith::CmpFOp::create(builder, loc, predicate, sum, other);
    };
    if (op.hasWeight()) // The guard: a row of NaN weights, or of none, is a row of zeros.
      return {factor, isSum(arith::CmpFPredicate::UEQ, constant(0))};
    if (isSoftmax() && op.getEmpty() == EmptyRow::Zero)
      return {factor, isSum(arith::CmpFPredicate::OEQ, constant(0))};
    // Without keys the sum over them is zero by every rule.
    Value noKeys = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, scope.dim(sizes.keys, loc), index(0));
    return {factor, vector::BroadcastOp::create(builder, loc, VectorType::get({lanes}, builder.getI1Type()), noKeys)};
  }

  void finish() {
    forEachVector([&](Value column) {
      auto [factor, isZero] = normaliser(column);
      auto finished = [&, factor = factor, isZero = isZero](Value d) -> Value {
        Value output = multiply(load(plus(plus(plus(outputAt, state), times(d, width)), column)), factor);
        return isZero ? Value(arith::SelectOp::create(builder, loc, isZero, constant(0), output)) : output;
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
  void storeRow(Value row, Value column, Value d) {
    Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, column, queryCount);
    auto guard = scf::IfOp::create(builder, loc, exists, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard insertion(builder);
    builder.setInsertionPointToStart(guard.thenBlock());
    if (valueDepth % lanes == 0)
      return storeElements(lanes, LaneValue::varying(row), column, LaneValue::linear(d));
    auto element = [&](unsigned i) { return Value(vector::ExtractOp::create(builder, loc, row, int64_t(i))); };
    for (unsigned i = 0; i < lanes; ++i) {
      Value at = plus(i, d);
      Value isInside = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, index(valueDepth));
      auto inside = scf::IfOp::create(builder, loc, isInside, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard inner(builder);
      builder.setInsertionPointToStart(inside.thenBlock());
      storeElements(1, LaneValue::uniform(element(i), true), column, LaneValue::uniform(at));
    }
  }

  void storeElements(unsigned count, LaneValue elements, Value column, LaneValue d) {
    RegionEmitter emitter(scope, count, loc);
    Shape shape = shapeOf(op.getResult());
    SmallVector<Value> strides = scope.strides(shape, loc);
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
    lowering.finish(emitter, indices, offset, elements);
  }

  KernelLowering &lowering;
  AttentionOp op;
  KernelScope &scope;
  OpBuilder &builder;
  Location loc;

  AttentionOp::Sizes sizes;
  View query, key, value;
  AttentionLayout resultLayout;
  std::string layoutError;
  int64_t depth = 0, valueDepth = 0, width = 0, scratchFloats = 0, stateFloats = 0;
  int64_t queriesAt = 0, scoresAt = 0, outputAt = 0, maximumAt = 0, sumAt = 0;
  unsigned lanes = 0;
  RegisterTile tile;
  std::optional<TileFunction> scoreTile, valueTile;
  Value scratch, queryBlocks;
  // Of the tile being emitted.
  Value batch, head, firstQuery, queryCount, panels, columns, state;
};
} // namespace

FailureOr<KernelGrid> lowerAttention(KernelLowering &lowering, Operation *op) {
  if (auto attention = dyn_cast<AttentionOp>(op))
    return FlashLowering(lowering, attention).lower();
  return op->emitError("no lowering to a kernel for '") << op->getName() << "'";
}

} // namespace tenon
