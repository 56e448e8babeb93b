//===- Reduction.cpp - ONNX's reductions and running sums ------------------------------===//
#include "frontends/onnx/importer/Reduction.h"

#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

namespace {
struct Reduction {
  Value x;
  bool keepDims;
  /// One, or where the axes are computed, every set of axes that gives the dims the file says.
  SmallVector<SmallVector<int64_t>> candidates;
  Value computed; ///< The list of axes that chooses among several.
};
} // namespace

/// The dims after reducing over `axes`.
static Shape reducedShape(ArrayRef<Dim> shape, ArrayRef<int64_t> axes, bool keepDims) {
  Shape result;
  for (auto [d, dim] : llvm::enumerate(shape)) {
    if (!llvm::is_contained(axes, int64_t(d)))
      result.push_back(dim);
    else if (keepDims)
      result.push_back(Dim(1));
  }
  return result;
}

/// The sets of `count` of the dims, reducing over which gives `wanted`.
static SmallVector<SmallVector<int64_t>> axesGiving(ArrayRef<Dim> shape, ArrayRef<Dim> wanted, int64_t count,
                                                    bool keepDims) {
  constexpr size_t mostDims = 8;
  SmallVector<SmallVector<int64_t>> found;
  for (unsigned bits = 0; shape.size() <= mostDims && bits < 1u << shape.size(); ++bits) {
    SmallVector<int64_t> axes;
    for (size_t d = 0; d < shape.size(); ++d)
      if (bits >> d & 1)
        axes.push_back(d);
    if (int64_t(axes.size()) == count && ArrayRef<Dim>(reducedShape(shape, axes, keepDims)) == wanted)
      found.push_back(axes);
  }
  return found;
}

static std::optional<Reduction> computedReduction(NodeContext &n, Value x, bool keepDims, bool noop) {
  std::optional<Shape> wanted = n.wantDeclared(1, "axes");
  Value axes = n.tensor(1);
  if (!wanted || !axes)
    return std::nullopt;
  Shape shape = shapeOf(x);
  std::optional<int64_t> count = countOf(shapeOf(axes)).constant();
  if (!count) {
    n.error() << "axes: wanted a list of known length, found " << toString(shapeOf(axes));
    return std::nullopt;
  }
  Reduction r{x, keepDims, axesGiving(shape, *wanted, *count > 0 || noop ? *count : shape.size(), keepDims), axes};
  if (r.candidates.empty()) {
    n.error() << "axes: no " << *count << " of " << toString(shape) << " leave " << toString(*wanted)
              << ", as the file says of the result";
    return std::nullopt;
  }
  return r;
}

static std::optional<Reduction> reductionOf(NodeContext &n) {
  bool keepDims = n.integer("keepdims", 1) != 0, noop = n.integer("noop_with_empty_axes", 0) != 0;
  Value x = n.tensor(0);
  if (!x || n.graph.hasFailed())
    return std::nullopt;
  if (!n.hasAttribute("axes") && n.isComputed(1))
    return computedReduction(n, x, keepDims, noop);
  auto given = n.axes(1);
  int64_t rank = shapeOf(x).size();
  if (!given || given->empty()) {
    SmallVector<int64_t> all;
    if (!noop)
      llvm::append_range(all, llvm::seq<int64_t>(0, rank));
    return Reduction{x, keepDims, {all}, {}};
  }
  auto axes = n.graph.axes(*given, rank);
  return axes ? std::optional(Reduction{x, keepDims, {*axes}, {}}) : std::nullopt;
}

/// Inside a map: whether the list names every one of `axes`.
static Value namesAll(ScalarBuilder &s, Value list, ArrayRef<int64_t> axes, int64_t rank) {
  Value all = s.integer(s.builder.getI1Type(), 1);
  for (int64_t axis : axes) {
    Value named = s.integer(s.builder.getI1Type(), 0);
    for (int64_t k = 0; k < *countOf(shapeOf(list)).constant(); ++k) {
      SmallVector<Value> place(shapeOf(list).size(), s.index(k));
      Value entry = s.cast(s.load(list, place), s.builder.getIndexType());
      named = s.bitOr(named, s.bitOr(s.compare(Comparison::Equal, entry, s.index(axis)),
                                     s.compare(Comparison::Equal, entry, s.index(axis - rank))));
    }
    all = s.bitAnd(all, named);
  }
  return all;
}

/// body(axes), or, where the axes are computed, that of the candidate they name.
static Value overAxes(NodeContext &n, const Reduction &r, llvm::function_ref<Value(ArrayRef<int64_t>)> body) {
  Value result = body(r.candidates.back());
  int64_t rank = shapeOf(r.x).size();
  for (size_t i = r.candidates.size() - 1; result && i-- > 0;) {
    Value other = body(r.candidates[i]);
    if (!other)
      return {};
    result =
        n.graph.map(elementOf(result), shapeOf(result), {other, result, r.computed},
                    [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                      return s.select(namesAll(s, t[2], r.candidates[i], rank), s.load(t[0], at), s.load(t[1], at));
                    });
  }
  return result;
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
  Value result = overAxes(n, *r, [&](ArrayRef<int64_t> axes) { return n.graph.reduce(kind, x, axes, r->keepDims); });
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
  if (!r)
    return failure();
  return n.result(overAxes(n, *r, [&](ArrayRef<int64_t> axes) { return n.graph.mean(r->x, axes, r->keepDims); }));
}

/// Maximum and minimum compare signed numbers: bools and unsigned ones in a wider type.
static LogicalResult extreme(NodeContext &n, ReduceKind kind) {
  std::optional<Reduction> r = reductionOf(n);
  if (!r)
    return failure();
  ElementType type = n.type(0);
  Type element = elementOf(r->x);
  auto extremeOf = [&](Value x) {
    return overAxes(n, *r, [&](ArrayRef<int64_t> axes) { return n.graph.reduce(kind, x, axes, r->keepDims); });
  };
  if (signOf(type) == Sign::Signed)
    return n.result(extremeOf(r->x));
  if (type == ElementType::UInt64)
    return n.error() << "elements of uint64 are not supported";
  Value wide = n.graph.cast(r->x, n.graph.i64(), Sign::Unsigned);
  Value result = extremeOf(wide);
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
  return n.result(overAxes(n, *r, [&](ArrayRef<int64_t> axes) {
    Value maximum = n.graph.reduce(ReduceKind::Max, r->x, axes, true);
    Value shift = applyEach(n, maximum, [](ScalarBuilder &s, Value m) {
      Value infinity = s.number(m.getType(), std::numeric_limits<double>::infinity());
      Value finite = s.compare(Comparison::Less, s.abs(m), infinity);
      return s.select(finite, m, s.number(m.getType(), 0));
    });
    Value sum = n.graph.reduce(ReduceKind::Sum, n.graph.exp(n.graph.sub(r->x, shift)), axes, true);
    Value result = n.graph.add(n.graph.log(sum), shift);
    return r->keepDims ? result : n.graph.squeeze(result, axes);
  }));
}

//===----------------------------------------------------------------------------===//
// Positions of extremes
//===----------------------------------------------------------------------------===//

Value onnx_importer::placeOfExtreme(NodeContext &n, ReduceKind kind, Value x, int64_t axis, bool last, bool keepDims) {
  Value best = n.graph.reduce(kind, x, axis, true);
  if (!best)
    return {};
  Dim size = shapeOf(x)[axis];
  Type i64 = n.graph.i64();
  // Where nothing equals (a NaN is the extreme), index 0 or the last.
  Value places = n.graph.map(i64, shapeOf(x), {x, best}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> row(at);
    row[axis] = s.index(0);
    Value element = s.load(t[0], at), extreme = s.load(t[1], row);
    Value hit = s.compare(Comparison::Equal, element, extreme);
    if (isa<FloatType>(element.getType()))
      hit = s.bitOr(hit, s.isNaN(element));
    Value none = last ? s.index(-1) : s.size(size);
    return s.cast(s.select(hit, at[axis], none), i64);
  });
  return n.graph.reduce(last ? ReduceKind::Max : ReduceKind::Min, places, axis, keepDims);
}

static LogicalResult position(NodeContext &n, ReduceKind kind) {
  int64_t along = n.integer("axis", 0);
  bool keepDims = n.integer("keepdims", 1) != 0, last = n.integer("select_last_index", 0) != 0;
  Value x = n.tensor(0);
  std::optional<int64_t> axis = x ? n.graph.axis(along, shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return failure();
  if (n.sign(0) == Sign::Unsigned)
    x = n.graph.cast(x, n.graph.i64(), Sign::Unsigned);
  return n.result(placeOfExtreme(n, kind, x, *axis, last, keepDims), ElementType::Int64);
}

LogicalResult onnx_importer::importArgMax(NodeContext &n) { return position(n, ReduceKind::Max); }
LogicalResult onnx_importer::importArgMin(NodeContext &n) { return position(n, ReduceKind::Min); }

//===----------------------------------------------------------------------------===//
// Running sums and products: sums over a triangle, which the reduction makes in one pass
//===----------------------------------------------------------------------------===//

Value onnx_importer::running(NodeContext &n, ReduceKind kind, Value x, int64_t axis, bool exclusive, bool reverse) {
  Shape shape = shapeOf(x);
  Shape triangle = shape;
  triangle.push_back(shape[axis]);
  Comparison kept = reverse ? (exclusive ? Comparison::Greater : Comparison::GreaterEqual)
                            : (exclusive ? Comparison::Less : Comparison::LessEqual);
  Value terms = n.graph.map(elementOf(x), triangle, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> source(at.drop_back());
    source[axis] = at.back();
    Value term = s.load(t[0], source);
    Value none = s.number(term.getType(), kind == ReduceKind::Sum ? 0 : 1);
    return s.select(s.compare(kept, at.back(), at[axis]), term, none);
  });
  return n.graph.reduce(kind, terms, int64_t(shape.size()), false);
}

static LogicalResult cumulative(NodeContext &n, ReduceKind kind) {
  bool exclusive = n.integer("exclusive", 0) != 0, reverse = n.integer("reverse", 0) != 0;
  Value x = n.tensor(0);
  if (!x)
    return failure();
  int64_t rank = shapeOf(x).size();
  Reduction r{x, true, {}, {}};
  if (n.isComputed(1)) {
    r.computed = n.tensor(1);
    for (int64_t axis = 0; axis < rank; ++axis)
      r.candidates.push_back({axis});
  } else {
    auto along = n.wantConstants(1, "axis");
    std::optional<int64_t> axis = along && along->size() == 1 ? n.graph.axis((*along)[0], rank) : std::nullopt;
    if (!axis)
      return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "axis: wanted one number");
    r.candidates.push_back({*axis});
  }
  if (r.candidates.empty())
    return n.error() << "wants a tensor of rank at least 1";
  return n.result(overAxes(
      n, r, [&](ArrayRef<int64_t> axes) { return running(n, kind, x, axes[0], exclusive, reverse); }));
}

LogicalResult onnx_importer::importCumSum(NodeContext &n) { return cumulative(n, ReduceKind::Sum); }
LogicalResult onnx_importer::importCumProd(NodeContext &n) { return cumulative(n, ReduceKind::Product); }
