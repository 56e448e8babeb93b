//===- ArtifactFuzzer.cpp - Any bytes as an artifact ----------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The bytes are sealed with right sizes and checksums, so that what is behind
// them is reached, then inspected and loaded. Nothing is run: a kernel in a
// wrong file may do anything, as in a wrong shared library.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/format.h"
#include "tenon/inspect.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace tenon::format;

/// Header fields and checksums as a writer would have made them.
static std::vector<uint8_t> seal(const uint8_t *data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  Header header;
  if (size < sizeof(header))
    return bytes;
  std::memcpy(&header, data, sizeof(header));
  std::memcpy(header.magic, magic, sizeof(magic));
  bytes.resize((size + 7) / 8 * 8);
  header.checksumStart = bytes.size();
  header.fileBytes = bytes.size() + 2 * sizeof(uint64_t); // one chunk
  std::memcpy(bytes.data(), &header, sizeof(header));
  uint64_t hashes[2] = {XXH3_64bits(bytes.data(), bytes.size()), 0};
  hashes[1] = XXH3_64bits(hashes, sizeof(uint64_t));
  bytes.insert(bytes.end(), reinterpret_cast<uint8_t *>(hashes), reinterpret_cast<uint8_t *>(hashes + 2));
  return bytes;
}

/// A failure must have something to say.
static void finish(tenon_status *status) {
  if (status && !*tenon_status_message(status))
    std::abort();
  tenon_status_free(status);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > chunkBytes || size == 0)
    return 0;
  std::vector<uint8_t> bytes = seal(data, size);
  for (tenon_text_format format : {TENON_PLAIN, TENON_JSON}) {
    char *text = nullptr;
    finish(tenon_inspect_memory(bytes.data(), bytes.size(), format, &text));
    tenon_text_free(text);
  }
  tenon_model *model = nullptr;
  finish(tenon_model_load_memory(bytes.data(), bytes.size(), nullptr, &model));
  if (model)
    for (size_t i = 0; i < tenon_model_entry_count(model); ++i) {
      const tenon_entry *entry = tenon_model_entry(model, i);
      int64_t sizes[maxRank], result[maxRank];
      std::fill(sizes, sizes + maxRank, int64_t(size % 7));
      std::vector<const int64_t *> inputs(tenon_entry_input_count(entry), sizes);
      for (size_t output = 0; output < tenon_entry_output_count(entry); ++output)
        finish(tenon_entry_output_dims(entry, inputs.data(), output, result));
    }
  tenon_model_release(model);
  return 0;
}
