//===- GroupedProduct.cpp - rows that each pick a matrix --------------------------------===//
#include "passes/lowering/GroupedProduct.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/IndexMath.h"
#include "passes/lowering/PanelProduct.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {

constexpr int64_t panelWidth = RegisterTile::panelWidth;

//===----------------------------------------------------------------------------===//
// The form
//===----------------------------------------------------------------------------===//

static bool isGroupedSpec(ContractOp op) {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), error);
  if (!spec || op.getPanels() || spec->lhs.size() != 2 || spec->rhs.size() != 3 || spec->result.size() != 2)
    return false;
  StringRef m = spec->lhs[0], k = spec->lhs[1], n = spec->rhs[2];
  return spec->rhs[0] == m && spec->rhs[1] == k && spec->result[0] == m && spec->result[1] == n;
}

/// Whether an expression over a map's indices says nothing of `index`, nor of what data gives for it.
static bool isFreeOf(const Dim &dim, Value index, const Dim &symbol, const IndexDomain &domain) {
  return llvm::none_of(dim.symbols(), [&](const std::string &name) {
    Value opaque = domain.opaqueValue(name);
    return name == *symbol.asSymbol() || (opaque && dependsOnIndex(opaque, index));
  });
}

std::optional<GroupedProduct> GroupedProduct::match(ContractOp op) {
  auto map = op.getRhs().getDefiningOp<MapOp>();
  auto load = map ? map.getYielded().getDefiningOp<LoadOp>() : LoadOp();
  Type element = elementOf(op.getLhs());
  if (!load || !op.getRhs().hasOneUse() || !isGroupedSpec(op) || !(element.isF32() || element.isBF16()) ||
      elementOf(op.getRhs()) != element || !elementOf(op.getResult()).isF32())
    return std::nullopt;
  auto type = cast<RankedTensorType>(load.getTensor().getType());
  std::optional<int64_t> depth = shapeOf(op.getLhs())[1].constant(), columns = shapeOf(op.getResult())[1].constant();
  int64_t pair = element.isBF16() ? 2 : 1;
  if (!depth || !columns || *columns == 0 || *columns % panelWidth != 0 || !type.hasStaticShape() ||
      type.getRank() != 3 || type.getDimSize(1) != (pair == 2 ? pairWords(*depth) : *depth) ||
      type.getDimSize(2) != pair * panelWidth)
    return std::nullopt;

  IndexDomain domain(boundsOf(map->getParentOfType<ModuleOp>()));
  KnownIndices known;
  SmallVector<Dim> at, read;
  for (auto [index, extent] : llvm::zip(map.getIndices(), shapeOf(map.getResult())))
    at.push_back(known[index] = domain.addIndex(extent));
  for (Value index : load.getIndices())
    read.push_back(domain.simplify(readIndex(index, known, domain)));
  const Dim width(panelWidth), words(pair);
  int64_t panelsEach = *columns / panelWidth;
  Dim first = domain.simplify(read[0] - at[2].floorDiv(width));
  bool isPanel = domain.isEqual(read[1], at[1].floorDiv(words)) &&
                 domain.isEqual(read[2], at[2].mod(width) * words + at[1].mod(words));
  bool isOfRow =
      isFreeOf(first, map.getIndices()[1], at[1], domain) && isFreeOf(first, map.getIndices()[2], at[2], domain);
  if (!isPanel || !isOfRow || !first.exactDiv(Dim(panelsEach)) || type.getDimSize(0) % panelsEach != 0)
    return std::nullopt;
  return GroupedProduct{op, map, load, panelsEach, type.getDimSize(0) / panelsEach};
}

//===----------------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------------===//

namespace {

class GroupedLowering : PanelProduct {
public:
  GroupedLowering(KernelLowering &lowering, GroupedProduct product)
      : PanelProduct(lowering, product.op), grouped(product) {}

  KernelGrid lower() {
    int64_t floats = packedProductScratch(blocking, words), stretches = llvm::divideCeil(grouped.panelsEach, stretch());
    picked = scope.function.scratch(builder, loc, builder.getI64Type(), index.constant(4 * floats));
    emitLoop(scope, loc, scope.function.firstTile(), scope.function.lastTile(), [&](Value tile) {
      Value matrix = index.div(tile, stretches), number = index.rem(tile, stretches);
      Value isNew = arith::OrIOp::create(builder, loc, index.equal(number, index.constant(0)),
                                         index.equal(tile, scope.function.firstTile()));
      emitIf(scope, loc, isNew, [&] { collectRows(matrix); });
      firstPanel = index.mul(number, stretch());
      multiply(matrix);
    });
    // The rows of a matrix are collected for all its stretches.
    return {Dim(grouped.matrices * stretches), Dim(4 * floats) + Dim(8) * (lhs[0] + Dim(1)), stretches};
  }

private:
  /// Panels of a tile, at most: a row is copied for each of them, and what is picked is to be shared by several
  /// workers.
  int64_t stretch() const { return 2 * blocking.panelGroup; }

  Value rowAt(Value row) override { return loadPicked(index.add(row, 1)); }
  Value panelAt(Value panel) override { return index.add(firstPanel, panel); }

  /// picked[0] is how many, the numbers of the rows are behind it.
  void collectRows(Value matrix) {
    Value panel = index.mul(matrix, grouped.panelsEach);
    SmallVector<Value> count =
        emitCarryingLoop(scope, loc, index.constant(0), scope.dim(lhs[0], loc), 1, index.constant(0),
                         [&](Value row, ValueRange carried) {
                           storePicked(row, index.add(carried[0], 1));
                           Value isPicked = index.equal(firstPanelOf(row), panel);
                           Value one = arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), isPicked);
                           return SmallVector<Value>{index.add(carried[0], one)};
                         });
    storePicked(count[0], index.constant(0));
  }

  /// Where the matrix begins that a row picks: the map's index of panels, at its first column.
  Value firstPanelOf(Value row) {
    RegionEmitter emitter(scope, 1, loc);
    Value panel;
    SmallVector<TensorReader> readers;
    for (auto [n, input] : llvm::enumerate(grouped.map.getInputs()))
      readers.push_back(n != grouped.argument() ? lowering.reader(input, emitter) : [&](ArrayRef<LaneValue> indices) {
        panel = emitter.clampIndex(indices[0], index.constant(grouped.matrices * grouped.panelsEach)).value;
        return LaneValue::uniform(arith::ConstantOp::create(builder, loc, builder.getZeroAttr(elementOf(op.getRhs()))));
      });
    LaneValue zero = LaneValue::uniform(index.constant(0));
    emitter.evaluate(grouped.map.getBody(), {LaneValue::uniform(row), zero, zero}, readers);
    return panel;
  }

  void multiply(Value matrix) {
    PackedProduct product = productWith(grouped.panels());
    product.rows = loadPicked(index.constant(0));
    product.panels = index.min(index.constant(stretch()), index.sub(index.constant(grouped.panelsEach), firstPanel));
    Value panel = index.add(index.mul(matrix, grouped.panelsEach), firstPanel);
    product.bOffset = index.mul(panel, words * panelWidth);
    product.firstTile = index.constant(0);
    product.lastTile = packedProductGrid(builder, loc, product);
    emitPackedProduct(builder, loc, scope.function.function()->getParentOfType<ModuleOp>(), product);
  }

  Value loadPicked(Value at) {
    Value number = memref::LoadOp::create(builder, loc, picked, at);
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), number);
  }

  void storePicked(Value number, Value at) {
    Value wide = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), number);
    memref::StoreOp::create(builder, loc, wide, picked, at);
  }

  GroupedProduct grouped;
  IndexMath index{builder, loc};
  Value picked;     // memref<?xi64>
  Value firstPanel; // of the stretch, in its matrix
};

} // namespace

KernelGrid lowerGroupedProduct(KernelLowering &lowering, const GroupedProduct &grouped) {
  return GroupedLowering(lowering, grouped).lower();
}

} // namespace tenon
