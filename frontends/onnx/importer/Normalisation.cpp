//===- Normalisation.cpp - ONNX's normalisations ---------------------------------------===//
#include "frontends/onnx/importer/Normalisation.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

LogicalResult onnx_importer::importSoftmax(NodeContext &n) {
  int64_t axis = n.integer("axis", -1);
  return n.result(n.graph.softmax(n.tensor(0), axis));
}

LogicalResult onnx_importer::importLogSoftmax(NodeContext &n) {
  int64_t axis = n.integer("axis", -1);
  Value x = n.tensor(0);
  Value shifted = n.graph.sub(x, n.graph.reduce(ReduceKind::Max, x, axis, true));
  Value sum = n.graph.reduce(ReduceKind::Sum, n.graph.exp(shifted), axis, true);
  return n.result(n.graph.sub(shifted, n.graph.log(sum)));
}

/// A parameter in the shape of the last `over` dims, into which ONNX broadcasts it.
static Value parameter(NodeContext &n, unsigned i, ArrayRef<Dim> dims) {
  Value value = n.optional(i);
  if (!value)
    return {};
  Shape shape = shapeOf(value);
  while (shape.size() > dims.size() && shape.front() == Dim(1))
    shape.erase(shape.begin());
  std::optional<Shape> common = n.graph.broadcast(shape, dims);
  if (!common)
    return {};
  if (ArrayRef<Dim>(*common) != dims) {
    n.error() << "input " << i << ": wanted a shape that broadcasts to " << toString(dims) << ", found "
              << toString(shape);
    return {};
  }
  return n.graph.broadcastTo(n.graph.reshape(value, shape), dims);
}

std::pair<Value, Value> onnx_importer::statistics(NodeContext &n, NormKind kind, Value x, int64_t axis,
                                                  double epsilon) {
  if (!x)
    return {};
  SmallVector<int64_t> over = llvm::to_vector(llvm::seq<int64_t>(axis, shapeOf(x).size()));
  Value wide = elementOf(x).isF64() ? x : n.graph.cast(x, n.graph.f32());
  Value mean = n.graph.mean(wide, over, true), centred = kind == NormKind::Layer ? n.graph.sub(wide, mean) : wide;
  Value square = n.graph.mean(n.graph.mul(centred, centred), over, true);
  if (!square)
    return {};
  Value inverse = n.graph.elementwise(elementOf(square), square, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.reciprocal(s.sqrt(s.add(v[0], s.number(v[0].getType(), epsilon))));
  });
  return {mean, inverse};
}

static LogicalResult normaliseLast(NodeContext &n, NormKind kind) {
  int64_t from = n.integer("axis", -1);
  double epsilon = n.real("epsilon", 1e-5f);
  int64_t stash = n.integer("stash_type", 1);
  Value x = n.tensor(0);
  std::optional<int64_t> axis = x ? n.graph.axis(from, shapeOf(x).size()) : std::nullopt;
  if (!axis)
    return failure();
  if (stash != 1 && stash != int64_t(n.type(0)))
    return n.error() << "attribute 'stash_type': wanted 1 (float32), found " << stash;
  Shape shape = shapeOf(x);
  auto last = ArrayRef<Dim>(shape).drop_front(*axis);
  Value scale = parameter(n, 1, last), shift = parameter(n, 2, last);
  Value result = n.graph.norm(kind, x, scale, shift, last.size(), epsilon);
  if (n.node.outputs.size() < 2 || kind != NormKind::Layer)
    return n.result(result);
  auto [mean, inverse] = statistics(n, kind, x, *axis, epsilon);
  return n.results({result, mean, inverse});
}

LogicalResult onnx_importer::importLayerNormalization(NodeContext &n) { return normaliseLast(n, NormKind::Layer); }
LogicalResult onnx_importer::importSimplifiedLayerNormalization(NodeContext &n) {
  return normaliseLast(n, NormKind::RMS);
}
LogicalResult onnx_importer::importRMSNormalization(NodeContext &n) { return normaliseLast(n, NormKind::RMS); }

LogicalResult onnx_importer::importGroupNormalization(NodeContext &n) {
  int64_t groups = n.integer("num_groups", 0);
  double epsilon = n.real("epsilon", 1e-5f);
  n.integer("stash_type", 1);
  Value x = n.tensor(0);
  if (!x)
    return failure();
  if (groups < 1 || shapeOf(x).size() < 2)
    return n.error() << "wants a positive num_groups and rank at least 2, found " << groups << " and "
                     << toString(shapeOf(x));
  return n.result(n.graph.norm(NormKind::Group, x, n.tensor(1), n.tensor(2), groups, epsilon));
}

LogicalResult onnx_importer::importInstanceNormalization(NodeContext &n) {
  double epsilon = n.real("epsilon", 1e-5f);
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape shape = shapeOf(x);
  if (shape.size() < 2 || !shape[1].isConstant())
    return n.error() << "wants a known number of channels, found " << toString(shape);
  // A group for each channel.
  return n.result(n.graph.norm(NormKind::Group, x, n.tensor(1), n.tensor(2), *shape[1].constant(), epsilon));
}

namespace {
struct Statistics {
  Value mean, variance; ///< One of each per channel.

  /// Those of the batch itself, over all but the channels.
  static Statistics of(NodeContext &n, Value x) {
    Dim channels = shapeOf(x)[1];
    SmallVector<int64_t> over{0};
    for (int64_t d = 2; d < int64_t(shapeOf(x).size()); ++d)
      over.push_back(d);
    Value mean = n.graph.mean(x, over, true), centred = n.graph.sub(x, mean);
    Value variance = n.graph.mean(n.graph.mul(centred, centred), over, true);
    return {n.graph.reshape(mean, channels), n.graph.reshape(variance, channels)};
  }

  /// What is kept for later batches: mostly the old, and a little of this one.
  static Value running(NodeContext &n, Value old, Value batch, double momentum) {
    return n.graph.add(n.graph.scale(old, momentum), n.graph.scale(n.graph.cast(batch, elementOf(old)), 1 - momentum));
  }
};
} // namespace

LogicalResult onnx_importer::importBatchNormalization(NodeContext &n) {
  double epsilon = n.real("epsilon", 1e-5f), momentum = n.real("momentum", 0.9f);
  bool isOfBatch = n.integer("training_mode", 0) != 0;
  Value x = n.tensor(0), scale = n.tensor(1), shift = n.tensor(2);
  Statistics given{n.tensor(3), n.tensor(4)};
  if (!x || !scale || !shift || !given.mean || !given.variance)
    return failure();
  Shape shape = shapeOf(x);
  if (shape.size() < 2)
    return n.error() << "wants a tensor of rank at least 2, found " << toString(shape);
  for (unsigned i = 1; i < 5; ++i)
    if (!n.graph.wantEqual(shape[1], countOf(n.shape(i)), "channels of input " + Twine(i)))
      return failure();
  Statistics used = isOfBatch ? Statistics::of(n, x) : given;
  if (n.graph.hasFailed())
    return failure();
  auto body = [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    auto channel = [&](unsigned i) { return s.load(t[i], at[1]); };
    Value root = s.sqrt(s.add(channel(4), s.number(elementOf(x), epsilon)));
    return s.add(s.mul(s.div(s.sub(s.load(t[0], at), channel(3)), root), channel(1)), channel(2));
  };
  SmallVector<Value> results{n.graph.map(elementOf(x), shape, {x, scale, shift, used.mean, used.variance}, body)};
  if (isOfBatch && n.node.outputs.size() > 1)
    for (auto [old, batch] : {std::pair(given.mean, used.mean), {given.variance, used.variance}})
      results.push_back(Statistics::running(n, old, batch, momentum));
  return n.results(results);
}

LogicalResult onnx_importer::importLpNormalization(NodeContext &n) {
  int64_t axis = n.integer("axis", -1), p = n.integer("p", 2);
  Value x = n.tensor(0);
  if (!x)
    return failure();
  if (p != 1 && p != 2)
    return n.error() << "attribute 'p': wanted 1 or 2, found " << p;
  Value terms = p == 1 ? n.graph.apply(&ScalarBuilder::abs, x) : n.graph.mul(x, x);
  Value length = n.graph.reduce(ReduceKind::Sum, terms, axis, true);
  if (p == 2)
    length = n.graph.sqrt(length);
  if (!length)
    return failure();
  // A row of zeros stays zero.
  return n.result(n.graph.elementwise(elementOf(x), {x, length}, [](ScalarBuilder &s, ArrayRef<Value> v) {
    Value zero = s.number(v[1].getType(), 0);
    return s.select(s.compare(Comparison::Equal, v[1], zero), zero, s.div(v[0], v[1]));
  }));
}

LogicalResult onnx_importer::importMeanVarianceNormalization(NodeContext &n) {
  SmallVector<int64_t> over = n.integers("axes").value_or(SmallVector<int64_t>{0, 2, 3});
  Value x = n.tensor(0), mean = n.graph.mean(x, over, true), centred = n.graph.sub(x, mean);
  Value variance = n.graph.mean(n.graph.mul(centred, centred), over, true);
  if (!variance)
    return failure();
  return n.result(n.graph.elementwise(elementOf(x), {centred, variance}, [](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.div(v[0], s.add(s.sqrt(v[1]), s.number(v[0].getType(), 1e-9)));
  }));
}

LogicalResult onnx_importer::importLRN(NodeContext &n) {
  double alpha = n.real("alpha", 1e-4f), beta = n.real("beta", 0.75f), bias = n.real("bias", 1);
  int64_t size = n.integer("size", 0);
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape shape = shapeOf(x);
  if (size < 1 || shape.size() < 2)
    return n.error() << "wants a positive size and a rank of at least 2, found " << size << " and " << toString(shape);
  // Squares of `size` neighbouring channels, (size - 1) / 2 of them before.
  Shape windows = shape;
  windows.push_back(Dim(size));
  Value squares = n.graph.map(elementOf(x), windows, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> source(at.drop_back());
    Value channel = s.add(s.sub(at[1], s.index((size - 1) / 2)), at.back());
    Value inside = s.bitAnd(s.compare(Comparison::GreaterEqual, channel, s.index(0)),
                            s.compare(Comparison::Less, channel, s.size(shape[1])));
    source[1] = s.select(inside, channel, s.index(0));
    Value element = s.load(t[0], source);
    return s.select(inside, s.mul(element, element), s.number(element.getType(), 0));
  });
  Value sum = n.graph.reduce(ReduceKind::Sum, squares, int64_t(shape.size()), false);
  return n.result(n.graph.elementwise(elementOf(x), {x, sum}, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Type type = v[0].getType();
    Value scaled = s.add(s.number(type, bias), s.mul(v[1], s.number(type, alpha / double(size))));
    return s.div(v[0], s.math<math::PowFOp>(scaled, s.number(type, beta)));
  }));
}
