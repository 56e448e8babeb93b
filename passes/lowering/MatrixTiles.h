// Products of bf16 pairs on a matrix unit (such as Intel's AMX): tiles of 16 rows of 64 bytes.
//
// A tile of A is 16 rows of 16 words (MicroKernel.h: pairs of bf16 along k), one of
// B 16 words of k for the 16 columns of a panel, as they stand in memory, one of C
// 16 x 16 sums in f32. One instruction adds the product of a tile of A and one of B
// to a tile of C: 16 * 16 * 32 multiply-adds.
//
// A block of 2 x 2 tiles of C stays in registers over k: each step loads two tiles of
// A and two of B for four products, so loading and multiplying take equal time from
// the first-level cache. The whole nest of one call is in one function, since the
// shapes of the tiles are configured once a function.
//
// Rows come in whole tiles: the rows of A and of C behind the last are computed on,
// and belong to the caller's scratch. Words of k come in whole tiles too: the caller
// pads A and B with zeros.

#pragma once

#include "passes/lowering/MicroKernel.h"

namespace tenon {

/// Rows, words of k and columns of one tile.
inline constexpr int64_t matrixTileSide = 16;

/// Of a module whose level has the unit: a dictionary of the intrinsics `zero`, `load`, `store` and `multiply_add` of
/// LLVM that work on tiles, and of the `type` of a tile.
inline constexpr llvm::StringLiteral bf16TileAttributeName = "tenon.bf16_tile";

/// One product of whole tiles. `a`, `b` and `c` as in TileInput, TilePanels and TileOutput, with constant
/// strides of rows; `rows` and `k` (index) are multiples of 16, `panels` (index) is any number.
struct TileProduct {
  mlir::DictionaryAttr unit;
  mlir::Value a, aOffset;
  int64_t aRow;
  mlir::Value b, bOffset, panelStride;
  int64_t bK;
  mlir::Value c, cOffset;
  int64_t cRow;
  mlir::Value rows, panels, k;
  mlir::Value accumulate; // i1: add to C instead of overwriting it
};

void emitMatrixTiles(mlir::OpBuilder &builder, mlir::Location loc, const TileProduct &product);

} // namespace tenon
