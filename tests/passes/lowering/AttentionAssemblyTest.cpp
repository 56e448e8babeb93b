// The inner loops of flash attention as each level's assembly: both products, the maximum and the exponential work on whole
// vectors in registers, nothing is called, and no table is gathered.

#include "AssemblyText.h"
#include "AttentionKernel.h"

#include "gtest/gtest.h"

using namespace tenon;

namespace {

struct Variant {
  const char *name, *regions;
  std::vector<std::string> captures = {};
};

const Variant variants[] = {
    {"plain", "score (%x, %b, %h, %i, %j) = %x * 0.125"},
    {"causal", "score (%x, %b, %h, %i, %j) = %x * 0.125 keep (%b, %h, %i, %j) = %j <= %i"},
    {"alibi", "score (%x, %b, %h, %i, %j, %t) = %x * 0.125 + %t[%h] * (%j - %i) keep (%b, %h, %i, %j, %t) = %j <= %i",
     {"tensor<1xf32>"}},
    {"distance table", "score (%x, %b, %h, %i, %j, %t) = %x * 0.125 + %t[%h, %j - %i + 4095]", {"tensor<1x8191xf32>"}},
    {"soft cap", "score (%x, %b, %h, %i, %j) = tanh(%x * 0.00625) * 20"},
};

class AttentionAssemblyTest : public ::testing::TestWithParam<const char *> {};

TEST_P(AttentionAssemblyTest, InnerLoops) {
  const Level *level = findLevel(GetParam());
  for (const Variant &variant : variants) {
    SCOPED_TRACE(variant.name);
    AttentionText text;
    text.regions = variant.regions;
    text.captures = variant.captures;
    AssemblyText assembly(assemblyOf(text, *level), *level);
    const std::vector<std::string> none;
    // Both products are the tile's, with its sums in registers; the tallest has most of them.
    EXPECT_GE(assembly.densest(assembly.multiplyAdd()), level->tileRows);
    unsigned exponentials = 0, loops = 0;
    for (llvm::ArrayRef<llvm::StringRef> loop : assembly.innermostLoops()) {
      size_t multiplyAdds = assembly.matching(loop, assembly.multiplyAdd()).size();
      if (multiplyAdds == 0)
        continue;
      ++loops;
      std::string all = llvm::join(loop, "\n");
      EXPECT_EQ(assembly.matching(loop, assembly.spill()), none) << all;
      EXPECT_EQ(assembly.matching(loop, assembly.scalarArithmetic()), none) << all;
      EXPECT_EQ(assembly.matching(loop, assembly.call()), none) << all;
      EXPECT_EQ(assembly.matching(loop, assembly.gather()), none) << all;
      // A polynomial, not a product: its coefficients are multiplied one after another.
      exponentials += multiplyAdds >= 4 && multiplyAdds <= 16;
    }
    EXPECT_GE(loops, 2 * level->tileRows) << "two families of tiles, of every height";
    EXPECT_GE(exponentials, 1u);
    for (const std::string &line : assembly.matching(assembly.call()))
      EXPECT_NE(line.find("tile_"), std::string::npos) << line;
  }
}

/// Steps of a key, and rows of a value, are lanes: a multiply-add takes one as it is. A64FX takes twice as long for that.
TEST(AttentionAssembly, FactorsAreLanes) {
  AttentionText text;
  text.regions = variants[0].regions;
  for (const char *name : {"aarch64", "aarch64-sve256", "aarch64-sve512"}) {
    SCOPED_TRACE(name);
    const Level *level = findLevel(name);
    AssemblyText assembly(assemblyOf(text, *level), *level);
    unsigned loops = 0;
    for (llvm::ArrayRef<llvm::StringRef> loop : assembly.innermostLoops()) {
      size_t byLane = assembly.matching(loop, "fmla.*\\.s\\[[0-3]\\]$").size();
      loops += byLane >= 16 && byLane == assembly.matching(loop, assembly.multiplyAdd()).size();
    }
    // Both products, of every height; NEON has no load of less than four rows of a value.
    EXPECT_GE(loops, level->vectorBits == 512   ? 0
                     : level->vectorBits == 256 ? 2 * level->tileRows
                                                : level->tileRows + 2);
    EXPECT_EQ(loops == 0, level->vectorBits == 512);
  }
}

/// What the patterns look for is there to be found: a table of the queries' rows is gathered.
TEST(AttentionAssembly, AGeneralTableIsGathered) {
  const Level *level = findLevel("x86-64-v4");
  AttentionText text;
  text.regions = "score (%x, %b, %h, %i, %j, %t) = %x + %t[%i, %j]";
  text.captures = {"tensor<?x?xf32, #tenon.dims<[d1, d2]>>"};
  AssemblyText assembly(assemblyOf(text, *level), *level);
  EXPECT_NE(assembly.matching(assembly.gather()), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(Levels, AttentionAssemblyTest,
                         ::testing::Values("x86-64-v3", "x86-64-v4", "aarch64", "aarch64-sve256", "aarch64-sve512"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
