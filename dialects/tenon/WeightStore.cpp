//===- WeightStore.cpp - the bytes behind #tenon.source --------------------------===//
#include "dialects/tenon/WeightStore.h"

#include <utility>

namespace tenon {

void WeightStore::add(std::string key, const void *data, size_t size, std::shared_ptr<void> owner) {
  files.insert_or_assign(std::move(key), File{static_cast<const std::byte *>(data), size, std::move(owner)});
}

std::optional<std::span<const std::byte>> WeightStore::bytes(std::string_view key, uint64_t offset, uint64_t size,
                                                             std::string *error) const {
  auto fail = [&](std::string message) {
    if (error)
      *error = std::move(message);
    return std::nullopt;
  };
  auto file = files.find(key);
  if (file == files.end())
    return fail("no file named \"" + std::string(key) + "\" is mapped");
  if (offset > file->second.size || size > file->second.size - offset)
    return fail("wanted bytes " + std::to_string(offset) + " to " + std::to_string(offset) + " + " +
                std::to_string(size) + " of \"" + std::string(key) + "\", found a file of " +
                std::to_string(file->second.size));
  return std::span<const std::byte>(file->second.data + offset, size);
}

} // namespace tenon
