//===- MicrosoftAttention.cpp - attention operators of com.microsoft -------------------===//
//
// They differ in how query, key and value, the cache and the masks are given; what they compute is
// `AttentionRule`'s.
//
#include "frontends/onnx/importer/AttentionRule.h"
#include "frontends/onnx/importer/Microsoft.h"
#include "frontends/onnx/importer/Quantisation.h"

#include <cmath>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

namespace {
/// [batch, heads, sequence, depth] each.
struct Heads {
  Value query, key, value;
  explicit operator bool() const { return query && key && value; }
};
} // namespace

/// One of the parts of a packed tensor [.., parts, depth], that dim left out.
static Value part(NodeContext &n, Value packed, int64_t axis, int64_t which) {
  return packed ? n.graph.squeeze(n.graph.slice(packed, axis, Dim(which), Dim(1)), axis) : Value();
}

/// [batch, sequence, heads, depth] as [batch, heads, sequence, depth].
static Value headsFirst(NodeContext &n, Value x) { return x ? n.graph.transpose(x, {0, 2, 1, 3}) : Value(); }

/// A mask of whole numbers as what is added to the scores: 0, or `dropped` where it is 0.
static Value asBias(NodeContext &n, Value mask, Type element, Dim keys, double dropped) {
  Shape shape = shapeOf(mask);
  Value zero = n.graph.splat(element, 0), low = n.graph.splat(element, dropped);
  if (shape.size() == 1) { // How many keys each row has.
    Value lengths = n.graph.reshape(mask, {shape[0], Dim(1), Dim(1), Dim(1)});
    Value positions = n.graph.reshape(n.graph.iota(elementOf(mask), keys), {Dim(1), Dim(1), Dim(1), keys});
    return n.graph.where(n.graph.compare(Comparison::Less, positions, lengths), zero, low);
  }
  Shape wide = shape.size() == 2   ? Shape{shape[0], Dim(1), Dim(1), shape[1]}
               : shape.size() == 3 ? Shape{shape[0], Dim(1), shape[1], shape[2]}
                                   : shape;
  Value kept = n.graph.reshape(mask, wide);
  if (!elementOf(mask).isInteger(1))
    kept = n.graph.elementwise(n.graph.i1(), kept, [](ScalarBuilder &s, ArrayRef<Value> v) {
      return s.compare(Comparison::NotEqual, v[0], s.integer(v[0].getType(), 0));
    });
  return n.graph.where(kept, zero, low);
}

/// Mask and bias as one, each of which may be missing.
static bool readMask(NodeContext &n, AttentionRule &rule, unsigned mask, unsigned bias, Type element, double dropped) {
  rule.mask = n.optional(bias);
  if (!n.has(mask))
    return !n.graph.hasFailed();
  Value given = n.tensor(mask);
  if (!given)
    return false;
  if (shapeOf(given).size() == 1 && shapeOf(given)[0] != n.shape(0)[0]) {
    n.error() << "mask: wanted one length for each of " << n.shape(0)[0].str() << " rows, found "
              << toString(shapeOf(given));
    return false;
  }
  Value added = asBias(n, given, element, rule.keys, dropped);
  rule.mask = rule.mask ? n.graph.add(rule.mask, added) : added;
  return rule.mask != nullptr;
}

/// The outcome as [batch, sequence, heads x depth].
static Value attend(NodeContext &n, AttentionRule &rule, const Heads &heads, double scale) {
  std::optional<int64_t> depth = shapeOf(heads.query)[3].constant();
  if (!depth && scale == 0) {
    n.error() << "wants a known depth, found " << shapeOf(heads.query)[3].str();
    return {};
  }
  rule.scale = scale != 0 ? scale : 1 / std::sqrt(double(*depth));
  return mergeHeads(n, asContractions(n, rule, heads.query, heads.key, heads.value));
}

//===----------------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------------===//

/// Query, key and value from [batch, sequence, hidden], packed together, or by heads already, with their bias.
static Heads multipleHeads(NodeContext &n, int64_t heads) {
  Value query = n.tensor(0), key = n.optional(1), value = n.optional(2), bias = n.optional(3);
  if (!query)
    return {};
  Shape shape = shapeOf(query);
  if (shape.size() == 5) // [batch, sequence, heads, 3, depth]
    return {headsFirst(n, part(n, query, 3, 0)), headsFirst(n, part(n, query, 3, 1)),
            headsFirst(n, part(n, query, 3, 2))};
  if (key && shapeOf(key).size() == 5) { // [batch, sequence, heads, 2, depth]
    value = headsFirst(n, part(n, key, 3, 1));
    key = headsFirst(n, part(n, key, 3, 0));
  }
  if (!key || !value) {
    n.error() << "wants a key and a value, or all packed in [batch, sequence, heads, 3, depth]";
    return {};
  }
  SmallVector<Value> all{query, key, value};
  Dim from(0);
  for (Value &x : all) {
    bool isFlat = shapeOf(x).size() == 3;
    Dim size = isFlat ? shapeOf(x)[2] : Dim(0);
    if (bias && isFlat)
      x = n.graph.add(x, n.graph.slice(bias, 0, from, size));
    from += size;
    x = byHeads(n, x, heads, "num_heads");
  }
  return {all[0], all[1], all[2]};
}

LogicalResult microsoft::importMultiHeadAttention(NodeContext &n) {
  int64_t count = n.integer("num_heads", 0);
  double dropped = n.real("mask_filter_value", -10000), scale = n.real("scale", 0);
  AttentionRule rule{n};
  rule.causal = n.integer("unidirectional", 0) != 0;
  if (n.has(8) || n.has(9))
    return n.error() << "wants a cache that is as long as it is filled, and no beams, found inputs 8 or 9";
  Heads heads = multipleHeads(n, count);
  if (!heads)
    return failure();
  if (n.has(6) && n.has(7)) {
    rule.past = n.shape(6)[2];
    heads.key = n.graph.concat({n.tensor(6), heads.key}, 2);
    heads.value = n.graph.concat({n.tensor(7), heads.value}, 2);
    if (!heads)
      return failure();
  }
  rule.queries = shapeOf(heads.query)[2];
  rule.keys = shapeOf(heads.key)[2];
  if (!readMask(n, rule, 4, 5, elementOf(heads.query), dropped))
    return failure();
  return n.results({attend(n, rule, heads, scale), heads.key, heads.value});
}

//===----------------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------------===//

/// Of query, key and value projected together; `mask`, `cache` and `bias` are the operands that may be there.
static LogicalResult attendProjected(NodeContext &n, Value projected, unsigned mask, unsigned cache, unsigned bias) {
  int64_t count = n.integer("num_heads", 0);
  double dropped = n.real("mask_filter_value", -10000), scale = n.real("scale", 0);
  auto sizes = n.integers("qkv_hidden_sizes");
  AttentionRule rule{n};
  rule.causal = n.integer("unidirectional", 0) != 0;
  if (!microsoft::wantInteger(n, "do_rotary", 0) || !microsoft::wantInteger(n, "past_present_share_buffer", 0) ||
      !microsoft::wantInteger(n, "rotary_embedding_dim", 0))
    return failure();
  if (!projected)
    return failure();
  Dim width = shapeOf(projected)[2];
  if (!sizes && width.isConstant())
    sizes = SmallVector<int64_t>(3, *width.constant() / 3);
  if (!sizes || sizes->size() != 3 || Dim((*sizes)[0] + (*sizes)[1] + (*sizes)[2]) != width)
    return n.error() << "wants the sizes of query, key and value to add up to " << width.str();
  SmallVector<Value> all;
  int64_t from = 0;
  for (int64_t size : *sizes) {
    all.push_back(byHeads(n, n.graph.slice(projected, 2, Dim(from), Dim(size)), count, "num_heads"));
    from += size;
  }
  Heads heads{all[0], all[1], all[2]};
  if (!heads)
    return failure();
  if (n.has(cache)) { // [2, batch, heads, past, depth]
    Value past = n.tensor(cache);
    rule.past = n.shape(cache)[3];
    heads.key = n.graph.concat({part(n, past, 0, 0), heads.key}, 2);
    heads.value = n.graph.concat({part(n, past, 0, 1), heads.value}, 2);
  }
  if (!heads)
    return failure();
  rule.queries = shapeOf(heads.query)[2];
  rule.keys = shapeOf(heads.key)[2];
  if (!readMask(n, rule, mask, bias, elementOf(heads.query), dropped))
    return failure();
  SmallVector<Value> results{attend(n, rule, heads, scale)};
  if (n.node.outputs.size() > 1)
    results.push_back(n.graph.concat({n.graph.unsqueeze(heads.key, 0), n.graph.unsqueeze(heads.value, 0)}, 0));
  return n.results(results);
}

/// input, weights and bias of the projection, mask, cache, bias of the scores.
LogicalResult microsoft::importAttention(NodeContext &n) {
  Value projected = n.graph.matmul(n.tensor(0), n.tensor(1));
  return attendProjected(n, n.has(2) ? n.graph.add(projected, n.tensor(2)) : projected, 3, 4, 5);
}

/// input, weights and bias of the projection, scales of both, mask, zero points of both, cache.
LogicalResult microsoft::importQAttention(NodeContext &n) {
  Value projected =
      scaledProduct(n, Quantised::operand(n, 0, 6), Quantised::operand(n, 1, 7), n.tensor(3), n.tensor(4));
  return attendProjected(n, n.graph.add(projected, n.tensor(2)), 5, 8, 9);
}

//===----------------------------------------------------------------------------===//
// GroupQueryAttention
//===----------------------------------------------------------------------------===//

namespace {
/// The cache's rows and the new ones behind them. `seqlens_k` is the position of each row's last key.
struct Cache {
  NodeContext &n;
  Value last;         ///< [batch], int32.
  Dim queries, total; ///< New rows, and rows of the cache that comes out.

  /// How many keys of a row of the batch stand before the new ones; none in a first pass over padded prompts.
  Value filled(ScalarBuilder &s, Value last, Value b) const {
    Value end = s.add(s.cast(s.load(last, b), s.builder.getIndexType()), s.index(1));
    return s.max(s.sub(end, s.size(queries)), s.index(0));
  }

  /// [batch, sequence]: where each new row stands.
  Value positions(const Dim &batch) const {
    return n.graph.map(n.graph.i64(), {batch, queries}, last, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
      return s.cast(s.add(filled(s, t[0], at[0]), at[1]), n.graph.i64());
    });
  }

  Value appended(Value past, Value fresh) const {
    Shape shape = shapeOf(fresh);
    Dim before = shapeOf(past)[2];
    shape[2] = total;
    return n.graph.map(
        elementOf(fresh), shape, {past, fresh, last}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
          Value count = filled(s, t[2], at[0]), isOld = s.compare(Comparison::Less, at[2], count);
          auto clamped = [&](Value row, const Dim &size) {
            return s.max(s.min(row, s.size(size - Dim(1))), s.index(0));
          };
          Value old = before == Dim(0) ? Value() : s.load(t[0], {at[0], at[1], clamped(at[2], before), at[3]});
          Value row = clamped(s.sub(at[2], count), queries), added = s.load(t[1], {at[0], at[1], row, at[3]});
          return old ? s.select(isOld, old, added) : added;
        });
  }
};
} // namespace

/// Query, key and value; packed in the query where there is no key.
static Heads groupedHeads(NodeContext &n, int64_t heads, int64_t keyHeads) {
  Value query = n.tensor(0), key = n.optional(1), value = n.optional(2);
  if (!query)
    return {};
  if (!key && !value) {
    std::optional<Dim> depth = shapeOf(query).back().exactDiv(Dim(heads + 2 * keyHeads));
    if (!depth) {
      n.error() << "wants " << heads + 2 * keyHeads << " heads packed in the query, found " << toString(shapeOf(query));
      return {};
    }
    Dim one = Dim(heads) * *depth, other = Dim(keyHeads) * *depth;
    key = n.graph.slice(query, 2, one, other);
    value = n.graph.slice(query, 2, one + other, other);
    query = n.graph.slice(query, 2, Dim(0), one);
  }
  return {byHeads(n, query, heads, "num_heads"), byHeads(n, key, keyHeads, "kv_num_heads"),
          byHeads(n, value, keyHeads, "kv_num_heads")};
}

LogicalResult microsoft::importGroupQueryAttention(NodeContext &n) {
  int64_t queryHeads = n.integer("num_heads", 0), keyHeads = n.integer("kv_num_heads", 0);
  int64_t window = n.integer("local_window_size", -1);
  bool turns = n.integer("do_rotary", 0) != 0, interleaved = n.integer("rotary_interleaved", 0) != 0;
  double scale = n.real("scale", 0);
  AttentionRule rule{n};
  rule.softcap = n.real("softcap", 0);
  n.integer("qk_output", 0);
  if (!turns)
    n.ignore({7, 8, 9}); // Angles and positions.
  int64_t smooth = n.integer("smooth_softmax", 0);
  if (queryHeads < 1 || keyHeads < 1 || queryHeads % keyHeads != 0)
    return n.error() << "wants num_heads to be a multiple of kv_num_heads, found " << queryHeads << " and " << keyHeads;
  Heads heads = groupedHeads(n, queryHeads, keyHeads);
  Value last = n.tensor(5);
  if (!heads || !last)
    return failure();
  if (n.has(11))
    rule.sinks = n.graph.reshape(n.tensor(11), Dim(queryHeads));
  else if (smooth == 1)
    rule.sinks = n.graph.splat(elementOf(heads.query), 0, {Dim(queryHeads)});
  Shape shape = shapeOf(heads.query);
  last = n.graph.reshape(last, shape[0]);
  bool hasPast = n.has(3) && n.has(4);
  rule.queries = shape[2];
  // The cache that comes out holds the old one and the new rows, unless the old one has room for them.
  Dim before = hasPast ? n.shape(3)[2] : Dim(0);
  std::optional<Sizes> total = n.sizes(6);
  std::optional<Shape> declared = n.declared(1);
  rule.keys = total && total->elements.size() == 1 ? n.graph.simplify(Dim::max(total->elements[0], before))
              : declared && declared->size() == 4  ? (*declared)[2]
                                                   : before + rule.queries;
  Cache cache{n, last, rule.queries, rule.keys};
  if (turns) {
    Rotation rotation;
    rotation.interleaved = interleaved;
    rotation.cosines = n.tensor(7);
    rotation.sines = n.tensor(8);
    if (!rotation.cosines || !rotation.sines || !shapeOf(rotation.cosines).back().isConstant())
      return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants tables of a known number of pairs");
    rotation.size = 2 * *shapeOf(rotation.cosines).back().constant();
    rotation.positions = n.has(9) ? n.tensor(9) : cache.positions(shape[0]);
    heads.query = rotated(n, heads.query, rotation);
    heads.key = rotated(n, heads.key, rotation);
  }
  if (hasPast) {
    heads.key = cache.appended(n.tensor(3), heads.key);
    heads.value = cache.appended(n.tensor(4), heads.value);
  }
  if (!heads)
    return failure();
  rule.keys = shapeOf(heads.key)[2];
  rule.causal = rule.startsAtZero = true;
  rule.left = window > 0 ? window - 1 : -1;
  rule.mask = n.optional(10);
  rule.lengths = n.graph.add(n.graph.cast(last, n.graph.i64()), n.graph.splat(n.graph.i64(), 1));
  return n.results({attend(n, rule, heads, scale), heads.key, heads.value});
}
