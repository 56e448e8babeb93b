//===- Selection.cpp - ONNX operators that order, count or pick elements ---------------===//
//
// All by counting: the rank of an element is how many come before it, and result r is the
// element whose rank is r. Sums over pairs, so quadratic in the length of the axis.
//
// Where the number of results depends on data (Compress, NonZero, Unique), it is what the file
// says of the result's dims; data that gives another number is reported when the program runs.
//
#include "frontends/onnx/importer/NodeContext.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

namespace {
using PairBody = llvm::function_ref<Value(ScalarBuilder &, ValueRange tensors, ValueRange at, Value other)>;
} // namespace

/// Over `shape` and one more index `other` below `count`: how often the body is true.
static Value countWhere(NodeContext &n, ArrayRef<Dim> shape, const Dim &count, ValueRange inputs, PairBody body) {
  Shape pairs(shape);
  pairs.push_back(count);
  Value hits = n.graph.map(n.graph.i64(), pairs, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    return s.cast(body(s, t, at.drop_back(), at.back()), n.graph.i64());
  });
  return n.graph.reduce(ReduceKind::Sum, hits, int64_t(shape.size()), false);
}

/// The least `other` for which the body is true, -1 where there is none.
static Value firstWhere(NodeContext &n, ArrayRef<Dim> shape, const Dim &count, ValueRange inputs, PairBody body) {
  Shape pairs(shape);
  pairs.push_back(count);
  Value found = n.graph.map(n.graph.i64(), pairs, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value hit = body(s, t, at.drop_back(), at.back());
    return s.cast(s.select(hit, at.back(), s.size(count)), n.graph.i64());
  });
  Value least = n.graph.reduce(ReduceKind::Min, found, int64_t(shape.size()), false);
  return n.graph.map(n.graph.i64(), shape, least, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value index = s.load(t[0], at), none = s.cast(s.size(count), n.graph.i64());
    return s.select(s.compare(Comparison::Less, index, none), index, s.integer(n.graph.i64(), -1));
  });
}

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
  Dim count = shape[*axis];
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
  Sign sign = n.sign(0);
  // Before element i comes what is larger, and what is equal and further left; NaN is largest.
  Value rank = countWhere(n, shape, count, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at, Value j) {
    Value mine = s.load(t[0], at), other = s.load(t[0], withIndex(at, *axis, j));
    Value before = s.compare(largest ? Comparison::Greater : Comparison::Less, other, mine, sign);
    Value same = s.compare(Comparison::Equal, other, mine);
    if (isa<FloatType>(mine.getType())) {
      Value mineIsNaN = s.isNaN(mine), otherIsNaN = s.isNaN(other);
      Value isAhead = largest ? s.bitAnd(otherIsNaN, s.bitNot(mineIsNaN)) : s.bitAnd(mineIsNaN, s.bitNot(otherIsNaN));
      before = s.bitOr(before, isAhead);
      same = s.bitOr(same, s.bitAnd(mineIsNaN, otherIsNaN));
    }
    return s.bitOr(before, s.bitAnd(same, s.compare(Comparison::Less, j, at[*axis])));
  });
  if (!rank)
    return failure();
  Value places = firstWhere(n, kept, count, rank, [&](ScalarBuilder &s, ValueRange t, ValueRange at, Value i) {
    return s.compare(Comparison::Equal, loadIndex(s, t[0], withIndex(at, *axis, i)), at[*axis]);
  });
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
  Value best = n.graph.reduce(ReduceKind::Max, x, *axis, true);
  Value first = firstWhere(n, shape, shape[*axis], {x, best},
                           [&](ScalarBuilder &s, ValueRange t, ValueRange at, Value j) {
                             return s.compare(Comparison::Equal, s.load(t[0], withIndex(at, *axis, j)),
                                              s.load(t[1], withIndex(at, *axis, s.index(0))));
                           });
  return n.result(n.graph.map(elementOf(x), shape, first, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value isFirst = s.compare(Comparison::Equal, loadIndex(s, t[0], at), at[*axis]);
    return s.select(isFirst, s.number(elementOf(x), 1), s.number(elementOf(x), 0));
  }));
}

//===----------------------------------------------------------------------------===//
// What holds a condition
//===----------------------------------------------------------------------------===//

/// Of a list of booleans: the positions of the first `wanted` that are true. -1, which no tensor
/// has, unless exactly so many are.
static Value positionsOf(NodeContext &n, Value flags, const Dim &wanted) {
  if (!flags)
    return {};
  Dim count = shapeOf(flags)[0];
  // How many are true before each, and in all.
  Value before = countWhere(n, count, count, flags, [](ScalarBuilder &s, ValueRange t, ValueRange at, Value j) {
    return s.bitAnd(s.load(t[0], j), s.compare(Comparison::Less, j, at[0]));
  });
  Value total = countWhere(n, {}, count, flags,
                           [](ScalarBuilder &s, ValueRange t, ValueRange, Value j) { return s.load(t[0], j); });
  Value found = firstWhere(n, wanted, count, {flags, before},
                           [](ScalarBuilder &s, ValueRange t, ValueRange at, Value i) {
                             Value isHere = s.compare(Comparison::Equal, loadIndex(s, t[1], i), at[0]);
                             return s.bitAnd(s.load(t[0], i), isHere);
                           });
  return n.graph.map(n.graph.i64(), wanted, {found, total}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value isRight = s.compare(Comparison::Equal, loadIndex(s, t[1], {}), s.size(wanted));
    return s.select(isRight, s.load(t[0], at), s.integer(n.graph.i64(), -1));
  });
}

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
    return n.result(n.graph.map(i64, places, {}, [&](ScalarBuilder &s, ValueRange, ValueRange at) {
      return s.cast(digitOf(s, at[0], at[1], from), i64);
    }), ElementType::Int64);
  }
  std::optional<Shape> shape = n.wantDeclared(0, "the number of elements other than zero");
  if (!x || !shape)
    return failure();
  Shape from = shapeOf(x);
  if (shape->size() != 2 || from.empty())
    return n.error() << "wants a tensor of rank at least 1 and a result of rank 2, found " << toString(from) << " and "
                     << toString(*shape);
  Value flat = n.graph.reshape(x, countOf(from));
  Value flags = n.graph.elementwise(n.graph.i1(), flat, [](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.cast(v[0], s.builder.getI1Type());
  });
  Value picks = positionsOf(n, flags, (*shape)[1]);
  // The index along each dimension, from the position in row-major order. A position of -1 (the
  // data has another number) must fail: it is looked up in x.
  return n.result(n.graph.map(n.graph.i64(), *shape, {picks, flags}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value position = loadIndex(s, t[0], at[1]);
    Value isThere = s.load(t[1], position);
    return s.cast(s.select(isThere, digitOf(s, at[0], position, from), s.index(-1)), n.graph.i64());
  }), ElementType::Int64);
}

//===----------------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------------===//

namespace {
/// Items (elements, or slices along an axis, each flattened) and how they compare.
struct Items {
  NodeContext &n;
  Value table; ///< [items, elements]
  Sign sign;
  Dim count = shapeOf(table)[0], length = shapeOf(table)[1];

  /// [items, items]: the first element in which two differ, `length` if none.
  Value differences() const {
    Value found = n.graph.map(n.graph.i64(), {count, count, length}, table,
                              [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                Value a = s.load(t[0], {at[0], at[2]}), b = s.load(t[0], {at[1], at[2]});
                                Value differ = s.compare(Comparison::NotEqual, a, b);
                                return s.cast(s.select(differ, at[2], s.size(length)), n.graph.i64());
                              });
    return n.graph.reduce(ReduceKind::Min, found, 2, false);
  }
};
} // namespace

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
  Dim count = from[*axis], wanted = (*shape)[*axis];
  Value moved = n.graph.transpose(whole, order);
  Items items{n, n.graph.reshape(moved, {count, *countOf(from).exactDiv(count)}), n.sign(0)};
  Type i64 = n.graph.i64();
  Value differ = items.differences();
  auto areEqual = [&](ScalarBuilder &s, Value differences, Value i, Value j) {
    return s.compare(Comparison::Equal, loadIndex(s, differences, {i, j}), s.size(items.length));
  };
  Value first = firstWhere(n, count, count, differ, [&](ScalarBuilder &s, ValueRange t, ValueRange at, Value j) {
    return areEqual(s, t[0], at[0], j);
  });
  auto isFirst = [&](ScalarBuilder &s, Value firsts, Value i) {
    return s.compare(Comparison::Equal, loadIndex(s, firsts, i), i);
  };
  // The rank of each item: how many different ones come before it, by size or by place.
  Value rank = countWhere(n, count, count, {items.table, differ, first},
                          [&](ScalarBuilder &s, ValueRange t, ValueRange at, Value j) {
                            Value comesBefore;
                            if (isSorted) {
                              Value at0 = loadIndex(s, t[1], {at[0], j});
                              Value inside = s.min(at0, s.sub(s.size(items.length), s.index(1)));
                              Value less = s.compare(Comparison::Less, s.load(t[0], {j, inside}),
                                                     s.load(t[0], {at[0], inside}), items.sign);
                              comesBefore = s.bitAnd(less, s.bitNot(areEqual(s, t[1], at[0], j)));
                            } else {
                              comesBefore = s.compare(Comparison::Less, j, loadIndex(s, t[2], at[0]));
                            }
                            return s.bitAnd(isFirst(s, t[2], j), comesBefore);
                          });
  Value total = countWhere(n, {}, count, first, [&](ScalarBuilder &s, ValueRange t, ValueRange, Value j) {
    return isFirst(s, t[0], j);
  });
  Value picked = firstWhere(n, wanted, count, rank, [](ScalarBuilder &s, ValueRange t, ValueRange at, Value i) {
    return s.compare(Comparison::Equal, loadIndex(s, t[0], i), at[0]);
  });
  Value indices = n.graph.map(i64, wanted, {picked, total}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value isRight = s.compare(Comparison::Equal, loadIndex(s, t[1], {}), s.size(wanted));
    return s.select(isRight, s.load(t[0], at), s.integer(i64, -1));
  });
  Value counts = countWhere(n, wanted, count, rank, [](ScalarBuilder &s, ValueRange t, ValueRange at, Value i) {
    return s.compare(Comparison::Equal, loadIndex(s, t[0], i), at[0]);
  });
  Value y = n.graph.map(elementOf(x), *shape, {whole, indices}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    return s.load(t[0], withIndex(at, *axis, loadIndex(s, t[1], at[*axis])));
  });
  auto i = ElementType::Int64;
  return n.results({y, indices, rank, counts}, {n.type(0), i, i, i});
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
  return n.result(n.graph.map(elementOf(x), shapeOf(x), {x, lengths}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value length = loadIndex(s, t[1], at[batchAxis]), time = at[timeAxis];
    Value back = s.sub(s.sub(length, s.index(1)), time);
    return s.load(t[0], withIndex(at, timeAxis, s.select(s.compare(Comparison::Less, time, length), back, time)));
  }));
}
