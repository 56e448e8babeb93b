// States of parts of the keys against plain loops in double precision, and how many multiply-adds a keep region leaves.

#include "AttentionKernel.h"
#include "HostLevels.h"
#include "tenon/kernel_abi.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "gtest/gtest.h"

using namespace tenon;

namespace {

constexpr double tolerance = 1e-5;
constexpr int64_t depth = 32;

struct Sizes {
  int64_t queries = 1, keys = 1, heads = 1, keyHeads = 1;
};

/// Whether key j is live for query i of head h, once more in C++.
using Keep = std::function<bool(int64_t h, int64_t i, int64_t j)>;

class AttentionUpdateTest : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override { level = findLevel(GetParam()); }

  /// The work of computing states, whose merged rows must be those of `keep`.
  double work(const std::string &regions, Sizes s, const Keep &keep, const std::string &capture = "",
              void *table = nullptr) {
    AttentionText text;
    text.heads = s.heads;
    text.keyHeads = s.keyHeads;
    text.depth = text.valueDepth = depth;
    text.regions = regions;
    text.partsOf = 512;
    if (!capture.empty())
      text.captures = {capture};
    AttentionKernel kernel(text, *level, /*counts=*/true);
    EXPECT_EQ(kernel.error(), "");
    std::vector<float> q = random(s.queries * s.heads), k = random(s.keys * s.keyHeads),
                       v = random(s.keys * s.keyHeads);
    int64_t parts = (s.keys + 511) / 512;
    std::vector<float> state(parts * s.heads * s.queries * (depth + 2) + 1, -7.0f);
    std::vector<void *> operands{q.data(), k.data(), v.data()};
    if (table)
      operands.push_back(table);
    operands.push_back(state.data());
    double counted = kernel.run(operands, 1, s.queries, s.keys);
    EXPECT_EQ(state.back(), -7.0f) << "wrote past the end";
    compare(s, q, k, v, state, keep);
    return counted;
  }

  const Level *level = nullptr;

  std::vector<float> random(int64_t rows) {
    std::vector<float> elements(rows * depth);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::generate(elements.begin(), elements.end(), [&] { return uniform(generator); });
    return elements;
  }

private:
  void compare(const Sizes &s, const std::vector<float> &q, const std::vector<float> &k, const std::vector<float> &v,
               const std::vector<float> &state, const Keep &keep) {
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.queries; ++i) {
        std::vector<double> wanted = rowOf(s, q, k, v, keep, h, i), found = mergedRow(s, state, h, i);
        for (int64_t d = 0; d < depth; ++d)
          ASSERT_NEAR(found[d], wanted[d], tolerance) << "head " << h << ", query " << i << ", element " << d;
      }
  }

  static std::vector<double> rowOf(const Sizes &s, const std::vector<float> &q, const std::vector<float> &k,
                                   const std::vector<float> &v, const Keep &keep, int64_t h, int64_t i) {
    int64_t keyHead = h / (s.heads / s.keyHeads);
    std::vector<double> sums(depth, 0.0);
    double total = 0;
    for (int64_t j = 0; j < s.keys; ++j) {
      if (!keep(h, i, j))
        continue;
      double x = 0;
      for (int64_t d = 0; d < depth; ++d)
        x += double(q[(i * s.heads + h) * depth + d]) * k[(j * s.keyHeads + keyHead) * depth + d];
      total += std::exp(x);
      for (int64_t d = 0; d < depth; ++d)
        sums[d] += std::exp(x) * v[(j * s.keyHeads + keyHead) * depth + d];
    }
    for (double &sum : sums)
      sum = total > 0 ? sum / total : 0;
    return sums;
  }

  static std::vector<double> mergedRow(const Sizes &s, const std::vector<float> &state, int64_t h, int64_t i) {
    std::vector<double> sums(depth, 0.0);
    double total = 0;
    for (int64_t part = 0; part < (s.keys + 511) / 512; ++part) {
      const float *row = state.data() + ((part * s.heads + h) * s.queries + i) * (depth + 2);
      double factor = std::exp(double(row[depth])); // scores are small; exp(-inf) = 0 is an empty part
      total += row[depth + 1] * factor;
      for (int64_t d = 0; d < depth; ++d)
        sums[d] += row[d] * factor;
    }
    for (double &sum : sums)
      sum = total > 0 ? sum / total : 0;
    return sums;
  }

  std::mt19937 generator{1};
};

bool always(int64_t, int64_t, int64_t) { return true; }

TEST_P(AttentionUpdateTest, PositionsLeaveLivePieces) {
  Sizes s{300, 1100, 1, 1};
  double all = work("", s, always);
  double past = work("keep (%b, %h, %i, %j) = %j <= %i", s, [](int64_t, int64_t i, int64_t j) { return j <= i; });
  // Of 1100 keys a block of 32 queries has those up to its last one, and the rest of that piece.
  EXPECT_LE(past, all * (300 / 2 + 32 + 64) / 1100);
  auto near = [](int64_t, int64_t i, int64_t j) { return j > i + 400 && j < i + 500; };
  EXPECT_LE(work("keep (%b, %h, %i, %j) = %j > %i + 400 and %j < %i + 500", s, near), all * (100 + 32 + 2 * 64) / 1100);
  // Live everywhere: no piece is skipped.
  EXPECT_EQ(work("keep (%b, %h, %i, %j) = %j - %i < 5000", s, always), all);
}

/// One query at a position that is data, as decoding has it: what a window costs does not depend on the cache's length.
TEST_P(AttentionUpdateTest, WindowOfOneQuery) {
  for (int64_t keys : {1, 63, 700, 4000}) {
    int64_t position[] = {keys - 1};
    auto near = [&](int64_t, int64_t, int64_t j) { return position[0] - j < 100; };
    double found = work("keep (%b, %h, %i, %j, %t) = %j <= %t[%b] and %t[%b] - %j < 100", {1, keys, 8, 2}, near,
                        "tensor<?xi64, #tenon.dims<[d0]>>", position);
    EXPECT_LE(found, work("", {1, std::min<int64_t>(keys, 100 + 2 * 64), 8, 2}, always));
  }
}

TEST_P(AttentionUpdateTest, DataLeavesLivePieces) {
  Sizes s{5, 1000, 3, 3};
  std::vector<uint8_t> mask(s.keys, 0);
  std::fill_n(mask.begin() + 200, 300, 1);
  mask[450] = 0;
  auto unpadded = [&](int64_t, int64_t, int64_t j) { return mask[j] != 0; };
  std::string regions = "keep (%b, %h, %i, %j, %m) = %m[%b, %j]", capture = "tensor<?x?xi1, #tenon.dims<[d0, d2]>>";
  EXPECT_LE(work(regions, s, unpadded, capture, mask.data()), work("", s, always) * (300 + 2 * 64) / 1000);
  std::fill(mask.begin(), mask.end(), 0);
  EXPECT_LE(work(regions, s, unpadded, capture, mask.data()), 0.01 * work("", s, always)); // no live key at all
}

/// Rows of a block are of several heads: what is live for one of them is computed for all.
TEST_P(AttentionUpdateTest, RegionsOfTheHead) {
  std::string regions = "keep (%b, %h, %i, %j) = %j < 64 * %h";
  auto keep = [](int64_t h, int64_t, int64_t j) { return j < 64 * h; };
  Sizes together{2, 400, 4, 1}, alone{2, 400, 4, 4};
  EXPECT_EQ(work(regions, together, keep), work("", together, always));
  EXPECT_LE(work(regions, alone, keep), work("", alone, always) * (0 + 64 + 128 + 192) / 1600);
}

/// Near miss: what cannot be decided for a piece is computed throughout.
TEST_P(AttentionUpdateTest, UndecidedLeavesAll) {
  std::string regions = R"(keep (%b, %h, %i, %j) {
    %s = arith.xori %i, %j : index
    %two = arith.constant 2 : index
    %zero = arith.constant 0 : index
    %r = arith.remui %s, %two : index
    %live = arith.cmpi eq, %r, %zero : index
    tenon.yield %live : i1
  })";
  Sizes s{40, 600, 2, 2};
  auto keep = [](int64_t, int64_t i, int64_t j) { return (i ^ j) % 2 == 0; };
  EXPECT_EQ(work(regions, s, keep), work("", s, always));
}

// Four rows over a cache of 25 MB, whose lines are asked for ahead, up to its end.
TEST_P(AttentionUpdateTest, HintsKeepEveryBit) {
  AttentionText text;
  text.heads = 32;
  text.keyHeads = 8;
  text.depth = text.valueDepth = depth;
  text.queries = 1;
  text.partsOf = 512;
  AttentionKernel kernel(text, *level);
  ASSERT_EQ(kernel.error(), "");
  constexpr int64_t keys = 12401, parts = (keys + 511) / 512;
  std::vector<float> q = random(text.heads), k = random(keys * text.keyHeads), v = random(keys * text.keyHeads);
  std::vector<float> states[2];
  for (uint64_t hints : {uint64_t(0), uint64_t(TENON_HINT_FETCH_NEAR)}) {
    kernel.hints = hints;
    states[hints].assign(parts * text.heads * (depth + 2), -7.0f);
    kernel.run({q.data(), k.data(), v.data(), states[hints].data()}, 1, 1, keys);
  }
  EXPECT_EQ(states[0], states[1]);
  if (level->name.starts_with("x86")) {
    std::string assembly = assemblyOf(text, *level);
    EXPECT_NE(assembly.find("prefetcht0"), std::string::npos);
    EXPECT_NE(assembly.find("prefetcht1"), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, AttentionUpdateTest,
                         ::testing::ValuesIn(levelsOfThisMachine({"x86-64-v3", "x86-64-v4"})), [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
