//===- Calibration.cpp - inputs of the model, and what it makes of them ------------------------===//
#include "compiler/factorization/Calibration.h"
#include "interpreter/Evaluation.h"
#include "interpreter/Indexing.h"
#include "interpreter/Npy.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include <Eigen/Dense>
#include <cmath>

using namespace mlir;

namespace tenon {

using Files = FactorizationRecipe::Files;

//===----------------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------------===//

static SmallVector<std::string> inputNames(FunctionOpInterface function) {
  SmallVector<std::string> names;
  for (unsigned n = 0; n < function.getNumArguments(); ++n) {
    auto name = function.getArgAttrOfType<StringAttr>(n, "tenon.name");
    names.push_back(name ? name.str() : "");
  }
  return names;
}

/// The function all of whose inputs have a file, and no other.
static llvm::Expected<FunctionOpInterface> findEntry(ModuleOp module, const Files &files) {
  std::string known;
  for (auto function : module.getOps<FunctionOpInterface>()) {
    if (!function->hasAttr("tenon.entry"))
      continue;
    SmallVector<std::string> names = inputNames(function);
    auto hasFile = [&](const std::string &name) { return files.count(name) != 0; };
    if (names.size() == files.size() && llvm::all_of(names, hasFile))
      return function;
    known += (known.empty() ? "" : "; or ") + llvm::join(names, ", ");
  }
  std::string found = llvm::join(llvm::map_range(files, [](const auto &file) { return file.first; }), ", ");
  return llvm::createStringError("calibration: wanted a file for each of the inputs %s, found %s", known.c_str(),
                                 found.c_str());
}

/// Sizes that are numbers are compared here, by the input's name; symbols where the model is evaluated.
static bool fits(const Array &array, Value input) {
  Shape shape = shapeOf(input);
  llvm::Expected<DType> wanted = dtypeOf(elementOf(input), input.getParentBlock()->getParentOp());
  if (!wanted) {
    llvm::consumeError(wanted.takeError());
    return false;
  }
  return array.dtype == *wanted && shape.size() == array.shape.size() &&
         llvm::all_of(llvm::zip(shape, array.shape), [](const auto &pair) {
           const Dim &dim = std::get<0>(pair);
           return !dim.constant() || *dim.constant() == std::get<1>(pair);
         });
}

static llvm::Expected<Array> readInput(const std::string &name, const std::string &path, Value input) {
  llvm::Expected<Array> array = readNpy(path);
  if (!array)
    return llvm::createStringError("calibration, '%s': %s", name.c_str(), llvm::toString(array.takeError()).c_str());
  std::string wrong;
  if (!fits(*array, input))
    wrong = llvm::formatv("wanted {0} of {1}, found {2} of {3}", elementOf(input), toString(shapeOf(input)),
                          toString(array->dtype), toString(array->shape));
  else if (array->count() == 0)
    wrong = "wanted at least one element, found none in " + toString(array->shape);
  else if (!llvm::all_of(array->floats, [](double value) { return std::isfinite(value); }))
    wrong = "wanted finite elements, found infinity or NaN";
  if (!wrong.empty())
    return llvm::createStringError("calibration, '%s' (%s): %s", name.c_str(), path.c_str(), wrong.c_str());
  return array;
}

llvm::Expected<Calibration> Calibration::read(ModuleOp module, const FactorizationRecipe &recipe) {
  llvm::Expected<FunctionOpInterface> function = findEntry(module, recipe.calibration);
  if (!function)
    return function.takeError();
  Calibration calibration;
  calibration.entry = function->getName().str();
  for (auto [name, argument] : llvm::zip(inputNames(*function), function->getArguments())) {
    llvm::Expected<Array> input = readInput(name, recipe.calibration.at(name), argument);
    if (!input)
      return input.takeError();
    calibration.inputs.push_back(std::move(*input));
  }
  return calibration;
}

llvm::Expected<std::vector<Array>> Calibration::run(ModuleOp module, const WeightStore &store,
                                                    Interpreter::Observer observer) const {
  Interpreter interpreter(module, store);
  interpreter.observe(std::move(observer));
  llvm::Expected<std::vector<Array>> outputs = interpreter.run(entry, inputs);
  if (!outputs)
    return llvm::createStringError("calibration: %s", llvm::toString(outputs.takeError()).c_str());
  return outputs;
}

//===----------------------------------------------------------------------------===//
// Gram matrices
//===----------------------------------------------------------------------------===//

static void addGram(const Array &tensor, ArrayRef<unsigned> dims, std::vector<double> &gram) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  std::vector<int64_t> strides = stridesOf(tensor.shape), sizes[2], steps[2]; // of rows, of columns
  for (unsigned d = 0; d < tensor.shape.size(); ++d)
    if (!llvm::is_contained(dims, d)) {
      sizes[0].push_back(tensor.shape[d]);
      steps[0].push_back(strides[d]);
    }
  for (unsigned d : dims) {
    sizes[1].push_back(tensor.shape[d]);
    steps[1].push_back(strides[d]);
  }
  std::vector<int64_t> rows = offsetsOf(sizes[0], steps[0]), columns = offsetsOf(sizes[1], steps[1]);
  Matrix x(rows.size(), columns.size());
  for (size_t row = 0; row < rows.size(); ++row)
    for (size_t column = 0; column < columns.size(); ++column)
      x(Eigen::Index(row), Eigen::Index(column)) = tensor.floats[size_t(rows[row] + columns[column])];
  gram.resize(columns.size() * columns.size(), 0);
  Eigen::Map<Matrix>(gram.data(), x.cols(), x.cols()).noalias() += x.transpose() * x;
}

llvm::Error Calibration::addGrams(ModuleOp module, const WeightStore &store, ArrayRef<Request> requests) const {
  auto outputs = run(module, store, [&](Value value, const Array &array) {
    for (const Request &request : requests)
      if (request.tensor == value)
        addGram(array, request.dims, *request.gram);
  });
  return outputs ? llvm::Error::success() : outputs.takeError();
}

//===----------------------------------------------------------------------------===//
// Distances
//===----------------------------------------------------------------------------===//

static double distance(const Array &array, const Array &truth) {
  double square = 0, size = 0;
  for (int64_t n = 0; n < truth.count(); ++n) {
    square += (array.at(n) - truth.at(n)) * (array.at(n) - truth.at(n));
    size += truth.at(n) * truth.at(n);
  }
  return square == 0 ? 0 : std::sqrt(square / size);
}

/// The last value that stands at `place` and has the type, if any is wanted.
static Value valueAt(ModuleOp module, Location place, Type type) {
  Value found;
  module.walk([&](Operation *op) {
    if (op->getNumResults() == 1 && op->getLoc() == place && isa<FunctionOpInterface>(op->getParentOp()) &&
        (!type || op->getResult(0).getType() == type))
      found = op->getResult(0);
  });
  return found;
}

llvm::Expected<std::vector<OutputDistance>> Calibration::compare(ModuleOp before, ModuleOp after,
                                                                 const WeightStore &store,
                                                                 std::vector<FactorizedWeight> &reports) const {
  llvm::DenseMap<Value, SmallVector<FactorizedWeight *>> layers[2];
  llvm::DenseMap<FactorizedWeight *, Array> truth;
  for (FactorizedWeight &report : reports) {
    Value result = report.place ? valueAt(after, Location(report.place), {}) : Value();
    Value original = result ? valueAt(before, Location(report.place), result.getType()) : Value();
    if (original) {
      layers[0][original].push_back(&report);
      layers[1][result].push_back(&report);
    }
  }
  auto original = run(before, store, [&](Value value, const Array &array) {
    for (FactorizedWeight *report : layers[0].lookup(value))
      truth[report] = array;
  });
  if (!original)
    return original.takeError();
  auto outputs = run(after, store, [&](Value value, const Array &array) {
    for (FactorizedWeight *report : layers[1].lookup(value))
      report->distance = distance(array, truth[report]);
  });
  if (!outputs)
    return outputs.takeError();
  auto function = cast<FunctionOpInterface>(after.lookupSymbol(entry));
  std::vector<OutputDistance> distances;
  for (auto [n, output] : llvm::enumerate(*outputs)) {
    auto name = function.getResultAttrOfType<StringAttr>(unsigned(n), "tenon.name");
    distances.push_back({name ? name.str() : std::to_string(n), distance(output, (*original)[n])});
  }
  return distances;
}

} // namespace tenon
