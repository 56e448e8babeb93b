//===- LowerActivationProduct.cpp - products of two activations ------------------------===//
//
// The register tile of matrix products, whose operands are brought into scratch a slab of k at a time
// (PackedProduct.h): rows of the left operand as they are, or turned where its rows are neighbours; columns of the
// right operand into panels, a vector of them at a time, or squares turned on their diagonal where steps of k are
// neighbours. Packing moves an element for as many multiply-adds as the tile has rows, up to 128.
//
// Elements of f16 and bf16 become f32 on their way, so their products run at the speed of f32.
//
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/ActivationProduct.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/PackedProduct.h"
#include "passes/lowering/TransposeTile.h"

using namespace mlir;

namespace tenon {
namespace {

using Indices = ActivationProduct::Indices;
using Stride = ProductPlaces::Stride;

class ActivationLowering : ActivationEmitter {
public:
  using ActivationEmitter::ActivationEmitter;

  KernelGrid lower() {
    Dim panels = columns().size.ceilDiv(Dim(RegisterTile::panelWidth));
    Dim perMatrix = countOf(product.rows).ceilDiv(Dim(blocking.rowBlock)) * panels.ceilDiv(Dim(blocking.panelGroup));
    PackedProduct inner = describe(panels);
    Value each = index.max(packedProductGrid(builder, loc, inner), index.constant(1));
    Value first = scope.function.firstTile(), last = scope.function.lastTile();
    Value end = index.div(index.add(last, index.sub(each, index.constant(1))), each);
    emitLoop(scope, loc, index.div(first, each), end, [&](Value matrix) {
      enter(matrix);
      Value start = index.mul(matrix, each);
      inner.firstTile = index.sub(index.max(first, start), start);
      inner.lastTile = index.sub(index.min(last, index.add(start, each)), start);
      emitPackedProduct(builder, loc, scope.function.function()->getParentOfType<ModuleOp>(), inner);
    });
    return {countOf(product.outer) * perMatrix, Dim(4 * slabProductScratch(blocking))};
  }

private:
  Indices turns() const { return Indices(ArrayRef<ProductIndex>(product.summed).drop_back()); }
  bool isTurned() const {
    return product.rows.size() == 1 && product.rows[0].left == Dim(1) && steps().left != Dim(1);
  }
  PackedProduct describe(const Dim &panels) {
    PackedProduct inner;
    inner.tile = tile;
    inner.blocking = blocking;
    inner.rows = dim(countOf(product.rows));
    inner.panels = dim(panels);
    Value turnCount = dim(countOf(turns())), none = index.constant(0);
    inner.k = arith::SelectOp::create(builder, loc, index.equal(turnCount, none), none, dim(steps().size));
    inner.scratch = scope.function.scratch(builder, loc, f32, none);
    inner.slabs.emplace();
    inner.slabs->outerCount = index.max(turnCount, index.constant(1));
    inner.slabs->isTurned = isTurned();
    inner.slabs->loadRows = [this](OpBuilder &, Location, const ProductSlab &slab, Value row, Value count, Value to,
                                   Value offset) { loadRows(slab, row, count, to, offset); };
    inner.slabs->loadPanels = [this](OpBuilder &, Location, const ProductSlab &slab, Value panel, Value count,
                                     Value to, Value offset) { loadPanels(slab, panel, count, to, offset); };
    inner.epilogue = [this](OpBuilder &, Location, const PackedProduct::Piece &piece) { finishPiece(piece); };
    inner.touched = [this](OpBuilder &, Location, const PackedProduct::Piece &piece) { return touchedRows(piece); };
    return inner;
  }

  /// Of the first step of a slab.
  Value slabOffset(const ProductSlab &slab, Stride stride) {
    Value offset = offsetOf(pointOf(slab.outer, turns()), turns(), stride);
    return index.add(offset, index.mul(slab.begin, dim(steps().*stride)));
  }

  //===--------------------------------------------------------------------===//
  // Operands into scratch
  //===--------------------------------------------------------------------===//

  VectorType vectorOf(Type element) const { return VectorType::get({int64_t(tile.lanes)}, element); }

  /// An operand's memory. Elements of 16 bits are read as integers: a level without masked loads of them would
  /// take vectors of floats apart by way of f32.
  struct Operand {
    Value memory;
    Type element;
  };

  Operand operand(Value tensor) {
    Type element = elementOf(tensor);
    if (element.isF32())
      return {lowering.memoryOf(tensor), element};
    unsigned number = cast<BlockArgument>(tensor).getArgNumber();
    return {scope.function.operandAs(builder, loc, number, builder.getI16Type()), element};
  }

  Value widened(const Operand &from, Value bits) {
    if (from.element.isF32())
      return bits;
    bool isVector = isa<VectorType>(bits.getType());
    Type type = isVector ? Type(vectorOf(from.element)) : from.element;
    Value floats = isVector ? Value(vector::BitCastOp::create(builder, loc, type, bits))
                            : Value(arith::BitcastOp::create(builder, loc, type, bits));
    return convertFloat(builder, loc, floats, f32);
  }

  /// Neighbours as f32; of the lanes from `active` on nothing is read, they are 0.
  Value load(const Operand &from, Value offset, Value active = {}) {
    VectorType type = vectorOf(cast<MemRefType>(from.memory.getType()).getElementType());
    if (!active)
      return widened(from, vector::LoadOp::create(builder, loc, type, from.memory, offset));
    Value mask = vector::CreateMaskOp::create(builder, loc, vectorOf(builder.getI1Type()), active);
    Value none = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
    return widened(from, vector::MaskedLoadOp::create(builder, loc, type, from.memory, offset, mask, none));
  }

  void copyElement(const Operand &from, Value offset, Value to, Value toOffset) {
    Value element = widened(from, memref::LoadOp::create(builder, loc, from.memory, offset));
    memref::StoreOp::create(builder, loc, element, to, toOffset);
  }

  /// `count` neighbours, a vector at a time: body(first, active), active null for whole vectors.
  void forEachVector(Value count, function_ref<void(Value first, Value active)> body) {
    Value lanes = index.constant(tile.lanes), whole = index.sub(count, index.rem(count, lanes));
    auto loop = scf::ForOp::create(builder, loc, index.constant(0), whole, lanes);
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      body(loop.getInductionVar(), {});
    }
    Value isRest = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, whole, count);
    emitIf(scope, loc, isRest, [&] { body(whole, index.sub(count, whole)); });
  }

  void loadRows(const ProductSlab &slab, Value row, Value count, Value to, Value offset) {
    Operand memory = operand(product.left);
    Value step = dim(steps().left);
    Value from = index.add(leftBase, slabOffset(slab, &ProductIndex::left));
    if (isTurned()) {
      emitLoop(scope, loc, index.constant(0), slab.count, [&](Value s) {
        Value source = index.add(index.add(from, index.mul(s, step)), row);
        Value target = index.add(offset, index.mul(s, blocking.turnedPitch()));
        forEachVector(count, [&](Value i, Value active) {
          vector::StoreOp::create(builder, loc, load(memory, index.add(source, i), active), to, index.add(target, i));
        });
      });
      return;
    }
    emitLoop(scope, loc, index.constant(0), count, [&](Value i) {
      Value at = offsetOf(pointOf(index.add(row, i), product.rows), product.rows, &ProductIndex::left);
      copySteps(memory, index.add(from, at), slab.count, to, index.add(offset, index.mul(i, blocking.aPitch())));
    });
  }

  /// One row of the left operand.
  void copySteps(const Operand &memory, Value from, Value count, Value to, Value target) {
    if (steps().left != Dim(1)) {
      Value step = dim(steps().left);
      emitLoop(scope, loc, index.constant(0), count, [&](Value s) {
        copyElement(memory, index.add(from, index.mul(s, step)), to, index.add(target, s));
      });
      return;
    }
    if (elementOf(product.left).isF32())
      return copyRow(builder, loc, tile.lanes, memory.memory, from, count, to, target);
    // The row's room ends a vector behind its last step.
    forEachVector(count, [&](Value s, Value active) {
      vector::StoreOp::create(builder, loc, load(memory, index.add(from, s), active), to, index.add(target, s));
    });
  }

  void loadPanels(const ProductSlab &slab, Value panel, Value panelCount, Value to, Value offset) {
    Operand memory = operand(product.right);
    Value column = index.mul(panel, RegisterTile::panelWidth);
    Value count = index.min(index.mul(panelCount, RegisterTile::panelWidth), index.sub(dim(columns().size), column));
    Value from = index.add(index.add(rightBase, slabOffset(slab, &ProductIndex::right)),
                           index.mul(column, dim(columns().right)));
    if (columns().right == Dim(1))
      return packNeighbours(memory, from, slab.count, count, to, offset);
    if (steps().right == Dim(1))
      return packTurned(memory, from, slab.count, count, to, offset);
    Value step = dim(steps().right), next = dim(columns().right);
    emitLoop(scope, loc, index.constant(0), slab.count, [&](Value s) {
      emitLoop(scope, loc, index.constant(0), count, [&](Value c) {
        Value source = index.add(from, index.add(index.mul(s, step), index.mul(c, next)));
        copyElement(memory, source, to, inPanels(offset, s, c));
      });
    });
  }

  /// Step s of column c; of c the first of a vector's.
  Value inPanels(Value offset, Value s, Value c) {
    constexpr int64_t width = RegisterTile::panelWidth;
    Value panel = index.mul(index.div(c, width), blocking.kSlab * width);
    return index.add(index.add(offset, panel), index.add(index.mul(s, width), index.rem(c, width)));
  }

  void packNeighbours(const Operand &memory, Value from, Value stepCount, Value count, Value to, Value offset) {
    Value step = dim(steps().right);
    emitLoop(scope, loc, index.constant(0), stepCount, [&](Value s) {
      Value source = index.add(from, index.mul(s, step));
      forEachVector(count, [&](Value c, Value active) {
        vector::StoreOp::create(builder, loc, load(memory, index.add(source, c), active), to, inPanels(offset, s, c));
      });
    });
  }

  /// Squares of as many columns as steps. Lanes past the last column hold copies of it; steps behind the last are
  /// within the slab's room.
  void packTurned(const Operand &memory, Value from, Value stepCount, Value count, Value to, Value offset) {
    Value next = dim(columns().right), last = index.sub(count, index.constant(1));
    auto loop = scf::ForOp::create(builder, loc, index.constant(0), count, index.constant(tile.lanes));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value c = loop.getInductionVar();
    SmallVector<Value> sources;
    for (unsigned lane = 0; lane < tile.lanes; ++lane)
      sources.push_back(index.add(from, index.mul(index.min(index.add(c, lane), last), next)));
    forEachVector(stepCount, [&](Value s, Value active) {
      SmallVector<Value> square;
      for (Value source : sources)
        square.push_back(load(memory, index.add(source, s), active));
      for (auto [i, turned] : llvm::enumerate(transposeTile(builder, loc, square)))
        vector::StoreOp::create(builder, loc, turned, to, inPanels(offset, index.add(s, i), c));
    });
  }

  SmallVector<TileRows, 2> touchedRows(const PackedProduct::Piece &piece) {
    Value memory = lowering.resultMemory();
    if (product.rows.size() > 1 || !cast<MemRefType>(memory.getType()).getElementType().isF32())
      return {};
    Value stride = product.rows.empty() ? index.constant(0) : dim(product.rows[0].result);
    Value column = index.mul(piece.panel, RegisterTile::panelWidth);
    Value offset = index.add(resultBase, index.add(index.mul(piece.row, stride), column));
    return {TileRows{memory, offset, stride, /*written=*/true}};
  }

  RegisterTile tile = productTile(lowering.target.getVectorBits() / 32, lowering.target.getVectorRegisters(),
                                  lowering.target.getRowTile());
  ProductBlocking blocking = productBlocking(tile, steps().size.constant().value_or(0));
};

} // namespace

KernelGrid lowerActivationProduct(KernelLowering &lowering, const ActivationProduct &product) {
  if (isRowProduct(product))
    return lowerRowProduct(lowering, product);
  return ActivationLowering(lowering, product).lower();
}

} // namespace tenon
