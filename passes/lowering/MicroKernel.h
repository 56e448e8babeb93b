// The register-tile matrix product that contractions and attention share.
//
//   C[i][n] (+)= sum over k of A[i][k] * B[k][n]     i < h, n < panels * 16
//
// One tile keeps its h x panels*16 sums in registers over the whole of k, reads
// B as vectors of panels `[k][16]` and broadcasts the scalars of A. Rows are
// dynamic, so a tile exists in every height 1..rows behind one switch, and rows
// are split into nearly equal heights: with a tallest tile of 14 rows, 16 rows
// are 8 + 8, not 14 + 2 (design 4.6).
//
// Every sum runs over k in order from zero, one fused multiply-add each, and is
// then stored, or added to what C holds, whatever the height and the width: a
// row's result does not depend on how many rows there are, nor on who computes
// it. A long k taken in pieces that way has a smaller rounding error than in one
// go: of n terms in pieces of c it grows as sqrt(n c) instead of n.
//
// Costs, per k: `panels * 16 / lanes` vector loads and h broadcasts for h times
// as many multiply-adds as vector loads. Where vectors have 128 bits, four steps of
// a row of A are one load, and multiply-adds take its lanes instead of broadcasts.
//
// A step of k is one 32-bit word of A and of B: an f32, or a pair of bf16 that are
// neighbours along k, whose two products are added to an f32 sum. So a product of
// bf16 is the product of f32 with half the steps and another multiply-add.

#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OpDefinition.h"

namespace tenon {

/// Of a module whose level adds the products of bf16 pairs in one instruction: the intrinsic's name, a string.
/// vector<lanes x f32> of the sums, then two vectors of pairs.
inline constexpr llvm::StringLiteral bf16DotAttributeName = "tenon.bf16_dot";

/// Of a module whose level broadcasts factors of A by loads that reach few elements from a pointer (OperandStream.h). Pointers
/// are then moved once for several steps, in the order written: LLVM's own would spill (compiler/codegen/SourceOrder.h).
inline constexpr llvm::StringLiteral shortOffsetsAttributeName = "tenon.short_offsets";

/// LLVM's intrinsic for the products of bf16 pairs in register tiles, of vectors of known or of unknown length as the module's level has
/// them; empty if it has none.
llvm::StringRef bf16DotOf(mlir::ModuleOp module);

/// `sum` and, lane by lane, the products of two pairs of bf16; a and b are vectors of as many bytes. `intrinsic` as above.
mlir::Value emitBf16Dot(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef intrinsic, mlir::Value sum,
                        mlir::Value a, mlir::Value b);

/// How a word of A times a word of B is added to a sum.
enum class TileStep {
  F32,       // one fused multiply-add
  Bf16Dot,   // the level's instruction for pairs of bf16 (denormals are zero)
  Bf16Split, // pairs of bf16 taken apart into f32: the even one is added first
  Bf16Tile,  // whole tiles of pairs on a matrix unit (MatrixTiles.h; denormals are zero)
};

/// What a level's registers hold; filled from the target's level table.
struct RegisterTile {
  unsigned lanes;     // fp32 elements of a vector register: 4, 8 or 16
  unsigned registers; // vector registers
  unsigned rows;      // tallest tile
  TileStep step = TileStep::F32;
  llvm::StringRef bf16Dot = {}; // of Bf16Dot: the intrinsic, from bf16DotOf
  mlir::DictionaryAttr unit = {}; // of Bf16Tile: its intrinsics (MatrixTiles.h)

  static constexpr unsigned panelWidth = 16;
  /// Of k and of the rows of A and C, a product takes whole tiles only: the caller pads.
  bool takesWholeTiles() const { return step == TileStep::Bf16Tile; }
  unsigned vectorsPerPanel() const { return panelWidth / lanes; }

  /// Panels a tile of `height` rows is wide: as many of `most` as the registers hold
  /// and divide it, since a low and narrow tile leaves the multiply-add units waiting.
  unsigned panelsAt(unsigned height, unsigned most = widestTile) const;

  static constexpr unsigned widestTile = 6;
};

/// Element (i, k) of A is at offset + i * rowStride + k * kStride of `base`, or, where there is a table, at
/// table[tableOffset + k] in place of k * kStride, which is then 0.
struct TileInput {
  mlir::Value base;   // memref<?xf32>
  mlir::Value offset; // index
  mlir::OpFoldResult rowStride;
  mlir::OpFoldResult kStride;
  mlir::Value table = {}, tableOffset = {}; // memref<?xi64>, index
};

/// Element (k, p * 16 + c) of B is at offset + p * panelStride + k * kStride + c, or, where there is a table, at
/// table[tableOffset + k] in place of k * kStride: rows of B wherever they are.
struct TilePanels {
  mlir::Value base;   // memref<?xf32>
  mlir::Value offset; // index
  mlir::OpFoldResult panelStride;
  mlir::OpFoldResult kStride;
  mlir::Value table = {}, tableOffset = {}; // memref<?xi64>, index
};

/// Element (i, n) of C is at offset + i * rowStride + n of `base`.
struct TileOutput {
  mlir::Value base;   // memref<?xf32>
  mlir::Value offset; // index
  mlir::OpFoldResult rowStride;
};

/// Memory another tile will read soon: while this one runs, every turn of its
/// loop asks for the line of element offset + p * panelStride + k * kStep of
/// `base`, for each of `streams` p. Addresses beyond the end do no harm.
struct TilePrefetch {
  mlir::Value base;                       // memref<?xf32>; null: nothing to ask for
  mlir::Value offset, panelStride, kStep; // index
  bool intoL1 = true;                     // else into L2
  unsigned streams = 1;
  unsigned every = 1;                     // of so many steps that one turn of a loop takes, one asks
};

/// Memory that is touched once the tile is done, as wide as the tile: the first
/// turns of the loop ask for one row each, from `offset` on.
struct TileRows {
  mlir::Value base;              // memref<?xf32>
  mlir::Value offset, rowStride; // index
  bool written = false;          // will be written: fetched as ours alone
};

/// What a tile fetches while it multiplies.
struct TileFetches {
  TilePrefetch next;
  llvm::SmallVector<TileRows, 2> after;
  mlir::Value afterRows; // index: rows of `after` to ask for; 0: none
};

/// Emits the product of one tile of static height and width at `builder`. `k` is
/// an index; where `accumulate` (i1) is true, the sums are added to C.
void emitTileProduct(mlir::OpBuilder &builder, mlir::Location loc, const RegisterTile &tile, unsigned height,
                     unsigned panels, const TileInput &a, const TilePanels &b, mlir::Value k, const TileOutput &c,
                     mlir::Value accumulate = {}, const TileFetches &fetches = {});

/// Emits `body(height)` for the height that `height` (index) has at run time,
/// 1..maxHeight; for any other nothing runs.
void emitHeightSwitch(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value height, unsigned maxHeight,
                      llvm::function_ref<void(mlir::OpBuilder &, mlir::Location, unsigned height)> body);

/// Rows split into the fewest tiles of at most `maxHeight` rows, nearly equal:
/// the first `taller` of `count` tiles have one row more than the others.
struct RowSplit {
  mlir::Value count;  // index: number of tiles, 0 for no rows
  mlir::Value height; // index: rows of a shorter tile
  mlir::Value taller; // index

  static RowSplit create(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows, unsigned maxHeight);
  static RowSplit create(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows, mlir::Value maxHeight);
  mlir::Value heightOf(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tileIndex) const;
  mlir::Value firstRowOf(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tileIndex) const;
};

/// The whole height family as one private function of the module, shared by all
/// its kernels, so that twelve products of a model cost the code of one.
class TileFunction {
public:
  /// Strides are compiled in: they make the addresses of a tile's rows constant
  /// offsets of one pointer.
  struct Strides {
    int64_t aRow;   // elements between rows of A
    int64_t bK;     // elements between k steps of a panel
    int64_t cRow;   // elements between rows of C
    int64_t aK = 1; // elements between k steps of A
    bool fetchesAhead = true; // B comes from memory: fetch what the next call reads
    bool rowsInPlace = false; // rows of A are as far apart as the call says, instead of aRow
    bool hasTable = false;    // k steps of B are where a table says; only what is touched after a call is fetched
    bool hasRowTable = false; // k steps of A are; aK is 0. Elements nextOffset + k * nextStep of B are fetched, into L2
  };

  /// Tiles up to this height leave the memory to the second-level cache.
  static unsigned lowHeight(const RegisterTile &tile) { return tile.rows * 4 / 5; }

  /// Finds or adds the function for `tile` and `strides`.
  static TileFunction get(mlir::ModuleOp module, const RegisterTile &tile, const Strides &strides);

  /// The values of one call; all index but the memref<?xf32> bases.
  struct Arguments {
    mlir::Value a, aOffset;
    mlir::Value b, bOffset, panelStride;
    mlir::Value c, cOffset;
    mlir::Value height;     // rows, 1..tile.rows
    mlir::Value panels;     // any number; best tile.panelsAt(height)
    mlir::Value k;          // length of the sums
    mlir::Value accumulate; // i1: add to C instead of overwriting it
    /// Panels of B the next call reads, fetched during this one: at step k,
    /// elements nextOffset + p * panelStride + k * nextStep. Only where the family fetches ahead. Where rows are in
    /// place and there is no table, elements nextOffset + k * nextStep of A.
    mlir::Value nextOffset, nextStep;
    /// Rows touched after the call, at most two kinds, fetched during it. Only
    /// where the family fetches ahead, and only by tall tiles.
    llvm::SmallVector<TileRows, 2> after;
    mlir::Value table, tableOffset; ///< Where the family has one, as in TilePanels or TileInput.
    mlir::Value aRow;               ///< Index: where rows are in place.
  };
  void call(mlir::OpBuilder &builder, mlir::Location loc, const Arguments &arguments) const;

private:
  TileFunction(mlir::func::FuncOp function, const Strides &strides)
      : function(function), strides(strides) {}
  mlir::func::FuncOp function;
  Strides strides;
};

} // namespace tenon
