//===- ChannelProduct.h - contractions whose weight has the channels of the result ---------===//
//
// A convolution is a contraction of filters with windows, `g n k, b g m k -> b g n m`, then a reshape to [b, g · n, height, width].
// A factor for each channel of that multiplies the filters instead.
//
#ifndef TENON_COMPILER_FACTORIZATION_CHANNELPRODUCT_H
#define TENON_COMPILER_FACTORIZATION_CHANNELPRODUCT_H

#include "compiler/factorization/ModelWeights.h"

namespace tenon {

struct ChannelProduct {
  ContractOp op;
  ReshapeOp reshape; ///< Null without one.
  WeightOp weight;
  unsigned operand = 0; ///< Which one of `op` the weight is.
  unsigned dim = 0;  ///< Of the channels, in the result of the reshape if there is one.
  int64_t channels = 0;
  llvm::SmallVector<int64_t>
      factorSizes; ///< Of a weight with one element for each channel, which broadcasts to `weight`.

  static std::optional<ChannelProduct> match(mlir::Value value, const ModelWeights &weights);

  /// The weight's dim that is all channels; -1 if they are several dims.
  int channelAxis();
  /// The same with the weight times a factor for each channel.
  mlir::Value scaledBy(const Channels &factor, ModelWeights &weights);
};

/// The dim along which a load is at index `channel` of its map; none if it is at none, or if another index depends on it.
std::optional<unsigned> dimOfChannel(LoadOp load, mlir::Value channel);
/// The dim of the map whose index all loads of the argument are at along dim `dim`.
std::optional<unsigned> dimOfReader(MapOp map, mlir::BlockArgument argument, unsigned dim);
/// What a load in a map reads.
inline mlir::Value tensorOf(LoadOp load) {
  auto argument = llvm::cast<mlir::BlockArgument>(load.getTensor());
  return llvm::cast<MapOp>(load->getParentOp()).getInputs()[argument.getArgNumber()];
}

} // namespace tenon
#endif
