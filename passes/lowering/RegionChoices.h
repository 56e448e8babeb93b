//===- RegionChoices.h - what only one side of a choice needs -------------------------------===//
//
// Worked example, a key put behind a cache of them (lanes along d):
//
//     isOld = j < T
//     old = load %cache[h, isOld ? j : 0, d]       only where isOld
//     new = load %key[h, isOld ? 0 : j - T, d]     only where not
//     yield isOld ? old : new
//
// isOld is one answer for all lanes: a branch loads one of the two, as a copy does. A choice of vectors loads both.
//
// Rule. A side of a `select` of floats owns an operation if everything that uses it is the select itself, as that side,
// or owned by the side. Sides nest: what two sides of inner choices use is owned by the side both stand in.
//
#ifndef TENON_PASSES_LOWERING_REGIONCHOICES_H
#define TENON_PASSES_LOWERING_REGIONCHOICES_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/DenseMap.h"

namespace tenon {

class RegionChoices {
public:
  /// A side of a choice; of none, the block.
  struct Side {
    mlir::Operation *select = nullptr;
    bool isTrue = false;
  };

  /// If not `isNested`, the block owns everything.
  RegionChoices(mlir::Block &block, bool isNested);

  /// The operations that the side needs and no side within it owns, in order.
  llvm::ArrayRef<mlir::Operation *> operationsOf(Side side) const;
  /// Whether a side loads what nobody else needs.
  bool areLoadsSaved(mlir::Operation *select) const;

private:
  Side ownerOf(mlir::Operation *op) const;
  Side common(Side a, Side b) const;
  unsigned depthOf(Side side) const;

  static std::pair<mlir::Operation *, int> keyOf(Side side) { return {side.select, side.isTrue}; }
  llvm::DenseMap<mlir::Operation *, Side> owners;
  llvm::DenseMap<std::pair<mlir::Operation *, int>, llvm::SmallVector<mlir::Operation *>> operations;
};

} // namespace tenon
#endif
