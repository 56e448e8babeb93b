//===- NodeCases.cpp - ONNX's own node tests through the importer ---------------------===//
//
//     onnx-node-cases FOLDER
//
// FOLDER/index.txt has a line "NAME INPUTS OUTPUTS RTOL ATOL" for each case, FOLDER/NAME
// its model.onnx, in0.npy, ..., out0.npy, ... Each model is imported and evaluated by the
// interpreter in the types of the program. Prints "NAME: why" for every case whose outputs
// differ by more than ATOL + RTOL * |wanted|; node_cases.py judges that.
//
#include "compiler/tools/Npy.h"
#include "dialects/tenon/Tenon.h"
#include "frontends/onnx/importer/Import.h"
#include "interpreter/Interpreter.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <fstream>
#include <sstream>

using namespace mlir;
using namespace tenon;

namespace {
struct Case {
  std::string name;
  unsigned inputs = 0, outputs = 0;
  double rtol = 0, atol = 0;
};

/// Integers of the program carry no sign; those of a file do.
DType signless(DType dtype) {
  switch (dtype) {
  case DType::U8:
    return DType::I8;
  case DType::U16:
    return DType::I16;
  case DType::U32:
    return DType::I32;
  case DType::U64:
    return DType::I64;
  default:
    return dtype;
  }
}

Array reinterpret(Array array, DType dtype) {
  array.dtype = dtype;
  for (int64_t &value : array.integers)
    value = wrapTo(dtype, value);
  return array;
}

std::string compare(const Array &found, const Array &wanted, const Case &test) {
  if (found.shape != wanted.shape)
    return "wanted shape " + tenon::toString(wanted.shape) + ", found " + tenon::toString(found.shape);
  for (int64_t i = 0; i < wanted.count(); ++i) {
    double x = found.at(i), y = wanted.at(i);
    bool same = wanted.isFloat() ? x == y || (std::isnan(x) && std::isnan(y)) : found.integers[i] == wanted.integers[i];
    if (!same && !(std::fabs(x - y) <= test.atol + test.rtol * std::fabs(y)))
      return llvm::formatv("element {0}: wanted {1}, found {2}", i, y, x);
  }
  return "";
}

/// Why the case fails, empty if it passes.
std::string run(const std::string &folder, const Case &test) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  WeightStore weights;
  std::string messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    messages += diagnostic.str();
    for (Diagnostic &note : diagnostic.getNotes())
      messages += "; " + note.str();
  });
  OwningOpRef<ModuleOp> module = importOnnx(folder + "/model.onnx", context, weights);
  if (!module)
    return messages;
  auto array = [&](const char *kind, unsigned i) { return readNpy(folder + "/" + kind + std::to_string(i) + ".npy"); };
  std::vector<Array> inputs;
  for (unsigned i = 0; i < test.inputs; ++i) {
    auto input = array("in", i);
    if (!input)
      return llvm::toString(input.takeError());
    inputs.push_back(reinterpret(*input, signless(input->dtype)));
  }
  auto outputs = Interpreter(*module, weights, Arithmetic::Plain).run("main", inputs);
  if (!outputs)
    return llvm::toString(outputs.takeError());
  for (unsigned i = 0; i < test.outputs; ++i) {
    auto wanted = array("out", i);
    if (!wanted)
      return llvm::toString(wanted.takeError());
    std::string difference = compare(reinterpret((*outputs)[i], wanted->dtype), *wanted, test);
    if (!difference.empty())
      return "output " + std::to_string(i) + ": " + difference;
  }
  return "";
}
} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    llvm::errs() << "usage: onnx-node-cases FOLDER\n";
    return 2;
  }
  std::string folder = argv[1], line;
  std::ifstream index(folder + "/index.txt");
  while (std::getline(index, line)) {
    Case test;
    std::istringstream(line) >> test.name >> test.inputs >> test.outputs >> test.rtol >> test.atol;
    std::string reason = run(folder + "/" + test.name, test);
    if (!reason.empty())
      llvm::outs() << test.name << ": " << StringRef(reason).take_front(300) << "\n";
  }
  return 0;
}
