//===- SizesEvaluation.cpp - ONNX operators on small tensors of dim expressions ------===//
//
// Each gives none where the operands are not sizes or the outcome is not decided;
// the operator is then imported as one on tensors.
//
#include "frontends/onnx/importer/SizesEvaluation.h"
#include "frontends/builder/DecidingSizes.h"

#include <numeric>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

static int64_t product(ArrayRef<int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t(1), std::multiplies<>());
}

//===----------------------------------------------------------------------------===//
// Element by element
//===----------------------------------------------------------------------------===//

using DimFunction = llvm::function_ref<std::optional<Dim>(const Dim &, const Dim &)>;

/// Row-major position in `dims`, right-aligned and broadcast, of position `i` of `result`.
static int64_t broadcastPosition(int64_t i, ArrayRef<int64_t> result, ArrayRef<int64_t> dims) {
  int64_t position = 0, step = 1;
  for (size_t d = 0; d < result.size(); ++d) {
    int64_t size = result[result.size() - 1 - d], index = i % size;
    i /= size;
    if (d < dims.size()) {
      int64_t own = dims[dims.size() - 1 - d];
      position += own == 1 ? 0 : index * step;
      step *= own;
    }
  }
  return position;
}

static std::optional<SmallVector<int64_t>> broadcastDims(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  SmallVector<int64_t> result(a);
  for (size_t d = 0; d < b.size(); ++d) {
    int64_t &dim = result[a.size() - b.size() + d];
    if (dim != b[d] && dim != 1 && b[d] != 1)
      return std::nullopt;
    if (dim == 1)
      dim = b[d];
  }
  return result;
}

static std::optional<Sizes> zipSizes(const std::optional<Sizes> &a, const std::optional<Sizes> &b,
                                     DimFunction function) {
  if (!a || !b)
    return std::nullopt;
  auto dims = broadcastDims(a->dims, b->dims);
  if (!dims || product(*dims) > Sizes::maxElements)
    return std::nullopt;
  Sizes result{*dims, {}, a->type};
  for (int64_t i = 0, count = product(*dims); i < count; ++i) {
    std::optional<Dim> element =
        function(a->elements[broadcastPosition(i, *dims, a->dims)], b->elements[broadcastPosition(i, *dims, b->dims)]);
    if (!element)
      return std::nullopt;
    result.elements.push_back(*element);
  }
  return result;
}

static std::optional<Sizes> zipSizes(NodeContext &n, DimFunction function) {
  return zipSizes(n.sizes(0), n.sizes(1), function);
}

/// Any number of operands.
static std::optional<Sizes> foldSizes(NodeContext &n, DimFunction function) {
  std::optional<Sizes> result = n.sizes(0);
  for (unsigned i = 1; i < n.count(); ++i)
    result = zipSizes(result, n.sizes(i), function);
  return result;
}

static bool isNonNegative(NodeContext &n, const Dim &dim) { return n.graph.isAtLeastZero(dim); }

/// True where the dim grows with the sizes of the inputs and is below zero for the least alone: those are left out.
static bool assumeNonNegative(NodeContext &n, const Dim &dim) {
  auto grows = Assumptions::solveNonNegative(dim);
  return grows && grows->second.hi == Interval::plusInfinity && n.graph.assumeAtLeast(dim, Dim(0));
}

std::optional<Sizes> onnx_importer::sizesAdd(NodeContext &n) {
  return zipSizes(n, [](const Dim &a, const Dim &b) { return std::optional(a + b); });
}

std::optional<Sizes> onnx_importer::sizesSub(NodeContext &n) {
  return zipSizes(n, [](const Dim &a, const Dim &b) { return std::optional(a - b); });
}

std::optional<Sizes> onnx_importer::sizesMul(NodeContext &n) {
  return zipSizes(n, [](const Dim &a, const Dim &b) { return std::optional(a * b); });
}

std::optional<Sizes> onnx_importer::sizesDiv(NodeContext &n) {
  return zipSizes(n, [&](const Dim &a, const Dim &b) -> std::optional<Dim> {
    if (a.isConstant() && b.isConstant())
      return *b.constant() == 0 ? std::nullopt : std::optional(Dim(*a.constant() / *b.constant()));
    if (std::optional<Dim> exact = a.exactDiv(b))
      return exact;
    if (!isNonNegative(n, b) || b == Dim(0))
      return std::nullopt;
    // Rounding down is rounding towards zero where neither is negative.
    if (isNonNegative(n, a))
      return n.graph.simplify(a.floorDiv(b));
    if (isNonNegative(n, -a))
      return n.graph.simplify(-(-a).floorDiv(b));
    // A number of windows, (S - 127) / 384: where S is so small that there is none, nothing is computed.
    (void)assumeNonNegative(n, a);
    return std::nullopt;
  });
}

std::optional<Sizes> onnx_importer::sizesMod(NodeContext &n) {
  if (n.integer("fmod", 0) != 0)
    return std::nullopt;
  return zipSizes(n, [](const Dim &a, const Dim &b) { return b == Dim(0) ? std::nullopt : std::optional(a.mod(b)); });
}

std::optional<Sizes> onnx_importer::sizesMax(NodeContext &n) {
  return foldSizes(n, [&](const Dim &a, const Dim &b) { return std::optional(n.graph.simplify(Dim::max(a, b))); });
}

std::optional<Sizes> onnx_importer::sizesMin(NodeContext &n) {
  return foldSizes(n, [&](const Dim &a, const Dim &b) { return std::optional(n.graph.simplify(Dim::min(a, b))); });
}

std::optional<Sizes> onnx_importer::sizesNeg(NodeContext &n) {
  std::optional<Sizes> result = n.sizes(0);
  if (result)
    for (Dim &element : result->elements)
      element = -element;
  return result;
}

//===----------------------------------------------------------------------------===//
// Comparisons and selection, where the outcome is decided for all sizes
//===----------------------------------------------------------------------------===//

static std::optional<Sizes> decided(NodeContext &n,
                                    llvm::function_ref<std::optional<bool>(const Dim &, const Dim &)> function) {
  auto result = zipSizes(n, [&](const Dim &a, const Dim &b) -> std::optional<Dim> {
    std::optional<bool> outcome = function(a, b);
    return outcome ? std::optional(Dim(*outcome)) : std::nullopt;
  });
  if (result)
    result->type = ElementType::Bool;
  return result;
}

static std::optional<bool> negated(std::optional<bool> value) { return value ? std::optional(!*value) : std::nullopt; }

std::optional<Sizes> onnx_importer::sizesEqual(NodeContext &n) {
  return decided(n, [&](const Dim &a, const Dim &b) {
    std::optional<bool> equal = Dim::isKnownEqual(a, b, n.graph.getBounds());
    // A size, S - 4, that is asked whether it is -1, "as large as it is": it was meant to be a size.
    if (!equal && (a == Dim(-1) || b == Dim(-1)))
      (void)assumeNonNegative(n, a == Dim(-1) ? b : a);
    return equal;
  });
}

std::optional<Sizes> onnx_importer::sizesLessOrEqual(NodeContext &n) {
  return decided(n, [&](const Dim &a, const Dim &b) { return Dim::isKnownLessEqual(a, b, n.graph.getBounds()); });
}

std::optional<Sizes> onnx_importer::sizesGreaterOrEqual(NodeContext &n) {
  return decided(n, [&](const Dim &a, const Dim &b) { return Dim::isKnownLessEqual(b, a, n.graph.getBounds()); });
}

std::optional<Sizes> onnx_importer::sizesLess(NodeContext &n) {
  return decided(n,
                 [&](const Dim &a, const Dim &b) { return negated(Dim::isKnownLessEqual(b, a, n.graph.getBounds())); });
}

std::optional<Sizes> onnx_importer::sizesGreater(NodeContext &n) {
  return decided(n,
                 [&](const Dim &a, const Dim &b) { return negated(Dim::isKnownLessEqual(a, b, n.graph.getBounds())); });
}

std::optional<Sizes> onnx_importer::sizesAnd(NodeContext &n) {
  return zipSizes(n, [](const Dim &a, const Dim &b) { return std::optional(a * b); });
}

std::optional<Sizes> onnx_importer::sizesOr(NodeContext &n) {
  return zipSizes(n, [](const Dim &a, const Dim &b) { return std::optional(Dim::max(a, b)); });
}

std::optional<Sizes> onnx_importer::sizesNot(NodeContext &n) {
  std::optional<Sizes> result = n.sizes(0);
  if (result)
    for (Dim &element : result->elements)
      element = Dim(1) - element;
  return result;
}

std::optional<Sizes> onnx_importer::sizesWhere(NodeContext &n) {
  // Sizes of the condition first, then what each position selects.
  std::optional<Sizes> condition = n.sizes(0), a = n.sizes(1), b = n.sizes(2);
  if (!condition || !a || !b || !condition->constants())
    return std::nullopt;
  auto chosen = zipSizes(condition, a, [](const Dim &c, const Dim &x) { return std::optional(c * x); });
  auto inverse = *condition;
  for (Dim &element : inverse.elements)
    element = Dim(1) - element;
  auto other = zipSizes(inverse, b, [](const Dim &c, const Dim &x) { return std::optional(c * x); });
  auto result = zipSizes(chosen, other, [](const Dim &x, const Dim &y) { return std::optional(x + y); });
  if (result)
    result->type = a->type;
  return result;
}

std::optional<Sizes> onnx_importer::sizesCast(NodeContext &n) {
  std::optional<ElementType> type = onnx_reader::elementTypeOf(n.integer("to", 0));
  std::optional<Sizes> result = n.sizes(0);
  if (!result || !type)
    return std::nullopt;
  if (*type == ElementType::Bool)
    for (Dim &element : result->elements) {
      std::optional<bool> isZero = Dim::isKnownEqual(element, Dim(0), n.graph.getBounds());
      if (!isZero)
        return std::nullopt;
      element = Dim(!*isZero);
    }
  else if (*type != ElementType::Int64 && *type != ElementType::Int32)
    return std::nullopt;
  result->type = *type;
  return result;
}

std::optional<Sizes> onnx_importer::sizesIdentity(NodeContext &n) { return n.sizes(0); }

//===----------------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------------===//

std::optional<Sizes> onnx_importer::sizesShape(NodeContext &n) {
  if (!n.has(0))
    return std::nullopt;
  Shape shape = n.shape(0);
  int64_t rank = shape.size();
  // A tensor's size is at least 0, whatever expression it is.
  for (const Dim &dim : shape)
    if (!isNonNegative(n, dim) && n.graph.assumeAtLeast(dim, Dim(0)))
      return std::nullopt;
  auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  int64_t start = clamp(n.integer("start", 0)), end = clamp(n.integer("end", rank));
  return Sizes::list(ArrayRef<Dim>(shape).slice(start, std::max<int64_t>(end - start, 0)));
}

std::optional<Sizes> onnx_importer::sizesSize(NodeContext &n) {
  if (!n.has(0))
    return std::nullopt;
  return Sizes::scalar(countOf(n.shape(0)));
}

std::optional<Shape> onnx_importer::reshapedTo(NodeContext &n, ArrayRef<Dim> from, ArrayRef<Dim> target,
                                               bool allowZero) {
  Shape shape;
  int64_t open = -1;
  for (auto [i, wanted] : llvm::enumerate(target)) {
    shape.push_back(wanted);
    if (wanted == Dim(-1)) {
      if (open >= 0) {
        n.error() << "shape: wanted at most one -1, found " << toString(target);
        return std::nullopt;
      }
      open = i;
    } else if (wanted == Dim(0) && !allowZero) {
      if (i >= from.size()) {
        n.error() << "shape: 0 copies dimension " << i << ", which " << toString(from) << " does not have";
        return std::nullopt;
      }
      shape.back() = from[i];
    }
  }
  if (open < 0)
    return shape;
  shape[open] = Dim(1);
  Dim total = countOf(from), rest = countOf(shape);
  if (rest == Dim(0)) {
    n.error() << "shape: the -1 in " << toString(target) << " is undetermined beside a dimension of 0";
    return std::nullopt;
  }
  std::optional<Dim> left = total.exactDiv(rest);
  // Where names of sizes are missing, a symbol as far from the nearer end as one of x is that one.
  for (int64_t i = 0, rank = shape.size(); !left && i < rank; ++i) {
    int64_t old = i < open ? i : i + int64_t(from.size()) - rank;
    if (i != open && old >= 0 && old < int64_t(from.size()) && !shape[i].isConstant() && !from[old].isConstant() &&
        !n.graph.wantEqual(from[old], shape[i], "dimension " + Twine(i) + " of the shape"))
      return std::nullopt;
  }
  shape[open] = left ? *left : n.graph.simplify(total.floorDiv(rest));
  return shape;
}

std::optional<Sizes> onnx_importer::sizesReshape(NodeContext &n) {
  std::optional<Sizes> x = n.sizes(0), target = n.sizes(1);
  if (!x || !target)
    return std::nullopt;
  auto from = llvm::map_to_vector<4>(x->dims, [](int64_t size) { return Dim(size); });
  auto shape = reshapedTo(n, from, target->elements, n.integer("allowzero", 0) != 0);
  if (!shape)
    return std::nullopt;
  Sizes result{{}, x->elements, x->type};
  for (const Dim &dim : *shape) {
    if (!dim.isConstant())
      return std::nullopt;
    result.dims.push_back(*dim.constant());
  }
  return product(result.dims) == int64_t(result.elements.size()) ? std::optional(result) : std::nullopt;
}

std::optional<Sizes> onnx_importer::sizesSqueeze(NodeContext &n) {
  std::optional<Sizes> x = n.sizes(0);
  if (!x)
    return std::nullopt;
  if (n.isComputed(1))
    return std::nullopt;
  auto axes = n.axes(1);
  Sizes result{{}, x->elements, x->type};
  int64_t rank = x->dims.size();
  for (int64_t d = 0; d < rank; ++d) {
    bool drop = axes ? llvm::is_contained(*axes, d) || llvm::is_contained(*axes, d - rank) : x->dims[d] == 1;
    if (drop && x->dims[d] != 1)
      return std::nullopt;
    if (!drop)
      result.dims.push_back(x->dims[d]);
  }
  return result;
}

std::optional<Sizes> onnx_importer::sizesUnsqueeze(NodeContext &n) {
  std::optional<Sizes> x = n.sizes(0);
  if (!x)
    return std::nullopt;
  auto axes = n.isComputed(1) ? std::nullopt : n.axes(1);
  if (!axes)
    return std::nullopt;
  int64_t rank = x->dims.size() + axes->size();
  Sizes result{{}, x->elements, x->type};
  for (int64_t d = 0, next = 0; d < rank; ++d) {
    bool isNew = llvm::is_contained(*axes, d) || llvm::is_contained(*axes, d - rank);
    if (!isNew && next == int64_t(x->dims.size()))
      return std::nullopt;
    result.dims.push_back(isNew ? 1 : x->dims[next++]);
  }
  return result;
}

std::optional<Sizes> onnx_importer::sizesExpand(NodeContext &n) {
  std::optional<Sizes> x = n.sizes(0), target = n.sizes(1);
  auto dims = target ? target->constants() : std::nullopt;
  if (!x || !dims || product(*dims) > Sizes::maxElements)
    return std::nullopt;
  Sizes ones{*dims, SmallVector<Dim>(product(*dims), Dim(1)), x->type};
  return zipSizes(x, ones, [](const Dim &a, const Dim &) { return std::optional(a); });
}

std::optional<Sizes> onnx_importer::sizesConstantOfShape(NodeContext &n) {
  std::optional<Sizes> shape = n.sizes(0);
  auto dims = shape ? shape->constants() : std::nullopt;
  const onnx_reader::Tensor *value = n.tensorAttribute("value");
  if (!dims || !value || value->elementCount != 1 || product(*dims) > Sizes::maxElements)
    return std::nullopt;
  std::optional<Sizes> element = sizesOf(*value);
  if (!element)
    return std::nullopt;
  return Sizes{*dims, SmallVector<Dim>(product(*dims), element->elements[0]), element->type};
}

//===----------------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------------===//

/// The blocks before, along and after an axis.
struct AxisBlocks {
  int64_t outer = 1, size = 1, inner = 1;
};

static std::optional<AxisBlocks> blocksOf(ArrayRef<int64_t> dims, int64_t axis) {
  int64_t rank = dims.size();
  if (axis < -rank || axis >= rank)
    return std::nullopt;
  axis = axis < 0 ? axis + rank : axis;
  return AxisBlocks{product(dims.take_front(axis)), dims[axis], product(dims.drop_front(axis + 1))};
}

/// The elements at `picks` along an axis, one after another.
static SmallVector<Dim> pickAlong(const Sizes &x, const AxisBlocks &blocks, ArrayRef<int64_t> picks) {
  SmallVector<Dim> elements;
  for (int64_t o = 0; o < blocks.outer; ++o)
    for (int64_t pick : picks)
      for (int64_t i = 0; i < blocks.inner; ++i)
        elements.push_back(x.elements[(o * blocks.size + pick) * blocks.inner + i]);
  return elements;
}

std::optional<Sizes> onnx_importer::sizesGather(NodeContext &n) {
  int64_t axis = n.integer("axis", 0);
  std::optional<Sizes> x = n.sizes(0), indices = n.sizes(1);
  auto picks = indices ? indices->constants() : std::nullopt;
  if (!x || !picks)
    return std::nullopt;
  std::optional<AxisBlocks> blocks = blocksOf(x->dims, axis);
  if (!blocks || blocks->outer * int64_t(picks->size()) * blocks->inner > Sizes::maxElements)
    return std::nullopt;
  for (int64_t &pick : *picks) {
    pick = pick < 0 ? pick + blocks->size : pick;
    if (pick < 0 || pick >= blocks->size)
      return std::nullopt;
  }
  int64_t position = axis < 0 ? axis + int64_t(x->dims.size()) : axis;
  Sizes result{SmallVector<int64_t>(ArrayRef(x->dims).take_front(position)), pickAlong(*x, *blocks, *picks), x->type};
  llvm::append_range(result.dims, indices->dims);
  llvm::append_range(result.dims, ArrayRef(x->dims).drop_front(position + 1));
  return result;
}

/// As PyTorch's tracing exporter makes the shape that `index_copy` expands its places to.
std::optional<Sizes> onnx_importer::sizesScatterElements(NodeContext &n) {
  std::optional<Sizes> x = n.sizes(0), indices = n.sizes(1), updates = n.sizes(2);
  auto places = indices ? indices->constants() : std::nullopt;
  if (!x || !places || !updates || x->dims.size() != 1 || updates->dims != indices->dims ||
      n.text("reduction", "none") != "none")
    return std::nullopt;
  for (auto [place, update] : llvm::zip(*places, updates->elements)) {
    int64_t at = place < 0 ? place + x->dims[0] : place;
    if (at < 0 || at >= x->dims[0])
      return std::nullopt;
    x->elements[at] = update;
  }
  return x;
}

std::optional<Sizes> onnx_importer::sizesConcat(NodeContext &n) {
  int64_t axis = n.integer("axis", 0);
  std::optional<Sizes> first = n.sizes(0);
  if (!first || (axis != 0 && axis != -1) || first->dims.size() != 1)
    return std::nullopt;
  Sizes result{{0}, {}, first->type};
  for (unsigned i = 0; i < n.count(); ++i) {
    std::optional<Sizes> part = n.sizes(i);
    if (!part || part->dims.size() != 1)
      return std::nullopt;
    llvm::append_range(result.elements, part->elements);
  }
  result.dims[0] = result.elements.size();
  return result.dims[0] <= Sizes::maxElements ? std::optional(result) : std::nullopt;
}

/// Beyond these a start or end means "all".
static constexpr int64_t farAway = int64_t(1) << 40;

/// A start or end from 0 to `dim` where it counts from the end, unclamped.
static std::optional<Dim> fromBegin(NodeContext &n, const Dim &at, const Dim &dim) {
  if (at.isConstant() && *at.constant() <= -farAway)
    return Dim(-farAway);
  if (at.isConstant() && *at.constant() >= farAway)
    return Dim(farAway);
  Interval interval = at.interval(n.graph.getBounds());
  if (isNonNegative(n, at))
    return at;
  if (interval.hi < 0 || isNonNegative(n, Dim(-1) - at))
    return at + dim;
  // `-S` counts from the end, which leaves S = 0 out, and `-(-S mod 8)` the multiples of 8.
  bool countsFromEnd = interval.hi == 0;
  if (countsFromEnd ? n.graph.assumeAtLeast(Dim(-1), at) : n.graph.assumeAtLeast(at, Dim(0)))
    return std::nullopt;
  n.error() << "wants a position that is at least 0, or below 0, for all sizes, found " << at.str()
            << sizesToGive(at.symbols(), n.graph.getBounds(), [&](const Bounds &narrow) {
                 Interval found = at.simplify(narrow).interval(narrow);
                 return found.lo >= 0 || found.hi < 0;
               });
  return std::nullopt;
}

std::optional<SliceRange> onnx_importer::sliceRange(NodeContext &n, const Dim &start, const Dim &end, int64_t step,
                                                    const Dim &dim) {
  if (step == 0) {
    n.error() << "wants steps other than 0";
    return std::nullopt;
  }
  std::optional<Dim> from = fromBegin(n, start, dim), to = fromBegin(n, end, dim);
  if (!from || !to)
    return std::nullopt;
  // Forwards from 0 to dim; backwards from dim - 1 to -1.
  Dim low(step > 0 ? 0 : -1), high = step > 0 ? dim : dim - Dim(1);
  auto clamp = [&](const Dim &at, const Dim &lowest) { return n.graph.simplify(Dim::min(Dim::max(at, lowest), high)); };
  Dim begin = clamp(*from, Dim(0)), stop = clamp(*to, low);
  Dim span = step > 0 ? stop - begin : begin - stop;
  Dim size = n.graph.simplify(Dim::max(Dim(0), span.ceilDiv(Dim(std::abs(step)))));
  return SliceRange{begin, size, step};
}

std::optional<Sizes> onnx_importer::sizesSlice(NodeContext &n) {
  std::optional<Sizes> x = n.sizes(0), starts = n.sizes(1), ends = n.sizes(2);
  if (!x || !starts || !ends || x->dims.size() != 1 || starts->elements.size() != 1)
    return std::nullopt;
  std::optional<Sizes> steps = n.has(4) ? n.sizes(4) : Sizes::list(Dim(1));
  if (!steps || !steps->elements[0].isConstant() || !starts->elements[0].isConstant() ||
      !ends->elements[0].isConstant())
    return std::nullopt;
  auto range = sliceRange(n, starts->elements[0], ends->elements[0], *steps->elements[0].constant(), Dim(x->dims[0]));
  if (!range)
    return std::nullopt;
  Sizes result{{*range->size.constant()}, {}, x->type};
  for (int64_t i = 0; i < result.dims[0]; ++i)
    result.elements.push_back(x->elements[*range->begin.constant() + i * range->step]);
  return result;
}

std::optional<Sizes> onnx_importer::sizesNonZero(NodeContext &n) {
  std::optional<Sizes> x = n.sizes(0);
  auto values = x ? x->constants() : std::nullopt;
  int64_t rank = x ? x->dims.size() : 0;
  if (!values || rank == 0 || rank * int64_t(values->size()) > Sizes::maxElements)
    return std::nullopt;
  SmallVector<int64_t> places;
  for (auto [place, value] : llvm::enumerate(*values))
    if (value != 0)
      places.push_back(place);
  Sizes result{{rank, int64_t(places.size())}, {}};
  for (int64_t d = 0; d < rank; ++d)
    for (int64_t place : places)
      result.elements.push_back(Dim(place / product(ArrayRef(x->dims).drop_front(d + 1)) % x->dims[d]));
  return result;
}

//===----------------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------------===//

static std::optional<Sizes> reduceList(NodeContext &n, Dim start, DimFunction function) {
  std::optional<Sizes> x = n.sizes(0);
  if (!x || x->dims.size() != 1 || n.isComputed(1) || n.integer("noop_with_empty_axes", 0) != 0)
    return std::nullopt;
  n.axes(1);
  Dim result = start;
  for (const Dim &element : x->elements)
    result = *function(result, element);
  Sizes sizes{{}, {result}, x->type};
  if (n.integer("keepdims", 1) != 0)
    sizes.dims.push_back(1);
  return sizes;
}

std::optional<Sizes> onnx_importer::sizesReduceProd(NodeContext &n) {
  return reduceList(n, Dim(1), [](const Dim &a, const Dim &b) { return std::optional(a * b); });
}

std::optional<Sizes> onnx_importer::sizesReduceSum(NodeContext &n) {
  return reduceList(n, Dim(0), [](const Dim &a, const Dim &b) { return std::optional(a + b); });
}
