//===- RaiseUnnormalisedAttention.cpp - a function between two contractions is attention ---------===//
//
// Sigmoid, ReLU and squared ReLU attention have no softmax by which RaiseAttention would find them: σ(Q Kᵀ) V. What
// tells them from a layer of weights, φ(X W) U, is that keys and values are data, and not weights that data picks: those
// are a layer of experts (GroupProducts).
//
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/AttentionRaiser.h"
#include "passes/attention/LinearScore.h"
#include "passes/attention/RowShift.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISEUNNORMALISEDATTENTION
#include "passes/Passes.h.inc"

namespace {

/// Elements of a weight, wherever data says that they are.
bool holdsWeights(Value tensor) {
  while (Operation *op = tensor.getDefiningOp()) {
    auto map = dyn_cast<MapOp>(op);
    auto load = map ? map.getYielded().getDefiningOp<LoadOp>() : LoadOp();
    if (load)
      tensor = map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
    else if (auto reshape = dyn_cast<ReshapeOp>(op))
      tensor = reshape.getInput();
    else
      return isa<GetOp>(op);
  }
  return false;
}

bool isComputed(Value tensor) { return isData(tensor) && !holdsWeights(tensor); }

/// The contraction of data by data that a tensor is made of by maps and reshapes; null where there are several, or
/// none.
ContractOp scoresBehind(Value weights) {
  llvm::SetVector<ContractOp> found;
  collectContractions(weights, found);
  ContractOp scores = found.size() == 1 ? found.front() : ContractOp();
  return scores && isComputed(scores.getLhs()) && isComputed(scores.getRhs()) ? scores : ContractOp();
}

/// The two contractions with the `left` or right operand of the second one as the weights.
std::optional<AttentionGraph> graphAround(ContractOp product, bool left) {
  Value weights = left ? product.getLhs() : product.getRhs(), values = left ? product.getRhs() : product.getLhs();
  bool isMade = isa_and_present<MapOp, ReshapeOp, ContractOp>(weights.getDefiningOp());
  if (!isMade || product.use_empty() || product.getPanels() || !isComputed(values))
    return std::nullopt;
  std::string error;
  ContractSpec spec = *ContractSpec::parse(product.getSpec(), error);
  auto summed = spec.summed();
  ContractOp scores = summed.size() == 1 ? scoresBehind(weights) : ContractOp();
  if (!scores || !isOnlyFor(scores.getResult(), product))
    return std::nullopt;
  unsigned over = positionOf(summed[0], left ? spec.lhs : spec.rhs);
  return AttentionGraph{scores, weights, weights, over, product, Normaliser::None};
}

/// Of fewer keys two small products are quicker: of 8 by 1.4 times, of 16 no more.
constexpr int64_t fewestKeys = 16;

/// A linear score without a mask is three matrices in a row: an attention only where Reassociate takes them in the
/// other order.
bool isWorthRaising(AttentionOp op) {
  if (std::optional<int64_t> keys = op.getSizes().keys.constant(); keys && *keys < fewestKeys)
    return false;
  std::optional<LinearScore> linear = LinearScore::match(op);
  if (!linear || !linear->ofBoth.empty())
    return true;
  AttentionOp::Sizes sizes = op.getSizes();
  return sizes.depth.isConstant() && sizes.valueDepth.isConstant() && !sizes.keys.isConstant();
}

struct RaiseUnnormalisedAttention : impl::RaiseUnnormalisedAttentionBase<RaiseUnnormalisedAttention> {
  void runOnOperation() override {
    SmallVector<ContractOp> products;
    getOperation().walk([&](ContractOp op) { products.push_back(op); });
    for (ContractOp product : products)
      if (!raise(product, /*left=*/true))
        raise(product, /*left=*/false);
  }

  bool raise(ContractOp product, bool left) {
    std::optional<AttentionGraph> graph = graphAround(product, left);
    std::string reason;
    std::optional<RaisedAttention> raised = graph ? raiseAttention(*graph, reason) : std::nullopt;
    if (!raised)
      return false;
    if (!isWorthRaising(raised->op)) {
      eraseDeadOps(raised->result.getDefiningOp());
      return false;
    }
    auto options = remark::RemarkOpts::name("attention").category(getArgument());
    remark::passed(product.getLoc(), options)
        << remark::add("two contractions of data with a function between them are attention without a normaliser");
    product.getResult().replaceAllUsesWith(raised->result);
    eraseDeadOps(product);
    return true;
  }
};

} // namespace
} // namespace tenon
