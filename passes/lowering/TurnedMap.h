//===- TurnedMap.h - maps that read along another dimension than they write ------------------===//
//
// Worked example, rows of 32 channels from planes of pixels, 16 lanes:
//
//     y[p, c] = gelu(x[c, p])        a lane loop along c gathers: 16 lines of a cache for 16 elements
//
// A square of 16 pixels and 16 channels is 16 vectors of x along p and 16 of y along c, and log2(16) rounds of shuffles
// turn the one into the other (`TransposeTile.h`). Each line is read once, wherever the next channel lies.
//
// Rule. Every turned load reads its tensor along one index of the result, the same for all of them and not the last,
// while the last one moves another of its indices. Squares that would reach over an edge are computed element by
// element.
//
// Limits. Elements of 32 bits; two turned loads; indices that are not data.
//
#ifndef TENON_PASSES_LOWERING_TURNEDMAP_H
#define TENON_PASSES_LOWERING_TURNEDMAP_H

#include "passes/lowering/KernelLowering.h"

namespace tenon {

class TurnedMap {
public:
  /// None where nothing is turned, or squares of lanes do not fit.
  static std::optional<TurnedMap> of(KernelLowering &lowering, MapOp map);

  KernelGrid lower();

private:
  TurnedMap(KernelLowering &lowering, MapOp map) : lowering(lowering), map(map) {}

  /// A load that is turned: its operand of the map, and what it reads as a map of its own.
  struct Turned {
    unsigned operand;
    LoadOp load;
    MapOp alone;
  };
  void emitBlock(mlir::Value unit);
  void emitSquare(llvm::ArrayRef<LaneValue> indices, mlir::Value column);
  void emitElements(llvm::ArrayRef<LaneValue> indices, mlir::Value firstColumn);
  mlir::Value offsetOf(llvm::ArrayRef<LaneValue> indices, mlir::Value column);
  MapOp alone(LoadOp load);

  KernelLowering &lowering;
  MapOp map;
  unsigned along = 0; ///< The dim of the result along which turned loads read.
  unsigned lanes = 0;
  llvm::SmallVector<Turned> turned;
};

} // namespace tenon
#endif
