//===- ModelCase.cpp - imported models against PyTorch's outputs ---------------------===//
#include "tests/frontends/ModelCase.h"
#include "interpreter/Npy.h"
#include "dialects/tenon/Tenon.h"
#include "interpreter/Interpreter.h"

#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <sstream>

using namespace mlir;
using namespace tenon;

std::vector<std::string> test::casesOf(const std::string &model) {
  std::vector<std::string> cases;
  for (const auto &entry : std::filesystem::directory_iterator(model))
    if (std::filesystem::exists(entry.path() / "inputs"))
      cases.push_back(entry.path().filename().string());
  std::sort(cases.begin(), cases.end());
  return cases;
}

static std::string nameOf(Attribute attributes) {
  return cast<DictionaryAttr>(attributes).getAs<StringAttr>("tenon.name").str();
}

static void expectNear(const std::string &name, const Array &found, const Array &wanted, double tolerance) {
  ASSERT_EQ(found.shape, wanted.shape) << name;
  double largest = 1, error = 0;
  for (int64_t i = 0; i < wanted.count(); ++i) {
    largest = std::max(largest, std::fabs(wanted.at(i)));
    error = std::max(error, std::fabs(found.at(i) - wanted.at(i)));
    ASSERT_EQ(std::isnan(found.at(i)), std::isnan(wanted.at(i))) << name << " at " << i;
  }
  EXPECT_LE(error, tolerance * largest) << name;
  ::testing::Test::RecordProperty(name, (std::ostringstream() << error).str());
}

void test::expectCase(ModuleOp module, const WeightStore &weights, const std::string &folder, double tolerance) {
  auto entry = *module.getOps<func::FuncOp>().begin();
  ASSERT_TRUE(entry->hasAttr("tenon.entry"));
  std::vector<Array> inputs;
  for (Attribute attributes : entry.getArgAttrsAttr()) {
    auto input = readNpy(folder + "/inputs/" + nameOf(attributes) + ".npy");
    ASSERT_TRUE(bool(input)) << llvm::toString(input.takeError());
    inputs.push_back(std::move(*input));
  }
  auto outputs = Interpreter(module, weights).run(entry.getSymName(), inputs);
  ASSERT_TRUE(bool(outputs)) << llvm::toString(outputs.takeError());
  for (auto [attributes, output] : llvm::zip(entry.getResAttrsAttr(), *outputs)) {
    std::string name = nameOf(attributes);
    auto wanted = readNpy(folder + "/outputs/" + name + ".npy");
    ASSERT_TRUE(bool(wanted)) << llvm::toString(wanted.takeError());
    expectNear(name, output, *wanted, tolerance);
  }
}
