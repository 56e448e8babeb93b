//===- RunInMemory.h - an artifact in memory on the interpreter's arrays ---------------===//
#ifndef TENON_COMPILER_TOOLS_RUNINMEMORY_H
#define TENON_COMPILER_TOOLS_RUNINMEMORY_H

#include "compiler/artifact/ArtifactBuilder.h"
#include "interpreter/Array.h"
#include "llvm/Support/Error.h"
#include "mlir/IR/Types.h"

namespace tenon {

/// Loads the artifact with the runtime and runs one entry once. Gives its outputs in order.
llvm::Expected<std::vector<Array>> runInMemory(const ArtifactBytes &artifact, const std::string &entry,
                                               const std::vector<Array> &inputs, uint32_t threads);

llvm::Expected<Array> readArray(const std::string &npyFile);

std::optional<DType> arrayTypeOf(mlir::Type element);

} // namespace tenon
#endif
