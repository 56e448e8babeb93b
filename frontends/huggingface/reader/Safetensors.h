//===- Safetensors.h - Checked view of a .safetensors file ------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A .safetensors file is eight bytes n (little-endian), n bytes of JSON that
// give each tensor's dtype, shape and byte range, and the bytes. The header is
// not trusted. What has been checked when a file is returned:
//
//   * the header is UTF-8 JSON of the prescribed form, at most 100 MB, no key
//     twice;
//   * every range is exactly as long as shape and dtype say;
//   * the ranges lie in the file, none overlaps another, none leaves a hole.
//
// Data stays in the mapped file.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_HUGGINGFACE_READER_SAFETENSORS_H
#define TENON_FRONTENDS_HUGGINGFACE_READER_SAFETENSORS_H

#include "frontends/MappedFile.h"
#include "frontends/Result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::huggingface_reader {

/// The dtypes of the format that fill whole bytes.
enum class ElementType : uint8_t {
  Bool,
  UInt8,
  Int8,
  Float8E4M3,
  Float8E5M2,
  UInt16,
  Int16,
  Float16,
  BFloat16,
  UInt32,
  Int32,
  Float32,
  UInt64,
  Int64,
  Float64,
};

/// As the file writes it: `F32`, `BF16`, `I64`.
std::string_view nameOf(ElementType type);
/// Bytes of one element.
unsigned sizeOf(ElementType type);

struct Tensor {
  std::string name;
  ElementType type;
  std::vector<int64_t> shape; ///< All >= 0; none for a scalar.
  Bytes data;                 ///< Row-major, little-endian; not aligned.
  uint64_t offset;            ///< Of data, in the file.
};

struct Safetensors {
  std::string file; ///< As given; begins every message.
  Bytes bytes;      ///< The whole file.
  std::map<std::string, Tensor, std::less<>> tensors;
  std::map<std::string, std::string> metadata;

  /// The tensor, or an error that names the file, the tensor and, for a wrong
  /// shape, both shapes.
  Result<const Tensor *> find(std::string_view name) const;
  Result<const Tensor *> find(std::string_view name, const std::vector<int64_t> &shape) const;
};

Result<Safetensors> readSafetensors(const std::string &path);
/// `name` stands for the file in messages.
Result<Safetensors> readSafetensors(const Bytes &bytes, const std::string &name);

} // namespace tenon::huggingface_reader

#endif // TENON_FRONTENDS_HUGGINGFACE_READER_SAFETENSORS_H
