//===- MatrixProduct.h - the contraction that has a packed form -----------------------===//
#ifndef TENON_PASSES_LAYOUT_MATRIXPRODUCT_H
#define TENON_PASSES_LAYOUT_MATRIXPRODUCT_H

#include "dialects/tenon/ContractSpec.h"
#include "dialects/tenon/Tenon.h"

namespace tenon {

/// "m k, k n -> m n" under any names.
inline bool isMatrixProduct(ContractOp op) {
  std::string error;
  ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
  return spec.lhs.size() == 2 && spec.rhs.size() == 2 && spec.result.size() == 2 && spec.lhs[0] == spec.result[0] &&
         spec.lhs[1] == spec.rhs[0] && spec.rhs[1] == spec.result[1] && spec.lhs[0] != spec.rhs[1];
}

} // namespace tenon
#endif
