//===- SourceOrder.h - code that is emitted in the order in which it was written ---===//
//
// LLVM's scheduler moves loads away from what waits for them. In a register tile whose sums and operands fill all registers but
// one, a load moved up takes the register of a sum, which goes to the stack in every turn of the loop:
//
//   ld1rw { z15.s }, p0/z, [x11, #4]      of the next step
//   str z0, [x22, #6, mul vl]             a sum that had been in z15
//
// A function with the attribute below keeps the order its emitter chose, until registers are assigned. LLVM has no
// attribute for that, but asks its context's gate before it runs a pass on a function.
//
#ifndef TENON_COMPILER_CODEGEN_SOURCEORDER_H
#define TENON_COMPILER_CODEGEN_SOURCEORDER_H

#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/OptBisect.h"

namespace tenon {

/// While it lives: no scheduling before registers are assigned in functions of `module` with the attribute "tenon-source-order".
/// `module` and its context outlive it.
class SourceOrder : public llvm::OptPassGate {
public:
  explicit SourceOrder(llvm::Module &module);
  ~SourceOrder() override;
  SourceOrder(const SourceOrder &) = delete;

  bool isEnabled() const override { return !kept.empty(); }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef description) const override;

private:
  llvm::LLVMContext &context;
  llvm::OptPassGate &before;
  llvm::StringSet<> kept; ///< What LLVM calls those functions.
};

} // namespace tenon
#endif
