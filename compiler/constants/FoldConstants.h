//===- FoldConstants.h - sums over weights alone, and what weights pick of weights, once -------===//
//
// Not a pass: it reads weights, which passes never do. It runs after the phase `simplify` and after `--factorize`,
// which may still name the products that are folded here.
//
// Worked example. DeBERTa norms a table of relative positions [512, 768] and multiplies it by two matrices in each
// layer, a third of its FLOPs at 128 tokens, and the same in every run: sixteen products become weights [512, 768].
// Weights that are divided by their norm (`weight_norm`), a matrix plus its low-rank update (LoRA), the position
// network of Swin V2, what is projected of learned queries (Perceiver, DETR, Q-Former) are others. BEiT picks the bias of
// each pair of patches from a table, by positions it computes from weights: a bias [197, 197, 12] a layer.
//
// Rule. A value of float32 and known sizes follows from weights by maps, reshapes, contractions, reductions, softmax,
// norms and scatters, at least one of them a sum or picking elements by what weights hold, and is read by something that
// does not. It becomes a weight, computed in float64 and rounded once, where it is no larger than the weights it follows
// from, or took at least 16 operations a byte. All that is picked may besides add an eighth to the model.
//
// Limits. 2^37 operations for a model, a minute or two of one core; a sum that fails, as an index out of range does, is
// left to each run. So is what a map spreads over more elements than it reads (broadcasts, not what it picks), and so are moves and
// element-wise arithmetic without a sum, which fold into what reads them.
//
#ifndef TENON_COMPILER_CONSTANTS_FOLDCONSTANTS_H
#define TENON_COMPILER_CONSTANTS_FOLDCONSTANTS_H

#include "dialects/tenon/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"

namespace tenon {

/// Each replacement is a remark, and so is each that is left because it is too much or fails.
void foldConstants(mlir::ModuleOp module, WeightStore &store);

} // namespace tenon
#endif
