//===- cubin_cache.cpp - Machine code kept between processes --------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/cubin_cache.h"
#include "runtime/src/status.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::cuda {

namespace {

/// What is in front of the cubin.
struct FileHeader {
  char magic[8];
  uint64_t bytes;
  uint64_t hash; ///< XXH3-64 of the cubin
};
constexpr char magic[8] = {'T', 'N', 'C', 'U', 'B', 'I', 'N', '1'};
constexpr uint64_t mostBytes = uint64_t(1) << 30;

class File {
public:
  explicit File(int descriptor) : descriptor(descriptor) {}
  ~File() {
    if (descriptor >= 0)
      ::close(descriptor);
  }
  bool isOpen() const { return descriptor >= 0; }
  bool read(void *to, size_t bytes) const {
    for (size_t done = 0; done < bytes;) {
      ssize_t got = ::read(descriptor, static_cast<char *>(to) + done, bytes - done);
      if (got <= 0)
        return false;
      done += size_t(got);
    }
    return true;
  }
  bool write(const void *from, size_t bytes) const {
    for (size_t done = 0; done < bytes;) {
      ssize_t put = ::write(descriptor, static_cast<const char *>(from) + done, bytes - done);
      if (put <= 0)
        return false;
      done += size_t(put);
    }
    return true;
  }
  /// Whether only this user can have written it.
  bool isOurs() const {
    struct stat info;
    return ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == ::geteuid() &&
           (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  }

private:
  int descriptor;
};

} // namespace

static std::string folder() {
  const char *own = std::getenv("TENON_CACHE_DIR");
  if (own && *own)
    return std::strcmp(own, "off") == 0 ? "" : own;
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache && *cache == '/')
    return std::string(cache) + "/tenon";
  return home && *home == '/' ? std::string(home) + "/.cache/tenon" : "";
}

CubinCache::CubinCache(const char *ptx, size_t bytes, int driverVersion, int capability) {
  std::string place = folder();
  if (place.empty())
    return;
  uint64_t seed = uint64_t(uint32_t(driverVersion)) << 32 | uint32_t(capability);
  XXH128_hash_t hash = XXH3_128bits_withSeed(ptx, bytes, seed);
  file = place + text("/%016" PRIx64 "%016" PRIx64 ".cubin", uint64_t(hash.high64), uint64_t(hash.low64));
}

std::vector<uint8_t> CubinCache::read() const {
  File input(file.empty() ? -1 : ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  FileHeader header;
  if (!input.isOpen() || !input.isOurs() || !input.read(&header, sizeof(header)) ||
      std::memcmp(header.magic, magic, sizeof(magic)) != 0 || header.bytes == 0 || header.bytes > mostBytes)
    return {};
  std::vector<uint8_t> cubin(header.bytes);
  if (!input.read(cubin.data(), cubin.size()) || XXH3_64bits(cubin.data(), cubin.size()) != header.hash)
    return {};
  return cubin;
}

/// Makes the folder a file is in, and those above it.
static void makeFolders(const std::string &file) {
  for (size_t slash = file.find('/', 1); slash != std::string::npos; slash = file.find('/', slash + 1))
    ::mkdir(file.substr(0, slash).c_str(), 0700);
}

void CubinCache::write(const void *cubin, size_t bytes) const {
  if (file.empty() || bytes == 0 || bytes > mostBytes)
    return;
  makeFolders(file);
  std::string temporary = file + ".XXXXXX";
  int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC); // readable and writable by its owner alone
  if (descriptor < 0)
    return;
  FileHeader header;
  std::memcpy(header.magic, magic, sizeof(magic));
  header.bytes = bytes;
  header.hash = XXH3_64bits(cubin, bytes);
  bool written;
  {
    File output(descriptor);
    written = output.write(&header, sizeof(header)) && output.write(cubin, bytes);
  }
  if (!written || ::rename(temporary.c_str(), file.c_str()) != 0)
    ::unlink(temporary.c_str());
}

} // namespace tenon::cuda
