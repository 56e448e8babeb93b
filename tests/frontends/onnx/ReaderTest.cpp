//===- ReaderTest.cpp - What the ONNX reader understands ------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "ModelBytes.h"

#include <cstring>

using namespace tenon;
using namespace tenon::onnx_reader;

namespace {

template <typename T> std::vector<T> elements(const Tensor &tensor) {
  std::vector<T> values(tensor.data.size() / sizeof(T));
  if (!values.empty())
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

/// The first initializer of a model, or a failure of the test.
Tensor onlyInitializer(const ::onnx::ModelProto &proto) {
  Result<Model> model = read(proto);
  EXPECT_TRUE(model) << model.error().message;
  return model ? model->graph.initializers.front() : Tensor();
}

::onnx::ModelProto withoutWeight() {
  ::onnx::ModelProto model = addModel();
  model.mutable_graph()->clear_initializer();
  return model;
}

TEST(OnnxReader, ReadsGraphAndSymbols) {
  Result<Model> model = read(addModel());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->irVersion, 8);
  EXPECT_EQ(model->operatorSets.at(0).version, 18);
  const Graph &graph = model->graph;
  EXPECT_EQ(graph.inputs.at(0).name, "x");
  EXPECT_EQ(graph.inputs[0].type, ElementType::Float32);
  EXPECT_EQ(graph.inputs[0].shape->at(0).symbol, "batch");
  EXPECT_EQ(graph.inputs[0].shape->at(1).size, 3);
  EXPECT_EQ(graph.nodes.at(0).opType, "Add");
  EXPECT_EQ(graph.nodes[0].describe(), "node 'add' (Add)");
  EXPECT_EQ(graph.nodes[0].inputs, (std::vector<std::string>{"x", "w"}));
  EXPECT_EQ(elements<float>(graph.initializers.at(0)), (std::vector<float>{1, 2, 3}));
}

TEST(OnnxReader, WeightsStayInTheFile) {
  std::string text = addModel().SerializeAsString();
  Result<Model> model = readText(text);
  ASSERT_TRUE(model);
  const char *data = reinterpret_cast<const char *>(model->graph.initializers.at(0).data.data());
  EXPECT_TRUE(text.data() <= data && data < text.data() + text.size());
  std::optional<Model::Place> place = model->locate(model->graph.initializers[0].data);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->source->name, "m.onnx");
  EXPECT_EQ(text.data() + place->offset, data);
  EXPECT_FALSE(model->locate(Bytes::own({1, 2, 3})));
}

TEST(OnnxReader, TypedFieldsBecomeBytes) {
  using P = ::onnx::TensorProto;
  ::onnx::ModelProto model = addModel();
  model.mutable_graph()->mutable_initializer(0)->clear_raw_data();
  for (float value : {1.5f, -2.0f, 3.0f})
    model.mutable_graph()->mutable_initializer(0)->add_float_data(value);
  EXPECT_EQ(elements<float>(onlyInitializer(model)), (std::vector<float>{1.5f, -2.0f, 3.0f}));

  auto ints = [](P::DataType type, std::vector<int64_t> dims, std::vector<int32_t> data) {
    ::onnx::ModelProto model = withoutWeight();
    P &tensor = addInitializer(model, "w", type, dims);
    for (int32_t entry : data)
      tensor.add_int32_data(entry);
    return onlyInitializer(model);
  };
  EXPECT_EQ(elements<int8_t>(ints(P::INT8, {2}, {-128, 127})), (std::vector<int8_t>{-128, 127}));
  EXPECT_EQ(elements<uint8_t>(ints(P::BOOL, {2}, {0, 1})), (std::vector<uint8_t>{0, 1}));
  EXPECT_EQ(elements<uint16_t>(ints(P::FLOAT16, {1}, {0x3c00})), (std::vector<uint16_t>{0x3c00}));
  EXPECT_EQ(elements<int32_t>(ints(P::INT32, {}, {-5})), (std::vector<int32_t>{-5}));
  EXPECT_EQ(elements<uint8_t>(ints(P::INT4, {3}, {0x21, 0x03})), (std::vector<uint8_t>{0x21, 0x03}));

  model = withoutWeight();
  addInitializer(model, "w", P::INT64, {2}).add_int64_data(INT64_MIN);
  model.mutable_graph()->mutable_initializer(0)->add_int64_data(7);
  EXPECT_EQ(elements<int64_t>(onlyInitializer(model)), (std::vector<int64_t>{INT64_MIN, 7}));

  model = withoutWeight();
  addInitializer(model, "w", P::UINT32, {1}).add_uint64_data(4294967295u);
  EXPECT_EQ(elements<uint32_t>(onlyInitializer(model)), (std::vector<uint32_t>{4294967295u}));

  model = withoutWeight();
  addInitializer(model, "w", P::STRING, {1}).add_string_data("text");
  EXPECT_EQ(onlyInitializer(model).strings, (std::vector<std::string>{"text"}));
}

TEST(OnnxReader, EmptyTensorsNeedNoData) {
  ::onnx::ModelProto model = withoutWeight();
  addInitializer(model, "w", ::onnx::TensorProto::FLOAT, {0, int64_t(1) << 62, int64_t(1) << 62});
  EXPECT_EQ(onlyInitializer(model).elementCount, 0);
}

TEST(OnnxReader, ExternalData) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder.path / "data");
  float values[] = {9, 9, 1, 2, 3};
  folder.write("data/w.bin", std::string(reinterpret_cast<char *>(values), sizeof(values)));
  ::onnx::ModelProto proto = addModel();
  ::onnx::TensorProto &tensor = *proto.mutable_graph()->mutable_initializer(0);
  tensor.clear_raw_data();
  tensor.set_data_location(::onnx::TensorProto::EXTERNAL);
  for (auto [key, value] : {std::pair{"location", "data/w.bin"}, {"offset", "8"}, {"length", "12"}}) {
    tensor.add_external_data()->set_key(key);
    tensor.mutable_external_data()->rbegin()->set_value(value);
  }
  std::string path = folder.write("m.onnx", proto.SerializeAsString());
  Result<Model> model = readModel(path);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(elements<float>(model->graph.initializers.at(0)), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(model->locate(model->graph.initializers[0].data)->source->name, "data/w.bin");
  EXPECT_EQ(model->locate(model->graph.initializers[0].data)->offset, 8u);
  EXPECT_EQ(errorOf(proto), "m.onnx: initializer 'w': external data 'data/w.bin': wanted a model read from a file, "
                            "whose folder holds its external data, found a model given as bytes");
}

TEST(OnnxReader, AttributesOfEveryKind) {
  ::onnx::ModelProto proto = addModel();
  ::onnx::NodeProto &node = *proto.mutable_graph()->mutable_node(0);
  auto add = [&](const char *name, ::onnx::AttributeProto::AttributeType type) -> ::onnx::AttributeProto & {
    ::onnx::AttributeProto &attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(type);
    return attribute;
  };
  add("i", ::onnx::AttributeProto::INT).set_i(-3);
  add("f", ::onnx::AttributeProto::FLOAT).set_f(0.5f);
  add("s", ::onnx::AttributeProto::STRING).set_s("text");
  add("is", ::onnx::AttributeProto::INTS).add_ints(4);
  add("ss", ::onnx::AttributeProto::STRINGS).add_strings("a");
  ::onnx::TensorProto &t = *add("t", ::onnx::AttributeProto::TENSOR).mutable_t();
  t.set_data_type(::onnx::TensorProto::UINT8);
  t.set_raw_data("A");
  ::onnx::GraphProto &g = *add("g", ::onnx::AttributeProto::GRAPH).mutable_g();
  g.add_output()->set_name("x"); // Seen from the graph around it.
  add("type", ::onnx::AttributeProto::TYPE_PROTO);
  Result<Model> model = read(proto);
  ASSERT_TRUE(model) << model.error().message;
  const Node &read = model->graph.nodes.at(0);
  EXPECT_EQ(std::get<int64_t>(read.attribute("i")->value), -3);
  EXPECT_EQ(std::get<float>(read.attribute("f")->value), 0.5f);
  EXPECT_EQ(std::get<std::string>(read.attribute("s")->value), "text");
  EXPECT_EQ(std::get<std::vector<int64_t>>(read.attribute("is")->value).at(0), 4);
  EXPECT_EQ(std::get<std::vector<std::string>>(read.attribute("ss")->value).at(0), "a");
  EXPECT_EQ(std::get<Tensor>(read.attribute("t")->value).data.text(), "A");
  EXPECT_EQ(std::get<std::shared_ptr<Graph>>(read.attribute("g")->value)->outputs.at(0).name, "x");
  EXPECT_EQ(std::get<Attribute::Unread>(read.attribute("type")->value).kind, "type");
  EXPECT_EQ(read.attribute("none"), nullptr);
}

TEST(OnnxReader, FunctionsAndDomains) {
  ::onnx::ModelProto proto = addModel();
  proto.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
  ::onnx::FunctionProto &function = *proto.add_functions();
  function.set_name("f");
  function.set_domain("mine");
  function.add_input("a");
  function.add_output("b");
  ::onnx::NodeProto &node = *function.add_node();
  node.set_op_type("Relu");
  node.add_input("a");
  node.add_output("b");
  Result<Model> model = read(proto);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->graph.nodes.at(0).domain, "");
  EXPECT_EQ(model->functions.at(0).nodes.at(0).describe(), "node 'b' (Relu)");
}

/// `name` = Relu(`input`)
::onnx::NodeProto &addRelu(::onnx::GraphProto &graph, const std::string &input, const std::string &name) {
  ::onnx::NodeProto &node = *graph.add_node();
  node.set_name(name);
  node.set_op_type("Relu");
  node.add_input(input);
  node.add_output(name);
  return node;
}

TEST(OnnxReader, NodesStandBehindWhatTheyRead) {
  ::onnx::ModelProto proto = addModel(); // y = x + w
  ::onnx::GraphProto &graph = *proto.mutable_graph();
  graph.mutable_node(0)->set_input(0, "late");
  addRelu(graph, "x", "free");
  addRelu(graph, "later", "late");
  addRelu(graph, "x", "later");
  Result<Model> model = read(proto);
  ASSERT_TRUE(model) << model.error().message;
  std::vector<std::string> names;
  for (const Node &node : model->graph.nodes)
    names.push_back(node.name);
  EXPECT_EQ(names, (std::vector<std::string>{"free", "later", "late", "add"}));
}

TEST(OnnxReader, NodesStandBehindWhatTheirGraphsRead) {
  ::onnx::ModelProto proto = addModel();
  ::onnx::GraphProto &graph = *proto.mutable_graph();
  ::onnx::NodeProto &node = *graph.mutable_node(0);
  ::onnx::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name("body");
  attribute.set_type(::onnx::AttributeProto::GRAPH);
  // Within, `own` is the graph's; `late` is written around it, behind the node; `inner` behind what reads it.
  ::onnx::GraphProto &body = *attribute.mutable_g();
  body.set_name("body");
  setValue(*body.add_output(), "outer", {"3"});
  addRelu(body, "inner", "outer");
  addRelu(body, "late", "inner");
  addRelu(body, "x", "own");
  addRelu(graph, "x", "late");
  addRelu(graph, "y", "own");
  Result<Model> model = read(proto);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->graph.nodes.at(0).name, "late");
  EXPECT_EQ(model->graph.nodes.at(1).name, "add");
  const auto &inside = std::get<std::shared_ptr<Graph>>(model->graph.nodes[1].attribute("body")->value);
  EXPECT_EQ(inside->nodes.at(0).name, "inner");
  EXPECT_EQ(inside->nodes.at(1).name, "outer");
}

TEST(OnnxReader, ReadsExportedModels) {
  for (const char *name : {"bert", "sentence", "vit"}) {
    Result<Model> model = readModel(std::string(TENON_TEST_MODELS) + "/" + name + "/model.onnx");
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_GT(model->graph.nodes.size(), 20u) << name;
    EXPECT_GT(model->graph.initializers.size(), 10u) << name;
    EXPECT_FALSE(model->graph.inputs.at(0).shape->at(0).symbol.empty()) << name;
  }
}

} // namespace
