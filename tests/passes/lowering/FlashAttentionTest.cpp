// Flash attention against plain loops in double precision: odd sizes, every rule for empty rows,
// infinities, weight regions, and how many tile products a keep region leaves.

#include "AttentionKernel.h"
#include "HostLevels.h"

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "gtest/gtest.h"

using namespace tenon;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Scores here reach 50: their products carry errors of some 1e-6, and so do the weights.
constexpr double tolerance = 1e-5;

struct Sizes {
  int64_t batch = 1, queries = 1, keys = 1, heads = 1, keyHeads = 1, depth = 64, valueDepth = 64;
};

/// The regions, once more in C++.
struct Meaning {
  std::function<double(double x, int64_t b, int64_t h, int64_t i, int64_t j)> score =
      [](double x, int64_t, int64_t, int64_t, int64_t) { return x; };
  std::function<bool(int64_t b, int64_t h, int64_t i, int64_t j)> keep = [](int64_t, int64_t, int64_t, int64_t) {
    return true;
  };
  std::function<double(double p, int64_t i, int64_t j)> weight = [](double p, int64_t, int64_t) { return p; };
};

struct Tensors {
  std::vector<float> q, k, v;

  explicit Tensors(const Sizes &s, unsigned seed = 1)
      : q(s.batch * s.queries * s.heads * s.depth), k(s.batch * s.keys * s.keyHeads * s.depth),
        v(s.batch * s.keys * s.keyHeads * s.valueDepth) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (std::vector<float> *tensor : {&q, &k, &v})
      for (float &element : *tensor)
        element = uniform(random);
  }
};

/// One row of weights, from its scores and which of them are live.
std::vector<double> weightsOf(const AttentionText &text, std::vector<double> y, std::vector<bool> live) {
  size_t n = y.size();
  std::vector<double> w(n, 0);
  bool any = std::find(live.begin(), live.end(), true) != live.end();
  if (!any && text.empty == "uniform")
    return std::vector<double>(n, 1.0 / n);
  if (!any && text.empty == "nan")
    return std::vector<double>(n, std::nan(""));
  if (!any && text.empty == "ignore_keep")
    live.assign(n, true);
  double m = -infinity, sum = 0;
  for (size_t j = 0; j < n; ++j)
    if (live[j])
      m = std::isnan(y[j]) || std::isnan(m) ? std::nan("") : std::max(m, y[j]);
  for (size_t j = 0; j < n; ++j)
    if (live[j])
      sum += w[j] = text.normalise == "softmax" ? std::exp(y[j] - m) : y[j];
  for (double &weight : w)
    weight = text.normalise == "none" || sum == 0 ? weight : weight / sum;
  return w;
}

std::vector<double> reference(const AttentionText &text, const Sizes &s, const Tensors &x, const Meaning &meaning) {
  std::vector<double> out(s.batch * s.queries * s.heads * s.valueDepth);
  int64_t group = s.heads / s.keyHeads;
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.queries; ++i) {
        std::vector<double> y(s.keys);
        std::vector<bool> live(s.keys);
        for (int64_t j = 0; j < s.keys; ++j) {
          double dot = 0;
          for (int64_t d = 0; d < s.depth; ++d)
            dot += double(x.q[((b * s.queries + i) * s.heads + h) * s.depth + d]) *
                   x.k[((b * s.keys + j) * s.keyHeads + h / group) * s.depth + d];
          y[j] = meaning.score(dot, b, h, i, j);
          live[j] = meaning.keep(b, h, i, j);
        }
        std::vector<double> w = weightsOf(text, y, live);
        bool any = std::find(live.begin(), live.end(), true) != live.end();
        for (int64_t j = 0; j < s.keys; ++j) {
          if (any && !live[j])
            continue;
          double weight = meaning.weight(w[j], i, j);
          for (int64_t d = 0; d < s.valueDepth; ++d)
            out[((b * s.queries + i) * s.heads + h) * s.valueDepth + d] +=
                weight * x.v[((b * s.keys + j) * s.keyHeads + h / group) * s.valueDepth + d];
        }
      }
  return out;
}

class FlashAttentionTest : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override { level = findLevel(GetParam()); }

  /// Runs `text` at `s` and compares; `tables` are the captures.
  void check(AttentionText text, Sizes s, const Meaning &meaning, std::vector<void *> tables = {}) {
    check(text, s, Tensors(s), meaning, tables);
  }
  void check(AttentionText text, Sizes s, Tensors x, const Meaning &meaning, std::vector<void *> tables = {}) {
    AttentionKernel &kernel = kernelOf(text, s);
    ASSERT_EQ(kernel.error(), "");
    std::vector<double> wanted = reference(text, s, x, meaning);
    std::vector<float> found(wanted.size() + 1, -7.0f);
    std::vector<void *> operands{x.q.data(), x.k.data(), x.v.data()};
    operands.insert(operands.end(), tables.begin(), tables.end());
    operands.push_back(found.data());
    kernel.run(operands, s.batch, s.queries, s.keys);
    EXPECT_EQ(found.back(), -7.0f) << "wrote past the end";
    for (size_t n = 0; n < wanted.size(); ++n) {
      if (std::isnan(wanted[n]))
        ASSERT_TRUE(std::isnan(found[n]))
            << "element " << n << " of " << describe(s) << ": wanted NaN, found " << found[n];
      else
        ASSERT_NEAR(found[n], wanted[n], tolerance * (1 + std::fabs(wanted[n])))
            << "element " << n << " of " << describe(s);
    }
  }

  /// Multiply-adds of the two products, in units of 16, of one head.
  double count(AttentionText text, int64_t n, std::vector<void *> tables = {}) {
    Sizes s;
    s.queries = s.keys = n;
    Tensors x(s);
    std::vector<float> out(n * 64);
    AttentionKernel kernel(text, *level, /*counts=*/true);
    EXPECT_EQ(kernel.error(), "");
    std::vector<void *> operands{x.q.data(), x.k.data(), x.v.data()};
    operands.insert(operands.end(), tables.begin(), tables.end());
    operands.push_back(out.data());
    return kernel.run(operands, 1, n, n);
  }

  /// What does not depend on the level is tested on the best one: compiling takes its time.
  bool isBest() const { return level->id == LevelId::X86V4 || !hostRuns(*findLevel("x86-64-v4")); }

  const Level *level = nullptr;

private:
  AttentionKernel &kernelOf(AttentionText text, const Sizes &s) {
    text.heads = s.heads;
    text.keyHeads = s.keyHeads;
    text.depth = s.depth;
    text.valueDepth = s.valueDepth;
    std::string key =
        text.regions + text.normalise + text.empty + describe({0, 0, 0, s.heads, s.keyHeads, s.depth, s.valueDepth});
    auto &known = kernels[key];
    if (!known)
      known = std::make_unique<AttentionKernel>(text, *level);
    return *known;
  }
  static std::string describe(const Sizes &s) {
    std::string text;
    for (int64_t size : {s.batch, s.queries, s.keys, s.heads, s.keyHeads, s.depth, s.valueDepth})
      text += std::to_string(size) + " ";
    return text;
  }
  std::map<std::string, std::unique_ptr<AttentionKernel>> kernels;
};

const int64_t lengths[] = {1, 2, 3, 7, 17, 63, 65, 129, 200};

TEST_P(FlashAttentionTest, Plain) {
  for (int64_t queries : lengths)
    for (int64_t keys : lengths)
      check({}, {2, queries, keys, 3, 3, 64, 64}, {});
}

TEST_P(FlashAttentionTest, HeadSizesAndGroups) {
  if (!isBest())
    return;
  for (auto [depth, valueDepth] : {std::pair(1, 1), {5, 3}, {24, 24}, {72, 40}, {192, 128}})
    check({}, {2, 37, 70, 6, 2, depth, valueDepth}, {});
}

TEST_P(FlashAttentionTest, NoKeys) {
  if (!isBest())
    return;
  check({}, {1, 5, 0, 2, 2, 8, 8}, {});
}

const char *scale = R"(score (%x, %b, %h, %i, %j) {
    %c = arith.constant 3.0 : f32
    %y = arith.mulf %x, %c : f32
    tenon.yield %y : f32
  })";

TEST_P(FlashAttentionTest, ScaledScoresFarApart) {
  if (!isBest())
    return;
  Meaning meaning;
  meaning.score = [](double x, int64_t, int64_t, int64_t, int64_t) { return 3 * x; };
  AttentionText text;
  text.regions = scale;
  check(text, {1, 40, 300, 2, 1, 64, 64}, meaning);
}

TEST_P(FlashAttentionTest, NegativeScale) {
  if (!isBest())
    return;
  Meaning meaning;
  meaning.score = [](double x, int64_t, int64_t, int64_t, int64_t) { return -0.5 * x; };
  AttentionText text;
  text.regions = R"(score (%x, %b, %h, %i, %j) {
    %c = arith.constant -0.5 : f32
    %y = arith.mulf %x, %c : f32
    tenon.yield %y : f32
  })";
  check(text, {1, 33, 70, 1, 1, 16, 16}, meaning);
}

TEST_P(FlashAttentionTest, BoundedByTanh) {
  if (!isBest())
    return;
  for (double cap : {1.0, 50.0, 80.0}) {
    Meaning meaning;
    meaning.score = [cap](double x, int64_t, int64_t, int64_t, int64_t) { return cap * std::tanh(x * 0.3); };
    meaning.keep = [](int64_t, int64_t, int64_t i, int64_t j) { return j <= i; };
    AttentionText text;
    text.regions = "score (%x, %b, %h, %i, %j) {\n%c = arith.constant 0.3 : f32\n%cap = arith.constant " +
                   std::to_string(cap) + R"( : f32
    %s = arith.mulf %x, %c : f32
    %t = math.tanh %s : f32
    %y = arith.mulf %t, %cap : f32
    tenon.yield %y : f32
  } keep (%b, %h, %i, %j) {
    %live = arith.cmpi sle, %j, %i : index
    tenon.yield %live : i1
  })";
    check(text, {1, 70, 70, 2, 2, 16, 16}, meaning);
  }
}

/// Keys j with (i + j) mod 3 = 0, and none at all for i < 40.
const char *sparse = R"(keep (%b, %h, %i, %j) {
    %three = arith.constant 3 : index
    %zero = arith.constant 0 : index
    %first = arith.constant 40 : index
    %sum = arith.addi %i, %j : index
    %rest = arith.remui %sum, %three : index
    %hit = arith.cmpi eq, %rest, %zero : index
    %has = arith.cmpi sge, %i, %first : index
    %live = arith.andi %hit, %has : i1
    tenon.yield %live : i1
  })";

TEST_P(FlashAttentionTest, EmptyRows) {
  if (!isBest())
    return;
  Meaning meaning;
  meaning.keep = [](int64_t, int64_t, int64_t i, int64_t j) { return i >= 40 && (i + j) % 3 == 0; };
  for (const char *normalise : {"softmax", "sum", "none"})
    for (const char *empty : {"zero", "nan", "uniform", "ignore_keep"}) {
      AttentionText text;
      text.regions = sparse;
      text.normalise = normalise;
      text.empty = empty;
      bool revives = text.empty == "uniform" || text.empty == "ignore_keep";
      if (text.normalise == "none" && revives)
        continue; // materialised
      SCOPED_TRACE(text.normalise + " " + text.empty);
      Sizes s{1, 70, 90, 1, 1, 16, 16};
      Tensors x(s);
      if (text.normalise == "sum") // a sum of scores near 0 has no accurate quotient
        for (std::vector<float> *tensor : {&x.q, &x.k})
          for (float &element : *tensor)
            element = 1.5f + element / 2;
      check(text, s, x, meaning);
    }
}

const char *positive = R"(score (%x, %b, %h, %i, %j) {
    %one = arith.constant 1.0 : f32
    %a = math.absf %x : f32
    %y = arith.addf %a, %one : f32
    tenon.yield %y : f32
  })";

TEST_P(FlashAttentionTest, WeightRegions) {
  if (!isBest())
    return;
  Meaning meaning;
  meaning.score = [](double x, int64_t, int64_t, int64_t, int64_t) { return std::fabs(x) + 1; };
  meaning.keep = [](int64_t, int64_t, int64_t i, int64_t j) { return j <= i; };
  meaning.weight = [](double p, int64_t i, int64_t) { return p * p + i / 128.0; };
  for (const char *normalise : {"softmax", "sum", "none"}) {
    AttentionText text;
    text.normalise = normalise;
    text.regions = std::string(positive) + R"( keep (%b, %h, %i, %j) {
    %live = arith.cmpi sle, %j, %i : index
    tenon.yield %live : i1
  } weight (%p, %b, %h, %i, %j) {
    %n = arith.index_cast %i : index to i64
    %f = arith.sitofp %n : i64 to f32
    %c = arith.constant 0.0078125 : f32
    %g = arith.mulf %f, %c : f32
    %s = arith.mulf %p, %p : f32
    %w = arith.addf %s, %g : f32
    tenon.yield %w : f32
  })";
    SCOPED_TRACE(normalise);
    check(text, {1, 40, 70, 2, 1, 16, 16}, meaning);
  }
}

/// A factor of j - i behind the normaliser needs one pass; rows without a live key stay zero.
TEST_P(FlashAttentionTest, FactorBehindTheWeights) {
  if (!isBest())
    return;
  Meaning meaning;
  meaning.score = [](double x, int64_t, int64_t, int64_t, int64_t) { return std::fabs(x) + 1; };
  meaning.keep = [](int64_t, int64_t, int64_t i, int64_t j) { return j < i; };
  meaning.weight = [](double p, int64_t i, int64_t j) { return p * (j - i) / 32.0; };
  for (const char *normalise : {"softmax", "sum"}) {
    AttentionText text;
    text.normalise = normalise;
    text.regions = std::string(positive) +
                   " keep (%b, %h, %i, %j) = %j < %i\n weight (%p, %b, %h, %i, %j) = %p * ((%j - %i) * 0.03125)";
    SCOPED_TRACE(normalise);
    check(text, {1, 40, 70, 2, 1, 16, 16}, meaning);
    text.regions = std::string(positive) + " weight (%p, %b, %h, %i, %j) = %p * ((%j - %i) * 0.03125)";
    AttentionText plain = text;
    plain.regions = positive;
    EXPECT_EQ(count(text, 128), count(plain, 128));
  }
}

/// One score of a row is infinite or NaN: so is what the formula makes of it.
TEST_P(FlashAttentionTest, InfiniteScores) {
  if (!isBest())
    return;
  for (double special : {infinity, -infinity, std::nan("")}) {
    Meaning meaning;
    meaning.score = [=](double x, int64_t, int64_t, int64_t i, int64_t j) {
      return i % 2 == 0 && j == 65 ? special : x;
    };
    AttentionText text;
    std::string value = std::isnan(special) ? "0x7FC00000" : special > 0 ? "0x7F800000" : "0xFF800000";
    text.regions = "score (%x, %b, %h, %i, %j) {\n%s = arith.constant " + value + R"( : f32
    %two = arith.constant 2 : index
    %zero = arith.constant 0 : index
    %at = arith.constant 65 : index
    %r = arith.remui %i, %two : index
    %even = arith.cmpi eq, %r, %zero : index
    %here = arith.cmpi eq, %j, %at : index
    %both = arith.andi %even, %here : i1
    %y = arith.select %both, %s, %x : f32
    tenon.yield %y : f32
  })";
    SCOPED_TRACE(value);
    check(text, {1, 20, 130, 1, 1, 16, 16}, meaning);
  }
}

/// Two added finite masks: where both are dead the score is -inf, where one is it is the least float.
TEST_P(FlashAttentionTest, FiniteMaskInTheScore) {
  if (!isBest())
    return;
  double least = -std::numeric_limits<float>::max();
  Meaning meaning;
  meaning.score = [=](double x, int64_t, int64_t, int64_t i, int64_t j) { return i < 10 ? least : j < 30 ? x : least; };
  AttentionText text;
  text.regions = R"(score (%x, %b, %h, %i, %j) {
    %dead = arith.constant -3.40282347E+38 : f32
    %ten = arith.constant 10 : index
    %thirty = arith.constant 30 : index
    %row = arith.cmpi slt, %i, %ten : index
    %key = arith.cmpi slt, %j, %thirty : index
    %a = arith.select %key, %x, %dead : f32
    %y = arith.select %row, %dead, %a : f32
    tenon.yield %y : f32
  })";
  check(text, {1, 20, 130, 1, 1, 16, 16}, meaning);
}

const char *causal = R"(keep (%b, %h, %i, %j) {
    %live = arith.cmpi sle, %j, %i : index
    tenon.yield %live : i1
  })";
const char *window = R"(keep (%b, %h, %i, %j) {
    %w = arith.constant 40 : index
    %past = arith.cmpi sle, %j, %i : index
    %back = arith.subi %i, %j : index
    %near = arith.cmpi slt, %back, %w : index
    %live = arith.andi %past, %near : i1
    tenon.yield %live : i1
  })";
const char *prefix = R"(keep (%b, %h, %i, %j) {
    %p = arith.constant 70 : index
    %past = arith.cmpi sle, %j, %i : index
    %prefix = arith.cmpi slt, %j, %p : index
    %live = arith.ori %past, %prefix : i1
    tenon.yield %live : i1
  })";
const char *blocks = R"(keep (%b, %h, %i, %j) {
    %g = arith.constant 50 : index
    %bi = arith.divui %i, %g : index
    %bj = arith.divui %j, %g : index
    %live = arith.cmpi eq, %bi, %bj : index
    tenon.yield %live : i1
  })";
const char *dilated = R"(keep (%b, %h, %i, %j) {
    %two = arith.constant 2 : index
    %zero = arith.constant 0 : index
    %d = arith.subi %i, %j : index
    %r = arith.remsi %d, %two : index
    %even = arith.cmpi eq, %r, %zero : index
    %past = arith.cmpi sle, %j, %i : index
    %live = arith.andi %even, %past : i1
    tenon.yield %live : i1
  })";

TEST_P(FlashAttentionTest, KeepByPositions) {
  std::pair<const char *, std::function<bool(int64_t, int64_t)>> cases[] = {
      {causal, [](int64_t i, int64_t j) { return j <= i; }},
      {window, [](int64_t i, int64_t j) { return j <= i && i - j < 40; }},
      {prefix, [](int64_t i, int64_t j) { return j <= i || j < 70; }},
      {blocks, [](int64_t i, int64_t j) { return i / 50 == j / 50; }},
      {dilated, [](int64_t i, int64_t j) { return (i - j) % 2 == 0 && j <= i; }}};
  for (auto &[regions, keep] : cases) {
    SCOPED_TRACE(regions);
    Meaning meaning;
    meaning.keep = [&keep](int64_t, int64_t, int64_t i, int64_t j) { return keep(i, j); };
    AttentionText text;
    text.regions = regions;
    for (int64_t n : {1, 17, 65, 129, 300})
      check(text, {1, n, n, 2, 2, 16, 16}, meaning);
    check(text, {2, 33, 200, 1, 1, 16, 16}, meaning);
  }
}

const char *documents = R"(keep (%b, %h, %i, %j, %id) {
    %a = tenon.load %id[%b, %i] : tensor<?x?xi64, #tenon.dims<[d0, d2]>>
    %c = tenon.load %id[%b, %j] : tensor<?x?xi64, #tenon.dims<[d0, d2]>>
    %live = arith.cmpi eq, %a, %c : i64
    tenon.yield %live : i1
  })";
const char *padding = R"(keep (%b, %h, %i, %j, %mask) {
    %live = tenon.load %mask[%b, %j] : tensor<?x?xi1, #tenon.dims<[d0, d2]>>
    tenon.yield %live : i1
  })";

TEST_P(FlashAttentionTest, KeepByData) {
  if (!isBest())
    return;
  constexpr int64_t n = 300;
  std::vector<int64_t> ids(2 * n);
  std::vector<uint8_t> mask(2 * n);
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t j = 0; j < n; ++j) {
      ids[b * n + j] = (j + 30 * b) / 77 * 5 - 3;
      mask[b * n + j] = j >= 70 && j < 200 - 50 * b;
    }
  Meaning sameDocument, unpadded;
  sameDocument.keep = [&](int64_t b, int64_t, int64_t i, int64_t j) { return ids[b * n + i] == ids[b * n + j]; };
  unpadded.keep = [&](int64_t b, int64_t, int64_t, int64_t j) { return mask[b * n + j] != 0; };
  AttentionText text;
  text.regions = documents;
  text.captures = {"tensor<?x?xi64, #tenon.dims<[d0, d2]>>"};
  check(text, {2, n, n, 2, 1, 16, 16}, sameDocument, {ids.data()});
  text.regions = padding;
  text.captures = {"tensor<?x?xi1, #tenon.dims<[d0, d2]>>"};
  text.empty = "uniform";
  check(text, {2, n, n, 2, 1, 16, 16}, unpadded, {mask.data()});
}

TEST_P(FlashAttentionTest, TilesLeft) {
  if (!isBest())
    return;
  AttentionText plain, past, near, inDocument, unpadded;
  past.regions = causal;
  near.regions = window;
  inDocument.regions = documents;
  inDocument.captures = {"tensor<?x?xi64, #tenon.dims<[d0, d2]>>"};
  unpadded.regions = padding;
  unpadded.captures = {"tensor<?x?xi1, #tenon.dims<[d0, d2]>>"};
  constexpr int64_t n = 512;
  double all = count(plain, n);
  EXPECT_EQ(all, double(n) * n * 64 * 2 / 16);
  EXPECT_LE(count(past, n), 0.56 * all);
  EXPECT_GE(count(past, n), 0.5 * all);
  // Linear in the length: a window costs the same for each group of queries.
  EXPECT_LE(count(near, 1024), 2.1 * count(near, 512));
  AttentionText wide;
  wide.regions = "keep (%b, %h, %i, %j) = %j <= %i and %i - %j < 256";
  EXPECT_LE(count(wide, 4096), 2.1 * count(wide, 2048));
  // The window, and a last key that is live for all: a learned sink.
  AttentionText besideSink;
  besideSink.regions = "keep (%b, %h, %i, %j) = not (%j < 4095) or %j <= %i and %i - %j < 256";
  EXPECT_LE(count(besideSink, 4096), 1.3 * count(wide, 4096));
  EXPECT_LE(count(past, 2048), 0.56 * double(2048) * 2048 * 64 * 2 / 16);
  std::vector<int64_t> ids(n);
  for (int64_t j = 0; j < n; ++j)
    ids[j] = j / 128;
  EXPECT_LE(count(inDocument, n, {ids.data()}), 0.25 * all);
  // Documents of any length: their own pairs, and a border of a tile of queries or a piece of keys around each.
  double own = 0, border = 0;
  for (int64_t begin = 0, length = 37; begin < n; begin += length, length = length * 3 / 2) {
    int64_t end = std::min(begin + length, n);
    std::fill(ids.begin() + begin, ids.begin() + end, begin);
    own += double(end - begin) * double(end - begin);
    border += 2.0 * 64 * double(end - begin) + 64.0 * 64;
  }
  EXPECT_LE(count(inDocument, n, {ids.data()}), (own + border) * 64 * 2 / 16);
  std::vector<uint8_t> mask(n, 0);
  std::fill_n(mask.begin(), 100, 1);
  EXPECT_LE(count(unpadded, n, {mask.data()}), 0.25 * all);
  // Near miss: what cannot be decided for a tile is computed throughout.
  AttentionText undecided;
  undecided.regions = R"(keep (%b, %h, %i, %j) {
    %s = arith.xori %i, %j : index
    %two = arith.constant 2 : index
    %zero = arith.constant 0 : index
    %r = arith.remui %s, %two : index
    %live = arith.cmpi eq, %r, %zero : index
    tenon.yield %live : i1
  })";
  EXPECT_EQ(count(undecided, n), all);
}

/// Any split of the tiles gives the same bits.
TEST_P(FlashAttentionTest, TilesAreIndependent) {
  Sizes s{2, 300, 100, 3, 3, 64, 64};
  Tensors x(s);
  AttentionText text;
  text.heads = text.keyHeads = 3;
  AttentionKernel kernel(text, *level);
  ASSERT_EQ(kernel.error(), "");
  std::vector<float> whole(x.q.size()), split(x.q.size());
  kernel.run({x.q.data(), x.k.data(), x.v.data(), whole.data()}, 2, 300, 100);
  uint32_t tiles = kernel.tiles(2, 300, 100);
  for (uint32_t tile = tiles; tile-- > 0;)
    kernel.run({x.q.data(), x.k.data(), x.v.data(), split.data()}, 2, 300, 100, tile, tile + 1);
  EXPECT_EQ(whole, split);
}

INSTANTIATE_TEST_SUITE_P(Levels, FlashAttentionTest,
                         ::testing::ValuesIn(levelsOfThisMachine({"x86-64-v3", "x86-64-v4"})), [](const auto &info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

} // namespace
