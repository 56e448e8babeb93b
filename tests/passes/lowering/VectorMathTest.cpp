// Every function of VectorMath.h keeps its contract: error bound, special
// values, any shape, no call on any level.
//
// By default 4 million arguments a function, spread over all exponents;
// TENON_TEST_ALL=1 tries all 2^32 (minutes each), and TENON_MATH=Exp,Erf names some.

#include "ElementwiseKernel.h"
#include "MathContracts.h"

#include <cstdlib>
#include <iostream>
#include <limits>
#include <random>

#include "compiler/codegen/Codegen.h"
#include "compiler/levels/Level.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/MLIRContext.h"
#include "passes/lowering/KernelFunction.h"
#include "passes/lowering/VectorMath.h"
#include "tests/compiler/codegen/LoadedImage.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace tenon;

namespace {

const MathFunctionInfo &infoOf(StringRef name) {
  for (const MathFunctionInfo &info : allMathFunctions())
    if (info.name == name)
      return info;
  llvm_unreachable("no such function");
}

class VectorMathTest : public ::testing::Test {
protected:
  VectorMathTest() {
    DialectRegistry registry;
    registerCodegenDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  OwningOpRef<ModuleOp> emptyModule() { return ModuleOp::create(UnknownLoc::get(&context)); }

  std::unique_ptr<LoadedImage> load(ModuleOp module) {
    FailureOr<CodeImage> image = compileKernels(module, *hostLevel());
    if (failed(image))
      return nullptr;
    return std::make_unique<LoadedImage>(image->bytes);
  }

  /// Every function on 16 lanes of f32.
  std::unique_ptr<LoadedImage> loadAll() {
    OwningOpRef<ModuleOp> module = emptyModule();
    for (const MathFunctionInfo &info : allMathFunctions())
      addElementwiseKernel(*module, info, Float32Type::get(&context), {kernelLanes}, info.name);
    return load(*module);
  }

  MLIRContext context;
};

bool wanted(StringRef name) {
  const char *names = std::getenv("TENON_MATH");
  if (!names)
    return true;
  SmallVector<StringRef> list;
  StringRef(names).split(list, ',');
  return llvm::is_contained(list, name);
}

Sweep defaultSweep() {
  if (std::getenv("TENON_TEST_ALL"))
    return {0, uint64_t(1) << 32, 1};
  return {0, (uint64_t(1) << 32) / 1021, 1021};
}

const float specialValues[] = {0.0f,
                               -0.0f,
                               1.0f,
                               -1.0f,
                               0.5f,
                               -0.5f,
                               2.0f,
                               -2.0f,
                               3.0f,
                               -3.0f,
                               HUGE_VALF,
                               -HUGE_VALF,
                               NAN,
                               0x1p-149f,
                               -0x1p-149f,
                               0x1p-126f,
                               -0x1p-126f,
                               0x1.fffffep127f,
                               -0x1.fffffep127f,
                               88.722839f,
                               88.72284f,
                               -87.33655f,
                               -103.97208f,
                               -103.97209f,
                               128.0f,
                               -149.0f,
                               -150.0f,
                               1e5f,
                               1.5707964f};

void report(const char *name, const WorstError &worst, double promised) {
  std::cout << "  " << name << ": " << worst.ulp << " ulp at " << std::hexfloat << worst.x << std::defaultfloat
            << " (promised " << promised << ")" << std::endl;
  EXPECT_LE(worst.ulp, promised) << name << "(" << worst.x << ", " << worst.other << ") = " << worst.got << ", wanted "
                                 << worst.wanted;
}

TEST_F(VectorMathTest, ErrorBounds) {
  auto image = loadAll();
  ASSERT_TRUE(image && image->error().empty());
  for (const UnaryContract &contract : unaryContracts) {
    if (!wanted(contract.name))
      continue;
    auto *kernel = image->find<MathKernel>(contract.name);
    WorstError worst = sweepUnary(kernel, contract.reference, contract.unit, defaultSweep());
    for (float x : specialValues)
      worst.add(sweepUnary(kernel, contract.reference, contract.unit, {bitsOfFloat(x), 1, 1}));
    report(contract.name, worst, contract.ulp);
  }
}

// Results of at least 2^-126 keep the bound; smaller ones may be 0 or denormal.
TEST_F(VectorMathTest, NonPositiveExponentials) {
  auto image = loadAll();
  Sweep negative = defaultSweep();
  negative.highest = 0;
  struct {
    const char *name;
    double (*reference)(double);
    float smallest;
  } functions[] = {{"ExpNonPositive", std::exp, -87.336544f}, {"Exp2NonPositive", std::exp2, -126.0f}};
  for (auto &function : functions) {
    auto *kernel = image->find<MathKernel>(function.name);
    negative.lowest = function.smallest;
    report(function.name, sweepUnary(kernel, function.reference, UlpOf::Result, negative), 2);
    Sweep tiny = {bitsOfFloat(function.smallest), bitsOfFloat(-HUGE_VALF) - bitsOfFloat(function.smallest), 509};
    tiny.count /= tiny.step;
    auto flushes = [&](double x) { return function.reference(x) < 0x1p-126 ? 0 : function.reference(x); };
    EXPECT_LE(sweepUnary(kernel, flushes, UlpOf::Result, tiny).ulp, 0x1p23) << function.name;
    EXPECT_EQ(sweepUnary(kernel, function.reference, UlpOf::Result, {bitsOfFloat(-HUGE_VALF), 1, 1}).ulp, 0);
    EXPECT_EQ(sweepUnary(kernel, function.reference, UlpOf::Result, {bitsOfFloat(NAN), 1, 1}).ulp, 0);
  }
}

TEST_F(VectorMathTest, OddFunctionsKeepTheSignOfZero) {
  auto image = loadAll();
  for (const UnaryContract &contract : unaryContracts) {
    if (!contract.odd)
      continue;
    std::vector<float> x(kernelLanes, -0.0f), y(kernelLanes, 1.0f);
    runKernel(image->find<MathKernel>(contract.name), {x.data(), y.data()}, kernelLanes);
    EXPECT_TRUE(y[0] == 0 && std::signbit(y[0])) << contract.name << "(-0) = " << y[0];
  }
}

/// Random bit patterns; a third of the pairs are of moderate size.
void randomPairs(std::vector<float> &a, std::vector<float> &b, size_t count) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> moderate(-30, 30);
  for (size_t i = 0; i < count; ++i) {
    bool small = i % 3 == 0;
    a.push_back(small ? moderate(generator) : floatOfBits(generator()));
    b.push_back(small ? moderate(generator) : floatOfBits(generator()));
  }
  for (float x : specialValues)
    for (float y : specialValues)
      a.push_back(x), b.push_back(y);
}

TEST_F(VectorMathTest, BinaryFunctions) {
  auto image = loadAll();
  std::vector<float> a, b;
  randomPairs(a, b, std::getenv("TENON_TEST_ALL") ? 100'000'000 : 3'000'000);
  auto pow = [](double x, double y) { return std::pow(x, y); };
  auto atan2 = [](double y, double x) { return std::atan2(y, x); };
  report("Atan2", compareBinary(image->find<MathKernel>("Atan2"), atan2, a, b), 3);
  report("Pow", compareBinary(image->find<MathKernel>("Pow"), pow, a, b), 1);
  for (float &x : a)
    x = std::fabs(x);
  report("Pow", compareBinary(image->find<MathKernel>("Pow"), pow, a, b), 1);
}

// The sign of a zero result counts too.
TEST_F(VectorMathTest, BinaryFunctionsAtSpecialValues) {
  auto image = loadAll();
  std::vector<float> a, b;
  randomPairs(a, b, 0);
  size_t padded = (a.size() + kernelLanes - 1) / kernelLanes * kernelLanes;
  a.resize(padded), b.resize(padded);
  for (const char *name : {"Atan2", "Pow"}) {
    std::vector<float> y(padded);
    runKernel(image->find<MathKernel>(name), {a.data(), b.data(), y.data()}, padded);
    for (size_t i = 0; i < padded; ++i) {
      float wanted = StringRef(name) == "Pow" ? std::pow(a[i], b[i]) : std::atan2(a[i], b[i]);
      if (!std::isnan(wanted))
        EXPECT_EQ(std::signbit(y[i]), std::signbit(wanted)) << name << "(" << a[i] << ", " << b[i] << ") = " << y[i];
    }
  }
}

TEST_F(VectorMathTest, EveryShapeGivesTheSameBits) {
  const std::vector<int64_t> shapes[] = {{}, {1}, {4}, {8}, {2, 8}};
  std::vector<float> x(256), y(256);
  std::mt19937 generator(2);
  std::uniform_real_distribution<float> moderate(-4, 4);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = moderate(generator), y[i] = moderate(generator);
  auto all = loadAll();
  for (const std::vector<int64_t> &shape : shapes) {
    OwningOpRef<ModuleOp> module = emptyModule();
    for (const MathFunctionInfo &info : allMathFunctions())
      addElementwiseKernel(*module, info, Float32Type::get(&context), shape, info.name);
    auto image = load(*module);
    ASSERT_TRUE(image);
    for (const MathFunctionInfo &info : allMathFunctions()) {
      std::vector<float> wanted(x.size()), got(x.size());
      std::vector<float *> arrays = {x.data(), y.data()};
      arrays.resize(info.arity);
      arrays.push_back(wanted.data());
      runKernel(all->find<MathKernel>(info.name.data()), arrays, x.size());
      arrays.back() = got.data();
      runKernel(image->find<MathKernel>(info.name.data()), arrays, x.size());
      EXPECT_EQ(std::memcmp(wanted.data(), got.data(), got.size() * sizeof(float)), 0)
          << info.name.str() << " on rank " << shape.size();
    }
  }
}

// compileKernels refuses code that would import anything.
TEST_F(VectorMathTest, NoCallsWhateverTheVectors) {
  Type elements[] = {Float32Type::get(&context), Float16Type::get(&context), BFloat16Type::get(&context)};
  const char *levels[] = {"x86-64-v3", "x86-64-v4", "aarch64"};
  for (const char *name : levels)
    for (Type element : elements) {
      const Level &level = *findLevel(name);
      OwningOpRef<ModuleOp> module = emptyModule();
      for (const MathFunctionInfo &info : allMathFunctions()) {
        addElementwiseKernel(*module, info, element, {level.lanes()}, (info.name + "Vector").str());
        addElementwiseKernel(*module, info, element, {}, (info.name + "Scalar").str());
      }
      EXPECT_TRUE(succeeded(compileKernels(*module, level))) << level.name.str();
    }
}

TEST_F(VectorMathTest, TruncationToBFloat16Rounds) {
  OwningOpRef<ModuleOp> module = emptyModule();
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  Type f32 = builder.getF32Type(), bf16 = builder.getBF16Type();
  KernelFunction kernel = KernelFunction::create(builder, loc, *module, "truncate", {f32, bf16}, 0);
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value x = vector::LoadOp::create(builder, loc, VectorType::get(8, f32), kernel.operand(0), zero);
  vector::StoreOp::create(builder, loc, emitTruncationToBFloat16(builder, loc, x), kernel.operand(1), zero);
  auto image = load(*module);
  float from[] = {1.0f,       floatOfBits(0x3f808000), floatOfBits(0x3f818000), floatOfBits(0x3f808001),
                  -HUGE_VALF, floatOfBits(0x7f800001), 0x1.fffffep127f,         floatOfBits(0x00018001)};
  uint16_t wanted[] = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xff80, 0x7fc0, 0x7f80, 0x0002}, got[8] = {};
  void *operands[] = {from, got};
  uint32_t faults = 0;
  tenon_kernel_args args = {operands, nullptr, nullptr, &faults};
  image->find<MathKernel>("truncate")(&args, 0, 1);
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(got[i], wanted[i]) << i;
}

// What ExpandMath leaves to LLVM must not become a call either.
TEST_F(VectorMathTest, SingleInstructionsAreNoCalls) {
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  for (const char *name : {"x86-64-v3", "x86-64-v4", "aarch64"}) {
    OwningOpRef<ModuleOp> module = emptyModule();
    Type f32 = builder.getF32Type();
    KernelFunction kernel = KernelFunction::create(builder, loc, *module, "instructions", {f32}, 0);
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    for (Type type : {f32, Type(VectorType::get(findLevel(name)->lanes(), f32))}) {
      auto vector = VectorType::get(1, f32);
      Value x = vector::LoadOp::create(builder, loc, isa<VectorType>(type) ? type : vector, kernel.operand(0), zero);
      Value y = isa<VectorType>(type) ? x : Value(vector::ExtractOp::create(builder, loc, x, 0));
      for (StringRef op : {"absf", "ceil", "floor", "round", "roundeven", "sqrt", "trunc"})
        y = builder.create(loc, StringAttr::get(&context, ("math." + op).str()), y, type)->getResult(0);
      if (!isa<VectorType>(type))
        y = vector::BroadcastOp::create(builder, loc, vector, y);
      vector::StoreOp::create(builder, loc, y, kernel.operand(0), zero);
    }
    EXPECT_TRUE(succeeded(compileKernels(*module, *findLevel(name)))) << name;
  }
}

TEST_F(VectorMathTest, OtherTypesAreRefused) {
  OwningOpRef<ModuleOp> module = emptyModule();
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  Location loc = builder.getUnknownLoc();
  Value wide = arith::ConstantOp::create(builder, loc, builder.getF64FloatAttr(1));
  EXPECT_TRUE(emitMath(builder, loc, infoOf("Exp").function, wide));
  Value integer = arith::ConstantIndexOp::create(builder, loc, 1);
  EXPECT_FALSE(emitMath(builder, loc, infoOf("Exp").function, integer));
}

} // namespace
