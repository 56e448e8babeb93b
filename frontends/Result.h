//===- Result.h - A value or an error message -------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// What the readers return: they know no MLIR and throw nothing.
//
//     Result<Bytes> bytes = mapFile(path);
//     if (!bytes)
//       return bytes.error();
//     use(*bytes);
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_RESULT_H
#define TENON_FRONTENDS_RESULT_H

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tenon {

/// A message for the user: the place, what was wanted, what was found.
struct Error {
  std::string message;

  static Error mismatch(std::string_view place, std::string_view wanted, std::string_view found) {
    std::string message(place);
    message.append(": wanted ").append(wanted).append(", found ").append(found);
    return {std::move(message)};
  }
};

template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state.index() == 0; }
  T &operator*() { return *std::get_if<0>(&state); }
  const T &operator*() const { return *std::get_if<0>(&state); }
  T *operator->() { return std::get_if<0>(&state); }
  const T *operator->() const { return std::get_if<0>(&state); }
  const Error &error() const { return *std::get_if<1>(&state); }

private:
  std::variant<T, Error> state;
};

/// Success, or an error.
using Status = Result<std::monostate>;
inline Status success() { return std::monostate(); }

/// A name out of a file, safe to print: in single quotes, control characters
/// as \xNN, cut after 120 bytes.
inline std::string quote(std::string_view name) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "'";
  for (char c : name.substr(0, 120)) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f)
      text += c;
    else
      text.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
  }
  return text + (name.size() > 120 ? "...'" : "'");
}

} // namespace tenon

#endif // TENON_FRONTENDS_RESULT_H
