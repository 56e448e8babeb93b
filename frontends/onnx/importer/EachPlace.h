//===- EachPlace.h - operators that compute the same for each place of a mask --------===//
//
// An operator that treats the slices along a dim apart means the same whether that dim is the number of places where a
// mask is true, or all elements of the mask: element-wise arithmetic, rows times a matrix, what is gathered at the
// places, dims moved, made and dropped beside the count.
//
// Example. In `MatMul(Gather(x, token), w)` there is a row for each place of a mask [experts, tokens]. Each row depends
// on the token alone: it is computed as `MatMul(x, w)`, `[1, tokens, width]`.
//
// Limit. What mixes places (a sum or a running sum over them, their order, other values beside them) is left to the
// error that data decides a size.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_EACHPLACE_H
#define TENON_FRONTENDS_ONNX_IMPORTER_EACHPLACE_H

#include "frontends/onnx/importer/OperatorTable.h"

namespace tenon::onnx_importer {

/// Imports a node of which an operand is given at the places of a mask; none if there is no such operand, or the
/// operator may mix them.
std::optional<mlir::LogicalResult> importForEachPlace(NodeContext &n, const Operator &op);

} // namespace tenon::onnx_importer
#endif
