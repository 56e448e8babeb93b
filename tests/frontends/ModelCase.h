//===- ModelCase.h - imported models against PyTorch's outputs ----------------------===//
//
// tests/models/NAME/CASE holds the inputs and the float64 outputs of one run. An imported
// module, evaluated by the float64 interpreter, must give the same up to the constants that
// the model's file holds as float32.
//
#ifndef TENON_TESTS_FRONTENDS_MODELCASE_H
#define TENON_TESTS_FRONTENDS_MODELCASE_H

#include "dialects/tenon/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace tenon::test {

/// The folders with inputs and outputs in `model`, sorted.
std::vector<std::string> casesOf(const std::string &model);

/// Runs the entry function on a case; fails the test where an output differs from the
/// committed one by more than `tolerance` times the larger of 1 and its largest magnitude.
void expectCase(mlir::ModuleOp module, const WeightStore &weights, const std::string &folder, double tolerance);

} // namespace tenon::test
#endif
