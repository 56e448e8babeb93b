//===- Indexing.cpp - ONNX operators that read at indices which are data --------------===//
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
                                Value hot = n.graph.wrappedIndex(s, s.load(t[0], place), size);
                                Value isHot = s.compare(Comparison::Equal, at[*axis], hot);
                                return s.select(isHot, s.load(t[1], s.index(1)), s.load(t[1], s.index(0)));
                              }),
                  type);
}
