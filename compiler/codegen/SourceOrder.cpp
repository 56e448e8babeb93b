//===- SourceOrder.cpp - code that is emitted in the order in which it was written -===//
#include "compiler/codegen/SourceOrder.h"

namespace tenon {

SourceOrder::SourceOrder(llvm::Module &module) : context(module.getContext()), before(context.getOptPassGate()) {
  for (const llvm::Function &function : module)
    if (function.hasFnAttribute("tenon-source-order"))
      kept.insert(("function (" + function.getName() + ")").str());
  context.setOptPassGate(*this);
}

SourceOrder::~SourceOrder() { context.setOptPassGate(before); }

bool SourceOrder::shouldRunPass(llvm::StringRef pass, llvm::StringRef description) const {
  bool isScheduler = pass == "machine-scheduler";
  if (isScheduler && kept.contains(description))
    return false;
  return !before.isEnabled() || before.shouldRunPass(pass, description);
}

} // namespace tenon
