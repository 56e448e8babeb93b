//===- WorkFolder.h - a folder for temporary files --------------------------------------===//
#ifndef TENON_COMPILER_TOOLS_WORKFOLDER_H
#define TENON_COMPILER_TOOLS_WORKFOLDER_H

#include <cstdlib>
#include <filesystem>

namespace tenon {

/// Removed with all in it at the end of its scope. `path` is empty if none could be made.
struct WorkFolder {
  WorkFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenon-XXXXXX").string();
    if (const char *made = ::mkdtemp(pattern.data()))
      path = made;
  }
  WorkFolder(const WorkFolder &) = delete;
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

} // namespace tenon
#endif
