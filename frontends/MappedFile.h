//===- MappedFile.h - Model files as memory ---------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_MAPPEDFILE_H
#define TENON_FRONTENDS_MAPPEDFILE_H

#include "frontends/Result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

/// Read-only bytes that keep alive what they lie in: a mapped file or a
/// buffer. Copies share. No alignment is promised.
class Bytes {
public:
  Bytes() = default;
  Bytes(std::shared_ptr<const void> owner, const uint8_t *data, size_t size)
      : owner(std::move(owner)), first(data), length(size) {}
  /// Takes the buffer over.
  static Bytes own(std::vector<uint8_t> buffer);
  /// Borrows; the caller keeps `data` alive and unchanged.
  static Bytes borrow(const void *data, size_t size) { return {nullptr, static_cast<const uint8_t *>(data), size}; }

  const uint8_t *data() const { return first; }
  size_t size() const { return length; }
  bool empty() const { return length == 0; }
  /// What must live as long as a pointer from data(); null when borrowed.
  const std::shared_ptr<const void> &keeper() const { return owner; }
  std::string_view text() const { return {reinterpret_cast<const char *>(first), length}; }

  /// The part from `offset`, `size` long; both must lie within.
  Bytes slice(size_t offset, size_t size) const { return {owner, first + offset, size}; }
  /// A part given by a view into this.
  Bytes slice(std::string_view part) const {
    return {owner, reinterpret_cast<const uint8_t *>(part.data()), part.size()};
  }

private:
  std::shared_ptr<const void> owner;
  const uint8_t *first = nullptr;
  size_t length = 0;
};

/// Maps a regular file, read-only; its pages are the page cache's and cost
/// memory only once touched. The file must not shrink while the bytes live.
Result<Bytes> mapFile(const std::string &path);

/// Maps `relative`, a path that a file in `folder` names and that is therefore
/// not trusted: it may not be absolute, contain `..`, or pass through a
/// symbolic link. `folder` itself may be any path ("" is the current one).
Result<Bytes> mapFileInside(const std::string &folder, const std::string &relative);

/// The folder part of a path, "" when there is none.
std::string folderOf(const std::string &path);

} // namespace tenon

#endif // TENON_FRONTENDS_MAPPEDFILE_H
