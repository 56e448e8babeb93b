//===- PositionProducts.cpp - score terms that are products with rows chosen by distance ===//
#include "passes/attention/PositionProducts.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {

namespace {
constexpr unsigned scalars = 5; ///< x, b, h, i, j come before the captures of a score.

bool isUnread(Region &region, unsigned argument) { return region.empty() || region.getArgument(argument).use_empty(); }

/// The map computes each element from that of its one operand.
bool isElementwise(MapOp map) {
  return map.getInputs().size() == 1 && shapeOf(map.getInputs()[0]) == shapeOf(map.getResult()) &&
         llvm::all_of(map.getBody().front().getOps<LoadOp>(),
                      [&](LoadOp load) { return llvm::equal(load.getIndices(), map.getIndices()); });
}

/// Which index of the load is a position, and which the distance; the others know of neither.
bool matchLoad(AttentionOp op, PositionProduct &x) {
  RegionAnalysis analysis(op.getScore(), /*hasScore=*/true);
  Value query = op.getScore().getArgument(3), key = op.getScore().getArgument(4);
  std::optional<unsigned> row, distance;
  for (auto [n, index] : llvm::enumerate(x.load.getIndices())) {
    Dependence depends = analysis.dependenceOf(index);
    if (depends.score || readsData(index))
      return false;
    if (!depends.query && !depends.key)
      continue;
    bool isPosition = index == query || index == key;
    bool isDistance =
        depends.query && depends.key && !depends.batch && !depends.head && analysis.isShiftInvariant(index);
    std::optional<unsigned> &place = isPosition ? row : distance;
    if ((!isPosition && !isDistance) || place)
      return false;
    place = n;
    if (isPosition)
      x.ofQuery = index == query;
  }
  if (!row || !distance)
    return false;
  x.row = *row;
  x.distance = *distance;
  return true;
}

/// The position comes with one operand alone and the distance with the other.
bool matchProduct(PositionProduct &x) {
  std::string error;
  ContractSpec spec = *ContractSpec::parse(x.product.getSpec(), error);
  auto summed = spec.summed();
  if (summed.size() != 1 || !spec.lone().empty() || x.product.getPanels())
    return false;
  auto sideOf = [&](Value tensor, ArrayRef<StringRef> words) {
    PositionProduct::Side side{tensor, {}, positionOf(summed[0], words)};
    for (StringRef word : spec.result)
      side.places.push_back(positionOf(word, words));
    return side;
  };
  x.rows = sideOf(x.product.getLhs(), spec.lhs);
  x.table = sideOf(x.product.getRhs(), spec.rhs);
  if (x.rows.places[x.row] < 0)
    std::swap(x.rows, x.table);
  std::optional<int64_t> depth = shapeOf(x.rows.tensor)[x.rows.summed].constant();
  x.depth = depth.value_or(0);
  return depth && *depth > 0 && x.rows.places[x.row] >= 0 && x.rows.places[x.distance] < 0 &&
         x.table.places[x.row] < 0 && x.table.places[x.distance] >= 0;
}
} // namespace

std::optional<PositionProduct> PositionProduct::match(AttentionOp op, unsigned capture) {
  PositionProduct x;
  x.capture = capture;
  Value captured = op.getCaptures()[capture];
  x.after = captured.getDefiningOp<MapOp>();
  if (x.after && (!isElementwise(x.after) || !captured.hasOneUse() || !elementOf(captured).isF32()))
    return std::nullopt;
  x.product = (x.after ? x.after.getInputs()[0] : captured).getDefiningOp<ContractOp>();
  if (!x.product || !x.product->hasOneUse() || !op.hasScore() || !isUnread(op.getKeep(), scalars - 1 + capture) ||
      !isUnread(op.getWeight(), scalars + capture))
    return std::nullopt;
  for (Value tensor : {x.product.getLhs(), x.product.getRhs(), x.product.getResult()})
    if (!elementOf(tensor).isF32())
      return std::nullopt;
  BlockArgument tensor = op.getScore().getArgument(scalars + capture);
  if (!tensor.hasOneUse())
    return std::nullopt;
  x.load = cast<LoadOp>(*tensor.user_begin());
  if (!matchLoad(op, x) || !matchProduct(x))
    return std::nullopt;
  return x;
}

SmallVector<PositionProduct, 2> PositionProduct::streamed(AttentionOp op) {
  SmallVector<PositionProduct, 2> found;
  if (op.getAlgorithm() != AttentionAlgorithm::Flash)
    return found;
  std::optional<int64_t> keys = op.getSizes().keys.constant();
  for (unsigned capture = 0; capture < op.getCaptures().size(); ++capture) {
    std::optional<PositionProduct> x = match(op, capture);
    if (!x)
      continue;
    std::optional<int64_t> distances = shapeOf(x->product.getResult())[x->distance].constant();
    if (!distances || (keys && *distances >= *keys))
      found.push_back(*x);
  }
  return found;
}

SmallVector<Operation *, 4> productsOfAttention(Operation *root) {
  SmallVector<Operation *, 4> found;
  if (auto attention = dyn_cast<AttentionOp>(root))
    for (PositionProduct &x : PositionProduct::streamed(attention)) {
      found.push_back(x.product);
      if (x.after)
        found.push_back(x.after);
    }
  return found;
}

bool isPartOfAttention(Operation *op) {
  if (!isa<ContractOp>(op) || !op->hasOneUse())
    return false;
  Operation *reader = *op->user_begin();
  if (isa<MapOp>(reader) && reader->hasOneUse())
    reader = *reader->user_begin();
  return llvm::is_contained(productsOfAttention(reader), op);
}

} // namespace tenon
