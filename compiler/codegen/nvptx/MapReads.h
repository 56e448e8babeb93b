//===- MapReads.h - how the threads of a map meet memory ----------------------------===//
//
// What a warp reads at once lies together where neighbours along the map's last index are neighbours in memory. Read
// as expressions (passes/simplify/IndexExpression.h), the loads of a region say whether they are:
//
//   | at index … %i, …, %j | distance along %j, %i | is                                                   |
//   |----------------------|-----------------------|------------------------------------------------------|
//   | %x[%i, %j]           | 1, n                  | neighbours; four at a time where n is a multiple of 4 |
//   | %b[%i]               | 0, 1                  | one element for all                                  |
//   | %x[%j, %i]           | n, 1                  | turned: neighbours along %i                          |
//
#ifndef TENON_COMPILER_CODEGEN_NVPTX_MAPREADS_H
#define TENON_COMPILER_CODEGEN_NVPTX_MAPREADS_H

#include "passes/lowering/KernelLowering.h"
#include "passes/simplify/IndexExpression.h"

namespace tenon {

/// Says of every access to a vector that it begins at a multiple of its size: one access each.
void alignVectors(mlir::func::FuncOp function);

class MapReads {
public:
  explicit MapReads(MapOp map);

  /// Loads whose neighbours in memory are along one index of the map that is not the last.
  struct Turned {
    unsigned along;
    llvm::SmallVector<LoadOp, 2> loads;
  };
  std::optional<Turned> turned();

  /// Four neighbours of the result are 16 bytes or less, and every load of theirs is one element, or four that begin at
  /// a multiple of their size: of tensors in memory, or of `computed`, whose elements whoever asks has in registers.
  bool mayTakeFour(mlir::Value computed = {});

  static constexpr int64_t four = 4;

private:
  struct Read {
    LoadOp load;
    mlir::Value tensor; ///< What the map reads.
    Dim offset;
  };
  /// Elements between neighbours along an index; none where that is no constant.
  std::optional<int64_t> distance(const Dim &offset, unsigned along) const;
  bool dependsOnLast(const Dim &offset);
  bool isOneOrFour(const Read &read);

  MapOp map;
  Shape shape;
  IndexDomain domain;
  llvm::SmallVector<std::string> names; ///< Of the indices.
  llvm::SmallVector<Read> reads;
};

} // namespace tenon
#endif
