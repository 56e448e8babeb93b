//===- MicrosoftImages.cpp - convolutions and norms of images of com.microsoft ---------===//
//
// Some keep the channels of an image last; what computes them is what computes ONNX's, between two transposes that the
// compiler takes into its choice of where channels stand.
//
#include "frontends/onnx/importer/Activation.h"
#include "frontends/onnx/importer/Microsoft.h"
#include "frontends/onnx/importer/Window.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

Value microsoft::channelsSecond(NodeContext &n, Value x) {
  if (!x || shapeOf(x).size() < 3)
    return x;
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, shapeOf(x).size()));
  std::rotate(order.begin() + 1, order.end() - 1, order.end());
  return x.getDefiningOp<GetOp>() ? n.graph.transposedWeight(x, order) : n.graph.transpose(x, order);
}

Value microsoft::channelsLast(NodeContext &n, Value x) {
  if (!x || shapeOf(x).size() < 3)
    return x;
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, shapeOf(x).size()));
  std::rotate(order.begin() + 1, order.begin() + 2, order.end());
  return n.graph.transpose(x, order);
}

//===----------------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------------===//

/// x, filters, bias and what is added before the activation.
LogicalResult microsoft::importFusedConv(NodeContext &n) {
  std::string name = n.text("activation", "");
  const auto *given = n.find("activation_params");
  const auto *parameters = given ? std::get_if<std::vector<float>>(&given->value) : nullptr;
  const Activation *known = findActivation(name);
  if (!known || (parameters && parameters->size() > known->parameters.size()))
    return n.error() << "attribute 'activation': wanted the name of an activation and its parameters, found "
                     << quote(name) << " and " << (parameters ? parameters->size() : 0);
  Activation activation = *known;
  if (parameters)
    for (auto [parameter, value] : llvm::zip_first(*parameters, activation.parameters))
      value.value = parameter;
  Value y = convolve(n, n.tensor(0), n.tensor(1), n.optional(2));
  return n.result(activation.of(n.graph, n.has(3) ? n.graph.add(y, n.tensor(3)) : y));
}

/// Filters are [filters, extents..., channels].
LogicalResult microsoft::importNhwcConv(NodeContext &n) {
  Value x = channelsSecond(n, n.tensor(0)), filters = channelsSecond(n, n.tensor(1));
  return n.result(channelsLast(n, convolve(n, x, filters, n.optional(2))));
}

LogicalResult microsoft::importNhwcMaxPool(NodeContext &n) {
  ElementType type = n.type(0);
  return n.result(channelsLast(n, maxPool(n, channelsSecond(n, n.tensor(0)), type)), type);
}

//===----------------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------------===//

/// Of x, whose channels stand where 'channels_last' says.
static Value groupNorm(NodeContext &n, Value x) {
  int64_t groups = n.integer("groups", 0), activation = n.integer("activation", 0);
  double epsilon = n.real("epsilon", 1e-5f);
  bool areLast = n.integer("channels_last", 1) != 0;
  if (!x)
    return {};
  if (groups < 1 || (activation != 0 && activation != 1) || shapeOf(x).size() < 3)
    return n.error() << "wants positive groups, activation 0 or 1, and rank at least 3, found " << groups << ", "
                     << activation << " and " << toString(shapeOf(x)),
           Value();
  Value y = n.graph.norm(NormKind::Group, areLast ? microsoft::channelsSecond(n, x) : x, n.tensor(1), n.tensor(2),
                         groups, epsilon);
  y = areLast ? microsoft::channelsLast(n, y) : y;
  return y && activation == 1 ? n.graph.silu(y) : y;
}

LogicalResult microsoft::importGroupNorm(NodeContext &n) { return n.result(groupNorm(n, n.tensor(0))); }

/// Of the sum of x, what skips it (an image, or one number for each channel) and a bias; and the sum.
LogicalResult microsoft::importSkipGroupNorm(NodeContext &n) {
  bool areLast = n.integer("channels_last", 1) != 0;
  Value x = n.tensor(0), skip = n.tensor(3), bias = n.optional(4);
  if (!x || !skip)
    return failure();
  auto spread = [&](Value perChannel, Dim batch) { // To the dims of x.
    Shape shape(shapeOf(x).size(), Dim(1));
    shape.front() = batch;
    shape[areLast ? shape.size() - 1 : 1] = shapeOf(perChannel).back();
    return n.graph.reshape(perChannel, shape);
  };
  Value sum = n.graph.add(x, shapeOf(skip).size() == 2 ? spread(skip, shapeOf(skip)[0]) : skip);
  if (bias)
    sum = n.graph.add(sum, spread(bias, Dim(1)));
  SmallVector<Value> results{groupNorm(n, sum)};
  if (n.node.outputs.size() > 1)
    results.push_back(sum);
  return n.results(results);
}
