// What few queries take in of a long cache (attention_update) on tensor cores: heads of one key head packed into the rows of a
// tile, warps along rows or along keys, a block a part of the keys. Beside a, m, l in float64.

#include "DeviceKernel.h"

#include "gtest/gtest.h"

#include <cmath>
#include <functional>
#include <random>

using namespace tenon;
using Buffer = DeviceKernel::Buffer;

namespace {

constexpr int64_t heads = 8, keyHeads = 2, group = heads / keyHeads, batch = 2;

struct UpdateCase {
  int64_t queries = 1, depth = 32, valueDepth = 32, part = 64;
  std::string keep, normalise = "softmax", score = "%x * 0.2", form;
  std::function<bool(int64_t h, int64_t i, int64_t j, float flag)> isLive = [](int64_t, int64_t, int64_t, float) {
    return true;
  };
  std::function<double(double x, int64_t h)> scored = [](double x, int64_t) { return x * 0.2; };
};

std::string cache(int64_t depth) {
  std::string d = std::to_string(depth);
  return "tensor<2x?x2x" + d + "xf32, #tenon.dims<[2, d0, 2, " + d + "]>>";
}

std::string textOf(const UpdateCase &c) {
  std::string n = std::to_string(c.queries), q = "tensor<2x" + n + "x8x" + std::to_string(c.depth) + "xf32>";
  std::string m = "tensor<?xf32, #tenon.dims<[d0]>>", part = std::to_string(c.part),
              words = std::to_string(c.valueDepth + 2);
  std::string s = "tensor<?x2x8x" + n + "x" + words + "xf32, #tenon.dims<[(d0 + " + std::to_string(c.part - 1) +
                  ") floordiv " + part + ", 2, 8, " + n + ", " + words + "]>>";
  std::string k = cache(c.depth), v = cache(c.valueDepth);
  return "tenon.kernel @k(%q: " + q + ", %k: " + k + ", %v: " + v + ", %m: " + m + ") -> " + s +
         " {\n%s = tenon.attention_update %q, %k, %v captures (%m) normalise " + c.normalise +
         " layout [\"b n h d\", \"b n h d\", \"b n h d\"] parts_of " + part + " : (" + q + ", " + k + ", " + v + ", " +
         m + ") -> " + s + "\nscore (%x, %b, %h, %i, %j, %m) = " + c.score + "\n" +
         (c.keep.empty() ? "" : "keep (%b, %h, %i, %j, %m) = " + c.keep + "\n") + "tenon.return %s : " + s + "\n}\n";
}

std::vector<float> normal(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = distribution(generator);
  return values;
}

class Update {
public:
  Update(const UpdateCase &c, int64_t keys)
      : c(c), keys(keys), q(normal(batch * c.queries * heads * c.depth, 1)),
        k(normal(batch * keys * keyHeads * c.depth, 2)), v(normal(batch * keys * keyHeads * c.valueDepth, 3)) {
    for (int64_t j = 0; j < keys; ++j)
      flags.push_back(j % 3 && j / c.part != 1 ? 1.f : -1.f); // nothing is live in the second part
  }

  void check(DeviceKernel &kernel) {
    int64_t parts = (keys + c.part - 1) / c.part, width = c.valueDepth + 2;
    std::vector<float> found(size_t(parts * batch * heads * c.queries * width), NAN);
    ASSERT_EQ(
        kernel.run({Buffer::of(q), Buffer::of(k), Buffer::of(v), Buffer::of(flags), Buffer::result(found)}, {keys}),
        "");
    const float *row = found.data();
    for (int64_t p = 0; p < parts; ++p)
      for (int64_t b = 0; b < batch; ++b)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t i = 0; i < c.queries; ++i, row += width)
            checkRow(p, b, h, i, row);
  }

private:
  double score(int64_t b, int64_t h, int64_t i, int64_t j) const {
    double sum = 0;
    for (int64_t d = 0; d < c.depth; ++d)
      sum += double(q[size_t(((b * c.queries + i) * heads + h) * c.depth + d)]) *
             double(k[size_t(((b * keys + j) * keyHeads + h / group) * c.depth + d)]);
    return c.scored(sum, h);
  }

  void checkRow(int64_t p, int64_t b, int64_t h, int64_t i, const float *row) const {
    std::vector<int64_t> live;
    for (int64_t j = p * c.part; j < std::min(keys, (p + 1) * c.part); ++j)
      if (c.isLive(h, i, j, flags[size_t(j)]))
        live.push_back(j);
    bool isSoftmax = c.normalise == "softmax";
    double m = isSoftmax || live.empty() ? -INFINITY : 0, l = 0;
    std::vector<double> a(size_t(c.valueDepth), 0);
    for (int64_t j : live)
      m = isSoftmax ? std::max(m, score(b, h, i, j)) : m;
    for (int64_t j : live) {
      double y = score(b, h, i, j), weight = isSoftmax ? std::exp(y - m) : y;
      l += c.normalise == "none" ? 0 : weight;
      for (size_t d = 0; d < a.size(); ++d)
        a[d] += weight * double(v[size_t(((b * keys + j) * keyHeads + h / group) * c.valueDepth) + d]);
    }
    std::string where = "part " + std::to_string(p) + " batch " + std::to_string(b) + " head " + std::to_string(h) +
                        " query " + std::to_string(i) + " of " + std::to_string(keys) + " keys";
    const float *state = row + c.valueDepth;
    if (live.empty())
      EXPECT_EQ(double(state[0]), -INFINITY) << where;
    else
      EXPECT_NEAR(double(state[0]), m, 2e-6 * (1 + std::abs(m))) << where;
    EXPECT_NEAR(double(state[1]), l, 1e-5 * (1 + std::abs(l))) << where;
    for (size_t d = 0; d < a.size(); ++d)
      EXPECT_NEAR(double(row[d]), a[d], 4e-5 * (1 + std::abs(a[d]))) << where;
  }

  UpdateCase c;
  int64_t keys;
  std::vector<float> q, k, v, flags;
};

void check(const UpdateCase &c, const std::vector<int64_t> &keys) {
  DeviceKernel kernel(textOf(c));
  EXPECT_EQ(kernel.form(), "attention_update by mma.sync, a block a part of the keys" + c.form);
  for (int64_t count : keys)
    Update(c, count).check(kernel);
  EXPECT_GE(kernel.tensorShare(), 0.9);
  EXPECT_GE(kernel.coalescedShare(), 0.95);
  EXPECT_LE(kernel.bankPasses(), 1.5);
}

const std::string packed = ", 4 heads packed";

/// Four rows: all warps along the keys of a tile, of which the last has none for some.
TEST(TensorUpdate, oneToken) {
  check({.form = packed + ", 4 warps along the keys"}, {1, 8, 31, 64, 150});
}

/// Parts that begin in the middle of a tile.
TEST(TensorUpdate, oddParts) { check({.part = 50, .form = packed + ", 4 warps along the keys"}, {49, 101}); }

TEST(TensorUpdate, oddDepths) {
  check({.depth = 24, .valueDepth = 40, .form = packed + ", 4 warps along the keys"}, {70});
  check({.depth = 128, .valueDepth = 128, .form = packed + ", 4 warps along the keys"}, {70});
}

/// Of keys or values too deep for queries to stay in registers.
TEST(TensorUpdate, deepHeads) {
  const std::string form = packed + ", queries in shared memory";
  check({.depth = 192, .valueDepth = 128, .form = form + ", 4 warps along the keys"}, {70});
  check({.depth = 256, .valueDepth = 256, .form = form + ", 4 warps along the keys"}, {31, 70});
  check({.queries = 5, .depth = 256, .valueDepth = 256, .form = form + ", 2 warps along the keys"}, {70});
}

/// Rows of a block are more than one query's, and a mask tells them apart.
TEST(TensorUpdate, severalTokens) {
  auto isCausal = [](int64_t, int64_t i, int64_t j, float) { return j <= i + 60; };
  for (auto [queries, form] : {std::pair<int64_t, std::string>{3, ", 4 warps along the keys"},
                               {5, ", 2 warps along the keys"},
                               {17, ""}})
    check({.queries = queries, .keep = "%j <= %i + 60", .form = packed + form, .isLive = isCausal}, {40, 140});
}

/// A part without a live key is -inf, 0, 0.
TEST(TensorUpdate, deadParts) {
  auto isFlagged = [](int64_t, int64_t, int64_t, float flag) { return flag > 0; };
  for (const char *normalise : {"softmax", "sum", "none"})
    check({.keep = "%m[%j] > 0.0",
           .normalise = normalise,
           .form = packed + ", 4 warps along the keys",
           .isLive = isFlagged},
          {150});
}

/// Packed rows know their heads: a slope of each in the score.
TEST(TensorUpdate, scoresOfHeads) {
  check({.score = "%x * 0.2 + 0.25 * %h", .form = packed + ", 4 warps along the keys",
         .scored = [](double x, int64_t h) { return x * 0.2 + 0.25 * double(h); }},
        {100});
}

/// Masks of their own keep heads apart.
TEST(TensorUpdate, masksOfHeads) {
  auto isFar = [](int64_t h, int64_t, int64_t j, float) { return j >= 5 * h; };
  check({.keep = "%j >= 5 * %h", .form = ", 4 warps along the keys", .isLive = isFar}, {100});
}

} // namespace
