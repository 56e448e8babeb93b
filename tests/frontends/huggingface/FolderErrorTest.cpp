//===- FolderErrorTest.cpp - wrong Hugging Face folders, each named by its fault --------===//
#include "dialects/tenon/Tenon.h"
#include "frontends/huggingface/importer/Import.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

using namespace tenon;
namespace fs = std::filesystem;

namespace {

/// A copy of a good folder whose config.json the test changes.
class FolderError : public testing::Test {
protected:
  FolderError() {
    std::string pattern = (fs::temp_directory_path() / "tenon-folder-XXXXXX").string();
    folder = mkdtemp(pattern.data());
    fs::path good = fs::path(TENON_TEST_MODELS) / "bert-safetensors";
    fs::copy(good / "model.safetensors", folder);
    std::ostringstream text;
    text << std::ifstream(good / "config.json").rdbuf();
    config = text.str();
  }
  ~FolderError() override { fs::remove_all(folder); }

  /// What importing says, without the folder's own path.
  std::string errorAfter(const std::string &from, const std::string &to) {
    size_t at = config.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    config.replace(at, from.size(), to);
    std::ofstream(folder / "config.json") << config;
    mlir::MLIRContext context;
    std::string messages;
    mlir::ScopedDiagnosticHandler handler(&context,
                                          [&](mlir::Diagnostic &diagnostic) { messages += diagnostic.str(); });
    WeightStore weights;
    EXPECT_FALSE(importHuggingFace(folder.string(), context, weights));
    for (size_t found; (found = messages.find(folder.string() + "/")) != std::string::npos;)
      messages.erase(found, folder.string().size() + 1);
    return messages;
  }

  fs::path folder;
  std::string config;
};

TEST_F(FolderError, UnknownArchitecture) {
  EXPECT_EQ(errorAfter("\"model_type\": \"bert\"", "\"model_type\": \"mamba\""),
            "config.json: key 'model_type': wanted one of: bert, found \"mamba\"");
}

TEST_F(FolderError, MissingKey) {
  EXPECT_EQ(errorAfter("\"hidden_size\"", "\"hidden\""),
            "config.json: key 'hidden_size': wanted a whole number from 1 to 2147483647, found no such key");
}

TEST_F(FolderError, UnsupportedValue) {
  EXPECT_EQ(errorAfter("\"absolute\"", "\"relative_key\""),
            "config.json: key 'position_embedding_type': wanted absolute, found \"relative_key\"");
}

TEST_F(FolderError, UnknownActivation) {
  EXPECT_EQ(errorAfter("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"snake\""),
            "config.json: key 'hidden_act': wanted gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish, tanh or "
            "sigmoid, found \"snake\"");
}

TEST_F(FolderError, HeadsThatDoNotDivide) {
  EXPECT_EQ(errorAfter("\"num_attention_heads\": 2", "\"num_attention_heads\": 5"),
            "config.json: key 'num_attention_heads': wanted a divisor of hidden_size 64, found 5");
}

TEST_F(FolderError, WeightOfAnotherShape) {
  EXPECT_EQ(errorAfter("\"vocab_size\": 40", "\"vocab_size\": 41"),
            "model.safetensors: tensor 'embeddings.word_embeddings.weight': wanted shape [41, 64], found [40, 64]");
}

TEST_F(FolderError, MissingWeight) {
  EXPECT_EQ(errorAfter("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
            "model.safetensors: wanted tensor 'encoder.layer.2.attention.self.query.weight', found none of this name");
}

} // namespace
