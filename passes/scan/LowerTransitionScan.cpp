//===- LowerTransitionScan.cpp - a recurrence whose state is multiplied by a matrix ----------===//
//
// S = A S + k wᵀ with one dense A for all steps: every row of the state meets every other, columns still meet nobody. So
// lanes run along the rows, and a tile is up to 4 columns of one state, of any batch items, over the whole of time:
//
//   Aᵀ into scratch, a square of lanes at a time                                  once a tile
//   for each block of 32 steps:
//     for each step:  for each V vectors of rows:  s' = Σ_j A[:, j] s[j] + k w    V vectors of each column in registers
//     o = Q s' for all steps of the block                                         the same product with Q, lanes along the heads
//
// The states of a block stay in scratch until they are read: with queries that are the same at every step that is a product of
// matrices; others are sums along the rows, one for each head.
//
// Costs for a step and column: depth² multiply-adds and depth for each head; what bounds one column is bringing A from the
// second-level cache. Scratch: A, Q, 33 states. Few columns in all are few tiles: other forms of such a recurrence are
// ExpandScan's. Limits: depths and heads are constants.
//
#include "passes/lowering/TransposeTile.h"
#include "passes/scan/ScanKernel.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr int64_t blockSteps = 32;

class TransitionScan : ScanKernel {
public:
  TransitionScan(KernelLowering &lowering, ScanOp op) : ScanKernel(lowering, op) {}

  FailureOr<KernelGrid> lower() {
    for (const Dim &dim : {sizes.depth, sizes.valueDepth, sizes.heads, sizes.states})
      if (!dim.isConstant())
        return op.emitOpError("wants constant depths and heads beside a transition, found ") << dim.str();
    depth = *sizes.depth.constant();
    columns = *sizes.valueDepth.constant();
    readers = *sizes.heads.constant() / std::max<int64_t>(*sizes.states.constant(), 1);
    height = llvm::alignTo(depth, lanes);
    chooseTile();
    carveScratch();
    scratch = scope.function.scratch(builder, loc, real, index(0));
    Dim panels = (sizes.batch * sizes.valueDepth).ceilDiv(Dim(width));
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) {
      Value count = scope.dim(panels, loc);
      state = builder.createOrFold<arith::DivUIOp>(loc, tile, count);
      firstColumn = times(builder.createOrFold<arith::RemUIOp>(loc, tile, count), width);
      columnCount =
          scope.minimum(index(width), scope.sub(scope.dim(sizes.batch * sizes.valueDepth, loc), firstColumn, loc), loc);
      emitTile();
    });
    return KernelGrid{sizes.states * panels, scratchBytes()};
  }

private:
  //===--------------------------------------------------------------------------===//
  // Shapes and scratch
  //===--------------------------------------------------------------------------===//

  /// Columns that share what is read of A, and vectors of rows: as many sums as registers hold.
  void chooseTile() {
    bool hasMany = lowering.target.getVectorRegisters() >= 32;
    int64_t most = hasMany ? 4 : 2, sums = hasMany ? 16 : 8;
    std::optional<int64_t> all = (sizes.batch * sizes.valueDepth).constant();
    width = all ? std::max<int64_t>(1, std::min(most, *all)) : most;
    vectors = sums / width;
  }

  bool isPerColumn(const Track &track) const { return track.has('b'); }
  /// Queries of all heads as a matrix: the same at every step, for every batch item.
  bool isQueryMatrix() const { return !query.has('n') && !query.has('b'); }

  void carveScratch() {
    matrixAt = carve((depth + 1) * height); // one more for columns that do not exist
    readHeight = llvm::alignTo(readers, lanes);
    if (isQueryMatrix())
      readAt = carve((depth + 1) * readHeight);
    carveRows(key, height, depth, (isPerColumn(key) ? width : 1) * (key.has('n') ? blockSteps : 1));
    carveRows(value, 1, 1, width * blockSteps);
    statesAt = carve((blockSteps + 1) * width * height); // before the block, and after each step
    if (isQueryMatrix())
      outputAt = carve(blockSteps * width * readHeight);
  }

  Value rowOfState(Value step, Value column) { return plus(statesAt, times(plus(times(step, width), column), height)); }
  Value rowOfOutput(Value row) { return plus(outputAt, times(row, readHeight)); }
  /// Where the key of column `x` at step `step` of the block stands, where keys differ by them.
  Value rowOfKey(Value step, Value x) {
    Value row = index(0);
    if (isPerColumn(key))
      row = times(x, key.has('n') ? blockSteps : 1);
    return placeOf(key, key.has('n') ? plus(row, step) : row, index(0));
  }
  Value placeOfValue(Value step, Value x) { return placeOf(value, plus(times(x, blockSteps), step), index(0)); }

  //===--------------------------------------------------------------------------===//
  // One tile
  //===--------------------------------------------------------------------------===//

  /// Column `x` of the tile is one of a batch item, which becomes the current one.
  Value selectColumn(Value x) {
    Value column = plus(firstColumn, x);
    batch = builder.createOrFold<arith::DivUIOp>(loc, column, index(columns));
    return builder.createOrFold<arith::RemUIOp>(loc, column, index(columns));
  }

  void forEachColumn(function_ref<void(Value x, Value column)> body) {
    emitLoop(scope, loc, index(0), columnCount, [&](Value x) { body(x, selectColumn(x)); });
  }

  void emitTile() {
    clear();
    stageMatrices();
    for (Track *track : {&key, &value})
      track->head = shared(state, sizes.states, track->heads());
    if (op.getInitial())
      forEachOfState([&](RegionEmitter &emitter, ArrayRef<LaneValue> at, Value here) {
        emitter.store(lanesOf(emitter, read(emitter, op.getInitial(), at)), scratch, here);
      });
    if (!key.has('n'))
      stageKeys(index(0), index(1));
    forEachBlock(blockSteps, [&](Value first, Value count) { emitBlock(first, count); });
    if (op.getFinal())
      forEachOfState([&](RegionEmitter &emitter, ArrayRef<LaneValue> at, Value here) {
        finishState(emitter, at, emitter.materialise(emitter.loadConsecutive(scratch, here)));
      });
  }

  /// Of keys, values and states: rows and columns that do not exist are zeros.
  void clear() {
    carry(index(key.at), index(scratchElements), lanes, {}, [&](Value at, ValueRange) {
      store(zero(), at);
      return SmallVector<Value>();
    });
  }

  void emitBlock(Value first, Value count) {
    if (key.has('n'))
      stageKeys(first, count);
    stageValues(first, count);
    emitLoop(scope, loc, index(0), count, [&](Value step) { takeStep(step); });
    isQueryMatrix() ? readMatrix(first, count) : readRows(first, count);
    carry(index(0), index(width * height), lanes, {}, [&](Value at, ValueRange) {
      store(load(plus(rowOfState(count, index(0)), at)), plus(statesAt, at));
      return SmallVector<Value>();
    });
  }

  //===--------------------------------------------------------------------------===//
  // Between memory and scratch
  //===--------------------------------------------------------------------------===//

  /// [rows, depth] at `at` as columns of `pitch` elements: a square of lanes at a time, turned.
  void stageTurned(int64_t at, int64_t rows, int64_t pitch,
                   function_ref<Value(RegionEmitter &, Value row, Value column)> element) {
    carry(index(0), index(rows), lanes, {}, [&](Value row, ValueRange) {
      carry(index(0), index(depth), lanes, {}, [&](Value column, ValueRange) {
        RegionEmitter emitter(scope, lanes, loc);
        if (depth % lanes != 0)
          emitter.limitLanes(scope.minimum(index(lanes), scope.sub(index(depth), column, loc), loc));
        SmallVector<Value> byRow;
        for (unsigned r = 0; r < lanes; ++r)
          byRow.push_back(element(emitter, scope.minimum(plus(r, row), index(rows - 1), loc), column));
        storeTurned(at, pitch, row, column, transposeTile(builder, loc, byRow));
        return SmallVector<Value>();
      });
      return SmallVector<Value>();
    });
  }

  /// Columns that do not exist share a place behind the last one.
  void storeTurned(int64_t at, int64_t pitch, Value row, Value column, ArrayRef<Value> vectors) {
    for (auto [c, vector] : llvm::enumerate(vectors)) {
      Value here = plus(int64_t(c), column);
      Value place = plus(plus(at, times(scope.minimum(here, index(depth), loc), pitch)), row);
      store(vector, place);
    }
  }

  void stageMatrices() {
    bool isOfEach = shapeOf(op.getTransition()).size() == 3;
    stageTurned(matrixAt, depth, height, [&](RegionEmitter &emitter, Value row, Value column) {
      LaneValues at{LaneValue::uniform(row), LaneValue::linear(column)};
      if (isOfEach)
        at.insert(at.begin(), LaneValue::uniform(state));
      return read(emitter, op.getTransition(), at);
    });
    if (!isQueryMatrix())
      return;
    batch = index(0);
    stageTurned(readAt, readers, readHeight, [&](RegionEmitter &emitter, Value row, Value column) {
      return read(emitter, query, LaneValue::uniform(headOfQuery(row)), index(0), LaneValue::linear(column));
    });
  }

  /// The query's head for head `reader` of those that read this state.
  Value headOfQuery(Value reader) { return shared(plus(times(state, readers), reader), sizes.heads, query.heads()); }

  void stageKeys(Value first, Value count) {
    auto stage = [&](Value x) {
      emitLoop(scope, loc, index(0), count, [&](Value step) {
        emitLaneLoop(scope, loc, index(depth), lanes, [&](RegionEmitter &emitter, const LaneValue &d) {
          Value element = read(emitter, key, LaneValue::uniform(key.head), plus(first, step), d);
          emitter.store(lanesOf(emitter, element), scratch, plus(rowOfKey(step, x), d.value));
        });
      });
    };
    if (isPerColumn(key))
      return forEachColumn([&](Value x, Value) { stage(x); });
    batch = index(0);
    stage(index(0));
  }

  void stageValues(Value first, Value count) {
    RegionEmitter scalar(scope, 1, loc);
    forEachColumn([&](Value x, Value column) {
      emitLoop(scope, loc, index(0), count, [&](Value step) {
        Value element =
            read(scalar, value, LaneValue::uniform(value.head), plus(first, step), LaneValue::uniform(column));
        memref::StoreOp::create(builder, loc, element, scratch, placeOfValue(step, x));
      });
    });
  }

  /// Of the state before the block, rows side by side where it has one column.
  void forEachOfState(function_ref<void(RegionEmitter &, ArrayRef<LaneValue> at, Value here)> body) {
    forEachColumn([&](Value x, Value column) {
      emitLaneLoop(
          scope, loc, index(depth), columns == 1 ? lanes : 1, [&](RegionEmitter &emitter, const LaneValue &row) {
            LaneValue at[] = {LaneValue::uniform(batch), LaneValue::uniform(state), row, LaneValue::uniform(column)};
            body(emitter, at, plus(rowOfState(index(0), x), row.value));
          });
    });
  }

  //===--------------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------------===//

  /// A matrix whose columns lie in scratch, `pitch` elements apart.
  struct Columns {
    int64_t at, pitch;
  };

  /// Σ_j m[:, j] x[j] + start for `width` rows x of `depth` elements from `rows` on, and `count` vectors of m's rows from
  /// `from` on.
  SmallVector<Value> multiply(Columns matrix, Value from, int64_t count, Value rows, ArrayRef<Value> start) {
    return carry(index(0), index(depth), 1, start, [&](Value j, ValueRange old) {
      Value place = plus(plus(matrix.at, times(j, matrix.pitch)), from);
      SmallVector<Value> column, next;
      for (int64_t v = 0; v < count; ++v)
        column.push_back(load(plus(v * lanes, place)));
      for (int64_t x = 0; x < width; ++x) {
        Value element = broadcast(plus(x * height, plus(rows, j)));
        for (int64_t v = 0; v < count; ++v)
          next.push_back(fma(column[v], element, old[x * count + v]));
      }
      return next;
    });
  }

  /// `body(from, count)` for all vectors of `size` elements, as many at a time as there are sums for.
  void forEachGroup(int64_t size, function_ref<void(Value from, int64_t count)> body) {
    int64_t whole = size / lanes / vectors * vectors, rest = size / lanes - whole;
    carry(index(0), index(whole * lanes), vectors * lanes, {}, [&](Value from, ValueRange) {
      body(from, vectors);
      return SmallVector<Value>();
    });
    if (rest)
      body(index(whole * lanes), rest);
  }

  /// What is written is added last, as it is by the definition: partial sums stay small.
  void takeStep(Value step) {
    forEachGroup(height, [&](Value from, int64_t count) {
      SmallVector<Value> start(width * count, zero());
      SmallVector<Value> sums = multiply({matrixAt, height}, from, count, rowOfState(step, index(0)), start);
      for (int64_t x = 0; x < width; ++x) {
        Value input = broadcast(placeOfValue(step, index(x))), row = plus(rowOfKey(step, index(x)), from);
        Value next = plus(rowOfState(plus(1, step), index(x)), from);
        for (int64_t v = 0; v < count; ++v)
          store(fma(load(plus(v * lanes, row)), input, sums[x * count + v]), plus(v * lanes, next));
      }
    });
  }

  //===--------------------------------------------------------------------------===//
  // What is read
  //===--------------------------------------------------------------------------===//

  void readMatrix(Value first, Value count) {
    forEachGroup(readHeight, [&](Value from, int64_t vectorCount) {
      SmallVector<Value> start(width * vectorCount, zero());
      emitLoop(scope, loc, index(0), count, [&](Value step) {
        Value rows = rowOfState(plus(1, step), index(0));
        SmallVector<Value> sums = multiply({readAt, readHeight}, from, vectorCount, rows, start);
        for (int64_t x = 0; x < width; ++x)
          for (int64_t v = 0; v < vectorCount; ++v)
            store(sums[x * vectorCount + v], plus(plus(v * lanes, from), rowOfOutput(plus(x, times(step, width)))));
      });
    });
    bool isSideBySide = parsed(op.getLayoutOfResult()).strideOf('h', shapeOf(op.getResult())) == Dim(1);
    forEachColumn([&](Value x, Value column) {
      emitLoop(scope, loc, index(0), count, [&](Value step) {
        emitLaneLoop(scope, loc, index(readers), isSideBySide ? lanes : 1,
                     [&](RegionEmitter &emitter, const LaneValue &j) {
                       Value place = plus(rowOfOutput(plus(x, times(step, width))), j.value);
                       LaneValue head = j;
                       head.value = plus(times(state, readers), j.value);
                       Value sum = emitter.materialise(emitter.loadConsecutive(scratch, place));
                       finish(emitter, head, plus(first, step), LaneValue::uniform(column), sum);
                     });
      });
    });
  }

  void readRows(Value first, Value count) {
    RegionEmitter scalar(scope, 1, loc);
    Value none = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(real));
    forEachColumn([&](Value x, Value column) {
      emitLoop(scope, loc, index(0), count, [&](Value step) {
        emitLoop(scope, loc, index(0), index(readers), [&](Value reader) {
          Value n = plus(first, step), row = rowOfState(plus(1, step), x), head = headOfQuery(reader);
          Value sum = emitLaneReduction(scope, loc, index(depth), lanes, ReduceKind::Sum, none,
                                        [&](RegionEmitter &emitter, const LaneValue &d) {
                                          Value q = read(emitter, query, LaneValue::uniform(head), n, d);
                                          Value s =
                                              emitter.materialise(emitter.loadConsecutive(scratch, plus(row, d.value)));
                                          return product(q, s);
                                        });
          finish(scalar, LaneValue::uniform(plus(times(state, readers), reader)), n, LaneValue::uniform(column), sum);
        });
      });
    });
  }

  int64_t depth = 0, columns = 0, readers = 1, height = 0, width = 1, vectors = 1;
  int64_t matrixAt = 0, readAt = 0, readHeight = 0, statesAt = 0, outputAt = 0;
  Value state, firstColumn, columnCount; ///< Of the tile being emitted.
};

} // namespace

FailureOr<KernelGrid> lowerTransitionScan(KernelLowering &lowering, ScanOp op) {
  return TransitionScan(lowering, op).lower();
}

} // namespace tenon
