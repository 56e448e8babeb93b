//===- FlexAttention.cpp - ONNX's attention whose score is a graph ----------------------===//
#include "frontends/onnx/importer/Subgraph.h"

#include <cmath>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

/// What the graph of that name makes of `x`, or `x` where there is none.
static Value modified(NodeContext &n, StringRef name, Value x) {
  if (!x || !n.hasAttribute(name))
    return x;
  const onnx_reader::Graph *graph = graphAttribute(n, name);
  if (!graph)
    return {};
  ElementType type = elementOf(x).isF64() ? ElementType::Float64 : ElementType::Float32;
  std::optional<SmallVector<ImportedValue>> results = n.runGraph(*graph, {{type, x, std::nullopt, nullptr}}, name);
  Value y = results && results->size() == 1 ? n.materialise(results->front()) : Value();
  if (!y || y.getType() == x.getType())
    return y;
  n.error() << name << ": wanted one tensor of " << x.getType() << ", found " << y.getType();
  return {};
}

/// As contractions and a softmax, whatever the graphs put between them: RaiseAttention makes them regions. Query heads are
/// members of the group that shares a key head.
LogicalResult onnx_importer::importFlexAttention(NodeContext &n) {
  Value q = n.tensor(0), k = n.tensor(1), v = n.tensor(2);
  if (!q || !k || !v)
    return failure();
  for (Value operand : {q, k, v})
    if (shapeOf(operand).size() != 4)
      return n.error() << "wants operands of rank 4, found " << toString(shapeOf(operand));
  n.integer("softmax_precision", 1); // float32 or better, whatever is asked.
  Shape shape = shapeOf(q), keys = shapeOf(k), values = shapeOf(v);
  std::optional<Dim> group = shape[1].exactDiv(keys[1]);
  if (!group)
    return n.error() << "wants the query heads to be a multiple of the key heads, found " << shape[1].str() << " on "
                     << keys[1].str();
  std::optional<int64_t> depth = shape[3].constant();
  if (!depth && !n.hasAttribute("scale"))
    return n.error() << "wants a known depth, found " << shape[3].str();
  double scale = n.real("scale", depth ? 1 / std::sqrt(double(*depth)) : 1);
  Type narrow = elementOf(q), wide = narrow.isF64() ? narrow : Type(Float32Type::get(narrow.getContext()));
  Value grouped = n.graph.reshape(n.graph.cast(q, wide), {shape[0], keys[1], *group, shape[2], shape[3]});
  Value product = n.graph.contract("b g r i d, b g j d -> b g r i j", grouped, n.graph.cast(k, wide));
  if (!product)
    return failure();
  Shape square{shape[0], shape[1], shape[2], keys[2]};
  Value scores = n.graph.elementwise(wide, n.graph.reshape(product, square), [&](ScalarBuilder &s, ArrayRef<Value> x) {
    return s.mul(x[0], s.number(wide, scale));
  });
  scores = modified(n, "score_mod", scores);
  Value weights = scores ? modified(n, "prob_mod", n.graph.softmax(scores, 3)) : Value();
  if (!weights)
    return failure();
  weights = n.graph.reshape(weights, {shape[0], keys[1], *group, shape[2], keys[2]});
  Value y = n.graph.contract("b g r i j, b g j d -> b g r i d", weights, n.graph.cast(v, wide));
  return y ? n.result(n.graph.cast(n.graph.reshape(y, {shape[0], shape[1], shape[2], values[3]}), narrow)) : failure();
}
