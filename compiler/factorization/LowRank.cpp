//===- LowRank.cpp - a matrix as a product of two thin ones ------------------------------===//
#include "compiler/factorization/LowRank.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace tenon {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct LowRank::Impl {
  Matrix matrix;
  Matrix weighed;          ///< C W, or W itself.
  bool isTall = false;     ///< Vectors are V's, of (C W)^T C W.
  bool isWeighed = false;
  Eigen::MatrixXd vectors; ///< Columns by falling singular value.
  std::vector<double> tails; ///< tails[r]: the sum of s^2 from value r + 1 on.
};

/// A C with C^T C = gram, and a little more along directions the inputs hardly have.
static Eigen::MatrixXd rootOf(std::span<const double> gram, int64_t k) {
  constexpr double little = 1e-6;
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(Eigen::Map<const Matrix>(gram.data(), k, k));
  Eigen::VectorXd values = solver.eigenvalues().cwiseMax(0.0);
  double mean = values.mean();
  values.array() += mean > 0 ? little * mean : 1;
  return values.cwiseSqrt().asDiagonal() * solver.eigenvectors().transpose();
}

LowRank::LowRank(std::span<const float> matrix, int64_t k, int64_t n, std::span<const double> gram) : impl(new Impl) {
  impl->matrix = Eigen::Map<const FloatMatrix>(matrix.data(), k, n).cast<double>();
  impl->isTall = k > n;
  impl->isWeighed = !gram.empty();
  impl->weighed = impl->isWeighed ? Matrix(rootOf(gram, k) * impl->matrix) : impl->matrix;
  const Matrix &w = impl->weighed;
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(impl->isTall ? Eigen::MatrixXd(w.transpose() * w)
                                                                    : Eigen::MatrixXd(w * w.transpose()));
  impl->vectors = solver.eigenvectors().rowwise().reverse(); // Eigen's values rise
  int64_t count = solver.eigenvalues().size();
  impl->tails.assign(size_t(count) + 1, 0);
  for (int64_t r = count - 1; r >= 0; --r)
    impl->tails[size_t(r)] = impl->tails[size_t(r) + 1] + std::max(solver.eigenvalues()[count - 1 - r], 0.0);
}

LowRank::~LowRank() = default;

double LowRank::errorAt(int64_t rank) const {
  const std::vector<double> &tails = impl->tails;
  return tails[0] == 0 ? 0 : std::sqrt(tails[size_t(rank)] / tails[0]);
}

int64_t LowRank::rankFor(double error) const {
  int64_t rank = 1, most = int64_t(impl->tails.size()) - 1;
  while (rank < most && errorAt(rank) > error)
    ++rank;
  return rank;
}

static std::vector<float> rounded(const Matrix &matrix) {
  FloatMatrix floats = matrix.cast<float>();
  return std::vector<float>(floats.data(), floats.data() + floats.size());
}

LowRank::Factors LowRank::factors(int64_t rank) const {
  Matrix first = impl->vectors.leftCols(rank);
  if (impl->isTall)
    return {rounded(impl->matrix * first), rounded(first.transpose())};
  Matrix right = first.transpose() * impl->weighed;
  if (!impl->isWeighed)
    return {rounded(first), rounded(right)};
  // The rows of `right` are those of V^T times singular values; L wants V.
  for (int64_t row = 0; row < rank; ++row)
    if (double length = right.row(row).norm(); length > 0)
      right.row(row) /= length;
  return {rounded(impl->matrix * right.transpose()), rounded(right)};
}

} // namespace tenon
