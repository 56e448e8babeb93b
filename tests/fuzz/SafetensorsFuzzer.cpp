//===- SafetensorsFuzzer.cpp - Any bytes as a safetensors file ------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "frontends/huggingface/reader/Config.h"
#include "frontends/huggingface/reader/Safetensors.h"

#include <cstdlib>

using namespace tenon;
using namespace tenon::huggingface_reader;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes bytes = Bytes::borrow(data, size);
  Result<Config> config = readConfig(bytes, "fuzz.json");
  if (config)
    (void)config->count("hidden_size");
  Result<Safetensors> file = readSafetensors(bytes, "fuzz.safetensors");
  if (!file) {
    if (file.error().message.empty())
      std::abort();
    return 0;
  }
  uint64_t covered = 0;
  for (const auto &[name, tensor] : file->tensors) {
    if (tensor.offset + tensor.data.size() > size || tensor.data.data() != data + tensor.offset)
      std::abort();
    covered += tensor.data.size();
  }
  if (covered > size)
    std::abort();
  return 0;
}
