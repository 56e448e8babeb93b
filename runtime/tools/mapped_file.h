//===- mapped_file.h - A file as memory -------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_TOOLS_MAPPED_FILE_H
#define TENON_RUNTIME_TOOLS_MAPPED_FILE_H

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon {

/// Read-only bytes of a file, page-aligned, while this lives.
class MappedFile {
public:
  MappedFile() = default;
  ~MappedFile() {
    if (first)
      ::munmap(first, length);
  }
  MappedFile(const MappedFile &) = delete;

  /// Empty on success, else what is wrong, starting with the path.
  std::string open(const std::string &path) {
    int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info;
    bool good = file >= 0 && ::fstat(file, &info) == 0;
    length = good && info.st_size > 0 ? size_t(info.st_size) : 0;
    void *mapped = length ? ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
    int reason = errno;
    if (file >= 0)
      ::close(file);
    if (!good || mapped == MAP_FAILED)
      return path + ": cannot open: " + std::strerror(reason);
    first = mapped;
    return "";
  }
  const uint8_t *data() const { return static_cast<const uint8_t *>(first); }
  size_t size() const { return length; }

private:
  void *first = nullptr;
  size_t length = 0;
};

} // namespace tenon

#endif // TENON_RUNTIME_TOOLS_MAPPED_FILE_H
