//===- HostArtifact.h - a model compiled for this machine -------------------------------===//
#ifndef TENON_COMPILER_TOOLS_HOSTARTIFACT_H
#define TENON_COMPILER_TOOLS_HOSTARTIFACT_H

#include "compiler/driver/Compiler.h"

namespace tenon {

/// Compiles `model` for this machine alone and writes the artifact.
inline llvm::Error compileForThisMachine(const std::string &model, const std::string &artifact,
                                         CompileOptions options = {}) {
  options.targets = "host";
  Compiler compiler(options);
  auto loaded = compiler.load(model);
  if (!loaded)
    return loaded.takeError();
  auto compiled = compiler.compile(std::move(*loaded));
  return compiled ? compiled->write(artifact) : compiled.takeError();
}

} // namespace tenon
#endif
