//===- Factorize.h - a recipe applied to a model -----------------------------------------===//
//
// Not a pass: it reads weights, which passes never do. It runs after the phase `simplify`, where products with weights
// stand as `tenon.contract` of a `tenon.get`, and before projections are merged and weights packed.
//
#ifndef TENON_COMPILER_FACTORIZATION_FACTORIZE_H
#define TENON_COMPILER_FACTORIZATION_FACTORIZE_H

#include "compiler/factorization/FactorizationRecipe.h"
#include "dialects/tenon/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"

namespace tenon {

/// What became of one weight a step named, or of one product an exact step changed.
struct FactorizedWeight {
  std::string weight, sources; ///< Its name, and the nodes that multiply with it.
  int64_t rows = 0, columns = 0;
  int64_t rank = 0;            ///< 0: left as it was, `reason` says why; or changed exactly.
  double error = 0;            ///< Relative, in the Frobenius norm.
  std::string reason;
  std::string change;          ///< What a step other than `low_rank` did.
  int64_t before = 0;          ///< Elements of what it replaced, where that is not the matrix alone.
  std::optional<int64_t> after; ///< Elements of what is there now, if it is neither a matrix nor two factors.
  bool isShared = false;       ///< The first factor is that of a weight reported before.
  mlir::LocationAttr place;    ///< Where a result stands that should still be the original's; null where none should.
  std::optional<double> distance; ///< Of that result from the original's, on the calibration inputs.

  bool isChanged() const { return rank != 0 || !change.empty(); }
  int64_t elementsBefore() const { return before ? before : rows * columns; }
  int64_t elementsAfter() const {
    return after ? *after : rank ? rank * ((isShared ? 0 : rows) + columns) : rows * columns;
  }
};

/// How far an output is from the original's, on the calibration inputs.
struct OutputDistance {
  std::string name;
  double distance;
};

struct FactorizationReport {
  std::vector<FactorizedWeight> weights;
  std::vector<OutputDistance> outputs; ///< None without calibration inputs.
};

/// Adds the report of an exact step on what stands at `loc`, as a remark too.
void reportExact(mlir::Location loc, StepKind step, FactorizedWeight report, std::vector<FactorizedWeight> &reports);

/// Changes `module`, whose weights are in `store`; factors are added to it. Each decision is a remark as well. An error
/// (nothing has the name, an impossible rank, a weight that is not finite) leaves a module nobody should use.
llvm::Expected<FactorizationReport> factorize(mlir::ModuleOp module, WeightStore &store,
                                              const FactorizationRecipe &recipe, unsigned threads);

} // namespace tenon
#endif
