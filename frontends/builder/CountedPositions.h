//===- CountedPositions.h - positions that no data decides --------------------------===//
//
// Indices that are data are checked when they are read. Those that are counted, `arange(S) + past`, are not: where a
// table of 512 positions is read by them, S + past is taken to be at most 512, which is checked when sizes are bound.
//
// Limit. Sums and products of indices and sizes, repeated and moved. What is chosen or compared (`min(i, 7)`, the
// buckets of relative positions) is left to be right.
//
#ifndef TENON_FRONTENDS_BUILDER_COUNTEDPOSITIONS_H
#define TENON_FRONTENDS_BUILDER_COUNTEDPOSITIONS_H

#include "frontends/builder/GraphBuilder.h"

namespace tenon {

/// Takes all of these indices, if they are counted, to be below `rows`. False after an error, or where that was
/// learned.
bool wantPositionsWithin(GraphBuilder &graph, mlir::Value indices, const Dim &rows);

} // namespace tenon
#endif
