//===- WeightMatrices.cpp - the matrices that products with weights multiply by --------------===//
#include "compiler/factorization/WeightMatrices.h"
#include "compiler/factorization/ProductNames.h"
#include "interpreter/Array.h"
#include "interpreter/Indexing.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// One matrix
//===----------------------------------------------------------------------------===//

static SmallVector<int64_t> sizesAlong(WeightOp weight, ArrayRef<unsigned> dims) {
  return llvm::map_to_vector(dims, [&](unsigned dim) { return sizesOf(weight)[dim]; });
}
SmallVector<int64_t> WeightMatrix::rowSizes() const { return sizesAlong(weight, ArrayRef(order).take_front(rowDims)); }
SmallVector<int64_t> WeightMatrix::columnSizes() const {
  return sizesAlong(weight, ArrayRef(order).drop_front(rowDims));
}

std::string WeightMatrix::read(const ModelWeights &weights, std::vector<float> &matrix) const {
  std::vector<float> elements;
  WeightOp op = weight;
  if (std::string error = weights.read(op, elements); !error.empty())
    return error;
  SmallVector<int64_t> strides(order.size(), 1), sizes = sizesAlong(op, order);
  for (auto [stride, dim] : llvm::zip(strides, order))
    for (int64_t inner : sizesOf(op).drop_front(dim + 1))
      stride *= inner;
  matrix.clear();
  for (int64_t offset : offsetsOf(sizes, strides))
    matrix.push_back(elements[size_t(offset)]);
  return "";
}

std::optional<ContractSpec> specOfProduct(ContractOp op) {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), error);
  bool isProduct = spec && !op.getPanels() && spec->batch().empty() && spec->lone().empty() &&
                   !spec->summed().empty() && !spec->columns().empty();
  return isProduct ? spec : std::nullopt;
}

ProductInTwo::ProductInTwo(const ContractSpec &spec) : first(spec), second(spec) {
  ContractSpec::Indices summed = spec.summed(), columns = spec.columns();
  first.rhs = summed;
  first.rhs.push_back(middle);
  *llvm::find(first.result, columns[0]) = middle;
  llvm::erase_if(first.result, [&](StringRef index) { return llvm::is_contained(columns, index); });
  second.lhs = first.result;
  second.rhs = {middle};
  second.rhs.append(columns);
}

void remarkOn(const WeightMatrix &matrix, StringRef category, const std::string &change) {
  const FactorizedWeight &report = matrix.report;
  ContractOp product = matrix.products.front();
  auto options = remark::RemarkOpts::name("factorize").category(category);
  std::string place = llvm::formatv("{0}, {1} x {2}", report.weight, report.rows, report.columns).str();
  if (!report.reason.empty())
    remark::missed(product.getLoc(), options) << remark::reason("{0}, left as it is: {1}", place, report.reason);
  else
    remark::passed(product.getLoc(), options) << remark::add("{0}, {1}", place, change);
}

//===----------------------------------------------------------------------------===//
// All of a module
//===----------------------------------------------------------------------------===//

WeightMatrices::WeightMatrices(ModuleOp module, const ModelWeights &weights) : symbols(module) {
  module.walk([&](ContractOp op) {
    WeightOp weight = weights.of(op.getRhs());
    std::optional<ContractSpec> spec = specOfProduct(op);
    if (!weight || !spec)
      return;
    SmallVector<unsigned> order;
    for (const ContractSpec::Indices &indices : {spec->summed(), spec->columns()})
      for (StringRef index : indices)
        order.push_back(unsigned(positionOf(index, spec->rhs)));
    WeightMatrix &matrix = matrices[weight];
    FactorizedWeight &report = matrix.report;
    if (matrix.products.empty()) {
      matrix.weight = weight;
      matrix.order = order;
      matrix.rowDims = unsigned(spec->summed().size());
      report.weight = weight.getSymName().str();
      report.rows = countOf(matrix.rowSizes());
      report.columns = countOf(matrix.columnSizes());
      if (!isFloat32(weight))
        report.reason = "it is not float32";
    } else if (matrix.order != order || matrix.rowDims != spec->summed().size()) {
      report.reason = "it is read along rows and along columns";
    }
    matrix.products.push_back(op);
  });
  noteOtherReaders(module);
}

/// The weights that recipes lead to.
void WeightMatrices::addRoots(WeightOp weight, llvm::SmallPtrSetImpl<Operation *> &roots) const {
  auto recipe = dyn_cast<RecipeAttr>(weight.getValue());
  if (!recipe) {
    roots.insert(weight);
    return;
  }
  for (FlatSymbolRefAttr input : recipe.getInputs())
    addRoots(symbols.lookup<WeightOp>(input.getValue()), roots);
}

/// A weight something else reads (a tied embedding) would have to stay beside its factors.
void WeightMatrices::noteOtherReaders(ModuleOp module) {
  DenseMap<Operation *, llvm::SmallPtrSet<Operation *, 2>> readers; // root: weights that are read
  DenseSet<Operation *> readOtherwise;
  module.walk([&](GetOp get) {
    auto weight = symbols.lookup<WeightOp>(get.getWeight());
    llvm::SmallPtrSet<Operation *, 4> roots;
    addRoots(weight, roots);
    for (Operation *root : roots)
      readers[root].insert(weight);
    auto found = matrices.find(weight);
    bool onlyMultiplies = found != matrices.end() && llvm::all_of(get->getUsers(), [&](Operation *user) {
      return llvm::is_contained(found->second.products, user);
    });
    if (!onlyMultiplies)
      readOtherwise.insert(weight);
  });
  for (auto &[op, matrix] : matrices) {
    llvm::SmallPtrSet<Operation *, 4> roots;
    addRoots(matrix.weight, roots);
    bool isShared =
        readOtherwise.contains(op) || llvm::any_of(roots, [&](Operation *root) { return readers[root].size() > 1; });
    if (isShared && matrix.report.reason.empty())
      matrix.report.reason = "something else reads it too";
  }
}

llvm::Error WeightMatrices::select(const FactorizationStep &step, size_t number) {
  ProductPatterns patterns(step);
  auto namesOfNodes = [](const WeightMatrix &matrix) {
    ProductNames names;
    for (ContractOp product : matrix.products)
      names.append(namesOf(product.getLoc()));
    return names;
  };
  auto namesOfMatrix = [&](const auto &entry) {
    ProductNames names = namesOf(entry.second.weight);
    names.append(namesOfNodes(entry.second));
    return names;
  };
  auto names = llvm::map_to_vector(matrices, namesOfMatrix);
  if (llvm::Error error = patterns.checkAll(names, number))
    return error;
  for (auto [entry, names] : llvm::zip(matrices, names)) {
    WeightMatrix &matrix = entry.second;
    if (matrix.step || !patterns.match(names))
      continue;
    matrix.step = &step;
    matrix.report.sources = llvm::join(namesOfNodes(matrix), ", ");
  }
  return llvm::Error::success();
}

SmallVector<WeightMatrix *> WeightMatrices::selected() {
  SmallVector<WeightMatrix *> found;
  for (auto &[op, matrix] : matrices)
    if (matrix.step)
      found.push_back(&matrix);
  return found;
}

} // namespace tenon
