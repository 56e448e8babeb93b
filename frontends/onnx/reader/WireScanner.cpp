//===- WireScanner.cpp - The fields of a protobuf message -----------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A field is a varint tag (number * 8 + wire type), then by wire type: 0 a
// varint, 1 eight bytes, 2 a varint length and as many bytes, 5 four bytes.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/reader/WireScanner.h"

using namespace tenon::onnx_reader;

std::optional<uint64_t> WireScanner::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && at < message.size(); shift += 7) {
    auto byte = static_cast<unsigned char>(message[at++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80)
      return value;
  }
  return std::nullopt;
}

bool WireScanner::skip(size_t count) {
  if (count > message.size() - at)
    return false;
  at += count;
  return true;
}

std::optional<WireScanner::Field> WireScanner::next() {
  start = at;
  if (broken || at == message.size())
    return std::nullopt;
  broken = true;
  std::optional<uint64_t> tag = varint();
  if (!tag || *tag >> 3 == 0 || *tag >> 32 != 0)
    return std::nullopt;
  Field field{static_cast<uint32_t>(*tag >> 3), std::nullopt, {}};
  bool complete = false;
  switch (*tag & 7) {
  case 0:
    complete = varint().has_value();
    break;
  case 1:
    complete = skip(8);
    break;
  case 5:
    complete = skip(4);
    break;
  case 2:
    if (std::optional<uint64_t> size = varint(); size && skip(*size)) {
      field.message = message.substr(at - *size, *size);
      complete = true;
    }
    break;
  default:
    break; // Groups and unknown wire types: no ONNX file has them.
  }
  if (!complete)
    return std::nullopt;
  broken = false;
  field.whole = message.substr(start, at - start);
  return field;
}
