//===- Attention.cpp - ONNX's attention and rotary position embedding -------------------===//
#include "frontends/onnx/importer/NodeContext.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

//===----------------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------------===//

LogicalResult onnx_importer::importRotaryEmbedding(NodeContext &n) {
  bool interleaved = n.integer("interleaved", 0) != 0;
  int64_t heads = n.integer("num_heads", 0), rotated = n.integer("rotary_embedding_dim", 0);
  Value x = n.tensor(0), cosines = n.tensor(1), sines = n.tensor(2), positions = n.optional(3);
  if (!x || !cosines || !sines)
    return failure();
  Shape given = shapeOf(x), shape = given;
  bool isFlat = given.size() == 3; // [batch, sequence, heads x depth]
  if (isFlat && heads > 0)
    if (std::optional<Dim> depth = given[2].exactDiv(Dim(heads)))
      shape = {given[0], given[1], Dim(heads), *depth};
  if (shape.size() != 4 || !shape[3].isConstant())
    return n.error() << "wants [batch, heads, sequence, depth], or [batch, sequence, hidden] and num_heads, found "
                     << toString(given);
  int64_t along = isFlat ? 1 : 2, half = (rotated ? rotated : *shape[3].constant()) / 2;
  if (shapeOf(cosines).size() != (positions ? 2 : 3) || shapeOf(sines).size() != shapeOf(cosines).size())
    return n.error() << "wants tables of rank " << (positions ? 2 : 3) << ", found " << toString(shapeOf(cosines));
  SmallVector<Value> inputs{n.graph.reshape(x, shape), cosines, sines};
  if (positions)
    inputs.push_back(positions);
  // Element d turns with its partner by the angle of their pair.
  Value result = n.graph.map(elementOf(x), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value d = at[3], two = s.index(2), h = s.index(half), one = s.index(1);
    Value isRotated = s.compare(Comparison::Less, d, s.index(2 * half)), isFirst, pair, partner;
    if (interleaved) {
      pair = s.div(d, two, Sign::Unsigned);
      isFirst = s.compare(Comparison::Equal, s.rem(d, two, Sign::Unsigned), s.index(0));
      partner = s.select(isFirst, s.add(d, one), s.sub(d, one));
    } else {
      isFirst = s.compare(Comparison::Less, d, h);
      pair = s.select(isFirst, d, s.sub(d, h));
      partner = s.select(isFirst, s.add(d, h), s.sub(d, h));
    }
    if (2 * half != *shape[3].constant()) {
      pair = s.select(isRotated, pair, s.index(0));
      partner = s.select(isRotated, partner, d);
    }
    SmallVector<Value> place{at[0], at[along], pair};
    if (positions)
      place = {n.graph.wrappedIndex(s, s.load(t[3], {at[0], at[along]}), shapeOf(cosines)[0]), pair};
    Value sine = s.load(t[2], place), own = s.load(t[0], at);
    Value other = s.load(t[0], {at[0], at[1], at[2], partner});
    Value turned = s.add(s.mul(s.load(t[1], place), own), s.mul(s.select(isFirst, s.neg(sine), sine), other));
    return 2 * half == *shape[3].constant() ? turned : s.select(isRotated, turned, own);
  });
  return n.result(n.graph.reshape(result, given));
}

//===----------------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------------===//

namespace {
/// What Attention's attributes and further operands say of a score.
struct AttentionRule {
  NodeContext &n;
  double scale = 1, softcap = 0;
  bool causal = false;
  int64_t left = -1, right = -1; ///< Window; -1 is open.
  Value mask, lengths;           ///< Data, each may be null.
  Dim past, queries, keys;

  SmallVector<Value> captures() const {
    SmallVector<Value> all;
    for (Value capture : {mask, lengths})
      if (capture)
        all.push_back(capture);
    return all;
  }

  bool hasBias() const { return mask && !elementOf(mask).isInteger(1); }
  bool hasKeep() const { return mask || lengths || causal || left >= 0 || right >= 0; }

  /// The mask's element for b, h, i, j; `isPadded` where the mask ends before the keys do.
  Value maskAt(ScalarBuilder &s, ValueRange at, Value tensor, Value &isPadded) const {
    Shape shape = shapeOf(mask);
    SmallVector<Value> place(at.take_back(shape.size()));
    for (auto [index, dim] : llvm::zip(place, shape))
      if (dim == Dim(1))
        index = s.index(0);
    if (shape.back() != keys && shape.back() != Dim(1)) {
      isPadded = s.compare(Comparison::GreaterEqual, at[3], s.size(shape.back()));
      place.back() = s.select(isPadded, s.index(0), at[3]);
    }
    return s.load(tensor, place);
  }

  Value score(ScalarBuilder &s, Value x) const {
    Value scaled = s.mul(x, s.number(x.getType(), scale));
    if (softcap <= 0)
      return scaled;
    Value cap = s.number(x.getType(), softcap);
    return s.mul(s.tanh(s.div(scaled, cap)), cap);
  }

  Value withBias(ScalarBuilder &s, Value x, ValueRange at, ValueRange captured) const {
    if (!hasBias())
      return x;
    Value isPadded;
    return s.add(x, s.cast(maskAt(s, at, captured[0], isPadded), x.getType()));
  }

  Value keep(ScalarBuilder &s, ValueRange at, ValueRange captured) const {
    Value kept;
    auto require = [&](Value condition) { kept = kept ? s.bitAnd(kept, condition) : condition; };
    if (mask) {
      Value isPadded, element = maskAt(s, at, captured[0], isPadded);
      if (hasBias())
        element = s.compare(Comparison::NotEqual, element,
                            s.number(element.getType(), -std::numeric_limits<double>::infinity()));
      require(element);
      if (isPadded)
        require(s.bitNot(isPadded));
    }
    Value offset = s.size(past);
    if (lengths) {
      Value length = s.cast(s.load(captured.back(), at[0]), s.builder.getIndexType());
      require(s.compare(Comparison::Less, at[3], length));
      offset = s.sub(length, s.size(queries));
    }
    Value position = s.add(at[2], offset);
    if (causal)
      require(s.compare(Comparison::LessEqual, at[3], position));
    if (left >= 0)
      require(s.compare(Comparison::LessEqual, s.sub(position, at[3]), s.index(left)));
    if (right >= 0)
      require(s.compare(Comparison::LessEqual, s.sub(at[3], position), s.index(right)));
    return kept;
  }
};
} // namespace

/// [batch, sequence, heads x depth] as [batch, heads, sequence, depth]; of rank 4 as it is.
static Value byHeads(NodeContext &n, Value x, int64_t heads, StringRef attribute) {
  Shape shape = x ? shapeOf(x) : Shape();
  if (!x || shape.size() == 4)
    return x;
  std::optional<Dim> depth = shape.size() == 3 && heads > 0 ? shape[2].exactDiv(Dim(heads)) : std::nullopt;
  if (!depth) {
    n.error() << "wants rank 4, or rank 3 and " << attribute << ", found " << toString(shape) << " and " << heads;
    return {};
  }
  return n.graph.transpose(n.graph.reshape(x, {shape[0], shape[1], Dim(heads), *depth}), {0, 2, 1, 3});
}

/// Each key head for all the query heads it serves.
static Value repeatHeads(NodeContext &n, Value x, const Dim &heads) {
  Shape shape = shapeOf(x);
  Dim group = heads.exactDiv(shape[1]).value_or(Dim(1));
  if (group == Dim(1))
    return x;
  return n.graph.map(elementOf(x), {shape[0], heads, shape[2], shape[3]}, x,
                     [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                       SmallVector<Value> place(at);
                       place[1] = s.div(at[1], s.size(group), Sign::Unsigned);
                       return s.load(t[0], place);
                     });
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

/// Attention as two contractions and a softmax, for RaiseAttention to find as it finds an exporter's own: masks,
/// transposes and repeated heads before it then become regions and layouts.
static Value asContractions(NodeContext &n, AttentionRule rule, Value q, Value k, Value v) {
  // An added -inf needs no condition beside it, unless the mask ends before the keys.
  AttentionRule conditions = rule;
  if (rule.hasBias() && (shapeOf(rule.mask).back() == rule.keys || shapeOf(rule.mask).back() == Dim(1)))
    conditions.mask = {};
  Value product = n.graph.contract("b h i d, b h j d -> b h i j", q, repeatHeads(n, k, shapeOf(q)[1]));
  if (!product)
    return {};
  Type element = elementOf(q);
  SmallVector<Value> inputs{product};
  llvm::append_range(inputs, rule.captures());
  Value scores = n.graph.map(element, shapeOf(product), inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    ValueRange captured = t.drop_front();
    Value score = rule.withBias(s, rule.score(s, s.load(t[0], at)), at, captured);
    Value none = s.number(element, -std::numeric_limits<double>::infinity());
    return conditions.hasKeep() ? s.select(conditions.keep(s, at, captured), score, none) : score;
  });
  Value weights = n.graph.softmax(scores, 3);
  if (weights && rule.hasKeep()) // A row without any key is zero.
    weights = n.graph.elementwise(element, weights, [&](ScalarBuilder &s, ArrayRef<Value> w) {
      return s.select(s.isNaN(w[0]), s.number(element, 0), w[0]);
    });
  return n.graph.contract("b h i j, b h j d -> b h i d", weights, repeatHeads(n, v, shapeOf(q)[1]));
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
  if (y && shapeOf(given).size() == 3) {
    y = n.graph.transpose(y, {0, 2, 1, 3});
    Shape wide = shapeOf(y);
    y = n.graph.reshape(y, {wide[0], wide[1], wide[2] * wide[3]});
  }
  SmallVector<Value> results{y};
  if (n.node.outputs.size() > 1)
    results.push_back(k);
  if (n.node.outputs.size() > 2)
    results.push_back(v);
  if (n.node.outputs.size() > 3)
    results.push_back(scoresAsTensor(n, rule, q, k, mode));
  return n.results(results);
}
