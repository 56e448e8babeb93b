// The level table is consistent, and --target= reads what it documents.

#include "compiler/levels/Level.h"

#include "gtest/gtest.h"

using namespace tenon;

namespace {

std::string errorOf(llvm::StringRef targets) {
  llvm::Expected<std::vector<Level>> levels = parseTargets(targets);
  return levels ? "" : llvm::toString(levels.takeError());
}

TEST(Level, RegisterTilesFitTheRegisters) {
  for (const Level &level : allLevels()) {
    unsigned vectors = panelWidth / level.lanes();
    EXPECT_LT(level.tileRows * vectors + vectors, level.vectorRegisters) << level.name.str();
  }
}

TEST(Level, NamesAreFound) {
  for (const Level &level : allLevels())
    EXPECT_EQ(findLevel(level.name), &level);
  EXPECT_EQ(findLevel("host"), nullptr);
}

TEST(Level, TargetsKeepTheirOrderAndAppearOnce) {
  llvm::Expected<std::vector<Level>> levels = parseTargets("aarch64, x86-64-v3,aarch64");
  ASSERT_TRUE(bool(levels));
  ASSERT_EQ(levels->size(), 2u);
  EXPECT_EQ((*levels)[0].name, "aarch64");
  EXPECT_EQ((*levels)[1].name, "x86-64-v3");
}

TEST(Level, UnknownTargetNamesTheKnownOnes) {
  std::string error = errorOf("x86-64-v3,x86-64-v5");
  EXPECT_NE(error.find("unknown target 'x86-64-v5'"), std::string::npos);
  EXPECT_NE(error.find("nvptx-sm_90a, host"), std::string::npos);
}

TEST(Level, UnknownTargetNamesTheNearest) {
  EXPECT_NE(errorOf("aarch64-v8").find("near 'aarch64-v9'"), std::string::npos);
  EXPECT_NE(errorOf("AARCH64").find("near 'aarch64'"), std::string::npos);
  EXPECT_NE(errorOf("sm_90a").find("near 'nvptx-sm_90a':"), std::string::npos);
  EXPECT_EQ(errorOf("z80").find("near"), std::string::npos);
}

TEST(Level, NamesUsedElsewhereAreKnown) {
  EXPECT_NE(errorOf("arm64").find("near 'aarch64':"), std::string::npos);
  EXPECT_NE(errorOf("AMD64").find("near 'x86-64-v3':"), std::string::npos);
  EXPECT_NE(errorOf("native").find("near 'host':"), std::string::npos);
}

TEST(Level, BigEndianAndEmptyNamesAreRefused) {
  EXPECT_NE(errorOf("aarch64_be").find("unknown target 'aarch64_be', near 'aarch64'"), std::string::npos);
  EXPECT_NE(errorOf("x86-64-v3,,aarch64").find("unknown target '': wanted"), std::string::npos);
}

TEST(Level, VectorsLongerThanNeonAreOfOneLength) {
  for (const Level &level : allLevels()) {
    bool isLonger = level.isa == Isa::AArch64 && level.vectorBits > 128;
    EXPECT_EQ(level.vectorGranules(), isLonger ? level.vectorBits / 128 : 0) << level.name.str();
    std::string length = "sve" + std::to_string(level.vectorBits);
    EXPECT_EQ(level.needs.contains(length), isLonger) << level.name.str();
  }
}

TEST(Level, EmptyTargetIsAnError) { EXPECT_NE(errorOf("").find("unknown target ''"), std::string::npos); }

TEST(Level, HostRunsTheLevelItResolvesTo) {
  llvm::Expected<Level> host = hostLevel();
  ASSERT_TRUE(bool(host)) << llvm::toString(host.takeError());
  EXPECT_TRUE(hostRuns(*host));
  EXPECT_GE(host->fmaPorts, 1u);
}

} // namespace
