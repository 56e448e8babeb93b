//===- NodeContext.cpp - operands, attributes and results of a node -----------------===//
#include "frontends/onnx/importer/GraphImport.h"
#include "frontends/onnx/importer/MaskedPlaces.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

//===----------------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------------===//

ImportedValue *NodeContext::known(unsigned i) {
  auto it = replaced.find(i);
  if (it != replaced.end())
    return &it->second;
  return has(i) ? import.lookup(node.inputs[i]) : nullptr;
}

ImportedValue *NodeContext::operand(unsigned i) {
  if (!has(i)) {
    error() << "wants an input " << i << ", found " << count() << (count() == 1 ? " input" : " inputs");
    return nullptr;
  }
  ImportedValue *value = known(i);
  if (!value)
    error() << "input " << i << " is " << quote(node.inputs[i]) << ", which has no value here";
  return value;
}

Value NodeContext::tensor(unsigned i) {
  ImportedValue *value = operand(i);
  return value ? import.materialise(node.inputs[i], *value) : Value();
}

SmallVector<Value> NodeContext::tensors() {
  SmallVector<Value> all;
  for (unsigned i = 0; i < count(); ++i)
    all.push_back(tensor(i));
  return all;
}

ElementType NodeContext::type(unsigned i) {
  ImportedValue *value = operand(i);
  return value ? value->type : ElementType::Float32;
}

Shape NodeContext::shape(unsigned i) {
  ImportedValue *value = operand(i);
  if (!value)
    return {};
  if (value->tensor)
    return shapeOf(value->tensor);
  if (value->places)
    return value->places->shape();
  ArrayRef<int64_t> dims = value->constant ? ArrayRef<int64_t>(value->constant->dims) : value->sizes->dims;
  return llvm::map_to_vector<4>(dims, [](int64_t size) { return Dim(size); });
}

std::optional<Sizes> NodeContext::sizes(unsigned i) {
  ImportedValue *value = known(i);
  if (!value)
    return std::nullopt;
  if (value->sizes)
    return value->sizes;
  return value->tensor ? import.getElements().sizesOf(value->tensor) : std::nullopt;
}

std::optional<bool> NodeContext::isNonZeroThroughout(unsigned i) {
  Value x = tensor(i);
  return x ? import.getElements().isNonZeroThroughout(x) : std::nullopt;
}

std::optional<std::pair<Dim, int64_t>> NodeContext::fraction(unsigned i) {
  Value x = tensor(i);
  return x ? import.getElements().fractionOf(x) : std::nullopt;
}

std::string NodeContext::describeData(unsigned i) {
  bool isInput = import.isInputOfModel(node.inputs[i]);
  return std::string(isInput ? "an input of the model: make it a constant when exporting" : "computed data") +
         " (docs/onnx-support.md, Sizes that are data)";
}

std::optional<Sizes> NodeContext::wantSizes(unsigned i, StringRef what) {
  if (operand(i)) {
    if (std::optional<Sizes> known = sizes(i))
      return known;
    error() << what << " (input " << i << ", " << quote(node.inputs[i])
            << "): wanted sizes known from the shapes of the inputs, found " << describeData(i);
  }
  return std::nullopt;
}

std::optional<SmallVector<std::optional<Dim>>> NodeContext::eachSize(unsigned i) {
  if (std::optional<Sizes> known = sizes(i))
    return SmallVector<std::optional<Dim>>(known->elements.begin(), known->elements.end());
  Value list = tensor(i);
  return list ? import.getElements().eachSizeOf(list) : std::nullopt;
}

const MaskedPlaces *NodeContext::places(unsigned i) {
  ImportedValue *value = known(i);
  return value ? value->places.get() : nullptr;
}

const MaskedPlaces *NodeContext::samePlaces(llvm::function_ref<bool(const MaskedPlaces &)> areSame) {
  return import.findPlaces(areSame);
}

const onnx_reader::Tensor *NodeContext::constant(unsigned i) {
  ImportedValue *value = known(i);
  return value ? value->constant.get() : nullptr;
}

std::optional<Shape> NodeContext::declared(unsigned output) {
  return output < node.outputs.size() ? import.declaredShape(node.outputs[output]) : std::nullopt;
}

std::optional<Shape> NodeContext::wantDeclared(unsigned i, StringRef what, unsigned output) {
  std::optional<Shape> shape = declared(output);
  if (shape)
    return shape;
  while (!isComputed(i) && i + 1 < count())
    ++i;
  error() << what << " (input " << i << ", " << quote(node.inputs[i])
          << "): wanted sizes known from the shapes of the inputs, or a result whose dims the file gives, found "
          << describeData(i);
  return std::nullopt;
}

std::optional<SmallVector<int64_t>> NodeContext::wantConstants(unsigned i, StringRef what) {
  std::optional<Sizes> known = wantSizes(i, what);
  if (!known)
    return std::nullopt;
  auto constants = known->constants();
  if (!constants)
    error() << what << " (input " << i << ", " << quote(node.inputs[i]) << "): wanted constants, found "
            << toString(known->elements) << "; give what is in it one size (--dim NAME=SIZE)";
  return constants;
}

//===----------------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------------===//

const onnx_reader::Attribute *NodeContext::find(StringRef name) {
  const onnx_reader::Attribute *attribute = node.attribute(name);
  if (attribute)
    read.push_back(attribute->name);
  return import.resolve(attribute);
}

template <typename T> const T *NodeContext::typed(StringRef name, StringRef wanted) {
  const onnx_reader::Attribute *attribute = find(name);
  if (!attribute)
    return nullptr;
  const T *value = std::get_if<T>(&attribute->value);
  if (!value)
    error() << "attribute '" << name << "': wanted " << wanted << ", found another type";
  return value;
}

int64_t NodeContext::integer(StringRef name, int64_t otherwise) {
  const int64_t *value = typed<int64_t>(name, "an integer");
  return value ? *value : otherwise;
}

double NodeContext::real(StringRef name, double otherwise) {
  const float *value = typed<float>(name, "a float");
  return value ? *value : otherwise;
}

std::string NodeContext::text(StringRef name, StringRef otherwise) {
  const std::string *value = typed<std::string>(name, "a string");
  return value ? *value : otherwise.str();
}

std::optional<SmallVector<int64_t>> NodeContext::integers(StringRef name) {
  const std::vector<int64_t> *value = typed<std::vector<int64_t>>(name, "a list of integers");
  if (!value)
    return std::nullopt;
  return SmallVector<int64_t>(value->begin(), value->end());
}

const onnx_reader::Tensor *NodeContext::tensorAttribute(StringRef name) {
  return typed<onnx_reader::Tensor>(name, "a tensor");
}

std::optional<SmallVector<int64_t>> NodeContext::axes(unsigned i) {
  if (hasAttribute("axes"))
    return integers("axes");
  return has(i) ? wantConstants(i, "axes") : std::nullopt;
}

LogicalResult NodeContext::checkAllRead() {
  for (const onnx_reader::Attribute &attribute : node.attributes)
    if (!llvm::is_contained(read, attribute.name))
      return error() << "attribute " << quote(attribute.name) << " is not one of this operator's in operator set "
                     << version;
  for (unsigned i = 0; i < count(); ++i)
    if (!node.inputs[i].empty() && !asked.count(i))
      return error() << "input " << i << ": wanted none of it, found " << quote(node.inputs[i]);
  return failure(graph.hasFailed());
}

//===----------------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------------===//

void NodeContext::define(unsigned i, ImportedValue value) {
  if (i < node.outputs.size() && !node.outputs[i].empty())
    import.define(node.outputs[i], std::move(value));
}

LogicalResult NodeContext::result(Value value, ElementType type) {
  if (!value || failed(results(value)))
    return failure();
  define(0, {type, value, std::nullopt, nullptr});
  return mlir::success();
}

LogicalResult NodeContext::results(ValueRange values, ArrayRef<ElementType> types) {
  if (failed(results(values)))
    return failure();
  for (auto [i, value] : llvm::enumerate(values))
    define(i, {types[i], value, std::nullopt, nullptr});
  return mlir::success();
}

LogicalResult NodeContext::results(ValueRange values) {
  for (unsigned i = values.size(); i < node.outputs.size(); ++i)
    if (!node.outputs[i].empty())
      return error() << "output " << i << " (" << quote(node.outputs[i]) << ") is not supported";
  for (auto [i, value] : llvm::enumerate(values)) {
    if (!value)
      return failure();
    ElementType type = elementTypeOf(elementOf(value));
    // Integers of the program carry no sign: a result like its operand has the operand's.
    if (has(0))
      if (ImportedValue *first = import.lookup(node.inputs[0]);
          first && onnx_importer::typeOf(first->type, graph.getContext()) == elementOf(value))
        type = first->type;
    define(i, {type, value, std::nullopt, nullptr});
  }
  return mlir::success();
}

LogicalResult NodeContext::results(ArrayRef<ImportedValue> values) {
  for (unsigned i = values.size(); i < node.outputs.size(); ++i)
    if (!node.outputs[i].empty())
      return error() << "output " << i << " (" << quote(node.outputs[i]) << ") is not supported";
  for (auto [i, value] : llvm::enumerate(values))
    define(i, value);
  return failure(graph.hasFailed());
}

const ImportedValue *NodeContext::given(unsigned i) {
  return i < node.outputs.size() && !node.outputs[i].empty() ? import.lookup(node.outputs[i]) : nullptr;
}

ImportedValue NodeContext::value(unsigned i) {
  ImportedValue *known = operand(i);
  return known ? *known : ImportedValue();
}

Value NodeContext::materialise(ImportedValue &value) {
  return import.materialise(node.outputs.empty() ? "" : StringRef(node.outputs[0]), value);
}

std::optional<SmallVector<ImportedValue>> NodeContext::runGraph(const onnx_reader::Graph &body,
                                                                ArrayRef<ImportedValue> inputs, StringRef label) {
  SmallVector<ImportedValue> outputs;
  if (failed(import.runGraph(body, inputs, node.name.empty() ? node.opType : node.name, label, outputs)))
    return std::nullopt;
  import.locate(node);
  return outputs;
}

LogicalResult NodeContext::result(std::shared_ptr<const onnx_reader::Tensor> constant) {
  ImportedValue value{constant->type, {}, sizesOf(*constant), std::move(constant)};
  define(0, std::move(value));
  return mlir::success();
}
