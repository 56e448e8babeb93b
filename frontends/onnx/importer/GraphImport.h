//===- GraphImport.h - a model's nodes, one after another ---------------------------===//
//
// Private to the importer: the names of a graph or function body and what they stand for.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_GRAPHIMPORT_H
#define TENON_FRONTENDS_ONNX_IMPORTER_GRAPHIMPORT_H

#include "frontends/onnx/importer/OperatorTable.h"
#include "frontends/onnx/importer/SymbolicElements.h"
#include "llvm/ADT/StringSet.h"

namespace tenon::onnx_importer {

class GraphImport {
public:
  GraphImport(const onnx_reader::Model &model, GraphBuilder &graph);

  /// The whole main graph into the builder.
  mlir::LogicalResult run();

  //===--------------------------------------------------------------------------===//
  // For NodeContext
  //===--------------------------------------------------------------------------===//

  /// The value of a name in the current scope, null if there is none.
  ImportedValue *lookup(llvm::StringRef name);
  /// Any value of the current scope given at places that `areSame`, or null.
  const MaskedPlaces *findPlaces(llvm::function_ref<bool(const MaskedPlaces &)> areSame) const;
  void define(llvm::StringRef name, ImportedValue value) { scope->values[name] = std::move(value); }
  /// The attribute, looked up among the function's where it is a reference.
  const onnx_reader::Attribute *resolve(const onnx_reader::Attribute *attribute);
  /// What the file says of a value's dims, where it says all of them in terms of the inputs'.
  std::optional<Shape> declaredShape(llvm::StringRef name);
  /// The tensor of a value, made now if it was not needed before.
  mlir::Value materialise(llvm::StringRef name, ImportedValue &value);
  /// What is known of the elements of tensors.
  SymbolicElements &getElements() { return elements; }

  /// A graph inside a node: its nodes with `inputs` as its inputs, and what is known around it.
  mlir::LogicalResult runGraph(const onnx_reader::Graph &body, llvm::ArrayRef<ImportedValue> inputs,
                               llvm::StringRef node, llvm::StringRef label,
                               llvm::SmallVectorImpl<ImportedValue> &outputs);

  /// What follows comes from this node.
  void locate(const onnx_reader::Node &node);
  /// The name of an input of the model, seen where it is one.
  bool isInputOfModel(llvm::StringRef name) const;

private:
  /// The names of one graph or one call of a local function.
  struct Scope {
    llvm::StringMap<ImportedValue> values;
    llvm::StringMap<const onnx_reader::Attribute *> attributes;
    std::string prefix; ///< Of node names, from the calls that led here.
    int64_t version = 0;
  };

  void defineInitializers(llvm::ArrayRef<onnx_reader::Tensor> initializers);
  mlir::LogicalResult declareInputs();
  Shape shapeOfInput(const onnx_reader::ValueInfo &input);
  mlir::LogicalResult importNodes(llvm::ArrayRef<onnx_reader::Node> nodes);
  mlir::LogicalResult importNode(const onnx_reader::Node &node);
  mlir::LogicalResult callFunction(const onnx_reader::Function &function, const onnx_reader::Node &node);
  mlir::LogicalResult declareOutputs();
  bool agrees(const onnx_reader::ValueInfo &output, const ImportedValue &value);
  mlir::Value materialiseSizes(const Sizes &sizes, mlir::Type element);
  mlir::Value materialiseConstant(llvm::StringRef name, const onnx_reader::Tensor &tensor, mlir::Type element);

  std::optional<Shape> shapeOfInfo(const onnx_reader::ValueInfo &info);

  const onnx_reader::Model &model;
  llvm::StringMap<const onnx_reader::ValueInfo *> infos; ///< Of the main graph's inner values and outputs.
  llvm::StringSet<> inputSymbols;
  GraphBuilder &graph;
  SymbolicElements elements;
  Scope *scope = nullptr;
  unsigned callDepth = 0;
};

} // namespace tenon::onnx_importer
#endif
