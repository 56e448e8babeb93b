// Builds and compiles the plain product kernel.

#include "PlainProduct.h"

#include "compiler/codegen/MatrixUnit.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/KernelFunction.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

RegisterTile registerTile(const Level &level, TileStep step) {
  return productTile(level.lanes(), level.vectorRegisters, level.tileRows, step);
}

/// Stores a piece of C row by row, whole panels at once, the last one as far as N goes.
static void storePiece(OpBuilder &builder, Location loc, unsigned lanes,
                       const PackedProduct::Piece &piece, Value c, Value n) {
  IndexMath index{builder, loc};
  Value one = index.constant(1), zero = index.constant(0);
  Value firstColumn = index.mul(piece.panel, 16);
  Value columns = index.min(index.mul(piece.panelCount, 16), index.sub(n, firstColumn));
  scf::ForOp::create(builder, loc, zero, piece.rowCount, one, ValueRange(),
                     [&](OpBuilder &inner, Location, Value row, ValueRange) {
                       IndexMath at{inner, loc};
                       Value from = at.add(piece.sumsOffset, at.mul(row, piece.sumsPitch));
                       Value to = at.add(at.mul(at.add(piece.row, row), n), firstColumn);
                       copyRow(inner, loc, lanes, piece.sums, from, columns, c, to);
                       scf::YieldOp::create(inner, loc);
                     });
}

OwningOpRef<ModuleOp> plainProductModule(MLIRContext &context, const Level &level, const ProductBlocking &blocking,
                                         int64_t k, TileStep step) {
  OpBuilder builder(&context);
  Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  setProductInstructions(*module, level);
  Type f32 = builder.getF32Type();
  KernelFunction kernel = KernelFunction::create(builder, loc, *module, "product", {f32, f32, f32}, 3);
  IndexMath index{builder, loc};
  PackedProduct product;
  product.tile = registerTile(level, step);
  product.tile.unit = bf16TilesOf(level, &context);
  product.blocking = blocking;
  product.rows = kernel.dim(0);
  product.panels = index.ceilDiv(kernel.dim(1), 16);
  product.k = k ? index.constant(k) : kernel.dim(2);
  product.b = kernel.operand(1);
  product.bOffset = index.constant(0);
  product.scratch = kernel.scratch(builder, loc, f32, index.constant(0));
  product.firstTile = kernel.firstTile();
  product.lastTile = kernel.lastTile();
  product.loadRow = [&](OpBuilder &inner, Location at, Value row, Value kBegin, Value kCount, Value to,
                        Value toOffset) {
    IndexMath math{inner, at};
    Value from = math.add(math.mul(row, product.k), kBegin);
    copyRow(inner, at, level.lanes(), kernel.operand(0), from, kCount, to, toOffset);
  };
  product.epilogue = [&](OpBuilder &inner, Location at, const PackedProduct::Piece &piece) {
    storePiece(inner, at, level.lanes(), piece, kernel.operand(2), kernel.dim(1));
  };
  product.touched = [&](OpBuilder &inner, Location at, const PackedProduct::Piece &piece) {
    IndexMath math{inner, at};
    Value from = math.add(math.mul(piece.row, kernel.dim(1)), math.mul(piece.panel, 16));
    return SmallVector<TileRows, 2>{{kernel.operand(2), from, kernel.dim(1), true}};
  };
  emitPackedProduct(builder, loc, *module, product);
  return module;
}

FailureOr<CodeImage> compilePlainProduct(const Level &level, const ProductBlocking &blocking, int64_t k) {
  DialectRegistry registry;
  registerCodegenDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = plainProductModule(context, level, blocking, k);
  return compileKernels(*module, level);
}

std::vector<float> packPanels(const std::vector<float> &b, int64_t k, int64_t n) {
  std::vector<float> panels(llvm::divideCeil(n, 16) * k * 16, 0.0f);
  for (int64_t row = 0; row < k; ++row)
    for (int64_t column = 0; column < n; ++column)
      panels[(column / 16) * k * 16 + row * 16 + column % 16] = b[row * n + column];
  return panels;
}

uint32_t plainProductGrid(const ProductBlocking &blocking, int64_t m, int64_t n) {
  return llvm::divideCeil(m, blocking.rowBlock) * llvm::divideCeil(llvm::divideCeil(n, 16), blocking.panelGroup);
}

} // namespace tenon
