//===- signature.h - Who made an artifact -----------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Detached Ed25519 signatures (the pre-hashed variant, RFC 8032 Ed25519ph, so
// that a file of any size is read once): ARTIFACT.sig beside ARTIFACT. Keys and
// signatures are files of one line, a word that says what it is and base64:
//
//     tenon-ed25519-secret wvBh...      NAME.key, readable by its owner alone
//     tenon-ed25519-public 3q2+...      NAME.pub
//     tenon-ed25519-signature kX0d...   ARTIFACT.sig
//
// Every function gives an empty string on success, else what is wrong. Without
// libsodium at build time each says so.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_TOOLS_SIGNATURE_H
#define TENON_RUNTIME_TOOLS_SIGNATURE_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace tenon {

/// Writes NAME.key and NAME.pub; neither may exist.
std::string makeKeys(const std::string &name);

/// Writes `path`.sig.
std::string signFile(const std::string &path, const std::string &secretKeyFile);

/// Whether `path`.sig is the signature of these bytes, which are those of `path`, by the owner
/// of the key.
std::string checkSignature(const uint8_t *data, size_t bytes, const std::string &path,
                           const std::string &publicKeyFile);

} // namespace tenon

#endif // TENON_RUNTIME_TOOLS_SIGNATURE_H
