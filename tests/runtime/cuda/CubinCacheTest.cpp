//===- CubinCacheTest.cpp - Machine code kept between processes -----------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/cubin_cache.h"
#include "runtime/src/cuda/driver.h"
#include "tests/runtime/TestProgram.h"
#include "tests/runtime/cuda/FakeDriver.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace tenon;
using namespace tenon::test;
using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

class CubinCacheTest : public testing::Test {
protected:
  void SetUp() override {
    folder = fs::path(testing::TempDir()) / ("tenon-cubins-" + std::to_string(::getpid()));
    fs::remove_all(folder);
    ::setenv("TENON_CACHE_DIR", (folder / "deep").c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder); }

  /// Loads a model; whether its PTX was compiled. `noted` is what the log says of it.
  bool compiles() {
    noted.clear();
    tenon_model_options options{};
    options.struct_bytes = sizeof(options);
    options.log_user = &noted;
    options.log = [](void *user, tenon_log_level, const char *line) { *static_cast<std::string *>(user) += line; };
    int before = fakeDriver().calls["cuLinkComplete"];
    Model model = load(addProgram().bytes(), &options);
    Session session = makeSession(model);
    const float x[2] = {3, 4};
    EXPECT_EQ("ok", bindFloats(session, entryOf(model), 0, {2}, x));
    EXPECT_EQ("ok", run(session, entryOf(model)));
    EXPECT_EQ((std::vector<float>{3, 5}), output(session, entryOf(model)));
    return fakeDriver().calls["cuLinkComplete"] > before;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (fs::exists(folder / "deep"))
      for (const fs::directory_entry &entry : fs::directory_iterator(folder / "deep"))
        found.push_back(entry.path());
    return found;
  }

  fs::path folder;
  std::string noted;
};

TEST_F(CubinCacheTest, isUsedTheSecondTime) {
  EXPECT_TRUE(compiles());
  EXPECT_THAT(noted, HasSubstr("kernels for Fake GPU made from PTX in "));
  ASSERT_EQ(1u, files().size());
  EXPECT_EQ(".cubin", files()[0].extension());
  EXPECT_FALSE(compiles());
  EXPECT_THAT(noted, HasSubstr("kernels for Fake GPU from " + files()[0].string()));
  // Nobody else can read it.
  EXPECT_EQ(fs::perms::owner_read | fs::perms::owner_write, fs::status(files()[0]).permissions());
}

TEST_F(CubinCacheTest, isOfOneDriverAndOneArchitecture) {
  static const cuda::DriverTable table = fakeTable();
  EXPECT_TRUE(compiles());
  fakeDriver().version = 12060;
  cuda::replaceDriver(&table);
  EXPECT_TRUE(compiles());
  fakeDriver().gpus[0].capability = 86;
  cuda::replaceDriver(&table);
  EXPECT_TRUE(compiles());
  EXPECT_EQ(3u, files().size());
  EXPECT_FALSE(compiles());
}

TEST_F(CubinCacheTest, damageIsNoticedAndMended) {
  EXPECT_TRUE(compiles());
  fs::path file = files()[0];
  uintmax_t whole = fs::file_size(file);
  std::fstream(file, std::ios::in | std::ios::out).seekp(60).put('!');
  EXPECT_TRUE(compiles());
  EXPECT_FALSE(compiles());
  fs::resize_file(file, whole / 2);
  EXPECT_TRUE(compiles());
  fs::resize_file(file, 3);
  EXPECT_TRUE(compiles());
  EXPECT_EQ(whole, fs::file_size(file));
  EXPECT_EQ(1u, files().size());
}

TEST_F(CubinCacheTest, othersMustNotBeAbleToWriteIt) {
  EXPECT_TRUE(compiles());
  fs::permissions(files()[0], fs::perms::group_write, fs::perm_options::add);
  EXPECT_TRUE(compiles());
  EXPECT_FALSE(compiles()); // written anew, under the user's own permissions
  fs::path moved = folder / "elsewhere";
  fs::rename(files()[0], moved);
  fs::create_symlink(moved, folder / "deep" / (moved.stem().string() + ".cubin"));
  EXPECT_TRUE(compiles());
}

TEST_F(CubinCacheTest, aRefusedCubinIsMadeAgain) {
  TestProgram program = addProgram();
  std::vector<uint8_t> ptx = program.gpuLevel("any", {}, 0).image;
  cuda::CubinCache cache(reinterpret_cast<const char *>(ptx.data()), ptx.size(), fakeDriver().version, 80);
  cache.write("no code", 7); // under right checksums
  EXPECT_TRUE(compiles());
  EXPECT_FALSE(compiles());
  EXPECT_EQ(std::vector<fs::path>{cache.path()}, files());
}

TEST_F(CubinCacheTest, withoutAFolderAllWorks) {
  ::setenv("TENON_CACHE_DIR", "/proc/nowhere", 1);
  EXPECT_TRUE(compiles());
  EXPECT_TRUE(compiles());
  ::setenv("TENON_CACHE_DIR", "off", 1);
  EXPECT_TRUE(compiles());
}

TEST_F(CubinCacheTest, isWhereTheUsersCachesAre) {
  ::unsetenv("TENON_CACHE_DIR");
  std::string before = std::getenv("XDG_CACHE_HOME") ? std::getenv("XDG_CACHE_HOME") : "";
  ::setenv("XDG_CACHE_HOME", folder.c_str(), 1);
  EXPECT_TRUE(compiles());
  EXPECT_THAT(noted, HasSubstr("made from PTX"));
  EXPECT_TRUE(fs::exists(folder / "tenon"));
  EXPECT_FALSE(compiles());
  before.empty() ? ::unsetenv("XDG_CACHE_HOME") : ::setenv("XDG_CACHE_HOME", before.c_str(), 1);
}

} // namespace
