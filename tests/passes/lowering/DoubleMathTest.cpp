// Every function of VectorMath.h that is made in f64 keeps its contract, against the C library's long double, whose
// 64 bits are 2^-11 of an f64 ulp: arguments of every exponent, of moderate size, and the special values.

#include "ElementwiseKernel.h"
#include "UlpSweep.h"

#include <functional>
#include <iostream>
#include <limits>
#include <random>

#include "compiler/codegen/Codegen.h"
#include "compiler/levels/Level.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/MLIRContext.h"
#include "passes/lowering/VectorMath.h"
#include "tests/compiler/codegen/LoadedImage.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace tenon;

namespace {

static_assert(std::numeric_limits<long double>::digits >= 64, "the reference must be finer than f64");

using Unary = long double (*)(long double);
using Binary = long double (*)(long double, long double);

struct DoubleContract {
  const char *name;
  Unary reference;
  double ulp; // promised
  bool odd = false;
};

const DoubleContract contracts[] = {
    {"Exp", std::exp, 2},          {"Exp2", std::exp2, 2},        {"Expm1", std::expm1, 2, true},
    {"Tanh", std::tanh, 3, true},  {"Erf", std::erf, 2, true},    {"Erfc", std::erfc, 4},
    {"Log", std::log, 2},          {"Log2", std::log2, 2},        {"Log10", std::log10, 2},
    {"Log1p", std::log1p, 2, true}, {"Sin", std::sin, 2, true},    {"Cos", std::cos, 2},
    {"Tan", std::tan, 4, true},    {"Asin", std::asin, 3, true},  {"Acos", std::acos, 2},
    {"Atan", std::atan, 2, true},  {"Sinh", std::sinh, 3, true},  {"Cosh", std::cosh, 2},
    {"Asinh", std::asinh, 4, true}, {"Acosh", std::acosh, 4},      {"Atanh", std::atanh, 4, true},
    {"Cbrt", std::cbrt, 2, true},  {"Rsqrt", [](long double x) { return 1 / std::sqrt(x); }, 2},
};

/// In units of the last place at the exact result; 2^-1074 below the normal numbers, overflow counts as 2^1024.
double errorOf(double got, long double wanted) {
  if (std::isnan(wanted) || std::isnan(got))
    return std::isnan(wanted) && std::isnan(got) ? 0 : HUGE_VAL;
  auto clipped = [](long double x) { return std::clamp(x, -0x1p1024L, 0x1p1024L); };
  long double difference = std::fabs(clipped(got) - clipped(wanted));
  int exponent = wanted == 0 ? -1074 : std::clamp(std::ilogb(wanted) - 52, -1074, 971);
  return double(difference / std::ldexp(1.0L, exponent));
}

std::vector<double> arguments(unsigned seed) {
  std::vector<double> values = {0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, HUGE_VAL, -HUGE_VAL, NAN, 0x1p-1074,
                                -0x1p-1074, 0x1p-1022, 0x1.fffffffffffffp1023, -0x1.fffffffffffffp1023,
                                // Near multiples of pi / 2: the last is the closest any f64 comes (2^-61).
                                0x1.921fb54442d18p+0, 0x1.921fb54442d18p+1, 355.0, 0x1.6ac5b262ca1ffp+849, 27.2, 26.5,
                                709.78, -745.1};
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> moderate(-30, 30), unit(-1, 1);
  for (int i = 0; i < 400'000; ++i) {
    uint64_t bits = generator();
    double any;
    std::memcpy(&any, &bits, sizeof any);
    values.insert(values.end(), {any, moderate(generator), unit(generator)});
  }
  values.resize((values.size() + kernelLanes - 1) / kernelLanes * kernelLanes, 1.0);
  return values;
}

class DoubleMathTest : public ::testing::Test {
protected:
  DoubleMathTest() {
    DialectRegistry registry;
    registerCodegenDialects(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    OwningOpRef<ModuleOp> module = kernelsOn({8});
    FailureOr<CodeImage> code = compileKernels(*module, *hostLevel());
    if (succeeded(code))
      image = std::make_unique<LoadedImage>(code->bytes);
  }

  static bool isMade(StringRef name) { return !isActivation(name) && !name.ends_with("NonPositive"); }
  static bool isActivation(StringRef name) {
    return llvm::is_contained({"Sigmoid", "Silu", "Gelu", "GeluTanh"}, name);
  }

  OwningOpRef<ModuleOp> kernelsOn(ArrayRef<int64_t> shape) {
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
    for (const MathFunctionInfo &info : allMathFunctions())
      if (isMade(info.name))
        addElementwiseKernel(*module, info, Float64Type::get(&context), shape, info.name);
    return module;
  }

  std::vector<double> run(const char *name, std::vector<std::vector<double>> operands) {
    size_t count = operands[0].size();
    operands.emplace_back(count);
    std::vector<void *> pointers;
    for (std::vector<double> &operand : operands)
      pointers.push_back(operand.data());
    uint32_t faults = 0;
    tenon_kernel_args args = {pointers.data(), nullptr, nullptr, &faults};
    image->find<MathKernel>(name)(&args, 0, count / kernelLanes);
    return operands.back();
  }

  MLIRContext context;
  std::unique_ptr<LoadedImage> image;
};

TEST_F(DoubleMathTest, ErrorBounds) {
  ASSERT_TRUE(image && image->error().empty());
  std::vector<double> x = arguments(1);
  for (const DoubleContract &contract : contracts) {
    std::vector<double> y = run(contract.name, {x});
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < x.size(); ++i)
      if (double error = errorOf(y[i], contract.reference(x[i])); error > worst)
        worst = error, at = i;
    std::cout << "  " << contract.name << ": " << worst << " ulp (promised " << contract.ulp << ")" << std::endl;
    EXPECT_LE(worst, contract.ulp) << contract.name << "(" << std::hexfloat << x[at] << ") = " << y[at] << ", wanted "
                                   << contract.reference(x[at]) << std::defaultfloat;
    if (contract.odd)
      EXPECT_TRUE(y[1] == 0 && std::signbit(y[1])) << contract.name << "(-0) = " << y[1];
  }
}

TEST_F(DoubleMathTest, BinaryFunctions) {
  ASSERT_TRUE(image && image->error().empty());
  std::vector<double> a = arguments(2), b = arguments(3);
  std::shuffle(b.begin() + 24, b.end(), std::mt19937_64(4));
  std::rotate(b.begin(), b.begin() + 5, b.begin() + 24); // special values meet others
  const std::tuple<const char *, Binary, double> functions[] = {{"Atan2", std::atan2, 2}, {"Pow", std::pow, 2}};
  for (auto [name, reference, promised] : functions) {
    std::vector<double> y = run(name, {a, b});
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      long double wanted = reference(a[i], b[i]);
      if (double error = errorOf(y[i], wanted); error > worst)
        worst = error, at = i;
      if (!std::isnan(wanted))
        EXPECT_EQ(std::signbit(y[i]), std::signbit(wanted)) << name << "(" << a[i] << ", " << b[i] << ")";
    }
    std::cout << "  " << name << ": " << worst << " ulp" << std::endl;
    EXPECT_LE(worst, promised) << name << "(" << a[at] << ", " << b[at] << ") = " << y[at];
  }
}

// compileKernels refuses code that would import anything.
TEST_F(DoubleMathTest, NoCallsWhateverTheVectors) {
  for (const char *name : {"x86-64-v3", "x86-64-v4", "aarch64"})
    for (SmallVector<int64_t> shape : {SmallVector<int64_t>{}, SmallVector<int64_t>{findLevel(name)->lanes() / 2}})
      EXPECT_TRUE(succeeded(compileKernels(*kernelsOn(shape), *findLevel(name)))) << name;
}

// Activations are raised in f32 only: in f64 they stay the formulas they are written as.
TEST_F(DoubleMathTest, ActivationsAreNotMade) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  Value wide = arith::ConstantOp::create(builder, builder.getUnknownLoc(), builder.getF64FloatAttr(1));
  for (const MathFunctionInfo &info : allMathFunctions())
    EXPECT_EQ(bool(emitMath(builder, builder.getUnknownLoc(), info.function, SmallVector<Value>(info.arity, wide))),
              isMade(info.name))
        << info.name.str();
}

} // namespace
