//===- Microsoft.cpp - activations and norms of com.microsoft ---------------------------===//
#include "frontends/onnx/importer/Microsoft.h"
#include "frontends/onnx/importer/AttentionRule.h"
#include "frontends/onnx/importer/Normalisation.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

bool microsoft::wantInteger(NodeContext &n, StringRef attribute, int64_t wanted) {
  int64_t found = n.integer(attribute, wanted);
  if (found != wanted)
    n.error() << "attribute '" << attribute << "': wanted " << wanted << ", found " << found;
  return found == wanted;
}

//===----------------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------------===//

/// The sum of the first operand and those of the others that are there.
static Value sumOf(NodeContext &n, ArrayRef<unsigned> others) {
  Value sum = n.tensor(0);
  for (unsigned i : others)
    if (n.has(i))
      sum = n.graph.add(sum, n.tensor(i));
  return sum;
}

LogicalResult microsoft::importGelu(NodeContext &n) { return n.result(n.graph.gelu(n.tensor(0))); }
LogicalResult microsoft::importFastGelu(NodeContext &n) { return n.result(n.graph.geluTanh(sumOf(n, 1))); }
LogicalResult microsoft::importBiasGelu(NodeContext &n) { return n.result(n.graph.gelu(sumOf(n, 1))); }
LogicalResult microsoft::importBiasAdd(NodeContext &n) { return n.result(sumOf(n, {1, 2})); }

/// The first half of x plus a bias, times Gelu of the second.
LogicalResult microsoft::importBiasSplitGelu(NodeContext &n) {
  Value sum = sumOf(n, 1);
  if (!sum)
    return failure();
  int64_t last = int64_t(shapeOf(sum).size()) - 1;
  std::optional<Dim> half = shapeOf(sum).back().exactDiv(Dim(2));
  if (!half)
    return n.error() << "wants an even last dimension, found " << toString(shapeOf(sum));
  Value gate = n.graph.gelu(n.graph.slice(sum, last, *half, *half));
  return n.result(n.graph.mul(n.graph.slice(sum, last, Dim(0), *half), gate));
}

LogicalResult microsoft::importQuickGelu(NodeContext &n) {
  double alpha = n.real("alpha", 1.702f);
  Value x = n.tensor(0);
  return n.result(n.graph.mul(x, n.graph.sigmoid(n.graph.scale(x, alpha))));
}

//===----------------------------------------------------------------------------===//
// Norms of sums
//===----------------------------------------------------------------------------===//

/// input, skip, scale, perhaps shift, bias. Outputs: the norm, its statistics, which nothing reads but training, the
/// sum.
static LogicalResult normOfSum(NodeContext &n, NormKind kind, bool hasShift) {
  double epsilon = n.real("epsilon", 1e-12f);
  Value sum = sumOf(n, {1, hasShift ? 4u : 3u}), scale = n.tensor(2), shift = hasShift ? n.optional(3) : Value();
  SmallVector<Value> results{n.graph.norm(kind, sum, scale, shift, 1, epsilon)};
  if (n.node.outputs.size() > 1) {
    auto [mean, inverse] = statistics(n, kind, sum, sum ? int64_t(shapeOf(sum).size()) - 1 : 0, epsilon);
    results.append({mean, inverse, sum});
    results.truncate(n.node.outputs.size());
  }
  return n.results(results);
}

LogicalResult microsoft::importSkipLayerNormalization(NodeContext &n) { return normOfSum(n, NormKind::Layer, true); }
LogicalResult microsoft::importSkipSimplifiedLayerNormalization(NodeContext &n) {
  return normOfSum(n, NormKind::RMS, false);
}

/// ids, segments, then the tables of words, positions and segments, scale, shift, mask, positions.
LogicalResult microsoft::importEmbedLayerNormalization(NodeContext &n) {
  double epsilon = n.real("epsilon", 1e-12f);
  n.integer("mask_index_type", 0); // Only its dims.
  n.ignore({4});                   // The table of segments, where there are none.
  Value ids = n.tensor(0), words = n.graph.gather(n.tensor(2), ids);
  if (!words)
    return failure();
  Dim batch = shapeOf(ids)[0], length = shapeOf(ids)[1];
  Type i32 = n.graph.i32();
  Value positions = n.has(8) ? n.tensor(8) : n.graph.reshape(n.graph.iota(i32, length), {Dim(1), length});
  Value sum = n.graph.add(words, n.graph.gather(n.tensor(3), positions));
  if (n.has(1) && n.has(4))
    sum = n.graph.add(sum, n.graph.gather(n.tensor(4), n.tensor(1)));
  SmallVector<Value> results{n.graph.norm(NormKind::Layer, sum, n.tensor(5), n.tensor(6), 1, epsilon)};
  if (n.node.outputs.size() > 1) // How many tokens of each row are kept; none without a mask.
    results.push_back(n.has(7) ? n.graph.reduce(ReduceKind::Sum, n.graph.cast(n.tensor(7), i32), 1, false)
                               : n.graph.splat(i32, 0, batch));
  if (n.node.outputs.size() > 2)
    results.push_back(sum);
  return n.results(results);
}

//===----------------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------------===//

LogicalResult microsoft::importRotaryEmbedding(NodeContext &n) {
  Rotation rotation;
  rotation.interleaved = n.integer("interleaved", 0) != 0;
  rotation.size = n.integer("rotary_embedding_dim", 0);
  int64_t heads = n.integer("num_heads", 0);
  if (!wantInteger(n, "is_packed_batching", 0) || n.real("scale", 1) != 1)
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "attribute 'scale': wanted 1");
  Value x = n.tensor(0);
  rotation.positions = n.tensor(1);
  rotation.cosines = n.tensor(2);
  rotation.sines = n.tensor(3);
  if (!x || !rotation.positions || !rotation.cosines || !rotation.sines)
    return failure();
  Shape given = shapeOf(x), shape = given;
  bool isFlat = given.size() == 3;
  std::optional<int64_t> pairs = shapeOf(rotation.cosines).back().constant();
  if (isFlat && pairs) {
    // Without a number of heads, all of each is turned.
    Dim depth = heads > 0 ? given[2].exactDiv(Dim(heads)).value_or(Dim(0)) : Dim(2 * *pairs);
    shape = {given[0], given[1], given[2].exactDiv(depth).value_or(Dim(0)), depth};
  }
  if (shape.size() != 4 || !shape[3].isConstant() || countOf(shape) != countOf(given))
    return n.error()
           << "wants [batch, heads, sequence, depth], or [batch, sequence, hidden] with heads of one depth, found "
           << toString(given);
  rotation.along = isFlat ? 1 : 2;
  return n.result(n.graph.reshape(rotated(n, n.graph.reshape(x, shape), rotation), given));
}
