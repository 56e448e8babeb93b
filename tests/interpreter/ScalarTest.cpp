//===- ScalarTest.cpp - one value of every scalar operation, checked by hand -----------------===//
#include "dialects/tenon/Tenon.h"
#include "interpreter/Interpreter.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using namespace tenon;

namespace {

struct Case {
  const char *operation; ///< on %a, %b, %c of type T, as "arith.addf %a, %b : T"
  const char *type, *result;
  double a, b, c, wanted;
};

std::string constantText(const char *type, double value) {
  if (type[0] != 'f')
    return std::to_string(int64_t(value));
  if (std::isnan(value))
    return type == std::string("f64") ? "0x7ff8000000000000" : "0x7fc00000";
  if (std::isinf(value))
    return std::string(type) == "f64" ? (value > 0 ? "0x7ff0000000000000" : "0xfff0000000000000")
                                      : (value > 0 ? "0x7f800000" : "0xff800000");
  char text[40];
  std::snprintf(text, sizeof text, "%.17e", value);
  return text;
}

class ScalarTest : public ::testing::TestWithParam<Case> {};

TEST_P(ScalarTest, Computes) {
  const Case &test = GetParam();
  std::string operation = test.operation;
  for (size_t at; (at = operation.find(" T")) != std::string::npos;)
    operation.replace(at, 2, std::string(" ") + test.type);
  std::string text = llvm::formatv(R"(func.func @main() -> tensor<{1}> {{
    %r = tenon.map at () : () -> tensor<{1}> {{
      %a = arith.constant {2} : {0}
      %b = arith.constant {3} : {0}
      %c = arith.constant {4} : {0}
      %v = {5}
      tenon.yield %v : {1}
    }
    return %r : tensor<{1}>
  })",
                                   test.type, test.result, constantText(test.type, test.a),
                                   constantText(test.type, test.b), constantText(test.type, test.c), operation)
                         .str();
  DialectRegistry registry;
  registry.insert<TenonDialect, func::FuncDialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(module) << text;
  WeightStore store;
  auto outputs = Interpreter(*module, store).run("main", {});
  ASSERT_TRUE(bool(outputs)) << llvm::toString(outputs.takeError());
  double found = outputs->front().at(0);
  if (std::isnan(test.wanted))
    EXPECT_TRUE(std::isnan(found)) << text << found;
  else if (std::isinf(test.wanted))
    EXPECT_EQ(found, test.wanted) << text;
  else
    EXPECT_NEAR(found, test.wanted, 1e-15 * std::fabs(test.wanted)) << text;
}

const double inf = HUGE_VAL, nan = NAN;

INSTANTIATE_TEST_SUITE_P(
    Floats, ScalarTest,
    ::testing::Values(
        Case{"arith.addf %a, %b : T", "f64", "f64", 1, 2, 0, 3},
        Case{"arith.subf %a, %b : T", "f64", "f64", 1, 2, 0, -1},
        Case{"arith.mulf %a, %b : T", "f64", "f64", 3, 2, 0, 6},
        Case{"arith.divf %a, %b : T", "f64", "f64", 1, 0, 0, inf},
        Case{"arith.remf %a, %b : T", "f64", "f64", -7, 3, 0, -1}, Case{"arith.negf %a : T", "f64", "f64", 3, 0, 0, -3},
        Case{"arith.maximumf %a, %b : T", "f64", "f64", nan, 2, 0, nan},
        Case{"arith.minimumf %a, %b : T", "f64", "f64", 1, nan, 0, nan},
        Case{"arith.maxnumf %a, %b : T", "f64", "f64", nan, 2, 0, 2},
        Case{"arith.minnumf %a, %b : T", "f64", "f64", 1, nan, 0, 1},
        Case{"math.absf %a : T", "f64", "f64", -2, 0, 0, 2},
        Case{"math.exp %a : T", "f64", "f64", 1, 0, 0, 2.718281828459045},
        Case{"math.exp2 %a : T", "f64", "f64", 10, 0, 0, 1024}, Case{"math.expm1 %a : T", "f64", "f64", -inf, 0, 0, -1},
        Case{"math.log %a : T", "f64", "f64", 0, 0, 0, -inf}, Case{"math.log2 %a : T", "f64", "f64", 8, 0, 0, 3},
        Case{"math.log10 %a : T", "f64", "f64", 1000, 0, 0, 3}, Case{"math.log1p %a : T", "f64", "f64", -1, 0, 0, -inf},
        Case{"math.sqrt %a : T", "f64", "f64", -1, 0, 0, nan}, Case{"math.rsqrt %a : T", "f64", "f64", 4, 0, 0, 0.5},
        Case{"math.cbrt %a : T", "f64", "f64", -27, 0, 0, -3}, Case{"math.erf %a : T", "f64", "f64", inf, 0, 0, 1},
        Case{"math.erfc %a : T", "f64", "f64", -inf, 0, 0, 2}, Case{"math.tanh %a : T", "f64", "f64", -inf, 0, 0, -1},
        Case{"math.sin %a : T", "f64", "f64", 0, 0, 0, 0}, Case{"math.cos %a : T", "f64", "f64", 0, 0, 0, 1},
        Case{"math.atan2 %a, %b : T", "f64", "f64", 1, 0, 0, 1.5707963267948966},
        Case{"math.copysign %a, %b : T", "f64", "f64", 2, -1, 0, -2},
        Case{"math.powf %a, %b : T", "f64", "f64", 2, -2, 0, 0.25},
        Case{"math.fma %a, %b, %c : T", "f64", "f64", 2, 3, 4, 10},
        Case{"math.clampf %a to [%b, %c] : T", "f64", "f64", 9, 0, 6, 6},
        Case{"math.floor %a : T", "f64", "f64", -1.5, 0, 0, -2}, Case{"math.ceil %a : T", "f64", "f64", -1.5, 0, 0, -1},
        Case{"math.round %a : T", "f64", "f64", 2.5, 0, 0, 3},
        Case{"math.roundeven %a : T", "f64", "f64", 2.5, 0, 0, 2},
        Case{"math.trunc %a : T", "f64", "f64", -1.5, 0, 0, -1}, Case{"math.isnan %a : T", "f64", "i1", nan, 0, 0, 1},
        Case{"math.isfinite %a : T", "f64", "i1", inf, 0, 0, 0},
        Case{"math.isinf %a : T", "f64", "i1", -inf, 0, 0, 1}));

INSTANTIATE_TEST_SUITE_P(Comparisons, ScalarTest,
                         ::testing::Values(Case{"arith.cmpf olt, %a, %b : T", "f64", "i1", 1, 2, 0, 1},
                                           Case{"arith.cmpf olt, %a, %b : T", "f64", "i1", nan, 2, 0, 0},
                                           Case{"arith.cmpf ult, %a, %b : T", "f64", "i1", nan, 2, 0, 1},
                                           Case{"arith.cmpf one, %a, %b : T", "f64", "i1", nan, 2, 0, 0},
                                           Case{"arith.cmpf une, %a, %b : T", "f64", "i1", nan, 2, 0, 1},
                                           Case{"arith.cmpf ord, %a, %b : T", "f64", "i1", nan, 2, 0, 0},
                                           Case{"arith.cmpf uno, %a, %b : T", "f64", "i1", nan, 2, 0, 1},
                                           Case{"arith.cmpf oge, %a, %b : T", "f64", "i1", 2, 2, 0, 1},
                                           Case{"arith.cmpi slt, %a, %b : T", "i8", "i1", -1, 1, 0, 1},
                                           Case{"arith.cmpi ult, %a, %b : T", "i8", "i1", -1, 1, 0, 0},
                                           Case{"arith.cmpi uge, %a, %b : T", "i64", "i1", -1, 1, 0, 1},
                                           Case{"arith.cmpi eq, %a, %b : T", "index", "i1", 3, 3, 0, 1}));

INSTANTIATE_TEST_SUITE_P(Integers, ScalarTest,
                         ::testing::Values(Case{"arith.addi %a, %b : T", "i8", "i8", 127, 1, 0, -128},
                                           Case{"arith.subi %a, %b : T", "i16", "i16", -32768, 1, 0, 32767},
                                           Case{"arith.muli %a, %b : T", "i32", "i32", 65536, 65536, 0, 0},
                                           Case{"arith.andi %a, %b : T", "i8", "i8", 12, 10, 0, 8},
                                           Case{"arith.ori %a, %b : T", "i8", "i8", 12, 10, 0, 14},
                                           Case{"arith.xori %a, %b : T", "i8", "i8", 12, -1, 0, -13},
                                           Case{"arith.maxsi %a, %b : T", "i8", "i8", -1, 1, 0, 1},
                                           Case{"arith.maxui %a, %b : T", "i8", "i8", -1, 1, 0, -1},
                                           Case{"arith.minsi %a, %b : T", "i8", "i8", -1, 1, 0, -1},
                                           Case{"arith.minui %a, %b : T", "i8", "i8", -1, 1, 0, 1},
                                           Case{"arith.shli %a, %b : T", "i8", "i8", 3, 7, 0, -128},
                                           Case{"arith.shrsi %a, %b : T", "i8", "i8", -8, 1, 0, -4},
                                           Case{"arith.shrui %a, %b : T", "i8", "i8", -8, 1, 0, 124},
                                           Case{"math.absi %a : T", "i8", "i8", -128, 0, 0, -128},
                                           Case{"math.ctpop %a : T", "i8", "i8", -1, 0, 0, 8},
                                           Case{"math.ctlz %a : T", "i8", "i8", 1, 0, 0, 7},
                                           Case{"math.cttz %a : T", "i8", "i8", 0, 0, 0, 8},
                                           Case{"math.ipowi %a, %b : T", "i32", "i32", -3, 3, 0, -27}));

INSTANTIATE_TEST_SUITE_P(Conversions, ScalarTest,
                         ::testing::Values(Case{"arith.extsi %a : T to i32", "i8", "i32", -1, 0, 0, -1},
                                           Case{"arith.extui %a : T to i32", "i8", "i32", -1, 0, 0, 255},
                                           Case{"arith.trunci %a : T to i8", "i32", "i8", 511, 0, 0, -1},
                                           Case{"arith.index_cast %a : T to index", "i8", "index", -1, 0, 0, -1},
                                           Case{"arith.index_castui %a : T to index", "i8", "index", -1, 0, 0, 255},
                                           Case{"arith.sitofp %a : T to f32", "i8", "f32", -1, 0, 0, -1},
                                           Case{"arith.uitofp %a : T to f32", "i8", "f32", -1, 0, 0, 255},
                                           Case{"arith.fptosi %a : T to i8", "f64", "i8", -1.9, 0, 0, -1},
                                           Case{"arith.fptoui %a : T to i8", "f64", "i8", 200, 0, 0, -56},
                                           Case{"arith.extf %a : T to f64", "f32", "f64", 0.5, 0, 0, 0.5},
                                           Case{"arith.truncf %a : T to f16", "f32", "f16", 2049, 0, 0, 2049},
                                           Case{"arith.bitcast %a : T to i64", "f64", "i64", 1, 0, 0,
                                                0x1p62 - 0x1p52}));

} // namespace
