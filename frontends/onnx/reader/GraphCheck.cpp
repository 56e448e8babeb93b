//===- GraphCheck.cpp - Values are written once, then read ----------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A nested graph sees the values written before its node in the graphs around
// it, and may shadow them.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/reader/Conversion.h"

#include <unordered_set>

using namespace tenon;
using namespace tenon::onnx_reader;

namespace {

class Scope {
public:
  Scope(const Scope *outer, const std::string &file) : outer(outer), file(file) {}

  Status checkBody(const Graph &graph);
  Status checkNodes(const std::vector<Node> &nodes);
  Status checkOutput(const std::string &name) const;
  Status define(const std::string &name, const std::string &place);
  bool sees(std::string_view name) const { return names.count(name) || (outer && outer->sees(name)); }

private:
  Status checkNode(const Node &node);
  Status checkNested(const Graph &graph) const { return Scope(this, file).checkBody(graph); }

  const Scope *outer;
  const std::string &file;
  std::unordered_set<std::string_view> names;
};

} // namespace

Status Scope::define(const std::string &name, const std::string &place) {
  if (name.empty())
    return Error::mismatch(place, "a name", "none");
  if (!names.insert(name).second)
    return Error::mismatch(place, "value " + quote(name) + " to be written once", "it written before");
  return success();
}

Status Scope::checkOutput(const std::string &name) const {
  if (sees(name))
    return success();
  return Error::mismatch(file + ": output " + quote(name), "a value that a node, an input or an initializer gives",
                         "none of this name");
}

Status Scope::checkNode(const Node &node) {
  auto place = [&] { return file + ": " + node.describe(); };
  for (const std::string &input : node.inputs)
    if (!input.empty() && !sees(input))
      return Error::mismatch(place(), "input " + quote(input) + " to be written by an earlier node",
                             "no such value before this node");
  for (const Attribute &attribute : node.attributes) {
    if (auto *graph = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
      if (Status status = checkNested(**graph); !status)
        return status;
    if (auto *graphs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute.value))
      for (const std::shared_ptr<Graph> &graph : *graphs)
        if (Status status = checkNested(*graph); !status)
          return status;
  }
  for (const std::string &output : node.outputs)
    if (!output.empty())
      if (Status status = define(output, place()); !status)
        return status;
  return success();
}

Status Scope::checkNodes(const std::vector<Node> &nodes) {
  for (const Node &node : nodes)
    if (Status status = checkNode(node); !status)
      return status;
  return success();
}

Status Scope::checkBody(const Graph &graph) {
  for (const ValueInfo &input : graph.inputs)
    if (Status status = define(input.name, file + ": input " + quote(input.name)); !status)
      return status;
  std::unordered_set<std::string_view> initializers;
  for (const Tensor &tensor : graph.initializers) {
    if (!initializers.insert(tensor.name).second)
      return Error::mismatch(file + ": initializer " + quote(tensor.name), "it once", "it twice");
    names.insert(tensor.name); // An input of this name has it as default.
  }
  if (Status status = checkNodes(graph.nodes); !status)
    return status;
  for (const ValueInfo &output : graph.outputs)
    if (Status status = checkOutput(output.name); !status)
      return status;
  return success();
}

Status onnx_reader::checkGraph(const Graph &graph, const std::string &file) {
  if (graph.outputs.empty())
    return Error::mismatch(file + ": graph " + quote(graph.name), "at least one output", "none");
  return Scope(nullptr, file).checkBody(graph);
}

Status onnx_reader::checkFunction(const Function &function, const std::string &file) {
  std::string place = file + ": function " + quote(function.name);
  Scope scope(nullptr, file);
  for (const std::string &input : function.inputs)
    if (Status status = scope.define(input, place + ", input"); !status)
      return status;
  if (Status status = scope.checkNodes(function.nodes); !status)
    return status;
  for (const std::string &output : function.outputs)
    if (Status status = scope.checkOutput(output); !status)
      return Error{place + " in " + status.error().message};
  return success();
}
