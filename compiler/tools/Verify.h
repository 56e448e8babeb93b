//===- Verify.h - an artifact against the interpreter ----------------------------------===//
//
// The rule (design 4.16): for each output, the maximum and the RMS error against the
// float64 interpretation are at most twice those of plain evaluation in the kernel's
// type, plus 4 ulp of the largest magnitude. Integers and booleans are equal.
//
#ifndef TENON_COMPILER_TOOLS_VERIFY_H
#define TENON_COMPILER_TOOLS_VERIFY_H

#include "compiler/driver/Compiler.h"

namespace tenon {

struct VerifyOptions {
  CompileOptions compile;
  /// Sizes of dims, for inputs that are made up.
  std::map<std::string, int64_t> sizes;
  /// .npy files of inputs, by name; the others are random.
  std::map<std::string, std::string> files;
  uint64_t seed = 0;
  uint32_t threads = 0;
  /// Compare after every command instead of the outputs alone.
  bool layers = false;
};

struct VerifiedTensor {
  std::string name;   ///< of the output, or of the kernel with --layers
  std::string source; ///< what it was in the model
  double maxError = 0, rmsError = 0;
  double maxAllowed = 0, rmsAllowed = 0;
  bool isGood = true;
};

/// How far engines are from the float64 interpretation of a model: for each folder of outputs
/// (NAME.npy), the largest difference divided by the largest magnitude, of its worst output.
/// `inputs` is a folder of NAME.npy as well.
llvm::Expected<std::vector<double>> errorsOf(const std::string &model, const std::string &inputs,
                                             const std::vector<std::string> &outputs);

/// The tensors compared, in the order they are computed.
llvm::Expected<std::vector<VerifiedTensor>> verify(const std::string &model, const VerifyOptions &options);

} // namespace tenon
#endif
