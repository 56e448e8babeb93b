//===- Reduction.cpp - ONNX's reductions and running sums ------------------------------===//
#include "frontends/onnx/importer/NodeContext.h"

#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

namespace {
struct Reduction {
  Value x;
  SmallVector<int64_t> axes;
  bool keepDims;
  bool isIdentity; ///< No axes, and that means none.
};
} // namespace

static std::optional<Reduction> reductionOf(NodeContext &n) {
  bool keepDims = n.integer("keepdims", 1) != 0, noop = n.integer("noop_with_empty_axes", 0) != 0;
  auto given = n.axes(1);
  Value x = n.tensor(0);
  if (!x || n.graph.hasFailed())
    return std::nullopt;
  int64_t rank = shapeOf(x).size();
  if (!given || given->empty()) {
    SmallVector<int64_t> all;
    if (!noop)
      llvm::append_range(all, llvm::seq<int64_t>(0, rank));
    return Reduction{x, all, keepDims, noop};
  }
  auto axes = n.graph.axes(*given, rank);
  return axes ? std::optional(Reduction{x, *axes, keepDims, false}) : std::nullopt;
}

using Scalar = Value (*)(ScalarBuilder &, Value);

static Value applyEach(NodeContext &n, Value x, Scalar function) {
  if (!x)
    return {};
  return n.graph.elementwise(elementOf(x), x, [&](ScalarBuilder &s, ArrayRef<Value> v) { return function(s, v[0]); });
}

/// after(reduce(before(x))); either function may be null.
static LogicalResult reduce(NodeContext &n, ReduceKind kind, Scalar before, Scalar after) {
  std::optional<Reduction> r = reductionOf(n);
  if (!r)
    return failure();
  Value x = before ? applyEach(n, r->x, before) : r->x;
  Value result = n.graph.reduce(kind, x, r->axes, r->keepDims);
  return n.result(after ? applyEach(n, result, after) : result);
}

static Value square(ScalarBuilder &s, Value x) { return s.mul(x, x); }
static Value absolute(ScalarBuilder &s, Value x) { return s.abs(x); }
static Value root(ScalarBuilder &s, Value x) {
  if (isa<FloatType>(x.getType()))
    return s.sqrt(x);
  return s.cast(s.sqrt(s.cast(x, s.builder.getF64Type())), x.getType());
}
static Value logarithm(ScalarBuilder &s, Value x) { return s.log(x); }

LogicalResult onnx_importer::importReduceSum(NodeContext &n) { return reduce(n, ReduceKind::Sum, nullptr, nullptr); }
LogicalResult onnx_importer::importReduceProd(NodeContext &n) {
  return reduce(n, ReduceKind::Product, nullptr, nullptr);
}
LogicalResult onnx_importer::importReduceL1(NodeContext &n) { return reduce(n, ReduceKind::Sum, absolute, nullptr); }
LogicalResult onnx_importer::importReduceL2(NodeContext &n) { return reduce(n, ReduceKind::Sum, square, root); }
LogicalResult onnx_importer::importReduceSumSquare(NodeContext &n) {
  return reduce(n, ReduceKind::Sum, square, nullptr);
}
LogicalResult onnx_importer::importReduceLogSum(NodeContext &n) {
  return reduce(n, ReduceKind::Sum, nullptr, logarithm);
}

LogicalResult onnx_importer::importReduceMean(NodeContext &n) {
  std::optional<Reduction> r = reductionOf(n);
  return r ? n.result(n.graph.mean(r->x, r->axes, r->keepDims)) : failure();
}

/// Maximum and minimum compare signed numbers: bools and unsigned ones in a wider type.
static LogicalResult extreme(NodeContext &n, ReduceKind kind) {
  std::optional<Reduction> r = reductionOf(n);
  if (!r)
    return failure();
  ElementType type = n.type(0);
  Type element = elementOf(r->x);
  if (signOf(type) == Sign::Signed)
    return n.result(n.graph.reduce(kind, r->x, r->axes, r->keepDims));
  if (type == ElementType::UInt64)
    return n.error() << "elements of uint64 are not supported";
  Value wide = n.graph.cast(r->x, n.graph.i64(), Sign::Unsigned);
  Value result = n.graph.reduce(kind, wide, r->axes, r->keepDims);
  if (type == ElementType::Bool) // The maximum of nothing is the least integer, and false.
    return n.result(n.graph.compare(Comparison::Greater, result, n.graph.splat(n.graph.i64(), 0)), type);
  return n.result(n.graph.cast(result, element), type);
}

LogicalResult onnx_importer::importReduceMax(NodeContext &n) { return extreme(n, ReduceKind::Max); }
LogicalResult onnx_importer::importReduceMin(NodeContext &n) { return extreme(n, ReduceKind::Min); }

LogicalResult onnx_importer::importReduceLogSumExp(NodeContext &n) {
  std::optional<Reduction> r = reductionOf(n);
  if (!r)
    return failure();
  // log(sum(exp(x - m))) + m, where an infinite maximum m is left out: inf - inf is no number.
  Value maximum = n.graph.reduce(ReduceKind::Max, r->x, r->axes, true);
  Value shift = applyEach(n, maximum, [](ScalarBuilder &s, Value m) {
    Value infinity = s.number(m.getType(), std::numeric_limits<double>::infinity());
    Value finite = s.compare(Comparison::Less, s.abs(m), infinity);
    return s.select(finite, m, s.number(m.getType(), 0));
  });
  Value sum = n.graph.reduce(ReduceKind::Sum, n.graph.exp(n.graph.sub(r->x, shift)), r->axes, true);
  Value result = n.graph.add(n.graph.log(sum), shift);
  return n.result(r->keepDims ? result : n.graph.squeeze(result, r->axes));
}

//===----------------------------------------------------------------------------===//
// Positions of extremes
//===----------------------------------------------------------------------------===//

/// The least (or greatest) index at which x equals its extreme.
static LogicalResult position(NodeContext &n, ReduceKind kind) {
  int64_t along = n.integer("axis", 0);
  bool keepDims = n.integer("keepdims", 1) != 0, last = n.integer("select_last_index", 0) != 0;
  Value x = n.tensor(0);
  std::optional<int64_t> axis = x ? n.graph.axis(along, shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return failure();
  if (n.sign(0) == Sign::Unsigned)
    x = n.graph.cast(x, n.graph.i64(), Sign::Unsigned);
  Value best = n.graph.reduce(kind, x, *axis, true);
  if (!best)
    return failure();
  Dim size = shapeOf(x)[*axis];
  Type i64 = n.graph.i64();
  // Where nothing equals (a NaN is the extreme), index 0 or the last.
  Value places = n.graph.map(i64, shapeOf(x), {x, best}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> row(at);
    row[*axis] = s.index(0);
    Value element = s.load(t[0], at), extreme = s.load(t[1], row);
    Value hit = s.compare(Comparison::Equal, element, extreme);
    if (isa<FloatType>(element.getType()))
      hit = s.bitOr(hit, s.isNaN(element));
    Value none = last ? s.index(-1) : s.size(size);
    return s.cast(s.select(hit, at[*axis], none), i64);
  });
  Value found = n.graph.reduce(last ? ReduceKind::Max : ReduceKind::Min, places, *axis, keepDims);
  return n.result(found, ElementType::Int64);
}

LogicalResult onnx_importer::importArgMax(NodeContext &n) { return position(n, ReduceKind::Max); }
LogicalResult onnx_importer::importArgMin(NodeContext &n) { return position(n, ReduceKind::Min); }

//===----------------------------------------------------------------------------===//
// CumSum: a sum over a triangle, quadratic in the length of the axis
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importCumSum(NodeContext &n) {
  bool exclusive = n.integer("exclusive", 0) != 0, reverse = n.integer("reverse", 0) != 0;
  Value x = n.tensor(0);
  auto along = n.wantConstants(1, "axis");
  std::optional<int64_t> axis =
      x && along && along->size() == 1 ? n.graph.axis((*along)[0], shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "axis: wanted one number");
  Shape shape = shapeOf(x);
  Shape triangle = shape;
  triangle.push_back(shape[*axis]);
  Comparison kept = reverse ? (exclusive ? Comparison::Greater : Comparison::GreaterEqual)
                            : (exclusive ? Comparison::Less : Comparison::LessEqual);
  Value terms = n.graph.map(elementOf(x), triangle, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> source(at.drop_back());
    source[*axis] = at.back();
    Value term = s.load(t[0], source);
    return s.select(s.compare(kept, at.back(), at[*axis]), term, s.number(term.getType(), 0));
  });
  return n.result(n.graph.reduce(ReduceKind::Sum, terms, int64_t(shape.size()), false));
}
