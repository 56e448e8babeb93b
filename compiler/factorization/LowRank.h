//===- LowRank.h - a matrix as a product of two thin ones --------------------------------===//
//
// W [k x n] ≈ L [k x r] · R [r x n], the best there is of rank r in the Frobenius norm (Eckart and Young 1936):
// with W = U S V^T, L holds the first r columns of U and R = L^T W. The error is what the singular values left
// out weigh, sqrt(s_{r+1}^2 + …) / ||W||.
//
// Worked example. W = [[2, 0], [0, 1]] at rank 1: L = [1, 0]^T, R = [2, 0], error sqrt(1) / sqrt(4 + 1) = 0.447.
//
// Weighed by activations, it is the outputs that are kept: with G = X^T X of inputs X, and C^T C = G, the error is
// ||X (W - L R)|| / ||X W||, and smallest for C W = U S V^T with R = V_r^T, L = W V_r: a projection of the outputs, so that nothing
// is divided by what the inputs hardly have. A millionth of G's mean diagonal is added to it: along directions no input has, the
// matrix itself is kept, and fewer inputs than rows are no special case.
//
// The vectors are those of the smaller of W W^T and W^T W (or of C W), in double: singular values below 1e-8 of the largest
// are not resolved, where a float32 weight has no digits either.
//
#ifndef TENON_COMPILER_FACTORIZATION_LOWRANK_H
#define TENON_COMPILER_FACTORIZATION_LOWRANK_H

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tenon {

class LowRank {
public:
  /// `matrix` is k x n, row-major, finite, and stays where it is; so is `gram`, k x k, if it is not empty.
  /// Takes time as min(k, n)^2 max(k, n), and k^2 max(k, n) with a Gram matrix.
  LowRank(std::span<const float> matrix, int64_t k, int64_t n, std::span<const double> gram = {});
  ~LowRank();

  /// Relative error in the Frobenius norm, of the matrix or of the outputs, at `rank`, in 0..min(k, n); 0 for a matrix of zeros.
  double errorAt(int64_t rank) const;
  /// The smallest rank, at least 1, whose error is at most `error`.
  int64_t rankFor(double error) const;

  struct Factors {
    std::vector<float> left, right; ///< k x rank, rank x n
  };
  Factors factors(int64_t rank) const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace tenon
#endif
