//===- FoldScatters.cpp - slices written at places known beforehand, as maps -----------------===//
//
// `out[:, t] = y` reaches the compiler as a scatter at a list of index tuples that some maps make of positions. Where
// the tuples follow from positions alone no list is needed: whether an element is written, and by which update, is
// index arithmetic. T writes that fill a dimension are its T parts side by side, of which loops over time are
// recognised.
//
// Costs: K index expressions a scatter. Saves the lists, their kernels, and a copy of the whole tensor for each write.
//
#include "passes/Passes.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FOLDSCATTERS
#include "passes/Passes.h.inc"

namespace {

//===----------------------------------------------------------------------------===//
// Integers that maps compute from positions
//===----------------------------------------------------------------------------===//

class PositionReader {
public:
  explicit PositionReader(Operation *op) : domain(domainOf(op)) {}

  /// Element `at` of a tensor of integers; none where it depends on data.
  std::optional<Dim> element(Value tensor, ArrayRef<Dim> at) {
    Operation *op = tensor.getDefiningOp();
    if (auto reshape = dyn_cast_if_present<ReshapeOp>(op))
      return element(reshape.getInput(), reshapeIndices(at, shapeOf(tensor), shapeOf(reshape.getInput()), domain));
    auto map = dyn_cast_if_present<MapOp>(op);
    if (!map)
      return std::nullopt;
    Region region{map, KnownIndices()};
    for (auto [index, dim] : llvm::zip(map.getIndices(), at))
      region.known[index] = dim;
    return read(map.getYielded(), region);
  }

  IndexDomain domain;

private:
  /// A map's region at one element.
  struct Region {
    MapOp map;
    KnownIndices known;
  };

  std::optional<Dim> read(Value value, Region &region) {
    if (auto it = region.known.find(value); it != region.known.end())
      return it->second;
    Operation *op = value.getDefiningOp();
    std::optional<Dim> result;
    if (auto load = dyn_cast_if_present<LoadOp>(op)) {
      if (std::optional<SmallVector<Dim, 4>> at = readAll<4>(load.getIndices(), region))
        result = element(region.map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()], *at);
    } else if (auto select = dyn_cast_if_present<arith::SelectOp>(op)) {
      if (std::optional<bool> condition = decide(select.getCondition(), region))
        result = read(*condition ? select.getTrueValue() : select.getFalseValue(), region);
    } else if (op && readAll<2>(op->getOperands(), region)) {
      result = domain.simplify(readIndex(value, region.known, domain));
    }
    if (!result || !result->isValid() || domain.hasOpaque(*result))
      return std::nullopt;
    region.known[value] = *result;
    return result;
  }

  template <unsigned N> std::optional<SmallVector<Dim, N>> readAll(ValueRange values, Region &region) {
    SmallVector<Dim, N> all;
    for (Value value : values)
      if (std::optional<Dim> dim = read(value, region))
        all.push_back(*dim);
    return all.size() == values.size() ? std::optional(all) : std::nullopt;
  }

  std::optional<bool> decide(Value condition, Region &region) {
    auto compare = condition.getDefiningOp<arith::CmpIOp>();
    std::optional<Dim> a = compare ? read(compare.getLhs(), region) : std::nullopt,
                       b = a ? read(compare.getRhs(), region) : std::nullopt;
    if (!b)
      return std::nullopt;
    return tenon::decide(compare.getPredicate(), *a, *b, domain);
  }
};

//===----------------------------------------------------------------------------===//
// What a scatter writes
//===----------------------------------------------------------------------------===//

/// One position in some dims, everything in the others, in row-major order.
struct SliceWrite {
  mutable ScatterOp scatter;
  SmallVector<std::optional<Dim>, 4> position; ///< For each dim; none where all of it is written.

  static std::optional<SliceWrite> match(ScatterOp scatter);

  Shape shape() const {
    Shape shape = shapeOf(scatter.getInto());
    for (auto [extent, fixed] : llvm::zip(shape, position))
      extent = fixed ? Dim(1) : extent;
    return shape;
  }

  /// The dim with a position, where it is one and that a number.
  std::optional<unsigned> axis() const {
    auto isFixed = [](const std::optional<Dim> &fixed) { return fixed.has_value(); };
    auto it = llvm::find_if(position, isFixed);
    bool isOne = llvm::count_if(position, isFixed) == 1 && (*it)->isConstant();
    return isOne ? std::optional<unsigned>(it - position.begin()) : std::nullopt;
  }
};

std::optional<SliceWrite> SliceWrite::match(ScatterOp scatter) {
  if (scatter.getBy())
    return std::nullopt;
  PositionReader reader(scatter);
  IndexDomain &domain = reader.domain;
  Shape into = shapeOf(scatter.getInto()), whole;
  Dim rows = shapeOf(scatter.getPlaces())[0];
  Dim row = rows == Dim(1) ? Dim(0) : domain.addIndex(rows);
  SliceWrite write{scatter, SmallVector<std::optional<Dim>, 4>(into.size())};
  SmallVector<Dim> indices;
  for (int64_t k = 0; k < scatter.getTupleSize(); ++k) {
    std::optional<Dim> place = reader.element(scatter.getPlaces(), {row, Dim(k)});
    if (!place)
      return std::nullopt;
    if (!domain.isSize(*place)) {
      whole.push_back(into[k]);
      indices.push_back(domain.addIndex(into[k]));
    } else if (!domain.isNonNegative(*place) || !domain.isLess(*place, into[k])) {
      return std::nullopt; // reported where it runs
    } else if (into[k] != Dim(1)) {
      write.position[k] = *place;
    }
  }
  if (!domain.isEqual(countOf(whole), rows))
    return std::nullopt;
  // The rows are then all combinations of the indices, and no two the same.
  Dim number = linearise(indices, whole);
  for (unsigned k = 0, next = 0; next < indices.size(); ++k) {
    std::optional<Dim> place = reader.element(scatter.getPlaces(), {number, Dim(k)});
    bool isFixed = write.position[k] || into[k] == Dim(1);
    if (!place || !domain.isEqual(*place, isFixed ? write.position[k].value_or(Dim(0)) : indices[next++]))
      return std::nullopt;
  }
  return write;
}

//===----------------------------------------------------------------------------===//
// As maps
//===----------------------------------------------------------------------------===//

Value loadPart(OpBuilder &b, Location loc, Value part, ArrayRef<std::optional<Dim>> position, ValueRange at) {
  SmallVector<Value> indices(at);
  for (auto [index, fixed] : llvm::zip(indices, position))
    if (fixed)
      index = arith::ConstantIndexOp::create(b, loc, 0);
  return LoadOp::create(b, loc, part, indices);
}

Value partOf(OpBuilder &builder, SliceWrite &write) {
  return reshapeTo(builder, write.scatter.getLoc(), write.scatter.getUpdates(), write.shape());
}

/// The updates where the indices are at the position, elsewhere what stood there.
Value written(OpBuilder &builder, SliceWrite &write) {
  Location loc = write.scatter.getLoc();
  Value part = partOf(builder, write);
  if (part.getType() == write.scatter.getType())
    return part;
  return MapOp::create(builder, loc, cast<RankedTensorType>(write.scatter.getType()), {part, write.scatter.getInto()},
                       [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) {
                         Value isHere;
                         for (auto [index, fixed] : llvm::zip(at, write.position)) {
                           if (!fixed)
                             continue;
                           Value position =
                               SizeOp::create(b, loc, b.getIndexType(), DimAttr::get(b.getContext(), *fixed));
                           Value isSame = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, index, position);
                           isHere = isHere ? arith::AndIOp::create(b, loc, isHere, isSame).getResult() : isSame;
                         }
                         Value update = loadPart(b, loc, tensors[0], write.position, at);
                         Value before = LoadOp::create(b, loc, tensors[1], SmallVector<Value>(at));
                         return arith::SelectOp::create(b, loc, isHere, update, before).getResult();
                       });
}

/// Writes one into another that fill a dimension, the last first; none where they leave something of what was there.
std::optional<SmallVector<SliceWrite>> fillsDimension(const SliceWrite &last) {
  std::optional<unsigned> axis = last.axis();
  std::optional<int64_t> extent = axis ? shapeOf(last.scatter.getInto())[*axis].constant() : std::nullopt;
  if (!extent)
    return std::nullopt;
  llvm::SmallDenseSet<int64_t> positions;
  SmallVector<SliceWrite> writes;
  for (std::optional<SliceWrite> write = last; write && write->axis() == axis;) {
    if (positions.insert(*write->position[*axis]->constant()).second)
      writes.push_back(*write);
    if (int64_t(positions.size()) == *extent)
      return writes;
    auto before = write->scatter.getInto().getDefiningOp<ScatterOp>();
    write = before && before->hasOneUse() ? SliceWrite::match(before) : std::nullopt;
  }
  return std::nullopt;
}

/// Part 0 where the index is below 1, part 1 where it is below 2, …
Value sideBySide(OpBuilder &builder, SmallVector<SliceWrite> writes) {
  unsigned axis = *writes.front().axis();
  llvm::sort(writes, [&](const SliceWrite &a, const SliceWrite &b) {
    return *a.position[axis]->constant() < *b.position[axis]->constant();
  });
  SmallVector<Location> locations;
  SmallVector<Value> parts;
  for (SliceWrite &write : writes) {
    locations.push_back(write.scatter.getLoc());
    parts.push_back(partOf(builder, write));
  }
  return MapOp::create(
      builder, builder.getFusedLoc(locations), cast<RankedTensorType>(writes.front().scatter.getType()), parts,
      [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) {
        ArrayRef<std::optional<Dim>> position = writes.front().position;
        Value element = loadPart(b, loc, tensors.back(), position, at);
        for (unsigned part = tensors.size() - 1; part-- > 0;) {
          Value end = arith::ConstantIndexOp::create(b, loc, part + 1);
          Value isBefore = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, at[axis], end);
          element = arith::SelectOp::create(b, loc, isBefore, loadPart(b, loc, tensors[part], position, at), element);
        }
        return element;
      });
}

struct FoldScatters : impl::FoldScattersBase<FoldScatters> {
  void runOnOperation() override {
    SmallVector<ScatterOp> scatters;
    getOperation().walk([&](ScatterOp scatter) { scatters.push_back(scatter); });
    for (ScatterOp scatter : llvm::reverse(scatters)) { // the last of a chain first
      OpBuilder builder(scatter);
      if (scatter->use_empty())
        scatter.erase(); // what it wrote, others wrote over or took in
      else if (std::optional<SliceWrite> write = SliceWrite::match(scatter)) {
        std::optional<SmallVector<SliceWrite>> all = fillsDimension(*write);
        scatter.replaceAllUsesWith(all ? sideBySide(builder, *all) : written(builder, *write));
        scatter.erase();
      }
    }
  }
};

} // namespace
} // namespace tenon
