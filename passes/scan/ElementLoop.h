//===- ElementLoop.h - an unrolled loop over states whose elements do not meet ------------------===//
//
// Worked example, RWKV's time mixing: three states of one shape, one of which, m, is the largest exponent so far, so
// that no exponential overflows (k, v: what step t is given; w, u: of each channel):
//
//     y = (exp(m - o) a + exp(u + k - o) v) / (exp(m - o) b + exp(u + k - o))       o = max(m, u + k)
//     m' = max(m + w, k)      a' = exp(m + w - m') a + exp(k - m') v      b' = exp(m + w - m') b + exp(k - m')
//
// Rule. An element of a state depends on the same element of the states before it alone. One that depends on nothing
// but itself is a recurrence of its own; once it is known for all steps, those that depend on it and themselves are.
// Each must be
//
//     S' = a S + b         a `tenon.scan` of heads of one element
//     S' = max(S + a, b)   the largest of b_s + a_{s+1} + … + a_t: pairs, then pairs of pairs, log2(T) maps of all steps
//     S' = b               a map
//
// with a and b free of S. Or there is one state, and y is read of it through a sum over one of its dims: RWKV's matrix
// (`SummedScan.cpp`). Limits: two states that need each other (c' = f(h), h' = g(c)) are no such loop.
//
#ifndef TENON_PASSES_SCAN_ELEMENTLOOP_H
#define TENON_PASSES_SCAN_ELEMENTLOOP_H

#include "passes/scan/StepExpression.h"
#include "passes/scan/UnrolledLoop.h"

namespace tenon {

struct ElementState {
  llvm::SmallVector<mlir::Value> values; ///< What y_t reads of it; [0] is null: y_0 reads `initial`.
  StepTree next = nullptr;               ///< Over `at` and the step, of carried elements.
  StepTree initial = nullptr;            ///< Over `at`.
};

class ElementLoop {
public:
  /// None where the parts are computed otherwise.
  static std::optional<ElementLoop> read(const UnrolledLoop &loop, StepTracer &tracer);

  const UnrolledLoop &loop;
  StepTracer &tracer;
  Dim step;
  llvm::SmallVector<Dim, 4> at, outputAt; ///< Indices of a state, and of a part.
  llvm::SmallVector<ElementState> states;
  StepTree output = nullptr; ///< A part over `outputAt`, of elements of the states that stand in its step.

  Shape shape() const { return shapeOf(states.front().values[2]); }

private:
  ElementLoop(const UnrolledLoop &loop, StepTracer &tracer) : loop(loop), tracer(tracer) {}
  bool findStates();
  bool readSteps();
  bool readStart();
  bool isOnlyRead() const;
  bool isOfAll(mlir::Value value) const;

  llvm::SmallVector<Dim, 4> indicesOf(llvm::ArrayRef<Dim> shape);
  llvm::SmallVector<mlir::Value, 3> valuesAt(int64_t step) const;
  StepTree common(llvm::function_ref<StepTree(int64_t)> trace);
  StepTree first(mlir::Value tensor, llvm::ArrayRef<Dim> indices, llvm::ArrayRef<mlir::Value> carried);
  bool isInstance(StepTree general, StepTree tree, int64_t step, bool findsInitial);

  llvm::SetVector<mlir::Value> shared; ///< What the steps load.
};

/// Writes the loop as recurrences; false where a state is none.
bool buildElementScans(ElementLoop &loop);
/// The same for one state over a dim of which the parts sum.
bool buildSummedScan(ElementLoop &loop);

} // namespace tenon
#endif
