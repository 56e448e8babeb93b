//===- Model.cpp - Bytes to a checked ONNX model --------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// ModelProto.graph (7) > GraphProto.initializer (5) > TensorProto.raw_data (9)
// is where a file's weight lies. The scanner walks those three levels in place
// and notes raw_data as a slice of the file; every other field is gathered and
// parsed by libprotobuf. Fields gathered from repeated occurrences of a message
// merge as protobuf prescribes.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/reader/Model.h"

#include "frontends/onnx/onnx.pb.h"
#include "frontends/onnx/reader/Conversion.h"
#include "frontends/onnx/reader/WireScanner.h"

#include <limits>

using namespace tenon;
using namespace tenon::onnx_reader;

namespace {

/// Field numbers of onnx.proto.
enum : uint32_t { modelGraph = 7, modelTraining = 20, graphInitializer = 5, tensorRawData = 9 };

class Reading {
public:
  Reading(const Bytes &bytes, const std::string &name, const std::optional<std::string> &externalFolder)
      : bytes(bytes), conversion(name, externalFolder) {
    model.file = name;
  }

  Result<Model> run();

private:
  Status scanModel();
  Status scanGraph(std::string_view message);
  Status liftInitializer(std::string_view message);
  Status convertModel();
  Status convertGraph();
  Status check() const;

  template <typename Message> Status parse(std::string_view text, Message &message, const char *what) const;
  Error brokenAt(std::string_view message, const WireScanner &scanner) const;
  Error notAModel(const std::string &found) const { return Error::mismatch(model.file, "an ONNX model", found); }

  const Bytes &bytes;
  Conversion conversion;
  Model model;
  std::string modelFields, graphFields; ///< What libprotobuf is given.
  std::vector<Tensor> initializers;
};

} // namespace

Error Reading::brokenAt(std::string_view message, const WireScanner &scanner) const {
  size_t offset = static_cast<size_t>(message.data() - bytes.text().data()) + scanner.position();
  return notAModel("broken or cut protobuf at byte " + std::to_string(offset) + " of " + std::to_string(bytes.size()));
}

template <typename Message> Status Reading::parse(std::string_view text, Message &message, const char *what) const {
  if (text.size() > static_cast<size_t>(std::numeric_limits<int>::max()))
    return Error::mismatch(model.file, std::string(what) + " of less than 2 GiB without its initializers",
                           std::to_string(text.size()) + " bytes");
  if (!message.ParseFromArray(text.data(), static_cast<int>(text.size())))
    return notAModel(std::string("broken protobuf in ") + what);
  return success();
}

std::optional<Model::Place> Model::locate(const Bytes &data) const {
  auto start = reinterpret_cast<uintptr_t>(data.data());
  for (const Source &source : sources) {
    auto first = reinterpret_cast<uintptr_t>(source.bytes.data());
    if (!data.empty() && start >= first && start - first < source.bytes.size())
      return Place{&source, start - first};
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Scanning
//===----------------------------------------------------------------------===//

Status Reading::liftInitializer(std::string_view message) {
  std::optional<Bytes> raw;
  std::string rest;
  WireScanner scanner(message);
  while (auto field = scanner.next()) {
    if (field->number == tensorRawData && field->message)
      raw = bytes.slice(*field->message);
  }
  if (scanner.failed())
    return brokenAt(message, scanner);
  if (raw) {
    WireScanner again(message);
    while (auto field = again.next())
      if (field->number != tensorRawData || !field->message)
        rest.append(field->whole);
  }
  ::onnx::TensorProto proto;
  if (Status status = parse(raw ? std::string_view(rest) : message, proto, "an initializer"); !status)
    return status;
  Result<Tensor> tensor = conversion.initializer(proto, std::move(raw));
  if (!tensor)
    return tensor.error();
  initializers.push_back(std::move(*tensor));
  return success();
}

Status Reading::scanGraph(std::string_view message) {
  WireScanner scanner(message);
  while (auto field = scanner.next()) {
    if (field->number != graphInitializer || !field->message)
      graphFields.append(field->whole);
    else if (Status status = liftInitializer(*field->message); !status)
      return status;
  }
  return scanner.failed() ? Status(brokenAt(message, scanner)) : success();
}

Status Reading::scanModel() {
  WireScanner scanner(bytes.text());
  std::vector<std::string_view> graphs;
  while (auto field = scanner.next()) {
    if (field->number == modelGraph && field->message)
      graphs.push_back(*field->message);
    else if (field->number != modelTraining)
      modelFields.append(field->whole);
  }
  if (scanner.failed())
    return brokenAt(bytes.text(), scanner);
  if (graphs.empty())
    return notAModel("protobuf without a graph");
  for (std::string_view graph : graphs)
    if (Status status = scanGraph(graph); !status)
      return status;
  return success();
}

//===----------------------------------------------------------------------===//
// Converting
//===----------------------------------------------------------------------===//

Status Reading::convertModel() {
  ::onnx::ModelProto proto;
  if (Status status = parse(modelFields, proto, "the model's header"); !status)
    return status;
  modelFields = {};
  if (!proto.has_ir_version() || proto.ir_version() < 1)
    return notAModel("no IR version");
  if (proto.opset_import_size() == 0)
    return notAModel("no operator set version");
  model.irVersion = proto.ir_version();
  model.producer = proto.producer_name() + (proto.has_producer_version() ? " " + proto.producer_version() : "");
  for (const auto &set : proto.opset_import())
    model.operatorSets.push_back({set.domain() == "ai.onnx" ? "" : set.domain(), set.version()});
  for (const auto &entry : proto.metadata_props())
    model.metadata.emplace_back(entry.key(), entry.value());
  for (::onnx::FunctionProto &functionProto : *proto.mutable_functions()) {
    Result<Function> function = conversion.function(functionProto);
    if (!function)
      return function.error();
    orderNodes(function->nodes);
    model.functions.push_back(std::move(*function));
  }
  return success();
}

Status Reading::convertGraph() {
  ::onnx::GraphProto proto;
  if (Status status = parse(graphFields, proto, "the graph"); !status)
    return status;
  graphFields = {};
  Result<Graph> graph = conversion.graph(proto, std::move(initializers));
  if (!graph)
    return graph.error();
  model.graph = std::move(*graph);
  orderNodes(model.graph.nodes);
  return success();
}

Status Reading::check() const {
  for (const Function &function : model.functions)
    if (Status status = checkFunction(function, model.file); !status)
      return status;
  return checkGraph(model.graph, model.file);
}

Result<Model> Reading::run() {
  if (bytes.empty())
    return notAModel("an empty file");
  Status status = scanModel();
  if (status)
    status = convertModel();
  if (status)
    status = convertGraph();
  if (status)
    status = check();
  if (!status)
    return status.error();
  model.sources.push_back({model.file.substr(model.file.rfind('/') + 1), bytes});
  for (const auto &[name, file] : conversion.externalFiles())
    model.sources.push_back({name, file});
  return std::move(model);
}

Result<Model> onnx_reader::readModel(const Bytes &bytes, const std::string &name,
                                     const std::optional<std::string> &externalFolder) {
  return Reading(bytes, name, externalFolder).run();
}

Result<Model> onnx_reader::readModel(const std::string &path) {
  Result<Bytes> bytes = mapFile(path);
  if (!bytes)
    return bytes.error();
  return readModel(*bytes, path, folderOf(path));
}
