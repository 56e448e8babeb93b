//===- Config.h - config.json and its like ----------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
//     Result<Config> config = readConfig(folder + "/config.json");
//     Result<int64_t> width = config->count("hidden_size");
//     // "m/config.json: key 'hidden_size': wanted a whole number from 1 to
//     //  2147483647, found "wide""
//
// Every accessor comes in two: without a default the key must be there, with
// one it may be missing or null. A key of the wrong type is always an error.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_HUGGINGFACE_READER_CONFIG_H
#define TENON_FRONTENDS_HUGGINGFACE_READER_CONFIG_H

#include "frontends/MappedFile.h"
#include "frontends/Result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::huggingface_reader {

/// A JSON object, shared by its copies.
class Config {
public:
  /// The file as given, with the keys down to this object.
  const std::string &place() const { return where; }
  bool has(std::string_view key) const; ///< Present and not null.

  /// A size or number of things: 1 to 2^31 - 1.
  Result<int64_t> count(std::string_view key, std::optional<int64_t> otherwise = {}) const;
  Result<int64_t> integer(std::string_view key, std::optional<int64_t> otherwise = {}) const;
  /// Finite.
  Result<double> number(std::string_view key, std::optional<double> otherwise = {}) const;
  Result<bool> boolean(std::string_view key, std::optional<bool> otherwise = {}) const;
  Result<std::string> string(std::string_view key, std::optional<std::string> otherwise = {}) const;
  Result<std::vector<std::string>> strings(std::string_view key) const;
  Result<Config> section(std::string_view key) const;

  /// The error for a value that has the right type and is not supported.
  Error unsupported(std::string_view key, std::string_view wanted) const;

private:
  struct Node;
  Config(std::shared_ptr<const Node> node, std::string where) : node(std::move(node)), where(std::move(where)) {}
  static Result<std::shared_ptr<const Node>> parse(const Bytes &bytes, const std::string &name);
  Error wrong(std::string_view key, std::string_view wanted) const;

  std::shared_ptr<const Node> node;
  std::string where;

  friend Result<Config> readConfig(const Bytes &bytes, const std::string &name);
  friend Result<std::vector<Config>> readConfigList(const Bytes &bytes, const std::string &name);
};

/// A file that holds one object. `name` stands for the file in messages.
Result<Config> readConfig(const Bytes &bytes, const std::string &name);
Result<Config> readConfig(const std::string &path);
/// A file that holds a list of objects.
Result<std::vector<Config>> readConfigList(const Bytes &bytes, const std::string &name);
Result<std::vector<Config>> readConfigList(const std::string &path);

} // namespace tenon::huggingface_reader

#endif // TENON_FRONTENDS_HUGGINGFACE_READER_CONFIG_H
