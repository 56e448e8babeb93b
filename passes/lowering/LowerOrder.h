//===- LowerOrder.h - sorted rows --------------------------------------------------------===//
#ifndef TENON_PASSES_LOWERING_LOWERORDER_H
#define TENON_PASSES_LOWERING_LOWERORDER_H

#include "passes/lowering/KernelLowering.h"

namespace tenon {

/// Where the elements of each row stand in sorted order.
KernelGrid lowerOrder(KernelLowering &lowering, OrderOp order);

} // namespace tenon
#endif
