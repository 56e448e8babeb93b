//===- Passes.h - every pass ------------------------------------------------------===//
#ifndef TENON_PASSES_PASSES_H
#define TENON_PASSES_PASSES_H

#include "dialects/tenon/Tenon.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace tenon {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"
} // namespace tenon
#endif
