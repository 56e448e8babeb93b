//===- ElementRegion.h - a region evaluated at every point of a range ---------------===//
#ifndef TENON_DIALECTS_TENON_ELEMENTREGION_H
#define TENON_DIALECTS_TENON_ELEMENTREGION_H

#include "dialects/tenon/Dim.h"
#include "llvm/ADT/SmallVector.h"
#include "mlir/IR/Region.h"

namespace tenon {

struct ElementRegion {
  llvm::StringRef name; ///< "score"; empty for the one region of an op
  mlir::Region *region;
  /// The arguments that are indices, and how many values each runs through.
  llvm::SmallVector<std::pair<mlir::Value, Dim>> indices;
  /// The arguments that stand for tensors, and those tensors.
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> tensors;
};

} // namespace tenon
#endif
