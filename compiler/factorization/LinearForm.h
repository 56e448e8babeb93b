//===- LinearForm.h - a tensor as a matrix times another one, plus an offset -------------===//
//
// Products with weights, and sums of tensors times constants, are linear: any number of them between two tensors is
// y = x M + t along one dim. Here M is a sum of chains of factors, nothing of which is computed until it is asked for:
//
//     h = x + (x A) B          // an adapter, in front of
//     y = h W + b              // a product
//
//     formOf(y, over x): M = W + A B W, t = b, where `h` may have been scaled and shifted as well.
//
#ifndef TENON_COMPILER_FACTORIZATION_LINEARFORM_H
#define TENON_COMPILER_FACTORIZATION_LINEARFORM_H

#include "compiler/factorization/Affine.h"
#include "dialects/tenon/ContractSpec.h"
#include "llvm/ADT/SetVector.h"

namespace tenon {

/// A contraction with a matrix that is a weight: `… k, k n -> … n`, n where k was, wherever that is.
struct MatrixProduct {
  ContractOp op;
  mlir::Value input;
  WeightOp weight;
  bool isTransposed = false; ///< The weight stands as [n x k].
  unsigned dim = 0;          ///< Of k and of n.
  int64_t k = 0, n = 0;

  static std::optional<MatrixProduct> match(mlir::Value result, const ModelWeights &weights);
};

/// A matrix, or a diagonal one, in a chain `x · f1 · f2 · …`.
struct Factor {
  WeightOp matrix; ///< [k x n]; null for a diagonal.
  Channels diagonal;
};
using Chain = llvm::SmallVector<Factor, 4>;

struct LinearForm {
  llvm::SmallVector<Chain> matrix; ///< Summed.
  struct Offset {
    Channels vector;
    Chain factors;
  };
  llvm::SmallVector<Offset> offsets; ///< Summed.

  void append(const LinearForm &other);
  /// Followed by one more factor.
  void append(const Factor &factor);
  bool hasMatrix() const;
  bool isDiagonal() const; ///< Of diagonal factors alone.
  bool isFinite() const;
};

class LinearAnalysis {
public:
  explicit LinearAnalysis(ModelWeights &weights) : weights(weights), affine(weights) {}

  /// A sum of tensors as a linear function of `base` along `dim`.
  std::optional<LinearForm> formOf(llvm::ArrayRef<AffineTerm> terms, const Channels &offset, mlir::Value base,
                                   unsigned dim);
  /// Tensors it may be a linear function of, the nearest first.
  llvm::SetVector<mlir::Value> ancestorsOf(mlir::Value value, unsigned dim);
  /// The operations between `value` and `base`, that of `value` among them.
  llvm::SetVector<mlir::Operation *> cone(llvm::ArrayRef<mlir::Value> values, mlir::Value base, unsigned dim);

  /// The chains as one weight [k x n] made by recipes, null if there is an identity among several; an error names the weight.
  llvm::Expected<WeightOp> matrixOf(const LinearForm &form);
  /// The offset, of n elements or of one; an error names the weight.
  llvm::Expected<Channels> offsetOf(const LinearForm &form);

  ModelWeights &weights;
  AffineAnalysis affine;

private:
  struct Budget {
    unsigned steps = 32; ///< What is linear through more is not followed.
  };
  std::optional<LinearForm> formOf(mlir::Value value, mlir::Value base, unsigned dim, Budget &budget);
  std::optional<LinearForm> formOf(llvm::ArrayRef<AffineTerm> terms, const Channels &offset, mlir::Value base,
                                   unsigned dim, Budget &budget);
  llvm::SmallVector<mlir::Value> inputsOf(mlir::Value value, unsigned dim);
  WeightOp matrixOf(const Chain &chain);
  WeightOp vector(WeightOp near, const Channels &channels, int64_t rows, int64_t columns);
};

} // namespace tenon
#endif
