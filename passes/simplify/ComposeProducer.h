//===- ComposeProducer.h - a map evaluated inside the map that loads it -------------------===//
#ifndef TENON_PASSES_SIMPLIFY_COMPOSEPRODUCER_H
#define TENON_PASSES_SIMPLIFY_COMPOSEPRODUCER_H

#include "dialects/tenon/Tenon.h"
#include "mlir/IR/PatternMatch.h"

namespace tenon {

/// Replaces the loads of `argument`, which stands for the producer's result, by the producer's region at their indices.
void composeProducer(MapOp producer, MapOp consumer, mlir::BlockArgument argument, mlir::RewriterBase &rewriter);

} // namespace tenon
#endif
