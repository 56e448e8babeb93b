//===- FolderImport.cpp - config values, weights and common layers -------------------===//
#include "frontends/huggingface/importer/Architecture.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::huggingface_importer;
using huggingface_reader::ElementType;

template <typename T> T FolderImport::read(Result<T> value) const {
  if (value)
    return std::move(*value);
  if (!graph.hasFailed())
    graph.error() << value.error().message;
  return T();
}

int64_t FolderImport::count(std::string_view key, std::optional<int64_t> otherwise) const {
  // What is wrong has been reported; 1 divides and multiplies without harm.
  return std::max<int64_t>(read(folder.config.count(key, otherwise)), 1);
}

double FolderImport::number(std::string_view key, std::optional<double> otherwise) const {
  return read(folder.config.number(key, otherwise));
}

bool FolderImport::boolean(std::string_view key, std::optional<bool> otherwise) const {
  return read(folder.config.boolean(key, otherwise));
}

std::string FolderImport::string(std::string_view key, std::optional<std::string> otherwise) const {
  return read(folder.config.string(key, std::move(otherwise)));
}

void FolderImport::unsupported(std::string_view key, std::string_view wanted) const {
  if (!graph.hasFailed())
    graph.error() << folder.config.unsupported(key, wanted).message;
}

//===----------------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------------===//

static Type typeOf(ElementType type, Builder builder) {
  switch (type) {
  case ElementType::Float32:
    return builder.getF32Type();
  case ElementType::Float64:
    return builder.getF64Type();
  case ElementType::Float16:
    return builder.getF16Type();
  case ElementType::BFloat16:
    return builder.getBF16Type();
  default:
    return {};
  }
}

Value FolderImport::weight(const std::string &name, const std::vector<int64_t> &shape) {
  if (graph.hasFailed())
    return {};
  Result<const huggingface_reader::Tensor *> tensor = folder.weights.find(prefix + name, shape);
  if (!tensor) {
    graph.error() << tensor.error().message;
    return {};
  }
  const huggingface_reader::Tensor &found = **tensor;
  Type element = typeOf(found.type, Builder(graph.getContext()));
  if (!element) {
    graph.error() << folder.weights.file << ": tensor " << quote(found.name)
                  << ": wanted floating-point elements of 16, 32 or 64 bits, found another type";
    return {};
  }
  auto owner = std::make_shared<Bytes>(found.data);
  Value value = graph.weight(found.name, element, shape, owner->data(), owner);
  if (element == graph.f32())
    return value;
  return graph.recipe(found.name + ".f32", "cast", value, graph.f32(), shape);
}

//===----------------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------------===//

Value FolderImport::linear(Value x, const std::string &name, int64_t in, int64_t out, bool hasBias) {
  at(name, "Linear");
  Value matrix = graph.transposedWeight(weight(name + ".weight", {out, in}), {1, 0});
  return graph.linear(x, matrix, hasBias ? weight(name + ".bias", {out}) : Value());
}

Value FolderImport::layerNorm(Value x, const std::string &name, int64_t width, double epsilon) {
  at(name, "LayerNorm");
  return graph.layerNorm(x, weight(name + ".weight", {width}), weight(name + ".bias", {width}), 1, epsilon);
}

Value FolderImport::activation(Value x, const std::string &function) {
  auto scalar = llvm::StringSwitch<GraphBuilder::Unary>(function)
                    .Case("gelu", &ScalarBuilder::gelu)
                    .Cases({"gelu_new", "gelu_pytorch_tanh"}, &ScalarBuilder::geluTanh)
                    .Case("relu", &ScalarBuilder::relu)
                    .Cases({"silu", "swish"}, &ScalarBuilder::silu)
                    .Case("tanh", &ScalarBuilder::tanh)
                    .Case("sigmoid", &ScalarBuilder::sigmoid)
                    .Default(nullptr);
  if (!scalar) {
    unsupported("hidden_act", "gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish, tanh or sigmoid");
    return {};
  }
  return graph.apply(scalar, x);
}
