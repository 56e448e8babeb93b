//===- Interpreter.h - what a program means, evaluated --------------------------------===//
//
// The oracle: plain loops over float64, written from the operations' definitions and
// sharing no code with the passes or code generation. Slow on purpose where fast would
// be less obvious.
//
//     WeightStore store;                                   // filled by the importer
//     Interpreter interpreter(module, store);
//     auto outputs = interpreter.run("main", {ids, mask}); // Expected<std::vector<Array>>
//
// Two arithmetics:
//
//   | Arithmetic | floats | for |
//   |---|---|---|
//   | `Float64` | every value a double, never rounded to its declared type | the truth |
//   | `Plain` | rounded to the declared type after every operation, sums from left to right in the accumulate type |
//   how far from the truth an honest kernel may be |
//
// Integers have their type's width and wrap around in both.
//
// Inputs bind the module's symbols: an input of type tensor<?x?xf32, #tenon.dims<[B, S]>>
// and shape [2, 7] gives B = 2, S = 7. Bounds, divisibility and sizes that
// contradict each other are errors that name the symbol.
//
//===-----------------------------------------------------------------------------===//
#ifndef TENON_INTERPRETER_INTERPRETER_H
#define TENON_INTERPRETER_INTERPRETER_H

#include "dialects/tenon/WeightStore.h"
#include "interpreter/Array.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <functional>
#include <map>
#include <string>

namespace tenon {

enum class Arithmetic { Float64, Plain };

/// The values of symbols.
using DimValues = std::map<std::string, int64_t, std::less<>>;

/// What a session remembers: states by name, as many rows as were ever set or read, and kept symbols.
struct SessionMemory {
  std::map<std::string, Array, std::less<>> states;
  DimValues kept;
};

/// One session: states and kept symbols live from run to run.
class Interpreter {
public:
  /// Both must outlive the interpreter.
  Interpreter(mlir::ModuleOp module, const WeightStore &weights, Arithmetic arithmetic = Arithmetic::Float64)
      : module(module), weights(weights), arithmetic(arithmetic) {}

  /// Evaluates the function `entry`. `dims` gives symbols that the inputs' shapes do
  /// not determine. Errors name the operation, its location, the wanted and the found.
  llvm::Expected<std::vector<Array>> run(llvm::StringRef entry, llvm::ArrayRef<Array> inputs, DimValues dims = {});

  /// States and kept symbols as in a new session.
  void reset() { memory = SessionMemory(); }
  /// The kept symbols as the last run left them.
  DimValues kept() const;

  /// Called with every value of the entry function as soon as it is known (not inside kernels).
  using Observer = std::function<void(mlir::Value, const Array &)>;
  void observe(Observer observer) { this->observer = std::move(observer); }

private:
  mlir::ModuleOp module;
  const WeightStore &weights;
  Arithmetic arithmetic;
  Observer observer;
  SessionMemory memory;
};

} // namespace tenon
#endif
