//===- Tokenizer.h - Text to the token ids of an uncased BERT ---*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Example. "Tokenization, naïve" becomes
//
//     [CLS] token ##ization , naive [SEP]
//
// Rule, as in the tokenizer the model was trained with:
//
//   1. Control characters go, white space becomes a space, each Chinese
//      character gets a space on both sides.
//   2. Accents go (canonical decomposition, then all non-spacing marks), upper
//      case becomes lower case.
//   3. Words end at white space; each punctuation character is its own word.
//   4. A word is cut from the left into the longest pieces the vocabulary has;
//      all but the first are looked up with "##" before them. A word of more
//      than 100 characters, or with a rest that has no piece, is [UNK].
//
// Special tokens written out in the text ("[SEP]") stand for themselves, in
// exactly that spelling, before all of this.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_EXAMPLES_SEMANTIC_SEARCH_TOKENIZER_H
#define TENON_EXAMPLES_SEMANTIC_SEARCH_TOKENIZER_H

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace semantic_search {

class Tokenizer {
public:
  /// Reads vocab.txt: one token a line, its id is the line's number from 0.
  /// On failure returns nothing and says in `error` what was missing.
  static std::optional<Tokenizer> read(std::istream &vocabulary, std::string &error);
  static std::optional<Tokenizer> readFile(const std::string &path, std::string &error);

  /// The ids of a UTF-8 text between [CLS] and [SEP], at most `maxTokens` in
  /// all (which must be 2 or more). Broken UTF-8 is left out.
  std::vector<int64_t> encode(std::string_view text, size_t maxTokens) const;

private:
  void addText(std::string_view text, std::vector<int64_t> &ids) const;
  void addWord(std::u32string_view word, std::vector<int64_t> &ids) const;

  std::unordered_map<std::string, int64_t> vocabulary;
  int64_t unknown = 0, start = 0, end = 0;
};

} // namespace semantic_search

#endif // TENON_EXAMPLES_SEMANTIC_SEARCH_TOKENIZER_H
