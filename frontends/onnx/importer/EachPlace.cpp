//===- EachPlace.cpp - operators that compute the same for each place of a mask ------===//
#include "frontends/onnx/importer/EachPlace.h"
#include "frontends/onnx/importer/MaskedPlaces.h"
#include "frontends/onnx/importer/SizesEvaluation.h"
#include "llvm/ADT/StringSwitch.h"
#include <numeric>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

using Form = MaskedPlaces::Form;
using Done = std::optional<LogicalResult>;

static bool isGiven(const MaskedPlaces *places) { return places && places->form == Form::AtPlaces; }

/// Whether operand `i`, and no other, is given at places.
static bool isOnly(NodeContext &n, unsigned i) {
  for (unsigned k = 0; k < n.count(); ++k)
    if (isGiven(n.places(k)) != (k == i))
      return false;
  return true;
}

static int64_t rankOf(NodeContext &n, unsigned i) { return n.shape(i).size(); }

static int64_t wrapped(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// The axes operand or attribute, counted from 0; none if there is none, or data decides it.
static std::optional<SmallVector<int64_t>> axesOf(NodeContext &n, unsigned i, int64_t rank) {
  auto axes = n.isComputed(i) ? std::nullopt : n.axes(i);
  if (axes)
    for (int64_t &axis : *axes)
      axis = wrapped(axis, rank);
  return axes;
}

/// `like`, with other values at the same places.
static ImportedValue given(const MaskedPlaces &like, ElementType type, Value values, int64_t at) {
  MaskedPlaces places = like;
  places.values = values;
  places.at = at;
  places.coordinates.clear();
  places.along = -1;
  return valueOf(type, std::move(places));
}

//===----------------------------------------------------------------------------===//
// Arithmetic: with the dims of the mask where the count was
//===----------------------------------------------------------------------------===//

/// Operands are right-aligned: behind the count they have as many dims, in place of it 1.
static Done elementwise(NodeContext &n, const Operator &op) {
  std::optional<MaskedPlaces> first;
  for (unsigned i = 0; i < n.count(); ++i)
    if (const MaskedPlaces *own = n.places(i)) {
      if (first && (own->flags != first->flags || own->rest().size() != first->rest().size()))
        return std::nullopt;
      first = *own;
    }
  int64_t behind = first->rest().size(), extra = first->masked().size() - 1;
  SmallVector<std::pair<unsigned, Value>> aligned;
  for (unsigned i = 0; i < n.count(); ++i) {
    if (!n.has(i))
      continue;
    if (const MaskedPlaces *own = n.places(i)) {
      aligned.emplace_back(i, own->values);
      continue;
    }
    Shape shape = n.shape(i);
    int64_t at = int64_t(shape.size()) - behind - 1;
    if (at < 0)
      continue;
    if (shape[at] != Dim(1))
      return std::nullopt;
    shape.insert(shape.begin() + at, extra, Dim(1));
    aligned.emplace_back(i, n.graph.reshape(n.tensor(i), shape));
  }
  for (auto [i, value] : aligned)
    n.replace(i, {n.type(i), value, std::nullopt, nullptr});
  if (n.graph.hasFailed() || failed(op.import(n)))
    return failure();
  const ImportedValue *result = n.given(0);
  int64_t at = int64_t(shapeOf(result->tensor).size()) - behind - 1 - extra;
  return n.results(ArrayRef(given(*first, result->type, result->tensor, at)));
}

/// MatMul of rows and a matrix.
static Done timesMatrix(NodeContext &n, const Operator &op) {
  if (!isOnly(n, 0) || n.places(0)->rest().empty() || rankOf(n, 1) > 2)
    return std::nullopt;
  MaskedPlaces rows = *n.places(0);
  n.replace(0, {n.type(0), rows.values, std::nullopt, nullptr});
  if (failed(op.import(n)))
    return failure();
  const ImportedValue *result = n.given(0);
  return n.results(ArrayRef(given(rows, result->type, result->tensor, rows.at)));
}

//===----------------------------------------------------------------------------===//
// Any operator that leaves the count a dim: with as many rows as the mask has elements there
//===----------------------------------------------------------------------===//

/// The dims of the mask, 1 along those that no operand depends on.
static Shape commonDims(NodeContext &n) {
  Shape dims;
  for (unsigned i = 0; i < n.count(); ++i)
    if (const MaskedPlaces *own = n.places(i)) {
      dims.resize(own->masked().size(), Dim(1));
      for (auto [dim, given] : llvm::zip(dims, own->given()))
        dim = given == Dim(1) ? dim : given;
    }
  return dims;
}

static Value asRows(NodeContext &n, const MaskedPlaces &places, ArrayRef<Dim> dims) {
  Shape wide = shapeOf(places.values), rows(ArrayRef<Dim>(wide).take_front(places.at));
  std::copy(dims.begin(), dims.end(), wide.begin() + places.at);
  rows.push_back(countOf(dims));
  llvm::append_range(rows, places.rest());
  return n.graph.reshape(n.graph.broadcastTo(places.values, wide), rows);
}

/// `at` is the dim of the count in all results.
static Done onRows(NodeContext &n, const Operator &op, int64_t at) {
  Shape dims = commonDims(n);
  std::optional<MaskedPlaces> first;
  SmallVector<std::pair<unsigned, Value>> rows;
  for (unsigned i = 0; i < n.count(); ++i)
    if (const MaskedPlaces *own = n.places(i)) {
      first = *own;
      rows.emplace_back(i, asRows(n, *own, dims));
    }
  for (auto [i, value] : rows)
    n.replace(i, {n.type(i), value, std::nullopt, nullptr});
  if (n.graph.hasFailed() || failed(op.import(n)))
    return failure();
  SmallVector<ImportedValue> results;
  for (unsigned i = 0; i < n.node.outputs.size(); ++i) {
    const ImportedValue *result = n.given(i);
    Value values = result ? result->tensor : Value();
    if (!values)
      return n.error() << "wants a tensor as output " << i;
    Shape shape = shapeOf(values);
    shape.erase(shape.begin() + at);
    shape.insert(shape.begin() + at, dims.begin(), dims.end());
    results.push_back(given(*first, result->type, n.graph.reshape(values, shape), at));
  }
  return n.results(results);
}

/// Rows times a matrix, with one row or none that is added to each.
static Done gemm(NodeContext &n, const Operator &op) {
  bool isRow = !n.has(2) || rankOf(n, 2) < 2 || n.shape(2)[0] == Dim(1);
  if (!isOnly(n, 0) || n.places(0)->at != 0 || n.integer("transA", 0) != 0 || !isRow)
    return std::nullopt;
  return onRows(n, op, 0);
}

static Done besides(NodeContext &n, const Operator &op, int64_t axis) {
  int64_t at = n.places(0)->at;
  return axis == at ? std::nullopt : onRows(n, op, at);
}

/// Softmax along, or a norm over dims from, an axis behind the count.
static Done normalise(NodeContext &n, const Operator &op) {
  const MaskedPlaces &x = *n.places(0);
  if (n.version < 13 || wrapped(n.integer("axis", -1), rankOf(n, 0)) <= x.at)
    return std::nullopt;
  for (unsigned i = 1; i < n.count(); ++i)
    if (n.has(i) && rankOf(n, i) > int64_t(x.rest().size()))
      return std::nullopt;
  return onRows(n, op, x.at);
}

//===----------------------------------------------------------------------------===//
// Dims moved, made and dropped
//===----------------------------------------------------------------------===//

/// `to[d]` is where dim d of the operand is found in the result, -1 where it was of size 1 and is dropped. Indices of
/// places stay that.
static Done moved(NodeContext &n, const Operator &op, ArrayRef<int64_t> to) {
  MaskedPlaces before = *n.places(0);
  if (to[before.at] < 0)
    return std::nullopt;
  Done done = onRows(n, op, to[before.at]);
  if (!done || failed(*done) || before.coordinates.empty())
    return done;
  MaskedPlaces after = *n.given(0)->places;
  after.coordinates = before.coordinates;
  after.along = before.along < 0 ? -1 : to[before.along];
  return n.results(ArrayRef(valueOf(n.given(0)->type, after)));
}

static Done transpose(NodeContext &n, const Operator &op) {
  int64_t rank = rankOf(n, 0);
  SmallVector<int64_t> to(rank);
  auto permutation = n.integers("perm");
  if (permutation && int64_t(permutation->size()) != rank)
    return std::nullopt;
  for (int64_t d = 0; d < rank; ++d)
    to[permutation ? wrapped((*permutation)[d], rank) : rank - 1 - d] = d;
  return moved(n, op, to);
}

static Done squeeze(NodeContext &n, const Operator &op) {
  auto axes = axesOf(n, 1, rankOf(n, 0));
  if (!axes)
    return std::nullopt;
  SmallVector<int64_t> to;
  for (int64_t d = 0, next = 0; d < rankOf(n, 0); ++d)
    to.push_back(llvm::is_contained(*axes, d) ? -1 : next++);
  return moved(n, op, to);
}

static Done unsqueeze(NodeContext &n, const Operator &op) {
  int64_t rank = rankOf(n, 0);
  auto given = n.isComputed(1) ? std::nullopt : n.axes(1);
  if (!given)
    return std::nullopt;
  SmallVector<int64_t> to;
  for (int64_t d = 0; int64_t(to.size()) < rank; ++d)
    if (!llvm::is_contained(*given, d) && !llvm::is_contained(*given, d - rank - int64_t(given->size())))
      to.push_back(d);
  return moved(n, op, to);
}

/// A reduction over other dims.
static Done reduce(NodeContext &n, const Operator &op) {
  auto axes = axesOf(n, 1, rankOf(n, 0));
  int64_t at = n.places(0)->at;
  if (!axes || axes->empty() || llvm::is_contained(*axes, at))
    return std::nullopt;
  bool isKept = n.integer("keepdims", 1) != 0;
  return onRows(n, op, isKept ? at : at - llvm::count_if(*axes, [&](int64_t axis) { return axis < at; }));
}

/// The count stays a dim with the same elements in front of it, or all becomes a list.
static Done reshape(NodeContext &n, const Operator &) {
  bool allowZero = n.integer("allowzero", 0) != 0;
  const MaskedPlaces before = *n.places(0);
  std::optional<Sizes> target = n.sizes(1);
  Shape from = before.shape();
  std::optional<Shape> to = target ? reshapedTo(n, from, target->elements, allowZero) : std::nullopt;
  if (!to)
    return n.graph.hasFailed() ? Done(failure()) : std::nullopt;
  MaskedPlaces after = before;
  Dim front = countOf(ArrayRef<Dim>(from).take_front(before.at)), all = countOf(from);
  for (size_t d = 0; d < to->size(); ++d) {
    ArrayRef<Dim> dims(*to);
    if (dims[d] != before.count || countOf(dims.take_front(d)) != front || countOf(dims) != all)
      continue;
    Shape shape(dims.take_front(d));
    llvm::append_range(shape, before.given());
    llvm::append_range(shape, dims.drop_front(d + 1));
    after.values = n.graph.reshape(before.values, shape);
    after.at = d;
    if (after.along >= 0)
      after.coordinates.clear();
    return after.values ? n.results(ArrayRef(valueOf(n.type(0), after))) : failure();
  }
  if (to->size() != 1 || before.at != 0 || to->front() != all)
    return std::nullopt;
  after.form = Form::List;
  return n.results(ArrayRef(valueOf(n.type(0), after)));
}

/// Whether expanding to a size leaves the count: it is the count, or must be the same number, or 1. `x[:1]` has 1 row,
/// but none where a mask along x has no places.
static bool leavesCount(NodeContext &n, const MaskedPlaces &places, const std::optional<Dim> &size) {
  if (!size || *size == Dim(1) || n.graph.isOfData(*size))
    return true;
  return llvm::any_of(places.masked(), [&](const Dim &dim) { return *size == n.graph.simplify(Dim::min(dim, 1)); });
}

static Done expand(NodeContext &n, const Operator &) {
  MaskedPlaces after = *n.places(0);
  auto target = n.eachSize(1);
  if (!target || n.graph.hasFailed())
    return n.graph.hasFailed() ? Done(failure()) : std::nullopt;
  int64_t extra = int64_t(target->size()) - rankOf(n, 0);
  if (!isOnly(n, 0) || extra > 0 || after.at + extra < 0)
    return std::nullopt;
  Shape from = shapeOf(after.values), wanted;
  for (auto [d, size] : llvm::enumerate(*target)) {
    bool isCount = int64_t(d) == after.at + extra;
    if (isCount ? !leavesCount(n, after, size) : !size || n.graph.isOfData(*size))
      return std::nullopt;
    if (isCount)
      llvm::append_range(wanted, after.given());
    else
      wanted.push_back(*size);
  }
  std::optional<Shape> shape = n.graph.broadcast(from, wanted);
  after.values = shape ? n.graph.broadcastTo(after.values, *shape) : Value();
  if (after.along >= 0)
    after.coordinates.clear();
  return after.values ? n.results(ArrayRef(valueOf(n.type(0), after))) : failure();
}

//===----------------------------------------------------------------------------===//
// Indices of places
//===----------------------------------------------------------------------===//

/// Some of the indices that stand along `axis`, for each result.
static Done pick(NodeContext &n, ArrayRef<SmallVector<int64_t>> parts) {
  const MaskedPlaces from = *n.places(0);
  SmallVector<ImportedValue> results;
  for (ArrayRef<int64_t> part : parts) {
    SmallVector<int64_t> chosen = llvm::map_to_vector(part, [&](int64_t k) { return from.coordinates[k]; });
    results.push_back(valueOf(ElementType::Int64, coordinatesOf(n, from, chosen, from.along)));
  }
  return n.results(results);
}

/// Whether an operator on dim `axis` picks indices of places.
static bool picks(NodeContext &n, int64_t axis) {
  const MaskedPlaces &places = *n.places(0);
  return places.along == axis && places.along >= 0 && rankOf(n, 0) == 2 && n.type(0) == ElementType::Int64;
}

/// Along the count, into parts of given sizes: these say how many places there are.
static Done splitPlaces(NodeContext &n, const Operator &op) {
  std::optional<SmallVector<int64_t>> sizes = n.integers("split");
  if (!sizes && n.has(1) && n.sizes(1))
    sizes = n.sizes(1)->constants();
  if (!sizes)
    return std::nullopt;
  Value all = atExactly(n, *n.places(0), std::accumulate(sizes->begin(), sizes->end(), int64_t(0)));
  if (!all)
    return failure();
  n.replace(0, {n.type(0), all, std::nullopt, nullptr});
  return op.import(n);
}

static Done split(NodeContext &n, const Operator &op) {
  int64_t axis = wrapped(n.integer("axis", 0), rankOf(n, 0));
  if (!isOnly(n, 0))
    return std::nullopt;
  if (axis == n.places(0)->at)
    return splitPlaces(n, op);
  size_t parts = n.node.outputs.size();
  if (!picks(n, axis) || parts != n.places(0)->coordinates.size())
    return besides(n, op, axis);
  std::optional<Sizes> sizes = n.sizes(1);
  if (n.hasAttribute("split") ||
      (sizes && llvm::any_of(sizes->elements, [](const Dim &size) { return size != Dim(1); })))
    return besides(n, op, axis);
  n.integer("num_outputs", parts);
  SmallVector<SmallVector<int64_t>> each;
  for (size_t k = 0; k < parts; ++k)
    each.push_back({int64_t(k)});
  return pick(n, each);
}

static Done slice(NodeContext &n, const Operator &op) {
  std::optional<Sizes> starts = n.sizes(1), ends = n.sizes(2);
  std::optional<SmallVector<int64_t>> axes = n.has(3) ? axesOf(n, 3, rankOf(n, 0)) : std::nullopt;
  if (!isOnly(n, 0) || !starts || !ends || !axes || llvm::is_contained(*axes, n.places(0)->at))
    return std::nullopt;
  std::optional<Sizes> steps = n.sizes(4);
  auto isConstant = [](const Dim &dim) { return dim.isConstant(); };
  if (axes->size() != 1 || !picks(n, axes->front()) || (steps && steps->elements[0] != Dim(1)) ||
      !llvm::all_of(starts->elements, isConstant) || !llvm::all_of(ends->elements, isConstant))
    return onRows(n, op, n.places(0)->at);
  auto range = sliceRange(n, starts->elements[0], ends->elements[0], 1, Dim(int64_t(n.places(0)->coordinates.size())));
  if (!range || *range->size.constant() == 0)
    return range ? std::nullopt : Done(failure());
  int64_t begin = *range->begin.constant();
  return pick(n, {llvm::to_vector(llvm::seq(begin, begin + *range->size.constant()))});
}

/// Along a dim other than the count; index tuples, put together from indices, stay that.
static Done concat(NodeContext &n, const Operator &op) {
  if (Done done = joinParts(n))
    return done;
  int64_t axis = wrapped(n.integer("axis", 0), rankOf(n, 0));
  SmallVector<int64_t> coordinates;
  bool areIndices = true;
  for (unsigned i = 0; i < n.count(); ++i) {
    const MaskedPlaces *own = n.places(i);
    if (!isGiven(own) || own->at != n.places(0)->at || axis == own->at || own->flags != n.places(0)->flags)
      return std::nullopt;
    areIndices &= rankOf(n, i) == 2 && n.shape(i)[axis] == Dim(int64_t(own->coordinates.size()));
    llvm::append_range(coordinates, own->coordinates);
  }
  if (areIndices)
    return n.results(
        ArrayRef(valueOf(ElementType::Int64, coordinatesOf(n, *n.places(0), coordinates, n.places(0)->at == 0))));
  return onRows(n, op, n.places(0)->at);
}

//===----------------------------------------------------------------------------===//
// What is read at places
//===----------------------------------------------------------------------===//

/// Data at indices of the place along dims from `axis` on, that are those of the mask: the data, its dims moved.
static Done readAt(NodeContext &n, int64_t axis, const MaskedPlaces &index) {
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape from = shapeOf(x), masked = index.masked(), dims(masked.size(), Dim(1));
  ArrayRef<int64_t> coordinates = index.coordinates;
  for (auto [k, d] : llvm::enumerate(coordinates)) {
    if (!Dim::isKnownEqual(from[axis + k], masked[d], n.graph.getBounds()).value_or(false))
      return std::nullopt;
    dims[d] = masked[d];
  }
  size_t rank = masked.size();
  Shape shape(ArrayRef<Dim>(from).take_front(axis));
  llvm::append_range(shape, dims);
  llvm::append_range(shape, ArrayRef<Dim>(from).drop_front(axis + coordinates.size()));
  Value values = n.graph.map(elementOf(x), shape, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> source(at.take_front(axis));
    for (int64_t d : coordinates)
      source.push_back(at[axis + d]);
    llvm::append_range(source, at.drop_front(axis + rank));
    return s.load(t[0], source);
  });
  return values ? n.results(ArrayRef(given(index, n.type(0), values, axis))) : failure();
}

/// Reads at indices that are data. Those where the mask is false are of no place: any one index will do.
static Done readRows(NodeContext &n, const Operator &op, int64_t at) {
  const MaskedPlaces index = *n.places(1);
  Shape flags(index.at, Dim(1)), wide = shapeOf(index.values), masked = index.masked();
  llvm::append_range(flags, masked);
  flags.append(index.rest().size(), Dim(1));
  std::copy(masked.begin(), masked.end(), wide.begin() + index.at);
  Value none = n.graph.splat(elementOf(index.values), 0);
  Value chosen = n.graph.where(n.graph.reshape(index.flags, flags), n.graph.broadcastTo(index.values, wide), none);
  MaskedPlaces safe = index;
  safe.values = chosen;
  if (!chosen)
    return failure();
  n.replace(1, valueOf(n.type(1), std::move(safe)));
  return onRows(n, op, at);
}

static Done gather(NodeContext &n, const Operator &op) {
  int64_t rank = rankOf(n, 0), axis = wrapped(n.integer("axis", 0), rank);
  if (axis < 0 || axis >= rank)
    return std::nullopt;
  if (isOnly(n, 1)) {
    const MaskedPlaces index = *n.places(1);
    if (index.coordinates.size() == 1 && index.along < 0 && rankOf(n, 1) == 1)
      if (Done done = readAt(n, axis, index))
        return done;
    return readRows(n, op, axis + index.at);
  }
  if (!isOnly(n, 0) || axis == n.places(0)->at)
    return std::nullopt;
  const MaskedPlaces from = *n.places(0);
  std::optional<Sizes> chosen = n.sizes(1);
  if (picks(n, axis) && chosen && chosen->dims.empty() && chosen->constants()) {
    int64_t count = from.coordinates.size(), k = wrapped((*chosen->constants())[0], count);
    if (k < 0 || k >= count)
      return std::nullopt;
    return n.results(ArrayRef(valueOf(ElementType::Int64, coordinatesOf(n, from, from.coordinates[k], /*along=*/-1))));
  }
  int64_t at = from.at;
  return onRows(n, op, at < axis ? at : at + rankOf(n, 1) - 1);
}

static Done gatherND(NodeContext &n, const Operator &op) {
  if (!isOnly(n, 1) || n.integer("batch_dims", 0) != 0 || n.places(1)->at + 1 >= rankOf(n, 1))
    return std::nullopt;
  const MaskedPlaces index = *n.places(1);
  bool areTuples = rankOf(n, 1) == 2 && index.rest()[0] == Dim(int64_t(index.coordinates.size()));
  if (areTuples && int64_t(index.coordinates.size()) <= rankOf(n, 0))
    if (Done done = readAt(n, 0, index))
      return done;
  return readRows(n, op, index.at);
}

//===----------------------------------------------------------------------------===//
// All
//===----------------------------------------------------------------------===//

Done onnx_importer::importForEachPlace(NodeContext &n, const Operator &op) {
  StringRef name = op.name, family = op.family;
  const MaskedPlaces *first = nullptr;
  for (unsigned i = 0; i < n.count(); ++i)
    if (const MaskedPlaces *own = n.places(i)) {
      if (own->form != Form::AtPlaces || (first && own->flags != first->flags && name != "Concat"))
        return std::nullopt;
      first = own;
    }
  if (!first || StringRef(op.domain) != "")
    return std::nullopt;
  if (family == "Arithmetic" || family == "Functions" || family == "Logic" || name == "Identity")
    return elementwise(n, op);
  if (name == "Concat")
    return concat(n, op);
  if (name == "Gather")
    return gather(n, op);
  if (name == "GatherND")
    return gatherND(n, op);
  if (!isOnly(n, 0))
    return std::nullopt;
  if (name.starts_with("Reduce"))
    return reduce(n, op);
  using Import = Done (*)(NodeContext &, const Operator &);
  auto import = llvm::StringSwitch<Import>(name)
                    .Case("MatMul", timesMatrix)
                    .Case("Gemm", gemm)
                    .Case("Transpose", transpose)
                    .Case("Squeeze", squeeze)
                    .Case("Unsqueeze", unsqueeze)
                    .Case("Reshape", reshape)
                    .Case("Expand", expand)
                    .Case("Split", split)
                    .Case("Slice", slice)
                    .Cases({"Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization"}, normalise)
                    .Default(nullptr);
  return import ? import(n, op) : std::nullopt;
}
