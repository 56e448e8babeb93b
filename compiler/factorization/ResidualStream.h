//===- ResidualStream.h - the stream that norms of a pre-norm transformer read --------------------------===//
//
// x = t[i] + u W + b, and all sums it goes on in: what adds to it (products with weights, biases, tables), and what reads it (norms). A
// step may change the stream where it knows all of both.
//
#ifndef TENON_COMPILER_FACTORIZATION_RESIDUALSTREAM_H
#define TENON_COMPILER_FACTORIZATION_RESIDUALSTREAM_H

#include "compiler/factorization/ChannelProduct.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace tenon {

class ResidualStream {
public:
  /// A tensor and which of its dims the channels are.
  using Place = std::pair<mlir::Value, unsigned>;

  /// All that is connected by sums to what a LayerNorm over the last dim reads.
  ResidualStream(NormOp norm, const ModelWeights &weights);

  llvm::SmallVector<ChannelProduct> producers;
  llvm::MapVector<mlir::Operation *, unsigned> tableLoads; ///< And the table's dim of the channels.
  llvm::SetVector<mlir::Operation *> norms;
  llvm::SetVector<Place> places;
  std::string problem; ///< Why it may not be changed, if so.

private:
  void fail(const char *what, mlir::Operation *op);
  void visitReader(mlir::OpOperand &use, unsigned dim);
  void visitReader(MapOp map, mlir::BlockArgument argument, unsigned dim);
  void visitDefinition(Place place);
  bool isSum(mlir::Value scalar, MapOp map, mlir::Value channel);
  bool isPart(LoadOp load, MapOp map, mlir::Value channel);

  const ModelWeights &weights;
};

} // namespace tenon
#endif
