// Kernels compiled in process run, keep the image's rules, and come out as the
// same bytes every time.

#include "LoadedImage.h"
#include "compiler/codegen/Codegen.h"
#include "compiler/codegen/ImageLinker.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "passes/lowering/KernelFunction.h"
#include "tenon/kernel_abi.h"
#include "llvm/Support/FormatVariadic.h"

#include <thread>

#include "gtest/gtest.h"

using namespace mlir;
using namespace tenon;

namespace {

using Kernel = void(const tenon_kernel_args *, uint32_t, uint32_t);

/// A context with every dialect that code generation reads.
struct CodegenContext : MLIRContext {
  CodegenContext() {
    DialectRegistry registry;
    registerCodegenDialects(registry);
    appendDialectRegistry(registry);
    loadAllAvailableDialects();
  }
};

class CodegenTest : public ::testing::Test {
protected:
  OwningOpRef<ModuleOp> scaleModule() { return scaleModule(context); }

  /// operand1[t] = operand0[t] * dim0, one element a tile; raises fault 1 on the way.
  static OwningOpRef<ModuleOp> scaleModule(MLIRContext &context) {
    OpBuilder builder(&context);
    Location loc = builder.getUnknownLoc();
    OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
    Type f32 = builder.getF32Type();
    KernelFunction kernel = KernelFunction::create(builder, loc, *module, "scale", {f32, f32}, 1);
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    Value dim = arith::IndexCastOp::create(builder, loc, builder.getI32Type(), kernel.dim(0));
    Value factor = arith::SIToFPOp::create(builder, loc, f32, dim);
    scf::ForOp::create(builder, loc, kernel.firstTile(), kernel.lastTile(), one, ValueRange(),
                       [&](OpBuilder &inner, Location, Value i, ValueRange) {
                         Value x = memref::LoadOp::create(inner, loc, kernel.operand(0), i);
                         Value y = arith::MulFOp::create(inner, loc, x, factor);
                         memref::StoreOp::create(inner, loc, y, kernel.operand(1), i);
                         scf::YieldOp::create(inner, loc);
                       });
    kernel.raiseFaults(builder, loc, arith::ConstantIntOp::create(builder, loc, 1, 32));
    return module;
  }

  std::string compileError(StringRef source) {
    std::string message;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { message += diagnostic.str() + "\n"; });
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(source, &context);
    if (!module)
      return "";
    EXPECT_TRUE(failed(compileKernels(*module, *findLevel("x86-64-v3"))));
    return message;
  }

  CodegenContext context;
};

TEST_F(CodegenTest, RunsOnTheHost) {
  llvm::Expected<Level> level = hostLevel();
  ASSERT_TRUE(bool(level));
  FailureOr<CodeImage> image = compileKernels(*scaleModule(), *level);
  ASSERT_TRUE(succeeded(image));
  ASSERT_EQ(image->kernels.size(), 1u);
  EXPECT_EQ(image->kernels[0].name, "scale");
  EXPECT_GT(image->kernels[0].size, 0u);
  LoadedImage loaded(image->bytes);
  auto *kernel = loaded.find<Kernel>("scale");
  ASSERT_TRUE(kernel) << loaded.error();
  float input[4] = {1, 2, 3, 4}, output[4] = {};
  void *operands[] = {input, output};
  int64_t dims[] = {10};
  uint32_t faults = 0;
  tenon_kernel_args args = {operands, dims, nullptr, &faults};
  kernel(&args, 1, 3);
  EXPECT_EQ(output[0], 0);
  EXPECT_EQ(output[1], 20);
  EXPECT_EQ(output[2], 30);
  EXPECT_EQ(output[3], 0);
  EXPECT_EQ(faults, 1u);
}

TEST_F(CodegenTest, EveryLevelLinks) {
  for (const Level &level : allLevels())
    if (!level.isDevice())
      EXPECT_TRUE(succeeded(compileKernels(*scaleModule(), level))) << level.name.str();
}

TEST_F(CodegenTest, SameBytesFromTwoThreads) {
  const Level &level = *findLevel("x86-64-v4");
  std::string bytes[2];
  std::thread threads[2];
  for (std::string &result : bytes)
    threads[&result - bytes] = std::thread([&] {
      CodegenContext own;
      result = compileKernels(*scaleModule(own), level)->bytes;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_FALSE(bytes[0].empty());
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST_F(CodegenTest, CopiesNeedNoLibrary) {
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(R"(
    func.func @copy(%args: !llvm.ptr, %first: i32, %last: i32) {
      %size = arith.constant 100000 : i64
      %from = llvm.load %args : !llvm.ptr -> !llvm.ptr
      "llvm.intr.memcpy"(%args, %from, %size) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ()
      return
    })",
                                                             &context);
  EXPECT_TRUE(succeeded(compileKernels(*module, *findLevel("x86-64-v3"))));
}

TEST_F(CodegenTest, ImportsAreErrors) {
  std::string error = compileError(R"(
    func.func private @expf(f32) -> f32
    func.func @k(%args: !llvm.ptr, %first: i32, %last: i32) {
      %x = llvm.load %args : !llvm.ptr -> f32
      %y = func.call @expf(%x) : (f32) -> f32
      llvm.store %y, %args : f32, !llvm.ptr
      return
    })");
  EXPECT_NE(error.find("expf"), std::string::npos) << error;
}

TEST_F(CodegenTest, LeftoversAreErrors) {
  std::string error = compileError(R"(
    func.func @k(%args: !llvm.ptr, %first: i32, %last: i32) {
      %i = arith.constant 1 : index
      %x = llvm.load %args : !llvm.ptr -> f32
      %y = builtin.unrealized_conversion_cast %x : f32 to memref<4xf32>
      %z = memref.load %y[%i] : memref<4xf32>
      llvm.store %z, %args : f32, !llvm.ptr
      return
    })");
  EXPECT_FALSE(error.empty());
}

/// A choice by one comparison is made under its predicate. What is joined, and vectors that fill no register, are
/// words as before, which a comparison with 0 turns into a predicate.
TEST_F(CodegenTest, ChoicesAreMadeUnderPredicates) {
  auto assembly = [&](StringRef level, unsigned lanes, StringRef condition) {
    std::string source = llvm::formatv(R"(
      !floats = vector<{0}xf32>
      !bits = vector<{0}xi1>
      func.func @k(%args: !llvm.ptr, %first: i32, %last: i32) {{
        %x = llvm.load %args : !llvm.ptr -> !floats
        %low = arith.constant dense<-1.0> : !floats
        %high = arith.constant dense<0.5> : !floats
        %a = arith.cmpf ogt, %x, %high : !floats
        %b = arith.cmpf olt, %x, %low : !floats
        %either = arith.ori %a, %b : !bits
        %two = arith.constant dense<2.0> : !floats
        %y = arith.select {1}, %x, %two : !bits, !floats
        llvm.store %y, %args : !floats, !llvm.ptr
        return
      })", lanes, condition);
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(source, &context);
    return *printKernels(*module, *findLevel(level), CodeText::Assembly);
  };
  EXPECT_EQ(assembly("aarch64-sve256", 8, "%a").find("cmpne"), std::string::npos);
  EXPECT_EQ(assembly("aarch64-sve512", 16, "%a").find("cmpne"), std::string::npos);
  EXPECT_NE(assembly("aarch64-sve512", 8, "%a").find("cmpne"), std::string::npos);
  EXPECT_NE(assembly("aarch64-sve256", 8, "%either").find("cmpne"), std::string::npos);
  EXPECT_NE(assembly("aarch64", 4, "%a").find("fcmgt"), std::string::npos);
}

TEST_F(CodegenTest, DamagedImagesAreErrors) {
  FailureOr<CodeImage> image = compileKernels(*scaleModule(), *findLevel("x86-64-v3"));
  ASSERT_TRUE(succeeded(image));
  auto problem = [](llvm::StringRef bytes, const char *name) {
    auto kernels = checkImage(bytes, {name});
    return kernels ? std::string() : llvm::toString(kernels.takeError());
  };
  EXPECT_EQ(problem(image->bytes, "scale"), "");
  EXPECT_NE(problem(image->bytes, "other").find("no symbol 'other'"), std::string::npos);
  EXPECT_NE(problem(llvm::StringRef(image->bytes).take_front(40), "scale"), "");
}

} // namespace
