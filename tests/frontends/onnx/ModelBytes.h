//===- ModelBytes.h - Small ONNX models for the tests -----------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_TESTS_FRONTENDS_ONNX_MODELBYTES_H
#define TENON_TESTS_FRONTENDS_ONNX_MODELBYTES_H

#include "frontends/onnx/onnx.pb.h"
#include "frontends/onnx/reader/Model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tenon::onnx_reader {

/// A folder of its own, removed at the end of its scope.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenon-onnx-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }

  std::string write(const std::string &name, const std::string &content) const {
    std::ofstream(path / name, std::ios::binary) << content;
    return (path / name).string();
  }

  std::filesystem::path path;
};

/// A value of float32, `dims` as sizes or symbols.
inline void setValue(::onnx::ValueInfoProto &value, const std::string &name, const std::vector<std::string> &dims) {
  value.set_name(name);
  auto &type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(::onnx::TensorProto::FLOAT);
  type.mutable_shape();
  for (const std::string &dim : dims)
    if (std::isdigit(static_cast<unsigned char>(dim[0])))
      type.mutable_shape()->add_dim()->set_dim_value(std::stol(dim));
    else
      type.mutable_shape()->add_dim()->set_dim_param(dim);
}

inline ::onnx::TensorProto &addInitializer(::onnx::ModelProto &model, const std::string &name,
                                           ::onnx::TensorProto::DataType type, const std::vector<int64_t> &dims) {
  ::onnx::TensorProto &tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (int64_t dim : dims)
    tensor.add_dims(dim);
  return tensor;
}

/// y = Add(x, w): x is [batch, 3], w is [3] in raw_data.
inline ::onnx::ModelProto addModel() {
  ::onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("test");
  model.add_opset_import()->set_version(18);
  ::onnx::GraphProto &graph = *model.mutable_graph();
  graph.set_name("g");
  setValue(*graph.add_input(), "x", {"batch", "3"});
  setValue(*graph.add_output(), "y", {"batch", "3"});
  float values[] = {1, 2, 3};
  addInitializer(model, "w", ::onnx::TensorProto::FLOAT, {3}).set_raw_data(values, sizeof(values));
  ::onnx::NodeProto &node = *graph.add_node();
  node.set_name("add");
  node.set_op_type("Add");
  node.add_input("x");
  node.add_input("w");
  node.add_output("y");
  return model;
}

inline Result<Model> readText(const std::string &text) {
  return readModel(Bytes::borrow(text.data(), text.size()), "m.onnx");
}
inline Result<Model> read(const ::onnx::ModelProto &model) {
  // The bytes must outlive the model, whose weights lie in them.
  std::string text = model.SerializeAsString();
  return readModel(Bytes::own({text.begin(), text.end()}), "m.onnx");
}

inline std::string errorOf(const ::onnx::ModelProto &model) {
  Result<Model> result = read(model);
  return result ? "no error" : result.error().message;
}

} // namespace tenon::onnx_reader

#endif // TENON_TESTS_FRONTENDS_ONNX_MODELBYTES_H
