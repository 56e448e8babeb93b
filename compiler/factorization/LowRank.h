//===- LowRank.h - a matrix as a product of two thin ones --------------------------------===//
//
// W [k x n] ≈ L [k x r] · R [r x n], the best there is of rank r in the Frobenius norm (Eckart and Young 1936):
// with W = U S V^T, L holds the first r columns of U and R = L^T W. The error is what the singular values left
// out weigh, sqrt(s_{r+1}^2 + …) / ||W||.
//
// Worked example. W = [[2, 0], [0, 1]] at rank 1: L = [1, 0]^T, R = [2, 0], error sqrt(1) / sqrt(4 + 1) = 0.447.
//
// The vectors are those of the smaller of W W^T and W^T W, in double: singular values below 1e-8 of the largest
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
  /// `matrix` is k x n, row-major, finite, and stays where it is. Takes time as min(k, n)^2 max(k, n).
  LowRank(std::span<const float> matrix, int64_t k, int64_t n);
  ~LowRank();

  /// Relative error in the Frobenius norm at `rank`, in 0..min(k, n); 0 for a matrix of zeros.
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
