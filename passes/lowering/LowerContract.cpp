//===- LowerContract.cpp - contractions ------------------------------------------------===//
//
// Against a weight in panels: the register-tiled product of PackedProduct.h, whose
// finished pieces of sums pass through the map behind the contraction. Filters times
// windows: LowerWindow.h. Two activations, accumulated in f32: ActivationProduct.h. Any other contraction: a loop nest
// with the lanes along the result's last index, plain and right for every specification and type.
//
#include "dialects/tenon/ContractSpec.h"
#include "passes/lowering/ActivationProduct.h"
#include "passes/lowering/LowerWindow.h"
#include "passes/lowering/MatrixTiles.h"
#include "passes/lowering/NormalisedRow.h"
#include "passes/lowering/PackedProduct.h"
#include "passes/lowering/RowMove.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {
namespace {

//===----------------------------------------------------------------------------===//
// "m k, k n -> m n" against panels
//===----------------------------------------------------------------------------===//

/// In words along k (MicroKernel.h): f32, or pairs of bf16.
struct PanelLowering {
  static constexpr int64_t mostColumnsInPlace = 192;

  PanelLowering(KernelLowering &lowering, ContractOp op) : lowering(lowering), op(op) {}

  KernelLowering &lowering;
  ContractOp op;
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Type f32 = Float32Type::get(builder.getContext());
  Shape lhs = shapeOf(op.getLhs()), result = shapeOf(op.getResult());
  int64_t depth = *lhs[1].constant(), columns = *result[1].constant();
  bool isPaired = elementOf(op.getLhs()).isBF16();
  int64_t words = isPaired ? pairWords(depth) : depth;
  ProductBlocking blocking = productBlocking(tile(), words);
  CopiedRows rows = CopiedRows::of(op);

  RegisterTile tile() const {
    TargetAttr target = lowering.target;
    auto module = lowering.kernel->getParentOfType<ModuleOp>();
    StringRef dot = bf16DotOf(module);
    auto unit = module->getAttrOfType<DictionaryAttr>(bf16TileAttributeName);
    TileStep step = !isPaired      ? TileStep::F32
                    : unit         ? TileStep::Bf16Tile
                    : !dot.empty() ? TileStep::Bf16Dot
                                   : TileStep::Bf16Split;
    RegisterTile tile =
        productTile(target.getVectorBits() / 32, target.getVectorRegisters(), target.getRowTile(), step);
    tile.bf16Dot = dot;
    tile.unit = unit;
    return tile;
  }

  /// One row of the left operand into scratch: a copy, normalised or not, or a producer's elements.
  void loadRow(Value row, Value kBegin, Value kCount, Value to, Value toOffset) {
    if (isPaired)
      return loadPairs(row, kBegin, kCount, toOffset);
    if (Value memory = lowering.memoryOf(rows.source)) {
      Value start = rows.move ? movedRow(row) : scope.mul(row, scope.index(depth, loc), loc);
      if (rows.norm)
        return normaliseRow(memory, start, kBegin, kCount, to, toOffset);
      return copyRow(builder, loc, tile().lanes, memory, scope.add(start, kBegin, loc), kCount, to, toOffset,
                     elementsAhead(depth));
    }
    emitLaneLoop(scope, loc, kCount, tile().lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
      LaneValue column{j.kind, scope.add(kBegin, j.value, loc), j.step, false};
      LaneValue element = lowering.reader(op.getLhs(), emitter)({LaneValue::uniform(row), column});
      emitter.store(element, to, scope.add(toOffset, j.value, loc));
    });
  }

  /// Elements kBegin… of the row that starts at `start`. A row that comes in slabs is summed for each.
  void normaliseRow(Value memory, Value start, Value kBegin, Value kCount, Value to, Value toOffset) {
    auto element = [&](RegionEmitter &emitter, const LaneValue &j) {
      return emitter.materialise(emitter.loadConsecutive(memory, scope.add(start, j.value, loc)));
    };
    auto first = [&](RegionEmitter &emitter, const LaneValue &j) {
      Value ahead = scope.add(start, scope.index(elementsAhead(depth), loc), loc);
      memref::PrefetchOp::create(builder, loc, memory, scope.add(ahead, j.value, loc), /*isWrite=*/false,
                                 /*localityHint=*/3, /*isDataCache=*/true);
      return element(emitter, j);
    };
    NormalisedRow normalised(lowering, rows.norm, first, element);
    emitLaneLoop(scope, loc, kCount, tile().lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
      LaneValue column{j.kind, scope.add(kBegin, j.value, loc), j.step, false};
      Value value = normalised.at(emitter, column, element(emitter, column));
      bool isScalar = emitter.getLanes() == 1;
      emitter.store(isScalar ? LaneValue::uniform(value, true) : LaneValue::varying(value), to,
                    scope.add(toOffset, j.value, loc));
    });
  }

  /// Where a producer that gathers rows takes this one from.
  Value movedRow(Value row) {
    RegionEmitter emitter(scope, 1, loc);
    Value start;
    SmallVector<TensorReader> readers{[&](ArrayRef<LaneValue> indices) {
      start = scope.index(0, loc);
      for (auto [index, stride] : llvm::zip(indices, scope.strides(shapeOf(rows.move.getInputs()[0]), loc)))
        start = scope.add(start, scope.mul(index.value, stride, loc), loc);
      return LaneValue::uniform(start);
    }};
    emitter.evaluate(rows.move.getBody(), {LaneValue::uniform(row), LaneValue::uniform(scope.index(0, loc))}, readers);
    return start;
  }

  /// The same for pairs; the elements behind the row's last are zero.
  void loadPairs(Value row, Value kBegin, Value kCount, Value toOffset) {
    Value two = scope.index(2, loc);
    Value begin = scope.mul(kBegin, two, loc), to = scope.mul(toOffset, two, loc), room = scope.mul(kCount, two, loc);
    Value count = scope.minimum(room, scope.sub(scope.index(depth, loc), begin, loc), loc);
    Type bf16 = BFloat16Type::get(builder.getContext());
    Value memory = scope.function.scratch(builder, loc, bf16, scope.index(0, loc));
    emitLaneLoop(scope, loc, count, tile().lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
      LaneValue column{j.kind, scope.add(begin, j.value, loc), j.step, false};
      LaneValue element = lowering.reader(op.getLhs(), emitter)({LaneValue::uniform(row), column});
      emitter.store(element, memory, scope.add(to, j.value, loc));
    });
    if (depth == 2 * words)
      return;
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(bf16));
    emitLoop(scope, loc, count, room, [&](Value j) {
      RegionEmitter(scope, 1, loc).store(LaneValue::uniform(zero), memory, scope.add(to, j, loc));
    });
  }

  /// Applies the map behind the contraction to a piece of finished sums and stores it.
  void finishPiece(const PackedProduct::Piece &piece) {
    Value width = scope.index(RegisterTile::panelWidth, loc), length = scope.index(columns, loc);
    Value firstColumn = scope.mul(piece.panel, width, loc);
    Value count = scope.minimum(scope.mul(piece.panelCount, width, loc), scope.sub(length, firstColumn, loc), loc);
    if (columns % RegisterTile::panelWidth == 0)
      count = scope.mul(piece.panelCount, width, loc);
    emitLoop(scope, loc, scope.index(0, loc), piece.rowCount, [&](Value i) {
      Value row = scope.add(piece.row, i, loc);
      Value sums = scope.add(piece.sumsOffset, scope.mul(i, scope.index(piece.sumsPitch, loc), loc), loc);
      Value start = scope.add(scope.mul(row, length, loc), firstColumn, loc);
      auto body = [&](RegionEmitter &emitter, const LaneValue &j) {
        LaneValue column{j.kind, scope.add(firstColumn, j.value, loc), j.step, false};
        LaneValue element = emitter.loadConsecutive(piece.sums, scope.add(sums, j.value, loc));
        lowering.finish(emitter, {LaneValue::uniform(row), column}, scope.add(start, j.value, loc), element);
      };
      // Whole panels leave no remainder, so none is emitted.
      if (columns % RegisterTile::panelWidth == 0)
        emitWholeVectors(count, body);
      else
        lowering.forEachElement(count, body);
    });
  }

  /// The rows of the result, and of a tensor like it that the map behind reads.
  SmallVector<TileRows, 2> touchedRows(const PackedProduct::Piece &piece) {
    Value length = scope.index(columns, loc), width = scope.index(RegisterTile::panelWidth, loc);
    Value offset = scope.add(scope.mul(piece.row, length, loc), scope.mul(piece.panel, width, loc), loc);
    SmallVector<TileRows, 2> rows;
    auto touch = [&](Value memory, bool written) {
      if (memory && cast<MemRefType>(memory.getType()).getElementType().isF32())
        rows.push_back({memory, offset, length, written});
    };
    touch(lowering.resultMemory(), true);
    if (auto map = lowering.returned().getDefiningOp<MapOp>())
      for (Value input : map.getInputs())
        if (rows.size() == 1 && cast<RankedTensorType>(input.getType()).getRank() == 2 && shapeOf(input) == result)
          touch(lowering.memoryOf(input), false);
    return rows;
  }

  void emitWholeVectors(Value count, function_ref<void(RegionEmitter &, const LaneValue &)> body) {
    RegionEmitter emitter(scope, tile().lanes, loc);
    auto loop = scf::ForOp::create(builder, loc, scope.index(0, loc), count, scope.index(tile().lanes, loc));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    body(emitter, LaneValue::linear(loop.getInductionVar()));
  }

  /// Copying rows pays where many panels meet them.
  bool rowsMayStay() {
    return !isPaired && lowering.memoryOf(op.getLhs()) && RowsInPlace::mayBeApart(depth) &&
           columns <= mostColumnsInPlace;
  }

  KernelGrid lower() {
    Dim panels = result[1].ceilDiv(Dim(RegisterTile::panelWidth));
    bool isInPlace = rowsMayStay();
    int64_t floats = isInPlace ? inPlaceProductScratch(blocking) : packedProductScratch(blocking, words);
    PackedProduct product;
    product.tile = tile();
    product.blocking = blocking;
    product.rows = scope.dim(lhs[0], loc);
    product.panels = scope.dim(panels, loc);
    product.k = scope.index(words, loc);
    product.b = scope.function.operandAs(builder, loc, cast<BlockArgument>(op.getRhs()).getArgNumber(), f32);
    product.bOffset = scope.index(0, loc);
    product.scratch = scope.function.scratch(builder, loc, f32, scope.index(0, loc));
    product.firstTile = scope.function.firstTile();
    product.lastTile = scope.function.lastTile();
    product.loadRow = [&](OpBuilder &, Location, Value row, Value kBegin, Value kCount, Value to, Value toOffset) {
      loadRow(row, kBegin, kCount, to, toOffset);
    };
    if (isInPlace)
      product.rowsInPlace = {lowering.memoryOf(op.getLhs()), scope.index(0, loc), scope.index(depth, loc)};
    product.epilogue = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) { finishPiece(piece); };
    product.touched = [&](OpBuilder &, Location, const PackedProduct::Piece &piece) { return touchedRows(piece); };
    emitPackedProduct(builder, loc, scope.function.function()->getParentOfType<ModuleOp>(), product);
    Dim groups = panels.ceilDiv(Dim(blocking.panelGroup));
    int64_t grain = isInPlace ? 1 : groups.constant().value_or(1); // a row block's copy is for all its groups
    return {lhs[0].ceilDiv(Dim(blocking.rowBlock)) * groups, Dim(4 * floats), grain};
  }
};

//===----------------------------------------------------------------------------===//
// Any specification
//===----------------------------------------------------------------------------===//

struct PlainLowering {
  PlainLowering(KernelLowering &lowering, ContractOp op) : lowering(lowering), op(op) {}

  KernelLowering &lowering;
  ContractOp op;
  Location loc = lowering.loc;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  std::string error;
  ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
  Type element = elementOf(op.getLhs()), accumulator = op.getAccumulateType();

  using Point = llvm::StringMap<LaneValue>;

  SmallVector<LaneValue> indicesOf(ArrayRef<StringRef> names, const Point &point) {
    return llvm::map_to_vector(names, [&](StringRef name) { return point.lookup(name); });
  }

  Value widened(RegionEmitter &emitter, LaneValue value) {
    Value lanes = emitter.materialise(value);
    if (element == accumulator)
      return lanes;
    Type type = emitter.getLanes() == 1 ? accumulator : Type(cast<VectorType>(lanes.getType()).clone(accumulator));
    return isa<FloatType>(element) ? Value(arith::ExtFOp::create(builder, loc, type, lanes))
                                   : Value(arith::ExtSIOp::create(builder, loc, type, lanes));
  }

  Value multiplyAdd(Value a, Value b, Value sum) {
    if (!isa<FloatType>(accumulator))
      return arith::AddIOp::create(builder, loc, sum, arith::MulIOp::create(builder, loc, a, b));
    auto contract = arith::FastMathFlags::contract;
    Value product = arith::MulFOp::create(builder, loc, a, b, contract);
    return arith::AddFOp::create(builder, loc, sum, product, contract);
  }

  LaneValue narrowed(RegionEmitter &emitter, Value sum) {
    Type to = elementOf(op.getResult());
    if (to != accumulator) {
      Type type = emitter.getLanes() == 1 ? to : Type(cast<VectorType>(sum.getType()).clone(to));
      sum = isa<FloatType>(to) ? Value(arith::TruncFOp::create(builder, loc, type, sum))
                               : Value(arith::TruncIOp::create(builder, loc, type, sum));
    }
    return emitter.getLanes() == 1 ? LaneValue::uniform(sum, true) : LaneValue::varying(sum);
  }

  Dim sizeOf(StringRef index) {
    int position = positionOf(index, spec.lhs);
    return position >= 0 ? shapeOf(op.getLhs())[position] : shapeOf(op.getRhs())[positionOf(index, spec.rhs)];
  }

  Value sumAt(RegionEmitter &emitter, Point point) {
    SmallVector<StringRef> summed(spec.summed());
    llvm::append_range(summed, spec.lone());
    auto sizes = llvm::map_to_vector(summed, [&](StringRef index) { return scope.dim(sizeOf(index), loc); });
    Value zero = identityOf(builder, loc, ReduceKind::Sum, accumulator);
    Value start = emitter.materialise(LaneValue::uniform(zero));
    return emitLoopNest(scope, loc, sizes, start, [&](ArrayRef<Value> at, Value sum) {
      for (auto [index, value] : llvm::zip(summed, at))
        point[index] = LaneValue::uniform(value);
      Value a = widened(emitter, lowering.reader(op.getLhs(), emitter)(indicesOf(spec.lhs, point)));
      Value b = widened(emitter, lowering.reader(op.getRhs(), emitter)(indicesOf(spec.rhs, point)));
      return multiplyAdd(a, b, sum);
    });
  }

  KernelGrid lower() {
    Shape shape = shapeOf(op.getResult());
    bool isScalar = shape.empty();
    if (isScalar)
      shape.push_back(Dim(1));
    ArrayRef<Dim> outer = ArrayRef<Dim>(shape).drop_back();
    Value length = scope.dim(shape.back(), loc);
    lowering.forEachRow(countOf(outer), 1, [&](Value row) {
      SmallVector<LaneValue> indices = lowering.delinearise(row, outer);
      Value start = scope.mul(row, length, loc);
      emitLaneLoop(scope, loc, length, lowering.lanesOf(accumulator), [&](RegionEmitter &emitter, const LaneValue &j) {
        SmallVector<LaneValue> at(indices);
        if (!isScalar)
          at.push_back(j);
        Point point;
        for (auto [index, value] : llvm::zip(spec.result, at))
          point[index] = value;
        LaneValue element = narrowed(emitter, sumAt(emitter, point));
        lowering.finish(emitter, at, scope.add(start, j.value, loc), element);
      });
    });
    return {countOf(outer), Dim(0)};
  }
};
} // namespace

KernelGrid lowerContract(KernelLowering &lowering, ContractOp contract) {
  if (std::optional<WindowProduct> windows = WindowProduct::match(contract))
    return windows->kind != WindowProduct::Depthwise ? lowerWindowProduct(lowering, *windows)
           : windows->isAlongChannels()              ? lowerDepthwiseChannels(lowering, *windows)
                                                     : lowerDepthwise(lowering, *windows);
  if (contract.getPanels())
    return PanelLowering(lowering, contract).lower();
  bool isLast = lowering.returned() == contract.getResult();
  if (lowering.memoryOf(contract.getLhs()) && lowering.memoryOf(contract.getRhs()))
    if (std::optional<ActivationProduct> product = ActivationProduct::match(contract, /*mayJoinColumns=*/isLast))
      return lowerActivationProduct(lowering, *product);
  return PlainLowering(lowering, contract).lower();
}

} // namespace tenon
