//===- IndexRows.h - which rows an integer input may name ------------------------------===//
#ifndef TENON_COMPILER_PROGRAM_INDEXROWS_H
#define TENON_COMPILER_PROGRAM_INDEXROWS_H

#include "dialects/tenon/Tenon.h"

namespace tenon {

/// For each argument of a function of dispatches: the least number of rows among the tables
/// whose index comes straight from the argument's elements, or none when there is no such
/// table or its size is not known. Used to make up inputs that run.
llvm::SmallVector<std::optional<int64_t>> indexRows(mlir::func::FuncOp function);

} // namespace tenon
#endif
