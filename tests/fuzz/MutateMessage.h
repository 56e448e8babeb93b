//===- MutateMessage.h - Random changes of a protobuf message ---*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Works on the wire format alone (ONNX's messages are of the lite runtime, which
// has no reflection): a field with a length that reads as fields is taken for a
// message.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_TESTS_FUZZ_MUTATEMESSAGE_H
#define TENON_TESTS_FUZZ_MUTATEMESSAGE_H

#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace tenon {

/// The message with one field, of it or of one within it, changed, taken out, doubled or moved; lengths
/// around it are right again, so that a reader gets past its first checks. None if the bytes are
/// no message.
std::optional<std::string> mutateMessage(std::string_view message, std::mt19937 &random);

} // namespace tenon

#endif // TENON_TESTS_FUZZ_MUTATEMESSAGE_H
