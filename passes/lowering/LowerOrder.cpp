//===- LowerOrder.cpp - where the elements of a row stand in sorted order --------------===//
//
// A row of one tile at a time. An element becomes a key, an unsigned integer that orders as it does, of 32 bits or two times
// 32; key and place make a word, and words are sorted (WordSort.h).
//
// Keys of 32 bits, k of N wanted: words are collected in a list of max(4 k, 128). When it is full it is
// sorted and cut to k, and from then on only what comes before its last word is collected, a vector of elements being
// passed over by one comparison. Each element is read once, and a list costs no more than what it took in.
//
// Longer keys and records: sorted by the last 32 bits first, then by those before, each time stable.
//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/Faults.h"
#include "passes/lowering/LowerOrder.h"
#include "passes/lowering/WordSort.h"

using namespace mlir;

namespace tenon {
namespace {

/// A list that is collected holds at least this many words, which are ranked, and so many times k: whatever the
/// order of the data, most of a full list is new.
constexpr int64_t leastCollected = 128, timesWanted = 4;
constexpr int64_t placeBits = 32;

struct OrderLowering {
  KernelLowering &lowering;
  OrderOp op;
  Shape input = shapeOf(op.getInput()), result = shapeOf(op.getResult());
  int64_t axis = op.getOver();
  Type element = elementOf(op.getInput());
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Type i64 = builder.getI64Type();
  unsigned lanes = lowering.lanesOf(builder.getI32Type());
  bool isWide = element.getIntOrFloatBitWidth() > 32, isCollected = !isWide && !op.getRecords();
  Value words = {}, places = {}; ///< Scratch: two lists of words; the order so far of longer keys.
  Value capacity = {}, length = scope.dim(input[axis], loc), wanted = scope.dim(result[axis], loc);

  Value index(int64_t value) { return scope.index(value, loc); }
  Value load(Value memory, Value at) { return memref::LoadOp::create(builder, loc, memory, at); }
  void store(Value value, Value memory, Value at) { memref::StoreOp::create(builder, loc, value, memory, at); }
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  }
  /// A number as a scalar or vector of this type.
  Value constant(Type type, int64_t value) {
    auto vector = dyn_cast<VectorType>(type);
    IntegerAttr number = builder.getIntegerAttr(getElementTypeOrSelf(type), value);
    return arith::ConstantOp::create(builder, loc, vector ? TypedAttr(DenseElementsAttr::get(vector, number)) : number);
  }
  static Type like(Type type, Type element) {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(vector.clone(element)) : element;
  }

  //===--------------------------------------------------------------------------===//
  // Keys
  //===--------------------------------------------------------------------------===//

  /// Negative numbers turned around, the others above them; a zero without its sign, NaN last.
  Value keyOfFloat(Value x) {
    if (!isWide)
      x = convertFloat(builder, loc, x, builder.getF32Type());
    unsigned bits = getElementTypeOrSelf(x.getType()).getIntOrFloatBitWidth();
    Type type = like(x.getType(), builder.getIntegerType(bits));
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(x.getType()));
    Value isNaN = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNO, x, x);
    Value isZero = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, x, zero);
    Value pattern = arith::BitcastOp::create(builder, loc, type, x);
    pattern = arith::SelectOp::create(builder, loc, isZero, constant(type, 0), pattern);
    Value isNegative = arith::ShRSIOp::create(builder, loc, pattern, constant(type, bits - 1));
    Value turned = arith::OrIOp::create(builder, loc, isNegative, leastOf(type));
    Value key = arith::XOrIOp::create(builder, loc, pattern, turned);
    return arith::SelectOp::create(builder, loc, isNaN, constant(type, -1), key);
  }

  /// The highest bit alone.
  Value leastOf(Type type) {
    return constant(type, llvm::minIntN(getElementTypeOrSelf(type).getIntOrFloatBitWidth()));
  }

  Value keyOfInteger(Value x) {
    Type type = like(x.getType(), isWide ? i64 : builder.getI32Type());
    bool isUnsigned = op.getIsUnsigned() || element.isInteger(1);
    if (x.getType() != type)
      x = isUnsigned ? Value(arith::ExtUIOp::create(builder, loc, type, x))
                     : Value(arith::ExtSIOp::create(builder, loc, type, x));
    return isUnsigned ? x : Value(arith::XOrIOp::create(builder, loc, x, leastOf(type)));
  }

  /// The key of the input's element there, 32 or 64 bits.
  Value keyAt(RegionEmitter &emitter, ArrayRef<LaneValue> at) {
    Value x = emitter.materialise(lowering.reader(op.getInput(), emitter)(at));
    Value key = isa<FloatType>(element) ? keyOfFloat(x) : keyOfInteger(x);
    return op.getDescending() ? Value(arith::XOrIOp::create(builder, loc, key, constant(key.getType(), -1))) : key;
  }

  /// Key and place as one; a key of 64 bits is its lower half.
  Value wordOf(Value key, Value place) {
    Type type = place.getType();
    if (key.getType() != type)
      key = arith::ExtUIOp::create(builder, loc, type, key);
    Value above = arith::ShLIOp::create(builder, loc, key, constant(type, placeBits));
    return arith::OrIOp::create(builder, loc, above, place);
  }
  Value placeOf(Value word) {
    return arith::AndIOp::create(builder, loc, word, constant(word.getType(), (int64_t(1) << placeBits) - 1));
  }

  //===--------------------------------------------------------------------------===//
  // Keys of 32 bits: one pass over the row
  //===--------------------------------------------------------------------------===//

  /// What a pass over the row carries.
  struct Collected {
    Value position; ///< The next element.
    Value count;    ///< Words in the list,
    Value start;    ///< which begins here.
    Value bound;    ///< Only words below it are wanted.

    explicit Collected(ValueRange values) : position(values[0]), count(values[1]), start(values[2]), bound(values[3]) {}
    SmallVector<Value> values() const { return {position, count, start, bound}; }
  };

  /// The words of `width` elements from the position on that are below the bound, behind those of the list. Gives
  /// the list's new count.
  Value collect(const Collected &from, SmallVector<LaneValue> at, unsigned width) {
    RegionEmitter emitter(scope, width, loc);
    at[axis] = width == 1 ? LaneValue::uniform(from.position) : LaneValue::linear(from.position);
    Value key = keyAt(emitter, at);
    LaneValue place = at[axis];
    place.value = arith::IndexCastOp::create(builder, loc, i64, place.value);
    Value word = wordOf(key, emitter.materialise(place));
    Value bound = emitter.materialise(LaneValue::uniform(from.bound));
    Value isWanted = compare(arith::CmpIPredicate::ult, word, bound);
    return width == 1 ? append(word, isWanted, from) : appendVector(word, isWanted, from);
  }

  /// Writes the word in any case; it stays if it is counted.
  Value append(Value word, Value isWanted, const Collected &list) {
    store(word, words, scope.add(list.start, list.count, loc));
    Value next = scope.add(list.count, index(1), loc);
    return arith::SelectOp::create(builder, loc, isWanted, next, list.count);
  }

  Value appendVector(Value word, Value isWanted, const Collected &list) {
    Type type = builder.getIndexType();
    Value any = vector::ReductionOp::create(builder, loc, vector::CombiningKind::OR, isWanted);
    auto some = scf::IfOp::create(builder, loc, type, any, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(some.elseBlock());
    scf::YieldOp::create(builder, loc, list.count);
    builder.setInsertionPointToStart(some.thenBlock());
    Value all = vector::ReductionOp::create(builder, loc, vector::CombiningKind::AND, isWanted);
    auto whole = scf::IfOp::create(builder, loc, type, all, /*withElseRegion=*/true);
    scf::YieldOp::create(builder, loc, whole.getResult(0));
    builder.setInsertionPointToStart(whole.thenBlock());
    vector::StoreOp::create(builder, loc, word, words, scope.add(list.start, list.count, loc));
    scf::YieldOp::create(builder, loc, scope.add(list.count, index(lanes), loc));
    builder.setInsertionPointToStart(whole.elseBlock());
    Collected grown = list;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      Value mine = vector::ExtractOp::create(builder, loc, word, int64_t(lane));
      grown.count = append(mine, vector::ExtractOp::create(builder, loc, isWanted, int64_t(lane)), grown);
    }
    scf::YieldOp::create(builder, loc, grown.count);
    return some.getResult(0);
  }

  /// Until the row ends or the list has no room for another vector.
  Collected fill(const Collected &before, ArrayRef<LaneValue> row) {
    Type type = builder.getIndexType();
    Value width = index(lanes);
    auto loop = scf::WhileOp::create(
        builder, loc, TypeRange{type, type}, ValueRange{before.position, before.count},
        [&](OpBuilder &, Location, ValueRange carried) {
          Value isLeft = compare(arith::CmpIPredicate::ult, carried[0], length);
          Value fits = compare(arith::CmpIPredicate::ule, scope.add(carried[1], width, loc), capacity);
          Value goesOn = arith::AndIOp::create(builder, loc, isLeft, fits);
          scf::ConditionOp::create(builder, loc, goesOn, carried);
        },
        [&](OpBuilder &, Location, ValueRange carried) {
          Collected now = before;
          now.position = carried[0], now.count = carried[1];
          Value next = scope.add(now.position, width, loc);
          Value isWhole = compare(arith::CmpIPredicate::ule, next, length);
          auto choice = scf::IfOp::create(builder, loc, TypeRange{type, type}, isWhole, /*withElseRegion=*/true);
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPointToStart(choice.thenBlock());
          scf::YieldOp::create(builder, loc, ValueRange{next, collect(now, SmallVector<LaneValue>(row), lanes)});
          builder.setInsertionPointToStart(choice.elseBlock());
          Value count = collect(now, SmallVector<LaneValue>(row), 1);
          scf::YieldOp::create(builder, loc, ValueRange{scope.add(now.position, index(1), loc), count});
          builder.setInsertionPointAfter(choice);
          scf::YieldOp::create(builder, loc, choice.getResults());
        });
    Collected after = before;
    after.position = loop.getResult(0), after.count = loop.getResult(1);
    return after;
  }

  /// The bound of a list that holds as many as are wanted is the key of its last word.
  Value boundOf(const Collected &list) {
    Value last = scope.sub(builder.createOrFold<arith::MaxSIOp>(loc, list.count, index(1)), index(1), loc);
    Value word = load(words, scope.add(list.start, last, loc));
    Value bound = arith::XOrIOp::create(builder, loc, word, placeOf(word));
    Value isFull = compare(arith::CmpIPredicate::eq, list.count, wanted);
    return arith::SelectOp::create(builder, loc, isFull, bound, list.bound);
  }

  /// Where the sorted list of the row begins.
  Value collectRow(WordSort &sorter, ArrayRef<LaneValue> row) {
    SmallVector<Value> start{index(0), index(0), index(0), constant(i64, -1)};
    auto types = llvm::map_to_vector(start, [](Value value) { return value.getType(); });
    auto loop = scf::WhileOp::create(
        builder, loc, types, start,
        [&](OpBuilder &, Location, ValueRange carried) {
          Collected list = fill(Collected(carried), row);
          list.start = sorter.sort(list.start, list.count);
          list.count = scope.minimum(list.count, wanted, loc);
          list.bound = boundOf(list);
          Value isLeft = compare(arith::CmpIPredicate::ult, list.position, length);
          scf::ConditionOp::create(builder, loc, isLeft, list.values());
        },
        [&](OpBuilder &, Location, ValueRange carried) { scf::YieldOp::create(builder, loc, carried); });
    return loop.getResult(2);
  }

  //===--------------------------------------------------------------------------===//
  // Longer keys and records: 32 bits at a time
  //===--------------------------------------------------------------------------===//

  /// Words of 32 bits of the keys in the present order. `part` counts them from the first element's on.
  void loadWords(Value part, ArrayRef<LaneValue> row) {
    Value halves = index(isWide ? 2 : 1);
    Value field = builder.createOrFold<arith::DivUIOp>(loc, part, halves);
    SmallVector<LaneValue> at(row);
    llvm::append_range(at, lowering.delinearise(field, ArrayRef<Dim>(input).drop_front(at.size())));
    RegionEmitter scalar(scope, 1, loc);
    emitLoop(scope, loc, index(0), length, [&](Value place) {
      Value item = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), load(places, place));
      at[axis] = LaneValue::uniform(item);
      Value key = keyAt(scalar, at);
      if (isWide) {
        Value isLower =
            compare(arith::CmpIPredicate::ne, builder.createOrFold<arith::RemUIOp>(loc, part, halves), index(0));
        Value upper = arith::ShRUIOp::create(builder, loc, key, constant(i64, placeBits));
        key = arith::SelectOp::create(builder, loc, isLower, key, upper);
      }
      store(wordOf(key, arith::IndexCastOp::create(builder, loc, i64, place)), words, place);
    });
  }

  /// The present order, itself in the order of the sorted words.
  void reorder(WordSort &sorter, Value sorted) {
    Value free = sorter.other(sorted);
    emitLoop(scope, loc, index(0), length, [&](Value place) {
      Value word = load(words, scope.add(sorted, place, loc));
      Value from = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), placeOf(word));
      store(load(places, from), words, scope.add(free, place, loc));
    });
    emitLoop(scope, loc, index(0), length,
             [&](Value place) { store(load(words, scope.add(free, place, loc)), places, place); });
  }

  void sortParts(WordSort &sorter, ArrayRef<LaneValue> row) {
    emitLoop(scope, loc, index(0), length,
             [&](Value place) { store(arith::IndexCastOp::create(builder, loc, i64, place), places, place); });
    // Of an element along an inner axis the indices behind it are the row's; of a record they are its own.
    Dim fields = op.getRecords() ? countOf(ArrayRef<Dim>(input).drop_front(axis + 1)) : Dim(1);
    ArrayRef<LaneValue> outer = op.getRecords() ? row.take_front(axis + 1) : row;
    Value parts = scope.dim(fields * Dim(isWide ? 2 : 1), loc);
    emitLoop(scope, loc, index(0), parts, [&](Value done) {
      loadWords(scope.sub(scope.sub(parts, done, loc), index(1), loc), outer);
      reorder(sorter, sorter.sort(index(0), length));
    });
  }

  //===--------------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------------===//

  /// The first of `order` from `start` on, which may hold keys above them.
  void write(Value order, Value start, SmallVector<LaneValue> at) {
    SmallVector<Value> strides = scope.strides(result, loc);
    Value offset = index(0);
    at[axis] = LaneValue::uniform(offset);
    for (auto [position, stride] : llvm::zip(at, strides))
      offset = scope.add(offset, scope.mul(position.value, stride, loc), loc);
    unsigned width = axis == int64_t(result.size()) - 1 ? lowering.lanesOf(i64) : 1;
    emitLaneLoop(scope, loc, scope.minimum(wanted, length, loc), width,
                 [&](RegionEmitter &emitter, const LaneValue &j) {
                   LaneValue place = emitter.loadConsecutive(order, scope.add(start, j.value, loc));
                   place.value = placeOf(place.value);
                   at[axis] = j;
                   lowering.finish(emitter, at, scope.add(offset, scope.mul(j.value, strides[axis], loc), loc), place);
                 });
  }

  void reportTooFew() {
    if (result[axis] == input[axis] || (result[axis].isConstant() && input[axis].isConstant()))
      return;
    emitIf(scope, loc, compare(arith::CmpIPredicate::ugt, wanted, length),
           [&] { scope.function.raiseFaults(builder, loc, constant(builder.getI32Type(), faultIndexOutOfRange)); });
  }

  KernelGrid lower() {
    Dim room = input[axis];
    if (isCollected)
      room = Dim::min(room, Dim::max(Dim(timesWanted) * result[axis], Dim(leastCollected)));
    room = room + Dim(lanes);
    int64_t bytes = sizeof(int64_t);
    capacity = scope.dim(room, loc);
    Value counters = scope.function.scratch(builder, loc, builder.getI32Type(), index(0));
    words = scope.function.scratch(builder, loc, i64, index(WordSort::counterBytes));
    Dim ends = Dim(WordSort::counterBytes) + Dim(2 * bytes) * room;
    places = isCollected ? words : scope.function.scratch(builder, loc, i64, scope.dim(ends, loc));

    WordSort sorter(scope, loc, lowering.lanesOf(i64), words, counters, capacity);
    Shape rows = result;
    rows[axis] = Dim(1);
    int64_t each = rowsPerTile(input[axis]);
    lowering.forEachRow(countOf(rows), each, [&](Value number) {
      SmallVector<LaneValue> row = lowering.delinearise(number, rows);
      reportTooFew();
      Value start = index(0);
      if (isCollected)
        start = collectRow(sorter, row);
      else
        sortParts(sorter, row);
      write(places, start, row);
    });
    return {countOf(rows).ceilDiv(Dim(each)), isCollected ? ends : ends + Dim(bytes) * input[axis]};
  }
};

} // namespace

KernelGrid lowerOrder(KernelLowering &lowering, OrderOp order) {
  OrderLowering work{lowering, order};
  return work.lower();
}

} // namespace tenon
