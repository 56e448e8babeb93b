//===- PanelProduct.h - "m k, k n -> m n" against panels of a weight -------------------===//
//
// The register-tiled product of PackedProduct.h, whose finished pieces of sums pass through the map behind the
// contraction. In words along k (MicroKernel.h): f32, or pairs of bf16. Rows are copied into scratch, normalised or moved
// on the way (RowMove.h), or read in place where few panels meet them.
//
#ifndef TENON_PASSES_LOWERING_PANELPRODUCT_H
#define TENON_PASSES_LOWERING_PANELPRODUCT_H

#include "dialects/tenon/ContractSpec.h"
#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/PackedProduct.h"
#include "passes/lowering/RowMove.h"

namespace tenon {

class PanelProduct {
public:
  PanelProduct(KernelLowering &lowering, ContractOp op)
      : lowering(lowering), op(op), loc(lowering.loc), scope(lowering.scope), builder(lowering.builder) {}

  virtual ~PanelProduct() = default;

  KernelGrid lower();

protected:
  RegisterTile tile() const;
  /// The row of the operand and of the result that is row number `row` of the product that is emitted.
  virtual mlir::Value rowAt(mlir::Value row) { return row; }
  /// The panel of the result that is panel number `panel` of it.
  virtual mlir::Value panelAt(mlir::Value panel) { return panel; }
  /// The product with all rows and panels of `panels`; its rows are copied and its pieces finished as above.
  PackedProduct productWith(mlir::Value panels);

  KernelLowering &lowering;
  ContractOp op;
  mlir::Location loc;
  KernelScope &scope;
  mlir::OpBuilder &builder;
  mlir::Type f32 = mlir::Float32Type::get(builder.getContext());
  Shape lhs = shapeOf(op.getLhs()), result = shapeOf(op.getResult());
  int64_t depth = *lhs[1].constant(), columns = *result[1].constant();
  bool isPaired = elementOf(op.getLhs()).isBF16();
  int64_t words = isPaired ? pairWords(depth) : depth;
  ProductBlocking blocking = productBlocking(tile(), words);
  CopiedRows rows = CopiedRows::of(op);

private:
  void loadRow(mlir::Value row, mlir::Value kBegin, mlir::Value kCount, mlir::Value to, mlir::Value toOffset);
  void normaliseRow(mlir::Value memory, mlir::Value start, mlir::Value kBegin, mlir::Value kCount, mlir::Value to,
                    mlir::Value toOffset);
  mlir::Value movedRow(mlir::Value row);
  void loadPairs(mlir::Value row, mlir::Value kBegin, mlir::Value kCount, mlir::Value toOffset);
  void finishPiece(const PackedProduct::Piece &piece);
  llvm::SmallVector<TileRows, 2> touchedRows(const PackedProduct::Piece &piece);
  void emitWholeVectors(mlir::Value count, llvm::function_ref<void(RegionEmitter &, const LaneValue &)> body);
  bool rowsMayStay();
};

KernelGrid lowerPanelProduct(KernelLowering &lowering, ContractOp op);

} // namespace tenon
#endif
