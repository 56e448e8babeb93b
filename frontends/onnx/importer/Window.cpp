//===- Window.cpp - ONNX's convolutions and pools ---------------------------------------===//
//
// A window operator reads x[b, c, position * stride + offset * dilation - pad]. That index is a
// map to [batch, positions, channels x window] (im2col; a patch embedding's is the image
// rearranged, nothing twice); what follows is a matrix product or a reduction.
//
#include "frontends/onnx/importer/Window.h"

#include <limits>
#include <numeric>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

namespace {
struct Window {
  SmallVector<int64_t> kernel, strides, dilations;
  SmallVector<Dim> before, padded; ///< Pads; extents with both pads.
  Shape positions;                 ///< Of the result.
  bool isPadded = false;           ///< Some window reads beyond x.
};
} // namespace

/// The result's extent and the pad before, by the pads given or by auto_pad.
static bool placeWindow(NodeContext &n, Window &w, ArrayRef<Dim> extents, ArrayRef<int64_t> pads,
                        const std::string &autoPad, bool ceilMode) {
  size_t rank = extents.size();
  for (size_t d = 0; d < rank; ++d) {
    Dim span((w.kernel[d] - 1) * w.dilations[d] + 1), stride(w.strides[d]);
    Dim before(0), total(0);
    if (autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER") {
      Dim count = extents[d].ceilDiv(stride);
      total = n.graph.simplify(Dim::max(Dim(0), (count - Dim(1)) * stride + span - extents[d]));
      before = autoPad == "SAME_UPPER" ? total.floorDiv(Dim(2)) : total.ceilDiv(Dim(2));
    } else if (autoPad == "NOTSET") {
      before = Dim(pads[d]);
      total = Dim(pads[d] + pads[d + rank]);
    } else if (autoPad != "VALID") {
      n.error() << "attribute 'auto_pad': wanted NOTSET, VALID, SAME_UPPER or SAME_LOWER, found " << quote(autoPad);
      return false;
    }
    Dim free = extents[d] + total - span;
    Dim count = (ceilMode ? free.ceilDiv(stride) : free.floorDiv(stride)) + Dim(1);
    if (ceilMode) // No window starts in the pad after the end.
      count = Dim::min(count, (extents[d] + before - Dim(1)).floorDiv(stride) + Dim(1));
    w.before.push_back(n.graph.simplify(before));
    w.padded.push_back(n.graph.simplify(extents[d] + total));
    w.positions.push_back(n.graph.simplify(count));
    w.isPadded |= total != Dim(0) || ceilMode;
  }
  return true;
}

static std::optional<Window> windowOf(NodeContext &n, ArrayRef<Dim> extents, ArrayRef<int64_t> kernel, bool ceilMode) {
  size_t rank = extents.size();
  Window w;
  w.kernel.assign(kernel.begin(), kernel.end());
  w.strides = n.integers("strides").value_or(SmallVector<int64_t>(rank, 1));
  w.dilations = n.integers("dilations").value_or(SmallVector<int64_t>(rank, 1));
  SmallVector<int64_t> pads = n.integers("pads").value_or(SmallVector<int64_t>(2 * rank, 0));
  std::string autoPad = n.text("auto_pad", "NOTSET");
  auto positive = [](int64_t number) { return number > 0; };
  if (kernel.size() != rank || w.strides.size() != rank || w.dilations.size() != rank || pads.size() != 2 * rank ||
      !llvm::all_of(kernel, positive) || !llvm::all_of(w.strides, positive) || !llvm::all_of(w.dilations, positive)) {
    n.error() << "wants a positive kernel, stride and dilation and two pads for each of " << rank << " extents";
    return std::nullopt;
  }
  if (!placeWindow(n, w, extents, pads, autoPad, ceilMode))
    return std::nullopt;
  return w;
}

/// The position in x along extent d, and whether it lies within.
static Value sourceIndex(ScalarBuilder &s, const Window &w, ArrayRef<Dim> extents, size_t d, Value position,
                         Value offset, Value &inside) {
  Value index = s.add(s.mul(position, s.index(w.strides[d])), s.mul(offset, s.index(w.dilations[d])));
  if (!w.isPadded)
    return index;
  index = s.sub(index, s.size(w.before[d]));
  Value here = s.bitAnd(s.compare(Comparison::GreaterEqual, index, s.index(0)),
                        s.compare(Comparison::Less, index, s.size(extents[d])));
  inside = inside ? s.bitAnd(inside, here) : here;
  return s.select(here, index, s.index(0));
}

//===----------------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------------===//

/// [batch, group, position, channel of the group, offset], all extents kept apart.
static Value columns(NodeContext &n, Value x, const Window &w, int64_t groups, int64_t channels) {
  Shape shape = shapeOf(x);
  size_t rank = w.kernel.size();
  auto extents = ArrayRef<Dim>(shape).drop_front(2);
  Shape to{shape[0], Dim(groups)};
  llvm::append_range(to, w.positions);
  to.push_back(Dim(channels));
  for (int64_t size : w.kernel)
    to.push_back(Dim(size));
  return n.graph.map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value channel = at[2 + rank];
    if (groups > 1)
      channel = s.add(s.mul(at[1], s.index(channels)), channel);
    SmallVector<Value> source{at[0], channel};
    Value inside;
    for (size_t d = 0; d < rank; ++d)
      source.push_back(sourceIndex(s, w, extents, d, at[2 + d], at[3 + rank + d], inside));
    Value element = s.load(t[0], source);
    return inside ? s.select(inside, element, s.number(element.getType(), 0)) : element;
  });
}

/// Each group's filters [group, out, depth] times its windows; one filter a channel is a product without `out`.
static Value multiplyGroups(NodeContext &n, Value columns, ArrayRef<Dim> positions, Value filters, Value bias) {
  if (!columns || !filters)
    return {};
  Shape shape = shapeOf(filters);
  Dim batch = shapeOf(columns)[0], groups = shape[0], out = shape[1], depth = shape[2], count = countOf(positions);
  bool isDepthwise = out == Dim(1) && shapeOf(columns)[2 + positions.size()] == Dim(1);
  Value windows = n.graph.reshape(columns, {batch, groups, count, depth}), product;
  if (isDepthwise)
    product = n.graph.contract("g k, b g m k -> b g m", n.graph.reshape(filters, {groups, depth}), windows);
  else
    product = n.graph.contract("g n k, b g m k -> b g n m", filters, windows);
  Shape result{batch, groups * out};
  llvm::append_range(result, positions);
  product = n.graph.reshape(product, result);
  if (!bias)
    return product;
  Shape perChannel{groups * out};
  perChannel.append(positions.size(), Dim(1));
  return n.graph.add(product, n.graph.reshape(bias, perChannel));
}

/// One filter a channel, as long as a sequence: a long convolution (Hyena, S4, TNN). Tap k of position i is
/// x[i + k - before], so the taps are the diagonals of a Toeplitz matrix.
static Value convolveSequences(NodeContext &n, Value x, Value weight, Value bias) {
  Shape shape = shapeOf(x);
  Dim taps = shapeOf(weight)[2], length = shape[2];
  SmallVector<int64_t> pads = n.integers("pads").value_or(SmallVector<int64_t>(2, 0));
  const SmallVector<int64_t> one{1};
  auto isOne = [&](StringRef name) { return n.integers(name).value_or(one) == one; };
  if (pads.size() != 2 || !isOne("strides") || !isOne("dilations") || n.text("auto_pad", "NOTSET") != "NOTSET")
    return n.error() << "wants strides and dilations of 1 and two pads for filters as long as " << taps.str(), Value();
  Dim positions = n.graph.simplify(length + Dim(pads[0] + pads[1] + 1) - taps);
  Type element = elementOf(x);
  auto diagonal = [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value tap = s.sub(at[1], s.size(positions - Dim(1 + pads[0])));
    Value inside =
        s.bitAnd(s.compare(Comparison::GreaterEqual, tap, s.index(0)), s.compare(Comparison::Less, tap, s.size(taps)));
    Value place = s.select(inside, tap, s.index(0));
    return s.select(inside, s.load(t[0], {at[2], s.index(0), place}), s.number(element, 0));
  };
  Value diagonals = n.graph.map(element, {Dim(1), positions + length - Dim(1), shape[1]}, weight, diagonal);
  Value rows = n.graph.reshape(n.graph.transpose(x, {0, 2, 1}), {shape[0], Dim(1), length, shape[1]});
  Value y = n.graph.reshape(n.graph.toeplitz(rows, diagonals, positions), {shape[0], positions, shape[1]});
  y = n.graph.transpose(y, {0, 2, 1});
  return bias ? n.graph.add(y, n.graph.reshape(bias, {shape[1], Dim(1)})) : y;
}

Value onnx_importer::convolve(NodeContext &n, Value x, Value weight, Value bias) {
  int64_t groups = n.integer("group", 1);
  auto declared = n.integers("kernel_shape");
  if (!x || !weight || n.graph.hasFailed())
    return {};
  Shape shape = shapeOf(x), filters = shapeOf(weight);
  if (shape.size() == 3 && filters.size() == 3 && filters[0] == Dim(groups) && filters[1] == Dim(1) &&
      shape[1] == filters[0] && !filters[2].isConstant())
    return convolveSequences(n, x, weight, bias);
  if (shape.size() < 3 || filters.size() != shape.size() ||
      !llvm::all_of(filters, [](const Dim &d) { return d.isConstant(); }))
    return n.error() << "wants a tensor of rank at least 3 and filters of the same rank and known size "
                        "(or one, of any length, for each channel of sequences), found "
                     << toString(shape) << " and " << toString(filters),
           Value();
  auto size = [&](size_t d) { return *filters[d].constant(); };
  SmallVector<int64_t> kernel;
  for (size_t d = 2; d < filters.size(); ++d)
    kernel.push_back(size(d));
  if (declared && *declared != kernel)
    return n.error() << "attribute 'kernel_shape': wanted the filters' " << toString(filters) << ", found another",
           Value();
  if (groups < 1 || size(0) % groups != 0)
    return n.error() << "attribute 'group': wanted a divisor of the " << size(0) << " filters, found " << groups,
           Value();
  if (!n.graph.wantEqual(shape[1], Dim(groups * size(1)), "channels of the input"))
    return {};
  std::optional<Window> w = windowOf(n, ArrayRef<Dim>(shape).drop_front(2), kernel, false);
  if (!w)
    return {};

  int64_t depth = std::accumulate(kernel.begin(), kernel.end(), size(1), std::multiplies<>()), out = size(0) / groups;
  if (groups > 1)
    return multiplyGroups(n, columns(n, x, *w, groups, size(1)), w->positions,
                          n.graph.reshape(weight, {Dim(groups), Dim(out), Dim(depth)}), bias);
  Value matrices = n.graph.reshape(weight, {Dim(groups), Dim(out), Dim(depth)});
  matrices = n.graph.transpose(matrices, {0, 2, 1});
  return multiplyWindows(n, columns(n, x, *w, groups, size(1)), w->positions, matrices, bias);
}

Value onnx_importer::multiplyWindows(NodeContext &n, Value columns, ArrayRef<Dim> positions, Value matrices,
                                     Value bias) {
  if (!columns || !matrices)
    return {};
  Shape filters = shapeOf(matrices);
  Dim batch = shapeOf(columns)[0], count = countOf(positions), groups = filters[0], depth = filters[1],
      out = filters[2];
  Value product;
  if (groups == Dim(1)) {
    Value rows = n.graph.reshape(columns, {batch, count, depth});
    product = n.graph.contract("b m k, k n -> b m n", rows, n.graph.reshape(matrices, {depth, out}));
  } else {
    Value rows = n.graph.reshape(columns, {batch, groups, count, depth});
    product = n.graph.contract("b g m k, g k n -> b m g n", rows, matrices);
    product = n.graph.reshape(product, {batch, count, groups * out});
  }
  if (bias)
    product = n.graph.add(product, bias);
  Shape result{batch, groups * out};
  llvm::append_range(result, positions);
  return n.graph.reshape(n.graph.transpose(product, {0, 2, 1}), result);
}

Value onnx_importer::convolveChannels(NodeContext &n, Value x, Value filters, Value bias, bool padded) {
  Shape shape = shapeOf(x), of = shapeOf(filters);
  int64_t channels = *of[0].constant(), size = *of[2].constant();
  Window w;
  w.kernel = {size};
  w.strides = w.dilations = {1};
  w.before = {Dim(padded ? size - 1 : 0)};
  w.positions = {padded ? shape[2] : shape[2] - Dim(size - 1)};
  w.isPadded = padded && size > 1;
  return multiplyGroups(n, columns(n, x, w, channels, 1), w.positions, filters, bias);
}

LogicalResult onnx_importer::importConv(NodeContext &n) {
  return n.result(convolve(n, n.tensor(0), n.tensor(1), n.optional(2)));
}

//===----------------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------------===//

static LogicalResult globalPool(NodeContext &n, bool isMean) {
  Value x = n.tensor(0);
  if (!x)
    return failure();
  SmallVector<int64_t> extents = llvm::to_vector(llvm::seq<int64_t>(2, shapeOf(x).size()));
  return n.result(isMean ? n.graph.mean(x, extents, true) : n.graph.reduce(ReduceKind::Max, x, extents, true));
}

LogicalResult onnx_importer::importGlobalAveragePool(NodeContext &n) { return globalPool(n, true); }
LogicalResult onnx_importer::importGlobalMaxPool(NodeContext &n) { return globalPool(n, false); }

namespace {
struct Pool {
  /// 1 where a window's offset counts: within x, or within x and its pads.
  Value counted(NodeContext &n, bool withPads) const {
    size_t rank = window.kernel.size();
    Shape to(window.positions);
    for (int64_t size : window.kernel)
      to.push_back(Dim(size));
    Shape shape = shapeOf(x);
    Value counts = n.graph.map(elementOf(x), to, {}, [&](ScalarBuilder &s, ValueRange, ValueRange at) {
      Value inside = s.integer(s.builder.getI1Type(), 1);
      for (size_t d = 0; d < rank; ++d) {
        Value index =
            s.add(s.mul(at[d], s.index(window.strides[d])), s.mul(at[rank + d], s.index(window.dilations[d])));
        Dim low = withPads ? Dim(0) : window.before[d], high = withPads ? window.padded[d] : low + shape[2 + d];
        inside = s.bitAnd(inside, s.bitAnd(s.compare(Comparison::GreaterEqual, index, s.size(low)),
                                           s.compare(Comparison::Less, index, s.size(high))));
      }
      return s.cast(inside, elementOf(x));
    });
    return counts;
  }

  Value x;
  Window window;
  SmallVector<int64_t> offsets; ///< The dims of `patches` that one window holds.

  /// body(element, inside) at [batch, channel, positions..., offsets...]; `inside` is null where
  /// every window lies within x.
  Value patches(NodeContext &n, llvm::function_ref<Value(ScalarBuilder &, Value, Value)> body) const {
    Shape shape = shapeOf(x), to{shape[0], shape[1]};
    size_t rank = window.kernel.size();
    llvm::append_range(to, window.positions);
    for (int64_t size : window.kernel)
      to.push_back(Dim(size));
    return n.graph.map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
      SmallVector<Value> source{at[0], at[1]};
      Value inside;
      for (size_t d = 0; d < rank; ++d)
        source.push_back(
            sourceIndex(s, window, ArrayRef<Dim>(shape).drop_front(2), d, at[2 + d], at[2 + rank + d], inside));
      return body(s, s.load(t[0], source), inside);
    });
  }
};
} // namespace

static std::optional<Pool> poolOf(NodeContext &n, Value x) {
  bool ceilMode = n.integer("ceil_mode", 0) != 0;
  auto kernel = n.integers("kernel_shape");
  if (!x)
    return std::nullopt;
  Shape shape = shapeOf(x);
  if (!kernel || shape.size() < 3) {
    n.error() << "wants kernel_shape and a tensor of rank at least 3, found " << toString(shape);
    return std::nullopt;
  }
  std::optional<Window> w = windowOf(n, ArrayRef<Dim>(shape).drop_front(2), *kernel, ceilMode);
  if (!w)
    return std::nullopt;
  SmallVector<int64_t> offsets = llvm::to_vector(llvm::seq<int64_t>(shape.size(), shape.size() + kernel->size()));
  return Pool{x, std::move(*w), std::move(offsets)};
}

/// Where in x the largest element of each window stands, the first of equal ones: its place in
/// row-major order, or with the last two extents in the other order.
static Value largestPlaces(NodeContext &n, const Pool &pool, Value largest, bool columnMajor) {
  Shape shape = shapeOf(pool.x), to{shape[0], shape[1]};
  const Window &w = pool.window;
  size_t rank = w.kernel.size();
  llvm::append_range(to, w.positions);
  for (int64_t size : w.kernel)
    to.push_back(Dim(size));
  SmallVector<size_t> order = llvm::to_vector(llvm::seq<size_t>(0, rank));
  if (columnMajor)
    std::reverse(order.begin(), order.end());
  Type i64 = n.graph.i64();
  Value places = n.graph.map(i64, to, {pool.x, largest}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> source{at[0], at[1]};
    Value inside;
    for (size_t d = 0; d < rank; ++d)
      source.push_back(
          sourceIndex(s, w, ArrayRef<Dim>(shape).drop_front(2), d, at[2 + d], at[2 + rank + d], inside));
    Value isLargest = s.compare(Comparison::Equal, s.load(t[0], source), s.load(t[1], at.take_front(2 + rank)));
    if (inside)
      isLargest = s.bitAnd(isLargest, inside);
    Value place = s.add(s.mul(at[0], s.size(shape[1])), at[1]);
    for (size_t d : order)
      place = s.add(s.mul(place, s.size(shape[2 + d])), source[2 + d]);
    return s.cast(s.select(isLargest, place, s.size(countOf(shape))), i64);
  });
  return n.graph.reduce(ReduceKind::Min, places, pool.offsets, false);
}

/// The largest element of each window; integers become int64, in `pool` as well.
static Value largest(NodeContext &n, Pool &pool, ElementType type) {
  bool isReal = isFloat(type);
  if (!isReal) // Signed and of room for any.
    pool.x = n.graph.cast(pool.x, n.graph.i64(), signOf(type));
  Value patches = pool.patches(n, [&](ScalarBuilder &s, Value element, Value inside) {
    Value least = isReal ? s.number(element.getType(), -std::numeric_limits<double>::infinity())
                         : s.integer(element.getType(), std::numeric_limits<int64_t>::min());
    return inside ? s.select(inside, element, least) : element;
  });
  return n.graph.reduce(ReduceKind::Max, patches, pool.offsets, false);
}

Value onnx_importer::maxPool(NodeContext &n, Value x, ElementType type) {
  std::optional<Pool> pool = poolOf(n, x);
  return pool ? n.graph.cast(largest(n, *pool, type), typeOf(type, n.graph.getContext())) : Value();
}

LogicalResult onnx_importer::importMaxPool(NodeContext &n) {
  bool columnMajor = n.integer("storage_order", 0) != 0;
  std::optional<Pool> pool = poolOf(n, n.tensor(0));
  if (!pool)
    return failure();
  ElementType type = n.type(0);
  Value result = largest(n, *pool, type), narrow = n.graph.cast(result, typeOf(type, n.graph.getContext()));
  if (n.node.outputs.size() < 2 || !result)
    return n.result(narrow, type);
  return n.results({narrow, largestPlaces(n, *pool, result, columnMajor)}, {type, ElementType::Int64});
}

Value onnx_importer::averagePool(NodeContext &n, Value x) {
  bool countPads = n.integer("count_include_pad", 0) != 0;
  std::optional<Pool> pool = poolOf(n, x);
  if (!pool)
    return {};
  Value patches = pool->patches(n, [](ScalarBuilder &s, Value element, Value inside) {
    return inside ? s.select(inside, element, s.number(element.getType(), 0)) : element;
  });
  if (!pool->window.isPadded)
    return n.graph.mean(patches, pool->offsets, false);
  Value inside = pool->counted(n, countPads);
  SmallVector<int64_t> offsets =
      llvm::to_vector(llvm::seq<int64_t>(pool->window.kernel.size(), 2 * pool->window.kernel.size()));
  return n.graph.div(n.graph.reduce(ReduceKind::Sum, patches, pool->offsets, false),
                     n.graph.reduce(ReduceKind::Sum, inside, offsets, false));
}

LogicalResult onnx_importer::importAveragePool(NodeContext &n) { return n.result(averagePool(n, n.tensor(0))); }

/// (sum of |x|^p)^(1 / p) over the last dims.
static Value lengthOver(NodeContext &n, Value x, ArrayRef<int64_t> over, bool keepDims, int64_t p) {
  auto power = [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Value size = s.abs(v[0]);
    return p == 1 ? size : p == 2 ? s.mul(v[0], v[0]) : s.math<math::PowFOp>(size, s.number(size.getType(), double(p)));
  };
  auto root = [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return p == 1   ? v[0]
           : p == 2 ? s.sqrt(v[0])
                    : s.math<math::PowFOp>(v[0], s.number(v[0].getType(), 1.0 / double(p)));
  };
  if (!x)
    return {};
  Type element = elementOf(x);
  Value sum = n.graph.reduce(ReduceKind::Sum, n.graph.elementwise(element, x, power), over, keepDims);
  return n.graph.elementwise(element, sum, root);
}

LogicalResult onnx_importer::importLpPool(NodeContext &n) {
  int64_t p = n.integer("p", 2);
  std::optional<Pool> pool = poolOf(n, n.tensor(0));
  if (!pool)
    return failure();
  Value patches = pool->patches(n, [](ScalarBuilder &s, Value element, Value inside) {
    return inside ? s.select(inside, element, s.number(element.getType(), 0)) : element;
  });
  return n.result(lengthOver(n, patches, pool->offsets, false, p));
}

LogicalResult onnx_importer::importGlobalLpPool(NodeContext &n) {
  int64_t p = n.integer("p", 2);
  Value x = n.tensor(0);
  if (!x)
    return failure();
  return n.result(lengthOver(n, x, llvm::to_vector(llvm::seq<int64_t>(2, shapeOf(x).size())), true, p));
}
