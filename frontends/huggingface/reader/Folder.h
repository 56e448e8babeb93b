//===- Folder.h - A model folder as Hugging Face lays it out ----*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
//     config.json          the architecture and its sizes
//     model.safetensors    the weights
//     modules.json         only in a sentence-transformers folder: what
//     1_Pooling/           happens to the token vectors afterwards
//
//===----------------------------------------------------------------------===//

#ifndef TENON_FRONTENDS_HUGGINGFACE_READER_FOLDER_H
#define TENON_FRONTENDS_HUGGINGFACE_READER_FOLDER_H

#include "frontends/huggingface/reader/Config.h"
#include "frontends/huggingface/reader/Safetensors.h"

namespace tenon::huggingface_reader {

/// How a sentence's token vectors become one. Where the mask is 0, a token
/// does not count.
enum class Pooling : uint8_t {
  FirstToken,     ///< The vector of [CLS].
  Mean,           ///< Sum over tokens, divided by their number.
  Max,            ///< Largest of each component.
  MeanSqrtLength, ///< Sum over tokens, divided by the root of their number.
};

/// What follows the transformer in a sentence-transformers folder.
struct SentenceModules {
  std::vector<Pooling> pooling; ///< More than one: results are concatenated, in this order.
  int64_t width = 0;            ///< Of a token's vector.
  bool normalize = false;       ///< To Euclidean length 1, at the end.
  /// Tokens a sentence is cut to, [CLS] and [SEP] included; none: the model's
  /// own limit.
  std::optional<int64_t> maxSequenceLength;
};

struct Folder {
  Config config;
  Safetensors weights;
  std::optional<SentenceModules> sentence;
};

/// Reads config.json and model.safetensors, and modules.json where there is
/// one. A module of another kind is an error: it would change the result.
Result<Folder> readFolder(const std::string &path);

} // namespace tenon::huggingface_reader

#endif // TENON_FRONTENDS_HUGGINGFACE_READER_FOLDER_H
