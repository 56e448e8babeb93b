//===- PositionRows.h - the rows that a product with positions multiplies ---------------===//
//
// For one batch and head: rows of queries or of keys, and the table's row for each distance (PositionProducts.h). The
// indices of the score's load say which; each is a region of the score's scalars, emitted where it is asked for.
//
#ifndef TENON_PASSES_ATTENTION_POSITIONROWS_H
#define TENON_PASSES_ATTENTION_POSITIONROWS_H

#include "passes/attention/PositionProducts.h"
#include "passes/lowering/KernelLowering.h"

namespace tenon {

/// Rows in memory: row r begins at start + r * stride.
struct FlashRows {
  mlir::Value memory, start, stride;
  mlir::Value element; ///< Between elements of a row; null: they lie side by side.
};

class PositionRows {
public:
  PositionRows(KernelLowering &lowering, const PositionProduct &product);

  /// Finds the rows of (b, h).
  void locate(mlir::Value batch, mlir::Value head);
  /// The element that the table's row for j - i = `distance` begins with. Of a distance that no query and key have,
  /// some row.
  mlir::Value tableRow(mlir::Value distance);

  PositionProduct product;
  FlashRows rows, table; ///< Of (b, h), once located.

private:
  FlashRows rowsOf(const PositionProduct::Side &side, unsigned along);
  mlir::Value indexAt(unsigned number, mlir::Value i, mlir::Value j);

  KernelLowering &lowering;
  KernelScope &scope = lowering.scope;
  mlir::Location loc = lowering.loc;
  llvm::SmallVector<std::shared_ptr<mlir::Region>, 4> indices; ///< Of the load.
  mlir::Value batch, head;
};

} // namespace tenon
#endif
