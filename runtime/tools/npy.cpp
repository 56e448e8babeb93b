//===- npy.cpp - NumPy's .npy files ---------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/npy.h"

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
  if (!value || *value++ != '\'')
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

static std::string readHeader(FILE *file, const std::string &path, std::string &header) {
  unsigned char start[signatureBytes + 2];
  if (std::fread(start, 1, sizeof(start), file) != sizeof(start) || std::memcmp(start, signature, signatureBytes) != 0)
    return path + ": wanted a .npy file, found something else";
  unsigned major = start[signatureBytes];
  if (major < 1 || major > 3)
    return path + ": .npy format version " + std::to_string(major) + ", wanted 1 to 3";
  unsigned char length[4] = {0, 0, 0, 0};
  size_t lengthBytes = major == 1 ? 2 : 4;
  if (std::fread(length, 1, lengthBytes, file) != lengthBytes)
    return path + ": cut short in its header";
  size_t bytes = length[0] | size_t(length[1]) << 8 | size_t(length[2]) << 16 | size_t(length[3]) << 24;
  constexpr size_t mostBytes = size_t(1) << 20;
  if (bytes > mostBytes)
    return path + ": a header of " + std::to_string(bytes) + " bytes";
  header.resize(bytes);
  if (std::fread(header.data(), 1, bytes, file) != bytes)
    return path + ": cut short in its header";
  return "";
}

static std::string readData(FILE *file, const std::string &path, NpyArray &array) {
  uint64_t bytes = tenon_dtype_bytes(array.dtype);
  for (int64_t dim : array.dims)
    if (__builtin_mul_overflow(bytes, uint64_t(dim), &bytes))
      return path + ": its shape is larger than memory";
  struct stat info;
  long position = std::ftell(file);
  uint64_t there = ::fstat(::fileno(file), &info) == 0 && position >= 0 && info.st_size >= position
                       ? uint64_t(info.st_size - position)
                       : 0;
  if (bytes != there)
    return path + ": its shape needs " + std::to_string(bytes) + " bytes of data, found " + std::to_string(there);
  array.bytes.resize(bytes);
  if (bytes && std::fread(array.bytes.data(), 1, bytes, file) != bytes)
    return path + ": cannot read: " + std::strerror(errno);
  return "";
}

std::string readNpy(const std::string &path, NpyArray &array) {
  File file(std::fopen(path.c_str(), "rbe"));
  if (!file)
    return path + ": cannot open: " + std::strerror(errno);
  std::string header;
  std::string error = readHeader(file.get(), path, header);
  if (!error.empty())
    return error;
  array = NpyArray();
  if (!parseDescription(valueOf(header, "descr"), array.dtype))
    return path + ": wanted little-endian numbers or booleans, found the header " + header;
  const char *order = valueOf(header, "fortran_order");
  if (!order || std::strncmp(order, "False", 5) != 0)
    return path + ": wanted C order (numpy.ascontiguousarray), found Fortran order";
  if (!parseShape(valueOf(header, "shape"), array.dims))
    return path + ": no shape in its header " + header;
  return readData(file.get(), path, array);
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
