// From kernels in scf, arith, vector and memref to machine code, in process.
//
// A kernel is a public `func.func` with the signature of
// tenon/kernel_abi.h, `(!llvm.ptr, i32, i32)`; passes/lowering/KernelFunction.h
// makes one; for a GPU, that of compiler/codegen/nvptx/DeviceFunction.h. Private functions are helpers and disappear or stay internal.
// Everything here is a function of (module, level): no process-wide LLVM
// option is read or written, bytes do not depend on the thread or the machine,
// and several threads may compile at once, each in its own MLIRContext: pass
// managers load dialects into the context, which two may not do at a time.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/levels/Level.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace tenon {

struct KernelSymbol {
  std::string name;
  uint64_t address = 0; // from the image's load address
  uint64_t size = 0;    // bytes of code
};

/// A linked ELF shared object without imports, dynamic relocations, writable
/// segments or constructors (design 4.10), ready for the runtime's loader; for a
/// GPU PTX with a NUL at its end, in which kernels have no addresses.
struct CodeImage {
  std::string bytes;
  std::vector<KernelSymbol> kernels; // in the module's order
};

enum class CodeText { LLVM, Assembly };

/// Adds what a context must know for the functions below.
void registerCodegenDialects(mlir::DialectRegistry &registry);

/// Compiles and links the kernels of `module`, which is lowered in place and of
/// no further use. Failures are diagnostics at the kernel's or op's location: an
/// op that no lowering takes, or a call that would have to be imported.
mlir::FailureOr<CodeImage> compileKernels(mlir::ModuleOp module, const Level &level);

/// What --emit=llvm and --emit=asm print: the kernels after optimisation.
/// Lowers `module` in place.
mlir::FailureOr<std::string> printKernels(mlir::ModuleOp module, const Level &level, CodeText text);

/// Kernels in LLVM's form, for who compiles them further.
struct TranslatedKernels {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
};

/// The kernels after optimisation, for the level's machine. Lowers `module` in place.
mlir::FailureOr<TranslatedKernels> translateKernels(mlir::ModuleOp module, const Level &level);

/// The object file before linking. Lowers `module` in place.
mlir::FailureOr<std::string> compileObject(mlir::ModuleOp module, const Level &level);

/// What goes into an object file beside the kernels, for --emit=object.
struct LinkedProgram {
  std::string symbol;               // the C name of its tenon_linked_program; begins every other symbol
  std::string artifact;             // a file with the artifact, copied into the object
  uint64_t artifactBytes = 0;
  std::vector<std::string> kernels; // in the artifact's order
};

/// The object file of kernels and program: everything but the program's symbol is hidden.
mlir::FailureOr<std::string> compileLinkedObject(mlir::ModuleOp module, const Level &level,
                                                 const LinkedProgram &program);

} // namespace tenon
