//===- Npy.cpp - NumPy's .npy files as arrays --------------------------------------------===//
//
// A .npy file is "\x93NUMPY", a version, the length of a header, the header as the
// text of a Python dict, and the elements:
//
//     {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
//
//===-----------------------------------------------------------------------------===//
#include "interpreter/Npy.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MemoryBuffer.h"

#include <optional>

namespace tenon {

static llvm::Error failure(llvm::StringRef path, const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "%s: %s", path.str().c_str(), message.str().c_str());
}

/// The text after `'key':` up to `end`, trimmed.
static llvm::StringRef field(llvm::StringRef header, llvm::StringRef key, char end) {
  size_t at = header.find(("'" + key + "':").str());
  return at == llvm::StringRef::npos ? "" : header.substr(at + key.size() + 3).split(end).first.trim();
}

static std::optional<DType> dtypeOfDescr(llvm::StringRef descr) {
  return llvm::StringSwitch<std::optional<DType>>(descr.trim('\''))
      .Case("<f8", DType::F64)
      .Case("<f4", DType::F32)
      .Case("<f2", DType::F16)
      .Case("|b1", DType::Bool)
      .Case("|i1", DType::I8)
      .Case("<i2", DType::I16)
      .Case("<i4", DType::I32)
      .Case("<i8", DType::I64)
      .Case("|u1", DType::U8)
      .Case("<u2", DType::U16)
      .Case("<u4", DType::U32)
      .Case("<u8", DType::U64)
      .Default(std::nullopt);
}

/// "(2, 3" as [2, 3]; none for a negative or overlong product.
static std::optional<std::vector<int64_t>> parseShape(llvm::StringRef text) {
  std::vector<int64_t> shape;
  if (!text.consume_front("("))
    return std::nullopt;
  int64_t count = 1;
  for (llvm::StringRef word : llvm::split(text, ',')) {
    int64_t size;
    if (word.trim().empty())
      continue;
    if (word.trim().getAsInteger(10, size) || size < 0 || (size && count > (int64_t(1) << 40) / size))
      return std::nullopt;
    count *= size;
    shape.push_back(size);
  }
  return shape;
}

llvm::Expected<Array> readNpy(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return failure(path, "cannot be read: " + buffer.getError().message());
  llvm::StringRef bytes = (*buffer)->getBuffer();
  if (bytes.size() < 12 || !bytes.starts_with("\x93NUMPY"))
    return failure(path, "wanted a .npy file, found none of its signature");
  bool wide = bytes[6] >= 2;
  size_t begin = wide ? 12 : 10;
  size_t length =
      wide ? llvm::support::endian::read32le(bytes.data() + 8) : llvm::support::endian::read16le(bytes.data() + 8);
  if (length > bytes.size() - begin)
    return failure(path, "is cut off in its header");
  llvm::StringRef header = bytes.substr(begin, length);
  std::optional<DType> dtype = dtypeOfDescr(field(header, "descr", ','));
  if (!dtype)
    return failure(path, "wanted little-endian floats, integers or bools, found " + field(header, "descr", ','));
  if (field(header, "fortran_order", ',') != "False")
    return failure(path, "wanted C order, found Fortran order");
  std::optional<std::vector<int64_t>> shape = parseShape(field(header, "shape", ')'));
  if (!shape)
    return failure(path, "wanted a shape, found " + field(header, "shape", ')'));
  llvm::StringRef elements = bytes.substr(begin + length);
  size_t wanted = size_t(countOf(*shape)) * bytesOf(*dtype);
  if (elements.size() != wanted)
    return failure(path, "wanted " + llvm::Twine(wanted) + " bytes of elements, found " + llvm::Twine(elements.size()));
  return Array::fromBytes(*dtype, *shape, std::as_bytes(std::span(elements.data(), elements.size())));
}

} // namespace tenon
