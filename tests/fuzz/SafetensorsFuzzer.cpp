//===- SafetensorsFuzzer.cpp - Any bytes as a safetensors file ------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The bytes are read as a safetensors file, as config.json and as a list of
// modules. Three changes in four are of a number or a piece of text inside the
// header, whose length is then put right.
//
//===----------------------------------------------------------------------===//

#include "frontends/huggingface/reader/Config.h"
#include "frontends/huggingface/reader/Safetensors.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>

using namespace tenon;
using namespace tenon::huggingface_reader;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

//===----------------------------------------------------------------------===//
// Changes
//===----------------------------------------------------------------------===//

namespace {
/// A safetensors file, or plain text: then `length` is not there.
struct Parts {
  bool hasLength;
  std::string header, data;

  Parts(const uint8_t *bytes, size_t size) {
    uint64_t length = 0;
    if (size >= sizeof(length))
      std::memcpy(&length, bytes, sizeof(length));
    hasLength = size >= sizeof(length) && length <= size - sizeof(length);
    const char *text = reinterpret_cast<const char *>(bytes) + (hasLength ? sizeof(length) : 0);
    header.assign(text, hasLength ? size_t(length) : size);
    if (hasLength)
      data.assign(text + length, size - sizeof(length) - size_t(length));
  }

  std::string join() const {
    uint64_t length = header.size();
    std::string all = hasLength ? std::string(reinterpret_cast<const char *>(&length), sizeof(length)) : "";
    return all + header + data;
  }
};
} // namespace

static void changeNumber(std::string &text, std::mt19937 &random) {
  static const char *const values[] = {"0",  "1",   "2",          "4",          "8",       "16",
                                       "-1", "1.5", "4294967296", "1152921504606846976", "9223372036854775808", "null"};
  static constexpr const char *digits = "0123456789";
  if (text.empty())
    return;
  size_t begin = text.find_first_of(digits, random() % text.size());
  if (begin == std::string::npos)
    return;
  size_t end = std::min(text.find_first_not_of(digits, begin), text.size());
  text.replace(begin, end - begin, values[random() % std::size(values)]);
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  if (seed % 4 == 0)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::mt19937 random(seed);
  Parts parts(data, size);
  if (seed % 4 == 1) {
    size_t room = parts.header.size() + 64, used = parts.header.size();
    parts.header.resize(room);
    parts.header.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(parts.header.data()), used, room));
  } else {
    changeNumber(parts.header, random);
  }
  std::string changed = parts.join();
  if (changed.size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}

//===----------------------------------------------------------------------===//
// What is read
//===----------------------------------------------------------------------===//

template <typename T> static bool said(const Result<T> &result) {
  if (!result && result.error().message.empty())
    std::abort();
  return bool(result);
}

static void read(const Config &config, unsigned depth = 0) {
  for (const char *key : {"a", "b", "hidden_size", "path"}) {
    (void)config.has(key);
    if (auto count = config.count(key); said(count) && *count < 1)
      std::abort();
    said(config.integer(key));
    said(config.integer(key, 7));
    said(config.count(key, 7));
    said(config.number(key));
    said(config.number(key, 0.5));
    said(config.boolean(key));
    said(config.boolean(key, true));
    said(config.string(key));
    said(config.string(key, "x"));
    said(config.strings(key));
    (void)config.unsupported(key, "something else");
    if (auto section = config.section(key); said(section) && depth < 4)
      read(*section, depth + 1);
  }
}

static void check(const Safetensors &file, const uint8_t *data, size_t size) {
  uint64_t covered = 0;
  for (const auto &[name, tensor] : file.tensors) {
    if (tensor.offset + tensor.data.size() > size || tensor.data.data() != data + tensor.offset)
      std::abort();
    uint64_t bytes = sizeOf(tensor.type);
    for (int64_t dim : tensor.shape)
      bytes *= uint64_t(dim);
    if (bytes != tensor.data.size() || !file.find(name, tensor.shape))
      std::abort();
    said(file.find(name, {1, 2, 3}));
    covered += tensor.data.size();
  }
  said(file.find("no such tensor"));
  if (covered > size)
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes bytes = Bytes::borrow(data, size);
  if (Result<Config> config = readConfig(bytes, "fuzz.json"); said(config))
    read(*config);
  if (Result<std::vector<Config>> configs = readConfigList(bytes, "fuzz.json"); said(configs))
    for (const Config &config : *configs)
      read(config);
  if (Result<Safetensors> file = readSafetensors(bytes, "fuzz.safetensors"); said(file))
    check(*file, data, size);
  return 0;
}
