//===- ScalableSelects.cpp - choose between vectors under SVE's predicates ---------===//
#include "compiler/codegen/arm/ScalableSelects.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"

namespace tenon {

/// The type of unknown length that fills the same register as `type`; null where `type` does not fill one.
static llvm::VectorType *scalableType(llvm::Type *type, unsigned granules) {
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  if (!vector || vector->getPrimitiveSizeInBits().getFixedValue() != 128 * granules)
    return nullptr;
  return llvm::ScalableVectorType::get(vector->getElementType(), vector->getNumElements() / granules);
}

static void rewrite(llvm::SelectInst &select, llvm::CmpInst &comparison, llvm::VectorType *compared,
                    llvm::VectorType *chosen) {
  llvm::IRBuilder<> builder(&select);
  auto widened = [&](llvm::Value *value, llvm::VectorType *type) {
    return builder.CreateInsertVector(type, llvm::PoisonValue::get(type), value, uint64_t(0));
  };
  llvm::Value *condition = builder.CreateCmp(comparison.getPredicate(), widened(comparison.getOperand(0), compared),
                                             widened(comparison.getOperand(1), compared));
  llvm::Value *result = builder.CreateSelect(condition, widened(select.getTrueValue(), chosen),
                                             widened(select.getFalseValue(), chosen));
  select.replaceAllUsesWith(builder.CreateExtractVector(select.getType(), result, uint64_t(0)));
  select.eraseFromParent();
  if (comparison.use_empty())
    comparison.eraseFromParent();
}

void chooseUnderPredicates(llvm::Module &module, unsigned granules) {
  llvm::SmallVector<llvm::SelectInst *> selects;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *select = llvm::dyn_cast<llvm::SelectInst>(&instruction))
        selects.push_back(select);
  for (llvm::SelectInst *select : selects) {
    auto *comparison = llvm::dyn_cast<llvm::CmpInst>(select->getCondition());
    if (!comparison)
      continue;
    llvm::VectorType *compared = scalableType(comparison->getOperand(0)->getType(), granules);
    llvm::VectorType *chosen = scalableType(select->getType(), granules);
    if (compared && chosen)
      rewrite(*select, *comparison, compared, chosen);
  }
}

} // namespace tenon
