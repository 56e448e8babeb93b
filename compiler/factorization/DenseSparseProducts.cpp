//===- DenseSparseProducts.cpp - products with dense bases and sparse codes -----------------------===//
#include "compiler/factorization/DenseSparseProducts.h"
#include "compiler/factorization/DenseSparse.h"
#include "compiler/factorization/WeightMatrices.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/ThreadPool.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace tenon {
namespace {

using Form = DenseSparse::Form;

int64_t elementsOf(const FactorizedWeight &of, const Form &form) {
  return form.blocks * form.basis * of.rows + 2 * form.nonzeros * of.columns; // each non-zero has a place
}

llvm::Error checkForm(const FactorizedWeight &of, const Form &form, size_t number) {
  int64_t most = std::min(of.rows, of.columns / form.blocks);
  if (form.basis <= most)
    return llvm::Error::success();
  return llvm::createStringError(
      "step %zu: weight '%s' (%lld x %lld in %lld blocks): wanted a basis of at most %lld, found %lld", number,
      of.weight.c_str(), (long long)of.rows, (long long)of.columns, (long long)form.blocks, (long long)most,
      (long long)form.basis);
}

/// Σ_e values[e, c] · narrow[.., positions[e, c], ..], c the index `dim`.
Value gather(ContractOp product, Value narrow, Value values, Value positions, unsigned dim, int64_t nonzeros) {
  OpBuilder builder(product);
  SmallVector<Value> inputs{narrow, values, positions};
  auto map = MapOp::create(builder, product.getLoc(), cast<RankedTensorType>(product.getType()), inputs,
                           [&](OpBuilder &b, Location loc, ValueRange t, ValueRange at) -> Value {
                             Value sum;
                             for (int64_t e = 0; e < nonzeros; ++e) {
                               SmallVector<Value> code{arith::ConstantIndexOp::create(b, loc, e), at[dim]}, place(at);
                               place[dim] = arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                                                       LoadOp::create(b, loc, t[2], code));
                               Value element = arith::MulFOp::create(b, loc, LoadOp::create(b, loc, t[0], place),
                                                                     LoadOp::create(b, loc, t[1], code));
                               sum = sum ? Value(arith::AddFOp::create(b, loc, sum, element)) : element;
                             }
                             return sum;
                           });
  return map.getResult();
}

void rewrite(WeightMatrix &matrix, DenseSparse fit, const Form &form, ModelWeights &weights) {
  SmallVector<int64_t> basisSizes = matrix.rowSizes();
  basisSizes.push_back(form.blocks * form.basis);
  SmallVector<int64_t> codeSizes{form.nonzeros, matrix.report.columns};
  WeightOp basis = weights.add(matrix.weight, ".basis", basisSizes, std::move(fit.basis));
  WeightOp values = weights.add(matrix.weight, ".values", codeSizes, std::move(fit.values));
  WeightOp positions = weights.add(matrix.weight, ".positions", codeSizes, std::move(fit.positions));
  matrix.report.place = LocationAttr(matrix.products.front().getLoc());
  for (ContractOp product : matrix.products) {
    ContractSpec first = ProductInTwo(*specOfProduct(product)).first;
    OpBuilder builder(product);
    Location loc = product.getLoc();
    auto get = [&](WeightOp weight) { return WeightRecipes::get(builder, loc, weight); };
    auto narrow = ContractOp::create(builder, loc, first.str(), product.getLhs(), get(basis));
    narrow.setAccumulateAttr(product.getAccumulateAttr());
    unsigned dim = unsigned(positionOf(ProductInTwo::middle, first.result));
    product.replaceAllUsesWith(gather(product, narrow.getResult(), get(values), get(positions), dim, form.nonzeros));
    product.erase();
  }
}

void describe(FactorizedWeight &report, const Form &form, double error) {
  report.error = error;
  report.before = report.rows * report.columns;
  report.after = elementsOf(report, form);
  report.change = llvm::formatv("{0} bases of {1} columns, {2} non-zeros in each of its own", form.blocks, form.basis,
                                form.nonzeros);
}

} // namespace

llvm::Error factorDenseSparse(ModuleOp module, ModelWeights &weights, const FactorizationStep &step, size_t number,
                              unsigned threads, std::vector<FactorizedWeight> &reports) {
  WeightMatrices matrices(module, weights);
  if (llvm::Error error = matrices.select(step, number))
    return error;
  SmallVector<WeightMatrix *> selected = matrices.selected();
  for (WeightMatrix *matrix : selected) {
    FactorizedWeight &report = matrix->report;
    if (!report.reason.empty())
      continue;
    if (llvm::Error error = checkForm(report, step.form, number))
      return error;
    if (elementsOf(report, step.form) >= report.rows * report.columns)
      report.reason = "bases and codes would take no fewer elements";
    else if (matrix->columnSizes().size() != 1)
      report.reason = "its columns are several dims";
  }
  std::vector<DenseSparse> fits(selected.size());
  std::vector<std::string> errors(selected.size());
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(threads));
  for (auto [matrix, fit, error] : llvm::zip(selected, fits, errors))
    if (matrix->report.reason.empty())
      pool.async([&, matrix = matrix, &fit = fit, &error = error] {
        std::vector<float> elements;
        error = matrix->read(weights, elements);
        if (error.empty())
          fit = DenseSparse::fit(elements, matrix->report.rows, matrix->report.columns, step.form);
      });
  pool.wait();
  for (auto [matrix, fit, error] : llvm::zip(selected, fits, errors)) {
    if (!error.empty())
      return llvm::createStringError("step %zu: %s", number, error.c_str());
    FactorizedWeight &report = matrix->report;
    if (report.reason.empty())
      describe(report, step.form, fit.error);
    remarkOn(*matrix, nameOf(step.kind),
             llvm::formatv("is {0}: {1:f1} % of its elements, relative error {2:e1}", report.change,
                           100.0 * double(report.elementsAfter()) / double(report.elementsBefore()), report.error));
    if (report.reason.empty())
      rewrite(*matrix, std::move(fit), step.form, weights);
    reports.push_back(report);
  }
  return llvm::Error::success();
}

} // namespace tenon
