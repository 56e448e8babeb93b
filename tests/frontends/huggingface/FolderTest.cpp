//===- FolderTest.cpp - Model folders and their JSON files ----------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "frontends/huggingface/reader/Folder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace tenon;
using namespace tenon::huggingface_reader;

namespace {

Config configOf(const std::string &text) {
  Result<Config> config = readConfig(Bytes::own({text.begin(), text.end()}), "config.json");
  EXPECT_TRUE(config) << config.error().message;
  return *config;
}

std::string errorOfConfig(const std::string &text) {
  Result<Config> config = readConfig(Bytes::own({text.begin(), text.end()}), "config.json");
  return config ? "no error" : config.error().message;
}

TEST(Config, ReadsValues) {
  Config config = configOf(R"({"n": 12, "x": 1e-12, "on": true, "act": "gelu", "none": null,
                               "names": ["A", "B"], "inner": {"n": -3}})");
  EXPECT_EQ(*config.count("n"), 12);
  EXPECT_EQ(*config.number("x"), 1e-12);
  EXPECT_EQ(*config.number("n"), 12.0);
  EXPECT_TRUE(*config.boolean("on"));
  EXPECT_EQ(*config.string("act"), "gelu");
  EXPECT_EQ(*config.strings("names"), (std::vector<std::string>{"A", "B"}));
  EXPECT_EQ(*config.section("inner")->integer("n"), -3);
  EXPECT_FALSE(config.has("none"));
  EXPECT_EQ(*config.count("none", 7), 7);
  EXPECT_EQ(*config.string("missing", "absolute"), "absolute");
}

TEST(Config, ErrorsNameFileAndKey) {
  Config config = configOf(R"({"hidden_size": "wide", "n": 0, "big": 4294967296, "half": 0.5, "inner": {"n": 0}})");
  EXPECT_EQ(config.count("hidden_size").error().message,
            "config.json: key 'hidden_size': wanted a whole number from 1 to 2147483647, found \"wide\"");
  EXPECT_EQ(config.count("layers").error().message,
            "config.json: key 'layers': wanted a whole number from 1 to 2147483647, found no such key");
  EXPECT_FALSE(config.count("n"));
  EXPECT_FALSE(config.count("big"));
  EXPECT_FALSE(config.count("half"));
  EXPECT_FALSE(config.boolean("n", true));
  EXPECT_FALSE(config.string("n", "x"));
  EXPECT_FALSE(config.strings("inner"));
  EXPECT_EQ(config.section("inner")->count("n").error().message,
            "config.json: key 'inner': key 'n': wanted a whole number from 1 to 2147483647, found 0");
}

TEST(Config, NotJson) {
  EXPECT_EQ(errorOfConfig(""), "config.json: wanted UTF-8 JSON, found an empty file");
  EXPECT_EQ(errorOfConfig("{\"a\": 1"), "config.json: wanted UTF-8 JSON, found something else");
  EXPECT_EQ(errorOfConfig("{\"a\": 1e999}"), "config.json: wanted UTF-8 JSON, found something else");
  EXPECT_EQ(errorOfConfig("[1]"), "config.json: wanted a JSON object, found a list");
  EXPECT_EQ(errorOfConfig(std::string(1000000, '[')), "config.json: wanted UTF-8 JSON, found something else");
  EXPECT_NE(readConfig("/nonexistent/config.json").error().message.find("cannot open it"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

const std::string models = TENON_TEST_MODELS;

TEST(Folder, ReadsBert) {
  Result<Folder> folder = readFolder(models + "/bert-safetensors");
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(*folder->config.string("model_type"), "bert");
  EXPECT_FALSE(folder->sentence);
  EXPECT_GT(folder->weights.tensors.size(), 20u);
}

TEST(Folder, ReadsSentenceTransformers) {
  Result<Folder> folder = readFolder(models + "/sentence-transformers");
  ASSERT_TRUE(folder) << folder.error().message;
  ASSERT_TRUE(folder->sentence);
  EXPECT_EQ(folder->sentence->pooling, (std::vector<Pooling>{Pooling::Mean}));
  EXPECT_TRUE(folder->sentence->normalize);
  EXPECT_EQ(folder->sentence->width, 48);
  EXPECT_EQ(folder->sentence->maxSequenceLength, 128);
}

/// A copy of the sentence-transformers folder with files replaced.
class ChangedFolder : public testing::Test {
protected:
  ChangedFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenon-folder-XXXXXX").string();
    path = mkdtemp(pattern.data());
    std::filesystem::copy(models + "/sentence-transformers", path, std::filesystem::copy_options::recursive);
  }
  ~ChangedFolder() override { std::filesystem::remove_all(path); }

  void write(const std::string &name, const std::string &content) {
    std::ofstream(path / name, std::ios::binary) << content;
  }

  /// The message without the temporary folder's name.
  std::string error() {
    Result<Folder> folder = readFolder(path.string());
    return folder ? "no error" : folder.error().message.substr(path.string().size() + 1);
  }

  std::filesystem::path path;
};

TEST_F(ChangedFolder, MissingFiles) {
  std::filesystem::remove(path / "model.safetensors");
  EXPECT_EQ(error(), "model.safetensors: cannot open it: No such file or directory");
  std::filesystem::remove(path / "1_Pooling" / "config.json");
  EXPECT_EQ(error(), "1_Pooling/config.json: cannot open it: No such file or directory");
}

TEST_F(ChangedFolder, ModulesThatChangeTheResultAreRefused) {
  write("modules.json", R"([{"path": "", "type": "sentence_transformers.models.Transformer"},
                            {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                            {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}])");
  EXPECT_EQ(error(), "modules.json: entry 2: wanted Transformer, Pooling and at most one Normalize, in this order, "
                     "found 'Dense'");
  write("modules.json", R"([{"path": "", "type": "sentence_transformers.models.Transformer"}])");
  EXPECT_EQ(error(), "modules.json: wanted module Pooling after Transformer, found none");
  write("modules.json", "[]");
  EXPECT_EQ(error(), "modules.json: wanted module Transformer first, found no module");
  write("modules.json", "{}");
  EXPECT_EQ(error(), "modules.json: wanted a JSON list, found an object");
}

TEST_F(ChangedFolder, ModulePathsStayBelow) {
  for (const char *bad : {"../x", "/etc", "a/../../x"}) {
    write("modules.json",
          std::string(R"([{"path": "", "type": "m.Transformer"}, {"type": "m.Pooling", "path": ")") + bad + "\"}]");
    EXPECT_NE(error().find("entry 1: key 'path': wanted a path below the model's folder"), std::string::npos) << bad;
  }
}

TEST_F(ChangedFolder, PoolingModes) {
  write("1_Pooling/config.json", R"({"word_embedding_dimension": 48, "pooling_mode_cls_token": true,
                                     "pooling_mode_max_tokens": true})");
  Result<Folder> folder = readFolder(path.string());
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(folder->sentence->pooling, (std::vector<Pooling>{Pooling::FirstToken, Pooling::Max}));
  write("1_Pooling/config.json", R"({"word_embedding_dimension": 48, "pooling_mode_lasttoken": true})");
  EXPECT_EQ(error(), "1_Pooling/config.json: key 'pooling_mode_lasttoken': wanted pooling by first token, mean, "
                     "maximum or mean over root length, found true");
  write("1_Pooling/config.json", R"({"word_embedding_dimension": 48})");
  EXPECT_EQ(error(), "1_Pooling/config.json: wanted a pooling mode, found none that is true");
}

} // namespace
