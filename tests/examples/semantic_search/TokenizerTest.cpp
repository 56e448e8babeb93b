//===- TokenizerTest.cpp - The same ids as the reference tokenizer --------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "examples/semantic_search/Tokenizer.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

using semantic_search::Tokenizer;
using Ids = std::vector<int64_t>;

namespace {

/// Ids: 5 token, 6 ##ization, 7 ##s, 8 a comma, 9 naive, 10 a bracket.
Tokenizer small() {
  std::istringstream vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ntoken\n##ization\n##s\r\n,\nnaive\n[\n");
  std::string error;
  std::optional<Tokenizer> tokenizer = Tokenizer::read(vocabulary, error);
  EXPECT_TRUE(tokenizer) << error;
  return *tokenizer;
}

TEST(Tokenizer, CutsWordsIntoLongestPieces) {
  EXPECT_EQ(small().encode("Tokenization, nai\u0308ve tokens", 99), (Ids{2, 5, 6, 8, 9, 5, 7, 3}));
  EXPECT_EQ(small().encode("", 99), (Ids{2, 3}));
}

TEST(Tokenizer, UnknownRestMakesTheWholeWordUnknown) {
  EXPECT_EQ(small().encode("tokenx token", 99), (Ids{2, 1, 5, 3}));
}

TEST(Tokenizer, SpecialTokensStandForThemselves) {
  EXPECT_EQ(small().encode("token[MASK]s [sep]", 99), (Ids{2, 5, 4, 1, 10, 1, 1, 3}));
}

TEST(Tokenizer, CutsToTheLimit) {
  EXPECT_EQ(small().encode("token token token", 4), (Ids{2, 5, 5, 3}));
  EXPECT_EQ(small().encode("token", 2), (Ids{2, 3}));
}

TEST(Tokenizer, BrokenUtf8IsLeftOut) {
  EXPECT_EQ(small().encode("to\xffken \xc3", 99), (Ids{2, 5, 3}));
  EXPECT_EQ(small().encode(std::string("tok\0en", 6), 99), (Ids{2, 5, 3}));
}

TEST(Tokenizer, RefusesAVocabularyWithoutSpecialTokens) {
  std::istringstream vocabulary("[PAD]\n[UNK]\nword\n");
  std::string error;
  EXPECT_FALSE(Tokenizer::read(vocabulary, error));
  EXPECT_EQ(error, "wanted a vocabulary with [CLS], found 3 tokens without it");
  EXPECT_FALSE(Tokenizer::readFile("/nonexistent", error));
  EXPECT_EQ(error, "/nonexistent: cannot open it");
}

TEST(Tokenizer, GivesTheReferencesIds) {
  std::string error;
  std::optional<Tokenizer> tokenizer = Tokenizer::readFile(TENON_VOCABULARY, error);
  ASSERT_TRUE(tokenizer) << error << " (scripts/setup.sh places it)";
  std::ifstream file(TENON_TOKENS);
  for (const auto &row : nlohmann::json::parse(file))
    EXPECT_EQ(tokenizer->encode(row["text"].get<std::string>(), 256), row["ids"].get<Ids>()) << row["text"];
}

} // namespace
