//===- RaiseAttention.cpp - softmax between two contractions is attention --------------===//
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/AttentionRaiser.h"
#include "passes/attention/RowShift.h"
#include "passes/attention/SinkKeys.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/Passes.h.inc"

namespace {

/// The one contraction everything made from the softmax goes into; null where there are other readers, and `reason`
/// then says what they are.
ContractOp productOf(SoftmaxOp softmax, std::string &reason) {
  llvm::SetVector<Operation *> readers;
  collectReaders(softmax.getResult(), readers);
  auto product = readers.size() == 1 ? dyn_cast<ContractOp>(readers.front()) : ContractOp();
  bool isWanted = llvm::any_of(readers, [](Operation *reader) { return !isa<ContractOp>(reader); });
  if (readers.size() > 1 && isWanted)
    reason =
        "the weights themselves are wanted beside the product with the values, so they are computed once, in memory";
  else if (readers.size() > 1)
    reason = "the softmax is read by more than one contraction of values";
  else if (!product)
    reason = "the softmax goes into no contraction with values";
  return product;
}

/// What reads the scores beside the softmax; empty for nothing.
StringRef whoElseReads(ContractOp scores, SoftmaxOp softmax) {
  llvm::SetVector<Operation *> readers;
  collectReaders(scores.getResult(), readers);
  if (readers.size() == 1 && readers.front() == softmax)
    return "";
  bool isWanted = llvm::any_of(readers, [](Operation *reader) { return reader->hasTrait<OpTrait::IsTerminator>(); });
  return isWanted ? "the scores themselves are a result, so they are computed once, in memory"
                  : "the scores are read by more than the softmax";
}

struct RaiseAttention : impl::RaiseAttentionBase<RaiseAttention> {
  void runOnOperation() override {
    SmallVector<SoftmaxOp> found;
    getOperation().walk([&](SoftmaxOp op) { found.push_back(op); });
    for (SoftmaxOp softmax : found)
      raise(softmax);
  }

  static bool raise(SoftmaxOp softmax, ContractOp scores, ContractOp product, std::string &reason) {
    AttentionGraph graph{scores,  softmax.getInput(), softmax.getResult(), unsigned(softmax.getOver()),
                         product, Normaliser::Softmax};
    std::optional<RaisedAttention> raised = raiseAttention(graph, reason);
    if (!raised)
      return false;
    Location loc = softmax.getLoc();
    product.getResult().replaceAllUsesWith(raised->result);
    eraseDeadOps(product);
    remark::passed(loc, remark::RemarkOpts::name("attention").category("tenon-raise-attention"))
        << remark::add(scores ? "softmax between two contractions is attention"
                              : "softmax of a function of queries and of keys, before a contraction, is attention");
    return true;
  }

  static void raise(SoftmaxOp softmax) {
    Location loc = softmax.getLoc();
    auto options = remark::RemarkOpts::name("attention").category("tenon-raise-attention");
    while (dropRowShift(softmax)) {
    }
    std::string reason;
    ContractOp product = productOf(softmax, reason);
    if (!product) {
      remark::missed(loc, options) << remark::reason("{0}", reason);
      return;
    }
    if (ContractOp extended = withKeysForSinks(softmax, product))
      product = extended;
    llvm::SetVector<ContractOp> candidates;
    collectContractions(softmax.getInput(), candidates);
    reason = "the softmax's operand is no product of queries and keys";
    for (ContractOp scores : candidates) {
      if (StringRef other = whoElseReads(scores, softmax); !other.empty()) {
        reason = other;
        continue;
      }
      if (raise(softmax, scores, product, reason))
        return;
    }
    std::string ignored;
    if (raise(softmax, ContractOp(), product, candidates.empty() ? reason : ignored))
      return;
    remark::missed(loc, options) << remark::reason("{0}", reason);
  }
};

} // namespace
} // namespace tenon
