// The register tile as each level's assembly: no sum ever leaves its register,
// every multiply-add is a whole vector, nothing is called but the tile itself.

#include "AssemblyText.h"
#include "PlainProduct.h"

#include "gtest/gtest.h"

using namespace tenon;

namespace {

class TileAssemblyTest : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    level = findLevel(GetParam());
    mlir::DialectRegistry registry;
    registerCodegenDialects(registry);
    mlir::MLIRContext context(registry);
    context.loadAllAvailableDialects();
    auto module = plainProductModule(context, *level, ProductBlocking());
    auto text = printKernels(*module, *level, CodeText::Assembly);
    ASSERT_TRUE(succeeded(text));
    assembly.emplace(*text, *level);
  }

  const Level *level = nullptr;
  std::optional<AssemblyText> assembly;
};

TEST_P(TileAssemblyTest, SumsStayInRegisters) {
  EXPECT_EQ(assembly->matching(assembly->spill()), std::vector<std::string>());
}

TEST_P(TileAssemblyTest, MultiplyAddsAreWholeVectors) {
  EXPECT_EQ(assembly->matching(assembly->scalarArithmetic()), std::vector<std::string>());
  RegisterTile tile = registerTile(*level);
  unsigned vectors = tile.vectorsPerPanel() * tile.panelsAt(tile.rows);
  EXPECT_GE(assembly->densest(assembly->multiplyAdd()), tile.rows * vectors);
}

/// Up to 256 bits, vectors of ARM64 are multiplied by a lane of four steps of A, which are one load; others are broadcast.
TEST_P(TileAssemblyTest, LanesAreMultiplied) {
  RegisterTile tile = registerTile(*level);
  unsigned found = assembly->densest("fmla.*\\.s\\[[0-3]\\]$");
  if (level->isa == Isa::AArch64 && level->vectorBits <= 256)
    EXPECT_GE(found, 4 * tile.rows * tile.vectorsPerPanel() * tile.panelsAt(tile.rows));
  else
    EXPECT_EQ(found, 0u);
}

/// Where each row of A has a pointer, it moves once in four steps: LLVM's scheduler would spill sums for that.
class RowPointersTest : public TileAssemblyTest {};

TEST_P(RowPointersTest, MoveOnceInFourSteps) {
  RegisterTile tile = registerTile(*level);
  unsigned sums = tile.rows * tile.vectorsPerPanel() * tile.panelsAt(tile.rows);
  unsigned most = 0;
  for (auto loop : assembly->innermostLoops()) {
    auto matching = [&](const char *pattern) {
      llvm::Regex regex(pattern);
      return unsigned(llvm::count_if(loop, [&](llvm::StringRef line) { return regex.match(line); }));
    };
    if (matching("fmla") < 4 * sums)
      continue;
    most = std::max(most, matching("^[[:space:]]+add[[:space:]]+x"));
    EXPECT_EQ(matching("^[[:space:]]+mov"), 0u);
  }
  EXPECT_GT(most, 0u) << "no loop of four steps";
  EXPECT_LE(most, tile.rows + tile.panelsAt(tile.rows) + 2); // the counter, and where the next tile's columns are
}

TEST_P(TileAssemblyTest, NothingElseIsCalled) {
  for (const std::string &line : assembly->matching(assembly->call()))
    EXPECT_NE(line.find("tile_"), std::string::npos) << line;
}

INSTANTIATE_TEST_SUITE_P(Levels, TileAssemblyTest,
                         ::testing::Values("x86-64-v3", "x86-64-v4", "aarch64", "aarch64-v9", "aarch64-sve256",
                                           "aarch64-sve512"), [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

INSTANTIATE_TEST_SUITE_P(A64FX, RowPointersTest, ::testing::Values("aarch64-sve512"));

} // namespace
