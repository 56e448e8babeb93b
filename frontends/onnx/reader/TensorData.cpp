//===- TensorData.cpp - The bytes of an ONNX tensor -----------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// ONNX has three places for a tensor's elements: raw_data, an external file,
// and typed fields (float_data, int32_data, ...), where int32_data also holds
// every narrower type, one element (4-bit and 2-bit types: one byte) to an entry. All
// three end as the same little-endian bytes.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/reader/TensorData.h"

#include "frontends/onnx/onnx.pb.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>

using namespace tenon;
using namespace tenon::onnx_reader;

static_assert(std::endian::native == std::endian::little, "ONNX data is little-endian and used as it lies");

namespace {

struct TypeRow {
  ElementType type;
  std::string_view name;
  unsigned bits;
};

constexpr TypeRow typeRows[] = {
    {ElementType::Float32, "float32", 32},
    {ElementType::UInt8, "uint8", 8},
    {ElementType::Int8, "int8", 8},
    {ElementType::UInt16, "uint16", 16},
    {ElementType::Int16, "int16", 16},
    {ElementType::Int32, "int32", 32},
    {ElementType::Int64, "int64", 64},
    {ElementType::String, "string", 0},
    {ElementType::Bool, "bool", 8},
    {ElementType::Float16, "float16", 16},
    {ElementType::Float64, "float64", 64},
    {ElementType::UInt32, "uint32", 32},
    {ElementType::UInt64, "uint64", 64},
    {ElementType::Complex64, "complex64", 64},
    {ElementType::Complex128, "complex128", 128},
    {ElementType::BFloat16, "bfloat16", 16},
    {ElementType::Float8E4M3FN, "float8e4m3fn", 8},
    {ElementType::Float8E4M3FNUZ, "float8e4m3fnuz", 8},
    {ElementType::Float8E5M2, "float8e5m2", 8},
    {ElementType::Float8E5M2FNUZ, "float8e5m2fnuz", 8},
    {ElementType::UInt4, "uint4", 4},
    {ElementType::Int4, "int4", 4},
    {ElementType::Float4E2M1, "float4e2m1", 4},
    {ElementType::Float8E8M0, "float8e8m0", 8},
    {ElementType::UInt2, "uint2", 2},
    {ElementType::Int2, "int2", 2},
};

constexpr size_t maxRank = 64;

const TypeRow &rowOf(ElementType type) { return typeRows[static_cast<size_t>(type) - 1]; }

} // namespace

std::optional<ElementType> onnx_reader::elementTypeOf(int64_t number) {
  if (number < 1 || number > static_cast<int64_t>(std::size(typeRows)))
    return std::nullopt;
  return static_cast<ElementType>(number);
}

std::string_view onnx_reader::nameOf(ElementType type) { return rowOf(type).name; }
unsigned onnx_reader::bitsOf(ElementType type) { return rowOf(type).bits; }

//===----------------------------------------------------------------------===//
// External files
//===----------------------------------------------------------------------===//

Result<Bytes> ExternalFiles::map(const std::string &relative) {
  if (!folder)
    return Error::mismatch(quote(relative), "a model read from a file, whose folder holds its external data",
                           "a model given as bytes");
  auto known = mapped.find(relative);
  if (known != mapped.end())
    return known->second;
  Result<Bytes> bytes = mapFileInside(*folder, relative);
  if (bytes)
    mapped.emplace(relative, *bytes);
  return bytes;
}

std::string ExternalFiles::whereItBelongs(const std::string &relative) const {
  std::error_code error;
  if (!folder || std::filesystem::exists(std::filesystem::path(*folder) / relative, error) || error)
    return "";
  return "; the model's weights are in a file of that name: copy it to where the model is, or save the model with its "
         "weights inside (onnx.save)";
}

//===----------------------------------------------------------------------===//
// Converting
//===----------------------------------------------------------------------===//

namespace {

/// One tensor on its way; `tensor.type`, dims and count come first, the data
/// then has to fit them.
class TensorConversion {
public:
  TensorConversion(::onnx::TensorProto &proto, const std::string &place, ExternalFiles &external)
      : proto(proto), place(place), external(external) {}

  Result<Tensor> run(std::optional<Bytes> raw);

private:
  Status readType();
  Status readDims();
  Status readRaw(Bytes raw);
  Status readExternal();
  Status readTyped();
  Status readStrings();
  Status readInt32Data();
  template <typename Field> Status copyField(const Field &field, const char *fieldName);
  Result<uint64_t> externalNumber(const std::string &key, const std::string &text);

  Error mismatch(const std::string &wanted, const std::string &found) const {
    return Error::mismatch(place, wanted, found);
  }
  std::string describeShape() const;

  ::onnx::TensorProto &proto;
  const std::string &place;
  ExternalFiles &external;
  Tensor tensor;
  uint64_t byteCount = 0;
};

} // namespace

std::string TensorConversion::describeShape() const {
  std::string text = "[";
  for (size_t i = 0; i < tensor.dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(tensor.dims[i]);
  return text + "] of " + std::string(nameOf(tensor.type));
}

Status TensorConversion::readType() {
  std::optional<ElementType> type = elementTypeOf(proto.data_type());
  if (!type)
    return mismatch("an element type from 1 to " + std::to_string(std::size(typeRows)),
                    "number " + std::to_string(proto.data_type()));
  tensor.type = *type;
  return success();
}

Status TensorConversion::readDims() {
  if (proto.dims_size() > static_cast<int>(maxRank))
    return mismatch("at most " + std::to_string(maxRank) + " dims", std::to_string(proto.dims_size()));
  tensor.dims.assign(proto.dims().begin(), proto.dims().end());
  for (int64_t dim : tensor.dims)
    if (dim < 0)
      return mismatch("dims of 0 or more", std::to_string(dim));
  bool empty = std::find(tensor.dims.begin(), tensor.dims.end(), 0) != tensor.dims.end();
  tensor.elementCount = empty ? 0 : 1;
  int64_t bits = 0;
  for (int64_t dim : tensor.dims)
    if (!empty && __builtin_mul_overflow(tensor.elementCount, dim, &tensor.elementCount))
      return mismatch("a size below 2^63", describeShape());
  if (__builtin_mul_overflow(tensor.elementCount, int64_t(bitsOf(tensor.type)), &bits))
    return mismatch("a size below 2^63 bits", describeShape());
  byteCount = static_cast<uint64_t>(bits / 8 + (bits % 8 != 0));
  return success();
}

Status TensorConversion::readRaw(Bytes raw) {
  if (tensor.type == ElementType::String)
    return mismatch("strings in string_data", "raw_data");
#ifndef TENON_PLANTED_BUG // scripts/fuzz planted: a fuzzer must notice that this is missing
  if (raw.size() != byteCount)
    return mismatch(std::to_string(byteCount) + " bytes for " + describeShape(), std::to_string(raw.size()));
#endif
  if (tensor.type == ElementType::Bool)
    for (size_t i = 0; i < raw.size(); ++i)
      if (raw.data()[i] > 1)
        return mismatch("0 or 1 for a bool", std::to_string(raw.data()[i]));
  tensor.data = std::move(raw);
  return success();
}

Result<uint64_t> TensorConversion::externalNumber(const std::string &key, const std::string &text) {
  uint64_t number = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size())
    return mismatch("a whole number as " + key + " of external data", quote(text));
  return number;
}

Status TensorConversion::readExternal() {
  std::string location;
  uint64_t offset = 0, length = byteCount;
  for (const auto &entry : proto.external_data()) {
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset" || entry.key() == "length") {
      Result<uint64_t> number = externalNumber(entry.key(), entry.value());
      if (!number)
        return number.error();
      (entry.key() == "offset" ? offset : length) = *number;
    }
  }
  if (length != byteCount)
    return mismatch(std::to_string(byteCount) + " bytes of external data for " + describeShape(),
                    std::to_string(length));
  Result<Bytes> bytes = external.map(location);
  if (!bytes)
    return Error{place + ": external data " + bytes.error().message + external.whereItBelongs(location)};
  if (offset > bytes->size() || byteCount > bytes->size() - offset)
    return mismatch(std::to_string(byteCount) + " bytes at offset " + std::to_string(offset) + " of " + quote(location),
                    "a file of " + std::to_string(bytes->size()) + " bytes");
  return readRaw(bytes->slice(offset, byteCount));
}

Status TensorConversion::readStrings() {
  if (proto.string_data_size() != tensor.elementCount)
    return mismatch(std::to_string(tensor.elementCount) + " entries of string_data",
                    std::to_string(proto.string_data_size()));
  tensor.strings.assign(proto.string_data().begin(), proto.string_data().end());
  return success();
}

/// For fields whose elements already have the tensor's layout; a complex
/// number is two entries.
template <typename Field> Status TensorConversion::copyField(const Field &field, const char *fieldName) {
  constexpr size_t entrySize = sizeof(*field.data());
  auto entries = static_cast<uint64_t>(field.size());
  if (entries * entrySize != byteCount)
    return mismatch(std::to_string(byteCount / entrySize) + " entries of " + fieldName + " for " + describeShape(),
                    std::to_string(entries));
  std::vector<uint8_t> buffer(byteCount);
  if (byteCount)
    std::memcpy(buffer.data(), field.data(), byteCount);
  tensor.data = Bytes::own(std::move(buffer));
  return success();
}

/// Types narrower than int32 (and two 4-bit or four 2-bit elements as one byte).
Status TensorConversion::readInt32Data() {
  unsigned width = std::max(bitsOf(tensor.type) / 8, 1u);
  auto entries = static_cast<uint64_t>(proto.int32_data_size());
  if (entries != byteCount / width)
    return mismatch(std::to_string(byteCount / width) + " entries of int32_data for " + describeShape(),
                    std::to_string(entries));
  bool isSigned = tensor.type == ElementType::Int8 || tensor.type == ElementType::Int16;
  int32_t count = width == 1 ? 256 : 65536;
  int32_t least = isSigned ? -count / 2 : 0;
  int32_t most = tensor.type == ElementType::Bool ? 1 : least + count - 1;
  std::vector<uint8_t> buffer(byteCount);
  for (uint64_t i = 0; i < entries; ++i) {
    int32_t entry = proto.int32_data(static_cast<int>(i));
    if (entry < least || entry > most)
      return mismatch("int32_data from " + std::to_string(least) + " to " + std::to_string(most) + " for " +
                          std::string(nameOf(tensor.type)),
                      std::to_string(entry));
    std::memcpy(buffer.data() + i * width, &entry, width);
  }
  tensor.data = Bytes::own(std::move(buffer));
  return success();
}

Status TensorConversion::readTyped() {
  switch (tensor.type) {
  case ElementType::String:
    return readStrings();
  case ElementType::Float32:
  case ElementType::Complex64:
    return copyField(proto.float_data(), "float_data");
  case ElementType::Float64:
  case ElementType::Complex128:
    return copyField(proto.double_data(), "double_data");
  case ElementType::Int32:
    return copyField(proto.int32_data(), "int32_data");
  case ElementType::Int64:
    return copyField(proto.int64_data(), "int64_data");
  case ElementType::UInt64:
    return copyField(proto.uint64_data(), "uint64_data");
  case ElementType::UInt32: {
    std::vector<uint32_t> narrow;
    for (uint64_t entry : proto.uint64_data()) {
      if (entry > std::numeric_limits<uint32_t>::max())
        return mismatch("uint64_data below 2^32 for uint32", std::to_string(entry));
      narrow.push_back(static_cast<uint32_t>(entry));
    }
    return copyField(narrow, "uint64_data");
  }
  default:
    return readInt32Data();
  }
}

Result<Tensor> TensorConversion::run(std::optional<Bytes> raw) {
  tensor.name = proto.name();
  if (Status status = readType(); !status)
    return status.error();
  if (Status status = readDims(); !status)
    return status.error();
  if (proto.has_segment())
    return mismatch("a tensor in one piece", "a segment");
  if (!raw && proto.has_raw_data()) {
    std::shared_ptr<const std::string> owner(proto.release_raw_data());
    raw = Bytes(owner, reinterpret_cast<const uint8_t *>(owner->data()), owner->size());
  }
  bool isExternal = proto.data_location() == ::onnx::TensorProto::EXTERNAL;
  if (isExternal && raw && !raw->empty())
    return mismatch("either raw_data or external data", "both");
  Status status = isExternal ? readExternal() : raw ? readRaw(std::move(*raw)) : readTyped();
  if (!status)
    return status.error();
  return std::move(tensor);
}

Result<Tensor> onnx_reader::convertTensor(::onnx::TensorProto &proto, std::optional<Bytes> raw,
                                          const std::string &place, ExternalFiles &external) {
  return TensorConversion(proto, place, external).run(std::move(raw));
}
