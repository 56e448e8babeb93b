//===- MapCost.h - what evaluating a map's region again would cost -------------------===//
#ifndef TENON_PASSES_SIMPLIFY_MAPCOST_H
#define TENON_PASSES_SIMPLIFY_MAPCOST_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// Few operations, none of them a division or a transcendental function.
bool isCheap(MapOp map);

/// Evaluating the region wherever the result is read costs no more than reading the result:
/// it is cheap and reads at most one element that is not shared along some dimension.
/// Masks, index tables, transposes, broadcasts, casts and scalings are; a bias or residual
/// addition is not, it reads two.
bool isFreeToRepeat(MapOp map);

} // namespace tenon
#endif
