//===- tenon-interpret.cpp - what textual IR computes, and whether passes keep it ------===//
//
//   tenon-interpret file.mlir                    prints the outputs of its one function
//   tenon-interpret file.mlir --entry=f          of the function f; --entry=f,g,g of several in turn
//                                                All of them share one session's states.
//     --dim S=7          the value of a symbol; others are small and differ from each other
//     --input n=v        input n (from 0): "random", "iota", a list "1,2,-inf", or file.npy
//     --seed n           of the random inputs
//     --int-range=a..b   random integers lie in [a, b]; default 0..3
//     --plain            floats rounded to their type after every operation
//     --source key=path  the file behind #tenon.source<"key", …>
//     --digits n         significant digits printed; default 6
//
//   tenon-interpret file.mlir --check-passes=tenon-compose-maps,canonicalize
//     evaluates every function (or --entry) before and after the passes, on random
//     inputs, and fails where an output differs by more than
//     --tolerance t      times the larger of 1 and the output's largest magnitude; default 1e-6
//
// Exits with 1 on a failure, with 2 on wrong usage.
//
//===-----------------------------------------------------------------------------===//
#include "interpreter/Npy.h"
#include "dialects/tenon/Tenon.h"
#include "interpreter/Interpreter.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

#include <cmath>
#include <random>

using namespace mlir;
using namespace tenon;

namespace {

//===----------------------------------------------------------------------------===//
// Command line
//===----------------------------------------------------------------------------===//

struct Options {
  std::string file, entry, passes;
  std::map<std::string, int64_t> dims;
  std::map<unsigned, std::string> inputs;
  std::vector<std::pair<std::string, std::string>> sources;
  uint64_t seed = 1;
  int64_t intLow = 0, intHigh = 3;
  double tolerance = 1e-6;
  int digits = 6;
  bool plain = false;
};

[[noreturn]] void wrongUsage(const llvm::Twine &message) {
  llvm::errs() << "tenon-interpret: " << message << "\n";
  std::exit(2);
}

template <typename T> T numberOf(StringRef option, StringRef text) {
  T number;
  bool failed;
  if constexpr (std::is_floating_point_v<T>)
    failed = text.getAsDouble(number);
  else
    failed = text.getAsInteger(10, number);
  if (failed)
    wrongUsage("wanted a number after --" + option + ", found '" + text + "'");
  return number;
}

void setOption(Options &options, StringRef name, StringRef value) {
  auto [key, assigned] = value.split('=');
  if (name == "entry")
    options.entry = value;
  else if (name == "check-passes")
    options.passes = value;
  else if (name == "dim")
    options.dims[key.str()] = numberOf<int64_t>(name, assigned);
  else if (name == "input")
    options.inputs[numberOf<unsigned>(name, key)] = assigned;
  else if (name == "source")
    options.sources.push_back({key.str(), assigned.str()});
  else if (name == "seed")
    options.seed = numberOf<uint64_t>(name, value);
  else if (name == "digits")
    options.digits = numberOf<int>(name, value);
  else if (name == "tolerance")
    options.tolerance = numberOf<double>(name, value);
  else if (name == "int-range") {
    auto [low, high] = value.split("..");
    options.intLow = numberOf<int64_t>(name, low);
    options.intHigh = numberOf<int64_t>(name, high);
  } else
    wrongUsage("unknown option --" + name);
}

Options parseArguments(ArrayRef<const char *> arguments) {
  Options options;
  for (size_t n = 0; n < arguments.size(); ++n) {
    StringRef argument = arguments[n];
    if (argument == "--plain") {
      options.plain = true;
    } else if (argument.consume_front("--")) {
      bool hasValue = argument.contains('=');
      auto [name, value] = argument.split('=');
      if (!hasValue && ++n == arguments.size())
        wrongUsage("wanted a value after --" + name);
      setOption(options, name, hasValue ? value : StringRef(arguments[n]));
    } else if (options.file.empty()) {
      options.file = argument;
    } else {
      wrongUsage("wanted one file, found '" + options.file + "' and '" + argument + "'");
    }
  }
  if (options.file.empty())
    wrongUsage("wanted a file of textual IR; the options stand at the top of compiler/tools/tenon-interpret.cpp");
  return options;
}

//===----------------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------------===//

/// Small, within bounds, divisible, and where possible different for each symbol.
DimValues chooseDims(ModuleOp module, const Options &options, const DimValues &kept = {}) {
  DimValues dims;
  int64_t next = 2;
  for (SymbolOp symbol : module.getOps<SymbolOp>()) {
    int64_t divisor = symbol.getDivisor(), low = symbol.getMin(), high = symbol.getMax();
    int64_t value = llvm::divideCeil(std::max(low, next++), divisor) * divisor;
    dims[symbol.getSymName().str()] = value <= high ? value : high / divisor * divisor;
  }
  for (auto &[name, value] : options.dims)
    dims[name] = value;
  for (auto &[name, value] : kept)
    dims[name] = value;
  return dims;
}

llvm::Expected<DType> elementType(Type type) {
  Type element = cast<RankedTensorType>(type).getElementType();
  std::string name;
  llvm::raw_string_ostream(name) << element;
  for (unsigned n = 0; n <= unsigned(DType::U64); ++n)
    if (toString(DType(n)) == name)
      return DType(n);
  if (element.isIndex())
    return DType::I64;
  return llvm::createStringError(llvm::inconvertibleErrorCode(), "cannot make an input with elements of %s",
                                 name.c_str());
}

void fillRandom(Array &array, std::mt19937_64 &random, const Options &options) {
  for (double &value : array.floats)
    value = roundTo(array.dtype, double(random() >> 11) * 0x1p-52 - 1);
  int64_t low = array.dtype == DType::Bool ? 0 : options.intLow,
          high = array.dtype == DType::Bool ? 1 : options.intHigh;
  for (int64_t &value : array.integers)
    value = low + int64_t(random() % uint64_t(high - low + 1));
}

llvm::Error fillList(Array &array, StringRef list) {
  SmallVector<StringRef> words;
  list.split(words, ',');
  if (int64_t(words.size()) != array.count())
    return llvm::createStringError(llvm::inconvertibleErrorCode(), "wanted %lld elements, found %zu in '%s'",
                                   static_cast<long long>(array.count()), words.size(), list.str().c_str());
  for (auto [n, word] : llvm::enumerate(words)) {
    std::string text = word.trim().str();
    char *end = nullptr;
    double value = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || *end)
      return llvm::createStringError(llvm::inconvertibleErrorCode(), "wanted a number, found '%s'", text.c_str());
    if (array.isFloat())
      array.floats[n] = value;
    else
      array.integers[n] = int64_t(value);
  }
  return llvm::Error::success();
}

llvm::Expected<Array> makeInput(Type type, StringRef how, const DimValues &dims, std::mt19937_64 &random,
                                const Options &options) {
  if (how.ends_with(".npy"))
    return readNpy(how);
  llvm::Expected<DType> dtype = elementType(type);
  if (!dtype)
    return dtype.takeError();
  std::vector<int64_t> shape;
  for (const Dim &dim : shapeOf(type))
    shape.push_back(dim.evaluate(dims).value_or(1));
  Array array = Array::zeros(*dtype, shape);
  if (how == "random") {
    fillRandom(array, random, options);
  } else if (how == "iota") {
    for (auto [n, value] : llvm::enumerate(array.floats))
      value = double(n);
    for (auto [n, value] : llvm::enumerate(array.integers))
      value = int64_t(n);
  } else if (llvm::Error error = fillList(array, how)) {
    return error;
  }
  return array;
}

llvm::Expected<std::vector<Array>> makeInputs(func::FuncOp function, const DimValues &dims, const Options &options) {
  std::mt19937_64 random(options.seed);
  std::vector<Array> inputs;
  for (auto [n, type] : llvm::enumerate(function.getArgumentTypes())) {
    auto given = options.inputs.find(n);
    llvm::Expected<Array> input =
        makeInput(type, given == options.inputs.end() ? "random" : given->second, dims, random, options);
    if (!input)
      return input.takeError();
    inputs.push_back(std::move(*input));
  }
  return inputs;
}

//===----------------------------------------------------------------------------===//
// Printing and comparing
//===----------------------------------------------------------------------------===//

/// The largest |a - b|, and where. Equal infinities and two NaNs do not differ.
struct Difference {
  double largest = 0, magnitude = 1;
  int64_t place = 0;

  void add(int64_t n, double a, double b) {
    if (a == b || (std::isnan(a) && std::isnan(b)))
      return;
    double difference = std::fabs(a - b);
    if (std::isnan(difference))
      difference = std::numeric_limits<double>::infinity();
    if (difference > largest) {
      largest = difference;
      place = n;
    }
  }
};

Difference compare(const Array &before, const Array &after) {
  Difference difference;
  for (int64_t n = 0; n < before.count(); ++n) {
    if (std::isfinite(before.at(n)))
      difference.magnitude = std::max(difference.magnitude, std::fabs(before.at(n)));
    difference.add(n, before.at(n), after.at(n));
  }
  return difference;
}

bool reportDifferences(StringRef function, ArrayRef<Array> before, ArrayRef<Array> after, double tolerance) {
  bool equal = before.size() == after.size();
  if (!equal)
    llvm::errs() << "@" << function << ": " << before.size() << " outputs before the passes, " << after.size()
                 << " after\n";
  for (auto [n, a, b] : llvm::enumerate(before.take_front(after.size()), after.take_front(before.size()))) {
    if (a.dtype != b.dtype || a.shape != b.shape) {
      llvm::errs() << "@" << function << ": output " << n << " is " << toString(a.dtype) << toString(a.shape)
                   << " before the passes, " << toString(b.dtype) << toString(b.shape) << " after\n";
      equal = false;
      continue;
    }
    Difference difference = compare(a, b);
    if (difference.largest <= tolerance * difference.magnitude)
      continue;
    llvm::errs() << "@" << function << ": output " << n << " differs by " << llvm::format("%g", difference.largest)
                 << " at element " << difference.place << " of " << toString(a.shape) << ": "
                 << llvm::format("%.9g before the passes, %.9g after", a.at(difference.place), b.at(difference.place))
                 << "\n";
    equal = false;
  }
  return equal;
}

//===----------------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------------===//

class Session {
public:
  Session(ModuleOp module, const Options &options) : module(module), options(options) {}

  LogicalResult run() {
    if (failed(mapSources()))
      return failure();
    SmallVector<func::FuncOp> functions = chosenFunctions();
    if (functions.empty())
      return fail("the module has no function " + options.entry);
    return options.passes.empty() ? print(functions) : checkPasses(functions);
  }

private:
  LogicalResult fail(const llvm::Twine &message) {
    llvm::errs() << "error: " << message << "\n";
    return failure();
  }
  LogicalResult fail(llvm::Error error) { return fail(llvm::toString(std::move(error))); }

  LogicalResult mapSources() {
    for (const auto &[key, path] : options.sources) {
      auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
      if (!buffer)
        return fail(path + ": " + buffer.getError().message());
      std::shared_ptr<llvm::MemoryBuffer> owner = std::move(*buffer);
      store.add(key, owner->getBufferStart(), owner->getBufferSize(), owner);
    }
    return success();
  }

  SmallVector<func::FuncOp> chosenFunctions() {
    SmallVector<func::FuncOp> all = llvm::to_vector(module.getOps<func::FuncOp>()), chosen;
    llvm::erase_if(all, [](func::FuncOp function) { return function.isExternal(); });
    if (options.entry.empty())
      return all;
    for (StringRef name : llvm::split(options.entry, ','))
      llvm::copy_if(all, std::back_inserter(chosen),
                    [&](func::FuncOp function) { return function.getSymName() == name; });
    return chosen;
  }

  Interpreter newSession() {
    return Interpreter(module, store, options.plain ? Arithmetic::Plain : Arithmetic::Float64);
  }

  LogicalResult print(ArrayRef<func::FuncOp> functions) {
    Interpreter session = newSession();
    for (func::FuncOp function : functions) {
      DimValues dims = chooseDims(module, options, session.kept());
      llvm::Expected<std::vector<Array>> inputs = makeInputs(function, dims, options);
      if (!inputs)
        return fail(inputs.takeError());
      llvm::Expected<std::vector<Array>> outputs = session.run(function.getSymName(), *inputs, dimsToImpose(dims));
      if (!outputs)
        return fail(outputs.takeError());
      for (const Array &output : *outputs)
        llvm::outs() << "@" << function.getSymName() << " " << toString(output.dtype) << toString(output.shape) << ": "
                     << toString(output, options.digits) << "\n";
    }
    return success();
  }

  /// With inputs from files the shapes decide, and only what --dim says is imposed.
  DimValues dimsToImpose(const DimValues &dims) {
    bool fromFiles =
        llvm::any_of(options.inputs, [](auto &input) { return StringRef(input.second).ends_with(".npy"); });
    return fromFiles ? DimValues(options.dims.begin(), options.dims.end()) : dims;
  }

  LogicalResult checkPasses(ArrayRef<func::FuncOp> functions) {
    std::vector<DimValues> dims;
    std::vector<std::string> names;
    std::vector<std::vector<Array>> inputs, before;
    Interpreter first = newSession();
    for (func::FuncOp function : functions) {
      dims.push_back(chooseDims(module, options, first.kept()));
      llvm::Expected<std::vector<Array>> made = makeInputs(function, dims.back(), options);
      if (!made)
        return fail(made.takeError());
      llvm::Expected<std::vector<Array>> outputs = first.run(function.getSymName(), *made, dimsToImpose(dims.back()));
      if (!outputs)
        return fail(outputs.takeError());
      names.push_back(function.getSymName().str());
      inputs.push_back(std::move(*made));
      before.push_back(std::move(*outputs));
    }
    PassManager passes(module.getContext());
    if (failed(parsePassPipeline(options.passes, passes, llvm::errs())) || failed(passes.run(module)))
      return fail("the passes failed");
    bool equal = true;
    Interpreter second = newSession();
    for (size_t n = 0; n < names.size(); ++n) {
      llvm::Expected<std::vector<Array>> after = second.run(names[n], inputs[n], dimsToImpose(dims[n]));
      if (!after)
        return fail("after the passes: " + llvm::toString(after.takeError()));
      equal &= reportDifferences(names[n], before[n], *after, options.tolerance);
    }
    return success(equal);
  }

  ModuleOp module;
  const Options &options;
  WeightStore store;
};

} // namespace

int main(int argc, char **argv) {
  Options options = parseArguments(ArrayRef(argv + 1, argc - 1));
  DialectRegistry registry;
  registry.insert<TenonDialect, arith::ArithDialect, func::FuncDialect, math::MathDialect>();
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  registerTransformsPasses();
  registerTenonPasses();

  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> file = openInputFile(options.file, &message);
  if (!file) {
    llvm::errs() << "error: " << message << "\n";
    return 1;
  }
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  SourceMgrDiagnosticHandler diagnostics(*sources, &context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(*sources, &context);
  return module && succeeded(Session(*module, options).run()) ? 0 : 1;
}
