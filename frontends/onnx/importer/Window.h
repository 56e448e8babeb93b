//===- Window.h - windows that move over a tensor's extents ---------------------------===//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_WINDOW_H
#define TENON_FRONTENDS_ONNX_IMPORTER_WINDOW_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

/// The convolution of x with filters of the same element type by the node's attributes;
/// `bias` (one number for each filter) may be null. Null after an error.
mlir::Value convolve(NodeContext &n, mlir::Value x, mlir::Value filters, mlir::Value bias);

/// Each channel's windows of its elements [batch, channels, length] times its filter [channels, 1, size]: as many positions as
/// there are elements if zeros stand before the first (`padded`), else `size` - 1 fewer. `bias` may be null.
mlir::Value convolveChannels(NodeContext &n, mlir::Value x, mlir::Value filters, mlir::Value bias, bool padded);

/// What windows hold, [batch, groups, positions..., channels, offsets...], times matrices
/// [groups, channels and offsets, filters] plus the bias: [batch, groups and filters, positions...].
mlir::Value multiplyWindows(NodeContext &n, mlir::Value columns, llvm::ArrayRef<Dim> positions, mlir::Value matrices,
                            mlir::Value bias);

/// The mean of each window of x by the node's attributes. Null after an error.
mlir::Value averagePool(NodeContext &n, mlir::Value x);
/// The largest element, of this type.
mlir::Value maxPool(NodeContext &n, mlir::Value x, ElementType type);

} // namespace tenon::onnx_importer
#endif
