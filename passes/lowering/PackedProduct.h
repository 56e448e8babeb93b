// The core of a lowered contraction: C[m][n] = sum over k of A[m][k] * B[k][n]
// with B in panels `[N/16][K][16]`, tiled for the register tile of
// MicroKernel.h. What happens to a finished piece of C is the caller's.
//
// A kernel tile is (row block, group of panels), groups of one row block
// following each other. Within a tile:
//
//   once per row block   copy its rows of A into scratch
//   for each slab of k
//     for each few panels of the group       B's slab of them stays in cache
//       for each register tile of rows       A's slab streams from L2
//         C += A * B                         meanwhile fetch the panels to come,
//                                            and where the epilogue will write
//         after the last slab: the caller's epilogue on this piece of C
//
// The copy makes A's rows a compile-time distance apart, an odd number of cache
// lines: rows of A in place may lie a power of two apart and share one set of
// the L1 cache. It is also where a prologue (a normalisation, a gather) is
// applied to A for free. It costs M*K moves beside M*K*N multiply-adds.
//
// Where B is no weight and has no panels yet (ProductSlabs), both operands of a slab
// are brought into scratch when the slab's turn comes, so scratch does not grow with k:
//
//   for each slab of k
//     copy the rows of A, pack the panels of B       what is still there stays
//     the same tiles
//
// Where A, B and C come from is offsets in elements; batches are the caller's
// loop around emitPackedProduct. k is cut into nearly equal slabs; sums run over a
// slab in order and slabs are added in order, so results depend on k alone, not
// on row count or threads.

#pragma once

#include <functional>
#include <optional>

#include "passes/lowering/MicroKernel.h"

namespace tenon {

/// How a product is cut; the defaults are measured in
/// docs/decisions/0001-packed-gemm.md.
struct ProductBlocking {
  int64_t rowBlock = 128; // rows of a kernel tile, at most
  int64_t panelGroup = RegisterTile::widestTile; // panels of a kernel tile, at most
  int64_t kSlab = 512;    // k steps between two visits of C, at most

  /// Elements from one row of a slab of A in scratch to the next.
  int64_t aPitch() const { return kSlab + RegisterTile::panelWidth; }
  /// Elements from one step of k to the next of a turned slab of A.
  int64_t turnedPitch() const { return rowBlock + RegisterTile::panelWidth; }
  /// Elements from one row of C in scratch to the next.
  int64_t cPitch() const { return panelGroup * RegisterTile::panelWidth; }
};

/// The blocking measured for products of `tile` with sums of `k` terms: a narrow tile
/// is done with a step of k sooner, so it takes more of them between two visits of C;
/// of long rows of A fewer fit into L2.
ProductBlocking productBlocking(const RegisterTile &tile, int64_t k);

/// The register tile of products on a machine whose tallest tile has `rows` rows:
/// three panels wide where that leaves height enough, since a wide tile needs the
/// fewest loads and reads the most streams of B at once (9 x 48 instead of 14 x 32
/// on AVX-512: 12 loads for 27 multiply-adds instead of 16 for 28).
RegisterTile productTile(unsigned lanes, unsigned registers, unsigned rows, TileStep step = TileStep::F32);

/// One slab of k: steps begin to begin + count - 1 of turn `outer` (0 where there is one turn).
struct ProductSlab {
  mlir::Value number, outer, begin, count; // index
};

/// Operands that are brought into scratch slab by slab.
struct ProductSlabs {
  mlir::Value outerCount; // index: the sums run over 0..k-1 this many times, once for each `outer`
  bool isTurned = false;  // A stands in scratch as [k][row], pitch turnedPitch()

  /// Rows of A: element (row + i, slab.begin + s) to `to` at offset + i * aPitch() + s, or, turned, + s * turnedPitch() + i.
  std::function<void(mlir::OpBuilder &, mlir::Location, const ProductSlab &, mlir::Value row, mlir::Value rowCount,
                     mlir::Value to, mlir::Value offset)>
      loadRows;
  /// Panels of B: element (slab.begin + s, (panel + p) * 16 + c) to offset + p * kSlab * 16 + s * 16 + c. Columns
  /// behind the last may hold anything.
  std::function<void(mlir::OpBuilder &, mlir::Location, const ProductSlab &, mlir::Value panel, mlir::Value panelCount,
                     mlir::Value to, mlir::Value offset)>
      loadPanels;
};

/// Rows of A that are read where they are: element (row, k) is at offset + row * pitch + k.
struct RowsInPlace {
  mlir::Value memory, offset, pitch; // memref<?xf32>, index

  /// Rows 4 KB apart would share a set of the first-level cache.
  static bool mayBeApart(int64_t elements) { return elements % 1024 != 0; }
};

struct PackedProduct {
  RegisterTile tile;
  ProductBlocking blocking;
  mlir::Value rows, panels, k; // index: M, ceil(N / 16), K in words; whole tiles where the tile takes only those
  std::optional<ProductSlabs> slabs;      // brings both operands; else B is in memory
  std::optional<RowsInPlace> rowsInPlace; // else `loadRow` brings A's rows
  mlir::Value table;                      // memref<?xi64>: element (k, column) of B is at bOffset + table[k] + column;
                                          // null: B is in panels
  mlir::Value b, bOffset;      // memref<?xf32>, index: the first panel
  mlir::Value scratch;         // memref<?xf32> of scratchFloats() elements, on a cache line
  mlir::Value firstTile, lastTile;
  mlir::Value fetchesNear;     // i1: few rows ask for the lines they read next, not for the next panels; null: no

  /// Writes words [kBegin, kBegin + kCount) of row `row` of A to `to` from word
  /// `toOffset` on.
  std::function<void(mlir::OpBuilder &, mlir::Location, mlir::Value row, mlir::Value kBegin, mlir::Value kCount,
                     mlir::Value to, mlir::Value toOffset)>
      loadRow;

  /// Finished sums, [rowCount x panelCount * 16] in scratch.
  struct Piece {
    mlir::Value row, rowCount;     // index: first row of C, number of rows
    mlir::Value panel, panelCount; // index: first panel, number of panels
    mlir::Value sums, sumsOffset;  // memref<?xf32>, index: row 0, column 0
    int64_t sumsPitch;             // elements between rows
  };
  std::function<void(mlir::OpBuilder &, mlir::Location, const Piece &)> epilogue;

  /// Rows of memory the epilogue of a piece touches, if it knows: they are fetched
  /// while the last slab is multiplied (0.91 of peak against 0.87).
  std::function<llvm::SmallVector<TileRows, 2>(mlir::OpBuilder &, mlir::Location, const Piece &)> touched;
};

/// Tiles of a product: ceil(rows / rowBlock) * ceil(panels / panelGroup), as
/// index. The runtime's grid expression says the same.
mlir::Value packedProductGrid(mlir::OpBuilder &builder, mlir::Location loc, const PackedProduct &product);

/// fp32 elements of scratch a worker needs for sums of `k` terms.
int64_t packedProductScratch(const ProductBlocking &blocking, int64_t k);
/// The same where operands come slab by slab, however long the sums are.
int64_t slabProductScratch(const ProductBlocking &blocking);
/// The same where rows are in place.
int64_t inPlaceProductScratch(const ProductBlocking &blocking);

/// Emits the tiles [firstTile, lastTile) at `builder`. Adds the shared tile
/// function to `module`.
void emitPackedProduct(mlir::OpBuilder &builder, mlir::Location loc, mlir::ModuleOp module,
                       const PackedProduct &product);

/// Elements ahead to fetch while rows of `pitch` elements are copied one after another: some rows, which take as long as
/// memory does.
int64_t elementsAhead(int64_t pitch);

/// What a loadRow of a row-major matrix does: copies `count` elements, and asks for those `ahead` of them.
void copyRow(mlir::OpBuilder &builder, mlir::Location loc, unsigned lanes, mlir::Value from, mlir::Value fromOffset,
             mlir::Value count, mlir::Value to, mlir::Value toOffset, int64_t ahead = 256);

} // namespace tenon
