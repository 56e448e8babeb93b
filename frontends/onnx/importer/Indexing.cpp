//===- Indexing.cpp - ONNX operators that read at indices which are data --------------===//
#include "frontends/builder/CountedPositions.h"
#include "frontends/onnx/importer/MaskedPlaces.h"
#include "frontends/onnx/importer/NodeContext.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

LogicalResult onnx_importer::importGather(NodeContext &n) {
  int64_t axis = n.integer("axis", 0);
  return n.result(n.graph.gather(n.tensor(0), n.tensor(1), axis));
}

LogicalResult onnx_importer::importGatherND(NodeContext &n) {
  int64_t batch = n.integer("batch_dims", 0);
  Value x = n.tensor(0), indices = n.tensor(1);
  if (!x || !indices)
    return failure();
  Shape from = shapeOf(x), picks = shapeOf(indices);
  int64_t tuple = picks.empty() || !picks.back().isConstant() ? -1 : *picks.back().constant();
  if (tuple < 1 || batch < 0 || batch >= int64_t(picks.size()) || batch + tuple > int64_t(from.size()))
    return n.error() << "wants index tuples of a constant length from 1 to the rank, found " << toString(picks)
                     << " for " << toString(from) << " with " << batch << " batch dimensions";
  Shape shape(ArrayRef<Dim>(picks).drop_back());
  llvm::append_range(shape, ArrayRef<Dim>(from).drop_front(batch + tuple));
  size_t outer = picks.size() - 1;
  if (tuple == 1 && !wantPositionsWithin(n.graph, indices, from[batch]))
    return failure();
  return n.result(n.graph.map(elementOf(x), shape, {x, indices}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> source(at.take_front(batch)), place(at.take_front(outer));
    place.push_back({});
    for (int64_t k = 0; k < tuple; ++k) {
      place.back() = s.index(k);
      source.push_back(n.graph.wrappedIndex(s, s.load(t[1], place), from[batch + k]));
    }
    llvm::append_range(source, at.drop_front(outer));
    return s.load(t[0], source);
  }));
}

LogicalResult onnx_importer::importGatherElements(NodeContext &n) {
  int64_t along = n.integer("axis", 0);
  Value x = n.tensor(0), indices = n.tensor(1);
  std::optional<int64_t> axis = x && indices ? n.graph.axis(along, shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return failure();
  Shape from = shapeOf(x), shape = shapeOf(indices);
  if (from.size() != shape.size())
    return n.error() << "wants indices of the operand's rank, found " << toString(shape) << " for " << toString(from);
  if (!wantPositionsWithin(n.graph, indices, from[*axis]))
    return failure();
  return n.result(n.graph.map(elementOf(x), shape, {x, indices}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> source(at);
    source[*axis] = n.graph.wrappedIndex(s, s.load(t[1], at), from[*axis]);
    return s.load(t[0], source);
  }));
}

/// The depth of OneHot: a size, or a number of any type.
static std::optional<Dim> depthOf(NodeContext &n) {
  if (n.has(1) && isFloat(n.type(1))) {
    Value depth = n.tensor(1);
    if (auto real = depth ? dyn_cast_or_null<FloatAttr>(GraphBuilder::splatElement(depth)) : FloatAttr())
      return Dim(static_cast<int64_t>(real.getValueAsDouble()));
  }
  if (n.isComputed(1) || (n.has(1) && isFloat(n.type(1)))) { // The file says the dim.
    std::optional<Shape> shape = n.wantDeclared(1, "depth");
    std::optional<int64_t> axis = shape ? n.graph.axis(n.integer("axis", -1), shape->size()) : std::nullopt;
    return axis ? std::optional((*shape)[*axis]) : std::nullopt;
  }
  std::optional<Sizes> depth = n.wantSizes(1, "depth");
  return depth ? std::optional(depth->elements[0]) : std::nullopt;
}

LogicalResult onnx_importer::importOneHot(NodeContext &n) {
  int64_t along = n.integer("axis", -1);
  Value indices = n.tensor(0), values = n.tensor(2);
  std::optional<Dim> depth = depthOf(n);
  std::optional<int64_t> axis =
      indices && values && depth ? n.graph.axis(along, shapeOf(indices).size() + 1) : std::nullopt;
  if (!axis)
    return failure();
  Dim size = *depth;
  Shape shape = shapeOf(indices);
  shape.insert(shape.begin() + *axis, size);
  ElementType type = n.type(2);
  return n.result(n.graph.map(elementOf(values), shape, {indices, values},
                              [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                SmallVector<Value> place(at);
                                place.erase(place.begin() + *axis);
                                Value hot = s.load(t[0], place);
                                if (isa<FloatType>(hot.getType()))
                                  hot = s.cast(hot, s.builder.getI64Type());
                                hot = n.graph.wrappedIndex(s, hot, size);
                                Value isHot = s.compare(Comparison::Equal, at[*axis], hot);
                                return s.select(isHot, s.load(t[1], s.index(1)), s.load(t[1], s.index(0)));
                              }),
                  type);
}

//===----------------------------------------------------------------------------===//
// Scattering
//===----------------------------------------------------------------------------===//

/// The attribute `reduction`: none for assignment. False after an error.
static bool reductionKind(NodeContext &n, std::optional<ReduceKind> &kind) {
  std::string name = n.text("reduction", "none");
  if (name == "add")
    kind = ReduceKind::Sum;
  else if (name == "mul")
    kind = ReduceKind::Product;
  else if (name == "max")
    kind = ReduceKind::Max;
  else if (name == "min")
    kind = ReduceKind::Min;
  else if (name != "none")
    return n.error() << "attribute 'reduction': wanted none, add, mul, max or min, found " << quote(name), false;
  return true;
}

/// Largest and smallest compare signed numbers: unsigned ones in a wider type.
static LogicalResult scatter(NodeContext &n, Value data, Value places, Value updates, std::optional<ReduceKind> kind) {
  bool isExtreme = kind == ReduceKind::Max || kind == ReduceKind::Min;
  if (!data || !updates)
    return failure();
  Type element = elementOf(data);
  if (isExtreme && n.sign(0) == Sign::Unsigned && element.getIntOrFloatBitWidth() < 64) {
    data = n.graph.cast(data, n.graph.i64(), Sign::Unsigned);
    updates = n.graph.cast(updates, n.graph.i64(), Sign::Unsigned);
  }
  return n.result(n.graph.cast(n.graph.scatter(updates, data, places, kind), element), n.type(0));
}

LogicalResult onnx_importer::importScatterND(NodeContext &n) {
  if (auto done = scatterMasked(n))
    return *done;
  std::optional<ReduceKind> kind;
  if (!reductionKind(n, kind))
    return failure();
  if (auto done = scatterEachMasked(n, kind, /*areTuples=*/true))
    return *done;
  Value data = n.tensor(0), indices = n.tensor(1), updates = n.tensor(2);
  if (!data || !indices || !updates)
    return failure();
  Shape from = shapeOf(data), picks = shapeOf(indices);
  int64_t tuple = picks.empty() || !picks.back().isConstant() ? -1 : *picks.back().constant();
  if (tuple < 1 || tuple > int64_t(from.size()))
    return n.error() << "wants index tuples of a constant length from 1 to the rank, found " << toString(picks)
                     << " for " << toString(from);
  Dim count = countOf(ArrayRef<Dim>(picks).drop_back());
  Shape slices{count};
  llvm::append_range(slices, ArrayRef<Dim>(from).drop_front(tuple));
  return scatter(n, data, n.graph.reshape(indices, {count, Dim(tuple)}), n.graph.reshape(updates, slices), kind);
}

LogicalResult onnx_importer::importScatterElements(NodeContext &n) {
  std::optional<ReduceKind> kind;
  int64_t along = n.integer("axis", 0);
  if (!reductionKind(n, kind))
    return failure();
  if (along == 0)
    if (auto done = scatterEachMasked(n, kind, /*areTuples=*/false))
      return *done;
  Value data = n.tensor(0), indices = n.tensor(1), updates = n.tensor(2);
  if (!data || !indices || !updates)
    return failure();
  Shape from = shapeOf(data), shape = shapeOf(indices);
  std::optional<int64_t> axis = n.graph.axis(along, from.size());
  if (!axis)
    return failure();
  if (from.size() != shape.size())
    return n.error() << "wants indices of the operand's rank, found " << toString(shape) << " for " << toString(from);
  // The place of each element: its own position, along the axis the index.
  int64_t rank = from.size();
  Shape tuples = shape;
  tuples.push_back(Dim(rank));
  Value places = n.graph.map(n.graph.i64(), tuples, indices, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value place = n.graph.wrappedIndex(s, s.load(t[0], at.drop_back()), from[*axis]);
    for (int64_t d = 0; d < rank; ++d)
      if (d != *axis)
        place = s.select(s.compare(Comparison::Equal, at.back(), s.index(d)), at[d], place);
    return s.cast(place, n.graph.i64());
  });
  Dim count = countOf(shape);
  return scatter(n, data, n.graph.reshape(places, {count, Dim(rank)}), n.graph.reshape(updates, {count}), kind);
}

LogicalResult onnx_importer::importScatter(NodeContext &n) { return importScatterElements(n); }

LogicalResult onnx_importer::importTensorScatter(NodeContext &n) {
  int64_t along = n.integer("axis", -2);
  std::string mode = n.text("mode", "linear");
  Value past = n.tensor(0), update = n.tensor(1), begins = n.optional(2);
  std::optional<int64_t> axis = past && update ? n.graph.axis(along, shapeOf(past).size()) : std::nullopt;
  if (!axis)
    return failure();
  if (*axis == 0 || (mode != "linear" && mode != "circular"))
    return n.error() << "wants an axis behind the batch and mode linear or circular, found " << *axis << " and "
                     << quote(mode);
  Shape shape = shapeOf(past), added = shapeOf(update);
  SmallVector<Value> inputs{past, update};
  if (begins)
    inputs.push_back(begins);
  // Position p of the cache is element p - begin of the update, if it has one.
  return n.result(n.graph.map(elementOf(past), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value begin = begins ? s.cast(s.load(t[2], at[0]), s.builder.getIndexType()) : s.index(0);
    Value from = s.sub(at[*axis], begin);
    if (mode == "circular")
      from = s.mod(from, s.size(shape[*axis]));
    Value isNew = s.bitAnd(s.compare(Comparison::GreaterEqual, from, s.index(0)),
                           s.compare(Comparison::Less, from, s.size(added[*axis])));
    SmallVector<Value> source(at);
    source[*axis] = s.select(isNew, from, s.index(0));
    return s.select(isNew, s.load(t[1], source), s.load(t[0], at));
  }));
}
