//===- Calibration.h - inputs of the model, and what it makes of them --------------------------===//
//
// The inputs a recipe names are evaluated in float64 by the interpreter, which shares no code with the compiler's kernels: first by
// the model as written, then by the model the recipe leaves. The distance of two tensors is ||a - b|| / ||b||, b the original's.
//
#ifndef TENON_COMPILER_FACTORIZATION_CALIBRATION_H
#define TENON_COMPILER_FACTORIZATION_CALIBRATION_H

#include "compiler/factorization/Factorize.h"
#include "interpreter/Interpreter.h"
#include "llvm/ADT/MapVector.h"

namespace tenon {

class Calibration {
public:
  /// Reads the files, and finds the function of `module` whose inputs these are. Errors name input and file: what was wanted, what found.
  static llvm::Expected<Calibration> read(mlir::ModuleOp module, const FactorizationRecipe &recipe);

  /// For each of these tensors X as [rows x columns], columns being `dims` in this order: Xᵀ X, row-major.
  struct Request {
    mlir::Value tensor;
    llvm::SmallVector<unsigned> dims;
    std::vector<double> *gram;
  };
  llvm::Error addGrams(mlir::ModuleOp module, const WeightStore &store, llvm::ArrayRef<Request> requests) const;

  /// Fills the reports' distances, and gives those of the outputs, by name. The two modules are the same before and after.
  llvm::Expected<std::vector<OutputDistance>> compare(mlir::ModuleOp before, mlir::ModuleOp after,
                                                      const WeightStore &store,
                                                      std::vector<FactorizedWeight> &reports) const;

private:
  llvm::Expected<std::vector<Array>> run(mlir::ModuleOp module, const WeightStore &store,
                                         Interpreter::Observer observer) const;

  std::string entry;
  std::vector<Array> inputs;
};

} // namespace tenon
#endif
