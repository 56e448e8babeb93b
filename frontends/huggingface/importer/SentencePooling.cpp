//===- SentencePooling.cpp - sentence-transformers' pooling and normalising -----------===//
//
//     mean       Σ_s x[s] m[s] / max(Σ_s m[s], 1e-9)
//     mean_sqrt  Σ_s x[s] m[s] / sqrt(max(Σ_s m[s], 1e-9))
//     max        the largest of each component where m[s] is not 0
//     cls        x[0]
//     normalize  x / max(|x|, 1e-12)
//
// m is the attention mask. Several poolings are concatenated.
//
#include "frontends/huggingface/importer/Architecture.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::huggingface_importer;
using huggingface_reader::Pooling;

/// Σ_s x[s] m[s] over the larger of 1e-9 and f(Σ_s m[s]).
static Value meanOfTokens(GraphBuilder &graph, const Encoded &encoded, bool byRoot) {
  Value mask = graph.unsqueeze(graph.cast(encoded.mask, graph.f32()), {-1});
  Value sum = graph.reduce(ReduceKind::Sum, graph.mul(encoded.states, mask), {1}, false);
  Value count = graph.reduce(ReduceKind::Sum, mask, {1}, false);
  if (!sum || !count)
    return {};
  return graph.elementwise(graph.f32(), {sum, count}, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Value number = s.max(v[1], s.number(v[1].getType(), 1e-9));
    return s.div(v[0], byRoot ? s.sqrt(number) : number);
  });
}

static Value largestOfTokens(GraphBuilder &graph, const Encoded &encoded) {
  Value live = graph.unsqueeze(graph.cast(encoded.mask, graph.i1()), {-1});
  // The value sentence-transformers gives to padding.
  Value masked = graph.where(live, encoded.states, graph.splat(graph.f32(), -1e9));
  return graph.reduce(ReduceKind::Max, masked, {1}, false);
}

static Value pool(GraphBuilder &graph, const Encoded &encoded, Pooling pooling) {
  switch (pooling) {
  case Pooling::FirstToken:
    return graph.squeeze(graph.slice(encoded.states, 1, Dim(0), Dim(1)), {1});
  case Pooling::Mean:
    return meanOfTokens(graph, encoded, false);
  case Pooling::MeanSqrtLength:
    return meanOfTokens(graph, encoded, true);
  case Pooling::Max:
    return largestOfTokens(graph, encoded);
  }
  llvm_unreachable("all poolings are listed");
}

static Value normalise(GraphBuilder &graph, Value x) {
  Value squares = graph.reduce(ReduceKind::Sum, graph.mul(x, x), {1}, true);
  if (!squares)
    return {};
  return graph.elementwise(graph.f32(), {x, squares}, [](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.div(v[0], s.max(s.sqrt(v[1]), s.number(v[1].getType(), 1e-12)));
  });
}

Value huggingface_importer::poolSentence(GraphBuilder &graph, const Encoded &encoded,
                                         const huggingface_reader::SentenceModules &modules) {
  if (!encoded.states)
    return {};
  graph.at("sentence_transformers", "Pooling");
  if (!graph.wantEqual(Dim(modules.width), shapeOf(encoded.states).back(), "width of the pooled tokens"))
    return {};
  SmallVector<Value> pooled;
  for (Pooling pooling : modules.pooling)
    pooled.push_back(pool(graph, encoded, pooling));
  Value sentence = graph.concat(pooled, 1);
  if (!modules.normalize)
    return sentence;
  graph.at("sentence_transformers", "Normalize");
  return normalise(graph, sentence);
}
