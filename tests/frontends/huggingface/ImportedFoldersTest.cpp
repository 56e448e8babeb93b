//===- ImportedFoldersTest.cpp - Hugging Face folders against PyTorch ----------------===//
#include "dialects/tenon/Tenon.h"
#include "frontends/huggingface/importer/Import.h"
#include "tests/frontends/ModelCase.h"

#include <gtest/gtest.h>

using namespace tenon;

namespace {

// The regions hold 1 / sqrt(2) and the roots of the head sizes as float32: errors of 3e-8.
constexpr double tolerance = 2e-7;

class ImportedFolders : public testing::TestWithParam<const char *> {};

TEST_P(ImportedFolders, GivePyTorchsOutputs) {
  std::string folder = std::string(TENON_TEST_MODELS) + "/" + GetParam();
  mlir::MLIRContext context;
  WeightStore weights;
  mlir::OwningOpRef<mlir::ModuleOp> module = importHuggingFace(folder, context, weights);
  ASSERT_TRUE(module);
  for (const std::string &name : test::casesOf(folder)) {
    SCOPED_TRACE(name);
    test::expectCase(*module, weights, folder + "/" + name, tolerance);
  }
}

std::string nameOf(const testing::TestParamInfo<const char *> &info) {
  std::string name = info.param;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Small, ImportedFolders, testing::Values("bert-safetensors", "sentence-transformers"), nameOf);

} // namespace
