//===- ArtifactFuzzer.cpp - Any bytes as an artifact ----------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The bytes are sealed with right sizes and checksums, so that what is behind
// them is reached, then inspected and loaded; a file of an odd length is taken as
// it is. Nothing is run: a kernel in a
// wrong file may do anything, as in a wrong shared library. Most changes are of
// one number in one record of a table.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/format.h"
#include "tenon/inspect.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

using namespace tenon::format;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

/// A word of a random record of a random table becomes 0, 1, the largest, or near what it was.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  std::mt19937 random(seed);
  auto below = [&](uint64_t count) { return std::uniform_int_distribution<uint64_t>(0, count - 1)(random); };
  Header header;
  if (size < sizeof(header) || below(8) == 0)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::memcpy(&header, data, sizeof(header));
  uint64_t sections =
      std::min<uint64_t>({header.sectionCount, maxSections, (size - sizeof(header)) / sizeof(SectionRecord)});
  if (sections == 0)
    return LLVMFuzzerMutate(data, size, maxSize);
  SectionRecord section;
  uint8_t *place = data + sizeof(header) + below(sections) * sizeof(section);
  std::memcpy(&section, place, sizeof(section));
  uint64_t bytes = section.bytes;
  bool isInside = section.offset < size && bytes <= size - section.offset && bytes >= sizeof(uint32_t);
  if (isInside && below(16) != 0)
    place = data + section.offset;
  else
    bytes = sizeof(section);
  place += below(bytes / sizeof(uint32_t)) * sizeof(uint32_t);
  uint32_t word;
  std::memcpy(&word, place, sizeof(word));
  const uint32_t values[] = {
      0, 1, 2, none, none >> 1, word + 1, word - 1, word ^ (1u << below(32)), uint32_t(below(64)), uint32_t(random())};
  word = values[below(std::size(values))];
  std::memcpy(place, &word, sizeof(word));
  return size;
}

/// Header fields and checksums as a writer would have made them.
static std::vector<uint8_t> seal(const uint8_t *data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  Header header;
  if (size < sizeof(header) || size % 2 != 0)
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
