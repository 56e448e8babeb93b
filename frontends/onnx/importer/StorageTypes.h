//===- StorageTypes.h - elements that are stored, not computed with ------------------===//
//
// 8-bit floats and everything below 8 bits stand in memory one element to a byte, the bits
// at the low end, and are computed in another type:
//
//   | type                            | value of the bits s e m                       | in  |
//   |---------------------------------|-----------------------------------------------|-----|
//   | float8e4m3fn, float8e5m2, fnuz, | (-1)^s 2^(e - bias) (1 + m / 2^M); with e = 0 | f32 |
//   | float4e2m1                      | (-1)^s 2^(1 - bias) m / 2^M                   |     |
//   | float8e8m0                      | 2^(e - 127), no sign, 255 is NaN              | f32 |
//   | int4, uint4, int2, uint2        | two's complement, or plain                    | i8  |
//
// `fn` types have no infinity (float8e4m3fn: all ones is NaN), `fnuz` ones no negative zero
// either: its pattern is their one NaN.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_STORAGETYPES_H
#define TENON_FRONTENDS_ONNX_IMPORTER_STORAGETYPES_H

#include "frontends/onnx/importer/ImportedValue.h"

namespace tenon::onnx_importer {

/// True for the types of the table above.
bool isStorage(ElementType type);
/// True for those that are floats.
bool isStorageFloat(ElementType type);
/// True for int4 and int2.
bool isSignedStorage(ElementType type);
/// The type such elements are computed in; of other types, their own.
mlir::Type computeTypeOf(ElementType type, mlir::MLIRContext *context);

/// What happens to a number between two neighbours, or beyond the largest.
struct Rounding {
  bool saturates = true;   ///< To the largest; else to infinity, or NaN where there is none.
  std::string mode = "up"; ///< Of float8e8m0: up, down, nearest. All others: nearest, ties to even.
};

/// The element whose bits are given, in the type it is computed in.
mlir::Value decode(ScalarBuilder &s, mlir::Value bits, ElementType type);
/// The bits of a number: f32 for floats, any integer for integers (its low bits).
mlir::Value encode(ScalarBuilder &s, mlir::Value number, ElementType type, const Rounding &rounding = {});

/// The constant's elements, one to a byte.
std::vector<uint8_t> unpacked(const onnx_reader::Tensor &tensor);

} // namespace tenon::onnx_importer
#endif
