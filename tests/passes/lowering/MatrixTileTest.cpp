// Products on the matrix unit. Machines with one are rare, so its five instructions are
// replaced by plain C++ written from Intel's description of them (Instruction Set
// Extensions Programming Reference, "TDPBF16PS"): what is tested is everything around
// them, at odd numbers of rows, panels and slabs. Their assembly is looked at instead.

#include "HostLevels.h"
#include "PlainProduct.h"
#include "tenon/kernel_abi.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/SourceMgr.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace tenon;

//===----------------------------------------------------------------------------===//
// The instructions
//===----------------------------------------------------------------------------===//

namespace {
constexpr int tileWords = 16; // of a row

float lowHalf(uint32_t word) { return std::bit_cast<float>(word << 16); }
float highHalf(uint32_t word) { return std::bit_cast<float>(word & 0xffff0000u); }
} // namespace

// Called by the code under test: names without mangling, tiles behind pointers.
extern "C" {
static void modelLoad(int16_t rows, int16_t bytes, const char *from, int64_t stride, uint32_t *tile) {
  std::memset(tile, 0, 1024);
  for (int row = 0; row < rows; ++row)
    std::memcpy(tile + row * tileWords, from + row * stride, size_t(bytes));
}
static void modelStore(int16_t rows, int16_t bytes, char *to, int64_t stride, const uint32_t *tile) {
  for (int row = 0; row < rows; ++row)
    std::memcpy(to + row * stride, tile + row * tileWords, size_t(bytes));
}
static void modelMultiplyAdd(int16_t rows, int16_t bytes, int16_t kBytes, float *c, const uint32_t *a,
                             const uint32_t *b) {
  for (int m = 0; m < rows; ++m)
    for (int k = 0; k < kBytes / 4; ++k)
      for (int n = 0; n < bytes / 4; ++n) {
        uint32_t left = a[m * tileWords + k], right = b[k * tileWords + n];
        c[m * tileWords + n] += lowHalf(left) * lowHalf(right);
        c[m * tileWords + n] += highHalf(left) * highHalf(right);
      }
}
}

namespace {
/// The functions that stand in for the intrinsics, on vectors of a tile's 1024 bytes.
constexpr const char *modelText = R"(
declare void @modelLoad(i16 signext, i16 signext, ptr, i64, ptr)
declare void @modelStore(i16 signext, i16 signext, ptr, i64, ptr)
declare void @modelMultiplyAdd(i16 signext, i16 signext, i16 signext, ptr, ptr, ptr)
define internal <256 x i32> @tilezero(i16 %m, i16 %n) {
  ret <256 x i32> zeroinitializer
}
define internal <256 x i32> @tileloadd64(i16 %m, i16 %n, ptr %p, i64 %s) {
  %t = alloca <256 x i32>
  call void @modelLoad(i16 signext %m, i16 signext %n, ptr %p, i64 %s, ptr %t)
  %v = load <256 x i32>, ptr %t
  ret <256 x i32> %v
}
define internal void @tilestored64(i16 %m, i16 %n, ptr %p, i64 %s, <256 x i32> %v) {
  %t = alloca <256 x i32>
  store <256 x i32> %v, ptr %t
  call void @modelStore(i16 signext %m, i16 signext %n, ptr %p, i64 %s, ptr %t)
  ret void
}
define internal <256 x i32> @tdpbf16ps(i16 %m, i16 %n, i16 %k, <256 x i32> %c, <256 x i32> %a, <256 x i32> %b) {
  %tc = alloca <256 x i32>
  %ta = alloca <256 x i32>
  %tb = alloca <256 x i32>
  store <256 x i32> %c, ptr %tc
  store <256 x i32> %a, ptr %ta
  store <256 x i32> %b, ptr %tb
  call void @modelMultiplyAdd(i16 signext %m, i16 signext %n, i16 signext %k, ptr %tc, ptr %ta, ptr %tb)
  %v = load <256 x i32>, ptr %tc
  ret <256 x i32> %v
}
)";

std::string replaced(std::string text, const char *pattern, const char *by) {
  llvm::Regex regex(pattern);
  std::string result;
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::SplitString(text, lines, "\n");
  for (llvm::StringRef line : lines) {
    std::string now = line.str();
    for (std::string before; before != now;)
      before = now, now = regex.sub(by, now);
    result += now + "\n";
  }
  return result;
}

/// Optimised LLVM IR of the product, its tiles made plain vectors.
std::string withModels(std::string text) {
  text = replaced(text, "^declare.*llvm\\.x86\\.t.*$", "");
  text = replaced(text, "llvm\\.x86\\.(tile[a-z0-9]+|tdpbf16ps)\\.internal", "\\1");
  text = replaced(text, "x86_amx", "<256 x i32>");
  return replaced(text, ",\\+amx-[a-z0-9]+", "") + modelText;
}

//===----------------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------------===//

using Kernel = void(const tenon_kernel_args *, uint32_t, uint32_t);

std::string productText(CodeText form, const ProductBlocking &blocking) {
  mlir::DialectRegistry registry;
  registerCodegenDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  const Level &level = *findLevel("x86-64-v4-amx");
  auto module = plainProductModule(context, level, blocking, 0, TileStep::Bf16Tile);
  auto text = printKernels(*module, level, form);
  EXPECT_TRUE(succeeded(text));
  return succeeded(text) ? *text : "";
}

class MatrixTileTest : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    blocking.kSlab = 32;
    blocking.rowBlock = 48;
    blocking.panelGroup = 3;
    auto context = std::make_unique<llvm::LLVMContext>();
    llvm::SMDiagnostic error;
    auto module = llvm::parseAssemblyString(withModels(productText(CodeText::LLVM, blocking)), error, *context);
    ASSERT_TRUE(module) << error.getMessage().str();
    jit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
    llvm::orc::SymbolMap models;
    auto add = [&](const char *name, auto *function) {
      models[jit->mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(function), llvm::JITSymbolFlags::Exported};
    };
    add("modelLoad", &modelLoad), add("modelStore", &modelStore), add("modelMultiplyAdd", &modelMultiplyAdd);
    llvm::cantFail(jit->getMainJITDylib().define(llvm::orc::absoluteSymbols(std::move(models))));
    llvm::cantFail(jit->addIRModule({std::move(module), std::move(context)}));
    auto found = jit->lookup("product");
    ASSERT_TRUE(bool(found)) << llvm::toString(found.takeError());
    kernel = found->toPtr<Kernel *>();
  }

  /// C of words A [m][k] and B [k][n].
  std::vector<float> run(std::vector<uint32_t> a, const std::vector<uint32_t> &b, int64_t m, int64_t n, int64_t k) {
    std::vector<float> words(b.size()), c(size_t(m * n + 1), -7.0f);
    std::memcpy(words.data(), b.data(), 4 * b.size());
    std::vector<float> panels = packPanels(words, k, n), scratch(size_t(packedProductScratch(blocking, k)), NAN);
    void *operands[] = {a.data(), panels.data(), c.data()};
    int64_t dims[] = {m, n, k};
    uint32_t faults = 0;
    tenon_kernel_args args = {operands, dims, scratch.data(), &faults};
    kernel(&args, 0, plainProductGrid(blocking, m, n));
    EXPECT_EQ(c.back(), -7.0f) << "wrote behind C";
    c.pop_back();
    return c;
  }

  ProductBlocking blocking;
  std::unique_ptr<llvm::orc::LLJIT> jit;
  Kernel *kernel = nullptr;
};

std::vector<uint32_t> randomPairs(int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<uint32_t> words(static_cast<size_t>(count));
  for (uint32_t &word : words)
    word =
        std::bit_cast<uint32_t>(uniform(generator)) >> 16 | (std::bit_cast<uint32_t>(uniform(generator)) & 0xffff0000u);
  return words;
}

TEST_P(MatrixTileTest, OddSizes) {
  for (int64_t m : {1, 2, 15, 16, 17, 33, 47, 65, 97})
    for (int64_t n : {1, 16, 17, 40, 130})
      for (int64_t k : {16, 32, 48, 80}) {
        std::vector<uint32_t> a = randomPairs(m * k, 1), b = randomPairs(k * n, 2);
        std::vector<float> c = run(a, b, m, n, k);
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (int64_t l = 0; l < k; ++l)
              sum += double(lowHalf(a[i * k + l])) * lowHalf(b[l * n + j]) +
                     double(highHalf(a[i * k + l])) * highHalf(b[l * n + j]);
            ASSERT_NEAR(c[i * n + j], sum, 1e-5 * std::sqrt(double(k)))
                << m << " x " << k << " x " << n << " at " << i << ", " << j;
          }
      }
}

TEST_P(MatrixTileTest, NothingToDo) {
  EXPECT_TRUE(run({}, randomPairs(16 * 16, 1), 0, 16, 16).empty());
  EXPECT_TRUE(run(randomPairs(3 * 16, 1), {}, 3, 0, 16).empty());
}

INSTANTIATE_TEST_SUITE_P(Models, MatrixTileTest, ::testing::ValuesIn(levelsOfThisMachine({"x86-64-v4-bf16"})),
                         [](const auto &) { return "of_instructions"; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MatrixTileTest);

//===----------------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------------===//

TEST(MatrixTileAssembly, TilesStayInRegisters) {
  std::string text = productText(CodeText::Assembly, ProductBlocking());
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::SplitString(text, lines, "\n");
  unsigned products = 0, most = 0, configurations = 0;
  std::vector<std::string> spills;
  for (llvm::StringRef line : lines) {
    products = line.ends_with(":") ? 0 : products + line.contains("tdpbf16ps");
    most = std::max(most, products);
    configurations += line.contains("ldtilecfg");
    if (llvm::Regex("tile(loadd|stored).*\\(%r[sb]p").match(line))
      spills.push_back(line.str());
  }
  EXPECT_EQ(most, 4u) << "products of a block's step";
  EXPECT_EQ(configurations, 1u);
  EXPECT_THAT(spills, ::testing::IsEmpty());
}

} // namespace
