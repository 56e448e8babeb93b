//===- InterpreterTest.cpp - inputs, dims, rounding, and sizes nobody likes -----------------===//
#include "interpreter/Interpreter.h"
#include "dialects/tenon/Tenon.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace tenon;

namespace {

//===----------------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------------===//

TEST(Array, RoundsToEveryFormat) {
  EXPECT_EQ(roundTo(DType::F32, 1 + 0x1p-24), 1) << "a tie goes to the even neighbour";
  EXPECT_EQ(roundTo(DType::F32, 1 + 0x1.8p-24), 1 + 0x1p-23);
  EXPECT_EQ(roundTo(DType::F16, 2049), 2048);
  EXPECT_EQ(roundTo(DType::F16, 2051), 2052);
  EXPECT_EQ(roundTo(DType::F16, 65519), 65504);
  EXPECT_EQ(roundTo(DType::F16, 65520), HUGE_VAL);
  EXPECT_EQ(roundTo(DType::F16, 0x1p-25), 0) << "half the least subnormal is a tie";
  EXPECT_EQ(roundTo(DType::F16, 0x1.8p-25), 0x1p-24);
  EXPECT_EQ(roundTo(DType::BF16, 257), 256);
  EXPECT_EQ(roundTo(DType::BF16, -0x1.ffp127), -HUGE_VAL);
  EXPECT_TRUE(std::isnan(roundTo(DType::F16, NAN)));
}

TEST(Array, IntegersWrapAndSaturate) {
  EXPECT_EQ(wrapTo(DType::I8, 200), -56);
  EXPECT_EQ(wrapTo(DType::U8, -1), 255);
  EXPECT_EQ(wrapTo(DType::Bool, 3), 1);
  EXPECT_EQ(integerOf(DType::I8, 1e9), 127);
  EXPECT_EQ(integerOf(DType::I8, -2.9), -2);
  EXPECT_EQ(integerOf(DType::I64, HUGE_VAL), INT64_MAX);
  EXPECT_EQ(integerOf(DType::I64, -HUGE_VAL), INT64_MIN);
  EXPECT_EQ(integerOf(DType::U64, 1e30), -1) << "the greatest unsigned value";
  EXPECT_EQ(integerOf(DType::I32, NAN), 0);
}

TEST(Array, BytesAndBack) {
  for (DType type : {DType::F64, DType::F32, DType::F16, DType::BF16}) {
    Array array = Array::zeros(type, {2, 3});
    array.floats = {0.0, -1.5, 0x1p-14, HUGE_VAL, 240, -0.0};
    Array back = Array::fromBytes(type, {2, 3}, array.toBytes());
    EXPECT_EQ(back.floats, array.floats) << toString(type);
    EXPECT_TRUE(std::signbit(back.floats[5]));
  }
  for (DType type : {DType::I8, DType::I16, DType::I32, DType::I64}) {
    Array array = Array::zeros(type, {3});
    array.integers = {-128, 0, 127};
    EXPECT_EQ(Array::fromBytes(type, {3}, array.toBytes()).integers, array.integers) << toString(type);
  }
}

TEST(Array, Text) {
  Array array = Array::zeros(DType::F32, {2, 2});
  array.floats = {1, 0.5, NAN, -HUGE_VAL};
  EXPECT_EQ(toString(array), "[[1, 0.5], [nan, -inf]]");
  EXPECT_EQ(toString(Array::zeros(DType::I64, {2, 0})), "[[], []]");
}

//===----------------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------------===//

Array randomArray(DType type, std::vector<int64_t> shape, uint64_t seed) {
  Array array = Array::zeros(type, std::move(shape));
  std::mt19937_64 random(seed);
  for (double &value : array.floats)
    value = roundTo(type, double(int64_t(random() % 2001) - 1000) / 700);
  return array;
}

class InterpreterTest : public ::testing::Test {
protected:
  InterpreterTest() : context(registry(), MLIRContext::Threading::DISABLED) {}

  static DialectRegistry registry() {
    DialectRegistry registry;
    registry.insert<TenonDialect, func::FuncDialect>();
    return registry;
  }

  std::vector<Array> run(const std::string &text, ArrayRef<Array> inputs, Arithmetic arithmetic = Arithmetic::Float64) {
    auto outputs = tryRun(text, inputs, {}, arithmetic);
    if (outputs)
      return *outputs;
    ADD_FAILURE() << llvm::toString(outputs.takeError());
    return {};
  }

  std::string errorOf(const std::string &text, ArrayRef<Array> inputs, DimValues dims = {}) {
    auto outputs = tryRun(text, inputs, std::move(dims));
    return outputs ? "no error" : llvm::toString(outputs.takeError());
  }

  llvm::Expected<std::vector<Array>> tryRun(const std::string &text, ArrayRef<Array> inputs, DimValues dims = {},
                                            Arithmetic arithmetic = Arithmetic::Float64) {
    module = parseSourceString<ModuleOp>(text, &context);
    if (!module)
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "does not parse");
    return Interpreter(*module, store, arithmetic).run("main", inputs, std::move(dims));
  }

  MLIRContext context;
  WeightStore store;
  OwningOpRef<ModuleOp> module;
};

const char *const identity = R"(
  tenon.symbol @B in [1, 4]
  tenon.symbol @S in [1, 16]
  func.func @main(%x: tensor<?x?xf32, #tenon.dims<[B, S]>>, %y: tensor<?xi64, #tenon.dims<[2 * S + 1]>>)
      -> tensor<?x?xf32, #tenon.dims<[B, S]>> {
    return %x : tensor<?x?xf32, #tenon.dims<[B, S]>>
  })";

TEST_F(InterpreterTest, BindsSymbolsFromShapes) {
  auto outputs = run(identity, {Array::zeros(DType::F32, {2, 3}), Array::zeros(DType::I64, {7})});
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(outputs[0].shape, (std::vector<int64_t>{2, 3}));
}

TEST_F(InterpreterTest, RefusesWrongInputs) {
  Array x = Array::zeros(DType::F32, {2, 3}), y = Array::zeros(DType::I64, {7});
  EXPECT_EQ(errorOf(identity, {x}), "-:4:3: func.func: wanted 2 inputs, found 1");
  EXPECT_EQ(errorOf(identity, {x, x}), "-:4:3: func.func: input 1: wanted i64 of [2 * S + 1], found f32 of [2, 3]");
  EXPECT_EQ(errorOf(identity, {Array::zeros(DType::F32, {6}), y}),
            "-:4:3: func.func: input 0: wanted f32 of [B, S], found f32 of [6]");
  EXPECT_EQ(errorOf(identity, {x, Array::zeros(DType::I64, {8})}),
            "-:4:3: func.func: input 1, dimension 0: wanted 2 * S + 1 = 7, found 8");
  EXPECT_EQ(errorOf(identity, {Array::zeros(DType::F32, {9, 3}), y}),
            "-:2:3: tenon.symbol: B is 9, wanted a value in [1, 4]");
}

TEST_F(InterpreterTest, SymbolsMayBeGivenButNotContradicted) {
  const char *flat =
      R"(func.func @main(%x: tensor<?xf32, #tenon.dims<[B * S]>>) -> tensor<?xf32, #tenon.dims<[B * S]>> {
    return %x : tensor<?xf32, #tenon.dims<[B * S]>>
  })";
  Array x = Array::zeros(DType::F32, {6});
  EXPECT_EQ(errorOf(flat, {x}),
            "-:1:1: func.func: input 0, dimension 0: no input determines the symbols of B * S, found size 6");
  EXPECT_EQ(errorOf(flat, {x}, {{"B", 2}}), "no error") << "S follows from B";
  EXPECT_EQ(errorOf(flat, {x}, {{"B", 4}}),
            "-:1:1: func.func: input 0, dimension 0: no input determines the symbols of B * S, found size 6");
  EXPECT_EQ(errorOf(flat, {x}, {{"B", 2}, {"S", 2}}),
            "-:1:1: func.func: input 0, dimension 0: wanted B * S = 4, found 6");
}

TEST_F(InterpreterTest, NamesTheFunctionThatIsMissing) {
  EXPECT_EQ(errorOf("module {}", {}), "the module has no function @main with a body");
}

TEST_F(InterpreterTest, ObserverSeesEveryValueOfTheEntry) {
  module = parseSourceString<ModuleOp>(R"(func.func @main(%x: tensor<2x3xf32>) -> tensor<2xf32> {
    %p = tenon.softmax %x over 1 : tensor<2x3xf32>
    %s = tenon.reduce sum %p over [1] : tensor<2x3xf32> -> tensor<2xf32>
    return %s : tensor<2xf32>
  })",
                                       &context);
  Interpreter interpreter(*module, store);
  std::vector<std::string> seen;
  interpreter.observe([&](Value value, const Array &array) { seen.push_back(toString(array.shape)); });
  llvm::cantFail(interpreter.run("main", {Array::zeros(DType::F32, {2, 3})}));
  EXPECT_EQ(seen, (std::vector<std::string>{"[2, 3]", "[2, 3]", "[2]"}));
}

// The verifier refuses a divisor it cannot prove positive; the interpreter does not rely on it.
TEST_F(InterpreterTest, DivisionByZeroIsAnErrorThatNamesTheOperation) {
  module = parseSourceString<ModuleOp>(R"(func.func @main() -> tensor<2xindex> {
    %r = tenon.map at %i : () -> tensor<2xindex> {
      %q = arith.divsi %i, %i : index
      tenon.yield %q : index
    }
    return %r : tensor<2xindex>
  })",
                                       ParserConfig(&context, /*verifyAfterParse=*/false));
  auto outputs = Interpreter(*module, store).run("main", {});
  ASSERT_FALSE(outputs);
  EXPECT_EQ(llvm::toString(outputs.takeError()),
            "-:3:12: arith.divsi: division of an integer by zero, or of the least integer by -1 (in tenon.map)");
}

//===----------------------------------------------------------------------------===//
// Contractions against four nested loops
//===----------------------------------------------------------------------------===//

std::vector<double> product(const Array &a, const Array &b, int64_t batch, int64_t m, int64_t n, int64_t k,
                            bool plain) {
  std::vector<double> result;
  for (int64_t at = 0; at < batch; ++at)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        float plainSum = 0;
        for (int64_t l = 0; l < k; ++l) {
          double x = a.floats[(at * m + i) * k + l], y = b.floats[(l * batch + at) * n + j];
          sum += x * y;
          float rounded = float(x) * float(y);
          plainSum = plainSum + rounded;
        }
        result.push_back(plain ? plainSum : sum);
      }
  return result;
}

TEST_F(InterpreterTest, ContractionsOfOddSizes) {
  for (int64_t m : {1, 3, 65})
    for (int64_t n : {1, 7, 63, 129})
      for (int64_t k : {1, 2, 17, 127}) {
        int64_t batch = m == 3 ? 3 : 1;
        Array a = randomArray(DType::F32, {batch, m, k}, m), b = randomArray(DType::F32, {k, batch, n}, n);
        std::string text =
            llvm::formatv(
                R"(func.func @main(%a: tensor<{0}x{1}x{3}xf32>, %b: tensor<{3}x{0}x{2}xf32>) -> tensor<{0}x{1}x{2}xf32> {{
          %r = tenon.contract "b m k, k b n -> b m n" %a, %b : (tensor<{0}x{1}x{3}xf32>, tensor<{3}x{0}x{2}xf32>) -> tensor<{0}x{1}x{2}xf32>
          return %r : tensor<{0}x{1}x{2}xf32>
        })",
                batch, m, n, k)
                .str();
        EXPECT_EQ(run(text, {a, b})[0].floats, product(a, b, batch, m, n, k, false));
        EXPECT_EQ(run(text, {a, b}, Arithmetic::Plain)[0].floats, product(a, b, batch, m, n, k, true));
      }
}

//===----------------------------------------------------------------------------===//
// Attention against its parts
//===----------------------------------------------------------------------------===//

TEST_F(InterpreterTest, AttentionIsProductSoftmaxProduct) {
  for (int64_t batch : {1, 2})
    for (int64_t queries : {1, 3, 17})
      for (int64_t keys : {1, 2, 33}) {
        Array q = randomArray(DType::F32, {batch, queries, 4, 5}, queries),
              k = randomArray(DType::F32, {batch, 2, keys, 5}, keys),
              v = randomArray(DType::F32, {batch, 2, keys, 3}, 9);
        // In the parts the four query heads are two groups (g) of two (r).
        std::string text = llvm::formatv(R"(
          func.func @main(%q: tensor<{0}x{1}x4x5xf32>, %k: tensor<{0}x2x{2}x5xf32>, %v: tensor<{0}x2x{2}x3xf32>)
              -> (tensor<{0}x{1}x4x3xf32>, tensor<{0}x{1}x2x2x3xf32>) {{
            %o = tenon.attention %q, (%k), (%v) normalise softmax empty nan layout ["b n h d", "b h n d", "b h n d", "b n h d"]
               : (tensor<{0}x{1}x4x5xf32>, tensor<{0}x2x{2}x5xf32>, tensor<{0}x2x{2}x3xf32>) -> tensor<{0}x{1}x4x3xf32>
            %g = tenon.reshape %q : tensor<{0}x{1}x4x5xf32> -> tensor<{0}x{1}x2x2x5xf32>
            %s = tenon.contract "b i g r d, b g j d -> b i g r j" %g, %k
               : (tensor<{0}x{1}x2x2x5xf32>, tensor<{0}x2x{2}x5xf32>) -> tensor<{0}x{1}x2x2x{2}xf32>
            %p = tenon.softmax %s over 4 : tensor<{0}x{1}x2x2x{2}xf32>
            %w = tenon.contract "b i g r j, b g j d -> b i g r d" %p, %v
               : (tensor<{0}x{1}x2x2x{2}xf32>, tensor<{0}x2x{2}x3xf32>) -> tensor<{0}x{1}x2x2x3xf32>
            return %o, %w : tensor<{0}x{1}x4x3xf32>, tensor<{0}x{1}x2x2x3xf32>
          })",
                                         batch, queries, keys)
                               .str();
        auto outputs = run(text, {q, k, v});
        ASSERT_EQ(outputs.size(), 2u);
        EXPECT_EQ(outputs[0].floats, outputs[1].floats);
        outputs = run(text, {q, k, v}, Arithmetic::Plain);
        EXPECT_EQ(outputs[0].floats, outputs[1].floats) << "the order of plain sums is the same";
      }
}

TEST_F(InterpreterTest, NaNAndInfinityPassThroughAttention) {
  Array q = Array::zeros(DType::F32, {2, 1}), k = Array::zeros(DType::F32, {2, 1}),
        v = Array::zeros(DType::F32, {2, 1});
  q.floats = {1, NAN};
  v.floats = {1, HUGE_VAL};
  auto outputs =
      run(R"(func.func @main(%q: tensor<2x1xf32>, %k: tensor<2x1xf32>, %v: tensor<2x1xf32>) -> tensor<2x1xf32> {
    %o = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"]
       : (tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x1xf32>) -> tensor<2x1xf32>
    return %o : tensor<2x1xf32>
  })",
          {q, k, v});
  EXPECT_EQ(outputs[0].floats[0], HUGE_VAL);
  EXPECT_TRUE(std::isnan(outputs[0].floats[1]));
}

} // namespace
