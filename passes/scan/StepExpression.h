//===- StepExpression.h - what the steps of an unrolled loop compute, as one expression in n ------===//
//
// Exporters write a loop over time as its steps one after another. An element of what a step computes, traced through
// maps and reshapes, is a tree of scalar arithmetic over elements of tensors that all steps share:
//
//     step 1:  x[b, 1, d] * w[d] + carried[b, d]        step 2:  x[b, 2, d] * w[d] + carried[b, d]
//
// Where the trees differ in index constants alone, and these are linear in the step, they are one tree over the
// step's number n:  x[b, n, d] * w[d] + carried[b, d].
//
#ifndef TENON_PASSES_SCAN_STEPEXPRESSION_H
#define TENON_PASSES_SCAN_STEPEXPRESSION_H

#include "passes/simplify/View.h"
#include <deque>

namespace tenon {

/// One node of a tree. Nodes live as long as the `StepTracer` that made them.
struct StepNode {
  enum Kind {
    Load,     ///< tensor[at]
    Carried,  ///< The tensor number `state` of those that one step hands to the next, at `at`.
    Constant, ///< `constant`
    Index,    ///< at[0] as an index.
    Sum,      ///< Of operands[0] over the symbols `at`.
    Apply,    ///< A scalar operation of `operands`.
  };
  Kind kind;
  mlir::Type type;
  mlir::Value tensor;
  llvm::SmallVector<Dim, 4> at;
  mlir::TypedAttr constant;
  std::optional<mlir::OperationName> name;
  mlir::DictionaryAttr attributes;
  llvm::SmallVector<const StepNode *, 3> operands;
  unsigned state = 0;

  template <typename OpType> bool is() const {
    return kind == Apply && name->getStringRef() == OpType::getOperationName();
  }
  std::optional<double> number() const;
};

using StepTree = const StepNode *;

bool contains(StepTree tree, llvm::function_ref<bool(const StepNode &)> what);
bool hasCarried(StepTree tree);
bool hasSum(StepTree tree);
/// Whether an index of the tree depends on `symbol`.
bool dependsOn(StepTree tree, const Dim &symbol);
/// All but indices and operands.
bool isAlike(StepTree a, StepTree b);
bool isEqual(StepTree a, StepTree b);

class StepTracer {
public:
  explicit StepTracer(mlir::Operation *op) : domain(domainOf(op)) {}

  /// What a trace stops at.
  struct Stops {
    llvm::SmallVector<mlir::Value, 3> carried;
    llvm::function_ref<bool(mlir::Value)> isShared;
  };

  /// Element `at` of a tensor; null where it is no arithmetic.
  StepTree element(mlir::Value tensor, llvm::ArrayRef<Dim> at, const Stops &stops);
  /// The sum that a contraction or reduction is, at `at` of its result, or its one summand; null for any other
  /// operation.
  StepTree sum(mlir::Operation *op, llvm::ArrayRef<Dim> at, const Stops &stops);

  /// A loaded element as the map or reshape that gives it computes it; null for others.
  StepTree opened(StepTree load);

  /// One tree over `n` for steps `step` and `step + 1`; null where they differ otherwise.
  StepTree generalised(StepTree first, StepTree second, int64_t step, const Dim &n);
  /// Whether `tree` is `general` at a step. Where that has carried elements, `carried` judges what stands there.
  bool isInstance(StepTree general, StepTree tree, const Dim &n, int64_t step,
                  llvm::function_ref<bool(StepTree general, StepTree tree)> carried);

  //===--------------------------------------------------------------------------===//
  // Building
  //===--------------------------------------------------------------------------===//

  StepTree number(mlir::Type type, double value);
  StepTree apply(llvm::StringRef name, mlir::Type type, llvm::ArrayRef<StepTree> operands);
  template <typename OpType> StepTree apply(StepTree a, StepTree b) {
    return apply(OpType::getOperationName(), a->type, {a, b});
  }
  /// The product, without factors of one; of none of `factors` the number 1.
  StepTree product(mlir::Type type, llvm::ArrayRef<StepTree> factors);
  StepTree substituted(StepTree tree, const std::map<std::string, Dim, std::less<>> &map);
  StepTree load(mlir::Value tensor, llvm::ArrayRef<Dim> at);
  StepTree carried(mlir::Type type, llvm::ArrayRef<Dim> at);
  /// `first` where n is 0, elsewhere `later`, which is only looked at for n from 1 on.
  StepTree startingWith(StepTree first, StepTree later, const Dim &n);
  /// The tree with what `by` gives for a node in its place; where it gives null the node stays.
  StepTree replaced(StepTree tree, llvm::function_ref<StepTree(StepTree node)> by);
  /// Writes the tree into a region: its `inputs` stand for `tensors`, `symbols` are its indices by name, and `carried`
  /// gives carried elements by their indices.
  mlir::Value emit(mlir::OpBuilder &builder, mlir::Location loc, StepTree tree, llvm::ArrayRef<mlir::Value> tensors,
                   mlir::ValueRange inputs, const llvm::StringMap<mlir::Value> &symbols,
                   llvm::function_ref<mlir::Value(llvm::ArrayRef<mlir::Value>)> carried = {});

  IndexDomain domain;

private:
  struct Region;
  StepTree make(StepNode node);
  StepTree elementOfMap(MapOp map, llvm::ArrayRef<Dim> at, const Stops &stops);
  StepTree scalar(mlir::Value value, Region &region);
  void readClamp(mlir::Value index, Region &region);
  Dim summedSymbol(const Dim &extent);
  std::optional<Dim> generalised(const Dim &first, const Dim &second, int64_t step, const Dim &n);

  std::deque<StepNode> nodes;
  llvm::SmallVector<std::pair<Dim, Dim>> summed; ///< Symbols of sums and their extents, used again by every trace.
  unsigned nextSummed = 0, depth = 0, size = 0;
};

/// The tensors that the tree loads, each once.
void collectTensors(StepTree tree, llvm::SetVector<mlir::Value> &tensors);

} // namespace tenon
#endif
