//===- signature.cpp - Who made an artifact -------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/signature.h"

#ifndef TENON_HAVE_SODIUM

namespace tenon {
static const char without[] = "signatures: this build has none, libsodium was missing when it was made";
std::string makeKeys(const std::string &) { return without; }
std::string signFile(const std::string &, const std::string &) { return without; }
std::string checkSignature(const uint8_t *, size_t, const std::string &, const std::string &) { return without; }
} // namespace tenon

#else

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sodium.h>
#include <unistd.h>
#include <vector>

namespace tenon {

namespace {

constexpr char secretWord[] = "tenon-ed25519-secret ";
constexpr char publicWord[] = "tenon-ed25519-public ";
constexpr char signatureWord[] = "tenon-ed25519-signature ";
constexpr int variant = sodium_base64_VARIANT_ORIGINAL;
using PublicKey = std::array<uint8_t, crypto_sign_PUBLICKEYBYTES>;
using SecretKey = std::array<uint8_t, crypto_sign_SECRETKEYBYTES>;
using Signature = std::array<uint8_t, crypto_sign_BYTES>;

struct CloseFile {
  void operator()(FILE *file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

std::string cannot(const std::string &path, const char *what) {
  return path + ": cannot " + what + ": " + std::strerror(errno);
}

/// A file of its own: one that exists is not touched.
std::string writeNew(const std::string &path, const char *word, const uint8_t *bytes, size_t count, int mode) {
  std::vector<char> text(sodium_base64_encoded_len(count, variant));
  sodium_bin2base64(text.data(), text.size(), bytes, count, variant);
  std::string line = word + std::string(text.data()) + "\n";
  int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0)
    return cannot(path, "create");
  bool good = ::write(file, line.data(), line.size()) == ssize_t(line.size());
  good = ::close(file) == 0 && good;
  return good ? "" : cannot(path, "write");
}

template <size_t size>
std::string readLine(const std::string &path, const std::string &word, std::array<uint8_t, size> &bytes) {
  File file(std::fopen(path.c_str(), "re"));
  if (!file)
    return cannot(path, "open");
  char line[256] = {};
  if (!std::fgets(line, sizeof(line), file.get()))
    line[0] = 0;
  size_t length = 0;
  const char *end = nullptr;
  bool good = std::strncmp(line, word.c_str(), word.size()) == 0 &&
              sodium_base642bin(bytes.data(), size, line + word.size(), std::strlen(line) - word.size(), "\r\n",
                                &length, &end, variant) == 0 &&
              length == size && *end == 0;
  sodium_memzero(line, sizeof(line));
  return good ? "" : path + ": wanted a line '" + word + "' and base64 of " + std::to_string(size) + " bytes";
}

std::string hashFile(const std::string &path, crypto_sign_state &state) {
  File file(std::fopen(path.c_str(), "rbe"));
  if (!file)
    return cannot(path, "open");
  std::vector<uint8_t> buffer(size_t(1) << 20);
  while (size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get()))
    crypto_sign_update(&state, buffer.data(), count);
  return std::ferror(file.get()) ? cannot(path, "read") : "";
}

} // namespace

std::string makeKeys(const std::string &name) {
  PublicKey publicKey;
  SecretKey secretKey;
  if (sodium_init() < 0 || crypto_sign_keypair(publicKey.data(), secretKey.data()) != 0)
    return "no random numbers for keys";
  std::string error = writeNew(name + ".key", secretWord, secretKey.data(), secretKey.size(), 0600);
  sodium_memzero(secretKey.data(), secretKey.size());
  return error.empty() ? writeNew(name + ".pub", publicWord, publicKey.data(), publicKey.size(), 0644) : error;
}

std::string signFile(const std::string &path, const std::string &secretKeyFile) {
  SecretKey key;
  Signature signature;
  crypto_sign_state state;
  if (sodium_init() < 0)
    return "libsodium cannot start";
  std::string error = readLine(secretKeyFile, secretWord, key);
  crypto_sign_init(&state);
  if (error.empty())
    error = hashFile(path, state);
  if (error.empty())
    crypto_sign_final_create(&state, signature.data(), nullptr, key.data());
  sodium_memzero(key.data(), key.size());
  if (!error.empty())
    return error;
  std::string target = path + ".sig", temporary = target + ".part-" + std::to_string(::getpid());
  error = writeNew(temporary, signatureWord, signature.data(), signature.size(), 0644);
  if (error.empty() && std::rename(temporary.c_str(), target.c_str()) != 0)
    error = cannot(target, "write");
  if (!error.empty())
    ::unlink(temporary.c_str());
  return error;
}

std::string checkSignature(const uint8_t *data, size_t bytes, const std::string &path,
                           const std::string &publicKeyFile) {
  PublicKey key;
  Signature signature;
  crypto_sign_state state;
  if (sodium_init() < 0)
    return "libsodium cannot start";
  std::string error = readLine(publicKeyFile, publicWord, key);
  if (error.empty())
    error = readLine(path + ".sig", signatureWord, signature);
  if (!error.empty())
    return error;
  crypto_sign_init(&state);
  crypto_sign_update(&state, data, bytes);
  bool good = crypto_sign_final_verify(&state, signature.data(), key.data()) == 0;
  return good ? "" : path + ": its signature is not one of " + publicKeyFile + " for these bytes";
}

} // namespace tenon
#endif
