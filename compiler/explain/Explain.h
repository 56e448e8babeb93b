//===- Explain.h - the explanation of a module of dispatches ---------------------------===//
#ifndef TENON_COMPILER_EXPLAIN_EXPLAIN_H
#define TENON_COMPILER_EXPLAIN_EXPLAIN_H

#include "compiler/explain/Explanation.h"
#include "compiler/program/BuildProgram.h"

namespace tenon {

/// `program` is what buildProgram made of `module`; commands have the same numbers.
Explanation explainProgram(mlir::ModuleOp module, const Program &program, std::vector<Decision> decisions);

} // namespace tenon
#endif
