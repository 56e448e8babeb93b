//===- LowerMap.cpp - element-wise kernels --------------------------------------------===//
//
// Rows are the points of all dimensions but the last, along which the lanes run. Costs: one
// delinearisation (an integer division for each dimension but the outermost) per row. Maps that read along another
// dimension than they write go by squares (`TurnedMap.h`).
//
// A map that asks where the last index stands (a concatenation, a pad, the turned halves of a rotary embedding) is
// emitted once for each piece of a row in which the answers are the same. There the other side of every choice is
// gone, and what is left reads neighbours: vectors, not gathers.
//
#include "mlir/IR/Matchers.h"
#include "passes/lowering/KernelLowering.h"
#include "passes/lowering/TurnedMap.h"
#include "passes/simplify/IndexExpression.h"

using namespace mlir;

namespace tenon {

namespace {

/// The last index from `begin` to `end` - 1.
struct Piece {
  int64_t begin, end;
};

class RowPieces {
public:
  RowPieces(MapOp map, unsigned lanes)
      : map(map), lanes(lanes), domain(IndexDomain(boundsOf(map->getParentOfType<ModuleOp>()))) {
    for (auto [index, extent] : llvm::zip(map.getIndices(), shapeOf(map.getResult())))
      known[index] = domain.addIndex(extent);
  }

  /// One piece where a row need not be cut, or would be cut into less than vectors.
  SmallVector<Piece> pieces() {
    Shape shape = shapeOf(map.getResult());
    std::optional<int64_t> length = shape.empty() ? std::nullopt : shape.back().constant();
    if (!length)
      return {};
    SmallVector<int64_t> cuts{0, *length};
    map.getBody().walk([&](arith::CmpIOp compare) {
      if (std::optional<int64_t> cut = cutOf(compare); cut && *cut > 0 && *cut < *length)
        cuts.push_back(*cut);
    });
    llvm::sort(cuts);
    cuts.erase(llvm::unique(cuts), cuts.end());
    SmallVector<Piece> pieces;
    for (size_t i = 0; i + 1 < cuts.size(); ++i)
      pieces.push_back({cuts[i], cuts[i + 1]});
    bool areVectors = llvm::all_of(pieces, [&](Piece piece) { return piece.end - piece.begin >= int64_t(lanes); });
    return areVectors && pieces.size() <= mostPieces ? pieces : SmallVector<Piece>();
  }

  /// The map with every comparison decided as in `piece`, beside the map.
  MapOp decided(Piece piece) {
    OpBuilder builder(map);
    IRMapping mapping;
    auto clone = cast<MapOp>(builder.clone(*map, mapping));
    map.getBody().walk([&](arith::CmpIOp compare) {
      std::optional<int64_t> cut = cutOf(compare);
      if (!cut)
        return;
      auto copy = mapping.lookup(compare.getResult()).getDefiningOp<arith::CmpIOp>();
      bool isBelow = piece.end <= *cut;
      bool holds = isBelow == (copy.getPredicate() == arith::CmpIPredicate::slt);
      OpBuilder inner(copy);
      copy.replaceAllUsesWith(arith::ConstantIntOp::create(inner, copy.getLoc(), holds, 1).getResult());
    });
    fold(clone);
    return clone;
  }

private:
  static constexpr size_t mostPieces = 8;

  /// c where `compare` is "last index < c" or "last index >= c".
  std::optional<int64_t> cutOf(arith::CmpIOp compare) {
    bool isOrder = compare.getPredicate() == arith::CmpIPredicate::slt ||
                   compare.getPredicate() == arith::CmpIPredicate::sge;
    if (!isOrder || !compare.getLhs().getType().isIndex())
      return std::nullopt;
    const Dim &last = known[map.getIndices().back()];
    Dim rest = domain.simplify(readIndex(compare.getRhs(), known, domain) + last -
                               readIndex(compare.getLhs(), known, domain));
    return rest.constant();
  }

  /// Folds what the constants decide; nobody reads the other sides any more.
  static void fold(MapOp map) {
    Block &body = map.getBody().front();
    OpBuilder builder(map.getContext());
    for (Operation &op : llvm::make_early_inc_range(body.without_terminator())) {
      builder.setInsertionPoint(&op);
      SmallVector<Value> values;
      if (!op.hasTrait<OpTrait::ConstantLike>() && succeeded(builder.tryFold(&op, values)) && !values.empty())
        op.replaceAllUsesWith(values);
    }
    auto all = llvm::map_to_vector(body.without_terminator(), [](Operation &op) { return &op; });
    for (Operation *op : llvm::reverse(all))
      if (op->use_empty())
        op->erase();
  }

  MapOp map;
  unsigned lanes;
  IndexDomain domain;
  KnownIndices known;
};

} // namespace

KernelGrid lowerMap(KernelLowering &lowering, MapOp map) {
  KernelScope &scope = lowering.scope;
  Location loc = lowering.loc;
  Shape shape = shapeOf(map.getResult());
  if (shape.empty())
    shape.push_back(Dim(1));
  ArrayRef<Dim> outer = ArrayRef<Dim>(shape).drop_back();
  Dim rows = countOf(outer);
  unsigned lanes = lowering.lanesOf(elementOf(map.getResult()));
  bool isScalar = map.getType().getRank() == 0;
  RowPieces cut(map, lanes);
  SmallVector<std::pair<MapOp, Piece>> parts;
  for (Piece piece : cut.pieces())
    parts.push_back({cut.decided(piece), piece});
  if (parts.size() < 2)
    if (std::optional<TurnedMap> turned = TurnedMap::of(lowering, map))
      return turned->lower();
  lowering.forEachRow(rows, rowsPerTile(shape.back()), [&](Value row) {
    SmallVector<LaneValue> indices = lowering.delinearise(row, outer);
    Value length = scope.dim(shape.back(), loc);
    Value start = scope.mul(row, length, loc);
    auto emit = [&](MapOp part, Value first, Value count) {
      emitLaneLoop(scope, loc, count, lanes, [&](RegionEmitter &emitter, const LaneValue &j) {
        emitter.branchOnChoices();
        SmallVector<LaneValue> point(indices);
        LaneValue at{j.kind, scope.add(first, j.value, loc), j.step, false};
        if (!isScalar)
          point.push_back(at);
        LaneValue element = lowering.reader(part.getResult(), emitter)(point);
        emitter.store(element, lowering.resultMemory(), scope.add(start, at.value, loc));
      });
    };
    if (parts.size() < 2)
      return emit(map, scope.index(0, loc), length);
    for (auto [part, piece] : parts)
      emit(part, scope.index(piece.begin, loc), scope.index(piece.end - piece.begin, loc));
  });
  for (auto [part, piece] : parts)
    part.erase();
  return {rows.ceilDiv(Dim(rowsPerTile(shape.back()))), Dim(0)};
}

} // namespace tenon
