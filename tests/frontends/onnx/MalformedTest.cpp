//===- MalformedTest.cpp - What the ONNX reader refuses, and how ----------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// One fault to a test, each with the message a user sees; then every prefix
// and many single-byte changes of a file, which must end in a model or a
// message and touch nothing outside the bytes (run under the sanitizers).
//
//===----------------------------------------------------------------------===//

#include "ModelBytes.h"

using namespace tenon;
using namespace tenon::onnx_reader;

namespace {

::onnx::TensorProto &weight(::onnx::ModelProto &model) { return *model.mutable_graph()->mutable_initializer(0); }
::onnx::NodeProto &node(::onnx::ModelProto &model) { return *model.mutable_graph()->mutable_node(0); }

std::string errorOfText(const std::string &text) {
  Result<Model> model = readText(text);
  return model ? "no error" : model.error().message;
}

TEST(OnnxMalformed, NotAModel) {
  EXPECT_EQ(errorOfText(""), "m.onnx: wanted an ONNX model, found an empty file");
  EXPECT_EQ(errorOfText("hello, world"), "m.onnx: wanted an ONNX model, found broken or cut protobuf at byte 2 of 12");
  EXPECT_EQ(errorOfText(std::string("\x08\x07", 2)), "m.onnx: wanted an ONNX model, found protobuf without a graph");
  EXPECT_NE(errorOfText(std::string(4096, '\0')).find("broken or cut"), std::string::npos);
  EXPECT_NE(readModel("/nonexistent/m.onnx").error().message.find("cannot open it"), std::string::npos);
  EXPECT_NE(readModel("/").error().message.find("wanted a regular file, found a folder"), std::string::npos);
}

TEST(OnnxMalformed, MissingVersions) {
  ::onnx::ModelProto model = addModel();
  model.clear_ir_version();
  EXPECT_EQ(errorOf(model), "m.onnx: wanted an ONNX model, found no IR version");
  model = addModel();
  model.clear_opset_import();
  EXPECT_EQ(errorOf(model), "m.onnx: wanted an ONNX model, found no operator set version");
}

TEST(OnnxMalformed, DataOfTheWrongSize) {
  ::onnx::ModelProto model = addModel();
  weight(model).set_raw_data("12345678");
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted 12 bytes for [3] of float32, found 8");
  weight(model).clear_raw_data();
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted 3 entries of float_data for [3] of float32, found 0");
  weight(model).set_data_type(::onnx::TensorProto::INT8);
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted 3 entries of int32_data for [3] of int8, found 0");
}

TEST(OnnxMalformed, HostileDims) {
  ::onnx::ModelProto model = addModel();
  weight(model).set_dims(0, -3);
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted dims of 0 or more, found -3");
  weight(model).set_dims(0, int64_t(1) << 62);
  EXPECT_EQ(errorOf(model),
            "m.onnx: initializer 'w': wanted a size below 2^63 bits, found [4611686018427387904] of float32");
  weight(model).add_dims(int64_t(1) << 62);
  EXPECT_NE(errorOf(model).find("wanted a size below 2^63, found"), std::string::npos);
  weight(model).clear_dims();
  for (int i = 0; i < 65; ++i)
    weight(model).add_dims(1);
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted at most 64 dims, found 65");
  model = addModel();
  model.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(-7);
  EXPECT_EQ(errorOf(model), "m.onnx: input 'x': wanted dims of 0 or more, found -7");
}

TEST(OnnxMalformed, UnknownTypesAndValues) {
  ::onnx::ModelProto model = addModel();
  weight(model).set_data_type(99);
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted an element type from 1 to 26, found number 99");
  model = addModel();
  weight(model).clear_raw_data();
  weight(model).set_data_type(::onnx::TensorProto::UINT8);
  for (int entry : {1, 256, 3})
    weight(model).add_int32_data(entry);
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted int32_data from 0 to 255 for uint8, found 256");
  weight(model).clear_int32_data();
  weight(model).set_data_type(::onnx::TensorProto::BOOL);
  weight(model).set_raw_data(std::string("\0\1\2", 3));
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted 0 or 1 for a bool, found 2");
}

TEST(OnnxMalformed, GraphsThatContradictThemselves) {
  ::onnx::ModelProto model = addModel();
  node(model).set_input(0, "nowhere");
  EXPECT_EQ(errorOf(model), "m.onnx: node 'add' (Add): wanted input 'nowhere' to be written by an earlier node, "
                            "found no such value before this node");
  model = addModel();
  node(model).set_input(0, "y");
  EXPECT_NE(errorOf(model).find("no such value before"), std::string::npos);
  model = addModel(); // A cycle of two.
  node(model).set_input(0, "z");
  ::onnx::NodeProto &second = *model.mutable_graph()->add_node();
  second.set_op_type("Relu");
  second.add_input("y");
  second.add_output("z");
  EXPECT_NE(errorOf(model).find("node 'add' (Add): wanted input 'z' to be written by an earlier node"),
            std::string::npos);
  model = addModel();
  *model.mutable_graph()->add_node() = node(model);
  EXPECT_EQ(errorOf(model), "m.onnx: node 'add' (Add): wanted value 'y' to be written once, found it written before");
  model = addModel();
  model.mutable_graph()->mutable_output(0)->set_name("z");
  EXPECT_EQ(errorOf(model), "m.onnx: output 'z': wanted a value that a node, an input or an initializer gives, "
                            "found none of this name");
  model = addModel();
  *model.mutable_graph()->add_initializer() = weight(model);
  EXPECT_EQ(errorOf(model), "m.onnx: initializer 'w': wanted it once, found it twice");
  model = addModel();
  node(model).clear_op_type();
  EXPECT_NE(errorOf(model).find("wanted an operator, found none"), std::string::npos);
  model = addModel();
  model.mutable_graph()->clear_output();
  EXPECT_EQ(errorOf(model), "m.onnx: graph 'g': wanted at least one output, found none");
}

TEST(OnnxMalformed, NamesAreSafeToPrint) {
  ::onnx::ModelProto model = addModel();
  model.mutable_graph()->mutable_output(0)->set_name(std::string("\x1b[2J") + std::string(300, 'n'));
  std::string message = errorOf(model);
  EXPECT_NE(message.find("'\\x1b[2Jnnn"), std::string::npos);
  EXPECT_LT(message.size(), 300u);
}

TEST(OnnxMalformed, DeepNesting) {
  ::onnx::ModelProto model = addModel();
  ::onnx::GraphProto *inner = model.mutable_graph();
  for (int i = 0; i < 20; ++i) {
    ::onnx::NodeProto &next = i == 0 ? *inner->mutable_node(0) : *inner->add_node();
    next.set_op_type("If");
    ::onnx::AttributeProto &body = *next.add_attribute();
    body.set_name("then");
    body.set_type(::onnx::AttributeProto::GRAPH);
    inner = body.mutable_g();
  }
  EXPECT_NE(errorOf(model).find("wanted graphs nested at most 16 deep"), std::string::npos);
  for (int i = 0; i < 2000; ++i) {
    ::onnx::NodeProto &next = *inner->add_node();
    next.set_op_type("If");
    ::onnx::AttributeProto &body = *next.add_attribute();
    body.set_name("then");
    body.set_type(::onnx::AttributeProto::GRAPH);
    inner = body.mutable_g();
  }
  EXPECT_NE(errorOf(model).find("broken protobuf in the graph"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// External data
//===----------------------------------------------------------------------===//

class OnnxExternal : public testing::Test {
protected:
  OnnxExternal() {
    std::filesystem::create_directories(folder.path / "model");
    folder.write("model/w.bin", std::string(12, 'x'));
    folder.write("secret", std::string(12, 's'));
    std::filesystem::create_symlink("../secret", folder.path / "model" / "link");
    std::filesystem::create_directory_symlink("..", folder.path / "model" / "up");
  }

  std::string errorFor(const std::string &location, const std::string &offset = "0", const std::string &length = "12") {
    ::onnx::ModelProto model = addModel();
    weight(model).clear_raw_data();
    weight(model).set_data_location(::onnx::TensorProto::EXTERNAL);
    for (auto [key, value] : {std::pair{"location", location}, {"offset", offset}, {"length", length}}) {
      ::onnx::StringStringEntryProto &entry = *weight(model).add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    std::string path = folder.write("model/m.onnx", model.SerializeAsString());
    Result<Model> read = readModel(path);
    return read ? "no error" : read.error().message;
  }

  bool refuses(const std::string &message, const std::string &reason) {
    return message.find("initializer 'w'") != std::string::npos && message.find(reason) != std::string::npos;
  }

  TemporaryFolder folder;
};

TEST_F(OnnxExternal, PathsStayInTheFolder) {
  EXPECT_EQ(errorFor("w.bin"), "no error");
  EXPECT_EQ(errorFor("./w.bin"), "no error");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor("../secret"), "found '..' in it");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor("a/../../secret"), "cannot open it");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor("./../secret"), "found '..' in it");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor("/etc/passwd"), "found an absolute one");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor(""), "found an empty one");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor(std::string("w.bin\0x", 7)), "zero byte");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor("link"), "found a link on the way");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor("up/secret"), "found a link on the way");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor("none"), "cannot open it");
  EXPECT_PRED2([&](auto m, auto r) { return refuses(m, r); }, errorFor("."), "found a folder");
}

TEST_F(OnnxExternal, RangesStayInTheFile) {
  EXPECT_NE(errorFor("w.bin", "1").find("found a file of 12 bytes"), std::string::npos);
  EXPECT_NE(errorFor("w.bin", "18446744073709551615").find("found a file of 12 bytes"), std::string::npos);
  EXPECT_NE(errorFor("w.bin", "-1").find("wanted a whole number as offset"), std::string::npos);
  EXPECT_NE(errorFor("w.bin", "0x0").find("wanted a whole number as offset"), std::string::npos);
  EXPECT_NE(errorFor("w.bin", "0", "8").find("wanted 12 bytes of external data"), std::string::npos);
  EXPECT_NE(errorFor("w.bin", "0", "99999999999999999999").find("wanted a whole number"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// Damage
//===----------------------------------------------------------------------===//

TEST(OnnxMalformed, EveryPrefix) {
  std::string text = addModel().SerializeAsString();
  for (size_t size = 0; size < text.size(); ++size) {
    // A copy of its own, so that a read past the end is noticed.
    Result<Model> model = readModel(Bytes::own({text.begin(), text.begin() + static_cast<long>(size)}), "m.onnx");
    EXPECT_TRUE(model || !model.error().message.empty());
  }
  std::string cut = text.substr(0, text.size() - 1);
  EXPECT_NE(errorOfText(cut), "no error");
}

TEST(OnnxMalformed, EverySingleByteChanged) {
  std::string text = addModel().SerializeAsString();
  for (size_t i = 0; i < text.size(); ++i)
    for (int change : {0x01, 0x08, 0x40, 0x80, 0xff}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      Result<Model> model = readModel(Bytes::own({damaged.begin(), damaged.end()}), "m.onnx");
      EXPECT_TRUE(model || !model.error().message.empty());
    }
}

TEST(OnnxMalformed, ExportedModelCutShort) {
  Result<Bytes> file = mapFile(std::string(TENON_TEST_MODELS) + "/vit/model.onnx");
  ASSERT_TRUE(file);
  for (size_t size = 0; size < file->size(); size += 997) {
    std::string_view part = file->text().substr(0, size);
    Result<Model> model = readModel(Bytes::own({part.begin(), part.end()}), "m.onnx");
    EXPECT_FALSE(model) << size;
  }
}

} // namespace
