//===- Compiler.h - a model in, an artifact out -------------------------------------===//
//
// The public C++ interface. A program that compiles and keeps the artifact:
//
//   tenon::Compiler compiler;
//   auto model = compiler.load("model.onnx");
//   auto compiled = model ? compiler.compile(std::move(*model)) : model.takeError();
//   if (!compiled) { report(compiled.takeError()); }
//   compiled->write("model.tenon");
//
// Errors are values: nothing here aborts or throws, and a message says where in the
// model, what was wanted and what was found. A Compiler may be used from several
// threads at once; a Model or a CompiledModel from one at a time.
//
#ifndef TENON_COMPILER_DRIVER_COMPILER_H
#define TENON_COMPILER_DRIVER_COMPILER_H

#include "compiler/artifact/ArtifactBuilder.h"
#include "compiler/factorization/Factorize.h"
#include "compiler/levels/Level.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct tenon_linked_program;

namespace mlir {
class MLIRContext;
class ModuleOp;
} // namespace mlir

namespace tenon {

class GraphBuilder;
struct Explanation;
class WeightStore;

/// What matrix products with weights multiply; they sum, and all else is computed, in the model's type.
enum class ProductType { AsInModel, BF16 };

struct CompileOptions {
  /// Target names separated by commas; empty: the default of this machine (design 4.9).
  std::string targets;
  /// Compiler threads; 0: as many as this process may use. The artifact does not depend on it.
  unsigned threads = 0;
  ProductType products = ProductType::AsInModel;
  /// What becomes factors of less rank (`--factorize`); none without steps.
  FactorizationRecipe factorization;
  /// Bounds of named dims: {"sequence", {1, 512}}.
  std::map<std::string, std::pair<int64_t, int64_t>> dims;
  /// Told the name of each step as it begins, and its seconds when it ended (else negative).
  std::function<void(const std::string &step, double seconds)> progress;
};

/// An imported model: its graph, and the mapped files its weights are in.
class Model {
public:
  Model(Model &&);
  Model &operator=(Model &&);
  ~Model();

  /// The module, for whoever wants to look at it or change it.
  mlir::ModuleOp module() const;
  const WeightStore &weights() const;

  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// Everything of an artifact but its file.
class CompiledModel {
public:
  CompiledModel(CompiledModel &&);
  CompiledModel &operator=(CompiledModel &&);
  ~CompiledModel();

  /// Writes the artifact under a temporary name, then renames it: a failure leaves what was there.
  llvm::Error write(const std::string &path);
  /// The artifact in memory, for the runtime's tenon_model_load_memory (JIT).
  llvm::Expected<ArtifactBytes> toMemory();

  /// What the command line reports.
  struct Summary {
    std::vector<std::string> levels;
    std::vector<size_t> codeBytes; // per level
    size_t weightBytes = 0;
    unsigned kernels = 0, commands = 0;
    FactorizationReport factorized;
  };
  Summary summary() const;

  struct Impl;
  explicit CompiledModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// A program whose kernels, made for a GPU, run on this machine's CPU with every access checked; slow.
class EmulatedModel {
public:
  EmulatedModel(EmulatedModel &&);
  EmulatedModel &operator=(EmulatedModel &&);
  ~EmulatedModel();

  /// For tenon_model_load_linked; lives as long as this.
  const tenon_linked_program &program() const;
  /// The first thing a kernel did wrong, with kernel, block, thread and operand; empty if none. What runs after it computes nothing.
  std::string fault() const;
  /// A table of what each kernel did in all runs: multiply-adds by mma.sync, coalescing, bank conflicts, barriers.
  std::string report() const;

  struct Impl;
  explicit EmulatedModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

enum class ModelFormat { Guess, Onnx, HuggingFace, Mlir };

class Compiler {
public:
  explicit Compiler(CompileOptions options = {});
  ~Compiler();

  /// Reads a model: an .onnx file, a folder with config.json and model.safetensors, or .mlir text.
  llvm::Expected<Model> load(const std::string &path, ModelFormat format = ModelFormat::Guess);
  /// Reads a model from memory, which is copied. External data is not reachable.
  llvm::Expected<Model> loadBytes(llvm::StringRef bytes, ModelFormat format, const std::string &name = "model");

  /// A model said in C++: `define` adds inputs, operations and outputs to the graph.
  llvm::Expected<Model> build(llvm::function_ref<void(GraphBuilder &)> define);

  llvm::Expected<CompiledModel> compile(Model model);

  /// For one level: writes an object file that holds kernels, tables and weights, to be linked into a
  /// program, and beside it (`path` with .h) the header that declares its tenon_linked_program,
  /// named as the file. Gives what was compiled.
  llvm::Expected<CompiledModel> compileToObject(Model model, const std::string &path);

  /// For one level of a GPU: its kernels as functions of this machine.
  llvm::Expected<EmulatedModel> emulate(Model model);

  /// Runs the phases up to kernels and makes every kernel's result an output of its entry, named
  /// "KERNEL: SOURCE", so that each can be compared. `compile` goes on from there.
  llvm::Error exposeKernelResults(Model &model);

  /// What the model becomes, command by command; see compiler/explain/Explanation.h. For GPUs among the targets also
  /// how they run each kernel.
  llvm::Expected<Explanation> explain(Model model);

  /// The module after a phase of Pipeline.h ("lower": of the first target), as text.
  llvm::Expected<std::string> printAfter(Model model, llvm::StringRef phase);
  /// LLVM IR or assembly of the first target's kernels.
  llvm::Expected<std::string> printCode(Model model, bool assembly);

  struct Impl;

private:
  std::unique_ptr<Impl> impl;
};

/// The default of --target on this machine.
std::string defaultTargets();

} // namespace tenon
#endif
