//===- Conversion.cpp - ONNX messages to plain structs --------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/reader/Conversion.h"

#include "frontends/onnx/onnx.pb.h"

#include <set>

using namespace tenon;
using namespace tenon::onnx_reader;
using ::onnx::AttributeProto;

static constexpr unsigned maxNesting = 16;
static constexpr int maxRank = 64;

static std::string plainDomain(const std::string &domain) { return domain == "ai.onnx" ? "" : domain; }

const Attribute *Node::attribute(std::string_view wanted) const {
  for (const Attribute &attribute : attributes)
    if (attribute.name == wanted)
      return &attribute;
  return nullptr;
}

std::string Node::describe() const {
  std::string known = name;
  for (const std::string &output : outputs)
    if (known.empty())
      known = output;
  return "node " + quote(known) + " (" + (domain.empty() ? "" : domain + ".") + opType + ")";
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

static std::string kindOf(const ::onnx::TypeProto &type) {
  switch (type.value_case()) {
  case ::onnx::TypeProto::kTensorType:
    return "tensor";
  case ::onnx::TypeProto::kSequenceType:
    return "sequence";
  case ::onnx::TypeProto::kMapType:
    return "map";
  case ::onnx::TypeProto::kOptionalType:
    return "optional";
  case ::onnx::TypeProto::kSparseTensorType:
    return "sparse_tensor";
  case ::onnx::TypeProto::kOpaqueType:
    return "opaque";
  default:
    return "";
  }
}

/// Old exporters write -1 for a size they do not know.
static Result<Dimension> convertDimension(const ::onnx::TensorShapeProto::Dimension &proto, const std::string &place) {
  Dimension dimension;
  if (proto.has_dim_value() && proto.dim_value() < -1)
    return Error::mismatch(place, "dims of 0 or more", std::to_string(proto.dim_value()));
  if (proto.has_dim_value() && proto.dim_value() >= 0)
    dimension.size = proto.dim_value();
  else if (proto.has_dim_param())
    dimension.symbol = proto.dim_param();
  return dimension;
}

Result<ValueInfo> Conversion::valueInfo(const ::onnx::ValueInfoProto &proto, const char *role) {
  ValueInfo value{proto.name(), kindOf(proto.type()), std::nullopt, std::nullopt};
  if (value.kind != "tensor")
    return value;
  const auto &type = proto.type().tensor_type();
  std::string place = file + ": " + role + " " + quote(value.name);
  value.type = elementTypeOf(type.elem_type());
  if (type.elem_type() != 0 && !value.type)
    return Error::mismatch(place, "a known element type", "number " + std::to_string(type.elem_type()));
  if (!type.has_shape())
    return value;
  if (type.shape().dim_size() > maxRank)
    return Error::mismatch(place, "at most " + std::to_string(maxRank) + " dims",
                           std::to_string(type.shape().dim_size()));
  value.shape.emplace();
  for (const auto &dim : type.shape().dim()) {
    Result<Dimension> dimension = convertDimension(dim, place);
    if (!dimension)
      return dimension.error();
    value.shape->push_back(std::move(*dimension));
  }
  return value;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

Result<std::shared_ptr<Graph>> Conversion::subgraph(::onnx::GraphProto &proto, const std::string &place) {
  if (nesting == maxNesting)
    return Error::mismatch(place, "graphs nested at most " + std::to_string(maxNesting) + " deep", "deeper ones");
  ++nesting;
  Result<Graph> converted = graph(proto, {});
  --nesting;
  if (!converted)
    return converted.error();
  return std::make_shared<Graph>(std::move(*converted));
}

/// Converts each element; stops at the first error.
template <typename T, typename Field, typename Convert>
static Result<Attribute::Value> convertEach(Field &field, const Convert &convert) {
  std::vector<T> converted;
  for (auto &element : field) {
    Result<T> next = convert(element);
    if (!next)
      return next.error();
    converted.push_back(std::move(*next));
  }
  return Attribute::Value(std::move(converted));
}

static std::string_view unreadKind(int type) {
  switch (type) {
  case AttributeProto::SPARSE_TENSOR:
    return "sparse tensor";
  case AttributeProto::SPARSE_TENSORS:
    return "list of sparse tensors";
  case AttributeProto::TYPE_PROTO:
    return "type";
  default:
    return "list of types";
  }
}

Result<Attribute::Value> Conversion::attributeValue(AttributeProto &proto, const std::string &place) {
  if (proto.has_ref_attr_name() && !proto.ref_attr_name().empty())
    return Attribute::Value(Attribute::Reference{proto.ref_attr_name()});
  auto asTensor = [&](::onnx::TensorProto &tensor) { return convertTensor(tensor, std::nullopt, place, external); };
  auto asGraph = [&](::onnx::GraphProto &graph) { return subgraph(graph, place); };
  switch (proto.type()) {
  case AttributeProto::INT:
    return Attribute::Value(static_cast<int64_t>(proto.i()));
  case AttributeProto::FLOAT:
    return Attribute::Value(proto.f());
  case AttributeProto::STRING:
    return Attribute::Value(proto.s());
  case AttributeProto::INTS:
    return Attribute::Value(std::vector<int64_t>(proto.ints().begin(), proto.ints().end()));
  case AttributeProto::FLOATS:
    return Attribute::Value(std::vector<float>(proto.floats().begin(), proto.floats().end()));
  case AttributeProto::STRINGS:
    return Attribute::Value(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
  case AttributeProto::TENSOR: {
    Result<Tensor> tensor = asTensor(*proto.mutable_t());
    return tensor ? Result<Attribute::Value>(Attribute::Value(std::move(*tensor))) : tensor.error();
  }
  case AttributeProto::GRAPH: {
    Result<std::shared_ptr<Graph>> graph = asGraph(*proto.mutable_g());
    return graph ? Result<Attribute::Value>(Attribute::Value(std::move(*graph))) : graph.error();
  }
  case AttributeProto::TENSORS:
    return convertEach<Tensor>(*proto.mutable_tensors(), asTensor);
  case AttributeProto::GRAPHS:
    return convertEach<std::shared_ptr<Graph>>(*proto.mutable_graphs(), asGraph);
  case AttributeProto::UNDEFINED:
    return Error::mismatch(place, "an attribute type", "none");
  default:
    return Attribute::Value(Attribute::Unread{std::string(unreadKind(proto.type()))});
  }
}

Result<Attribute> Conversion::attribute(AttributeProto &proto, const std::string &place) {
  std::string here = place + ", attribute " + quote(proto.name());
  if (proto.name().empty())
    return Error::mismatch(here, "a name", "none");
  Result<Attribute::Value> value = attributeValue(proto, here);
  if (!value)
    return value.error();
  return Attribute{proto.name(), std::move(*value)};
}

//===----------------------------------------------------------------------===//
// Nodes, graphs, functions
//===----------------------------------------------------------------------===//

Result<Node> Conversion::node(::onnx::NodeProto &proto) {
  Node node{proto.name(),
            proto.op_type(),
            plainDomain(proto.domain()),
            {proto.input().begin(), proto.input().end()},
            {proto.output().begin(), proto.output().end()},
            {}};
  std::string place = file + ": " + node.describe();
  if (node.opType.empty())
    return Error::mismatch(place, "an operator", "none");
  std::set<std::string> names;
  for (AttributeProto &attributeProto : *proto.mutable_attribute()) {
    Result<Attribute> converted = attribute(attributeProto, place);
    if (!converted)
      return converted.error();
    if (!names.insert(converted->name).second)
      return Error::mismatch(place, "attribute " + quote(converted->name) + " once", "it twice");
    node.attributes.push_back(std::move(*converted));
  }
  return node;
}

Result<Tensor> Conversion::initializer(::onnx::TensorProto &proto, std::optional<Bytes> raw) {
  std::string place = file + ": initializer " + quote(proto.name());
  if (proto.name().empty())
    return Error::mismatch(place, "a name", "none");
  return convertTensor(proto, std::move(raw), place, external);
}

Result<Graph> Conversion::graph(::onnx::GraphProto &proto, std::vector<Tensor> lifted) {
  Graph graph{proto.name(), {}, std::move(lifted), {}, {}, {}};
  if (proto.sparse_initializer_size() > 0)
    return Error::mismatch(file + ": initializer " + quote(proto.sparse_initializer(0).values().name()),
                           "a dense tensor", "a sparse one");
  for (::onnx::TensorProto &tensor : *proto.mutable_initializer()) {
    Result<Tensor> converted = initializer(tensor, std::nullopt);
    if (!converted)
      return converted.error();
    graph.initializers.push_back(std::move(*converted));
  }
  struct {
    const google::protobuf::RepeatedPtrField<::onnx::ValueInfoProto> &from;
    std::vector<ValueInfo> &to;
    const char *role;
  } lists[] = {{proto.input(), graph.inputs, "input"},
               {proto.output(), graph.outputs, "output"},
               {proto.value_info(), graph.values, "value"}};
  for (auto &list : lists)
    for (const ::onnx::ValueInfoProto &value : list.from) {
      Result<ValueInfo> converted = valueInfo(value, list.role);
      if (!converted)
        return converted.error();
      list.to.push_back(std::move(*converted));
    }
  for (::onnx::NodeProto &nodeProto : *proto.mutable_node()) {
    Result<Node> converted = node(nodeProto);
    if (!converted)
      return converted.error();
    graph.nodes.push_back(std::move(*converted));
  }
  return graph;
}

Result<Function> Conversion::function(::onnx::FunctionProto &proto) {
  Function function;
  function.name = proto.name();
  function.domain = plainDomain(proto.domain());
  function.overload = proto.overload();
  function.inputs.assign(proto.input().begin(), proto.input().end());
  function.outputs.assign(proto.output().begin(), proto.output().end());
  function.attributes.assign(proto.attribute().begin(), proto.attribute().end());
  std::string place = file + ": function " + quote(function.name);
  for (AttributeProto &attributeProto : *proto.mutable_attribute_proto()) {
    Result<Attribute> converted = attribute(attributeProto, place);
    if (!converted)
      return converted.error();
    function.defaults.push_back(std::move(*converted));
  }
  for (::onnx::NodeProto &nodeProto : *proto.mutable_node()) {
    Result<Node> converted = node(nodeProto);
    if (!converted)
      return converted.error();
    function.nodes.push_back(std::move(*converted));
  }
  for (const ::onnx::OperatorSetIdProto &set : proto.opset_import())
    function.operatorSets.push_back({plainDomain(set.domain()), set.version()});
  return function;
}
