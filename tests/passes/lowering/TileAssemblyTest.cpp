// The register tile as each level's assembly: no sum ever leaves its register,
// every multiply-add is a whole vector, nothing is called but the tile itself.

#include "PlainProduct.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"

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
    assembly = *text;
    llvm::SplitString(assembly, lines, "\n");
  }

  bool isX86() const { return level->isa == Isa::X86_64; }

  std::vector<std::string> matching(const char *pattern) const {
    llvm::Regex regex(pattern);
    std::vector<std::string> result;
    for (llvm::StringRef line : lines)
      if (regex.match(line))
        result.push_back(line.str());
    return result;
  }

  /// The most lines matching `pattern` between two labels.
  unsigned densest(const char *pattern) const {
    llvm::Regex regex(pattern);
    unsigned most = 0, count = 0;
    for (llvm::StringRef line : lines) {
      count = line.ends_with(":") ? 0 : count + regex.match(line);
      most = std::max(most, count);
    }
    return most;
  }

  const Level *level = nullptr;
  std::string assembly;
  llvm::SmallVector<llvm::StringRef> lines;
};

TEST_P(TileAssemblyTest, SumsStayInRegisters) {
  // q registers on AArch64: saving d8 to d15 for the caller is not a spill.
  const char *stack = isX86() ? "[xyz]mm.*\\((%rsp|%rbp)|\\((%rsp|%rbp).*[xyz]mm" : "[[:space:]]q[0-9]+,.*\\[sp";
  EXPECT_EQ(matching(stack), std::vector<std::string>());
}

TEST_P(TileAssemblyTest, MultiplyAddsAreWholeVectors) {
  EXPECT_EQ(matching(isX86() ? "vfn?m(add|sub)[0-9]+ss|vmulss|vaddss" : "fn?m(add|sub)[[:space:]]+s"),
            std::vector<std::string>());
  RegisterTile tile = registerTile(*level);
  unsigned vectors = tile.vectorsPerPanel() * tile.panelsAt(tile.rows);
  EXPECT_GE(densest(isX86() ? "vfmadd[0-9]+ps" : "fmla[[:space:]]+v[0-9]+\\.4s"), tile.rows * vectors);
}

TEST_P(TileAssemblyTest, NothingElseIsCalled) {
  for (const std::string &line : matching(isX86() ? "^[[:space:]]+call" : "^[[:space:]]+bl[[:space:]]"))
    EXPECT_NE(line.find("tile_"), std::string::npos) << line;
}

INSTANTIATE_TEST_SUITE_P(Levels, TileAssemblyTest,
                         ::testing::Values("x86-64-v3", "x86-64-v4", "aarch64", "aarch64-v9"), [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
