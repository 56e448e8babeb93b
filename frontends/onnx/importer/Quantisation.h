//===- Quantisation.h - numbers as scaled integers ------------------------------------===//
//
// A quantised tensor q stands for (q - zero point) * scale. Operators of com.microsoft compute with such tensors as
// ONNX's own do.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_QUANTISATION_H
#define TENON_FRONTENDS_ONNX_IMPORTER_QUANTISATION_H

#include "frontends/onnx/importer/NodeContext.h"
#include "frontends/onnx/importer/StorageTypes.h"

namespace tenon::onnx_importer {

/// Integers with the zero point they count from, one number or a list, which may be null.
struct Quantised {
  mlir::Value integers, zero;
  ElementType type = ElementType::UInt8, zeroType = ElementType::UInt8;

  /// Operand `i` and its zero point.
  static Quantised operand(NodeContext &n, unsigned i, unsigned zeroInput);
  /// q - zero point, in i32. A list of zero points runs along a dim, counted from the end; null after an error.
  mlir::Value centred(NodeContext &n, int64_t zeroAxis) const;
};

/// A tensor of floats as uint8 by the range of its elements, and its scale; null after an error.
struct DynamicallyQuantised {
  Quantised tensor;
  mlir::Value scale;

  static DynamicallyQuantised of(NodeContext &n, mlir::Value x);
};

/// Operand `i` as float32: (q - zero point) * scale, each one number.
mlir::Value dequantised(NodeContext &n, unsigned i, unsigned scaleInput, unsigned zeroInput);

/// The result of float32 as integers of `type`, by a scale and a zero point that are one number.
mlir::LogicalResult quantisedResult(NodeContext &n, mlir::Value x, unsigned scaleInput, unsigned zeroInput,
                                    ElementType type);

/// Sums of products of integers as float32: times the scales, of b one or one for each column.
mlir::Value scaled(NodeContext &n, mlir::Value sums, mlir::Value aScale, mlir::Value bScale);
/// The matrix product of a and b as float32, summed in int32.
mlir::Value scaledProduct(NodeContext &n, const Quantised &a, const Quantised &b, mlir::Value aScale,
                          mlir::Value bScale);

/// round(sums * a's scale * b's scale / y's scale) + y's zero point. A list of b's scales runs along dim `columns` of
/// the sums.
mlir::LogicalResult requantise(NodeContext &n, mlir::Value sums, unsigned aScale, unsigned bScale, unsigned yScale,
                               unsigned yZero, int64_t columns, double factor = 1);

} // namespace tenon::onnx_importer
#endif
