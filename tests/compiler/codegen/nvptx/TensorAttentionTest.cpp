// Attention on tensor cores, block by block in the emulator, beside a softmax in float64: lengths around a tile's, masks by
// position and by data, every rule for empty rows, grouped heads, narrow types.

#include "DeviceKernel.h"

#include "gtest/gtest.h"

#include <bit>
#include <cmath>
#include <functional>
#include <random>

using namespace tenon;
using Buffer = DeviceKernel::Buffer;

namespace {

struct AttentionCase {
  int64_t depth = 32, valueDepth = 32;
  std::string keep, empty = "zero", type = "f32", normalise = "softmax", score = "%x * 0.2", weight;
  std::function<bool(int64_t i, int64_t j, float flag)> isLive = [](int64_t, int64_t, float) { return true; };
  double tolerance = 4e-6;
  std::string form = "";
};

struct Lengths {
  int64_t batch, queries, keys;
};

constexpr int64_t heads = 4, keyHeads = 2;

std::string tensor(const char *rows, int64_t headCount, int64_t depth, const std::string &type) {
  std::string h = std::to_string(headCount), d = std::to_string(depth);
  return "tensor<?x?x" + h + "x" + d + "x" + type + ", #tenon.dims<[d0, " + rows + ", " + h + ", " + d + "]>>";
}

std::string textOf(const AttentionCase &c) {
  std::string q = tensor("d1", heads, c.depth, c.type), k = tensor("d2", keyHeads, c.depth, c.type);
  std::string v = tensor("d2", keyHeads, c.valueDepth, c.type), o = tensor("d1", heads, c.valueDepth, c.type);
  std::string m = "tensor<?x?xf32, #tenon.dims<[d0, d2]>>";
  return "tenon.kernel @k(%q: " + q + ", %k: " + k + ", %v: " + v + ", %m: " + m + ") -> " + o +
         " {\n%o = tenon.attention %q, (%k), (%v) captures (%m) normalise " + c.normalise + " empty " + c.empty +
         " layout [\"b n h d\", \"b n h d\", \"b n h d\", \"b n h d\"] algorithm flash : (" + q + ", " + k + ", " + v +
         ", " + m + ") -> " + o + "\nscore (%x, %b, %h, %i, %j, %m) = " + c.score + "\n" +
         (c.keep.empty() ? "" : "keep (%b, %h, %i, %j, %m) = " + c.keep + "\n") + c.weight + "tenon.return %o : " + o +
         "\n}\n";
}

/// Values in the type of a case: as f32 for the reference, as they are for the kernel.
class Values {
public:
  Values(size_t count, const std::string &type, unsigned seed) : floats(count), isHalf(type != "f32") {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal;
    for (float &value : floats) {
      value = normal(generator);
      if (!isHalf)
        continue;
      // bf16: short enough for an f16 too, of these magnitudes.
      value = std::bit_cast<float>((std::bit_cast<uint32_t>(value) + 0x8000) & 0xffff0000);
      halves.push_back(type == "bf16" ? uint16_t(std::bit_cast<uint32_t>(value) >> 16)
                                      : std::bit_cast<uint16_t>(_Float16(value)));
      if (type == "f16")
        value = float(_Float16(value));
    }
  }
  Buffer buffer() { return isHalf ? Buffer::of(halves) : Buffer::of(floats); }
  double operator[](int64_t at) const { return double(floats[size_t(at)]); }

private:
  std::vector<float> floats;
  std::vector<uint16_t> halves;
  bool isHalf;
};

class Attention {
public:
  Attention(const AttentionCase &c, const Lengths &n)
      : c(c), n(n), q(size_t(n.batch * n.queries * heads * c.depth), c.type, 1),
        k(size_t(n.batch * n.keys * keyHeads * c.depth), c.type, 2),
        v(size_t(n.batch * n.keys * keyHeads * c.valueDepth), c.type, 3) {
    for (int64_t i = 0; i < n.batch * n.keys; ++i)
      flags.push_back(i % 3 && i / n.keys != 1 ? 1.f : -1.f); // nothing is live in the second batch
  }

  void check(DeviceKernel &kernel) {
    std::vector<float> wide(size_t(n.batch * n.queries * heads * c.valueDepth), NAN);
    std::vector<uint16_t> narrow(wide.size(), 0x7fc0);
    bool isHalf = c.type != "f32";
    ASSERT_EQ(kernel.run({q.buffer(), k.buffer(), v.buffer(), Buffer::of(flags),
                          isHalf ? Buffer::result(narrow) : Buffer::result(wide)},
                         {n.batch, n.queries, n.keys}),
              "");
    EXPECT_EQ(kernel.form(), "flash attention by mma.sync, 2 heads packed" + c.form);
    if (isHalf)
      for (size_t i = 0; i < wide.size(); ++i)
        wide[i] = c.type == "bf16" ? std::bit_cast<float>(uint32_t(narrow[i]) << 16)
                                   : float(std::bit_cast<_Float16>(narrow[i]));
    double largest = 0;
    for (int64_t b = 0; b < n.batch; ++b)
      for (int64_t i = 0; i < n.queries; ++i)
        for (int64_t h = 0; h < heads; ++h)
          largest = std::max(largest, errorOfRow(b, i, h, wide));
    EXPECT_LE(largest, c.tolerance) << c.keep << " empty " << c.empty << " " << c.type << " " << n.queries << " x "
                                    << n.keys;
  }

private:
  double score(int64_t b, int64_t i, int64_t h, int64_t j) const {
    double sum = 0;
    for (int64_t d = 0; d < c.depth; ++d)
      sum += q[((b * n.queries + i) * heads + h) * c.depth + d] *
             k[((b * n.keys + j) * keyHeads + h * keyHeads / heads) * c.depth + d];
    return 0.2 * sum;
  }

  double errorOfRow(int64_t b, int64_t i, int64_t h, const std::vector<float> &found) const {
    std::vector<double> weights(size_t(n.keys), 0);
    bool hasLive = false;
    auto isLive = [&](int64_t j) { return c.isLive(i, j, flags[size_t(b * n.keys + j)]); };
    for (int64_t j = 0; j < n.keys; ++j)
      hasLive |= isLive(j);
    double sum = 0;
    for (int64_t j = 0; j < n.keys; ++j) {
      bool takesPart = hasLive ? isLive(j) : c.empty == "uniform" || c.empty == "ignore_keep";
      double y = hasLive || c.empty != "uniform" ? score(b, i, h, j) : 0;
      weights[size_t(j)] = !takesPart ? 0 : c.normalise == "softmax" ? std::exp(y) : y;
      sum += weights[size_t(j)];
    }
    double largest = 0;
    for (int64_t d = 0; d < c.valueDepth; ++d) {
      double output = 0;
      for (int64_t j = 0; j < n.keys; ++j)
        output += weights[size_t(j)] * (c.weight.empty() ? 1 : double(flags[size_t(b * n.keys + j)])) *
                  v[((b * n.keys + j) * keyHeads + h * keyHeads / heads) * c.valueDepth + d];
      if (c.normalise == "softmax" && sum != 0)
        output /= sum;
      float result = found[size_t(((b * n.queries + i) * heads + h) * c.valueDepth + d)];
      if (!hasLive && c.empty == "nan") {
        largest = std::isnan(result) ? largest : INFINITY;
        continue;
      }
      double error = std::abs(output - double(result));
      largest = error <= largest ? largest : std::isnan(error) ? INFINITY : error;
    }
    return largest;
  }

  AttentionCase c;
  Lengths n;
  Values q, k, v;
  std::vector<float> flags;
};

void check(const AttentionCase &c, const std::vector<Lengths> &lengths) {
  DeviceKernel kernel(textOf(c));
  for (const Lengths &n : lengths)
    Attention(c, n).check(kernel);
  EXPECT_GE(kernel.tensorShare(), 0.9);
  EXPECT_LE(kernel.bankPasses(), 1.5);
  if (c.depth % 8 == 0 && c.valueDepth % 8 == 0)
    EXPECT_GE(kernel.coalescedShare(), 0.95);
}

const std::vector<Lengths> aroundTiles{{1, 1, 1}, {1, 5, 33}, {1, 65, 64}};

bool isCausal(int64_t i, int64_t j, float) { return j <= i; }
bool isFlagged(int64_t, int64_t, float flag) { return flag > 0; }

TEST(TensorAttention, everyKey) { check({}, aroundTiles); }

TEST(TensorAttention, causal) { check({.keep = "%j <= %i", .isLive = isCausal}, {{1, 130, 130}, {1, 3, 70}}); }

TEST(TensorAttention, window) {
  auto isNear = [](int64_t i, int64_t j, float) { return j <= i && j > i - 20; };
  check({.keep = "%j <= %i and %j > %i - 20", .isLive = isNear}, {{1, 140, 140}});
}

TEST(TensorAttention, masksOfData) {
  for (const char *empty : {"zero", "nan", "uniform", "ignore_keep"})
    check({.keep = "%m[%b, %j] > 0.0", .empty = empty, .isLive = isFlagged}, {{2, 9, 40}});
}

TEST(TensorAttention, noKeysAreZeros) {
  check({.keep = "%m[%b, %j] > 0.0", .empty = "uniform", .isLive = isFlagged}, {{1, 5, 40}, {1, 5, 0}});
}

TEST(TensorAttention, anyDepth) {
  for (auto [depth, valueDepth] : {std::pair<int64_t, int64_t>{1, 1}, {33, 17}, {64, 64}, {20, 128}, {128, 128}})
    check({.depth = depth, .valueDepth = valueDepth, .keep = "%j <= %i", .isLive = isCausal, .tolerance = 8e-6},
          {{1, 20, 40}});
}

const std::string stored = ", queries in shared memory";

/// Queries, or values, of which registers do not hold a row beside the other's.
TEST(TensorAttention, deepHeads) {
  for (auto [depth, valueDepth] : {std::pair<int64_t, int64_t>{192, 128}, {136, 200}, {256, 256}})
    check({.depth = depth, .valueDepth = valueDepth, .keep = "%j <= %i", .isLive = isCausal, .tolerance = 1.6e-5,
           .form = stored},
          {{1, 70, 40}});
}

/// The second round over the keys reads the same queries once more.
TEST(TensorAttention, deepRowsWithoutKeys) {
  for (const char *type : {"f32", "bf16"})
    check({.depth = 256, .valueDepth = 256, .keep = "%m[%b, %j] > 0.0", .empty = "ignore_keep", .type = type,
           .isLive = isFlagged, .tolerance = *type == 'b' ? 1.6e-2 : 1.6e-5, .form = stored},
          {{2, 9, 40}});
}

TEST(TensorAttention, narrowTypes) {
  for (const char *type : {"bf16", "f16"})
    for (int64_t depth : {17, 64})
      check({.depth = depth, .valueDepth = depth, .keep = "%m[%b, %j] > 0.0", .empty = "uniform", .type = type,
             .isLive = isFlagged, .tolerance = *type == 'b' ? 1.6e-2 : 2e-3},
            {{2, 20, 50}});
}

TEST(TensorAttention, withoutNormaliser) {
  check({.keep = "%j <= %i", .normalise = "none", .isLive = isCausal, .tolerance = 1e-4}, {{1, 66, 40}});
}

/// A factor of the weights is taken in with the values; the sum they are divided by knows nothing of it.
TEST(TensorAttention, weightsWithAFactor) {
  check({.keep = "%j <= %i", .weight = "weight (%p, %b, %h, %i, %j, %m) = %p * %m[%b, %j]\n", .isLive = isCausal},
        {{1, 40, 40}});
}

TEST(TensorAttention, saysWhyNot) {
  DeviceKernel deep(textOf({.depth = 264}));
  EXPECT_EQ(deep.form(), "worker: attention on tensor cores wants constant depths of at most 256");
  DeviceKernel hard(textOf({.normalise = "hard"}));
  EXPECT_EQ(hard.form(), "worker: attention that chooses among keys has no form of its own");
}

} // namespace
