//===- BuildProgram.h - a module of dispatches as a table of commands ----------------===//
#ifndef TENON_COMPILER_PROGRAM_BUILDPROGRAM_H
#define TENON_COMPILER_PROGRAM_BUILDPROGRAM_H

#include "compiler/artifact/Program.h"
#include "dialects/tenon/Tenon.h"

namespace tenon {

struct Program {
  ProgramDesc tables;
  /// The weights the commands read, in the order of their indices.
  std::vector<WeightOp> weights;
  /// The kernels in the order of ProgramDesc::kernels.
  std::vector<KernelOp> kernels;
};

/// The program of a module after FormKernels: every `tenon.entry` function becomes an entry
/// point whose dispatches are commands in order. Intermediate tensors become arena buffers with the
/// range of commands in which they live; a returned tensor is written where the caller wants it.
mlir::FailureOr<Program> buildProgram(mlir::ModuleOp module);

/// The artifact's name of an element type; none for a type it cannot hold.
std::optional<format::DataType> dataTypeOf(mlir::Type element);

/// "query (MatMul), query (Add)": the nodes a location names, each once.
std::string sourceOf(mlir::Location loc);

/// An expression over the symbols of `program` (declared there in the module's order).
uint32_t addDim(ProgramDesc &program, const std::map<std::string, uint32_t, std::less<>> &symbols, const Dim &dim);
/// An expression over a kernel's dims.
uint32_t addKernelDim(ProgramDesc &program, const Dim &dim);

} // namespace tenon
#endif
