//===- Tokenizer.cpp - Text to the token ids of an uncased BERT -----------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Unicode's tables come from ICU.
//
//===----------------------------------------------------------------------===//

#include "Tokenizer.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <fstream>

using namespace semantic_search;

static constexpr size_t maxWordLength = 100;
static constexpr std::string_view specialTokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

//===----------------------------------------------------------------------===//
// Characters
//===----------------------------------------------------------------------===//

static bool isSpace(char32_t c) {
  return c == '\t' || c == '\n' || c == '\r' || u_isUWhiteSpace(static_cast<UChar32>(c));
}

/// Control, format and private-use characters and halves of surrogate pairs.
static bool isDropped(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r')
    return false;
  return c == 0 || c == 0xfffd ||
         (U_GET_GC_MASK(static_cast<UChar32>(c)) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK | U_GC_CS_MASK)) != 0;
}

static bool isPunctuation(char32_t c) {
  bool ascii = (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
  return ascii || u_ispunct(static_cast<UChar32>(c));
}

/// The ideographs that count as words of their own.
static bool isChinese(char32_t c) {
  static constexpr struct {
    char32_t first, last;
  } ranges[] = {{0x4e00, 0x9fff},   {0x3400, 0x4dbf},   {0x20000, 0x2a6df}, {0x2a700, 0x2b73f},
                {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0xf900, 0xfaff},   {0x2f800, 0x2fa1f}};
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const auto &range) { return range.first <= c && c <= range.last; });
}

//===----------------------------------------------------------------------===//
// Normalising
//===----------------------------------------------------------------------===//

static std::u32string toCharacters(const icu::UnicodeString &text) {
  std::u32string characters;
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1))
    characters += static_cast<char32_t>(text.char32At(i));
  return characters;
}

static icu::UnicodeString clean(std::string_view text) {
  icu::UnicodeString cleaned;
  icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  for (char32_t c : toCharacters(icu::UnicodeString::fromUTF8(piece))) {
    if (isDropped(c))
      continue;
    bool chinese = isChinese(c);
    if (chinese)
      cleaned += u' ';
    cleaned.append(isSpace(c) ? UChar32(' ') : static_cast<UChar32>(c));
    if (chinese)
      cleaned += u' ';
  }
  return cleaned;
}

/// Steps 1 and 2.
static std::u32string normalize(std::string_view text) {
  icu::UnicodeString cleaned = clean(text);
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2 *decompose = icu::Normalizer2::getNFDInstance(status);
  icu::UnicodeString decomposed = U_SUCCESS(status) ? decompose->normalize(cleaned, status) : cleaned;
  std::u32string normal;
  for (char32_t c : toCharacters(decomposed))
    if (u_charType(static_cast<UChar32>(c)) != U_NON_SPACING_MARK)
      normal += static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
  return normal;
}

static std::string toUtf8(std::u32string_view characters) {
  std::string text;
  icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32 *>(characters.data()),
                                static_cast<int32_t>(characters.size()))
      .toUTF8String(text);
  return text;
}

//===----------------------------------------------------------------------===//
// Encoding
//===----------------------------------------------------------------------===//

/// Step 4.
void Tokenizer::addWord(std::u32string_view word, std::vector<int64_t> &ids) const {
  size_t kept = ids.size();
  auto giveUp = [&] {
    ids.resize(kept);
    ids.push_back(unknown);
  };
  if (word.size() > maxWordLength)
    return giveUp();
  for (size_t begin = 0; begin < word.size();) {
    size_t end = word.size();
    auto found = vocabulary.end();
    for (; end > begin; --end) {
      found = vocabulary.find((begin ? "##" : "") + toUtf8(word.substr(begin, end - begin)));
      if (found != vocabulary.end())
        break;
    }
    if (found == vocabulary.end())
      return giveUp();
    ids.push_back(found->second);
    begin = end;
  }
}

/// Steps 1 to 3, for text without special tokens.
void Tokenizer::addText(std::string_view text, std::vector<int64_t> &ids) const {
  std::u32string normal = normalize(text);
  std::u32string_view rest = normal;
  auto flush = [&](size_t length) {
    if (length > 0)
      addWord(rest.substr(0, length), ids);
    rest.remove_prefix(length);
  };
  while (!rest.empty()) {
    auto stop = std::find_if(rest.begin(), rest.end(), [](char32_t c) { return isSpace(c) || isPunctuation(c); });
    flush(static_cast<size_t>(stop - rest.begin()));
    if (!rest.empty() && isPunctuation(rest[0]))
      flush(1);
    else if (!rest.empty())
      rest.remove_prefix(1);
  }
}

std::vector<int64_t> Tokenizer::encode(std::string_view text, size_t maxTokens) const {
  std::vector<int64_t> ids = {start};
  while (!text.empty()) {
    size_t first = std::string_view::npos;
    std::string_view special;
    for (std::string_view token : specialTokens)
      if (size_t at = text.find(token); at < first) {
        first = at;
        special = token;
      }
    addText(text.substr(0, first), ids);
    if (special.empty())
      break;
    ids.push_back(vocabulary.at(std::string(special)));
    text.remove_prefix(first + special.size());
  }
  ids.resize(std::min(ids.size(), maxTokens - 1));
  ids.push_back(end);
  return ids;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

std::optional<Tokenizer> Tokenizer::read(std::istream &stream, std::string &error) {
  Tokenizer tokenizer;
  std::string line;
  for (int64_t id = 0; std::getline(stream, line); ++id) {
    if (!line.empty() && line.back() == '\r')
      line.pop_back();
    tokenizer.vocabulary[line] = id;
  }
  for (std::string_view token : specialTokens)
    if (!tokenizer.vocabulary.count(std::string(token))) {
      error = "wanted a vocabulary with " + std::string(token) + ", found " +
              std::to_string(tokenizer.vocabulary.size()) + " tokens without it";
      return std::nullopt;
    }
  tokenizer.unknown = tokenizer.vocabulary.at("[UNK]");
  tokenizer.start = tokenizer.vocabulary.at("[CLS]");
  tokenizer.end = tokenizer.vocabulary.at("[SEP]");
  return tokenizer;
}

std::optional<Tokenizer> Tokenizer::readFile(const std::string &path, std::string &error) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    error = path + ": cannot open it";
    return std::nullopt;
  }
  std::optional<Tokenizer> tokenizer = read(stream, error);
  if (!tokenizer)
    error = path + ": " + error;
  return tokenizer;
}
