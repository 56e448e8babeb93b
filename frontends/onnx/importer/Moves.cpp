//===- Moves.cpp - ONNX operators that move whole ranges -----------------------------===//
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
  return n.result(n.graph.transpose(x, *permutation));
}

LogicalResult onnx_importer::importSlice(NodeContext &n) {
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

LogicalResult onnx_importer::importSplit(NodeContext &n) {
  int64_t along = n.integer("axis", 0), parts = n.integer("num_outputs", n.node.outputs.size());
  Value x = n.tensor(0);
  std::optional<int64_t> axis = x ? n.graph.axis(along, shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return failure();
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
  std::optional<Sizes> repeats = n.wantSizes(1, "repeats");
  if (!x || !repeats)
    return failure();
  Shape from = shapeOf(x), to;
  if (repeats->elements.size() != from.size())
    return n.error() << "wants one repeat for each dimension of " << toString(from) << ", found "
                     << toString(repeats->elements);
  for (auto [dim, repeat] : llvm::zip(from, repeats->elements))
    to.push_back(dim * repeat);
  return n.result(n.graph.map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> indices(at);
    for (auto [index, dim, repeat] : llvm::zip(indices, from, repeats->elements)) {
      if (dim == Dim(1))
        index = s.index(0);
      else if (repeat != Dim(1))
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

LogicalResult onnx_importer::importPad(NodeContext &n) {
  std::string mode = n.text("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return n.error() << "attribute 'mode': wanted constant, reflect, edge or wrap, found " << quote(mode);
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
    Value inside;
    for (auto [index, dim, before, after] : llvm::zip(indices, from, padding->before, padding->after)) {
      if (before == Dim(0) && after == Dim(0))
        continue;
      index = s.sub(index, s.size(before));
      Value here = s.bitAnd(s.compare(Comparison::GreaterEqual, index, s.index(0)),
                            s.compare(Comparison::Less, index, s.size(dim)));
      inside = inside ? s.bitAnd(inside, here) : here;
      index = paddedIndex(s, mode, index, dim);
    }
    Value loaded = s.load(t[0], indices);
    if (mode != "constant" || !inside)
      return loaded;
    Value outside = filling ? arith::ConstantOp::create(s.builder, s.loc, filling) : s.load(t[1], {});
    return s.select(inside, loaded, outside);
  }));
}

//===----------------------------------------------------------------------------===//
// Triangles and blocks
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importTrilu(NodeContext &n) {
  bool upper = n.integer("upper", 1) != 0;
  Value x = n.tensor(0);
  Dim offset(0);
  if (n.has(1)) {
    std::optional<Sizes> k = n.wantSizes(1, "k");
    if (!k)
      return failure();
    offset = k->elements[0];
  }
  if (!x)
    return failure();
  Shape shape = shapeOf(x);
  if (shape.size() < 2)
    return n.error() << "wants a tensor of rank at least 2, found " << toString(shape);
  TypedAttr constant = GraphBuilder::splatElement(x);
  SmallVector<Value> inputs;
  if (!constant)
    inputs.push_back(x);
  return n.result(n.graph.map(elementOf(x), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value row = s.add(at[at.size() - 2], s.size(offset)), column = at.back();
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
