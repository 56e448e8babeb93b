// The product kernel against plain loops: every height, odd columns, several
// slabs of k, partial tile ranges, and rows that do not depend on their number.

#include "HostLevels.h"
#include "PlainProduct.h"
#include "tenon/kernel_abi.h"
#include "tests/compiler/codegen/LoadedImage.h"

#include <cmath>
#include <cstdlib>
#include <random>

#include "gtest/gtest.h"

using namespace tenon;

namespace {

std::vector<float> randomFloats(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(count);
  for (float &value : values)
    value = uniform(generator);
  return values;
}

/// As the kernel promises: k in the fewest slabs of at most `kSlab`, nearly equal in
/// units of 16, each summed left to right with one rounding a step, then added up.
std::vector<float> plainProduct(const std::vector<float> &a, const std::vector<float> &b, int64_t m, int64_t n,
                                int64_t k, int64_t kSlab) {
  int64_t units = (k + 15) / 16, slabs = (units * 16 + kSlab - 1) / kSlab;
  auto begin = [&](int64_t slab) {
    return std::min(k, 16 * (slab * (units / slabs) + std::min(slab, units % slabs)));
  };
  std::vector<float> c(m * n);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t slab = 0; slab < slabs; ++slab) {
        float sum = 0;
        for (int64_t l = begin(slab); l < begin(slab + 1); ++l)
          sum = std::fma(a[i * k + l], b[l * n + j], sum);
        c[i * n + j] = slab ? c[i * n + j] + sum : sum;
      }
    }
  return c;
}

class PackedProductTest : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override { compileFor(*findLevel(GetParam())); }

  void compileFor(const Level &level) {
    blocking.kSlab = 32;
    blocking.rowBlock = 20;
    blocking.panelGroup = 3;
    auto image = compilePlainProduct(level, blocking);
    ASSERT_TRUE(succeeded(image));
    loaded = std::make_unique<LoadedImage>(image->bytes);
    kernel = loaded->find<void(const tenon_kernel_args *, uint32_t, uint32_t)>("product");
    ASSERT_TRUE(kernel) << loaded->error();
  }

  /// Runs tiles `cuts[i]..cuts[i + 1]`, each range with scratch of its own.
  std::vector<float> run(const std::vector<float> &a, const std::vector<float> &b, int64_t m, int64_t n, int64_t k,
                         std::vector<uint32_t> cuts = {}) {
    std::vector<float> panels = packPanels(b, k, n), c(m * n + 1, -7.0f);
    uint32_t grid = plainProductGrid(blocking, m, n);
    cuts.insert(cuts.begin(), 0);
    cuts.push_back(grid);
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      size_t floats = packedProductScratch(blocking, k);
      std::unique_ptr<float, decltype(&free)> scratch(
          static_cast<float *>(aligned_alloc(64, (floats * 4 + 63) / 64 * 64)), free);
      std::fill_n(scratch.get(), floats, NAN);
      void *operands[] = {const_cast<float *>(a.data()), panels.data(), c.data()};
      int64_t dims[] = {m, n, k};
      uint32_t faults = 0;
      tenon_kernel_args args = {operands, dims, scratch.get(), &faults};
      kernel(&args, cuts[i], cuts[i + 1]);
    }
    EXPECT_EQ(c.back(), -7.0f) << "wrote behind C";
    c.pop_back();
    return c;
  }

  void compare(int64_t m, int64_t n, int64_t k) {
    std::vector<float> a = randomFloats(m * k, 1), b = randomFloats(k * n, 2);
    EXPECT_EQ(run(a, b, m, n, k), plainProduct(a, b, m, n, k, blocking.kSlab)) << m << " x " << k << " x " << n;
  }

  ProductBlocking blocking;
  std::unique_ptr<LoadedImage> loaded;
  void (*kernel)(const tenon_kernel_args *, uint32_t, uint32_t) = nullptr;
};

TEST_P(PackedProductTest, EveryHeight) {
  for (int64_t m = 1; m <= 45; ++m)
    compare(m, 48, 24);
}

TEST_P(PackedProductTest, OddSizes) {
  for (int64_t m : {1, 2, 3, 7, 17, 63, 65, 127, 129})
    for (int64_t n : {1, 15, 16, 17, 65, 130})
      for (int64_t k : {1, 2, 3, 31, 33, 65})
        compare(m, n, k);
}

TEST_P(PackedProductTest, NothingToDo) {
  compare(0, 16, 8);
  compare(3, 0, 8);
}

TEST_P(PackedProductTest, AnyRangeOfTiles) {
  int64_t m = 70, n = 200, k = 70;
  std::vector<float> a = randomFloats(m * k, 1), b = randomFloats(k * n, 2);
  std::vector<float> whole = run(a, b, m, n, k);
  EXPECT_EQ(run(a, b, m, n, k, {1}), whole);
  EXPECT_EQ(run(a, b, m, n, k, {4, 5, 9}), whole);
}

TEST_P(PackedProductTest, RowsDoNotDependOnTheirNumber) {
  int64_t n = 33, k = 100;
  std::vector<float> a = randomFloats(60 * k, 1), b = randomFloats(k * n, 2);
  std::vector<float> sixty = run(a, b, 60, n, k);
  for (int64_t m : {1, 5, 14, 16, 17}) {
    std::vector<float> rows = run(a, b, m, n, k);
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), sixty.begin())) << m;
  }
}

/// With two multiply-add units other heights are split.
class TwoUnitsTest : public PackedProductTest {
protected:
  void SetUp() override {
    Level level = *findLevel(GetParam());
    level.fmaPorts = 2;
    compileFor(level);
  }
};

TEST_P(TwoUnitsTest, EveryHeight) {
  for (int64_t m = 1; m <= 45; ++m)
    compare(m, 49, 40);
}

std::string nameOf(const ::testing::TestParamInfo<const char *> &info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Levels, PackedProductTest,
                         ::testing::ValuesIn(levelsOfThisMachine({"x86-64-v3", "x86-64-v4", "aarch64"})), nameOf);
INSTANTIATE_TEST_SUITE_P(Levels, TwoUnitsTest, ::testing::ValuesIn(levelsOfThisMachine({"x86-64-v4"})), nameOf);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TwoUnitsTest);

} // namespace
