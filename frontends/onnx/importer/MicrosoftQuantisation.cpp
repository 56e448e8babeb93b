//===- MicrosoftQuantisation.cpp - operators of com.microsoft on scaled integers --------===//
//
// Those that take and give quantised tensors (`QLinear...`) compute in float32 between dequantising and quantising.
// Products are of integers, in int32, and scaled afterwards.
//
#include "frontends/onnx/importer/Activation.h"
#include "frontends/onnx/importer/Microsoft.h"
#include "frontends/onnx/importer/Quantisation.h"
#include "frontends/onnx/importer/Window.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

LogicalResult microsoft::importQuantizeLinear(NodeContext &n) { return onnx_importer::importQuantizeLinear(n); }
LogicalResult microsoft::importDequantizeLinear(NodeContext &n) { return onnx_importer::importDequantizeLinear(n); }

//===----------------------------------------------------------------------------===//
// Element by element, and over rows
//===----------------------------------------------------------------------------===//

/// Of x, its scale and zero point, then those of the result.
static LogicalResult unary(NodeContext &n, llvm::function_ref<Value(Value)> function) {
  Value x = dequantised(n, 0, 1, 2);
  return x ? quantisedResult(n, function(x), 3, 4, n.type(0)) : failure();
}

LogicalResult microsoft::importQLinearSigmoid(NodeContext &n) {
  return unary(n, [&](Value x) { return n.graph.sigmoid(x); });
}

LogicalResult microsoft::importQLinearLeakyRelu(NodeContext &n) {
  Activation activation = *findActivation("LeakyRelu");
  activation.parameters[0].value = n.real("alpha", activation.parameters[0].value);
  return unary(n, [&](Value x) { return activation.of(n.graph, x); });
}

LogicalResult microsoft::importQLinearSoftmax(NodeContext &n) {
  int64_t version = n.integer("opset", 13), axis = n.integer("axis", version < 13 ? 1 : -1);
  return unary(n, [&](Value x) {
    Shape shape = shapeOf(x);
    std::optional<int64_t> from = n.graph.axis(axis, shape.size());
    if (!from || version >= 13)
      return n.graph.softmax(x, axis);
    // Once over all dims from the axis on.
    auto dims = ArrayRef<Dim>(shape);
    Value rows = n.graph.reshape(x, {countOf(dims.take_front(*from)), countOf(dims.drop_front(*from))});
    return n.graph.reshape(n.graph.softmax(rows, 1), shape);
  });
}

LogicalResult microsoft::importQLinearGlobalAveragePool(NodeContext &n) {
  int64_t first = n.integer("channels_last", 0) != 0 ? 1 : 2;
  return unary(n, [&](Value x) {
    int64_t rank = shapeOf(x).size();
    return n.graph.mean(x, llvm::to_vector(llvm::seq<int64_t>(first, first == 1 ? rank - 1 : rank)), true);
  });
}

LogicalResult microsoft::importQLinearAveragePool(NodeContext &n) {
  bool areLast = n.integer("channels_last", 0) != 0;
  return unary(
      n, [&](Value x) { return areLast ? channelsLast(n, averagePool(n, channelsSecond(n, x))) : averagePool(n, x); });
}

/// Of a and b, each with its scale and zero point, then those of the result.
static LogicalResult binary(NodeContext &n, Value (GraphBuilder::*function)(Value, Value)) {
  Value a = dequantised(n, 0, 1, 2), b = dequantised(n, 3, 4, 5);
  return a && b ? quantisedResult(n, (n.graph.*function)(a, b), 6, 7, n.type(0)) : failure();
}

LogicalResult microsoft::importQLinearAdd(NodeContext &n) { return binary(n, &GraphBuilder::add); }
LogicalResult microsoft::importQLinearMul(NodeContext &n) { return binary(n, &GraphBuilder::mul); }

/// The condition, a and b with their scales and zero points, then those of the result.
LogicalResult microsoft::importQLinearWhere(NodeContext &n) {
  Value condition = n.tensor(0), a = dequantised(n, 1, 2, 3), b = dequantised(n, 4, 5, 6);
  return condition && a && b ? quantisedResult(n, n.graph.where(condition, a, b), 7, 8, n.type(1)) : failure();
}

/// Scale and zero point of the result, then each part with its own.
LogicalResult microsoft::importQLinearConcat(NodeContext &n) {
  int64_t axis = n.integer("axis", 0);
  SmallVector<Value> parts;
  for (unsigned i = 2; i < n.count(); i += 3)
    parts.push_back(dequantised(n, i, i + 1, i + 2));
  if (n.graph.hasFailed() || parts.empty())
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants at least one part, found none");
  return quantisedResult(n, n.graph.concat(parts, axis), 0, 1, n.type(2));
}

//===----------------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------------===//

/// a, b, their scales, their zero points, bias.
LogicalResult microsoft::importMatMulIntegerToFloat(NodeContext &n) {
  Value y = scaledProduct(n, Quantised::operand(n, 0, 4), Quantised::operand(n, 1, 5), n.tensor(2), n.tensor(3));
  return n.result(n.has(6) ? n.graph.add(y, n.tensor(6)) : y, ElementType::Float32);
}

/// a of floats, b with its scale and zero point, bias.
LogicalResult microsoft::importDynamicQuantizeMatMul(NodeContext &n) {
  auto [a, scale] = DynamicallyQuantised::of(n, n.tensor(0));
  Value y = scaledProduct(n, a, Quantised::operand(n, 1, 3), scale, n.tensor(2));
  return n.result(n.has(4) ? n.graph.add(y, n.tensor(4)) : y);
}

/// a and b, each with scale and zero point, c in the integers of the product, and perhaps what the result is scaled by.
LogicalResult microsoft::importQGemm(NodeContext &n) {
  double alpha = n.real("alpha", 1);
  bool transposeA = n.integer("transA", 0) != 0, transposeB = n.integer("transB", 0) != 0;
  Value a = Quantised::operand(n, 0, 2).centred(n, transposeA ? 1 : 2);
  Value b = Quantised::operand(n, 3, 5).centred(n, transposeB ? 2 : 1);
  std::string spec = std::string(transposeA ? "k m" : "m k") + ", " + (transposeB ? "n k" : "k n") + " -> m n";
  if (!a || !b)
    return failure();
  if (shapeOf(a).size() != 2 || shapeOf(b).size() != 2)
    return n.error() << "wants two matrices, found " << toString(shapeOf(a)) << " and " << toString(shapeOf(b));
  Value sums = n.graph.contract(spec, a, b);
  if (n.has(6))
    sums = n.graph.add(sums, n.tensor(6));
  if (n.has(7))
    return requantise(n, sums, 1, 4, 7, 8, 1, alpha);
  Value y = scaled(n, sums, n.tensor(1), n.tensor(4));
  return n.result(n.graph.scale(y, alpha), ElementType::Float32);
}

/// As ONNX's own, but for where the channels of x and of the result stand; those of the filters are second.
LogicalResult microsoft::importQLinearConv(NodeContext &n) {
  if (n.integer("channels_last", 0) == 0)
    return onnx_importer::importQLinearConv(n);
  Value x = Quantised::operand(n, 0, 2).centred(n, 1);
  Value filters = Quantised::operand(n, 3, 5).centred(n, n.has(3) ? n.shape(3).size() : 0);
  Value sums = channelsLast(n, convolve(n, channelsSecond(n, x), filters, n.optional(8)));
  return requantise(n, sums, 1, 4, 6, 7, sums ? int64_t(shapeOf(sums).size()) - 1 : 0);
}
