//===- ToeplitzAttention.cpp - attention whose score is x times a factor of the distance -===//
#include "passes/attention/ToeplitzAttention.h"
#include "passes/attention/LinearScore.h"

using namespace mlir;

namespace tenon {

/// The factors of query and key all depend on the head and their distance alone.
static bool isOfDistance(AttentionOp op, ArrayRef<LinearScore::Factor> factors) {
  RegionAnalysis analysis(op.getScore(), /*hasScore=*/true);
  return llvm::all_of(factors, [&](const LinearScore::Factor &factor) {
    return !analysis.dependenceOf(factor.value).batch && analysis.isShiftInvariant(factor.value);
  });
}

StringRef whyNotToeplitz(AttentionOp op) {
  if (op.getNormaliser() != Normaliser::Sum && op.getNormaliser() != Normaliser::None)
    return "weights are not the scores or their share of the sum";
  if (StringRef reason = whyNotLinear(op); !reason.empty())
    return reason;
  LinearScore factors = *LinearScore::match(op);
  if (factors.ofBoth.empty() || !isOfDistance(op, factors.ofBoth))
    return "the score is not x times a factor of the distance";
  AttentionOp::Sizes sizes = op.getSizes();
  if (sizes.keyHeads != sizes.heads)
    return "several query heads share a key head";
  for (const Dim &dim : {sizes.queries, sizes.keys, sizes.depth, sizes.valueDepth})
    if (!dim.constant() || *dim.constant() < 1)
      return "a length is not a constant: the transform is planned when the model is compiled";
  if (op.hasKeep() && (!isCausal(op) || sizes.queries != sizes.keys))
    return "keys are left out, and not just those behind the query";
  for (Value tensor : op.getOperands().take_front(3))
    if (!elementOf(tensor).isF32())
      return "elements are not f32";
  return "";
}

bool isByTransforms(AttentionOp op) {
  return op.getAlgorithm() == AttentionAlgorithm::FFT || op.getAlgorithm() == AttentionAlgorithm::FFTBlocks;
}

ToeplitzSizes toeplitzSizesOf(AttentionOp op) {
  AttentionOp::Sizes sizes = op.getSizes();
  return {*sizes.queries.constant(), *sizes.keys.constant(), *sizes.depth.constant(), *sizes.valueDepth.constant(),
          op.hasKeep(), op.getNormaliser() == Normaliser::Sum, false,
          sizes.batch.constant().value_or(1) * sizes.heads.constant().value_or(1)};
}

std::optional<ToeplitzSizes> toeplitzSizesOf(ToeplitzOp op) {
  Shape from = shapeOf(op.getInput()), to = shapeOf(op.getResult());
  Dim features = op.getFeatures().empty() ? Dim(0) : shapeOf(op.getQuery())[3];
  for (const Dim &dim : {from[2], from[3], to[2], features})
    if (!dim.isConstant())
      return std::nullopt;
  return ToeplitzSizes{*to[2].constant(),
                       *from[2].constant(),
                       *features.constant(),
                       *from[3].constant(),
                       op.getCausal(),
                       false,
                       shapeOf(op.getDiagonals()).size() == 3,
                       from[0].constant().value_or(1) * from[1].constant().value_or(1)};
}

} // namespace tenon
