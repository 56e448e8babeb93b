//===- DenseSparse.h - a matrix as dense bases times sparse codes ---------------------------------===//
//
// DSFormer's form. The columns of W [k x n] stand in blocks; each block is W_b ≈ D_b S_b, D_b [k x r] dense, S_b with the same few
// non-zeros in every column. So x W is t = x [D_1 D_2 …], and each of its columns a sum of as many elements of t:
//
//     y_c = Σ_e value[e, c] · t[position[e, c]]
//
// Worked example. W = [[1, 2, 1], [0, 0, 3]], r = 2, one non-zero, one block: D = [[1, 0.316], [0, 0.949]], whose columns are the
// directions of columns of W; S = [[1, 2, 0], [0, 0, 3.162]].
//
// Fitted as Engan's method of optimal directions does: codes by orthogonal matching pursuit, then bases by least squares, in turn,
// from r columns of the block evenly apart; the best of all turns is kept. All of it in double.
//
#ifndef TENON_COMPILER_FACTORIZATION_DENSESPARSE_H
#define TENON_COMPILER_FACTORIZATION_DENSESPARSE_H

#include <cstdint>
#include <span>
#include <vector>

namespace tenon {

struct DenseSparse {
  std::vector<float> basis;       ///< k x (blocks · r)
  std::vector<float> values;      ///< nonzeros x n
  std::vector<int32_t> positions; ///< nonzeros x n: columns of `basis`.
  double error = 0;               ///< Relative, in the Frobenius norm; 0 for a matrix of zeros.

  struct Form {
    int64_t basis = 0, nonzeros = 0, blocks = 1;
  };
  /// The first column of block `b` of `blocks`.
  static int64_t beginOf(int64_t b, int64_t n, int64_t blocks) { return b * n / blocks; }

  /// `matrix` is k x n, row-major and finite; r at most k and the narrowest block's columns, nonzeros at most r.
  static DenseSparse fit(std::span<const float> matrix, int64_t k, int64_t n, Form form);
};

} // namespace tenon
#endif
