//===- Verify.cpp - an artifact against the interpreter --------------------------------===//
#include "compiler/tools/Verify.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/ModelImpl.h"
#include "compiler/tools/RunInMemory.h"
#include "interpreter/Interpreter.h"
#include <cmath>
#include <random>

using namespace mlir;

namespace tenon {
namespace {

//===----------------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------------===//

/// Sizes of the entry's symbols: as asked, else the least above 1 that bounds and divisor allow. What a session keeps is
/// as in a new one.
std::map<std::string, int64_t> chooseSizes(ModuleOp module, const VerifyOptions &options) {
  std::map<std::string, int64_t> sizes;
  for (SymbolOp symbol : module.getOps<SymbolOp>()) {
    int64_t divisor = symbol.getDivisor();
    int64_t least = symbol.getKept() ? int64_t(symbol.getMin()) : std::max<int64_t>(symbol.getMin(), 7);
    sizes[symbol.getSymName().str()] =
        std::min<int64_t>((least + divisor - 1) / divisor * divisor, symbol.getMax() / divisor * divisor);
  }
  for (const auto &[name, size] : options.sizes)
    sizes[name] = size;
  return sizes;
}

/// Integers read as of this sign: a program's carry none, an entry's arguments may.
Array withSign(Array array, bool isUnsigned) {
  constexpr std::pair<DType, DType> pairs[] = {
      {DType::I8, DType::U8}, {DType::I16, DType::U16}, {DType::I32, DType::U32}, {DType::I64, DType::U64}};
  for (auto [isSigned, unsignedType] : pairs)
    if (array.dtype == isSigned || array.dtype == unsignedType)
      array.dtype = isUnsigned ? unsignedType : isSigned;
  for (int64_t &value : array.integers)
    value = wrapTo(array.dtype, value);
  return array;
}

/// Floats from -1 to 1; integers and booleans 0 or 1, which index any table.
Array randomArray(DType dtype, std::vector<int64_t> shape, std::mt19937_64 &random) {
  Array array = Array::zeros(dtype, std::move(shape));
  for (double &value : array.floats)
    value = roundTo(dtype, double(random() >> 11) * 0x1p-52 - 1);
  for (int64_t &value : array.integers)
    value = int64_t(random() >> 63);
  return array;
}

llvm::Expected<std::vector<Array>> makeInputs(func::FuncOp entry, const VerifyOptions &options) {
  std::map<std::string, int64_t> sizes = chooseSizes(entry->getParentOfType<ModuleOp>(), options);
  std::mt19937_64 random(options.seed);
  std::vector<Array> inputs;
  for (BlockArgument argument : entry.getArguments()) {
    auto name = entry.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "tenon.name");
    std::vector<int64_t> shape;
    for (const Dim &dim : shapeOf(argument)) {
      auto size = dim.evaluate([&](std::string_view symbol) -> std::optional<int64_t> {
        auto it = sizes.find(std::string(symbol));
        return it == sizes.end() ? std::nullopt : std::optional(it->second);
      });
      if (!size)
        return makeError("the size " + dim.str() + " of an input has no value");
      shape.push_back(*size);
    }
    std::optional<DType> dtype = arrayTypeOf(elementOf(argument));
    if (!dtype)
      return makeError("an input has elements of a type that cannot be made up");
    auto file = name ? options.files.find(name.str()) : options.files.end();
    auto array = file == options.files.end() ? llvm::Expected<Array>(randomArray(*dtype, shape, random))
                                             : readArray(file->second);
    if (!array)
      return array.takeError();
    inputs.push_back(withSign(std::move(*array), false));
  }
  return inputs;
}

//===----------------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------------===//

struct ErrorSize {
  double maximum = 0, rms = 0;
};

/// Of `found` against `truth`; where both are NaN, or the same infinity, there is none.
ErrorSize errorOf(const Array &found, const Array &truth) {
  ErrorSize error;
  double squares = 0;
  for (int64_t n = 0; n < truth.count(); ++n) {
    double a = found.at(n), b = truth.at(n);
    if ((std::isnan(a) && std::isnan(b)) || a == b)
      continue;
    double difference = std::isfinite(a) && std::isfinite(b) ? std::abs(a - b) : HUGE_VAL;
    error.maximum = std::max(error.maximum, difference);
    squares += difference * difference;
  }
  error.rms = truth.count() ? std::sqrt(squares / double(truth.count())) : 0;
  return error;
}

/// 4 units in the last place of the largest finite magnitude.
double slackOf(const Array &truth) {
  if (!truth.isFloat())
    return 0;
  double largest = 0;
  for (double value : truth.floats)
    if (std::isfinite(value))
      largest = std::max(largest, std::abs(value));
  int mantissaBits = truth.dtype == DType::F64    ? 52
                     : truth.dtype == DType::F16  ? 10
                     : truth.dtype == DType::BF16 ? 7
                                                  : 23;
  return 4 * std::ldexp(largest, -mantissaBits);
}

VerifiedTensor compare(std::string name, const Array &found, const Array &truth, const Array &plain) {
  VerifiedTensor result;
  result.name = std::move(name);
  ErrorSize error = errorOf(found, truth), honest = errorOf(plain, truth);
  double slack = slackOf(truth);
  result.maxError = error.maximum;
  result.rmsError = error.rms;
  result.maxAllowed = 2 * honest.maximum + slack;
  result.rmsAllowed = 2 * honest.rms + slack;
  result.isGood = error.maximum <= result.maxAllowed && error.rms <= result.rmsAllowed;
  return result;
}

func::FuncOp entryOf(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr("tenon.entry"))
      return function;
  return {};
}

std::string outputName(func::FuncOp entry, unsigned number) {
  auto name = entry.getResultAttrOfType<StringAttr>(number, "tenon.name");
  return name ? name.str() : "output" + std::to_string(number);
}

} // namespace

llvm::Expected<std::vector<VerifiedTensor>> verify(const std::string &path, const VerifyOptions &options) {
  Compiler compiler(options.compile);
  auto reference = compiler.load(path), compiled = compiler.load(path);
  if (!reference)
    return llvm::joinErrors(reference.takeError(), compiled.takeError());
  if (!compiled)
    return compiled.takeError();
  if (options.layers) {
    // Both sides see the program after kernels are formed, with every kernel's result returned.
    for (Model *model : {&*reference, &*compiled})
      if (llvm::Error error = compiler.exposeKernelResults(*model))
        return std::move(error);
  }
  func::FuncOp entry = entryOf(reference->module());
  if (!entry)
    return makeError(path + ": has no entry point");
  auto inputs = makeInputs(entry, options);
  if (!inputs)
    return inputs.takeError();
  auto truth = Interpreter(reference->module(), reference->weights()).run(entry.getSymName(), *inputs);
  if (!truth)
    return truth.takeError();
  auto plain =
      Interpreter(reference->module(), reference->weights(), Arithmetic::Plain).run(entry.getSymName(), *inputs);
  if (!plain)
    return plain.takeError();
  auto program = compiler.compile(std::move(*compiled));
  if (!program)
    return program.takeError();
  auto bytes = program->toMemory();
  if (!bytes)
    return bytes.takeError();
  for (auto [number, input] : llvm::enumerate(*inputs))
    input = withSign(std::move(input), bool(entry.getArgAttr(number, "tenon.unsigned")));
  auto found = runInMemory(*bytes, entry.getSymName().str(), *inputs, options.threads);
  if (!found)
    return found.takeError();
  std::vector<VerifiedTensor> results;
  for (unsigned i = 0; i < truth->size(); ++i)
    results.push_back(compare(outputName(entry, i), withSign((*found)[i], false), (*truth)[i], (*plain)[i]));
  return results;
}

llvm::Expected<std::vector<double>> errorsOf(const std::string &path, const std::string &inputFolder,
                                             const std::vector<std::string> &outputFolders) {
  Compiler compiler;
  auto model = compiler.load(path);
  if (!model)
    return model.takeError();
  func::FuncOp entry = entryOf(model->module());
  if (!entry)
    return makeError(path + ": has no entry point");
  std::vector<Array> inputs;
  for (BlockArgument argument : entry.getArguments()) {
    auto name = entry.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "tenon.name");
    auto array = readArray(inputFolder + "/" + name.str() + ".npy");
    if (!array)
      return array.takeError();
    inputs.push_back(std::move(*array));
  }
  auto truth = Interpreter(model->module(), model->weights()).run(entry.getSymName(), inputs);
  if (!truth)
    return truth.takeError();
  std::vector<double> errors;
  for (const std::string &folder : outputFolders) {
    double worst = 0;
    for (auto [number, wanted] : llvm::enumerate(*truth)) {
      std::string file = folder + "/" + outputName(entry, number) + ".npy";
      auto found = readArray(file);
      if (!found)
        return found.takeError();
      if (found->shape != wanted.shape)
        return makeError(file + ": an output of another shape than the float64 evaluation's");
      double largest = 0;
      for (int64_t n = 0; n < wanted.count(); ++n)
        if (std::isfinite(wanted.at(n)))
          largest = std::max(largest, std::abs(wanted.at(n)));
      worst = std::max(worst, errorOf(*found, wanted).maximum / (largest > 0 ? largest : 1));
    }
    errors.push_back(worst);
  }
  return errors;
}

} // namespace tenon
