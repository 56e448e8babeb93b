//===- WeightMatrices.h - the matrices that products with weights multiply by ----------------===//
//
// A weight of any number of dims is a matrix [rows x columns] to the products that read it: rows are the indices they sum over,
// columns those they make. `b t d, t d u e -> b u e` has a matrix of t d rows and u e columns.
//
#ifndef TENON_COMPILER_FACTORIZATION_WEIGHTMATRICES_H
#define TENON_COMPILER_FACTORIZATION_WEIGHTMATRICES_H

#include "compiler/factorization/Factorize.h"
#include "compiler/factorization/ModelWeights.h"
#include "dialects/tenon/ContractSpec.h"
#include "llvm/ADT/MapVector.h"

namespace tenon {

/// A weight and all products that multiply with it, if a step may replace it.
struct WeightMatrix {
  WeightOp weight;
  llvm::SmallVector<ContractOp> products;
  llvm::SmallVector<unsigned> order; ///< The weight's dims: those of the rows, then those of the columns.
  unsigned rowDims = 0;              ///< How many of them are rows.
  FactorizedWeight report;           ///< With a reason where it has to stay.
  const FactorizationStep *step = nullptr; ///< Null: no step names it.

  /// The sizes of the rows' dims, and of the columns'.
  llvm::SmallVector<int64_t> rowSizes() const, columnSizes() const;
  /// The elements, row-major as [rows x columns], and "", or what is wrong. From any thread.
  std::string read(const ModelWeights &weights, std::vector<float> &matrix) const;
};

/// The specification of a product with a weight as its second operand, if it is one.
std::optional<ContractSpec> specOfProduct(ContractOp op);

/// A product's two: its left operand's rows times a matrix [rows x rank], then those times [rank x columns]. `middle` is one more
/// index, where the columns were.
struct ProductInTwo {
  static constexpr llvm::StringRef middle = "rank_"; ///< No front end writes it.
  ContractSpec first, second;

  explicit ProductInTwo(const ContractSpec &spec);
};

class WeightMatrices {
public:
  WeightMatrices(mlir::ModuleOp module, const ModelWeights &weights);

  /// Gives the step all matrices its patterns name that no step has yet. An error names a pattern that names none.
  llvm::Error select(const FactorizationStep &step, size_t number);
  /// Those a step has, in the order of their use.
  llvm::SmallVector<WeightMatrix *> selected();

private:
  void addRoots(WeightOp weight, llvm::SmallPtrSetImpl<mlir::Operation *> &roots) const;
  void noteOtherReaders(mlir::ModuleOp module);

  mlir::SymbolTable symbols;
  llvm::MapVector<mlir::Operation *, WeightMatrix> matrices; // by weight
};

/// Says what became of the matrix, as a remark.
void remarkOn(const WeightMatrix &matrix, llvm::StringRef category, const std::string &change);

} // namespace tenon
#endif
