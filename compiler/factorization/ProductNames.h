//===- ProductNames.h - which products the patterns of a step mean -----------------------===//
#ifndef TENON_COMPILER_FACTORIZATION_PRODUCTNAMES_H
#define TENON_COMPILER_FACTORIZATION_PRODUCTNAMES_H

#include "compiler/factorization/FactorizationRecipe.h"
#include "dialects/tenon/Tenon.h"
#include "llvm/Support/GlobPattern.h"

namespace tenon {

using ProductNames = llvm::SmallVector<std::string>;

/// The names of a weight and of those it is made from by recipes.
ProductNames namesOf(WeightOp weight);
/// The names of the model's nodes at a location.
ProductNames namesOf(mlir::Location loc);
/// Those of a product and of the weight it multiplies with.
ProductNames namesOf(ContractOp product, WeightOp weight);

/// The patterns of one step.
class ProductPatterns {
public:
  explicit ProductPatterns(const FactorizationStep &step);

  bool match(llvm::ArrayRef<std::string> names) const;
  /// Each pattern has to match one of the products; `number` is the step's, for the message.
  llvm::Error checkAll(llvm::ArrayRef<ProductNames> products, size_t number) const;

private:
  std::vector<std::pair<std::string, llvm::GlobPattern>> patterns; ///< None: all products.
};

} // namespace tenon
#endif
