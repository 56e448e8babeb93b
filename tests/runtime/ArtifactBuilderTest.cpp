//===- ArtifactBuilderTest.cpp - Writing artifacts ------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/TestProgram.h"

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace tenon;
using namespace tenon::format;
using namespace tenon::test;
using testing::HasSubstr;

namespace {

/// A folder of its own, removed with what is in it.
class Folder {
public:
  Folder() {
    std::string pattern = testing::TempDir() + "/tenon-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    for (const std::string &file : files())
      ::unlink((path + "/" + file).c_str());
    ::rmdir(path.c_str());
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    DIR *directory = ::opendir(path.c_str());
    while (dirent *entry = ::readdir(directory))
      if (entry->d_name[0] != '.')
        names.push_back(entry->d_name);
    ::closedir(directory);
    return names;
  }
  std::string path;
};

std::vector<uint8_t> readAll(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Weights of 11 MB, so that chunks and threads matter.
TestProgram largeProgram() {
  TestProgram program = addProgram();
  for (int i = 0; i < 11; ++i) {
    WeightDesc weight;
    weight.name = "layer." + std::to_string(i);
    weight.dataType = DataType::u8;
    weight.bytes = 1000003;
    weight.shape = {int64_t(weight.bytes)};
    weight.fill = [i](std::span<uint8_t> bytes) {
      for (size_t k = 0; k < bytes.size(); ++k)
        bytes[k] = uint8_t(k * 7 + i);
      return std::string();
    };
    if (i == 5)
      weight.sameAs = 3;
    program.weights.push_back(weight);
  }
  return program;
}

TEST(ArtifactBuilder, sameBytesWhateverTheThreadsFolderAndLocale) {
  TestProgram program = largeProgram();
  std::vector<uint8_t> wanted = program.bytes();
  Folder one, two;
  EXPECT_FALSE(program.builder().writeFile(one.path + "/a.tenon", 1));
  std::string before = std::setlocale(LC_ALL, nullptr);
  std::setlocale(LC_ALL, "C.UTF-8");
  EXPECT_FALSE(program.builder().writeFile(two.path + "/b.tenon", 4));
  std::setlocale(LC_ALL, before.c_str());
  EXPECT_TRUE(wanted == readAll(one.path + "/a.tenon"));
  EXPECT_TRUE(wanted == readAll(two.path + "/b.tenon"));
  tenon_model *model = nullptr;
  EXPECT_EQ("ok", message(tenon_model_load_file((one.path + "/a.tenon").c_str(), nullptr, &model)));
  EXPECT_GT(uint64_t(12) << 20, tenon_model_weight_bytes(model));
  tenon_model_release(model);
}

TEST(ArtifactBuilder, storesSharedWeightsOnce) {
  TestProgram shared = largeProgram(), apart = largeProgram();
  for (WeightDesc &weight : apart.weights)
    weight.sameAs = none;
  EXPECT_EQ(1000064u, apart.bytes().size() - shared.bytes().size()); // 1000003 rounded up to 64
}

TEST(ArtifactBuilder, failureLeavesNothing) {
  Folder folder;
  TestProgram program = largeProgram();
  program.weights[7].fill = [](std::span<uint8_t>) { return std::string("model.safetensors: cut short"); };
  std::string path = folder.path + "/a.tenon";
  EXPECT_EQ("weight layer.6: model.safetensors: cut short", program.builder().writeFile(path, 2).value_or("ok"));
  EXPECT_TRUE(folder.files().empty());
  // What was there before stays.
  std::ofstream(path) << "old";
  EXPECT_TRUE(program.builder().writeFile(path, 2));
  EXPECT_EQ(std::vector<std::string>{"a.tenon"}, folder.files());
  EXPECT_EQ(3u, readAll(path).size());
  // And is replaced by a good one.
  EXPECT_FALSE(addProgram().builder().writeFile(path, 2));
  EXPECT_LT(1000u, readAll(path).size());
}

/// Runs `work` in a process of its own; its process id.
pid_t inChild(const std::function<int()> &work) {
  pid_t child = ::fork();
  if (child == 0)
    ::_exit(work());
  return child;
}

// Killed in the middle of a weight: the old artifact is there, whole, and nothing else.
TEST(ArtifactBuilder, killedWhileWriting) {
  Folder folder;
  std::string path = folder.path + "/a.tenon";
  ASSERT_FALSE(addProgram().builder().writeFile(path, 1));
  std::vector<uint8_t> before = readAll(path);
  int reached[2];
  ASSERT_EQ(0, ::pipe(reached));
  pid_t child = inChild([&] {
    TestProgram program = largeProgram();
    program.weights[7].fill = [&](std::span<uint8_t>) {
      (void)!::write(reached[1], "x", 1);
      ::pause();
      return std::string();
    };
    return program.builder().writeFile(path, 1) ? 1 : 0;
  });
  char byte;
  ASSERT_EQ(1, ::read(reached[0], &byte, 1));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(before == readAll(path));
  EXPECT_EQ(std::vector<std::string>{"a.tenon"}, folder.files());
  ASSERT_FALSE(largeProgram().builder().writeFile(path, 1));
  EXPECT_TRUE(largeProgram().bytes() == readAll(path));
  ::close(reached[0]);
  ::close(reached[1]);
}

// Two processes that write one file: both succeed, and what is there at the end is one of them, whole.
TEST(ArtifactBuilder, twoProcessesWriteOneFile) {
  Folder folder;
  std::string path = folder.path + "/a.tenon";
  std::vector<uint8_t> large = largeProgram().bytes(), small = addProgram().bytes();
  for (int round = 0; round < 5; ++round) {
    pid_t children[] = {inChild([&] { return largeProgram().builder().writeFile(path, 1) ? 1 : 0; }),
                        inChild([&] { return addProgram().builder().writeFile(path, 1) ? 1 : 0; })};
    for (pid_t child : children) {
      int status = -1;
      ::waitpid(child, &status, 0);
      EXPECT_EQ(0, status);
    }
    std::vector<uint8_t> found = readAll(path);
    EXPECT_TRUE(found == large || found == small);
    EXPECT_EQ(std::vector<std::string>{"a.tenon"}, folder.files());
  }
}

/// Mappings of this process that are of the file, which is in a folder of its own.
size_t mappingsOf(const std::string &file) {
  std::ifstream maps("/proc/self/maps");
  std::string path = file.substr(file.rfind("/tenon-")); // maps have no double slashes
  size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    count += line.find(path) != std::string::npos;
  return count;
}

// However many sessions run: the weights are there once, in the file's own pages.
TEST(ArtifactBuilder, manySessionsMapTheFileOnce) {
  Folder folder;
  std::string path = folder.path + "/a.tenon";
  ASSERT_FALSE(addProgram().builder().writeFile(path, 1));
  tenon_model *loaded = nullptr;
  ASSERT_EQ("ok", message(tenon_model_load_file(path.c_str(), nullptr, &loaded)));
  Model model(loaded);
  size_t before = mappingsOf(path);
  EXPECT_LE(1u, before);
  std::vector<Session> sessions;
  for (int i = 0; i < 20; ++i) {
    sessions.push_back(makeSession(model));
    float x[] = {1, 2, 3};
    ASSERT_EQ("ok", bindFloats(sessions.back(), entryOf(model), 0, {3}, x));
    ASSERT_EQ("ok", run(sessions.back(), entryOf(model)));
  }
  EXPECT_EQ(before, mappingsOf(path));
}

TEST(ArtifactBuilder, placesThatCannotBeWritten) {
  Folder folder;
  EXPECT_EQ("/nowhere/a.tenon: cannot create a file in this folder: No such file or directory",
            addProgram().builder().writeFile("/nowhere/a.tenon", 1).value_or("ok"));
  EXPECT_EQ(folder.path + ": wanted a file to write, found a folder",
            addProgram().builder().writeFile(folder.path, 1).value_or("ok"));
}

TEST(ArtifactBuilder, codeForOtherKernels) {
  TestProgram program = addProgram();
  program.levels = {program.level("any", {}, 0)};
  program.levels[0].kernels.clear();
  ArtifactBytes bytes;
  EXPECT_EQ("level any has code for 0 kernels, the program has 1",
            program.builder().writeMemory(bytes, 1).value_or("ok"));
}

TEST(ArtifactBuilder, weightsArePageAlignedInTheFile) {
  std::vector<uint8_t> bytes = largeProgram().bytes();
  auto *header = reinterpret_cast<const Header *>(bytes.data());
  auto *sections = reinterpret_cast<const SectionRecord *>(bytes.data() + sizeof(Header));
  for (unsigned i = 0; i < header->sectionCount; ++i) {
    if (Section(sections[i].kind) == Section::weightData)
      EXPECT_EQ(0u, sections[i].offset % pageBytes);
  }
}

} // namespace
