//===- GraphImport.cpp - a model's nodes, one after another -------------------------===//
#include "frontends/onnx/importer/GraphImport.h"
#include "frontends/onnx/importer/ConstantFormula.h"
#include "frontends/onnx/importer/EachPlace.h"
#include "frontends/onnx/importer/MaskedPlaces.h"
#include "frontends/onnx/importer/StorageTypes.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

static int64_t versionOf(ArrayRef<onnx_reader::OperatorSet> sets) {
  for (const onnx_reader::OperatorSet &set : sets)
    if (set.domain.empty())
      return set.version;
  return 0;
}

GraphImport::GraphImport(const onnx_reader::Model &model, GraphBuilder &graph)
    : model(model), graph(graph), elements(graph.getBounds()) {}

ImportedValue *GraphImport::lookup(StringRef name) {
  auto it = scope->values.find(name);
  return it == scope->values.end() ? nullptr : &it->second;
}

const MaskedPlaces *GraphImport::findPlaces(llvm::function_ref<bool(const MaskedPlaces &)> areSame) const {
  for (const auto &entry : scope->values)
    if (const MaskedPlaces *places = entry.second.places.get(); places && places->flags && areSame(*places))
      return places;
  return nullptr;
}

const onnx_reader::Attribute *GraphImport::resolve(const onnx_reader::Attribute *attribute) {
  if (!attribute)
    return nullptr;
  auto *reference = std::get_if<onnx_reader::Attribute::Reference>(&attribute->value);
  return reference ? scope->attributes.lookup(reference->name) : attribute;
}

//===----------------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------------===//

Value GraphImport::materialise(StringRef name, ImportedValue &value) {
  if (value.tensor || graph.hasFailed())
    return value.tensor;
  auto isOfData = [&](const Dim &size) { return graph.isOfData(size); };
  if (value.places || (value.sizes && llvm::any_of(value.sizes->elements, isOfData))) {
    const Dim &size = value.places ? value.places->count : *llvm::find_if(value.sizes->elements, isOfData);
    graph.error() << quote(name)
                  << ": wanted sizes known from the shapes of the inputs, or a result whose dims the file "
                  << "gives, found " << size.str() << " (docs/onnx-support.md, Sizes that are data)";
    return {};
  }
  Type element = onnx_importer::typeOf(value.type, graph.getContext());
  if (!element) {
    graph.error() << "value " << quote(name) << " has elements of " << onnx_reader::nameOf(value.type)
                  << ", which are not supported" << insteadOfType(value.type);
    return {};
  }
  value.tensor = value.sizes && !value.constant ? materialiseSizes(*value.sizes, element)
                                                : materialiseConstant(name, *value.constant, element);
  if (value.sizes && value.tensor)
    elements.remember(value.tensor, *value.sizes);
  return value.tensor;
}

static Shape shapeOfDims(ArrayRef<int64_t> dims) {
  return llvm::map_to_vector<4>(dims, [](int64_t size) { return Dim(size); });
}

/// What positions give (0, 1, 2, …; masks that are all true, or causal) becomes a formula of them, other constants a
/// weight.
Value GraphImport::materialiseConstant(StringRef name, const onnx_reader::Tensor &tensor, Type element) {
  Shape shape = shapeOfDims(tensor.dims);
  if (tensor.elementCount == 0)
    return graph.splat(element, 0, shape);
  if (tensor.elementCount == 1)
    return graph.splat(elementAt(tensor, 0, element), shape);
  if (Value formula = formulaOf(tensor, element, graph))
    return formula;
  auto owner =
      std::make_shared<Bytes>(onnx_reader::bitsOf(tensor.type) < 8 ? Bytes::own(unpacked(tensor)) : tensor.data);
  return graph.weight(tensor.name.empty() ? name : StringRef(tensor.name), element, tensor.dims, owner->data(), owner);
}

/// Numbers alone, which may follow a formula; nothing where one is an expression.
static std::optional<onnx_reader::Tensor> numbersOf(const Sizes &sizes) {
  onnx_reader::Tensor tensor{
      {}, onnx_reader::ElementType::Int64, {sizes.dims.begin(), sizes.dims.end()}, int64_t(sizes.elements.size()), {}, {}};
  std::vector<uint8_t> bytes;
  for (const Dim &element : sizes.elements) {
    std::optional<int64_t> number = element.constant();
    if (!number)
      return std::nullopt;
    const auto *first = reinterpret_cast<const uint8_t *>(&*number);
    bytes.insert(bytes.end(), first, first + sizeof(int64_t));
  }
  tensor.data = Bytes::own(std::move(bytes));
  return tensor;
}

Value GraphImport::materialiseSizes(const Sizes &sizes, Type element) {
  if (sizes.elements.size() > 1)
    if (std::optional<onnx_reader::Tensor> numbers = numbersOf(sizes))
      if (Value formula = formulaOf(*numbers, element, graph))
        return formula;
  return graph.map(element, shapeOfDims(sizes.dims), {}, [&](ScalarBuilder &s, ValueRange, ValueRange at) {
    // The element at the row-major position of the index, selected from all.
    Value position = s.index(0);
    for (auto [index, size] : llvm::zip(at, sizes.dims))
      position = s.add(s.mul(position, s.index(size)), index);
    if (sizes.elements.empty())
      return s.integer(element, 0);
    Value value = s.size(sizes.elements.back());
    for (unsigned i = sizes.elements.size() - 1; i-- > 0;)
      value = s.select(s.compare(Comparison::Equal, position, s.index(i)), s.size(sizes.elements[i]), value);
    return s.cast(value, element);
  });
}

//===----------------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------------===//

Shape GraphImport::shapeOfInput(const onnx_reader::ValueInfo &input) {
  Shape shape;
  for (auto [i, dim] : llvm::enumerate(*input.shape)) {
    if (dim.size)
      shape.push_back(Dim(*dim.size));
    else
      shape.push_back(graph.symbol(dim.symbol.empty() ? input.name + "." + std::to_string(i) : dim.symbol));
  }
  return shape;
}

std::optional<Shape> GraphImport::shapeOfInfo(const onnx_reader::ValueInfo &info) {
  Shape shape;
  for (const onnx_reader::Dimension &dim : *info.shape) {
    if (dim.size)
      shape.push_back(Dim(*dim.size));
    else if (inputSymbols.contains(dim.symbol))
      shape.push_back(graph.symbol(dim.symbol));
    else
      return std::nullopt;
  }
  return shape;
}

/// Operators whose result has the dims of their operand.
static bool keepsShape(StringRef opType) {
  return llvm::is_contained({"Abs", "Cast", "CastLike", "Exp", "Identity", "Log", "Neg", "Sqrt"}, opType);
}

std::optional<Shape> GraphImport::declaredShape(StringRef name) {
  if (callDepth > 0)
    return std::nullopt;
  if (const onnx_reader::ValueInfo *info = infos.lookup(name); info && info->shape)
    return shapeOfInfo(*info);
  // Or of what is computed from it, element by element.
  for (const onnx_reader::Node &node : model.graph.nodes)
    if (keepsShape(node.opType) && node.inputs[0] == name)
      return declaredShape(node.outputs[0]);
  return std::nullopt;
}

/// What a user can do about an input that is no tensor of numbers of known rank.
static std::string insteadOf(const onnx_reader::ValueInfo &input) {
  if (!input.type)
    return "; export the model with tensors alone as its inputs";
  std::string instead = insteadOfType(*input.type);
  return instead.empty() ? "; give its rank in the file, unknown sizes by name (onnx.tools.update_model_dims)"
                         : instead;
}

LogicalResult GraphImport::declareInputs() {
  for (const onnx_reader::ValueInfo &input : model.graph.inputs) {
    if (scope->values.contains(input.name)) // A default, as old files have: the initializer is the value.
      continue;
    graph.at(input.name, "input");
    Type element = input.type ? onnx_importer::typeOf(*input.type, graph.getContext()) : Type();
    if (!element || !input.shape)
      return graph.error() << "input " << quote(input.name)
                           << ": wanted a tensor of numbers or bool of known rank, found "
                           << (input.kind.empty() ? "no type" : input.kind.c_str())
                           << (input.type ? " of " + std::string(onnx_reader::nameOf(*input.type)) : std::string())
                           << (input.shape ? "" : " without a shape") << insteadOf(input);
    ImportedValue value;
    value.type = *input.type;
    value.tensor = graph.input(input.name, element, shapeOfInput(input), signOf(value.type));
    if (!value.tensor)
      return failure();
    define(input.name, std::move(value));
  }
  return mlir::success();
}

/// True unless what the file says of an output contradicts what it was inferred to be.
bool GraphImport::agrees(const onnx_reader::ValueInfo &output, const ImportedValue &value) {
  if (output.type && *output.type != value.type) {
    graph.error() << "output " << quote(output.name) << ": the file says " << onnx_reader::nameOf(*output.type)
                  << ", found " << onnx_reader::nameOf(value.type);
    return false;
  }
  if (!output.shape)
    return true;
  Shape found = tenon::shapeOf(value.tensor);
  bool same = output.shape->size() == found.size();
  for (size_t i = 0; same && i < found.size(); ++i)
    if (auto size = (*output.shape)[i].size)
      same = Dim::isKnownEqual(Dim(*size), found[i], graph.getBounds()).value_or(true);
  if (!same) {
    auto texts = llvm::map_range(*output.shape, [](const onnx_reader::Dimension &dim) {
      return dim.size ? std::to_string(*dim.size) : dim.symbol.empty() ? "?" : dim.symbol;
    });
    graph.error() << "output " << quote(output.name) << ": the file says dims [" << llvm::join(texts, ", ")
                  << "], found " << toString(found);
  }
  return same;
}

LogicalResult GraphImport::declareOutputs() {
  for (const onnx_reader::ValueInfo &output : model.graph.outputs) {
    graph.at(output.name, "output");
    ImportedValue *value = lookup(output.name);
    if (!value || !materialise(output.name, *value) || !agrees(output, *value))
      return failure();
    graph.output(output.name, value->tensor, signOf(value->type));
  }
  return failure(graph.hasFailed());
}

//===----------------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------------===//

static const onnx_reader::Function *findFunction(const onnx_reader::Model &model, const onnx_reader::Node &node) {
  for (const onnx_reader::Function &function : model.functions)
    if (function.name == node.opType && function.domain == node.domain)
      return &function;
  return nullptr;
}

LogicalResult GraphImport::callFunction(const onnx_reader::Function &function, const onnx_reader::Node &node) {
  constexpr unsigned maxDepth = 32;
  if (callDepth == maxDepth)
    return graph.error() << "wants at most " << maxDepth << " local functions within each other";
  Scope inner;
  inner.version = versionOf(function.operatorSets);
  if (inner.version == 0)
    inner.version = scope->version;
  inner.prefix = scope->prefix + (node.name.empty() ? node.opType : node.name) + "/";
  for (const onnx_reader::Attribute &attribute : function.defaults)
    inner.attributes[attribute.name] = &attribute;
  for (const onnx_reader::Attribute &attribute : node.attributes)
    if (const onnx_reader::Attribute *resolved = resolve(&attribute))
      inner.attributes[attribute.name] = resolved;
  for (size_t i = 0; i < std::min(function.inputs.size(), node.inputs.size()); ++i)
    if (ImportedValue *value = lookup(node.inputs[i]))
      inner.values[function.inputs[i]] = *value;
  Scope *outer = scope;
  scope = &inner;
  ++callDepth;
  LogicalResult done = importNodes(function.nodes);
  --callDepth;
  scope = outer;
  if (failed(done))
    return failure();
  for (size_t i = 0; i < std::min(function.outputs.size(), node.outputs.size()); ++i)
    if (inner.values.contains(function.outputs[i]))
      define(node.outputs[i], inner.values[function.outputs[i]]);
  return mlir::success();
}

LogicalResult GraphImport::runGraph(const onnx_reader::Graph &body, ArrayRef<ImportedValue> inputs, StringRef node,
                                    StringRef label, SmallVectorImpl<ImportedValue> &outputs) {
  if (inputs.size() != body.inputs.size())
    return graph.error() << "wants a graph of " << inputs.size() << " inputs, found " << body.inputs.size();
  Scope inner = *scope;
  inner.prefix += (node + "/" + label + "/").str();
  Scope *outer = scope;
  scope = &inner;
  defineInitializers(body.initializers);
  for (auto [info, value] : llvm::zip(body.inputs, inputs))
    define(info.name, value);
  ++callDepth;
  LogicalResult done = importNodes(body.nodes);
  --callDepth;
  scope = outer;
  if (failed(done))
    return failure();
  for (const onnx_reader::ValueInfo &output : body.outputs) {
    auto it = inner.values.find(output.name);
    if (it == inner.values.end())
      return graph.error() << "its graph gives no " << quote(output.name);
    outputs.push_back(it->second);
  }
  return mlir::success();
}

void GraphImport::locate(const onnx_reader::Node &node) {
  StringRef name = node.name;
  if (name.empty() && !node.outputs.empty())
    name = node.outputs[0];
  graph.at(scope->prefix + name.str(), node.opType);
}

bool GraphImport::isInputOfModel(StringRef name) const {
  return callDepth == 0 &&
         llvm::any_of(model.graph.inputs, [&](const onnx_reader::ValueInfo &input) { return input.name == name; });
}

LogicalResult GraphImport::importNode(const onnx_reader::Node &node) {
  locate(node);
  if (const onnx_reader::Function *function = findFunction(model, node))
    return callFunction(*function, node);
  const Operator *op = findOperator(node.domain, node.opType);
  NodeContext context(*this, graph, node, scope->version);
  if (op->sizes)
    if (std::optional<Sizes> sizes = op->sizes(context);
        sizes && llvm::all_of(sizes->elements, [](const Dim &element) { return element.isValid(); })) {
      ElementType type = sizes->type;
      define(node.outputs[0], {type, {}, std::move(sizes), nullptr});
      return failure(graph.hasFailed());
    }
  if (graph.hasFailed())
    return failure();
  std::optional<LogicalResult> done = importForEachPlace(context, *op);
  if (!done) {
    context.forgetAsked();
    done = op->import(context);
  }
  if (failed(*done))
    return failure();
  return context.checkAllRead();
}

LogicalResult GraphImport::importNodes(ArrayRef<onnx_reader::Node> nodes) {
  for (const onnx_reader::Node &node : nodes)
    if (failed(importNode(node))) {
      if (!graph.hasFailed())
        graph.error() << "could not be imported";
      return failure();
    }
  return mlir::success();
}

/// The model outlives the import: nothing is copied.
void GraphImport::defineInitializers(ArrayRef<onnx_reader::Tensor> initializers) {
  for (const onnx_reader::Tensor &tensor : initializers) {
    std::shared_ptr<const onnx_reader::Tensor> constant(std::shared_ptr<void>(), &tensor);
    define(tensor.name, {tensor.type, {}, sizesOf(tensor), std::move(constant)});
  }
}

LogicalResult GraphImport::run() {
  Scope main;
  main.version = versionOf(model.operatorSets);
  scope = &main;
  defineInitializers(model.graph.initializers);
  for (const onnx_reader::ValueInfo &input : model.graph.inputs)
    if (input.shape)
      for (const onnx_reader::Dimension &dim : *input.shape)
        if (!dim.symbol.empty())
          inputSymbols.insert(dim.symbol);
  for (auto *list : {&model.graph.values, &model.graph.outputs})
    for (const onnx_reader::ValueInfo &info : *list)
      infos[info.name] = &info;
  if (failed(declareInputs()) || failed(importNodes(model.graph.nodes)))
    return failure();
  return declareOutputs();
}
