//===- MutateMessage.h - Random changes of a protobuf message ---*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_TESTS_FUZZ_MUTATEMESSAGE_H
#define TENON_TESTS_FUZZ_MUTATEMESSAGE_H

#include <google/protobuf/message.h>

#include <random>

namespace tenon {

/// Changes one place of the message or of one within it: a field set, cleared, copied from
/// another of its kind, an element added, taken out, or exchanged. The result is a message of
/// the same type, so a reader gets past its first checks.
void mutateMessage(google::protobuf::Message &message, std::mt19937 &random);

} // namespace tenon

#endif // TENON_TESTS_FUZZ_MUTATEMESSAGE_H
