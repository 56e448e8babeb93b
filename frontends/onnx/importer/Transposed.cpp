//===- Transposed.cpp - ONNX operators that undo windows ---------------------------------===//
//
// A window reads x[position * stride + offset * dilation - pad]; here the same equation is
// solved for the position: an element of the result collects from the windows that hold it.
//
#include "frontends/onnx/importer/Window.h"

#include <numeric>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

static bool allPositive(ArrayRef<int64_t> numbers) {
  return llvm::all_of(numbers, [](int64_t number) { return number > 0; });
}

//===----------------------------------------------------------------------------===//
// ConvTranspose
//===----------------------------------------------------------------------------===//

namespace {
struct TransposedWindow {
  SmallVector<int64_t> kernel, strides, dilations;
  SmallVector<Dim> before; ///< Cut off at the beginning of each extent.
  Shape extents;           ///< Of the result.
};
} // namespace

static std::optional<TransposedWindow> transposedWindow(NodeContext &n, ArrayRef<Dim> from, ArrayRef<int64_t> kernel) {
  size_t rank = kernel.size();
  TransposedWindow w;
  w.kernel.assign(kernel.begin(), kernel.end());
  w.strides = n.integers("strides").value_or(SmallVector<int64_t>(rank, 1));
  w.dilations = n.integers("dilations").value_or(SmallVector<int64_t>(rank, 1));
  auto extra = n.integers("output_padding").value_or(SmallVector<int64_t>(rank, 0));
  auto pads = n.integers("pads").value_or(SmallVector<int64_t>(2 * rank, 0));
  auto wanted = n.integers("output_shape");
  std::string autoPad = n.text("auto_pad", "NOTSET");
  if (w.strides.size() != rank || w.dilations.size() != rank || extra.size() != rank || pads.size() != 2 * rank ||
      (wanted && wanted->size() != rank) || !allPositive(w.strides) || !allPositive(w.dilations)) {
    n.error() << "wants a positive stride and dilation, an output padding and two pads for each of " << rank
              << " extents";
    return std::nullopt;
  }
  bool isSame = autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER";
  for (size_t d = 0; d < rank; ++d) {
    Dim whole = (from[d] - Dim(1)) * Dim(w.strides[d]) + Dim(extra[d] + (kernel[d] - 1) * w.dilations[d] + 1);
    Dim before(pads[d]), extent = whole - Dim(pads[d] + pads[d + rank]);
    if (wanted || isSame) {
      extent = wanted ? Dim((*wanted)[d]) : from[d] * Dim(w.strides[d]);
      Dim total = n.graph.simplify(Dim::max(Dim(0), whole - extent));
      before = autoPad == "SAME_UPPER" ? total.floorDiv(Dim(2)) : total - total.floorDiv(Dim(2));
    } else if (autoPad == "VALID") {
      before = Dim(0);
      extent = whole;
    }
    w.before.push_back(n.graph.simplify(before));
    w.extents.push_back(n.graph.simplify(extent));
  }
  return w;
}

LogicalResult onnx_importer::importConvTranspose(NodeContext &n) {
  int64_t groups = n.integer("group", 1);
  n.integers("kernel_shape");
  Value x = n.tensor(0), weight = n.tensor(1), bias = n.optional(2);
  if (!x || !weight)
    return failure();
  Shape shape = shapeOf(x), filters = shapeOf(weight);
  if (shape.size() < 3 || filters.size() != shape.size() || groups < 1 ||
      !llvm::all_of(filters, [](const Dim &d) { return d.isConstant(); }) || *filters[0].constant() % groups != 0)
    return n.error() << "wants a tensor of rank at least 3 and filters of the same rank and known size, found "
                     << toString(shape) << " and " << toString(filters) << " in " << groups << " groups";
  if (!n.graph.wantEqual(shape[1], filters[0], "channels of the input"))
    return failure();
  size_t rank = shape.size() - 2;
  SmallVector<int64_t> kernel;
  for (size_t d = 2; d < filters.size(); ++d)
    kernel.push_back(*filters[d].constant());
  auto from = ArrayRef<Dim>(shape).drop_front(2);
  std::optional<TransposedWindow> w = transposedWindow(n, from, kernel);
  if (!w)
    return failure();
  int64_t channels = *filters[0].constant() / groups, out = *filters[1].constant();
  Shape to{shape[0], Dim(groups)};
  llvm::append_range(to, w->extents);
  to.push_back(Dim(channels));
  for (int64_t size : kernel)
    to.push_back(Dim(size));
  Value columns = n.graph.map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> source{at[0], s.add(s.mul(at[1], s.index(channels)), at[2 + rank])};
    Value inside = s.integer(s.builder.getI1Type(), 1);
    for (size_t d = 0; d < rank; ++d) {
      Value reach = s.sub(s.add(at[2 + d], s.size(w->before[d])), s.mul(at[3 + rank + d], s.index(w->dilations[d])));
      Value isReached = s.compare(Comparison::GreaterEqual, reach, s.index(0));
      Value safe = s.select(isReached, reach, s.index(0)), stride = s.index(w->strides[d]);
      Value position = s.div(safe, stride, Sign::Unsigned);
      Value isWhole = s.compare(Comparison::Equal, s.rem(safe, stride, Sign::Unsigned), s.index(0));
      Value here = s.bitAnd(s.bitAnd(isReached, isWhole), s.compare(Comparison::Less, position, s.size(from[d])));
      inside = s.bitAnd(inside, here);
      source.push_back(s.select(here, position, s.index(0)));
    }
    return s.select(inside, s.load(t[0], source), s.number(elementOf(x), 0));
  });
  int64_t offsets = std::accumulate(kernel.begin(), kernel.end(), int64_t(1), std::multiplies<>());
  Value matrices = n.graph.reshape(weight, {Dim(groups), Dim(channels), Dim(out), Dim(offsets)});
  matrices = n.graph.reshape(n.graph.transpose(matrices, {0, 1, 3, 2}),
                             {Dim(groups), Dim(channels * offsets), Dim(out)});
  return n.result(multiplyWindows(n, columns, w->extents, matrices, bias));
}

//===----------------------------------------------------------------------------===//
// Col2Im
//===----------------------------------------------------------------------------===//

/// The operand's numbers as values of a map: known ones, or loads.
static SmallVector<Value> listIn(ScalarBuilder &s, const std::optional<Sizes> &known, Value tensor, int64_t count) {
  SmallVector<Value> list;
  for (int64_t k = 0; k < count; ++k)
    list.push_back(known ? s.size(known->elements[k])
                         : s.cast(s.load(tensor, s.index(k)), s.builder.getIndexType()));
  return list;
}

LogicalResult onnx_importer::importCol2Im(NodeContext &n) {
  Value x = n.tensor(0);
  std::optional<Sizes> image = n.sizes(1), block = n.sizes(2);
  Shape shape;
  if (x && image) {
    shape = {shapeOf(x)[0], Dim(0)};
    llvm::append_range(shape, image->elements);
  } else if (std::optional<Shape> declared = n.wantDeclared(1, "image_shape")) {
    shape = *declared;
  }
  if (!x || shape.size() < 3 || shapeOf(x).size() != 3)
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants blocks [N, C and offsets, positions]");
  int64_t rank = shape.size() - 2;
  auto strides = n.integers("strides").value_or(SmallVector<int64_t>(rank, 1));
  auto dilations = n.integers("dilations").value_or(SmallVector<int64_t>(rank, 1));
  auto pads = n.integers("pads").value_or(SmallVector<int64_t>(2 * rank, 0));
  if (int64_t(strides.size()) != rank || int64_t(dilations.size()) != rank || int64_t(pads.size()) != 2 * rank ||
      !allPositive(strides) || !allPositive(dilations))
    return n.error() << "wants a positive stride and dilation and two pads for each of " << rank << " extents";
  Shape blocks = shapeOf(x);
  if (std::optional<Shape> declared = n.declared(); declared && shape[1] == Dim(0))
    shape[1] = (*declared)[1];
  if (block)
    shape[1] = blocks[1].floorDiv(countOf(block->elements));
  std::optional<Dim> offsets = shape[1] == Dim(0) ? std::nullopt : blocks[1].exactDiv(shape[1]);
  if (!offsets)
    return n.error() << "wants channels that divide " << blocks[1].str() << ", found " << shape[1].str();
  // Every (offset, position) whose element falls on a pixel.
  Shape terms = shape;
  terms.push_back(*offsets);
  terms.push_back(blocks[2]);
  SmallVector<Value> inputs{x};
  if (!block)
    inputs.push_back(n.tensor(2));
  Value spread = n.graph.map(elementOf(x), terms, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> sizes = listIn(s, block, block ? Value() : t[1], rank);
    Value offset = at[2 + rank], position = at[3 + rank], falls = s.integer(s.builder.getI1Type(), 1);
    for (int64_t d = rank - 1; d >= 0; --d) {
      Value span = s.add(s.mul(s.sub(sizes[d], s.index(1)), s.index(dilations[d])), s.index(1));
      Value room = s.sub(s.add(s.size(shape[2 + d]), s.index(pads[d] + pads[d + rank])), span);
      Value count = s.add(s.div(room, s.index(strides[d])), s.index(1));
      Value own = s.rem(offset, sizes[d]), place = s.rem(position, count);
      offset = s.div(offset, sizes[d]);
      position = s.div(position, count);
      Value pixel =
          s.sub(s.add(s.mul(place, s.index(strides[d])), s.mul(own, s.index(dilations[d]))), s.index(pads[d]));
      falls = s.bitAnd(falls, s.compare(Comparison::Equal, pixel, at[2 + d]));
    }
    Value channel = s.add(s.mul(at[1], s.size(*offsets)), at[2 + rank]);
    return s.select(falls, s.load(t[0], {at[0], channel, at[3 + rank]}), s.number(elementOf(x), 0));
  });
  return n.result(n.graph.reduce(ReduceKind::Sum, spread, {int64_t(2 + rank), int64_t(3 + rank)}, false));
}

//===----------------------------------------------------------------------------===//
// MaxUnpool
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importMaxUnpool(NodeContext &n) {
  auto kernel = n.integers("kernel_shape");
  Value x = n.tensor(0), indices = n.tensor(1);
  if (!x || !indices)
    return failure();
  Shape from = shapeOf(x);
  size_t rank = from.size() - 2;
  auto strides = n.integers("strides").value_or(SmallVector<int64_t>(rank, 1));
  auto pads = n.integers("pads").value_or(SmallVector<int64_t>(2 * rank, 0));
  if (from.size() < 3 || !kernel || kernel->size() != rank || strides.size() != rank || pads.size() != 2 * rank)
    return n.error() << "wants a kernel, a stride and two pads for each extent of " << toString(from);
  // The indices are places in the tensor that was pooled.
  Shape pooled{from[0], from[1]};
  for (size_t d = 0; d < rank; ++d)
    pooled.push_back((from[2 + d] - Dim(1)) * Dim(strides[d]) + Dim((*kernel)[d] - pads[d] - pads[d + rank]));
  Shape to = pooled;
  if (n.isComputed(2)) {
    std::optional<Shape> declared = n.wantDeclared(2, "output_shape");
    if (!declared || declared->size() != to.size())
      return failure();
    to = *declared;
  } else if (std::optional<Sizes> sizes = n.sizes(2); sizes && sizes->elements.size() == to.size()) {
    to.assign(sizes->elements.begin(), sizes->elements.end());
  }
  Dim count = countOf(from);
  Value places = n.graph.map(n.graph.i64(), {count, Dim(1)}, n.graph.reshape(indices, count),
                             [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                               Value rest = s.cast(s.load(t[0], at[0]), s.builder.getIndexType()), place = s.index(0);
                               Dim step(1);
                               for (int64_t d = int64_t(to.size()) - 1; d >= 0; --d) {
                                 Value own = s.rem(rest, s.size(pooled[d]));
                                 rest = s.div(rest, s.size(pooled[d]));
                                 place = s.add(place, s.mul(own, s.size(step)));
                                 step *= to[d];
                               }
                               return s.cast(place, n.graph.i64());
                             });
  Value empty = n.graph.splat(elementOf(x), 0, countOf(to));
  return n.result(n.graph.reshape(n.graph.scatter(n.graph.reshape(x, count), empty, places), to));
}
