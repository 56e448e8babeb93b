//===- Diagnostics.h - MLIR's diagnostics as one error message ----------------------===//
#ifndef TENON_COMPILER_DRIVER_DIAGNOSTICS_H
#define TENON_COMPILER_DRIVER_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"

namespace tenon {

/// Collects the errors (with their notes) that are reported in its scope.
class DiagnosticCollector {
public:
  /// Messages about a node begin with `model`, the file it is of, where that is given.
  explicit DiagnosticCollector(mlir::MLIRContext *context, llvm::StringRef model = {});
  /// What was collected, one line each, or `otherwise`.
  llvm::Error takeError(llvm::StringRef otherwise);

private:
  std::string messages;
  mlir::ScopedDiagnosticHandler handler;
};

llvm::Error makeError(const llvm::Twine &message);

} // namespace tenon
#endif
