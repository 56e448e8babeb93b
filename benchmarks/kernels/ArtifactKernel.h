// One kernel of an artifact, called directly: the machine code users run, without
// the runtime's walk around it.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "compiler/levels/Level.h"
#include "llvm/Support/Error.h"

namespace tenon {

class ArtifactKernel {
public:
  /// Compiles `program` (dialect text with one entry "main" that becomes one
  /// dispatch) for `level`, loads the artifact from memory, and plans the entry
  /// for `symbols`, in order of declaration.
  static llvm::Expected<std::unique_ptr<ArtifactKernel>> compile(const Level &level, const std::string &program,
                                                                 std::vector<int64_t> symbols = {});
  ~ArtifactKernel();

  /// Runs every tile on this thread. Operands in kernel order: inputs and
  /// weights, then the result.
  void run(void *const *operands) const;

private:
  struct Loaded;
  explicit ArtifactKernel(std::unique_ptr<Loaded> loaded);
  std::unique_ptr<Loaded> loaded;
};

} // namespace tenon
