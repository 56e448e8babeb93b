//===- NodeOrder.cpp - Nodes after what they read -------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// ONNX wants nodes in an order in which they can be executed. Tools that edit a
// graph append theirs at the end, and ONNX Runtime sorts what it loads, so files
// in another order are about. Nodes that are in order already stay where they
// are; those of a cycle, too, which `checkGraph` then reports.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/reader/Conversion.h"

#include <functional>
#include <queue>
#include <unordered_map>
#include <unordered_set>

using namespace tenon;
using namespace tenon::onnx_reader;

using Names = std::unordered_set<std::string_view>;

static void forEachGraph(const Node &node, const std::function<void(Graph &)> &visit) {
  for (const Attribute &attribute : node.attributes) {
    if (auto *graph = std::get_if<std::shared_ptr<Graph>>(&attribute.value))
      visit(**graph);
    if (auto *graphs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute.value))
      for (const std::shared_ptr<Graph> &graph : *graphs)
        visit(*graph);
  }
}

/// What a node reads: its inputs, and what the graphs within it do not write themselves.
static void collectRead(const Node &node, Names &read) {
  read.insert(node.inputs.begin(), node.inputs.end());
  forEachGraph(node, [&](const Graph &graph) {
    Names within;
    for (const Node &inner : graph.nodes)
      collectRead(inner, within);
    for (const ValueInfo &output : graph.outputs)
      within.insert(output.name);
    for (const ValueInfo &input : graph.inputs)
      within.erase(input.name);
    for (const Tensor &tensor : graph.initializers)
      within.erase(tensor.name);
    for (const Node &inner : graph.nodes)
      for (const std::string &output : inner.outputs)
        within.erase(output);
    read.insert(within.begin(), within.end());
  });
}

void onnx_reader::orderNodes(std::vector<Node> &nodes) {
  std::unordered_map<std::string_view, size_t> writers;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const std::string &output : nodes[i].outputs)
      if (!output.empty())
        writers.emplace(output, i);
  std::vector<std::vector<size_t>> readers(nodes.size());
  std::vector<size_t> waitsFor(nodes.size(), 0);
  for (size_t i = 0; i < nodes.size(); ++i) {
    Names read;
    collectRead(nodes[i], read);
    for (std::string_view name : read)
      if (auto writer = writers.find(name); writer != writers.end()) {
        readers[writer->second].push_back(i);
        ++waitsFor[i];
      }
  }
  // Of the nodes that wait for none, the first of the file.
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  std::vector<size_t> order;
  for (size_t i = 0; i < nodes.size(); ++i)
    if (waitsFor[i] == 0)
      ready.push(i);
  while (!ready.empty()) {
    size_t next = ready.top();
    ready.pop();
    order.push_back(next);
    for (size_t reader : readers[next])
      if (--waitsFor[reader] == 0)
        ready.push(reader);
  }
  if (order.size() == nodes.size()) {
    std::vector<Node> sorted;
    for (size_t i : order)
      sorted.push_back(std::move(nodes[i]));
    nodes = std::move(sorted);
  }
  for (const Node &node : nodes)
    forEachGraph(node, [](Graph &graph) { orderNodes(graph.nodes); });
}
