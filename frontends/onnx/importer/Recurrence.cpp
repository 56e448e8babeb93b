//===- Recurrence.cpp - ONNX operators that carry a state along time ---------------------===//
#include "frontends/onnx/importer/Window.h"

#include <cmath>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

//===----------------------------------------------------------------------------===//
// LinearAttention
//===----------------------------------------------------------------------------===//

namespace {
struct LinearAttention {
  NodeContext &n;
  int64_t queryHeads, keyHeads;
  bool decays, replaces; ///< As update_rule says.

  /// [batch, time, heads x depth] as [batch, time, heads, depth]; null after an error.
  Value byHeads(unsigned operand, int64_t heads, StringRef what) {
    Value x = n.tensor(operand);
    if (!x)
      return {};
    Shape shape = shapeOf(x);
    std::optional<Dim> depth = shape.size() == 3 && heads > 0 ? shape[2].exactDiv(Dim(heads)) : std::nullopt;
    if (!depth || !depth->isConstant()) {
      n.error() << what << ": wants [batch, time, heads x depth] of " << heads << " heads, found " << toString(shape);
      return {};
    }
    return n.graph.reshape(x, {shape[0], shape[1], Dim(heads), *depth});
  }

  /// A function of every element, in float32.
  Value inFloat(Value x, llvm::function_ref<Value(ScalarBuilder &, Value)> function) {
    return n.graph.elementwise(n.graph.f32(), x, [&](ScalarBuilder &s, ArrayRef<Value> v) {
      return function(s, s.cast(v[0], n.graph.f32()));
    });
  }

  /// One number for a head, or one for each of its rows: `layout` says which. exp(g), null after an error.
  Value factors(const Dim &depth, StringRef &layout) {
    Value x = n.tensor(4);
    if (!x)
      return {};
    Shape shape = shapeOf(x);
    bool ofHeads = shape.size() == 3 && shape[2] == Dim(keyHeads);
    if (shape.size() != 3 || (!ofHeads && shape[2] != Dim(keyHeads) * depth)) {
      n.error() << "decay: wants [batch, time, " << keyHeads << "] or [batch, time, " << (Dim(keyHeads) * depth).str()
                << "], found " << toString(shape);
      return {};
    }
    layout = ofHeads ? "b n h" : "b n h d";
    if (!ofHeads)
      x = n.graph.reshape(x, {shape[0], shape[1], Dim(keyHeads), depth});
    return inFloat(x, [](ScalarBuilder &s, Value g) { return s.exp(g); });
  }

  Value rates() {
    Value x = n.tensor(5);
    if (!x)
      return {};
    Shape shape = shapeOf(x);
    if (shape.size() == 3 && (shape[2] == Dim(keyHeads) || shape[2] == Dim(1)))
      return x;
    n.error() << "beta: wants [batch, time, " << keyHeads << "] or [batch, time, 1], found " << toString(shape);
    return {};
  }

  LogicalResult import() {
    Value q = byHeads(0, queryHeads, "query"), k = byHeads(1, keyHeads, "key"), v = byHeads(2, keyHeads, "value");
    if (!q || !k || !v)
      return failure();
    Dim depth = shapeOf(k)[3];
    if (queryHeads % keyHeads != 0)
      return n.error() << "wants q_num_heads to be a multiple of kv_num_heads, found " << queryHeads << " and "
                       << keyHeads;
    if (shapeOf(q)[3] != depth)
      return n.error() << "wants a query and a key of equal depth, found " << shapeOf(q)[3].str() << " and "
                       << depth.str();
    double given = n.real("scale", 0), scale = given != 0 ? given : 1 / std::sqrt(double(*depth.constant()));
    GraphBuilder::Scan what;
    what.rows = "b n h d";
    what.rates = "b n h";
    if (decays && !(what.decay = factors(depth, what.decays)))
      return failure();
    if (replaces && !(what.rate = rates()))
      return failure();
    what.initial = n.optional(3);
    what.state = what.initial ? elementOf(what.initial) : elementOf(v);
    q = inFloat(q, [&](ScalarBuilder &s, Value x) { return s.mul(x, s.number(x.getType(), scale)); });
    auto [y, state] = n.graph.scan(q, k, v, what);
    if (!y)
      return failure();
    Shape shape = shapeOf(y);
    SmallVector<Value> results{n.graph.reshape(y, {shape[0], shape[1], shape[2] * shape[3]})};
    if (n.node.outputs.size() > 1)
      results.push_back(state);
    return n.results(results);
  }
};
} // namespace

LogicalResult onnx_importer::importLinearAttention(NodeContext &n) {
  std::string rule = n.text("update_rule", "gated_delta");
  if (!llvm::is_contained({"linear", "gated", "delta", "gated_delta"}, rule))
    return n.error() << "attribute 'update_rule': wanted linear, gated, delta or gated_delta, found '" << rule << "'";
  n.integer("chunk_size", 64); // A hint that changes no result.
  bool decays = StringRef(rule).starts_with("gated"), replaces = StringRef(rule).ends_with("delta");
  return LinearAttention{n, n.integer("q_num_heads", 0), n.integer("kv_num_heads", 0), decays, replaces}.import();
}

//===----------------------------------------------------------------------------===//
// CausalConvWithState
//===----------------------------------------------------------------------------===//

/// The last `size` elements of what stood before and x, `past` being null for zeros.
static Value lastElements(NodeContext &n, Value x, Value past, int64_t size) {
  Shape shape = shapeOf(x), to{shape[0], shape[1], Dim(size)};
  SmallVector<Value> inputs{x};
  if (past)
    inputs.push_back(past);
  return n.graph.map(elementOf(x), to, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value zero = s.index(0), length = s.size(shape[2]);
    Value place = s.sub(s.add(length, at[2]), s.index(size)); // below zero: before the first
    Value isHere = s.compare(Comparison::GreaterEqual, place, zero);
    Value here = s.load(t[0], {at[0], at[1], s.select(isHere, place, zero)});
    Value before = s.number(here.getType(), 0);
    if (past)
      before = s.load(t[1], {at[0], at[1], s.select(isHere, zero, s.add(length, at[2]))});
    return s.select(isHere, here, before);
  });
}

LogicalResult onnx_importer::importCausalConvWithState(NodeContext &n) {
  Value x = n.tensor(0), filters = n.tensor(1), bias = n.optional(2), past = n.optional(3);
  std::string activation = n.text("activation", "none");
  if (!x || !filters || n.graph.hasFailed())
    return failure();
  Shape shape = shapeOf(x), of = shapeOf(filters);
  if (shape.size() != 3 || of.size() != 3 || of[1] != Dim(1) || !of[0].isConstant() || !of[2].isConstant())
    return n.error() << "wants [batch, channels, length] and filters [channels, 1, size] of known size, found "
                     << toString(shape) << " and " << toString(of);
  if (!llvm::is_contained({"none", "silu", "swish"}, activation))
    return n.error() << "attribute 'activation': wanted none, silu or swish, found '" << activation << "'";
  if (!n.graph.wantEqual(shape[1], of[0], "channels of the input"))
    return failure();
  int64_t before = *of[2].constant() - 1;
  if (past) {
    Shape wanted{shape[0], shape[1], Dim(before)}, found = shapeOf(past);
    if (found.size() != 3 || !n.graph.wantEqual(found[0], wanted[0], "batch of past_state") || found[2] != wanted[2])
      return n.error() << "past_state: wants " << toString(wanted) << ", found " << toString(found);
  }
  Value all = past ? n.graph.concat({past, x}, 2) : x;
  Value y = all ? convolveChannels(n, all, filters, bias, /*padded=*/!past) : Value();
  if (activation != "none" && y)
    y = n.graph.silu(y);
  SmallVector<Value> results{y};
  if (n.node.outputs.size() > 1)
    results.push_back(lastElements(n, x, past, before));
  return n.results(results);
}
