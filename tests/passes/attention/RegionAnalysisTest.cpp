//===- RegionAnalysisTest.cpp - dependence and shift invariance of regions -------------===//
#include "passes/attention/RegionAnalysis.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace tenon;

namespace {

/// An attention whose score region is `body`, with a table of 16 and an id per position captured.
class RegionAnalysisTest : public ::testing::Test {
protected:
  RegionAnalysisTest() {
    context.loadDialect<TenonDialect, arith::ArithDialect, func::FuncDialect, math::MathDialect>();
  }

  void parse(const std::string &body) {
    std::string text = R"(
      func.func @f(%q: tensor<5x4xf32>, %table: tensor<16xf32>, %ids: tensor<5xi64>) -> tensor<5x4xf32> {
        %o = tenon.attention %q, (%q), (%q) captures (%table, %ids) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
            : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<16xf32>, tensor<5xi64>) -> tensor<5x4xf32>
          score (%x, %b, %h, %i, %j, %t, %id) {)" +
                       body + R"(}
        return %o : tensor<5x4xf32>
      })";
    module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    module->walk([&](AttentionOp op) { region = &op.getScore(); });
    analysis.emplace(*region, /*hasScore=*/true);
  }

  /// The score's summand or factor number `position` of the yielded value.
  Value operand(unsigned position) { return yielded().getDefiningOp()->getOperand(position); }
  Value yielded() { return region->front().getTerminator()->getOperand(0); }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  Region *region = nullptr;
  std::optional<RegionAnalysis> analysis;
};

TEST_F(RegionAnalysisTest, AlibiDependsOnBothPositionsAndIsShiftInvariant) {
  parse(R"(
    %slope = arith.constant 0.5 : f32
    %distance = arith.subi %i, %j : index
    %integer = arith.index_cast %distance : index to i64
    %number = arith.sitofp %integer : i64 to f32
    %bias = arith.mulf %number, %slope : f32
    %y = arith.subf %x, %bias : f32
    tenon.yield %y : f32)");
  EXPECT_EQ(analysis->dependenceOf(operand(0)), (Dependence{.score = true}));
  EXPECT_EQ(analysis->dependenceOf(operand(1)), (Dependence{.query = true, .key = true}));
  EXPECT_TRUE(analysis->isShiftInvariant(operand(1)));
  EXPECT_TRUE(analysis->isShiftInvariant(yielded())); // x counts as it is
}

TEST_F(RegionAnalysisTest, BucketOfTheDistanceIsShiftInvariant) {
  parse(R"(
    %c4 = arith.constant 4 : index
    %c2 = arith.constant 2 : index
    %ahead = arith.subi %j, %i : index
    %near = arith.cmpi slt, %j, %i : index
    %half = arith.divui %ahead, %c2 : index
    %far = arith.addi %half, %c4 : index
    %bucket = arith.select %near, %ahead, %far : index
    %bias = tenon.load %t[%bucket] : tensor<16xf32>
    %y = arith.addf %x, %bias : f32
    tenon.yield %y : f32)");
  EXPECT_TRUE(analysis->isShiftInvariant(operand(1)));
}

TEST_F(RegionAnalysisTest, RowAndColumnTermsAreNot) {
  parse(R"(
    %id_i = tenon.load %id[%i] : tensor<5xi64>
    %row = arith.sitofp %id_i : i64 to f32
    %y = arith.addf %x, %row : f32
    tenon.yield %y : f32)");
  EXPECT_EQ(analysis->dependenceOf(operand(1)), (Dependence{.query = true}));
  EXPECT_FALSE(analysis->isShiftInvariant(operand(1)));
}

TEST_F(RegionAnalysisTest, SumOfPositionsIsNot) {
  parse(R"(
    %sum = arith.addi %i, %j : index
    %bias = tenon.load %t[%sum] : tensor<16xf32>
    %y = arith.addf %x, %bias : f32
    tenon.yield %y : f32)");
  EXPECT_FALSE(analysis->isShiftInvariant(operand(1)));
}

TEST_F(RegionAnalysisTest, WhatHidesAPositionIsNot) {
  parse(R"(
    %c2 = arith.constant 2 : index
    %hidden = arith.xori %i, %c2 : index
    %difference = arith.subi %hidden, %j : index
    %bias = tenon.load %t[%difference] : tensor<16xf32>
    %y = arith.addf %x, %bias : f32
    tenon.yield %y : f32)");
  EXPECT_FALSE(analysis->isShiftInvariant(operand(1)));
}

TEST_F(RegionAnalysisTest, ProductsAreProportional) {
  parse(R"(
    %difference = arith.subi %i, %j : index
    %factor = tenon.load %t[%difference] : tensor<16xf32>
    %twice = arith.addf %factor, %factor : f32
    %w = arith.mulf %twice, %x : f32
    %y = arith.mulf %w, %factor : f32
    tenon.yield %y : f32)");
  EXPECT_TRUE(isProportional(*region));
}

TEST_F(RegionAnalysisTest, SquaresAndSumsAreNot) {
  for (const char *what : {"arith.mulf %x, %x", "arith.addf %x, %bias", "arith.addf %bias, %bias"}) {
    parse(std::string("%bias = tenon.load %t[%h] : tensor<16xf32>\n%y = ") + what + " : f32\ntenon.yield %y : f32");
    EXPECT_FALSE(isProportional(*region)) << what;
  }
}

TEST_F(RegionAnalysisTest, HeadAndBatchAloneAre) {
  parse(R"(
    %bias = tenon.load %t[%h] : tensor<16xf32>
    %y = arith.mulf %x, %bias : f32
    tenon.yield %y : f32)");
  EXPECT_EQ(analysis->dependenceOf(operand(1)), (Dependence{.head = true}));
  EXPECT_TRUE(analysis->isShiftInvariant(operand(1)));
}

} // namespace
