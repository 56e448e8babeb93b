//===- Attention.cpp - ONNX's attention and rotary position embedding -------------------===//
#include "frontends/onnx/importer/AttentionRule.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

LogicalResult onnx_importer::importRotaryEmbedding(NodeContext &n) {
  Rotation rotation;
  rotation.interleaved = n.integer("interleaved", 0) != 0;
  rotation.size = n.integer("rotary_embedding_dim", 0);
  int64_t heads = n.integer("num_heads", 0);
  Value x = n.tensor(0);
  rotation.cosines = n.tensor(1);
  rotation.sines = n.tensor(2);
  rotation.positions = n.optional(3);
  if (!x || !rotation.cosines || !rotation.sines)
    return failure();
  Shape given = shapeOf(x), shape = given;
  bool isFlat = given.size() == 3; // [batch, sequence, heads x depth]
  if (isFlat && heads > 0)
    if (std::optional<Dim> depth = given[2].exactDiv(Dim(heads)))
      shape = {given[0], given[1], Dim(heads), *depth};
  if (shape.size() != 4 || !shape[3].isConstant())
    return n.error() << "wants [batch, heads, sequence, depth], or [batch, sequence, hidden] and num_heads, found "
                     << toString(given);
  rotation.along = isFlat ? 1 : 2;
  size_t rank = rotation.positions ? 2 : 3;
  if (shapeOf(rotation.cosines).size() != rank || shapeOf(rotation.sines).size() != rank)
    return n.error() << "wants tables of rank " << rank << ", found " << toString(shapeOf(rotation.cosines));
  return n.result(n.graph.reshape(rotated(n, n.graph.reshape(x, shape), rotation), given));
}

/// The scores as a tensor, for who asks to see them: as `mode` says.
static Value scoresAsTensor(NodeContext &n, const AttentionRule &rule, Value q, Value k, int64_t mode) {
  k = repeatHeads(n, k, shapeOf(q)[1]);
  Value product = n.graph.contract("b h i d, b h j d -> b h i j", q, k);
  SmallVector<Value> inputs{product};
  llvm::append_range(inputs, rule.captures());
  if (!product)
    return {};
  Type element = elementOf(q);
  auto map = [&](llvm::function_ref<Value(ScalarBuilder &, Value, ValueRange, ValueRange)> body) {
    return n.graph.map(element, shapeOf(product), inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
      return body(s, s.load(t[0], at), at, t.drop_front());
    });
  };
  if (mode == 0)
    return map(
        [&](ScalarBuilder &s, Value x, ValueRange, ValueRange) { return s.mul(x, s.number(element, rule.scale)); });
  if (mode == 1)
    return map([&](ScalarBuilder &s, Value x, ValueRange, ValueRange) { return rule.score(s, x); });
  Value biased = map([&](ScalarBuilder &s, Value x, ValueRange at, ValueRange captured) {
    Value score = rule.withBias(s, rule.score(s, x), at, captured);
    Value none = s.number(element, -std::numeric_limits<double>::infinity());
    return rule.hasKeep() ? s.select(rule.keep(s, at, captured), score, none) : score;
  });
  if (mode == 2)
    return biased;
  // A row without any key is zero.
  Value weights = n.graph.softmax(biased, 3), best = n.graph.reduce(ReduceKind::Max, biased, 3, true);
  return n.graph.elementwise(element, {weights, best}, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Value none = s.number(element, -std::numeric_limits<double>::infinity());
    return s.select(s.compare(Comparison::Equal, v[1], none), s.number(element, 0), v[0]);
  });
}

LogicalResult onnx_importer::importAttention(NodeContext &n) {
  int64_t queryHeads = n.integer("q_num_heads", 0), keyHeads = n.integer("kv_num_heads", 0);
  int64_t mode = n.integer("qk_matmul_output_mode", 0);
  n.integer("softmax_precision", 1); // float32 or better, whatever is asked.
  AttentionRule rule{n};
  rule.softcap = n.real("softcap", 0);
  rule.causal = n.integer("is_causal", 0) != 0;
  rule.left = n.integer("left_window_size", -1);
  rule.right = n.integer("right_window_size", -1);
  Value given = n.tensor(0);
  Value q = byHeads(n, given, queryHeads, "q_num_heads"), k = byHeads(n, n.tensor(1), keyHeads, "kv_num_heads"),
        v = byHeads(n, n.tensor(2), keyHeads, "kv_num_heads");
  rule.mask = n.optional(3);
  rule.lengths = n.optional(6);
  if (!q || !k || !v || n.graph.hasFailed())
    return failure();
  if (n.has(4) && n.has(5)) {
    rule.past = n.shape(4).size() == 4 ? n.shape(4)[2] : Dim(0);
    k = n.graph.concat({n.tensor(4), k}, 2);
    v = n.graph.concat({n.tensor(5), v}, 2);
    if (!k || !v)
      return failure();
  }
  Shape shape = shapeOf(q);
  if (rule.mask && (shapeOf(rule.mask).empty() || shapeOf(rule.mask).size() > 4))
    return n.error() << "attn_mask: wanted a rank from 1 to 4, found " << toString(shapeOf(rule.mask));
  rule.queries = shape[2];
  rule.keys = shapeOf(k)[2];
  std::optional<int64_t> depth = shape[3].constant();
  if (!depth && !n.hasAttribute("scale"))
    return n.error() << "wants a known depth, found " << shape[3].str();
  rule.scale = n.real("scale", depth ? 1 / std::sqrt(double(*depth)) : 1);
  GraphBuilder::Attention what;
  what.query = what.key = what.value = what.result = "b h n d";
  what.score = [&](ScalarBuilder &s, Value x, ValueRange at, ValueRange captured) {
    return rule.withBias(s, rule.score(s, x), at, captured);
  };
  if (rule.hasKeep())
    what.keep = [&](ScalarBuilder &s, ValueRange at, ValueRange captured) { return rule.keep(s, at, captured); };
  // Narrow types accumulate in float32, which only the op says.
  bool isWide = elementOf(q).isF32() || elementOf(q).isF64();
  Value y = isWide ? asContractions(n, rule, q, k, v) : n.graph.attention(q, k, v, rule.captures(), what);
  if (y && shapeOf(given).size() == 3)
    y = mergeHeads(n, y);
  SmallVector<Value> results{y};
  if (n.node.outputs.size() > 1)
    results.push_back(k);
  if (n.node.outputs.size() > 2)
    results.push_back(v);
  if (n.node.outputs.size() > 3)
    results.push_back(scoresAsTensor(n, rule, q, k, mode));
  return n.results(results);
}
