//===- Placement.h - where a tensor's element of a batch, head, row and depth stands ---===//
#ifndef TENON_INTERPRETER_PLACEMENT_H
#define TENON_INTERPRETER_PLACEMENT_H

#include "interpreter/Evaluation.h"

namespace tenon {

struct Placement {
  int64_t offset = 0;
  int64_t stride[4] = {0, 0, 0, 0}, size[4] = {1, 1, 1, 1};

  int64_t at(int64_t b, int64_t h, int64_t n, int64_t d) const {
    return offset + b * stride[0] + h * stride[1] + n * stride[2] + d * stride[3];
  }
};

/// By an operand's layout ("b n h d"); `op` is where errors are reported.
llvm::Expected<Placement> placementOf(mlir::Operation *op, llvm::StringRef layout, const Array &tensor);

} // namespace tenon
#endif
