//===- Moves.cpp - ONNX operators that move whole ranges -----------------------------===//
#include "frontends/onnx/importer/MaskedPlaces.h"
#include "frontends/onnx/importer/SizesEvaluation.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

LogicalResult onnx_importer::importTranspose(NodeContext &n) {
  Value x = n.tensor(0);
  auto permutation = n.integers("perm");
  if (!x)
    return failure();
  if (!permutation) {
    permutation = llvm::to_vector(llvm::seq<int64_t>(0, shapeOf(x).size()));
    std::reverse(permutation->begin(), permutation->end());
  }
  for (int64_t &axis : *permutation) // Exporters write what PyTorch was given.
    axis = axis < 0 ? axis + int64_t(shapeOf(x).size()) : axis;
  return n.result(n.graph.transpose(x, *permutation));
}

//===----------------------------------------------------------------------------===//
// Ranges that are computed
//===----------------------------------------------------------------------------===//

/// Inside a map: element k of a list of integers.
static Value listElement(ScalarBuilder &s, Value list, int64_t k) {
  SmallVector<Value> place(shapeOf(list).size(), s.index(k));
  return s.cast(s.load(list, place), s.builder.getIndexType());
}

/// Inside a map: whether entry k of a list of axes (null: 0, 1, 2, ...) is `axis`.
static Value isAxis(ScalarBuilder &s, Value axes, int64_t k, int64_t axis, int64_t rank) {
  if (!axes)
    return s.integer(s.builder.getI1Type(), k == axis);
  Value entry = listElement(s, axes, k);
  return s.bitOr(s.compare(Comparison::Equal, entry, s.index(axis)),
                 s.compare(Comparison::Equal, entry, s.index(axis - rank)));
}

/// How many entries a list operand has; none after an error.
static std::optional<int64_t> listLength(NodeContext &n, Value list) {
  Shape shape = list ? shapeOf(list) : Shape();
  if (list && shape.size() <= 1 && countOf(shape).isConstant())
    return *countOf(shape).constant();
  if (list)
    n.error() << "wants a list of known length, found " << toString(shape);
  return std::nullopt;
}

/// x[start + i * step] where start, step and axes may be data: the file says how many.
static LogicalResult computedSlice(NodeContext &n) {
  Value x = n.tensor(0), starts = n.tensor(1), axes = n.optional(3), steps = n.optional(4);
  std::optional<Shape> shape = n.wantDeclared(1, "starts, ends, axes or steps");
  std::optional<int64_t> count = shape ? listLength(n, starts) : std::nullopt;
  if (!x || !count)
    return failure();
  Shape from = shapeOf(x);
  int64_t rank = from.size();
  SmallVector<Value> inputs{x, starts};
  for (Value list : {axes, steps})
    if (list)
      inputs.push_back(list);
  return n.result(n.graph.map(elementOf(x), *shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value axesHere = axes ? t[2] : Value(), stepsHere = steps ? t.back() : Value();
    SmallVector<Value> source(at);
    for (int64_t d = 0; d < rank; ++d)
      for (int64_t k = 0; k < *count; ++k) {
        Value size = s.size(from[d]), zero = s.index(0), last = s.sub(size, s.index(1));
        Value start = listElement(s, t[1], k), step = stepsHere ? listElement(s, stepsHere, k) : s.index(1);
        start = s.select(s.compare(Comparison::Less, start, zero), s.add(start, size), start);
        Value highest = s.select(s.compare(Comparison::Less, step, zero), last, size);
        start = s.max(s.min(start, highest), zero);
        source[d] = s.select(isAxis(s, axesHere, k, d, rank), s.add(start, s.mul(at[d], step)), source[d]);
      }
    return s.load(t[0], source);
  }));
}

LogicalResult onnx_importer::importSlice(NodeContext &n) {
  if (auto done = sliceMasked(n))
    return *done;
  if (n.isComputed(1) || n.isComputed(2) || n.isComputed(3) || n.isComputed(4))
    return computedSlice(n);
  Value x = n.tensor(0);
  std::optional<Sizes> starts = n.wantSizes(1, "starts"), ends = n.wantSizes(2, "ends");
  if (!x || !starts || !ends)
    return failure();
  size_t count = starts->elements.size();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, count)), steps(count, 1);
  for (auto [input, list, what] : {std::tuple(3u, &axes, "axes"), std::tuple(4u, &steps, "steps")}) {
    if (!n.has(input))
      continue;
    auto constants = n.wantConstants(input, what);
    if (!constants)
      return failure();
    *list = *constants;
  }
  auto positions = n.graph.axes(axes, shapeOf(x).size());
  if (!positions)
    return failure();
  if (ends->elements.size() != count || positions->size() != count || steps.size() != count)
    return n.error() << "wants as many ends, axes and steps as the " << count << " starts, found "
                     << ends->elements.size() << ", " << positions->size() << " and " << steps.size();
  for (size_t i = 0; i < count && x; ++i) {
    int64_t axis = (*positions)[i];
    auto range = sliceRange(n, starts->elements[i], ends->elements[i], steps[i], shapeOf(x)[axis]);
    if (!range)
      return failure();
    x = n.graph.slice(x, axis, range->begin, range->size, range->step);
  }
  return n.result(x);
}

/// The sizes of the parts: given, or as equal as `count` parts can be, the last the smallest.
static std::optional<SmallVector<Dim>> partSizes(NodeContext &n, const Dim &dim, int64_t count) {
  if (auto given = n.integers("split"))
    return llvm::to_vector(llvm::map_range(*given, [](int64_t size) { return Dim(size); }));
  if (n.has(1)) {
    std::optional<Sizes> sizes = n.wantSizes(1, "split");
    return sizes ? std::optional(sizes->elements) : std::nullopt;
  }
  SmallVector<Dim> sizes;
  Dim each = dim.ceilDiv(Dim(count)), rest = dim;
  for (int64_t i = 0; i < count; ++i) {
    sizes.push_back(i + 1 < count ? each : n.graph.simplify(rest));
    rest -= each;
  }
  return sizes;
}

/// Parts whose sizes are data: the file says how many elements each has.
static LogicalResult computedSplit(NodeContext &n, Value x, int64_t axis) {
  Value sizes = n.tensor(1);
  SmallVector<Value> results;
  for (unsigned part = 0; part < n.node.outputs.size(); ++part) {
    std::optional<Shape> shape = n.wantDeclared(1, "split", part);
    if (!shape)
      return failure();
    results.push_back(n.graph.map(elementOf(x), *shape, {x, sizes}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
      SmallVector<Value> source(at);
      for (unsigned before = 0; before < part; ++before)
        source[axis] = s.add(source[axis], listElement(s, t[1], before));
      return s.load(t[0], source);
    }));
  }
  return n.results(results);
}

LogicalResult onnx_importer::importSplit(NodeContext &n) {
  int64_t along = n.integer("axis", 0), parts = n.integer("num_outputs", n.node.outputs.size());
  Value x = n.tensor(0);
  std::optional<int64_t> axis = x ? n.graph.axis(along, shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return failure();
  if (n.isComputed(1))
    return n.declared() ? computedSplit(n, x, *axis) : defineParts(n, x, *axis);
  Dim dim = shapeOf(x)[*axis];
  std::optional<SmallVector<Dim>> sizes = partSizes(n, dim, parts);
  if (!sizes)
    return failure();
  if (sizes->size() != n.node.outputs.size())
    return n.error() << "wants as many outputs as parts, found " << n.node.outputs.size() << " and " << sizes->size();
  SmallVector<Value> results;
  Dim begin(0);
  for (const Dim &size : *sizes) {
    results.push_back(n.graph.slice(x, *axis, begin, size));
    begin += size;
  }
  if (!n.graph.wantEqual(dim, begin, "the sum of the parts"))
    return failure();
  return n.results(results);
}

LogicalResult onnx_importer::importConcat(NodeContext &n) {
  if (!n.hasAttribute("axis"))
    return n.error() << "wants the attribute 'axis', found none";
  return n.result(n.graph.concat(n.tensors(), n.integer("axis", 0)));
}

LogicalResult onnx_importer::importTile(NodeContext &n) {
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape from = shapeOf(x), to;
  if (n.isComputed(1)) {
    std::optional<Shape> declared = n.wantDeclared(1, "repeats");
    if (!declared)
      return failure();
    to = *declared;
  } else if (std::optional<Sizes> repeats = n.wantSizes(1, "repeats")) {
    if (repeats->elements.size() != from.size())
      return n.error() << "wants one repeat for each dimension of " << toString(from) << ", found "
                       << toString(repeats->elements);
    for (auto [dim, repeat] : llvm::zip(from, repeats->elements))
      to.push_back(dim * repeat);
  }
  if (to.size() != from.size())
    return failure();
  return n.result(n.graph.map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> indices(at);
    for (auto [index, dim, wide] : llvm::zip(indices, from, to)) {
      if (dim == Dim(1))
        index = s.index(0);
      else if (wide != dim)
        index = s.rem(index, s.size(dim));
    }
    return s.load(t[0], indices);
  }));
}

//===----------------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------------===//

namespace {
/// Elements before and after each dim; negative ones crop.
struct Padding {
  SmallVector<Dim> before, after;
};
} // namespace

static std::optional<Padding> paddingOf(NodeContext &n, int64_t rank) {
  std::optional<Sizes> pads = n.wantSizes(1, "pads");
  if (!pads)
    return std::nullopt;
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (n.has(3)) {
    auto given = n.wantConstants(3, "axes");
    auto positions = given ? n.graph.axes(*given, rank) : std::nullopt;
    if (!positions)
      return std::nullopt;
    axes = *positions;
  }
  if (pads->elements.size() != 2 * axes.size()) {
    n.error() << "pads: wanted " << 2 * axes.size() << " numbers, found " << pads->elements.size();
    return std::nullopt;
  }
  Padding padding{SmallVector<Dim>(rank), SmallVector<Dim>(rank)};
  for (auto [i, axis] : llvm::enumerate(axes)) {
    padding.before[axis] = pads->elements[i];
    padding.after[axis] = pads->elements[i + axes.size()];
  }
  return padding;
}

/// Where position `at` (relative to the first element) reads a dim that repeats in some way.
static Value paddedIndex(ScalarBuilder &s, StringRef mode, Value at, const Dim &dim) {
  Value last = s.size(dim - Dim(1)), zero = s.index(0);
  if (mode == "reflect") {
    // 0 1 2 1 0 1 2: a walk of period 2 (dim - 1); the far half mirrored.
    Value walked = s.mod(at, s.max(s.size((dim - Dim(1)) * Dim(2)), s.index(1)));
    return s.min(walked, s.sub(s.size((dim - Dim(1)) * Dim(2)), walked));
  }
  if (mode == "wrap")
    return s.mod(at, s.size(dim));
  return s.min(s.max(at, zero), last);
}

/// The element at `index` along each dim, filled or continued where that lies outside.
static Value paddedElement(ScalarBuilder &s, StringRef mode, Value tensor, SmallVector<Value> indices,
                           ArrayRef<Dim> from, ArrayRef<bool> isPadded, llvm::function_ref<Value()> fill) {
  Value inside;
  for (auto [index, dim, padded] : llvm::zip(indices, from, isPadded)) {
    if (!padded)
      continue;
    Value here = s.bitAnd(s.compare(Comparison::GreaterEqual, index, s.index(0)),
                          s.compare(Comparison::Less, index, s.size(dim)));
    inside = inside ? s.bitAnd(inside, here) : here;
    index = paddedIndex(s, mode, index, dim);
  }
  Value loaded = s.load(tensor, indices);
  return mode == "constant" && inside ? s.select(inside, loaded, fill()) : loaded;
}

/// Pads or axes that are data: the file says the dims of the result.
static LogicalResult computedPad(NodeContext &n, StringRef mode) {
  Value x = n.tensor(0), pads = n.tensor(1), fill = n.optional(2), axes = n.optional(3);
  std::optional<Shape> shape = n.wantDeclared(1, "pads or axes");
  std::optional<int64_t> count = shape ? listLength(n, pads) : std::nullopt;
  if (!x || !count)
    return failure();
  Shape from = shapeOf(x);
  int64_t rank = from.size();
  SmallVector<Value> inputs{x, pads};
  for (Value operand : {axes, fill})
    if (operand)
      inputs.push_back(operand);
  return n.result(n.graph.map(elementOf(x), *shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> indices(at);
    for (int64_t d = 0; d < rank; ++d)
      for (int64_t k = 0; k < *count / 2; ++k) {
        Value moved = s.sub(at[d], listElement(s, t[1], k));
        indices[d] = s.select(isAxis(s, axes ? t[2] : Value(), k, d, rank), moved, indices[d]);
      }
    SmallVector<bool> everywhere(rank, true);
    return paddedElement(s, mode, t[0], indices, from, everywhere, [&] {
      Value none = fill ? t.back() : Value();
      SmallVector<Value> place(none ? shapeOf(none).size() : 0, s.index(0));
      return none ? s.load(none, place) : s.number(elementOf(x), 0);
    });
  }));
}

LogicalResult onnx_importer::importPad(NodeContext &n) {
  std::string mode = n.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return n.error() << "attribute 'mode': wanted constant, reflect, edge or wrap, found " << quote(mode);
  if (n.isComputed(1) || n.isComputed(3))
    return computedPad(n, mode);
  Value x = n.tensor(0);
  std::optional<Padding> padding = x ? paddingOf(n, shapeOf(x).size()) : std::nullopt;
  if (!padding)
    return failure();
  Type element = elementOf(x);
  Value fill = n.has(2) ? n.tensor(2) : n.graph.splat(element, 0);
  TypedAttr filling = fill ? GraphBuilder::splatElement(fill) : TypedAttr();
  if (!fill)
    return failure();
  Shape from = shapeOf(x), to;
  for (auto [dim, before, after] : llvm::zip(from, padding->before, padding->after))
    to.push_back(dim + before + after);
  SmallVector<Value> inputs{x};
  if (!filling)
    inputs.push_back(fill);
  return n.result(n.graph.map(element, to, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> indices(at);
    SmallVector<bool> isPadded;
    for (auto [index, before, after] : llvm::zip(indices, padding->before, padding->after)) {
      isPadded.push_back(before != Dim(0) || after != Dim(0));
      if (isPadded.back())
        index = s.sub(index, s.size(before));
    }
    return paddedElement(s, mode, t[0], indices, from, isPadded, [&]() -> Value {
      if (filling)
        return arith::ConstantOp::create(s.builder, s.loc, filling);
      return s.load(t[1], SmallVector<Value>(shapeOf(t[1]).size(), s.index(0)));
    });
  }));
}

//===----------------------------------------------------------------------------===//
// Triangles and blocks
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importTrilu(NodeContext &n) {
  bool upper = n.integer("upper", 1) != 0;
  Value x = n.tensor(0), computed = n.isComputed(1) ? n.tensor(1) : Value();
  Dim offset(0);
  if (n.has(1) && !computed)
    offset = n.wantSizes(1, "k")->elements[0];
  if (!x)
    return failure();
  Shape shape = shapeOf(x);
  if (shape.size() < 2)
    return n.error() << "wants a tensor of rank at least 2, found " << toString(shape);
  TypedAttr constant = GraphBuilder::splatElement(x);
  SmallVector<Value> inputs;
  if (!constant)
    inputs.push_back(x);
  if (computed)
    inputs.push_back(computed);
  return n.result(n.graph.map(elementOf(x), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value shift = computed ? listElement(s, t.back(), 0) : s.size(offset);
    Value row = s.add(at[at.size() - 2], shift), column = at.back();
    Value kept = s.compare(upper ? Comparison::GreaterEqual : Comparison::LessEqual, column, row);
    Value element = constant ? Value(arith::ConstantOp::create(s.builder, s.loc, constant)) : s.load(t[0], at);
    return s.select(kept, element, s.number(elementOf(x), 0));
  }));
}

LogicalResult onnx_importer::importDepthToSpace(NodeContext &n) {
  int64_t block = n.integer("blocksize", 0);
  std::string mode = n.text("mode", "DCR");
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape shape = shapeOf(x);
  if (shape.size() != 4 || block < 1 || (mode != "DCR" && mode != "CRD"))
    return n.error() << "wants 4 dimensions, a positive blocksize and mode DCR or CRD, found " << toString(shape)
                     << ", " << block << ", " << quote(mode);
  Dim b(block), depth = shape[1].floorDiv(b * b);
  bool depthFirst = mode == "CRD";
  Value blocks = n.graph.reshape(x, depthFirst ? Shape{shape[0], depth, b, b, shape[2], shape[3]}
                                               : Shape{shape[0], b, b, depth, shape[2], shape[3]});
  Value moved =
      depthFirst ? n.graph.transpose(blocks, {0, 1, 4, 2, 5, 3}) : n.graph.transpose(blocks, {0, 3, 4, 1, 5, 2});
  return n.result(n.graph.reshape(moved, {shape[0], depth, shape[2] * b, shape[3] * b}));
}

LogicalResult onnx_importer::importSpaceToDepth(NodeContext &n) {
  int64_t block = n.integer("blocksize", 0);
  bool depthFirst = n.text("mode", "DCR") == "CRD";
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape shape = shapeOf(x);
  if (shape.size() != 4 || block < 1)
    return n.error() << "wants 4 dimensions and a positive blocksize, found " << toString(shape) << " and " << block;
  Dim b(block), height = shape[2].floorDiv(b), width = shape[3].floorDiv(b);
  Value blocks = n.graph.reshape(x, {shape[0], shape[1], height, b, width, b});
  Value moved =
      depthFirst ? n.graph.transpose(blocks, {0, 1, 3, 5, 2, 4}) : n.graph.transpose(blocks, {0, 3, 5, 1, 2, 4});
  return n.result(n.graph.reshape(moved, {shape[0], shape[1] * b * b, height, width}));
}

//===----------------------------------------------------------------------------===//
// CenterCropPad
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importCenterCropPad(NodeContext &n) {
  auto given = n.integers("axes");
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape from = shapeOf(x), to = from;
  int64_t rank = from.size();
  auto axes = n.graph.axes(given ? *given : llvm::to_vector(llvm::seq<int64_t>(0, rank)), rank);
  if (!axes)
    return failure();
  if (n.isComputed(1)) {
    std::optional<Shape> declared = n.wantDeclared(1, "shape");
    if (!declared || int64_t(declared->size()) != rank)
      return failure();
    to = *declared;
  } else if (std::optional<Sizes> sizes = n.wantSizes(1, "shape"); sizes && sizes->elements.size() == axes->size()) {
    for (auto [axis, size] : llvm::zip(*axes, sizes->elements))
      to[axis] = size;
  } else {
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "shape: wanted " << axes->size() << " numbers");
  }
  SmallVector<bool> isPadded;
  for (auto [dim, size] : llvm::zip(from, to))
    isPadded.push_back(dim != size);
  return n.result(n.graph.map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> indices(at);
    for (auto [index, dim, size] : llvm::zip(indices, from, to)) {
      if (dim == size)
        continue;
      // Half of what is too much or too little, rounded down.
      Value cropped = s.size(Dim::max(dim - size, Dim(0)).floorDiv(Dim(2)));
      Value padded = s.size(Dim::max(size - dim, Dim(0)).floorDiv(Dim(2)));
      index = s.sub(s.add(index, cropped), padded);
    }
    return paddedElement(s, "constant", t[0], indices, from, isPadded, [&] { return s.number(elementOf(x), 0); });
  }));
}
