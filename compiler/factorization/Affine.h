//===- Affine.h - sums of tensors times constants, found in the regions of maps ----------===//
//
// y[.., c, ..] = Σ_i f_i[c] · T_i[.., c, ..] + o[c] is what a BatchNorm, a scale, a bias, a residual and the sum of an adapter are,
// whatever chain of operators wrote them: factors and offset are arithmetic of weights and constants, and are evaluated here.
//
// Worked example. ((x - mean) / sqrt(variance + e)) · scale + shift, all four of them weights of 3 elements, is one term with
// f = scale / sqrt(variance + e), o = shift - f · mean.
//
#ifndef TENON_COMPILER_FACTORIZATION_AFFINE_H
#define TENON_COMPILER_FACTORIZATION_AFFINE_H

#include "compiler/factorization/ModelWeights.h"

namespace tenon {

struct AffineTerm {
  mlir::Value tensor;
  Channels factor;
  LoadOp elsewhere =
      {}; ///< Null where it is read at the map's own indices; else the load, which is at the channel along one dim.
};

struct Affine {
  llvm::SmallVector<AffineTerm> terms;
  Channels offset{0};
};

/// `combine(a, b)` for each channel.
Channels combined(const Channels &a, const Channels &b, llvm::function_ref<double(double, double)> combine);
inline Channels product(const Channels &a, const Channels &b) { return combined(a, b, std::multiplies<double>()); }
inline Channels sum(const Channels &a, const Channels &b) { return combined(a, b, std::plus<double>()); }
inline bool isAll(const Channels &channels, double value) {
  return llvm::all_of(channels, [=](double c) { return c == value; });
}

class AffineAnalysis {
public:
  explicit AffineAnalysis(const ModelWeights &weights) : weights(weights) {}

  /// A scalar of a map's region as a sum over channels, the positions along dim `dim` of the map.
  std::optional<Affine> find(mlir::Value scalar, MapOp map, unsigned dim);
  /// What a whole map yields, if that has one term or more.
  std::optional<Affine> find(MapOp map, unsigned dim);

  mlir::Value
      leaf; ///< A scalar that is a term by itself, whatever it is computed from; its tensor is the scalar. Null: none.

private:
  std::optional<Channels> constant(mlir::Value scalar, MapOp map, unsigned dim);
  std::optional<Channels> constantLoad(LoadOp load, MapOp map, unsigned dim);

  const ModelWeights &weights;
  llvm::DenseMap<mlir::Operation *, std::vector<float>> vectors; ///< By weight.
};

} // namespace tenon
#endif
