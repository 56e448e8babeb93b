//===- WireScanner.h - The fields of a protobuf message ---------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// libprotobuf copies every `bytes` field to the heap, weights too. This walks
// one message level in place, so that the reader can take initializers out of
// a mapped file and hand libprotobuf the rest.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_ONNX_READER_WIRESCANNER_H
#define TENON_FRONTENDS_ONNX_READER_WIRESCANNER_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace tenon::onnx_reader {

class WireScanner {
public:
  struct Field {
    uint32_t number;
    std::optional<std::string_view> message; ///< The payload, if length-delimited.
    std::string_view whole;                  ///< Tag, length and payload as they lie.
  };

  explicit WireScanner(std::string_view message) : message(message) {}

  /// The next field; none at the end or where the encoding is broken.
  std::optional<Field> next();
  bool failed() const { return broken; }
  /// Bytes from the message's start to the field `next` could not read.
  size_t position() const { return start; }

private:
  std::optional<uint64_t> varint();
  bool skip(size_t count);

  std::string_view message;
  size_t start = 0, at = 0;
  bool broken = false;
};

} // namespace tenon::onnx_reader

#endif // TENON_FRONTENDS_ONNX_READER_WIRESCANNER_H
