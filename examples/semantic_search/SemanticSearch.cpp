//===- SemanticSearch.cpp - Finds the lines that mean what a query means --===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Turns every line of a text file into a vector, then a query into another,
// and prints the lines whose vectors point most nearly the same way. Results go
// to stdout, progress to stderr.
//
//===----------------------------------------------------------------------===//

#include "Embedder.h"
#include "Tokenizer.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <numeric>
#include <unistd.h>

using namespace semantic_search;
using Clock = std::chrono::steady_clock;

namespace {

struct Options {
  std::string model, tokenizerFolder, sentences, query;
  size_t top = 5;
  size_t maxTokens = 256;
  uint32_t threads = 0;
};

struct Line {
  std::string text;
  std::vector<float> vector;
};

/// What embedding the lines took.
struct Timing {
  std::vector<double> milliseconds; ///< Per sentence, tokenizer included.
  size_t tokens = 0;
};

} // namespace

static double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

static bool fail(const std::string &message) {
  std::cerr << "semantic-search: error: " << message << "\n";
  return false;
}

/// Cosine of the angle between two vectors: 1 for the same direction.
static float similarity(const std::vector<float> &a, const std::vector<float> &b) {
  float dot = std::inner_product(a.begin(), a.end(), b.begin(), 0.0f);
  float lengths = std::sqrt(std::inner_product(a.begin(), a.end(), a.begin(), 0.0f) *
                            std::inner_product(b.begin(), b.end(), b.begin(), 0.0f));
  return lengths > 0 ? dot / lengths : 0;
}

static bool readLines(const std::string &path, std::vector<Line> &lines) {
  std::ifstream stream(path);
  if (!stream)
    return fail(path + ": cannot open it");
  for (std::string text; std::getline(stream, text);)
    if (text.find_first_not_of(" \t\r") != std::string::npos)
      lines.push_back({text, {}});
  return !lines.empty() || fail(path + ": wanted at least one line of text, found none");
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

static bool embedLines(const Tokenizer &tokenizer, Embedder &embedder, size_t maxTokens, std::vector<Line> &lines,
                       Timing &timing) {
  std::string error;
  bool terminal = isatty(STDERR_FILENO) != 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    Clock::time_point start = Clock::now();
    std::vector<int64_t> ids = tokenizer.encode(lines[i].text, maxTokens);
    timing.tokens += ids.size();
    std::optional<std::vector<float>> vector = embedder.embed(std::move(ids), error);
    if (!vector)
      return fail("line " + std::to_string(i + 1) + ": " + error);
    lines[i].vector = std::move(*vector);
    timing.milliseconds.push_back(millisecondsSince(start));
    if (terminal || i + 1 == lines.size())
      std::fprintf(stderr, "%sembedded %zu of %zu lines%s", terminal ? "\r" : "", i + 1, lines.size(),
                   i + 1 == lines.size() ? "\n" : "");
  }
  return true;
}

static void printTiming(Timing timing, size_t width) {
  double total = std::accumulate(timing.milliseconds.begin(), timing.milliseconds.end(), 0.0);
  auto middle = timing.milliseconds.begin() + static_cast<std::ptrdiff_t>(timing.milliseconds.size() / 2);
  std::nth_element(timing.milliseconds.begin(), middle, timing.milliseconds.end());
  std::printf("%zu sentences, %zu tokens, vectors of %zu: %.2f ms per sentence (median), %.0f tokens/s\n",
              timing.milliseconds.size(), timing.tokens, width, *middle,
              static_cast<double>(timing.tokens) / (total / 1000));
}

static bool answer(const std::string &query, const Options &options, const Tokenizer &tokenizer, Embedder &embedder,
                   const std::vector<Line> &lines) {
  std::string error;
  Clock::time_point start = Clock::now();
  std::optional<std::vector<float>> vector = embedder.embed(tokenizer.encode(query, options.maxTokens), error);
  if (!vector)
    return fail("query: " + error);
  std::vector<std::pair<float, const Line *>> ranked;
  for (const Line &line : lines)
    ranked.emplace_back(similarity(*vector, line.vector), &line);
  size_t top = std::min(options.top, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(top), ranked.end(),
                    [](const auto &a, const auto &b) { return a.first > b.first; });
  std::printf("\n\"%s\" (%.2f ms)\n", query.c_str(), millisecondsSince(start));
  for (size_t i = 0; i < top; ++i)
    std::printf("  %.3f  %s\n", static_cast<double>(ranked[i].first), ranked[i].second->text.c_str());
  std::fflush(stdout);
  return true;
}

static bool run(const Options &options) {
  std::string error;
  std::vector<Line> lines;
  if (!readLines(options.sentences, lines))
    return false;
  std::optional<Tokenizer> tokenizer = Tokenizer::readFile(options.tokenizerFolder + "/vocab.txt", error);
  if (!tokenizer)
    return fail(error);
  Clock::time_point start = Clock::now();
  std::optional<Embedder> embedder = Embedder::load(options.model, options.threads, error);
  if (!embedder)
    return fail(error);
  std::fprintf(stderr, "loaded %s in %.1f ms: level %s, %u threads\n", options.model.c_str(), millisecondsSince(start),
               embedder->level().c_str(), embedder->threads());

  Timing timing;
  if (!embedLines(*tokenizer, *embedder, options.maxTokens, lines, timing))
    return false;
  printTiming(std::move(timing), lines[0].vector.size());
  if (!options.query.empty())
    return answer(options.query, options, *tokenizer, *embedder, lines);
  std::fprintf(stderr, "type a query and Enter; an empty line ends\n");
  for (std::string query; std::getline(std::cin, query) && !query.empty();)
    if (!answer(query, options, *tokenizer, *embedder, lines))
      return false;
  return true;
}

int main(int argc, char **argv) {
  Options options;
  CLI::App app("Finds the lines of a text file that mean what a query means.", "semantic-search");
  app.add_option("--model", options.model, "The artifact, as `tenon compile` writes it")->required();
  app.add_option("--tokenizer", options.tokenizerFolder, "The folder that has the model's vocab.txt")->required();
  app.add_option("--sentences", options.sentences, "The text file, one sentence a line")->required();
  app.add_option("--query", options.query, "What to search for; without it, queries are read from stdin");
  app.add_option("--top", options.top, "How many lines to print")->capture_default_str();
  app.add_option("--threads", options.threads, "Threads to compute with; 0: all there are")->capture_default_str();
  app.add_option("--max-tokens", options.maxTokens, "Longer sentences are cut")
      ->capture_default_str()
      ->check(CLI::Range(size_t(2), size_t(512)));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &failure) {
    return app.exit(failure) == 0 ? 0 : 2;
  }
  return run(options) ? 0 : 1;
}
