//===- MappedFile.cpp - Model files as memory -----------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "frontends/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace tenon;

namespace {

/// An open file, closed at the end of its scope.
class Descriptor {
public:
  explicit Descriptor(int number) : number(number) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() { reset(-1); }

  int get() const { return number; }
  void reset(int next) {
    if (number >= 0)
      close(number);
    number = next;
  }

private:
  int number;
};

} // namespace

static Error systemError(const std::string &path, const char *action) {
  return {path + ": cannot " + action + ": " + std::strerror(errno)};
}

Bytes Bytes::own(std::vector<uint8_t> buffer) {
  auto owner = std::make_shared<const std::vector<uint8_t>>(std::move(buffer));
  return {owner, owner->data(), owner->size()};
}

static Result<Bytes> mapDescriptor(int descriptor, const std::string &path) {
  struct stat status;
  if (fstat(descriptor, &status) != 0)
    return systemError(path, "read its size");
  if (!S_ISREG(status.st_mode))
    return Error::mismatch(path, "a regular file", S_ISDIR(status.st_mode) ? "a folder" : "another kind of file");
  auto size = static_cast<size_t>(status.st_size);
  if (size == 0)
    return Bytes();
  void *memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (memory == MAP_FAILED)
    return systemError(path, "map it");
  std::shared_ptr<const void> owner(memory, [size](const void *start) { munmap(const_cast<void *>(start), size); });
  return Bytes(std::move(owner), static_cast<const uint8_t *>(memory), size);
}

/// O_NONBLOCK: opening a pipe by mistake must not wait for a writer.
static constexpr int readOnly = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

Result<Bytes> tenon::mapFile(const std::string &path) {
  Descriptor file(open(path.c_str(), readOnly));
  if (file.get() < 0)
    return systemError(path, "open it");
  return mapDescriptor(file.get(), path);
}

static Error openingInsideFailed(const std::string &path) {
  if (errno == ELOOP || errno == ENOTDIR)
    return Error::mismatch(path, "a file below the model's folder, without symbolic links", "a link on the way");
  return systemError(path, "open it");
}

Result<Bytes> tenon::mapFileInside(const std::string &folder, const std::string &relative) {
  auto refuse = [&](const char *found) {
    return Error::mismatch(quote(relative), "a path below the model's folder", found);
  };
  if (relative.empty())
    return refuse("an empty one");
  if (relative[0] == '/')
    return refuse("an absolute one");
  if (relative.find('\0') != std::string::npos)
    return refuse("a zero byte in it");

  std::string shown = (folder.empty() ? "" : folder + "/") + relative;
  Descriptor current(open(folder.empty() ? "." : folder.c_str(), readOnly | O_DIRECTORY));
  if (current.get() < 0)
    return systemError(folder, "open the folder");
  size_t begin = 0;
  while (true) {
    size_t end = relative.find('/', begin);
    std::string part = relative.substr(begin, end - begin);
    if (part == "..")
      return refuse("'..' in it");
    bool last = end == std::string::npos;
    if (!part.empty() && part != ".") {
      int next = openat(current.get(), part.c_str(), readOnly | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
      if (next < 0)
        return openingInsideFailed(shown);
      current.reset(next);
    }
    if (last)
      return mapDescriptor(current.get(), shown);
    begin = end + 1;
  }
}

std::string tenon::folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return "";
  return slash == 0 ? "/" : path.substr(0, slash);
}
