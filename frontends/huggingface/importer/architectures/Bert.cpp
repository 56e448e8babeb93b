//===- Bert.cpp - BERT: an encoder with learned positions, post-normalised ------------===//
//
//     x = LayerNorm(word[ids] + type[segments] + position[0..S))
//     each layer:  x = LayerNorm(x + O(attention(Q x, K x, V x)))
//                  x = LayerNorm(x + D(act(I x)))
//
// A key is live where attention_mask is not 0. A row without a live key attends to
// nothing and gives zero, as transformers' default attention (scaled_dot_product_attention
// with a boolean mask) does.
//
#include "frontends/huggingface/importer/Architecture.h"

#include <cmath>

using namespace mlir;
using namespace tenon;
using namespace tenon::huggingface_importer;

namespace {
struct Bert {
  FolderImport &import;
  GraphBuilder &graph = import.graph;

  int64_t width = import.count("hidden_size");
  int64_t heads = import.count("num_attention_heads");
  int64_t layers = import.count("num_hidden_layers");
  int64_t inner = import.count("intermediate_size");
  int64_t positions = import.count("max_position_embeddings");
  int64_t segments = import.count("type_vocab_size");
  int64_t words = import.count("vocab_size");
  double epsilon = import.number("layer_norm_eps", 1e-12);
  std::string activation = import.string("hidden_act", "gelu");

  bool check() const;
  Value embed(Value ids, Value types);
  Value attend(Value x, Value mask, const std::string &name);
  Value layer(Value x, Value mask, const std::string &name);
  Value poolFirst(Value x);
};
} // namespace

bool Bert::check() const {
  if (import.string("position_embedding_type", "absolute") != "absolute")
    import.unsupported("position_embedding_type", "absolute");
  if (import.boolean("is_decoder", false))
    import.unsupported("is_decoder", "false");
  if (width % heads != 0)
    import.unsupported("num_attention_heads", "a divisor of hidden_size " + std::to_string(width));
  return !graph.hasFailed();
}

Value Bert::embed(Value ids, Value types) {
  import.at("embeddings", "BertEmbeddings");
  Value word = import.weight("embeddings.word_embeddings.weight", {words, width});
  Value type = import.weight("embeddings.token_type_embeddings.weight", {segments, width});
  Value position = import.weight("embeddings.position_embeddings.weight", {positions, width});
  if (graph.hasFailed())
    return {};
  Shape shape = shapeOf(ids);
  shape.push_back(Dim(width));
  Value sum = graph.map(graph.f32(), shape, {word, type, position, ids, types},
                        [](ScalarBuilder &s, ValueRange t, ValueRange at) {
                          auto row = [&](Value table, Value numbers) {
                            Value number = s.load(numbers, {at[0], at[1]});
                            return s.load(table, {s.cast(number, s.builder.getIndexType()), at[2]});
                          };
                          Value tokens = s.add(row(t[0], t[3]), row(t[1], t[4]));
                          return s.add(tokens, s.load(t[2], {at[1], at[2]}));
                        });
  return import.layerNorm(sum, "embeddings.LayerNorm", width, epsilon);
}

Value Bert::attend(Value x, Value mask, const std::string &name) {
  auto project = [&](const std::string &which) {
    Value y = import.linear(x, name + ".self." + which, width, width);
    if (!y)
      return y;
    Shape shape = shapeOf(y);
    return graph.reshape(y, {shape[0], shape[1], Dim(heads), Dim(width / heads)});
  };
  Value query = project("query"), key = project("key"), value = project("value");
  import.at(name + ".self", "BertSelfAttention");
  GraphBuilder::Attention attention;
  double scale = 1 / std::sqrt(double(width / heads));
  attention.score = [&](ScalarBuilder &s, Value x, ValueRange, ValueRange) {
    return s.mul(x, s.number(x.getType(), scale));
  };
  attention.keep = [](ScalarBuilder &s, ValueRange at, ValueRange captures) {
    return s.cast(s.load(captures[0], {at[0], at[3]}), s.builder.getI1Type());
  };
  attention.empty = EmptyRow::Zero;
  Value context = graph.attention(query, key, value, mask, attention);
  return context ? graph.reshape(context, shapeOf(x)) : Value();
}

Value Bert::layer(Value x, Value mask, const std::string &name) {
  Value attended = import.linear(attend(x, mask, name + ".attention"), name + ".attention.output.dense", width, width);
  x = import.layerNorm(graph.add(attended, x), name + ".attention.output.LayerNorm", width, epsilon);
  Value hidden = import.activation(import.linear(x, name + ".intermediate.dense", width, inner), activation);
  Value output = import.linear(hidden, name + ".output.dense", inner, width);
  return import.layerNorm(graph.add(output, x), name + ".output.LayerNorm", width, epsilon);
}

/// tanh(W x[0] + b), of the first token.
Value Bert::poolFirst(Value x) {
  import.at("pooler", "BertPooler");
  Value first = graph.squeeze(graph.slice(x, 1, Dim(0), Dim(1)), {1});
  return graph.tanh(import.linear(first, "pooler.dense", width, width));
}

static Encoded buildBert(FolderImport &import) {
  if (!import.hasWeight("embeddings.word_embeddings.weight"))
    import.prefix = "bert.";
  Bert bert{import};
  if (!bert.check())
    return {};
  Dim batch = import.graph.symbol("batch"), sequence = import.graph.symbol("sequence", 1, bert.positions);
  Value ids = import.tokens("input_ids", batch, sequence);
  Value mask = import.tokens("attention_mask", batch, sequence);
  Value types = import.tokens("token_type_ids", batch, sequence);
  Value x = bert.embed(ids, types);
  for (int64_t i = 0; i < bert.layers; ++i)
    x = bert.layer(x, mask, "encoder.layer." + std::to_string(i));
  Encoded encoded{x, mask, {}};
  if (!import.folder.sentence && import.hasWeight("pooler.dense.weight"))
    encoded.others.emplace_back("pooler_output", bert.poolFirst(x));
  return encoded;
}

namespace tenon::huggingface_importer {
extern const Architecture architectureBert;
const Architecture architectureBert = {"bert", buildBert};
} // namespace tenon::huggingface_importer
