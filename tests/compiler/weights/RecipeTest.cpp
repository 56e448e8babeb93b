//===- RecipeTest.cpp - recipes against the interpreter, bit for bit -----------------------===//
#include "compiler/weights/Recipe.h"
#include "compiler/weights/Elements.h"
#include "interpreter/Interpreter.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FormatVariadic.h"

#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace tenon;

namespace {

class RecipeTest : public ::testing::Test {
protected:
  RecipeTest() : context(registry(), MLIRContext::Threading::DISABLED) {
    // Floats at odd addresses, as they may stand in a mapped file.
    auto file = std::make_shared<std::vector<uint8_t>>((1 << 20) + 1);
    std::mt19937 random(7);
    for (size_t n = 1; n < file->size(); n += 4) {
      float value = float(int(random() % 2001) - 1000) / 512;
      std::memcpy(file->data() + n, &value, 4);
    }
    store.add("f", file->data() + 1, file->size() - 1, file);
  }

  static DialectRegistry registry() {
    DialectRegistry registry;
    registry.insert<TenonDialect, func::FuncDialect>();
    return registry;
  }

  void parse(const std::string &text) {
    module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module);
  }

  WeightOp weight(StringRef name) { return module->lookupSymbol<WeightOp>(name); }

  std::vector<uint8_t> filled(WeightOp op) {
    auto type = cast<RankedTensorType>(op.getType());
    std::vector<uint8_t> bytes(type.getNumElements() * std::max(1u, type.getElementTypeBitWidth() / 8), 0xee);
    EXPECT_EQ(WeightRecipe(op, store).fill(bytes), "");
    return bytes;
  }

  std::vector<uint8_t> interpreted(WeightOp op) {
    OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
    auto function = func::FuncOp::create(builder, op.getLoc(), "read", builder.getFunctionType({}, {op.getType()}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    Value value = GetOp::create(builder, op.getLoc(), op.getType(), op.getSymName());
    func::ReturnOp::create(builder, op.getLoc(), value);
    auto outputs = Interpreter(*module, store, Arithmetic::Plain).run("read", {});
    function.erase();
    if (!outputs) {
      ADD_FAILURE() << llvm::toString(outputs.takeError());
      return {};
    }
    std::vector<std::byte> bytes = outputs->front().toBytes();
    return {reinterpret_cast<uint8_t *>(bytes.data()), reinterpret_cast<uint8_t *>(bytes.data()) + bytes.size()};
  }

  /// Every weight of the module comes out as the interpreter has it.
  void expectAsInterpreted(const std::string &text) {
    parse(text);
    if (!module)
      return;
    for (WeightOp op : llvm::to_vector(module->getOps<WeightOp>()))
      EXPECT_EQ(filled(op), interpreted(op)) << "weight @" << op.getSymName().str() << " of\n" << text;
  }

  std::string errorOf(const std::string &text, StringRef name) {
    parse(text);
    std::vector<uint8_t> bytes(64);
    return module ? WeightRecipe(weight(name), store).fill(bytes) : "";
  }

  MLIRContext context;
  WeightStore store;
  OwningOpRef<ModuleOp> module;
};

TEST_F(RecipeTest, MovesOfOddMatrices) {
  for (int64_t rows : {1, 2, 3, 17, 65})
    for (int64_t columns : {1, 7, 16, 31, 129})
      expectAsInterpreted(llvm::formatv(R"(
        tenon.weight @a : tensor<{0}x{1}xf32> = #tenon.source<"f", 4>
        tenon.weight @t : tensor<{1}x{0}xf32> = #tenon.recipe<transpose [@a] {{permutation = array<i64: 1, 0>}>
        tenon.weight @p : tensor<{2}x{0}x16xf32> = #tenon.recipe<panels [@a] {{width = 16}>
        tenon.weight @tp : tensor<{3}x{1}x16xf32> = #tenon.recipe<panels [@t] {{width = 16}>
        tenon.weight @pt : tensor<{0}x{2}x16xf32> = #tenon.recipe<transpose [@p] {{permutation = array<i64: 1, 0, 2>}>
        tenon.weight @flat : tensor<{4}xf32> = #tenon.recipe<reshape [@t]>
      )",
                                        rows, columns, (columns + 15) / 16, (rows + 15) / 16, rows * columns)
                              .str());
}

// The merged projection: three weights of [N, C], transposed, joined and packed, at
// widths where a joint lies within a panel.
TEST_F(RecipeTest, TransposeConcatPanels) {
  for (int64_t size : {1, 8, 16, 21})
    expectAsInterpreted(llvm::formatv(R"(
      tenon.weight @q : tensor<{0}x5xf32> = #tenon.source<"f", 0>
      tenon.weight @k : tensor<{0}x5xf32> = #tenon.source<"f", 4000>
      tenon.weight @v : tensor<{0}x5xf32> = #tenon.source<"f", 8000>
      tenon.weight @all : tensor<{1}x5xf32> = #tenon.recipe<concat [@q, @k, @v] {{axis = 0}>
      tenon.weight @t : tensor<5x{1}xf32> = #tenon.recipe<transpose [@all] {{permutation = array<i64: 1, 0>}>
      tenon.weight @p : tensor<{2}x5x16xf32> = #tenon.recipe<panels [@t] {{width = 16}>
      tenon.weight @part : tensor<5x{0}xf32> = #tenon.recipe<slice [@t] {{axis = 1, begin = {3}}>
    )",
                                      size, 3 * size, (3 * size + 15) / 16, size - size / 2)
                            .str());
}

TEST_F(RecipeTest, HigherRanks) {
  expectAsInterpreted(R"(
    tenon.weight @a : tensor<3x4x5x2xi16> = #tenon.source<"f", 16>
    tenon.weight @t : tensor<5x3x2x4xi16> = #tenon.recipe<transpose [@a] {permutation = array<i64: 2, 0, 3, 1>}>
    tenon.weight @s : tensor<2x3x2x4xi16> = #tenon.recipe<slice [@t] {axis = 0, begin = 3}>
    tenon.weight @c : tensor<7x3x2x4xi16> = #tenon.recipe<concat [@s, @t] {axis = 0}>
    tenon.weight @r : tensor<21x8xi16> = #tenon.recipe<reshape [@c]>
    tenon.weight @bytes : tensor<4x3x1xi8> = #tenon.source<"f", 1>
    tenon.weight @moved : tensor<1x4x3xi8> = #tenon.recipe<transpose [@bytes] {permutation = array<i64: 2, 0, 1>}>
    tenon.weight @scalar : tensor<f64> = #tenon.source<"f", 9>
    tenon.weight @empty : tensor<0x3xf32> = #tenon.source<"f", 0>
    tenon.weight @emptyToo : tensor<3x0xf32> = #tenon.recipe<transpose [@empty] {permutation = array<i64: 1, 0>}>
  )");
}

TEST_F(RecipeTest, ArithmeticRoundsOnceToTheDeclaredType) {
  for (const char *type : {"f64", "f32", "f16", "bf16"})
    expectAsInterpreted(llvm::formatv(R"(
      tenon.weight @a : tensor<37x19x{0}> = #tenon.random<3, 2.5>
      tenon.weight @row : tensor<19x{0}> = #tenon.random<4, 0.3>
      tenon.weight @column : tensor<37x1x{0}> = #tenon.random<5, 1.0e-6>
      tenon.weight @scaled : tensor<37x19x{0}> = #tenon.recipe<scale [@a] {{factor = 0.125325}>
      tenon.weight @sum : tensor<37x19x{0}> = #tenon.recipe<add [@a, @row]>
      tenon.weight @product : tensor<37x19x{0}> = #tenon.recipe<multiply [@column, @sum]>
      tenon.weight @outer : tensor<37x19x{0}> = #tenon.recipe<multiply [@column, @row]>
      tenon.weight @across : tensor<19x37x{0}> = #tenon.recipe<transpose [@a] {{permutation = array<i64: 1, 0>}>
      tenon.weight @matrix : tensor<37x37x{0}> = #tenon.recipe<product [@sum, @across]>
      tenon.weight @narrow : tensor<19x1x{0}> = #tenon.recipe<product [@across, @column]>
      tenon.weight @half : tensor<37x19xf16> = #tenon.recipe<cast [@product]>
      tenon.weight @brain : tensor<37x19xbf16> = #tenon.recipe<cast [@product]>
      tenon.weight @integer : tensor<37x19xi8> = #tenon.recipe<cast [@a]>
      tenon.weight @packed : tensor<2x37x16x{0}> = #tenon.recipe<panels [@product] {{width = 16}>
    )",
                                      type)
                            .str());
}

TEST_F(RecipeTest, DenseAndIntegers) {
  expectAsInterpreted(R"(
    tenon.weight @flags : tensor<2x3xi1> = dense<[[true, false, true], [false, false, true]]> : tensor<2x3xi1>
    tenon.weight @allTrue : tensor<5xi1> = dense<true> : tensor<5xi1>
    tenon.weight @turned : tensor<3x2xi1> = #tenon.recipe<transpose [@flags] {permutation = array<i64: 1, 0>}>
    tenon.weight @asFloats : tensor<3x2xf32> = #tenon.recipe<cast [@turned]>
    tenon.weight @splat : tensor<700x3xf32> = dense<1.5> : tensor<700x3xf32>
    tenon.weight @reshaped : tensor<2100xf32> = #tenon.recipe<reshape [@splat]>
    tenon.weight @two : tensor<700x6xf32> = #tenon.recipe<concat [@splat, @splat] {axis = 1}>
    tenon.weight @i : tensor<3xi32> = dense<[2000000000, -7, 3]> : tensor<3xi32>
    tenon.weight @doubled : tensor<3xi32> = #tenon.recipe<add [@i, @i]>
    tenon.weight @square : tensor<3xi32> = #tenon.recipe<multiply [@i, @i]>
    tenon.weight @narrow : tensor<3xi8> = #tenon.recipe<cast [@i]>
    tenon.weight @specials : tensor<5xf32> = dense<[0x7fc00000, 0x7f800000, 0xff800000, 300.0, -1.0e9]> : tensor<5xf32>
    tenon.weight @clamped : tensor<5xi8> = #tenon.recipe<cast [@specials]>
    tenon.weight @halves : tensor<5xf16> = #tenon.recipe<cast [@specials]>
  )");
}

TEST_F(RecipeTest, EqualBytesHaveEqualKeys) {
  parse(R"(
    tenon.weight @a : tensor<4x6xf32> = #tenon.source<"f", 64>
    tenon.weight @b : tensor<4x6xf32> = #tenon.source<"f", 64>
    tenon.weight @other : tensor<4x6xf32> = #tenon.source<"f", 68>
    tenon.weight @flat : tensor<24xf32> = #tenon.recipe<reshape [@b]>
    tenon.weight @ta : tensor<6x4xf32> = #tenon.recipe<transpose [@a] {permutation = array<i64: 1, 0>}>
    tenon.weight @tb : tensor<6x4xf32> = #tenon.recipe<transpose [@b] {permutation = array<i64: 1, 0>}>
    tenon.weight @tother : tensor<6x4xf32> = #tenon.recipe<transpose [@other] {permutation = array<i64: 1, 0>}>
    tenon.weight @wide : tensor<6x4xf32> = #tenon.source<"f", 64>
    tenon.weight @twide : tensor<4x6xf32> = #tenon.recipe<transpose [@wide] {permutation = array<i64: 1, 0>}>
    tenon.weight @r : tensor<4x6xf32> = #tenon.random<1, 1.0>
    tenon.weight @rhalf : tensor<4x6xf16> = #tenon.random<1, 1.0>
  )");
  auto key = [&](StringRef name) { return WeightRecipe(weight(name), store).key(); };
  EXPECT_EQ(key("a"), key("b"));
  EXPECT_EQ(key("a"), key("flat"));
  EXPECT_EQ(key("ta"), key("tb"));
  EXPECT_NE(key("a"), key("other"));
  EXPECT_NE(key("ta"), key("tother"));
  EXPECT_NE(key("ta"), key("a"));
  EXPECT_NE(key("ta"), key("twide")) << "the same source seen as [6, 4] gives other bytes";
  EXPECT_NE(key("r"), key("rhalf"));
}

TEST_F(RecipeTest, ErrorsNameTheWeightTheWantedAndTheFound) {
  EXPECT_EQ(errorOf("tenon.weight @w : tensor<2xf32> = #tenon.source<\"none\", 0>", "w"),
            "-:1:1: @w: no file named \"none\" is mapped");
  EXPECT_EQ(errorOf("tenon.weight @w : tensor<2xf32> = #tenon.source<\"f\", 1048572>", "w"),
            "-:1:1: @w: wanted bytes 1048572 to 1048572 + 8 of \"f\", found a file of 1048576");
  EXPECT_EQ(errorOf("tenon.weight @m : tensor<2xf32> = #tenon.source<\"none\", 0>\n"
                    "tenon.weight @w : tensor<2x1xf32> = #tenon.recipe<reshape [@m]>", "w"),
            "-:1:1: @m: no file named \"none\" is mapped");
}

// Every bit pattern survives decoding and encoding, and the values between two neighbours go to
// the nearer one, ties to the even one.
template <typename Float> void expectRoundTrip() {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    double value = Float::decode(uint16_t(bits));
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(Float::decode(Float::encode(value))));
    else
      ASSERT_EQ(Float::encode(value), bits);
  }
  for (uint32_t bits = 0; bits + 1 < Float::infinity; ++bits) {
    double low = Float::decode(uint16_t(bits)), high = Float::decode(uint16_t(bits + 1)), middle = (low + high) / 2;
    ASSERT_EQ(Float::encode(middle), bits % 2 ? bits + 1 : bits);
    ASSERT_EQ(Float::encode(std::nextafter(middle, low)), bits);
    ASSERT_EQ(Float::encode(std::nextafter(middle, high)), bits + 1);
  }
}

TEST(SmallFloat, HalfRoundsToNearestEven) { expectRoundTrip<Half>(); }
TEST(SmallFloat, BFloatRoundsToNearestEven) { expectRoundTrip<BFloat>(); }

} // namespace
