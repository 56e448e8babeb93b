//===- RowShift.h - what a softmax does not depend on -------------------------------------===//
//
// softmax(y - c) with c equal along the row, its maximum as a rule, is softmax(y): exporters that write the
// subtraction themselves read the scores twice.
//
#ifndef TENON_PASSES_ATTENTION_ROWSHIFT_H
#define TENON_PASSES_ATTENTION_ROWSHIFT_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// Replaces the operand by one without the subtraction and gives true, or changes nothing.
bool dropRowShift(SoftmaxOp softmax);
/// Takes the inputs that its region does not load from a map.
void eraseUnreadInputs(MapOp map);
/// Erases an op nothing uses, and what only it used.
void eraseDeadOps(mlir::Operation *last);

} // namespace tenon
#endif
