//===- Sampling.cpp - ONNX operators that read between elements ------------------------===//
//
// Resize, one extent after another: a position of the result becomes a coordinate of x, and the
// result is a weighted sum of the elements around it. Coordinates are float64, so that
// rounding decides no neighbour; elements keep their type.
//
#include "frontends/onnx/importer/Window.h"

#include <cmath>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

namespace {
/// Scalar arithmetic on one float type, short enough to read as formulas.
struct Reals {
  ScalarBuilder &s;
  Type type;

  Value of(double value) const { return s.number(type, value); }
  Value of(Value any) const { return s.cast(any, type); }
  Value size(const Dim &dim) const { return of(s.size(dim)); }
  Value add(Value a, Value b) const { return s.add(a, b); }
  Value add(Value a, double b) const { return s.add(a, of(b)); }
  Value sub(Value a, Value b) const { return s.sub(a, b); }
  Value mul(Value a, Value b) const { return s.mul(a, b); }
  Value mul(Value a, double b) const { return s.mul(a, of(b)); }
  Value div(Value a, Value b) const { return s.div(a, b); }
  Value floor(Value a) const { return s.math<math::FloorOp>(a); }
  Value ceil(Value a) const { return s.math<math::CeilOp>(a); }
  Value isEqual(Value a, double b) const { return s.compare(Comparison::Equal, a, of(b)); }
  Value isBelow(Value a, Value b) const { return s.compare(Comparison::Less, a, b); }
  Value index(Value a) const { return s.cast(a, s.builder.getIndexType()); }
};
} // namespace

/// The weight of an element at distance |x| in Keys' cubic convolution.
static Value cubicWeight(const Reals &r, Value distance, double a) {
  Value x = r.s.abs(distance), square = r.mul(x, x), cube = r.mul(square, x);
  Value near = r.add(r.sub(r.mul(cube, a + 2), r.mul(square, a + 3)), 1);
  Value far = r.add(r.add(r.sub(r.mul(cube, a), r.mul(square, 5 * a)), r.mul(x, 8 * a)), -4 * a);
  Value isNear = r.s.compare(Comparison::LessEqual, x, r.of(1));
  return r.s.select(isNear, near, r.s.select(r.isBelow(x, r.of(2)), far, r.of(0)));
}

/// 1 - |x|, at least 0.
static Value linearWeight(const Reals &r, Value distance) {
  return r.s.max(r.sub(r.of(1), r.s.abs(distance)), r.of(0));
}

static Value clampIndex(ScalarBuilder &s, Value index, const Dim &dim) {
  return s.max(s.min(index, s.sub(s.size(dim), s.index(1))), s.index(0));
}

//===----------------------------------------------------------------------------===//
// Resize
//===----------------------------------------------------------------------------===//

namespace {
struct Resizing {
  NodeContext &n;
  std::string mode, transform, nearest, policy;
  bool antialias, excludesOutside;
  double cubic, outside;
  SmallVector<int64_t> axes;     ///< That scales, sizes and regions are about, in their order.
  Value scales, sizes, region;   ///< Data, each may be null.
  SmallVector<double> known;     ///< The scales, if they are constants.
  Shape from, to;

  double support() const { return mode == "cubic" ? 2 : 1; }

  /// The scale along axes[k].
  Value scaleAt(const Reals &r, Value data, size_t k) const {
    if (!known.empty())
      return r.of(known[k]);
    if (scales)
      return r.of(r.s.load(data, r.s.index(k)));
    if (policy == "stretch")
      return r.div(r.size(to[axes[k]]), r.size(from[axes[k]]));
    Value chosen;
    for (size_t i = 0; i < axes.size(); ++i) {
      Value wanted = data ? r.of(r.s.load(data, r.s.index(i))) : r.of(r.s.size(wantedSizes[i]));
      Value scale = r.div(wanted, r.size(from[axes[i]]));
      chosen = !chosen ? scale : policy == "not_larger" ? r.s.min(chosen, scale) : r.s.max(chosen, scale);
    }
    return chosen;
  }

  /// The coordinate in x of position `y`, and whether it is to be filled instead.
  Value coordinate(const Reals &r, Value position, size_t k, Value scale, Value regionData, Value &isFilled) const {
    ScalarBuilder &s = r.s;
    Value y = r.of(position), in = r.size(from[axes[k]]), width = r.mul(scale, in);
    Value halfPixel = r.add(r.div(r.add(y, 0.5), scale), -0.5);
    if (transform == "asymmetric")
      return r.div(y, scale);
    if (transform == "pytorch_half_pixel")
      return s.select(r.isEqual(width, 1), r.of(-0.5), halfPixel);
    if (transform == "half_pixel_symmetric") {
      Value adjustment = r.div(r.size(to[axes[k]]), width);
      return r.add(r.mul(r.mul(in, 0.5), r.sub(r.of(1), adjustment)), halfPixel);
    }
    if (transform != "align_corners" && transform != "tf_crop_and_resize")
      return halfPixel;
    Value isOne = r.isEqual(width, 1), span = r.add(in, -1);
    Value steps = s.select(isOne, r.of(1), r.add(width, -1));
    Value whole = r.div(r.mul(y, span), steps);
    if (transform == "align_corners")
      return s.select(isOne, r.of(0), whole);
    Value begin = r.of(s.load(regionData, s.index(k))), end = r.of(s.load(regionData, s.index(k + axes.size())));
    Value length = r.sub(end, begin);
    Value x = s.select(isOne, r.mul(r.mul(length, span), 0.5), r.mul(whole, length));
    x = r.add(x, r.mul(begin, span));
    isFilled = s.bitOr(r.isBelow(x, r.of(0)), r.isBelow(span, x));
    return x;
  }

  Value nearestIndex(const Reals &r, Value x) const {
    if (nearest == "floor")
      return r.floor(x);
    if (nearest == "ceil")
      return r.ceil(x);
    return nearest == "round_prefer_ceil" ? r.floor(r.add(x, 0.5)) : r.ceil(r.add(x, -0.5));
  }

  /// x with axes[k] in its new extent.
  Value along(Value x, size_t k) const;
  Value filtered(Value x, size_t k) const;

  SmallVector<Dim> wantedSizes; ///< The operand `sizes`, if known.
};
} // namespace

Value Resizing::along(Value x, size_t k) const {
  int64_t axis = axes[k];
  if (from[axis] == to[axis] && transform != "tf_crop_and_resize" && known.empty() && !scales && policy == "stretch")
    return x;
  if (!known.empty() && known[k] == 1 && transform != "tf_crop_and_resize")
    return x;
  if (antialias && mode != "nearest")
    return filtered(x, k);
  Shape shape = shapeOf(x);
  shape[axis] = to[axis];
  SmallVector<Value> inputs{x};
  Value data = known.empty() ? (scales ? scales : policy == "stretch" ? Value() : sizes) : Value();
  for (Value operand : {data, region})
    if (operand)
      inputs.push_back(operand);
  return n.graph.map(elementOf(x), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Reals r{s, s.builder.getF64Type()};
    Value isFilled;
    Value scale = scaleAt(r, data ? t[1] : Value(), k);
    Value c = coordinate(r, at[axis], k, scale, region ? t.back() : Value(), isFilled);
    auto element = [&](Value index) {
      SmallVector<Value> source(at);
      source[axis] = clampIndex(s, index, from[axis]);
      return s.load(t[0], source);
    };
    Type type = elementOf(x);
    Value result;
    if (mode == "nearest") {
      result = element(r.index(nearestIndex(r, c)));
    } else {
      // The neighbours left and right of the coordinate, weighted.
      Value base = r.floor(c), first = r.index(base), total;
      int64_t taps = mode == "cubic" ? 4 : 2, before = mode == "cubic" ? 1 : 0;
      Type wide = isa<FloatType>(type) && type.getIntOrFloatBitWidth() >= 32 ? type : Type(n.graph.f32());
      for (int64_t tap = -before; tap < taps - before; ++tap) {
        Value index = s.add(first, s.index(tap)), distance = r.sub(c, r.add(base, double(tap)));
        Value weight = mode == "cubic" ? cubicWeight(r, distance, cubic) : linearWeight(r, distance);
        if (excludesOutside) {
          Value inside = s.bitAnd(s.compare(Comparison::GreaterEqual, index, s.index(0)),
                                  s.compare(Comparison::Less, index, s.size(from[axis])));
          weight = s.select(inside, weight, r.of(0));
          total = total ? s.add(total, weight) : weight;
        }
        Value term = s.mul(s.cast(weight, wide), s.cast(element(index), wide));
        result = result ? s.add(result, term) : term;
      }
      if (total)
        result = s.div(result, s.cast(total, wide));
      result = s.cast(result, type);
    }
    return isFilled ? s.select(isFilled, s.number(type, outside), result) : result;
  });
}

/// The same with the filter stretched over what one position of the result covers.
Value Resizing::filtered(Value x, size_t k) const {
  int64_t axis = axes[k], rank = from.size();
  Shape shape = shapeOf(x);
  shape[axis] = to[axis];
  // A scale is at least out / in: so many elements may weigh something.
  Dim reach = (from[axis] * Dim(int64_t(support()))).ceilDiv(to[axis]);
  Dim taps = n.graph.simplify(Dim::max(reach, Dim(int64_t(support()))) * Dim(2) + Dim(2));
  Value data = known.empty() ? (scales ? scales : policy == "stretch" ? Value() : sizes) : Value();
  auto weightOf = [&](ScalarBuilder &s, Value data, Value position, Value tap, Value &index) {
    Reals r{s, s.builder.getF64Type()};
    Value isFilled, scale = scaleAt(r, data, k);
    Value c = coordinate(r, position, k, scale, {}, isFilled), base = r.floor(c);
    Value offset = s.sub(tap, s.div(s.size(taps), s.index(2), Sign::Unsigned));
    index = s.add(r.index(base), offset);
    Value distance = r.mul(r.sub(r.of(index), c), s.min(scale, r.of(1)));
    Value weight = mode == "cubic" ? cubicWeight(r, distance, cubic) : linearWeight(r, distance);
    if (!excludesOutside)
      return weight;
    Value inside = s.bitAnd(s.compare(Comparison::GreaterEqual, index, s.index(0)),
                            s.compare(Comparison::Less, index, s.size(from[axis])));
    return s.select(inside, weight, r.of(0));
  };
  SmallVector<Value> inputs{x};
  if (data)
    inputs.push_back(data);
  Shape terms = shape;
  terms.push_back(taps);
  Type element = elementOf(x);
  Value products = n.graph.map(element, terms, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value index, weight = weightOf(s, data ? t[1] : Value(), at[axis], at.back(), index);
    SmallVector<Value> source(at.drop_back());
    source[axis] = clampIndex(s, index, from[axis]);
    return s.mul(s.cast(weight, element), s.load(t[0], source));
  });
  Value weights = n.graph.map(element, {to[axis], taps}, data ? ValueRange(data) : ValueRange(),
                              [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                Value index;
                                return s.cast(weightOf(s, data ? t[0] : Value(), at[0], at[1], index), element);
                              });
  Value sums = n.graph.reduce(ReduceKind::Sum, products, rank, false);
  Value total = n.graph.reduce(ReduceKind::Sum, weights, 1, false);
  return n.graph.map(element, shape, {sums, total}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    return s.div(s.load(t[0], at), s.load(t[1], at[axis]));
  });
}

/// The numbers of a constant list of floats.
static SmallVector<double> constantReals(NodeContext &n, unsigned i) {
  SmallVector<double> numbers;
  if (const onnx_reader::Tensor *constant = n.has(i) ? n.constant(i) : nullptr)
    for (int64_t k = 0; k < constant->elementCount; ++k)
      if (auto real = dyn_cast<FloatAttr>(elementAt(*constant, k, typeOf(constant->type, n.graph.getContext()))))
        numbers.push_back(real.getValueAsDouble());
  return numbers;
}

/// floor(dim * scale); none where dim is a symbol and the scale no whole number or its inverse.
static std::optional<Dim> scaledDim(const Dim &dim, double scale) {
  if (std::optional<int64_t> size = dim.constant())
    return Dim(int64_t(std::floor(double(*size) * scale)));
  if (scale == std::floor(scale))
    return dim * Dim(int64_t(scale));
  double inverse = std::round(1 / scale);
  return std::abs(1 / inverse - scale) < 1e-7 * scale ? std::optional(dim.floorDiv(Dim(int64_t(inverse))))
                                                      : std::nullopt;
}

/// The dims of the result, into `r.to`. False after an error.
static bool resizedShape(NodeContext &n, Resizing &r, unsigned scaleInput, unsigned sizeInput) {
  r.to = r.from;
  if (!r.known.empty()) {
    for (auto [axis, scale] : llvm::zip(r.axes, r.known)) {
      std::optional<Dim> dim = scaledDim(r.from[axis], scale);
      if (!dim)
        return n.error() << "scales: wanted a whole number for the unknown extent " << r.from[axis].str() << ", found "
                         << scale,
               false;
      r.to[axis] = n.graph.simplify(*dim);
    }
    return true;
  }
  std::optional<Sizes> sizes = n.has(sizeInput) ? n.sizes(sizeInput) : std::nullopt;
  if (sizes && sizes->elements.size() == r.axes.size()) {
    r.wantedSizes = sizes->elements;
    if (r.policy == "stretch") {
      for (auto [axis, size] : llvm::zip(r.axes, sizes->elements))
        r.to[axis] = size;
      return true;
    }
  }
  std::optional<Shape> declared = n.wantDeclared(n.has(sizeInput) ? sizeInput : scaleInput, "sizes or scales");
  if (!declared)
    return false;
  if (declared->size() != r.from.size())
    return n.error() << "the file says another rank of the result", false;
  r.to = *declared;
  return true;
}

static LogicalResult resize(NodeContext &n, unsigned regionInput, unsigned scaleInput, unsigned sizeInput) {
  Resizing r{n};
  r.mode = n.text("mode", "nearest");
  r.transform = n.text("coordinate_transformation_mode", n.version < 11 ? "asymmetric" : "half_pixel");
  r.nearest = n.text("nearest_mode", n.version < 11 ? "floor" : "round_prefer_floor");
  r.policy = n.text("keep_aspect_ratio_policy", "stretch");
  r.antialias = n.integer("antialias", 0) != 0;
  r.excludesOutside = n.integer("exclude_outside", 0) != 0;
  r.cubic = n.real("cubic_coeff_a", -0.75);
  r.outside = n.real("extrapolation_value", 0);
  auto axes = n.integers("axes");
  Value x = n.tensor(0);
  if (!x)
    return failure();
  r.from = shapeOf(x);
  int64_t rank = r.from.size();
  auto positions = n.graph.axes(axes ? *axes : llvm::to_vector(llvm::seq<int64_t>(0, rank)), rank);
  if (!positions)
    return failure();
  r.axes = *positions;
  auto isEmpty = [&](unsigned i) { return !n.has(i) || countOf(n.shape(i)) == Dim(0); };
  if (r.mode != "nearest" && r.mode != "linear" && r.mode != "cubic")
    return n.error() << "attribute 'mode': wanted nearest, linear or cubic, found " << quote(r.mode);
  if (isEmpty(scaleInput) == isEmpty(sizeInput))
    return n.error() << "wants either scales or sizes";
  if (!isEmpty(scaleInput)) {
    r.known = constantReals(n, scaleInput);
    r.scales = r.known.empty() ? n.tensor(scaleInput) : Value();
    r.policy = "stretch";
    if (!r.known.empty() && r.known.size() != r.axes.size())
      return n.error() << "wants one scale for each of " << r.axes.size() << " axes, found " << r.known.size();
  } else if (r.policy != "stretch" && n.isComputed(sizeInput)) {
    r.sizes = n.tensor(sizeInput);
  }
  n.ignore({regionInput}); // But to crop.
  if (r.transform == "tf_crop_and_resize") {
    r.region = n.tensor(regionInput);
    if (!r.region)
      return failure();
  }
  if (!resizedShape(n, r, scaleInput, sizeInput))
    return failure();
  for (size_t k = 0; k < r.axes.size() && x; ++k)
    x = r.along(x, k);
  return n.result(x);
}

LogicalResult onnx_importer::importResize(NodeContext &n) {
  return n.version < 11 ? resize(n, 3, 1, 3) : resize(n, 1, 2, 3);
}

LogicalResult onnx_importer::importUpsample(NodeContext &n) { return resize(n, 3, 1, 3); }

//===----------------------------------------------------------------------------===//
// GridSample, AffineGrid
//===----------------------------------------------------------------------------===//

namespace {
struct GridSampling {
  std::string mode, padding;
  bool corners;
  Shape extents;
  Type type;

  /// Mirrored at the borders until it lies between them.
  Value reflect(const Reals &r, Value x, const Dim &dim) const {
    ScalarBuilder &s = r.s;
    Value low = r.of(corners ? 0 : -0.5), high = r.add(r.size(dim), corners ? -1 : -0.5);
    Value range = s.max(r.sub(high, low), r.of(1e-30));
    auto folded = [&](Value distance, Value near, Value far, bool fromLow) {
      Value times = s.math<math::TruncOp>(r.div(distance, range)), rest = r.sub(distance, r.mul(times, range));
      Value half = r.mul(times, 0.5), isEven = s.compare(Comparison::Equal, half, s.math<math::TruncOp>(half));
      Value even = fromLow ? r.add(near, rest) : r.sub(near, rest);
      Value odd = fromLow ? r.sub(far, rest) : r.add(far, rest);
      return s.select(isEven, even, odd);
    };
    Value below = folded(r.sub(low, x), low, high, true), above = folded(r.sub(x, high), high, low, false);
    return s.select(r.isBelow(x, low), below, s.select(r.isBelow(high, x), above, x));
  }

  /// From -1..1 to 0..dim - 1, and back into x where the padding says so.
  Value coordinate(const Reals &r, Value normal, size_t d) const {
    ScalarBuilder &s = r.s;
    Value size = r.size(extents[d]), shifted = r.add(normal, 1);
    Value x = corners ? r.mul(r.mul(shifted, 0.5), r.add(size, -1)) : r.mul(r.add(r.mul(shifted, size), -1), 0.5);
    if (mode == "nearest")
      x = s.math<math::RoundEvenOp>(x);
    Value low = r.of(corners ? 0 : -0.5), high = r.add(size, corners ? -1 : -0.5);
    Value isOutside = s.bitOr(r.isBelow(x, low), r.isBelow(high, x));
    if (padding == "border")
      return s.select(isOutside, s.max(s.min(x, r.add(size, -1)), r.of(0)), x);
    return padding == "reflection" ? reflect(r, x, extents[d]) : x;
  }

  /// The index of pixel `x` (a whole number), and whether there is one.
  Value pixel(const Reals &r, Value x, size_t d, Value &isThere) const {
    ScalarBuilder &s = r.s;
    Value moved = padding == "reflection" ? s.math<math::TruncOp>(reflect(r, x, extents[d])) : x;
    // In range before it becomes an integer.
    Value last = r.add(r.size(extents[d]), -1), kept = s.max(s.min(moved, last), r.of(0));
    if (padding == "zeros")
      isThere = s.bitAnd(isThere, s.compare(Comparison::Equal, kept, moved));
    return r.index(kept);
  }
};
} // namespace

LogicalResult onnx_importer::importGridSample(NodeContext &n) {
  GridSampling g;
  g.mode = n.text("mode", "linear");
  g.padding = n.text("padding_mode", "zeros");
  g.corners = n.integer("align_corners", 0) != 0;
  if (g.mode == "bilinear" || g.mode == "bicubic") // Before operator set 20.
    g.mode = g.mode == "bilinear" ? "linear" : "cubic";
  Value x = n.tensor(0), grid = n.tensor(1);
  if (!x || !grid)
    return failure();
  Shape from = shapeOf(x), points = shapeOf(grid);
  size_t rank = from.size() < 3 ? 0 : from.size() - 2;
  if (rank == 0 || rank > 3 || points.size() != rank + 2 || points.back() != Dim(int64_t(rank)))
    return n.error() << "wants 1 to 3 extents and a grid of their coordinates, found " << toString(from) << " and "
                     << toString(points);
  g.extents = Shape(ArrayRef<Dim>(from).drop_front(2));
  Shape to{from[0], from[1]};
  llvm::append_range(to, ArrayRef<Dim>(points).drop_front().drop_back());
  Type element = elementOf(x);
  Type wide = element.isF64() ? element : Type(n.graph.f32());
  int64_t taps = g.mode == "nearest" ? 1 : g.mode == "linear" ? 2 : 4, before = g.mode == "cubic" ? 1 : 0;
  return n.result(n.graph.map(element, to, {x, grid}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Reals r{s, wide};
    SmallVector<Value> point{at[0]};
    llvm::append_range(point, at.drop_front(2));
    point.push_back({});
    SmallVector<Value> c, base;
    for (size_t d = 0; d < rank; ++d) {
      point.back() = s.index(rank - 1 - d); // The grid says the last extent first.
      c.push_back(g.coordinate(r, r.of(s.load(t[1], point)), d));
      base.push_back(g.mode == "nearest" ? c[d] : r.floor(c[d]));
    }
    Value sum;
    int64_t combinations = 1;
    for (size_t d = 0; d < rank; ++d)
      combinations *= taps;
    for (int64_t number = 0; number < combinations; ++number) {
      SmallVector<Value> source{at[0], at[1]};
      Value isThere = s.integer(s.builder.getI1Type(), 1), weight;
      for (int64_t d = 0, rest = number; d < int64_t(rank); ++d, rest /= taps) {
        Value place = r.add(base[d], double(rest % taps - before));
        source.push_back(g.pixel(r, place, d, isThere));
        if (taps == 1)
          continue;
        Value distance = r.sub(c[d], place);
        Value own = taps == 2 ? linearWeight(r, distance) : cubicWeight(r, distance, -0.75);
        weight = weight ? r.mul(weight, own) : own;
      }
      Value pixel = s.select(isThere, r.of(s.load(t[0], source)), r.of(0));
      Value term = weight ? r.mul(weight, pixel) : pixel;
      sum = sum ? r.add(sum, term) : term;
    }
    return s.cast(sum, element);
  }));
}

LogicalResult onnx_importer::importAffineGrid(NodeContext &n) {
  bool corners = n.integer("align_corners", 0) != 0;
  Value theta = n.tensor(0);
  Shape shape;
  if (n.isComputed(1)) {
    if (std::optional<Shape> declared = n.wantDeclared(1, "size"))
      shape = *declared;
  } else if (std::optional<Sizes> size = n.wantSizes(1, "size"); size && size->elements.size() > 2) {
    shape = {size->elements[0]};
    llvm::append_range(shape, ArrayRef<Dim>(size->elements).drop_front(2));
    shape.push_back(Dim(int64_t(size->elements.size()) - 2));
  }
  if (!theta || shape.size() < 3)
    return failure();
  int64_t rank = int64_t(shape.size()) - 2;
  if (shapeOf(theta).size() != 3 || shapeOf(theta)[2] != Dim(rank + 1))
    return n.error() << "wants matrices [N, " << rank << ", " << rank + 1 << "], found " << toString(shapeOf(theta));
  Type element = elementOf(theta);
  Type wide = element.isF64() ? element : Type(n.graph.f32());
  return n.result(n.graph.map(element, shape, theta, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Reals r{s, wide};
    auto entry = [&](int64_t column) { return r.of(s.load(t[0], {at[0], at.back(), s.index(column)})); };
    Value sum = entry(rank);
    for (int64_t column = 0; column < rank; ++column) {
      // Column 0 is the last extent.
      size_t d = rank - column;
      Value size = r.size(shape[d]), position = r.of(at[d]);
      Value normal = corners ? r.div(r.mul(position, 2), s.max(r.add(size, -1), r.of(1)))
                             : r.div(r.add(r.mul(position, 2), 1), size);
      sum = r.add(sum, r.mul(entry(column), r.add(normal, -1)));
    }
    return s.cast(sum, element);
  }));
}

//===----------------------------------------------------------------------------===//
// DeformConv
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importDeformConv(NodeContext &n) {
  int64_t groups = n.integer("group", 1), offsetGroups = n.integer("offset_group", 1);
  n.integers("kernel_shape");
  Value x = n.tensor(0), weight = n.tensor(1), offset = n.tensor(2), bias = n.optional(3), mask = n.optional(4);
  if (!x || !weight || !offset)
    return failure();
  Shape from = shapeOf(x), filters = shapeOf(weight), moves = shapeOf(offset);
  if (from.size() != 4 || filters.size() != 4 || moves.size() != 4 || groups < 1 || offsetGroups < 1 ||
      !llvm::all_of(filters, [](const Dim &d) { return d.isConstant(); }) || !from[1].isConstant())
    return n.error() << "wants an image [N, C, H, W] and filters of known size, found " << toString(from) << " and "
                     << toString(filters);
  auto strides = n.integers("strides").value_or(SmallVector<int64_t>{1, 1});
  auto dilations = n.integers("dilations").value_or(SmallVector<int64_t>{1, 1});
  auto pads = n.integers("pads").value_or(SmallVector<int64_t>{0, 0, 0, 0});
  if (strides.size() != 2 || dilations.size() != 2 || pads.size() != 4)
    return n.error() << "wants two strides, two dilations and four pads";
  int64_t out = *filters[0].constant(), channels = *filters[1].constant(), kh = *filters[2].constant(),
          kw = *filters[3].constant(), perGroup = *from[1].constant() / offsetGroups;
  Shape positions{moves[2], moves[3]};
  Shape to{from[0], Dim(groups), moves[2], moves[3], Dim(channels), Dim(kh), Dim(kw)};
  SmallVector<Value> inputs{x, offset};
  if (mask)
    inputs.push_back(mask);
  Type element = elementOf(x);
  Value columns = n.graph.map(element, to, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Reals r{s, element};
    Value channel = s.add(s.mul(at[1], s.index(channels)), at[4]);
    Value tap = s.add(s.mul(at[5], s.index(kw)), at[6]);
    Value group = s.div(channel, s.index(perGroup), Sign::Unsigned);
    Value place = s.add(s.mul(group, s.index(kh * kw)), tap);
    Value c[2], base[2];
    for (int d = 0; d < 2; ++d) {
      Value row = s.add(s.mul(place, s.index(2)), s.index(d));
      Value regular = s.sub(s.add(s.mul(at[2 + d], s.index(strides[d])), s.mul(at[5 + d], s.index(dilations[d]))),
                            s.index(pads[d]));
      c[d] = r.add(r.of(regular), s.load(t[1], {at[0], row, at[2], at[3]}));
      base[d] = r.floor(c[d]);
    }
    Value sum = r.of(0);
    for (int corner = 0; corner < 4; ++corner) {
      SmallVector<Value> source{at[0], channel};
      Value isThere = s.integer(s.builder.getI1Type(), 1), weight = r.of(1);
      for (int d = 0; d < 2; ++d) {
        Value pixel = r.add(base[d], double(corner >> d & 1)), last = r.add(r.size(from[2 + d]), -1);
        Value kept = s.max(s.min(pixel, last), r.of(0));
        isThere = s.bitAnd(isThere, s.compare(Comparison::Equal, kept, pixel));
        weight = r.mul(weight, linearWeight(r, r.sub(c[d], pixel)));
        source.push_back(r.index(kept));
      }
      sum = r.add(sum, r.mul(weight, s.select(isThere, s.load(t[0], source), r.of(0))));
    }
    return mask ? r.mul(sum, s.load(t[2], {at[0], place, at[2], at[3]})) : sum;
  });
  Value matrices = n.graph.reshape(weight, {Dim(groups), Dim(out / groups), Dim(channels * kh * kw)});
  return n.result(multiplyWindows(n, columns, positions, n.graph.transpose(matrices, {0, 2, 1}), bias));
}
