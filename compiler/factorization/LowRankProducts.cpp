//===- LowRankProducts.cpp - products with weights as two with their factors -------------===//
#include "compiler/factorization/LowRankProducts.h"
#include "compiler/factorization/LowRank.h"
#include "compiler/factorization/ProductNames.h"
#include "dialects/tenon/ContractSpec.h"
#include "dialects/tenon/Tenon.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ThreadPool.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace tenon {
namespace {

/// A weight [rows x columns] and the products `… k …, k n -> … n …` that multiply with it.
struct Candidate {
  WeightOp weight;
  SmallVector<ContractOp> products;
  bool isTransposed = false; ///< The weight stands as [columns x rows].
  FactorizedWeight report;

  const FactorizationStep *step = nullptr;
  LowRank::Factors factors;
};

/// k and n of the second operand, if the op is a product with a matrix.
std::optional<ContractSpec> specOfProduct(ContractOp op) {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), error);
  bool isProduct = spec && !op.getPanels() && spec->rhs.size() == 2 && spec->batch().empty() && spec->lone().empty() &&
                   spec->summed().size() == 1 && spec->columns().size() == 1;
  return isProduct ? spec : std::nullopt;
}

class LowRankProducts {
public:
  LowRankProducts(ModuleOp module, ModelWeights &weights, unsigned threads)
      : module(module), symbols(module), weights(weights), pool(llvm::hardware_concurrency(threads)) {}

  llvm::Error run(llvm::ArrayRef<FactorizationStep> steps, size_t firstNumber, std::vector<FactorizedWeight> &reports) {
    findCandidates();
    for (const auto &[number, step] : llvm::enumerate(steps))
      if (llvm::Error error = select(step, firstNumber + number))
        return error;
    std::vector<std::string> errors(candidates.size());
    for (auto [index, entry] : llvm::enumerate(candidates))
      if (entry.second.step && entry.second.report.reason.empty())
        pool.async([this, &entry = entry.second, &error = errors[index]] { error = factor(entry); });
    pool.wait();
    for (const std::string &error : errors)
      if (!error.empty())
        return llvm::createStringError(error);
    for (auto &[op, candidate] : candidates)
      if (candidate.step) {
        remark(candidate);
        if (candidate.report.rank)
          rewrite(candidate);
        reports.push_back(candidate.report);
      }
    return llvm::Error::success();
  }

private:
  //===--------------------------------------------------------------------------===//
  // Which
  //===--------------------------------------------------------------------------===//

  void findCandidates() {
    module.walk([&](ContractOp op) {
      auto get = op.getRhs().getDefiningOp<GetOp>();
      std::optional<ContractSpec> spec = specOfProduct(op);
      if (!get || !spec)
        return;
      auto weight = symbols.lookup<WeightOp>(get.getWeight());
      bool isTransposed = spec->rhs[0] != spec->summed()[0];
      Candidate &candidate = candidates[weight];
      if (candidate.products.empty()) {
        auto type = cast<RankedTensorType>(weight.getType());
        candidate.weight = weight;
        candidate.isTransposed = isTransposed;
        candidate.report.weight = weight.getSymName().str();
        candidate.report.rows = type.getDimSize(isTransposed);
        candidate.report.columns = type.getDimSize(!isTransposed);
        if (!type.getElementType().isF32())
          candidate.report.reason = "it is not float32";
      } else if (candidate.isTransposed != isTransposed) {
        candidate.report.reason = "it is read along rows and along columns";
      }
      candidate.products.push_back(op);
    });
    noteOtherReaders();
  }

  /// The weights that recipes lead to.
  void addRoots(WeightOp weight, llvm::SmallSetVector<Operation *, 4> &roots) {
    auto recipe = dyn_cast<RecipeAttr>(weight.getValue());
    if (!recipe) {
      roots.insert(weight);
      return;
    }
    for (FlatSymbolRefAttr input : recipe.getInputs())
      addRoots(symbols.lookup<WeightOp>(input.getValue()), roots);
  }

  /// A weight something else reads (a tied embedding) would have to stay beside its factors.
  void noteOtherReaders() {
    DenseMap<Operation *, llvm::SmallSetVector<Operation *, 2>> readers; // root: weights that are read
    DenseSet<Operation *> readOtherwise;
    module.walk([&](GetOp get) {
      auto weight = symbols.lookup<WeightOp>(get.getWeight());
      llvm::SmallSetVector<Operation *, 4> roots;
      addRoots(weight, roots);
      for (Operation *root : roots)
        readers[root].insert(weight);
      auto found = candidates.find(weight);
      bool onlyMultiplies = found != candidates.end() && llvm::all_of(get->getUsers(), [&](Operation *user) {
        return llvm::is_contained(found->second.products, user);
      });
      if (!onlyMultiplies)
        readOtherwise.insert(weight);
    });
    for (auto &[op, candidate] : candidates) {
      llvm::SmallSetVector<Operation *, 4> roots;
      addRoots(candidate.weight, roots);
      bool isShared = readOtherwise.contains(op) || llvm::any_of(roots, [&](Operation *root) { return readers[root].size() > 1; });
      if (isShared && candidate.report.reason.empty())
        candidate.report.reason = "something else reads it too";
    }
  }

  /// Names the patterns of a step may mean.
  static ProductNames namesOfCandidate(const Candidate &candidate) {
    ProductNames names{candidate.report.weight};
    for (ContractOp product : candidate.products)
      names.append(namesOf(product.getLoc()));
    return names;
  }

  llvm::Error select(const FactorizationStep &step, size_t number) {
    ProductPatterns patterns(step);
    auto names = llvm::map_to_vector(candidates, [](const auto &entry) { return namesOfCandidate(entry.second); });
    if (llvm::Error error = patterns.checkAll(names, number))
      return error;
    for (auto [entry, names] : llvm::zip(candidates, names)) {
      Candidate &candidate = entry.second;
      if (candidate.step || !patterns.match(names))
        continue;
      candidate.step = &step;
      candidate.report.sources = llvm::join(llvm::drop_begin(names), ", ");
      if (llvm::Error error = checkRank(candidate, number))
        return error;
    }
    return llvm::Error::success();
  }

  static llvm::Error checkRank(const Candidate &candidate, size_t number) {
    const FactorizedWeight &of = candidate.report;
    int64_t most = std::min(of.rows, of.columns);
    if (!candidate.step->rank || *candidate.step->rank <= most || !of.reason.empty())
      return llvm::Error::success();
    return llvm::createStringError("step %zu: weight '%s' (%lld x %lld): wanted a rank of at most %lld, found %lld", number,
                                   of.weight.c_str(), (long long)of.rows, (long long)of.columns, (long long)most,
                                   (long long)*candidate.step->rank);
  }

  //===--------------------------------------------------------------------------===//
  // Factors
  //===--------------------------------------------------------------------------===//

  /// The matrix as [rows x columns].
  std::string readMatrix(Candidate &candidate, std::vector<float> &matrix) const {
    int64_t rows = candidate.report.rows, columns = candidate.report.columns;
    if (std::string error = weights.read(candidate.weight, matrix); !error.empty())
      return error;
    if (!candidate.isTransposed)
      return "";
    std::vector<float> turned(matrix.size());
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column)
        turned[size_t(row * columns + column)] = matrix[size_t(column * rows + row)];
    matrix = std::move(turned);
    return "";
  }

  /// Whole panels: columns that would be padding carry numbers.
  static int64_t paddedRank(int64_t rank, const FactorizedWeight &of) {
    constexpr int64_t panelWidth = 16;
    return std::min((rank + panelWidth - 1) / panelWidth * panelWidth, std::min(of.rows, of.columns));
  }

  std::string factor(Candidate &candidate) const {
    std::vector<float> matrix;
    if (std::string error = readMatrix(candidate, matrix); !error.empty())
      return error;
    FactorizedWeight &report = candidate.report;
    LowRank lowRank(matrix, report.rows, report.columns);
    int64_t rank = candidate.step->rank ? *candidate.step->rank : paddedRank(lowRank.rankFor(*candidate.step->error), report);
    if (rank * (report.rows + report.columns) >= report.rows * report.columns) {
      report.reason = "rank " + std::to_string(rank) + " would take no fewer elements";
      return "";
    }
    report.rank = rank;
    report.error = lowRank.errorAt(rank);
    candidate.factors = lowRank.factors(rank);
    return "";
  }

  //===--------------------------------------------------------------------------===//
  // The module
  //===--------------------------------------------------------------------------===//

  void rewrite(Candidate &candidate) {
    const FactorizedWeight &report = candidate.report;
    WeightOp right = weights.add(candidate.weight, ".right", {report.rank, report.columns}, std::move(candidate.factors.right));
    WeightOp left = weights.add(candidate.weight, ".left", {report.rows, report.rank}, std::move(candidate.factors.left));
    for (ContractOp product : candidate.products) {
      constexpr StringRef rankIndex = "rank_"; // an index no front end writes
      ContractSpec spec = *specOfProduct(product);
      StringRef column = spec.columns()[0];
      ContractSpec first = spec, second = spec;
      first.rhs = {spec.summed()[0], rankIndex};
      llvm::replace(first.result, column, rankIndex);
      second.lhs = first.result;
      second.rhs = {rankIndex, column};
      OpBuilder builder(product);
      Location loc = product.getLoc();
      auto narrow = ContractOp::create(builder, loc, first.str(), product.getLhs(), WeightRecipes::get(builder, loc, left));
      auto whole = ContractOp::create(builder, loc, second.str(), narrow.getResult(), WeightRecipes::get(builder, loc, right));
      for (ContractOp op : {narrow, whole})
        op.setAccumulateAttr(product.getAccumulateAttr());
      product.replaceAllUsesWith(whole.getResult());
      product.erase();
    }
  }

  static void remark(Candidate &candidate) {
    const FactorizedWeight &report = candidate.report;
    Location loc = candidate.products.front().getLoc();
    auto options = remark::RemarkOpts::name("factorize").category("low-rank");
    if (!report.rank)
      remark::missed(loc, options)
          << remark::reason("{0}, {1} x {2}, left as it is: {3}", report.weight, report.rows, report.columns, report.reason);
    else
      remark::passed(loc, options)
          << remark::add("{0}, {1} x {2}, is two factors of rank {3}: {4:f1} % of its elements and multiply-adds, relative error {5:e1}",
                         report.weight, report.rows, report.columns, report.rank,
                         100.0 * double(report.elementsAfter()) / double(report.elementsBefore()), report.error);
  }

  ModuleOp module;
  SymbolTable symbols;
  ModelWeights &weights;
  llvm::DefaultThreadPool pool;
  llvm::MapVector<Operation *, Candidate> candidates; // by weight, in the order of use
};

} // namespace

llvm::Error factorLowRank(ModuleOp module, ModelWeights &weights, llvm::ArrayRef<FactorizationStep> steps, size_t firstNumber,
                          unsigned threads, std::vector<FactorizedWeight> &reports) {
  return LowRankProducts(module, weights, threads).run(steps, firstNumber, reports);
}

} // namespace tenon
