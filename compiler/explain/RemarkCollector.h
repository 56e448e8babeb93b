//===- RemarkCollector.h - the passes' remarks as decisions ----------------------------===//
#ifndef TENON_COMPILER_EXPLAIN_REMARKCOLLECTOR_H
#define TENON_COMPILER_EXPLAIN_REMARKCOLLECTOR_H

#include "compiler/explain/Explanation.h"
#include <memory>

namespace mlir {
class MLIRContext;
}

namespace tenon {

/// Collects the remarks passes emit, from its construction on. At most one a context, before
/// any pass runs.
class RemarkCollector {
public:
  explicit RemarkCollector(mlir::MLIRContext *context);
  /// In the order they were first made.
  std::vector<Decision> take();

private:
  std::shared_ptr<std::vector<Decision>> decisions;
};

} // namespace tenon
#endif
