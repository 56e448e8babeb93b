//===- LowRankProducts.cpp - products with weights as two with their factors -------------===//
#include "compiler/factorization/LowRankProducts.h"
#include "compiler/factorization/LowRank.h"
#include "compiler/factorization/WeightMatrices.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/ThreadPool.h"
#include <map>
#include <numeric>

using namespace mlir;

namespace tenon {
namespace {

/// Matrices with a first factor in common: one, but in joint steps.
struct Group {
  SmallVector<WeightMatrix *> matrices;
  std::vector<double> gram; ///< Of what they multiply; empty unless the step whitens.
  std::vector<float> left;
  SmallVector<std::vector<float>> rights;
  std::string error;

  const FactorizationStep &step() const { return *matrices.front()->step; }
  const FactorizedWeight &first() const { return matrices.front()->report; }
  int64_t columns() const {
    return std::accumulate(matrices.begin(), matrices.end(), int64_t(0),
                           [](int64_t sum, const WeightMatrix *matrix) { return sum + matrix->report.columns; });
  }
  std::string names() const {
    return llvm::join(llvm::map_range(matrices, [](const WeightMatrix *matrix) { return matrix->report.weight; }),
                      "', '");
  }
};

/// What a product's left operand is, and which of its dims are summed.
bool multiplySame(ContractOp a, ContractOp b) {
  auto summedDims = [](ContractOp op) {
    ContractSpec spec = *specOfProduct(op);
    return llvm::map_to_vector(spec.summed(), [&](StringRef index) { return positionOf(index, spec.lhs); });
  };
  return a.getLhs() == b.getLhs() && summedDims(a) == summedDims(b);
}

class LowRankProducts {
public:
  LowRankProducts(ModuleOp module, ModelWeights &weights, unsigned threads)
      : module(module), weights(weights), matrices(module, weights), pool(llvm::hardware_concurrency(threads)) {}

  llvm::Error run(const Calibration *calibration, llvm::ArrayRef<FactorizationStep> steps, size_t firstNumber,
                  std::vector<FactorizedWeight> &reports) {
    for (const auto &[number, step] : llvm::enumerate(steps)) {
      if (llvm::Error error = matrices.select(step, firstNumber + number))
        return error;
      if (llvm::Error error = formGroups(step, firstNumber + number))
        return error;
    }
    if (llvm::Error error = addGrams(calibration))
      return error;
    for (Group &group : groups)
      pool.async([this, &group] { group.error = factor(group); });
    pool.wait();
    for (Group &group : groups) {
      if (!group.error.empty())
        return llvm::createStringError(group.error);
      if (group.first().rank)
        rewrite(group);
    }
    for (WeightMatrix *matrix : matrices.selected()) {
      remarkOn(*matrix, nameOf(StepKind::LowRank), describe(*matrix));
      reports.push_back(matrix->report);
    }
    return llvm::Error::success();
  }

private:
  //===--------------------------------------------------------------------------===//
  // Which
  //===--------------------------------------------------------------------------===//

  llvm::Error formGroups(const FactorizationStep &step, size_t number) {
    size_t begin = groups.size();
    for (WeightMatrix *matrix : matrices.selected()) {
      if (matrix->step != &step || !matrix->report.reason.empty())
        continue;
      auto isJoint = [&](const Group &group) {
        ArrayRef<ContractOp> products = group.matrices.front()->products;
        return step.joint && llvm::equal(products, matrix->products, multiplySame);
      };
      auto found = std::find_if(groups.begin() + ptrdiff_t(begin), groups.end(), isJoint);
      if (found == groups.end())
        found = groups.emplace(groups.end());
      found->matrices.push_back(matrix);
    }
    for (const Group &group : llvm::drop_begin(groups, begin)) {
      int64_t rows = group.first().rows, most = std::min(rows, group.columns());
      if (step.rank && *step.rank > most)
        return llvm::createStringError("step %zu: weight '%s' (%lld x %lld): wanted a rank of at most %lld, found %lld",
                                       number, group.names().c_str(), (long long)rows, (long long)group.columns(),
                                       (long long)most, (long long)*step.rank);
    }
    return llvm::Error::success();
  }

  llvm::Error addGrams(const Calibration *calibration) {
    SmallVector<Calibration::Request> requests;
    for (Group &group : groups) {
      if (!group.step().whiten)
        continue;
      for (ContractOp product : group.matrices.front()->products) {
        ContractSpec spec = *specOfProduct(product);
        SmallVector<unsigned> dims;
        for (StringRef index : spec.summed())
          dims.push_back(unsigned(positionOf(index, spec.lhs)));
        requests.push_back({product.getLhs(), dims, &group.gram});
      }
    }
    return requests.empty() ? llvm::Error::success() : calibration->addGrams(module, weights.store, requests);
  }

  //===--------------------------------------------------------------------------===//
  // Factors
  //===--------------------------------------------------------------------------===//

  /// The group's matrices side by side.
  std::string readMatrix(const Group &group, std::vector<float> &whole) const {
    int64_t rows = group.first().rows, columns = group.columns(), at = 0;
    whole.resize(size_t(rows * columns));
    for (const WeightMatrix *matrix : group.matrices) {
      std::vector<float> part;
      if (std::string error = matrix->read(weights, part); !error.empty())
        return error;
      int64_t width = matrix->report.columns;
      for (int64_t row = 0; row < rows; ++row)
        std::copy_n(part.begin() + row * width, width, whole.begin() + row * columns + at);
      at += width;
    }
    return "";
  }

  /// Whole panels: columns that would be padding carry numbers.
  static int64_t paddedRank(int64_t rank, int64_t most) {
    constexpr int64_t panelWidth = 16;
    return std::min((rank + panelWidth - 1) / panelWidth * panelWidth, most);
  }

  std::string factor(Group &group) const {
    std::vector<float> matrix;
    if (std::string error = readMatrix(group, matrix); !error.empty())
      return error;
    int64_t rows = group.first().rows, columns = group.columns();
    LowRank lowRank(matrix, rows, columns, group.gram);
    const FactorizationStep &step = group.step();
    int64_t rank = step.rank ? *step.rank : paddedRank(lowRank.rankFor(*step.error), std::min(rows, columns));
    bool isSmaller = rank * (rows + columns) < rows * columns;
    for (WeightMatrix *member : group.matrices) {
      FactorizedWeight &report = member->report;
      report.rank = isSmaller ? rank : 0;
      report.error = lowRank.errorAt(rank);
      report.isShared = member != group.matrices.front();
      if (!isSmaller)
        report.reason = "rank " + std::to_string(rank) + " would take no fewer elements";
    }
    if (isSmaller)
      setFactors(group, lowRank.factors(rank), rank);
    return "";
  }

  /// Each matrix has the columns of the second factor that make its own.
  static void setFactors(Group &group, LowRank::Factors factors, int64_t rank) {
    group.left = std::move(factors.left);
    int64_t columns = group.columns(), at = 0;
    for (const WeightMatrix *matrix : group.matrices) {
      int64_t width = matrix->report.columns;
      std::vector<float> &right = group.rights.emplace_back();
      for (int64_t row = 0; row < rank; ++row)
        right.insert(right.end(), factors.right.begin() + row * columns + at,
                     factors.right.begin() + row * columns + at + width);
      at += width;
    }
  }

  //===--------------------------------------------------------------------------===//
  // The module
  //===--------------------------------------------------------------------------===//

  void rewrite(Group &group) {
    int64_t rank = group.first().rank;
    SmallVector<int64_t> leftSizes = group.matrices.front()->rowSizes();
    leftSizes.push_back(rank);
    WeightOp left = weights.add(group.matrices.front()->weight, ".left", leftSizes, std::move(group.left));
    std::map<std::pair<void *, std::string>, Value> narrowed; // by what is multiplied, and how
    for (auto [matrix, elements] : llvm::zip(group.matrices, group.rights)) {
      SmallVector<int64_t> rightSizes{rank};
      rightSizes.append(matrix->columnSizes());
      WeightOp right = weights.add(matrix->weight, ".right", rightSizes, std::move(elements));
      matrix->report.place = LocationAttr(matrix->products.front().getLoc());
      for (ContractOp product : matrix->products) {
        ProductInTwo two(*specOfProduct(product));
        Value &narrow = narrowed[{product.getLhs().getAsOpaquePointer(), two.first.str()}];
        if (!narrow)
          narrow = multiply(product, two.first, product.getLhs(), left);
        replace(product, multiply(product, two.second, narrow, right));
      }
    }
  }

  /// Where the left operand is known, or at the product, whichever is first.
  static Value multiply(ContractOp product, const ContractSpec &spec, Value tensor, WeightOp weight) {
    OpBuilder builder(product);
    if (tensor == product.getLhs())
      builder.setInsertionPointAfterValue(tensor);
    auto op = ContractOp::create(builder, product.getLoc(), spec.str(), tensor,
                                 WeightRecipes::get(builder, product.getLoc(), weight));
    op.setAccumulateAttr(product.getAccumulateAttr());
    return op.getResult();
  }

  static void replace(ContractOp product, Value result) {
    product.replaceAllUsesWith(result);
    product.erase();
  }

  static std::string describe(const WeightMatrix &matrix) {
    const FactorizedWeight &report = matrix.report;
    return llvm::formatv(
        "is two factors of rank {0}{1}: {2:f1} % of its elements and multiply-adds, relative error {3:e1}{4}",
        report.rank, report.isShared ? ", the first shared" : "",
        100.0 * double(report.elementsAfter()) / double(report.elementsBefore()), report.error,
        matrix.step->whiten ? " of its results" : "");
  }

  ModuleOp module;
  ModelWeights &weights;
  WeightMatrices matrices;
  llvm::DefaultThreadPool pool;
  std::vector<Group> groups;
};

} // namespace

llvm::Error factorLowRank(ModuleOp module, ModelWeights &weights, const Calibration *calibration,
                          llvm::ArrayRef<FactorizationStep> steps, size_t firstNumber, unsigned threads,
                          std::vector<FactorizedWeight> &reports) {
  return LowRankProducts(module, weights, threads).run(calibration, steps, firstNumber, reports);
}

} // namespace tenon
