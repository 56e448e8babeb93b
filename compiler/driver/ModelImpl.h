//===- ModelImpl.h - what Model and CompiledModel hold ------------------------------===//
#ifndef TENON_COMPILER_DRIVER_MODELIMPL_H
#define TENON_COMPILER_DRIVER_MODELIMPL_H

#include "compiler/codegen/nvptx/emulator/EmulatedProgram.h"
#include "compiler/driver/Compiler.h"
#include "compiler/program/BuildProgram.h"
#include "dialects/tenon/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "tenon/tenon.h"

namespace tenon {

struct Model::Impl {
  // In this order: the module must go before its context.
  std::unique_ptr<mlir::MLIRContext> context;
  WeightStore weights;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  FactorizationReport factorized; ///< What became of the weights a recipe names.
};

struct CompiledModel::Impl {
  // The artifact's weights are read from the model's files when it is written.
  std::optional<Model> model;
  std::optional<ArtifactBuilder> artifact;
  Summary summary;
  std::vector<std::string> kernels; // in the artifact's order
  unsigned threads = 1;
};

struct EmulatedModel::Impl {
  ArtifactBytes artifact;
  std::unique_ptr<emulator::EmulatedProgram> kernels;
  tenon_linked_program program{};
};

/// What a compiler was made with.
const CompileOptions &optionsOf(const Compiler::Impl &compiler);

/// A context with every dialect the compiler uses.
std::unique_ptr<mlir::MLIRContext> makeContext();

CompiledModel::Summary summarise(const Program &program, const std::vector<LevelCode> &codes,
                                 const std::vector<WeightDesc> &weights);

} // namespace tenon
#endif
