//===- Safetensors.cpp - Checked view of a .safetensors file --------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The header is parsed event by event: a document tree would forget keys that
// occur twice, and would be built whatever its size.
//
//===----------------------------------------------------------------------===//

#include "frontends/huggingface/reader/Safetensors.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

using namespace tenon;
using namespace tenon::huggingface_reader;

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and used as it lies");

namespace {

struct TypeRow {
  ElementType type;
  std::string_view name;
  unsigned size;
};

constexpr TypeRow typeRows[] = {
    {ElementType::Bool, "BOOL", 1},
    {ElementType::UInt8, "U8", 1},
    {ElementType::Int8, "I8", 1},
    {ElementType::Float8E4M3, "F8_E4M3", 1},
    {ElementType::Float8E5M2, "F8_E5M2", 1},
    {ElementType::UInt16, "U16", 2},
    {ElementType::Int16, "I16", 2},
    {ElementType::Float16, "F16", 2},
    {ElementType::BFloat16, "BF16", 2},
    {ElementType::UInt32, "U32", 4},
    {ElementType::Int32, "I32", 4},
    {ElementType::Float32, "F32", 4},
    {ElementType::UInt64, "U64", 8},
    {ElementType::Int64, "I64", 8},
    {ElementType::Float64, "F64", 8},
};

constexpr size_t lengthSize = 8;
constexpr uint64_t maxHeader = 100'000'000; // As the format's own library.
constexpr size_t maxRank = 64;

/// One entry of the header, before it is checked against the file.
struct Entry {
  std::string name;
  std::optional<ElementType> type;
  std::optional<std::vector<uint64_t>> shape, range;
};

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// Receives the header's JSON events. Depth 1 is the file's object, depth 2 an
/// entry, depth 3 one of its lists. The first fault ends the parse.
class HeaderReading {
public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
  std::string fault;

  bool start_object(size_t) {
    if (list || depth == 2 || (depth == 1 && lastKey.empty()))
      return fail("a safetensors header", "an object in the wrong place");
    ++depth;
    seen.clear();
    inMetadata = depth == 2 && lastKey == "__metadata__";
    if (depth == 2 && !inMetadata)
      entries.push_back({lastKey, {}, {}, {}});
    return true;
  }

  bool end_object() {
    if (depth-- == 1 || inMetadata)
      return true;
    const Entry &entry = entries.back();
    if (!entry.type || !entry.shape || !entry.range)
      return fail("dtype, shape and data_offsets for tensor " + quote(entry.name), "one missing");
    return true;
  }

  bool key(std::string &name) {
    bool fresh = depth == 1 ? names.insert(name).second : seen.insert(name).second;
    lastKey = name;
    if (!fresh)
      return fail("key " + quote(name) + " once", "it twice");
    if (depth == 1 && name.empty())
      return fail("tensor names", "an empty one");
    if (depth == 2 && !inMetadata && name != "dtype" && name != "shape" && name != "data_offsets")
      return fail("dtype, shape and data_offsets for tensor " + quote(entries.back().name), quote(name));
    return true;
  }

  bool string(std::string &text) {
    if (depth == 2 && inMetadata) {
      metadata.emplace(lastKey, std::move(text));
      return true;
    }
    if (depth != 2 || lastKey != "dtype" || list)
      return unexpected("a string");
    for (const TypeRow &row : typeRows)
      if (row.name == text)
        entries.back().type = row.type;
    return entries.back().type || fail("a known dtype for tensor " + quote(entries.back().name), quote(text));
  }

  bool start_array(size_t) {
    if (depth != 2 || inMetadata || lastKey == "dtype" || list)
      return unexpected("a list");
    std::optional<std::vector<uint64_t>> &target = lastKey == "shape" ? entries.back().shape : entries.back().range;
    list = &target.emplace();
    return true;
  }

  bool end_array() {
    bool isRange = lastKey == "data_offsets";
    size_t size = list->size();
    list = nullptr;
    if (isRange ? size != 2 : size > maxRank)
      return fail(isRange ? "two data_offsets" : "at most 64 dims", std::to_string(size));
    return true;
  }

  bool number_unsigned(uint64_t number) {
    if (!list)
      return unexpected("a number");
    if (number > static_cast<uint64_t>(INT64_MAX))
      return fail("numbers below 2^63", std::to_string(number));
    if (list->size() > maxRank)
      return fail("at most 64 dims", "more");
    list->push_back(number);
    return true;
  }

  bool number_integer(int64_t number) { return unexpected(std::to_string(number)); }
  bool number_float(double, const std::string &text) { return unexpected(text); }
  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool binary(std::vector<uint8_t> &) { return unexpected("binary data"); }

  bool parse_error(size_t position, const std::string &, const nlohmann::detail::exception &) {
    return fail("a header of UTF-8 JSON", "a fault at byte " + std::to_string(lengthSize + position));
  }

private:
  bool fail(const std::string &wanted, const std::string &found) {
    if (fault.empty())
      fault = "wanted " + wanted + ", found " + found;
    return false;
  }

  bool unexpected(const std::string &found) {
    std::string place = depth == 2 && !inMetadata ? " in tensor " + quote(entries.back().name) : "";
    return fail("a safetensors header" + place, found + (lastKey.empty() ? "" : " for " + quote(lastKey)));
  }

  unsigned depth = 0;
  bool inMetadata = false;
  std::string lastKey;
  std::set<std::string> names, seen;
  std::vector<uint64_t> *list = nullptr;
};

} // namespace

std::string_view huggingface_reader::nameOf(ElementType type) { return typeRows[static_cast<size_t>(type)].name; }
unsigned huggingface_reader::sizeOf(ElementType type) { return typeRows[static_cast<size_t>(type)].size; }

//===----------------------------------------------------------------------===//
// Finding
//===----------------------------------------------------------------------===//

Result<const Tensor *> Safetensors::find(std::string_view name) const {
  auto found = tensors.find(name);
  if (found == tensors.end())
    return Error::mismatch(file, "tensor " + quote(name), "none of this name");
  return &found->second;
}

Result<const Tensor *> Safetensors::find(std::string_view name, const std::vector<int64_t> &shape) const {
  Result<const Tensor *> tensor = find(name);
  if (tensor && (*tensor)->shape != shape)
    return Error::mismatch(file + ": tensor " + quote(name), "shape " + shapeText(shape), shapeText((*tensor)->shape));
  return tensor;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

static Result<uint64_t> headerLength(const Bytes &bytes, const std::string &file) {
  if (bytes.size() < lengthSize)
    return Error::mismatch(file, "a safetensors file", bytes.empty() ? "an empty file" : "one of less than 8 bytes");
  uint64_t length;
  std::memcpy(&length, bytes.data(), lengthSize);
  if (length > maxHeader)
    return Error::mismatch(file, "a safetensors header of at most 100 MB", std::to_string(length) + " bytes");
  if (length > bytes.size() - lengthSize)
    return Error::mismatch(file, "a header of " + std::to_string(length) + " bytes",
                           "a file of " + std::to_string(bytes.size()));
  if (length == 0 || bytes.data()[lengthSize] != '{')
    return Error::mismatch(file, "a safetensors header that begins with '{'",
                           length == 0 ? "an empty one" : "another byte");
  return length;
}

/// The tensor an entry describes; `data` is the file after its header.
static Result<Tensor> checkEntry(const Entry &entry, const Bytes &data, uint64_t dataStart, const std::string &file) {
  std::string place = file + ": tensor " + quote(entry.name);
  Tensor tensor{entry.name, *entry.type, {entry.shape->begin(), entry.shape->end()}, {}, 0};
  bool empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
  uint64_t size = empty ? 0 : sizeOf(tensor.type);
  for (uint64_t dim : *entry.shape)
    if (!empty && __builtin_mul_overflow(size, dim, &size))
      return Error::mismatch(place, "a size below 2^64 bytes", shapeText(tensor.shape));
  uint64_t begin = (*entry.range)[0], end = (*entry.range)[1];
  if (begin > end || end > data.size())
    return Error::mismatch(place, "data_offsets that rise and end by " + std::to_string(data.size()),
                           std::to_string(begin) + " to " + std::to_string(end));
#ifndef TENON_PLANTED_BUG // scripts/fuzz planted: a fuzzer must notice that this is missing
  if (end - begin != size)
    return Error::mismatch(place,
                           std::to_string(size) + " bytes for " + shapeText(tensor.shape) + " of " +
                               std::string(nameOf(tensor.type)),
                           std::to_string(end - begin));
#endif
  tensor.data = data.slice(begin, size);
  tensor.offset = dataStart + begin;
  return tensor;
}

/// The ranges, in order, must cover the data exactly.
static Status checkCoverage(std::vector<Entry> &entries, uint64_t dataSize, const std::string &file) {
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) { return a.range < b.range; });
  uint64_t covered = 0;
  for (const Entry &entry : entries) {
    if ((*entry.range)[0] != covered)
      return Error::mismatch(file + ": tensor " + quote(entry.name), "data from offset " + std::to_string(covered),
                             "data from " + std::to_string((*entry.range)[0]) +
                                 ((*entry.range)[0] < covered ? ", an overlap" : ", a hole"));
    covered = (*entry.range)[1];
  }
  if (covered != dataSize)
    return Error::mismatch(file, std::to_string(covered) + " bytes of data", std::to_string(dataSize));
  return success();
}

Result<Safetensors> huggingface_reader::readSafetensors(const Bytes &bytes, const std::string &name) {
  Result<uint64_t> length = headerLength(bytes, name);
  if (!length)
    return length.error();
  std::string_view header = bytes.text().substr(lengthSize, *length);
  HeaderReading reading;
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reading))
    return Error{name + ": " + reading.fault};

  Safetensors file{name, bytes, {}, std::move(reading.metadata)};
  uint64_t dataStart = lengthSize + *length;
  Bytes data = bytes.slice(dataStart, bytes.size() - dataStart);
  for (const Entry &entry : reading.entries) {
    Result<Tensor> tensor = checkEntry(entry, data, dataStart, name);
    if (!tensor)
      return tensor.error();
    file.tensors.emplace(entry.name, std::move(*tensor));
  }
  if (Status status = checkCoverage(reading.entries, data.size(), name); !status)
    return status.error();
  return file;
}

Result<Safetensors> huggingface_reader::readSafetensors(const std::string &path) {
  Result<Bytes> bytes = mapFile(path);
  if (!bytes)
    return bytes.error();
  return readSafetensors(*bytes, path);
}
