//===- AttentionRule.cpp - what ONNX's and Microsoft's attention operators share -------===//
#include "frontends/onnx/importer/AttentionRule.h"

#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

//===----------------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------------===//

SmallVector<Value> AttentionRule::captures() const {
  SmallVector<Value> all;
  for (Value capture : {mask, lengths})
    if (capture)
      all.push_back(capture);
  return all;
}

bool AttentionRule::hasBias() const { return mask && !elementOf(mask).isInteger(1); }

/// The mask's element for b, h, i, j; `isPadded` where the mask ends before the keys do.
Value AttentionRule::maskAt(ScalarBuilder &s, ValueRange at, Value tensor, Value &isPadded) const {
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

Value AttentionRule::score(ScalarBuilder &s, Value x) const {
  Value scaled = s.mul(x, s.number(x.getType(), scale));
  if (softcap <= 0)
    return scaled;
  Value cap = s.number(x.getType(), softcap);
  return s.mul(s.tanh(s.div(scaled, cap)), cap);
}

Value AttentionRule::withBias(ScalarBuilder &s, Value x, ValueRange at, ValueRange captured) const {
  if (!hasBias())
    return x;
  Value isPadded;
  return s.add(x, s.cast(maskAt(s, at, captured[0], isPadded), x.getType()));
}

Value AttentionRule::keep(ScalarBuilder &s, ValueRange at, ValueRange captured) const {
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
    offset = s.sub(length, s.size(queries));
    if (startsAtZero) // Then what is causal is below the length as well.
      offset = s.max(offset, s.index(0));
    else
      require(s.compare(Comparison::Less, at[3], length));
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

//===----------------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------------===//

Value onnx_importer::byHeads(NodeContext &n, Value x, int64_t heads, StringRef attribute) {
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

Value onnx_importer::mergeHeads(NodeContext &n, Value x) {
  if (!x)
    return {};
  Value rows = n.graph.transpose(x, {0, 2, 1, 3});
  Shape wide = shapeOf(rows);
  return n.graph.reshape(rows, {wide[0], wide[1], wide[2] * wide[3]});
}

Value onnx_importer::repeatHeads(NodeContext &n, Value x, const Dim &heads) {
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

//===----------------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------------===//

/// Over the keys and one entry more, which is then dropped.
static Value softmaxWithSinks(NodeContext &n, Value scores, Value sinks) {
  Shape shape = shapeOf(scores), wide = shape;
  wide[3] = Dim(1);
  Value sink = n.graph.reshape(n.graph.cast(sinks, elementOf(scores)), {Dim(1), shape[1], Dim(1), Dim(1)});
  Value weights = n.graph.softmax(n.graph.concat({scores, n.graph.broadcastTo(sink, wide)}, 3), 3);
  return n.graph.slice(weights, 3, Dim(0), shape[3]);
}

Value onnx_importer::asContractions(NodeContext &n, AttentionRule rule, Value q, Value k, Value v) {
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
  Value weights = rule.sinks ? softmaxWithSinks(n, scores, rule.sinks) : n.graph.softmax(scores, 3);
  if (weights && rule.hasKeep() && !rule.sinks) // A row without any key is zero.
    weights = n.graph.elementwise(element, weights, [&](ScalarBuilder &s, ArrayRef<Value> w) {
      return s.select(s.isNaN(w[0]), s.number(element, 0), w[0]);
    });
  return n.graph.contract("b h i j, b h j d -> b h i d", weights, repeatHeads(n, v, shapeOf(q)[1]));
}

//===----------------------------------------------------------------------------===//
// Rotary position embedding
//===----------------------------------------------------------------------------===//

Value onnx_importer::rotated(NodeContext &n, Value x, const Rotation &rotation) {
  Shape shape = shapeOf(x);
  Value positions = rotation.positions;
  bool isOffset = positions && shapeOf(positions).size() == 1;
  int64_t along = rotation.along, depth = *shape[3].constant(), half = (rotation.size ? rotation.size : depth) / 2;
  SmallVector<Value> inputs{x, rotation.cosines, rotation.sines};
  if (positions)
    inputs.push_back(positions);
  // Element d turns with its partner by the angle of their pair.
  return n.graph.map(elementOf(x), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value d = at[3], two = s.index(2), h = s.index(half), one = s.index(1);
    Value isRotated = s.compare(Comparison::Less, d, s.index(2 * half)), isFirst, pair, partner;
    if (rotation.interleaved) {
      pair = s.div(d, two, Sign::Unsigned);
      isFirst = s.compare(Comparison::Equal, s.rem(d, two, Sign::Unsigned), s.index(0));
      partner = s.select(isFirst, s.add(d, one), s.sub(d, one));
    } else {
      isFirst = s.compare(Comparison::Less, d, h);
      pair = s.select(isFirst, d, s.sub(d, h));
      partner = s.select(isFirst, s.add(d, h), s.sub(d, h));
    }
    if (2 * half != depth) {
      pair = s.select(isRotated, pair, s.index(0));
      partner = s.select(isRotated, partner, d);
    }
    SmallVector<Value> place{at[0], at[along], pair};
    if (isOffset)
      place = {s.add(s.cast(s.load(t[3], s.index(0)), s.builder.getIndexType()), at[along]), pair};
    else if (positions)
      place = {n.graph.wrappedIndex(s, s.load(t[3], {at[0], at[along]}), shapeOf(rotation.cosines)[0]), pair};
    Value sine = s.load(t[2], place), own = s.load(t[0], at);
    Value other = s.load(t[0], {at[0], at[1], at[2], partner});
    Value turned = s.add(s.mul(s.load(t[1], place), own), s.mul(s.select(isFirst, s.neg(sine), sine), other));
    return 2 * half == depth ? turned : s.select(isRotated, turned, own);
  });
}
