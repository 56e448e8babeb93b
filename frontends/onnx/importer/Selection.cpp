//===- Selection.cpp - ONNX operators that order, count or pick elements ---------------===//
//
// All by sorting (OrderOp) and running sums. What holds a condition comes first in the order of its negation; items
// that are equal stand next to each other in their order.
//
// Where the number of results depends on data (Compress, NonZero, Unique), it is what the file
// says of the result's dims; data that gives another number is reported when the program runs. Without that, NonZero's
// results are MaskedPlaces.
//
#include "frontends/onnx/importer/MaskedPlaces.h"
#include "frontends/onnx/importer/Reduction.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

/// The indices with one replaced.
static SmallVector<Value> withIndex(ValueRange at, int64_t axis, Value index) {
  SmallVector<Value> changed(at);
  changed[axis] = index;
  return changed;
}

static Value loadIndex(ScalarBuilder &s, Value tensor, ValueRange at) {
  return s.cast(s.load(tensor, at), s.builder.getIndexType());
}

//===----------------------------------------------------------------------------===//
// TopK, Hardmax
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importTopK(NodeContext &n) {
  int64_t along = n.integer("axis", -1);
  bool largest = n.integer("largest", 1) != 0;
  n.integer("sorted", 1); // Sorted is one of the orders allowed without.
  Value x = n.tensor(0);
  std::optional<int64_t> axis = x ? n.graph.axis(along, shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return failure();
  Shape shape = shapeOf(x), kept = shape;
  if (n.isComputed(1)) {
    std::optional<Shape> declared = n.wantDeclared(1, "k");
    if (!declared || declared->size() != shape.size())
      return failure();
    kept[*axis] = (*declared)[*axis];
  } else {
    std::optional<Sizes> k = n.wantSizes(1, "k");
    if (!k || k->elements.size() != 1)
      return failure();
    kept[*axis] = k->elements[0];
  }
  Value places = n.graph.order(x, *axis, kept[*axis], largest, n.sign(0));
  if (!places)
    return failure();
  Value values = n.graph.map(elementOf(x), kept, {x, places}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    return s.load(t[0], withIndex(at, *axis, loadIndex(s, t[1], at)));
  });
  return n.results({values, places}, {n.type(0), ElementType::Int64});
}

LogicalResult onnx_importer::importHardmax(NodeContext &n) {
  int64_t along = n.integer("axis", n.version < 13 ? 1 : -1);
  Value x = n.tensor(0);
  std::optional<int64_t> axis = x ? n.graph.axis(along, shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return failure();
  Shape shape = shapeOf(x);
  if (n.version < 13 && *axis != int64_t(shape.size()) - 1)
    return n.error() << "wants the last axis before operator set 13, found axis " << *axis;
  Value first = placeOfExtreme(n, ReduceKind::Max, x, *axis, /*last=*/false, /*keepDims=*/true);
  return n.result(n.graph.map(elementOf(x), shape, first, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value place = loadIndex(s, t[0], withIndex(at, *axis, s.index(0)));
    Value isFirst = s.compare(Comparison::Equal, place, at[*axis]);
    return s.select(isFirst, s.number(elementOf(x), 1), s.number(elementOf(x), 0));
  }));
}

//===----------------------------------------------------------------------------===//
// What holds a condition
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importCompress(NodeContext &n) {
  Value x = n.tensor(0), flags = n.tensor(1);
  std::optional<Shape> shape = n.wantDeclared(1, "condition");
  if (!x || !flags || !shape)
    return failure();
  int64_t along = n.integer("axis", 0);
  bool isFlat = !n.hasAttribute("axis");
  if (isFlat)
    x = n.graph.reshape(x, countOf(shapeOf(x)));
  std::optional<int64_t> axis = n.graph.axis(along, shapeOf(x).size());
  if (!axis || shape->size() != shapeOf(x).size())
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "the file says another rank of the result");
  Value picks = positionsOf(n, flags, (*shape)[*axis]);
  return n.result(n.graph.map(elementOf(x), *shape, {x, picks}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    return s.load(t[0], withIndex(at, *axis, loadIndex(s, t[1], at[*axis])));
  }));
}

/// The index along dim `d` of the element at a row-major position, for `d` a value.
static Value digitOf(ScalarBuilder &s, Value d, Value position, ArrayRef<Dim> shape) {
  Value index = s.index(0);
  Dim step(1);
  for (int64_t dim = int64_t(shape.size()) - 1; dim >= 0; --dim) {
    Value own = s.rem(s.div(position, s.size(step), Sign::Unsigned), s.size(shape[dim]), Sign::Unsigned);
    index = s.select(s.compare(Comparison::Equal, d, s.index(dim)), own, index);
    step *= shape[dim];
  }
  return index;
}

LogicalResult onnx_importer::importNonZero(NodeContext &n) {
  Value x = n.tensor(0);
  // Where all elements are one number, as in `ones(...) == 1`, all positions or none.
  if (std::optional<bool> isEverywhere = n.isNonZeroThroughout(0); isEverywhere && !shapeOf(x).empty()) {
    Shape from = shapeOf(x);
    Type i64 = n.graph.i64();
    Shape places{Dim(int64_t(from.size())), *isEverywhere ? countOf(from) : Dim(0)};
    return n.result(n.graph.map(i64, places, {},
                                [&](ScalarBuilder &s, ValueRange, ValueRange at) {
                                  return s.cast(digitOf(s, at[0], at[1], from), i64);
                                }),
                    ElementType::Int64);
  }
  std::optional<Shape> shape = n.declared();
  if (!x)
    return failure();
  Shape from = shapeOf(x);
  if (!shape && !from.empty())
    return defineMaskedPlaces(n, x);
  shape = shape ? shape : n.wantDeclared(0, "the number of elements other than zero");
  if (!shape)
    return failure();
  if (shape->size() != 2 || from.empty())
    return n.error() << "wants a tensor of rank at least 1 and a result of rank 2, found " << toString(from) << " and "
                     << toString(*shape);
  Value flat = n.graph.reshape(x, countOf(from));
  Value flags = n.graph.elementwise(
      n.graph.i1(), flat, [](ScalarBuilder &s, ArrayRef<Value> v) { return s.cast(v[0], s.builder.getI1Type()); });
  Value picks = positionsOf(n, flags, (*shape)[1]);
  // The index along each dimension, from the position in row-major order. A position of -1 (the
  // data has another number) must fail: it is looked up in x.
  return n.result(n.graph.map(n.graph.i64(), *shape, {picks, flags},
                              [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                Value position = loadIndex(s, t[0], at[1]);
                                Value isThere = s.load(t[1], position);
                                return s.cast(s.select(isThere, digitOf(s, at[0], position, from), s.index(-1)),
                                              n.graph.i64());
                              }),
                  ElementType::Int64);
}

//===----------------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------------===//

namespace {
/// Items (elements, or slices along an axis, each flattened) in their order: those that are equal stand together.
struct Groups {
  NodeContext &n;
  Value items; ///< [items, elements]
  Dim wanted;  ///< How many different ones there are.
  Dim count = shapeOf(items)[0], length = shapeOf(items)[1];
  Type i64 = n.graph.i64();
  Value order = n.graph.order(items, 0, count, /*descending=*/false, n.sign(0), /*records=*/true);

  /// Whether the item at each place of the order is another than the one before it.
  Value isStart() const {
    Value differences =
        n.graph.map(i64, {count, length}, {items, order}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
          Value isFirst = s.compare(Comparison::Equal, at[0], s.index(0));
          Value before = s.select(isFirst, at[0], s.sub(at[0], s.index(1)));
          Value a = s.load(t[0], {loadIndex(s, t[1], at[0]), at[1]}),
                b = s.load(t[0], {loadIndex(s, t[1], before), at[1]});
          Value differ = s.compare(Comparison::NotEqual, a, b);
          if (isa<FloatType>(a.getType()))
            differ = s.bitAnd(differ, s.bitNot(s.bitAnd(s.isNaN(a), s.isNaN(b))));
          return s.cast(differ, i64);
        });
    Value some = n.graph.reduce(ReduceKind::Max, differences, 1, false);
    return n.graph.map(n.graph.i1(), count, some, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
      Value isFirst = s.compare(Comparison::Equal, at[0], s.index(0));
      return s.bitOr(isFirst, s.compare(Comparison::Greater, s.load(t[0], at), s.integer(i64, 0)));
    });
  }

  /// What a list of places (or of numbers) holds at those another list names.
  Value at(Value list, Value places) const { return n.graph.gather(list, places); }
};
} // namespace

/// The different items: where each stands first, how often it occurs, and for each item which one it is.
static LogicalResult finishUnique(const Groups &groups, bool isSorted, Value &indices, Value &inverse, Value &counts) {
  NodeContext &n = groups.n;
  const Dim &count = groups.count, &wanted = groups.wanted;
  Value isStart = groups.isStart();
  Value starts = positionsOf(n, isStart, wanted);
  if (!starts)
    return failure();
  counts = n.graph.map(groups.i64, wanted, starts, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value last = s.sub(s.size(wanted), s.index(1)), next = s.add(at[0], s.index(1));
    Value end =
        s.select(s.compare(Comparison::Less, at[0], last), loadIndex(s, t[0], s.min(next, last)), s.size(count));
    return s.cast(s.sub(end, loadIndex(s, t[0], at[0])), groups.i64);
  });
  indices = groups.at(groups.order, starts);
  // At each place of the order, how many groups have begun; then for each item.
  Value begun =
      running(n, ReduceKind::Sum, n.graph.cast(isStart, groups.i64), 0, /*exclusive=*/false, /*reverse=*/false);
  Value places = n.graph.order(groups.order, 0, count, /*descending=*/false);
  inverse = n.graph.elementwise(groups.i64, groups.at(begun, places), [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.sub(v[0], s.integer(groups.i64, 1));
  });
  if (isSorted)
    return mlir::success();
  // In the order in which they stand first.
  Value byPlace = n.graph.order(indices, 0, wanted, /*descending=*/false);
  indices = groups.at(indices, byPlace);
  counts = groups.at(counts, byPlace);
  inverse = groups.at(n.graph.order(byPlace, 0, wanted, /*descending=*/false), inverse);
  return mlir::success();
}

LogicalResult onnx_importer::importUnique(NodeContext &n) {
  bool isSorted = n.integer("sorted", 1) != 0, isFlat = !n.hasAttribute("axis");
  int64_t along = n.integer("axis", 0);
  Value x = n.tensor(0);
  std::optional<Shape> shape = n.wantDeclared(0, "the number of unique elements");
  if (!x || !shape)
    return failure();
  Shape from = isFlat ? Shape{countOf(shapeOf(x))} : shapeOf(x);
  std::optional<int64_t> axis = n.graph.axis(along, from.size());
  if (!axis || shape->size() != from.size())
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "the file says another rank of the result");
  Value whole = n.graph.reshape(x, from);
  SmallVector<int64_t> order{*axis};
  for (int64_t d = 0; d < int64_t(from.size()); ++d)
    if (d != *axis)
      order.push_back(d);
  Shape item = from;
  item[*axis] = Dim(1);
  Value moved = n.graph.transpose(whole, order);
  Groups groups{n, n.graph.reshape(moved, {from[*axis], countOf(item)}), (*shape)[*axis]};
  Value indices, inverse, counts;
  if (failed(finishUnique(groups, isSorted, indices, inverse, counts)))
    return failure();
  Value y = n.graph.map(elementOf(x), *shape, {whole, indices}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    return s.load(t[0], withIndex(at, *axis, loadIndex(s, t[1], at[*axis])));
  });
  auto i = ElementType::Int64;
  return n.results({y, indices, inverse, counts}, {n.type(0), i, i, i});
}

//===----------------------------------------------------------------------------===//
// ReverseSequence
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importReverseSequence(NodeContext &n) {
  int64_t timeAxis = n.integer("time_axis", 0), batchAxis = n.integer("batch_axis", 1);
  Value x = n.tensor(0), lengths = n.tensor(1);
  if (!x || !lengths)
    return failure();
  int64_t rank = shapeOf(x).size();
  if (rank < 2 || timeAxis < 0 || batchAxis < 0 || timeAxis > 1 || batchAxis > 1 || timeAxis == batchAxis)
    return n.error() << "wants time_axis and batch_axis 0 and 1, found " << timeAxis << " and " << batchAxis;
  return n.result(
      n.graph.map(elementOf(x), shapeOf(x), {x, lengths}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
        Value length = loadIndex(s, t[1], at[batchAxis]), time = at[timeAxis];
        Value back = s.sub(s.sub(length, s.index(1)), time);
        return s.load(t[0], withIndex(at, timeAxis, s.select(s.compare(Comparison::Less, time, length), back, time)));
      }));
}
