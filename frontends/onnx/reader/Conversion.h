//===- Conversion.h - ONNX messages to plain structs ------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Private to the reader.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_ONNX_READER_CONVERSION_H
#define TENON_FRONTENDS_ONNX_READER_CONVERSION_H

#include "frontends/onnx/reader/TensorData.h"

namespace onnx {
class AttributeProto;
class FunctionProto;
class GraphProto;
class NodeProto;
class ValueInfoProto;
} // namespace onnx

namespace tenon::onnx_reader {

/// Converts messages, which it may take apart. `file` begins every error.
class Conversion {
public:
  Conversion(std::string file, std::optional<std::string> externalFolder)
      : file(std::move(file)), external(std::move(externalFolder)) {}

  /// An initializer; `raw` as for convertTensor.
  Result<Tensor> initializer(::onnx::TensorProto &proto, std::optional<Bytes> raw);
  /// A graph; tensors in `lifted` come before those still in the message.
  Result<Graph> graph(::onnx::GraphProto &proto, std::vector<Tensor> lifted);
  Result<Function> function(::onnx::FunctionProto &proto);
  /// The external files used so far, by the path the model gives them.
  const std::map<std::string, Bytes> &externalFiles() const { return external.all(); }

private:
  Result<Node> node(::onnx::NodeProto &proto);
  Result<Attribute> attribute(::onnx::AttributeProto &proto, const std::string &place);
  Result<Attribute::Value> attributeValue(::onnx::AttributeProto &proto, const std::string &place);
  Result<std::shared_ptr<Graph>> subgraph(::onnx::GraphProto &proto, const std::string &place);
  Result<ValueInfo> valueInfo(const ::onnx::ValueInfoProto &proto, const char *role);

  std::string file;
  ExternalFiles external;
  unsigned nesting = 0;
};

/// Puts nodes behind those whose outputs they read, in them and the graphs within them.
void orderNodes(std::vector<Node> &nodes);

/// Single assignment, definition before use, named and written outputs.
Status checkGraph(const Graph &graph, const std::string &file);
Status checkFunction(const Function &function, const std::string &file);

} // namespace tenon::onnx_reader

#endif // TENON_FRONTENDS_ONNX_READER_CONVERSION_H
