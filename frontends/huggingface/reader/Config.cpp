//===- Config.cpp - config.json and its like ------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "frontends/huggingface/reader/Config.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

using namespace tenon;
using namespace tenon::huggingface_reader;
using nlohmann::json;

/// One value of a document, which it keeps alive.
struct Config::Node {
  std::shared_ptr<const json> document;
  const json *value;

  /// Null when the key is missing or its value is null.
  const json *find(std::string_view key) const {
    auto found = value->find(std::string(key));
    return found == value->end() || found->is_null() ? nullptr : &*found;
  }
};

static constexpr size_t maxConfig = 16 << 20;

static std::string describe(const json *value) {
  if (!value)
    return "no such key";
  if (value->is_object())
    return "an object";
  if (value->is_array())
    return "a list";
  std::string text = value->dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 80 ? text.substr(0, 80) + "..." : text;
}

bool Config::has(std::string_view key) const { return node->find(key) != nullptr; }

Error Config::wrong(std::string_view key, std::string_view wanted) const {
  return Error::mismatch(where + ": key " + quote(key), wanted, describe(node->find(key)));
}

Error Config::unsupported(std::string_view key, std::string_view wanted) const { return wrong(key, wanted); }

Result<int64_t> Config::count(std::string_view key, std::optional<int64_t> otherwise) const {
  static constexpr int64_t most = std::numeric_limits<int32_t>::max();
  const json *value = node->find(key);
  if (!value && otherwise)
    return *otherwise;
  if (!value || !value->is_number_unsigned() || value->get<uint64_t>() < 1 ||
      value->get<uint64_t>() > static_cast<uint64_t>(most))
    return wrong(key, "a whole number from 1 to " + std::to_string(most));
  return value->get<int64_t>();
}

Result<int64_t> Config::integer(std::string_view key, std::optional<int64_t> otherwise) const {
  const json *value = node->find(key);
  if (!value && otherwise)
    return *otherwise;
  if (!value || !value->is_number_integer() ||
      (value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)))
    return wrong(key, "a whole number");
  return value->get<int64_t>();
}

Result<double> Config::number(std::string_view key, std::optional<double> otherwise) const {
  const json *value = node->find(key);
  if (!value && otherwise)
    return *otherwise;
  if (!value || !value->is_number() || !std::isfinite(value->get<double>()))
    return wrong(key, "a number");
  return value->get<double>();
}

Result<bool> Config::boolean(std::string_view key, std::optional<bool> otherwise) const {
  const json *value = node->find(key);
  if (!value && otherwise)
    return *otherwise;
  if (!value || !value->is_boolean())
    return wrong(key, "true or false");
  return value->get<bool>();
}

Result<std::string> Config::string(std::string_view key, std::optional<std::string> otherwise) const {
  const json *value = node->find(key);
  if (!value && otherwise)
    return *otherwise;
  if (!value || !value->is_string())
    return wrong(key, "a string");
  return value->get<std::string>();
}

Result<std::vector<std::string>> Config::strings(std::string_view key) const {
  const json *value = node->find(key);
  if (!value || !value->is_array())
    return wrong(key, "a list of strings");
  std::vector<std::string> texts;
  for (const json &element : *value) {
    if (!element.is_string())
      return wrong(key, "a list of strings");
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

Result<Config> Config::section(std::string_view key) const {
  const json *value = node->find(key);
  if (!value || !value->is_object())
    return wrong(key, "an object");
  return Config(std::make_shared<const Node>(Node{node->document, value}), where + ": key " + quote(key));
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

Result<std::shared_ptr<const Config::Node>> Config::parse(const Bytes &bytes, const std::string &name) {
  if (bytes.size() > maxConfig)
    return Error::mismatch(name, "at most 16 MiB of JSON", std::to_string(bytes.size()) + " bytes");
  std::string_view text = bytes.text();
  auto document = std::make_shared<const json>(json::parse(text.begin(), text.end(), nullptr, false));
  if (document->is_discarded())
    return Error::mismatch(name, "UTF-8 JSON", bytes.empty() ? "an empty file" : "something else");
  return std::make_shared<const Node>(Node{document, document.get()});
}

Result<Config> huggingface_reader::readConfig(const Bytes &bytes, const std::string &name) {
  auto node = Config::parse(bytes, name);
  if (!node)
    return node.error();
  if (!(*node)->value->is_object())
    return Error::mismatch(name, "a JSON object", describe((*node)->value));
  return Config(*node, name);
}

Result<std::vector<Config>> huggingface_reader::readConfigList(const Bytes &bytes, const std::string &name) {
  auto node = Config::parse(bytes, name);
  if (!node)
    return node.error();
  if (!(*node)->value->is_array())
    return Error::mismatch(name, "a JSON list", describe((*node)->value));
  std::vector<Config> configs;
  for (const json &element : *(*node)->value) {
    std::string place = name + ": entry " + std::to_string(configs.size());
    if (!element.is_object())
      return Error::mismatch(place, "an object", describe(&element));
    configs.push_back(Config(std::make_shared<const Config::Node>(Config::Node{(*node)->document, &element}), place));
  }
  return configs;
}

Result<Config> huggingface_reader::readConfig(const std::string &path) {
  Result<Bytes> bytes = mapFile(path);
  return bytes ? readConfig(*bytes, path) : Result<Config>(bytes.error());
}

Result<std::vector<Config>> huggingface_reader::readConfigList(const std::string &path) {
  Result<Bytes> bytes = mapFile(path);
  return bytes ? readConfigList(*bytes, path) : Result<std::vector<Config>>(bytes.error());
}
