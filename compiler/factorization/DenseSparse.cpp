//===- DenseSparse.cpp - a matrix as dense bases times sparse codes -------------------------------===//
#include "compiler/factorization/DenseSparse.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace tenon {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// One block W ≈ D S.
class BlockFit {
public:
  BlockFit(const MatrixXd &block, Index rank, Index nonzeros) : w(block), rank(rank), nonzeros(nonzeros) {
    constexpr int turns = 12;
    startBasis();
    for (int turn = 0; turn < turns; ++turn) {
      if (turn)
        improveBasis();
      findCodes();
      double square = (w - basis * codes).squaredNorm();
      if (turn && square >= bestSquare)
        continue;
      bestSquare = square;
      bestBasis = basis;
      bestCodes = codes;
    }
  }

  MatrixXd bestBasis, bestCodes;
  double bestSquare = 0;

private:
  void startBasis() {
    basis.resize(w.rows(), rank);
    for (Index j = 0; j < rank; ++j)
      basis.col(j) = w.col(j * w.cols() / rank);
    normalise();
  }

  /// Columns of length one; one of zeros becomes a unit vector.
  void normalise() {
    for (Index j = 0; j < rank; ++j) {
      if (double length = basis.col(j).norm(); length > 0)
        basis.col(j) /= length;
      else
        basis.col(j) = VectorXd::Unit(w.rows(), j);
    }
  }

  /// Least squares; what no column uses takes the direction of the columns that are furthest off.
  void improveBasis() {
    MatrixXd residual = w - basis * codes;
    MatrixXd gram = codes * codes.transpose();
    basis = gram.completeOrthogonalDecomposition().solve(codes * w.transpose()).transpose();
    VectorXd distances = residual.colwise().squaredNorm();
    std::vector<Index> order(static_cast<size_t>(w.cols()));
    std::iota(order.begin(), order.end(), Index(0));
    std::sort(order.begin(), order.end(),
              [&](Index a, Index b) { return std::pair(-distances[a], a) < std::pair(-distances[b], b); });
    size_t next = 0;
    for (Index j = 0; j < rank; ++j)
      if (gram(j, j) == 0)
        basis.col(j) = residual.col(order[next++]);
    normalise();
  }

  /// Orthogonal matching pursuit, column by column.
  void findCodes() {
    MatrixXd gram = basis.transpose() * basis, products = basis.transpose() * w;
    codes = MatrixXd::Zero(rank, w.cols());
    for (Index c = 0; c < w.cols(); ++c)
      findCode(gram, products.col(c), c);
  }

  void findCode(const MatrixXd &gram, const VectorXd &products, Index c) {
    constexpr double nothing = 1e-12;
    std::vector<Index> support;
    VectorXd open = products, solution;
    while (Index(support.size()) < nonzeros) {
      Index best = 0;
      open.cwiseAbs().maxCoeff(&best);
      if (std::abs(open[best]) <= nothing * products.norm())
        break;
      support.push_back(best);
      solution = gram(support, support).ldlt().solve(products(support));
      open = products - gram(Eigen::indexing::all, support) * solution;
      open(support).setZero();
    }
    for (size_t e = 0; e < support.size(); ++e)
      codes(support[e], c) = solution[Index(e)];
  }

  const MatrixXd &w;
  Index rank, nonzeros;
  MatrixXd basis, codes;
};

} // namespace

DenseSparse DenseSparse::fit(std::span<const float> matrix, int64_t k, int64_t n, Form form) {
  MatrixXd whole = Eigen::Map<const RowMajor>(matrix.data(), k, n).cast<double>();
  RowMajor bases(k, form.blocks * form.basis);
  DenseSparse result;
  result.values.assign(size_t(form.nonzeros * n), 0);
  result.positions.assign(result.values.size(), 0);
  double square = 0;
  for (int64_t b = 0; b < form.blocks; ++b) {
    int64_t begin = beginOf(b, n, form.blocks), width = beginOf(b + 1, n, form.blocks) - begin, first = b * form.basis;
    MatrixXd block = whole.middleCols(begin, width);
    BlockFit fit(block, form.basis, form.nonzeros);
    square += fit.bestSquare;
    bases.middleCols(first, form.basis) = fit.bestBasis.cast<float>();
    for (int64_t c = 0; c < width; ++c)
      for (int64_t j = 0, e = 0; j < form.basis; ++j)
        if (double value = fit.bestCodes(j, c); value != 0) {
          size_t at = size_t(e++ * n + begin + c);
          result.values[at] = float(value);
          result.positions[at] = int32_t(first + j);
        }
  }
  result.basis.assign(bases.data(), bases.data() + bases.size());
  result.error = square == 0 ? 0 : std::sqrt(square) / whole.norm();
  return result;
}

} // namespace tenon
