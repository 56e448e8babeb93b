//===- json.h - Writing JSON ------------------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_JSON_H
#define TENON_RUNTIME_JSON_H

#include <string>
#include <string_view>

namespace tenon {

/// The text in quotes, escaped. Bytes that are not UTF-8 pass through.
std::string jsonString(std::string_view text);

/// Writes nested objects and lists; puts the commas.
class JsonWriter {
public:
  JsonWriter &openObject() { return open('{'); }
  JsonWriter &closeObject() { return close('}'); }
  JsonWriter &openList() { return open('['); }
  JsonWriter &closeList() { return close(']'); }
  JsonWriter &key(std::string_view name) {
    separate();
    out += jsonString(name) + ": ";
    first = true;
    return *this;
  }
  JsonWriter &value(std::string_view text) { return raw(jsonString(text)); }
  JsonWriter &value(const char *text) { return raw(jsonString(text)); }
  JsonWriter &value(const std::string &text) { return raw(jsonString(text)); }
  JsonWriter &value(bool truth) { return raw(truth ? "true" : "false"); }
  template <typename Number> JsonWriter &value(Number number) { return raw(std::to_string(number)); }
  template <typename Value> JsonWriter &field(std::string_view name, const Value &content) {
    return key(name).value(content);
  }
  const std::string &text() const { return out; }

private:
  JsonWriter &raw(std::string_view text) {
    separate();
    out += text;
    return *this;
  }
  JsonWriter &open(char bracket) {
    separate();
    out += bracket;
    first = true;
    return *this;
  }
  JsonWriter &close(char bracket) {
    out += bracket;
    first = false;
    return *this;
  }
  void separate() {
    if (!first)
      out += ", ";
    first = false;
  }
  std::string out;
  bool first = true;
};

} // namespace tenon

#endif // TENON_RUNTIME_JSON_H
