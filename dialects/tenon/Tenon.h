//===- Tenon.h - the tenon dialect, the only header others include ---------------===//
#ifndef TENON_DIALECTS_TENON_TENON_H
#define TENON_DIALECTS_TENON_TENON_H

#include "dialects/tenon/Dim.h"
#include "dialects/tenon/ElementRegion.h"
#include "llvm/ADT/Hashing.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace tenon {
inline llvm::hash_code hash_value(const Dim &dim) { return llvm::hash_code(dim.hash()); }
} // namespace tenon

#include "dialects/tenon/Dialect.h.inc"
#include "dialects/tenon/Enums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tenon/Attributes.h.inc"
#include "dialects/tenon/Interfaces.h.inc"
#define GET_OP_CLASSES
#include "dialects/tenon/Ops.h.inc"

#include "dialects/tenon/Shape.h"

#endif
