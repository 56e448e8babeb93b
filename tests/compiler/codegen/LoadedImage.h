// Loads a kernel image into this process, for tests and benchmarks of code
// generation alone. Programs use the runtime's loader.

#pragma once

#include <cstdint>
#include <dlfcn.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace tenon {

class LoadedImage {
public:
  explicit LoadedImage(std::string_view bytes) {
    file = memfd_create("tenon-kernels", MFD_CLOEXEC);
    for (std::string_view rest = bytes; file >= 0 && !rest.empty();) {
      ssize_t written = write(file, rest.data(), rest.size());
      if (written <= 0)
        break;
      rest.remove_prefix(written);
    }
    handle = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle)
      message = dlerror();
  }
  LoadedImage(const LoadedImage &) = delete;
  LoadedImage &operator=(const LoadedImage &) = delete;
  ~LoadedImage() {
    if (handle)
      dlclose(handle);
    close(file);
  }

  /// Why loading failed; empty if it did not.
  const std::string &error() const { return message; }
  /// The function `name`, or null.
  template <typename Function> Function *find(const char *name) const {
    return handle ? reinterpret_cast<Function *>(dlsym(handle, name)) : nullptr;
  }

private:
  // Open as long as the image is loaded: dlopen takes an equal path for the same
  // library, and a closed number would be handed out again.
  int file = -1;
  void *handle = nullptr;
  std::string message;
};

} // namespace tenon
