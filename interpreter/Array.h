//===- Array.h - a tensor's value, plainly ----------------------------------------===//
//
// Elements stand in row-major order. Floating-point elements of every type are held
// as double, integers and booleans as int64_t: sign-extended, unsigned types and
// booleans (0 or 1) zero-extended. So one loop serves every element type, and the
// float64 evaluation of an f32 program loses nothing on the way.
//
//===-----------------------------------------------------------------------------===//
#ifndef TENON_INTERPRETER_ARRAY_H
#define TENON_INTERPRETER_ARRAY_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tenon {

enum class DType : uint8_t { F64, F32, F16, BF16, Bool, I8, I16, I32, I64, U8, U16, U32, U64 };

bool isFloat(DType dtype);
/// Bits of one element, 1 for Bool.
unsigned widthOf(DType dtype);
/// Bytes of one element in memory, 1 for Bool.
size_t bytesOf(DType dtype);
/// "f32", "i1", "ui8": as MLIR writes it.
std::string toString(DType dtype);

/// The nearest value of the type, ties to even; overflow gives infinity.
double roundTo(DType dtype, double value);
/// The value modulo 2^width, in the representation above.
int64_t wrapTo(DType dtype, int64_t value);
/// Truncation towards zero; out of range gives the nearest end, NaN gives 0.
int64_t integerOf(DType dtype, double value);

struct Array {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::vector<double> floats;    ///< The elements, if `dtype` is a float.
  std::vector<int64_t> integers; ///< The elements, if it is not.

  static Array zeros(DType dtype, std::vector<int64_t> shape);
  /// From little-endian bytes; the number of bytes must match.
  static Array fromBytes(DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes);
  /// Little-endian bytes of the type, floats rounded to it.
  std::vector<std::byte> toBytes() const;

  bool isFloat() const { return tenon::isFloat(dtype); }
  int64_t count() const;
  /// Element `n` as a double, whatever the type.
  double at(int64_t n) const { return isFloat() ? floats[n] : double(integers[n]); }
};

/// The product of sizes.
int64_t countOf(std::span<const int64_t> shape);
/// Row-major: the distance between neighbours along each dimension, in elements.
std::vector<int64_t> stridesOf(std::span<const int64_t> shape);
/// "[2, 3]"
std::string toString(std::span<const int64_t> shape);
/// "[[1, 2], [3, 4]]", floats with `digits` significant digits.
std::string toString(const Array &array, int digits = 6);

} // namespace tenon
#endif
