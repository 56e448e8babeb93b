//===- ImportedModelsTest.cpp - whole ONNX models against PyTorch --------------------===//
#include "dialects/tenon/Tenon.h"
#include "frontends/onnx/importer/Import.h"
#include "tests/frontends/ModelCase.h"

#include <gtest/gtest.h>

using namespace tenon;

namespace {

// The files hold 1 / sqrt(2) and the roots of the head sizes as float32: errors of 3e-8.
constexpr double tolerance = 2e-7;

class ImportedModels : public testing::TestWithParam<const char *> {};

TEST_P(ImportedModels, GivePyTorchsOutputs) {
  std::string folder = std::string(TENON_TEST_MODELS) + "/" + GetParam();
  mlir::MLIRContext context;
  WeightStore weights;
  mlir::OwningOpRef<mlir::ModuleOp> module = importOnnx(folder + "/model.onnx", context, weights);
  ASSERT_TRUE(module);
  for (const std::string &name : test::casesOf(folder)) {
    SCOPED_TRACE(name);
    test::expectCase(*module, weights, folder + "/" + name, tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Small, ImportedModels, testing::Values("bert", "sentence", "vit"));

} // namespace
