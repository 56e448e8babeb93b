//===- NodeContext.h - one ONNX node being imported -------------------------------===//
//
// What an operator's importer sees: the operands as tensors or sizes, the attributes,
// the builder. A mistake is an error at the node; the importer may go on with the null
// value it then gets, and reports it by returning `result` of it.
//
// An attribute or an operand that the importer did not ask for is an error afterwards: it may
// change what the operator means.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_NODECONTEXT_H
#define TENON_FRONTENDS_ONNX_IMPORTER_NODECONTEXT_H

#include "frontends/builder/GraphBuilder.h"
#include "frontends/onnx/importer/ImportedValue.h"
#include <set>

namespace tenon::onnx_importer {

class GraphImport;

class NodeContext {
public:
  using Value = mlir::Value;

  NodeContext(GraphImport &import, GraphBuilder &graph, const onnx_reader::Node &node, int64_t version)
      : graph(graph), node(node), version(version), import(import) {}

  GraphBuilder &graph;
  const onnx_reader::Node &node;
  const int64_t version; ///< Of the operator set.

  //===--------------------------------------------------------------------------===//
  // Operands
  //===--------------------------------------------------------------------------===//

  unsigned count() const { return node.inputs.size(); }
  /// Present: an input may be left out at the end, or by an empty name.
  bool has(unsigned i) {
    asked.insert(i);
    return i < node.inputs.size() && !node.inputs[i].empty();
  }
  /// The operand as a tensor of the program; an error and null if it is missing.
  Value tensor(unsigned i);
  /// The same, but null without an error if it is missing.
  Value optional(unsigned i) { return has(i) ? tensor(i) : Value(); }
  llvm::SmallVector<Value> tensors();
  ElementType type(unsigned i);
  Sign sign(unsigned i) { return signOf(type(i)); }
  /// The dims, without making a tensor of sizes.
  Shape shape(unsigned i);
  /// The operand's elements, if they are known as dim expressions.
  std::optional<Sizes> sizes(unsigned i);
  /// Each element of a list of integers, none where data decides it.
  std::optional<llvm::SmallVector<std::optional<Dim>>> eachSize(unsigned i);
  /// The operand's elements, if it is a constant of the file; else null.
  const onnx_reader::Tensor *constant(unsigned i);
  /// Whether all elements of the operand are one known number other than zero.
  std::optional<bool> isNonZeroThroughout(unsigned i);
  /// The one element of the operand, of any type, as numerator and denominator, if sizes decide it.
  std::optional<std::pair<Dim, int64_t>> fraction(unsigned i);
  /// The operand is there, and only known when the program runs.
  bool isComputed(unsigned i) { return has(i) && !sizes(i); }
  /// The operand, if it has as many elements as data decides; else null.
  const MaskedPlaces *places(unsigned i);
  /// What another node gave at places that are the same, or null.
  const MaskedPlaces *samePlaces(llvm::function_ref<bool(const MaskedPlaces &)> areSame);
  /// Takes another value for an operand.
  void replace(unsigned i, ImportedValue value) { replaced[i] = std::move(value); }
  /// What the file says of the dims of an output, if it says all.
  std::optional<Shape> declared(unsigned output = 0);
  /// The same, needed because operand `i` is computed; else an error.
  std::optional<Shape> wantDeclared(unsigned i, llvm::StringRef what, unsigned output = 0);
  /// The same; else an error.
  std::optional<Sizes> wantSizes(unsigned i, llvm::StringRef what);
  /// The same, with elements that are all constant.
  std::optional<llvm::SmallVector<int64_t>> wantConstants(unsigned i, llvm::StringRef what);

  //===--------------------------------------------------------------------------===//
  // Attributes
  //===--------------------------------------------------------------------------===//

  bool hasAttribute(llvm::StringRef name) { return find(name) != nullptr; }
  int64_t integer(llvm::StringRef name, int64_t otherwise);
  double real(llvm::StringRef name, double otherwise);
  std::string text(llvm::StringRef name, llvm::StringRef otherwise);
  std::optional<llvm::SmallVector<int64_t>> integers(llvm::StringRef name);
  const onnx_reader::Tensor *tensorAttribute(llvm::StringRef name);
  const onnx_reader::Attribute *find(llvm::StringRef name);
  /// Axes as operand `i` or, in older versions, as the attribute; none if neither is there.
  std::optional<llvm::SmallVector<int64_t>> axes(unsigned i);
  /// Operands that change nothing, here or ever.
  void ignore(std::initializer_list<unsigned> operands) { asked.insert(operands); }
  /// Takes no operand for asked for: whoever looked at them so far did not import the node.
  void forgetAsked() { asked.clear(); }
  /// An error if there is an attribute or an operand nobody asked for.
  mlir::LogicalResult checkAllRead();

  //===--------------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------------===//

  mlir::InFlightDiagnostic error() { return graph.error(); }
  /// Only the first output may be used; the type defaults to what the tensor holds, its
  /// sign to that of the first operand.
  mlir::LogicalResult result(Value value) { return results(value); }
  mlir::LogicalResult result(Value value, ElementType type);
  mlir::LogicalResult results(mlir::ValueRange values);
  mlir::LogicalResult results(mlir::ValueRange values, llvm::ArrayRef<ElementType> types);
  mlir::LogicalResult result(std::shared_ptr<const onnx_reader::Tensor> constant);
  mlir::LogicalResult results(llvm::ArrayRef<ImportedValue> values);
  /// What the node gave so far as its output `i`; null if it gave none or has none.
  const ImportedValue *given(unsigned i);

  //===--------------------------------------------------------------------------===//
  // Graphs within the node
  //===--------------------------------------------------------------------------===//

  /// The operand as it is known; of no use after an error.
  ImportedValue value(unsigned i);
  /// The outputs of a graph that sees this node's scope and `inputs`; none after an error. `label`
  /// goes into the names of its nodes.
  std::optional<llvm::SmallVector<ImportedValue>> runGraph(const onnx_reader::Graph &body,
                                                           llvm::ArrayRef<ImportedValue> inputs, llvm::StringRef label);
  /// The tensor of such an output.
  Value materialise(ImportedValue &value);

private:
  ImportedValue *operand(unsigned i);
  /// The same without an error: null if it is missing.
  ImportedValue *known(unsigned i);
  /// What operand `i` is that sizes were wanted from.
  std::string describeData(unsigned i);
  template <typename T> const T *typed(llvm::StringRef name, llvm::StringRef wanted);
  void define(unsigned i, ImportedValue value);

  GraphImport &import;
  llvm::SmallVector<llvm::StringRef> read; ///< Attributes asked for.
  std::set<unsigned> asked;                ///< Operands asked for.
  std::map<unsigned, ImportedValue> replaced;
};

using Importer = mlir::LogicalResult (*)(NodeContext &);
using SizesEvaluator = std::optional<Sizes> (*)(NodeContext &);

// The importers and evaluators of the table.
#define TENON_ONNX_FAMILY(name)
#define TENON_ONNX_DECLARE_Sizes(name) std::optional<Sizes> sizes##name(NodeContext &n);
#define TENON_ONNX_DECLARE_NoSizes(name)
#define TENON_ONNX_OPERATOR(name, since, until, types, sizes, summary)                                                 \
  mlir::LogicalResult import##name(NodeContext &n);                                                                    \
  TENON_ONNX_DECLARE_##sizes(name)
#include "frontends/onnx/importer/OperatorTable.def"
#undef TENON_ONNX_OPERATOR
#undef TENON_ONNX_DECLARE_Sizes
#undef TENON_ONNX_DECLARE_NoSizes
#undef TENON_ONNX_FAMILY

} // namespace tenon::onnx_importer
#endif
