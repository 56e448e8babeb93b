//===- npy.cpp - NumPy's .npy files ---------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/npy.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon {

namespace {
struct CloseFile {
  void operator()(FILE *file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

struct Description {
  tenon_dtype dtype;
  const char *text;
};
} // namespace

static const Description descriptions[] = {
    {TENON_F32, "<f4"}, {TENON_F16, "<f2"}, {TENON_BF16, "|V2"}, {TENON_F64, "<f8"}, {TENON_I8, "|i1"},
    {TENON_I16, "<i2"}, {TENON_I32, "<i4"}, {TENON_I64, "<i8"},  {TENON_U8, "|u1"},  {TENON_U16, "<u2"},
    {TENON_U32, "<u4"}, {TENON_U64, "<u8"}, {TENON_BOOL, "|b1"},
};

static constexpr char signature[] = "\x93NUMPY";
static constexpr size_t signatureBytes = 6;

//===- Reading ------------------------------------------------------------===//

/// The text after `'key':` in the header's dictionary, blanks skipped; null if there is none.
static const char *valueOf(const std::string &header, const char *key) {
  size_t place = header.find("'" + std::string(key) + "'");
  place = place == std::string::npos ? place : header.find(':', place);
  if (place == std::string::npos)
    return nullptr;
  const char *value = header.c_str() + place + 1;
  while (*value == ' ')
    ++value;
  return value;
}

static bool parseDescription(const char *value, tenon_dtype &dtype) {
  if (!value || *value++ != '\'' || std::strlen(value) < 4)
    return false;
  for (const Description &each : descriptions) {
    bool sizeOnly = each.text[0] == '|' && std::strchr("|<=>", *value); // order means nothing for a byte
    if (std::strncmp(value + (sizeOnly ? 1 : 0), each.text + (sizeOnly ? 1 : 0), sizeOnly ? 2 : 3) == 0 &&
        value[3] == '\'')
      return dtype = each.dtype, true;
  }
  return false;
}

static bool parseShape(const char *value, std::vector<int64_t> &dims) {
  if (!value || *value++ != '(')
    return false;
  while (*value != ')') {
    char *end;
    errno = 0;
    long long dim = std::strtoll(value, &end, 10);
    if (end == value || errno || dim < 0)
      return false;
    dims.push_back(dim);
    for (value = end; *value == ',' || *value == ' ';)
      ++value;
  }
  return true;
}

static constexpr size_t mostHeaderBytes = size_t(1) << 20;

/// The header at the start of `data`, of which `bytes` are there: type and dims, and where elements begin.
static std::string readHeader(const uint8_t *data, size_t bytes, const std::string &place, NpyArray &array,
                              size_t &begin) {
  if (bytes < signatureBytes + 2 || std::memcmp(data, signature, signatureBytes) != 0)
    return place + ": wanted a .npy file, found something else";
  unsigned major = data[signatureBytes];
  if (major < 1 || major > 3)
    return place + ": .npy format version " + std::to_string(major) + ", wanted 1 to 3";
  size_t lengthBytes = major == 1 ? 2 : 4, length = 0;
  begin = signatureBytes + 2 + lengthBytes;
  if (bytes < begin)
    return place + ": cut short in its header";
  for (size_t i = 0; i < lengthBytes; ++i)
    length |= size_t(data[begin - lengthBytes + i]) << 8 * i;
  if (length > mostHeaderBytes)
    return place + ": a header of " + std::to_string(length) + " bytes";
  if (bytes - begin < length)
    return place + ": cut short in its header";
  std::string header(reinterpret_cast<const char *>(data) + begin, length);
  begin += length;
  array = NpyArray();
  if (!parseDescription(valueOf(header, "descr"), array.dtype))
    return place + ": wanted little-endian numbers or booleans, found the header " + header;
  const char *order = valueOf(header, "fortran_order");
  if (!order || std::strncmp(order, "False", 5) != 0)
    return place + ": wanted C order (numpy.ascontiguousarray), found Fortran order";
  if (!parseShape(valueOf(header, "shape"), array.dims))
    return place + ": no shape in its header " + header;
  return "";
}

/// Whether the elements fill what is there exactly.
static std::string checkSize(const NpyArray &array, uint64_t there, const std::string &place) {
  uint64_t bytes = tenon_dtype_bytes(array.dtype);
  for (int64_t dim : array.dims)
    if (__builtin_mul_overflow(bytes, uint64_t(dim), &bytes))
      return place + ": its shape is larger than memory";
#ifdef TENON_PLANTED_BUG // scripts/fuzz planted: a fuzzer must notice that the check is missing
  return "";
#endif
  return bytes == there ? ""
                        : place + ": its shape needs " + std::to_string(bytes) + " bytes of data, found " +
                              std::to_string(there);
}

std::string readNpyMemory(const uint8_t *data, size_t bytes, const std::string &place, NpyArray &array) {
  size_t begin = 0;
  std::string error = readHeader(data, bytes, place, array, begin);
  if (error.empty())
    error = checkSize(array, bytes - begin, place);
  if (error.empty())
    array.bytes.assign(data + begin, data + bytes);
  return error;
}

std::string readNpy(const std::string &path, NpyArray &array) {
  File file(std::fopen(path.c_str(), "rbe"));
  struct stat info;
  if (!file || ::fstat(::fileno(file.get()), &info) != 0)
    return path + ": cannot open: " + std::strerror(errno);
  uint64_t size = info.st_size > 0 ? uint64_t(info.st_size) : 0;
  std::vector<uint8_t> start(size_t(std::min<uint64_t>(size, mostHeaderBytes + signatureBytes + 6)));
  if (std::fread(start.data(), 1, start.size(), file.get()) != start.size())
    return path + ": cannot read: " + std::strerror(errno);
  size_t begin = 0;
  std::string error = readHeader(start.data(), start.size(), path, array, begin);
  if (error.empty())
    error = checkSize(array, size - begin, path);
  if (!error.empty())
    return error;
  array.bytes.assign(start.begin() + ptrdiff_t(begin), start.end());
  size_t there = array.bytes.size();
  array.bytes.resize(size_t(size) - begin);
  if (std::fread(array.bytes.data() + there, 1, array.bytes.size() - there, file.get()) != array.bytes.size() - there)
    return path + ": cannot read: " + std::strerror(errno);
  return "";
}

tenon_dtype asBits(tenon_dtype wanted, tenon_dtype found) {
  return wanted == TENON_BF16 && found == TENON_U16 ? wanted : found;
}

//===- Writing ------------------------------------------------------------===//

static std::string headerFor(const tenon_tensor &tensor) {
  const char *description = "?";
  for (const Description &each : descriptions)
    if (each.dtype == (tensor.dtype == TENON_BF16 ? TENON_U16 : tensor.dtype))
      description = each.text;
  std::string shape;
  for (uint32_t i = 0; i < tensor.rank; ++i)
    shape += (i ? ", " : "") + std::to_string(tensor.dims[i]);
  if (tensor.rank == 1)
    shape += ",";
  std::string dictionary =
      std::string("{'descr': '") + description + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  constexpr size_t alignment = 64, fixedBytes = signatureBytes + 4; // and a newline at the end
  size_t used = fixedBytes + dictionary.size() + 1;
  dictionary.append((alignment - used % alignment) % alignment, ' ');
  dictionary += '\n';
  std::string header(signature, signatureBytes);
  header += {'\x01', '\x00', char(dictionary.size() & 0xff), char(dictionary.size() >> 8)};
  return header + dictionary;
}

std::string writeNpy(const std::string &path, const tenon_tensor &tensor) {
  std::string temporary = path + ".part-" + std::to_string(::getpid());
  File file(std::fopen(temporary.c_str(), "wbe"));
  if (!file)
    return path + ": cannot create: " + std::strerror(errno);
  size_t bytes = tenon_dtype_bytes(tensor.dtype);
  for (uint32_t i = 0; i < tensor.rank; ++i)
    bytes *= size_t(tensor.dims[i]);
  std::string header = headerFor(tensor);
  bool good = std::fwrite(header.data(), 1, header.size(), file.get()) == header.size() &&
              (bytes == 0 || std::fwrite(tensor.data, 1, bytes, file.get()) == bytes);
  good = std::fclose(file.release()) == 0 && good && std::rename(temporary.c_str(), path.c_str()) == 0;
  if (good)
    return "";
  std::string error = path + ": cannot write: " + std::strerror(errno);
  ::unlink(temporary.c_str());
  return error;
}

static std::string makeFolder(const std::string &folder) {
  struct stat info;
  if (::mkdir(folder.c_str(), 0777) == 0 ||
      (errno == EEXIST && ::stat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode)))
    return "";
  return folder + ": cannot make the folder: " + std::strerror(errno);
}

std::string npyPath(const std::string &folder, const std::string &name, std::string &path) {
  path = folder.empty() ? "." : folder;
  std::string error = makeFolder(path);
  for (size_t start = 0; error.empty();) {
    size_t slash = name.find('/', start);
    std::string part = name.substr(start, slash == std::string::npos ? slash : slash - start);
    if (part.empty() || part == "." || part == "..")
      return "output '" + name + "': its name leaves the folder " + folder + " or is no file name";
    path += "/" + part;
    if (slash == std::string::npos) {
      path += ".npy";
      return "";
    }
    error = makeFolder(path);
    start = slash + 1;
  }
  return error;
}

} // namespace tenon
