//===- tenon-opt.cpp - any pass on any IR -----------------------------------------===//
#include "compiler/codegen/nvptx/LowerKernelsForDevice.h"
#include "dialects/tenon/Tenon.h"
#include "passes/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<tenon::TenonDialect, mlir::arith::ArithDialect, mlir::func::FuncDialect, mlir::math::MathDialect,
                  mlir::memref::MemRefDialect, mlir::scf::SCFDialect, mlir::vector::VectorDialect,
                  mlir::LLVM::LLVMDialect>();
  mlir::registerTransformsPasses();
  tenon::registerTenonPasses();
  mlir::registerPass(tenon::createLowerKernelsForDevice);
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Tenon's passes on textual IR\n", registry));
}
