//===- WeightStore.h - the bytes behind #tenon.source ----------------------------===//
//
// The IR never holds a weight: `#tenon.source<"model.safetensors", 4096>` names a
// file and an offset. A WeightStore says which bytes a name stands for. Whoever
// reads a model fills it; the interpreter and the artifact's writer read it.
//
// Ownership: the store keeps each file's `owner` alive (a mapping, a vector) and
// so the pointers it gives out stay valid as long as the store, or a copy of it, lives.
// Reading from several threads at once is safe once no more files are added.
//
//===-----------------------------------------------------------------------------===//
#ifndef TENON_DIALECTS_TENON_WEIGHTSTORE_H
#define TENON_DIALECTS_TENON_WEIGHTSTORE_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tenon {

class WeightStore {
public:
  /// Declares `size` bytes at `data` as the file `key`. A key that is already
  /// there is replaced. `owner` may be null for memory that outlives the store.
  void add(std::string key, const void *data, size_t size, std::shared_ptr<void> owner = nullptr);

  bool contains(std::string_view key) const { return files.find(key) != files.end(); }

  /// The `size` bytes at `offset` of the file `key`. None, and why in `error`,
  /// when there is no such file or the range leaves it.
  std::optional<std::span<const std::byte>> bytes(std::string_view key, uint64_t offset, uint64_t size,
                                                  std::string *error = nullptr) const;

private:
  struct File {
    const std::byte *data;
    size_t size;
    std::shared_ptr<void> owner;
  };
  std::map<std::string, File, std::less<>> files;
};

} // namespace tenon
#endif
