//===- Profile.h - the time of each command of a program -------------------------------===//
#ifndef TENON_COMPILER_TOOLS_PROFILE_H
#define TENON_COMPILER_TOOLS_PROFILE_H

#include "compiler/driver/Compiler.h"
#include "compiler/explain/Explanation.h"
#include "llvm/Support/Error.h"

namespace tenon {

/// Compiles `model` with `options` for this machine, runs its first entry on made-up inputs of these sizes for about two seconds, and takes
/// medians. `sizes` names every dim; 0 threads: all.
llvm::Expected<Measurement> profile(const std::string &model, const CompileOptions &options,
                                    const Explanation &explanation, const Sizes &sizes, unsigned threads);

} // namespace tenon
#endif
