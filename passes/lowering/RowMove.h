//===- RowMove.h - maps that gather rows ----------------------------------------------===//
#ifndef TENON_PASSES_LOWERING_ROWMOVE_H
#define TENON_PASSES_LOWERING_ROWMOVE_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// The load of a map that copies rows: row `p(%i, …)` of its operand, whole, to row `%i, …`. Null for any other map.
LoadOp rowMoveOf(MapOp map);

} // namespace tenon
#endif
