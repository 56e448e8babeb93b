// What a launch cannot take is an error, and PTX that needs a library is refused.

#include "compiler/codegen/nvptx/DeviceFunction.h"
#include "compiler/codegen/nvptx/PtxImage.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace tenon;

namespace {

/// The errors of a kernel of so many operands and dims; empty where it can be made.
std::string errorOf(unsigned operands, unsigned dims) {
  MLIRContext context;
  context.loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  std::string errors;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) { errors += diagnostic.str(); });
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  llvm::SmallVector<Type> elements(operands, builder.getF32Type());
  FailureOr<DeviceFunction> function = DeviceFunction::create(builder, loc, *module, "k", elements, dims, 128);
  EXPECT_EQ(succeeded(function), errors.empty());
  EXPECT_TRUE(succeeded(verify(*module)));
  return errors;
}

TEST(DeviceFunction, takesAsManyArgumentsAsALaunchDoes) {
  EXPECT_EQ(errorOf(240, 256), "");
  EXPECT_EQ(errorOf(241, 256), "kernel k: a launch takes 4000 bytes of arguments, found 241 operands and 256 dims, "
                               "which take 4008");
}

std::string refusal(llvm::StringRef ptx) { return llvm::toString(checkPtx(ptx, {"k"})); }

TEST(PtxImage, standsOnItsOwn) {
  EXPECT_EQ(refusal(".visible .entry k(\n"), "");
  EXPECT_EQ(refusal(".extern .shared .align 16 .b8 buffer[];\n.visible .entry k(\n"), "");
  EXPECT_EQ(refusal(".extern .func (.param .b32 r) __nv_expf\n.visible .entry k(\n"),
            "PTX: wanted no imports, found '.extern .func (.param .b32 r) __nv_expf'");
  EXPECT_EQ(refusal(".visible .entry k2(\n"), "PTX: no kernel 'k'");
}

} // namespace
