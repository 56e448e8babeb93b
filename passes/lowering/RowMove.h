//===- RowMove.h - where the rows of a product come from -------------------------------===//
#ifndef TENON_PASSES_LOWERING_ROWMOVE_H
#define TENON_PASSES_LOWERING_ROWMOVE_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// The load of a map that copies rows: row `p(%i, …)` of its operand, whole, to row `%i, …`. Null for any other map.
LoadOp rowMoveOf(MapOp map);

/// What happens to the rows of a product against panels while they are copied: rows are normalised, then gathered.
/// Either may be missing, and only the product reads what lies between.
struct CopiedRows {
  MapOp move;
  NormOp norm;
  mlir::Value source; ///< The rows before both.

  static CopiedRows of(ContractOp product);
};

} // namespace tenon
#endif
