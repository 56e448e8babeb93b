//===- GraphMoves.cpp - GraphBuilder's ops that move elements --------------------===//
//
// All are maps, so that what a chain of them does to an index composes into one
// expression; only a change of the row-major grouping is a reshape.
//
#include "frontends/builder/CountedPositions.h"

using namespace mlir;
using namespace tenon;

/// Both have the same dims other than 1, in the same order.
static bool differInOnesOnly(ArrayRef<Dim> a, ArrayRef<Dim> b) {
  auto notOne = [](const Dim &dim) { return dim != Dim(1); };
  return llvm::equal(llvm::make_filter_range(a, notOne), llvm::make_filter_range(b, notOne));
}

Value GraphBuilder::reshape(Value x, Dims shape) {
  if (!x || hasFailed())
    return {};
  std::optional<RankedTensorType> type = typeOf(elementOf(x), shape);
  if (!type || x.getType() == *type)
    return type ? x : Value();
  Shape from = shapeOf(x), to = shapeOf(*type);
  if (!wantEqual(countOf(from), countOf(to), "elements of " + toString(from) + " as " + toString(to)))
    return {};
  if (TypedAttr constant = splatElement(x))
    return splat(constant, shape);
  // What is computed from indices stays so; anything else is the same memory.
  if (!x.getDefiningOp<MapOp>() || !differInOnesOnly(from, to))
    return ReshapeOp::create(builder, loc, *type, x);
  return map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> kept, indices;
    for (auto [index, dim] : llvm::zip(at, to))
      if (dim != Dim(1))
        kept.push_back(index);
    unsigned next = 0;
    for (const Dim &dim : from)
      indices.push_back(dim == Dim(1) ? s.index(0) : kept[next++]);
    return s.load(t[0], indices);
  });
}

Value GraphBuilder::unsqueeze(Value x, Axes where) {
  if (!x || hasFailed())
    return {};
  Shape from = shapeOf(x), to;
  auto positions = axes(where, from.size() + where.size());
  if (!positions)
    return {};
  for (unsigned i = 0, next = 0; i < from.size() + where.size(); ++i)
    to.push_back(llvm::is_contained(*positions, int64_t(i)) ? Dim(1) : from[next++]);
  return reshape(x, to);
}

Value GraphBuilder::squeeze(Value x, Axes where) {
  if (!x || hasFailed())
    return {};
  Shape from = shapeOf(x), to;
  auto positions = axes(where, from.size());
  if (!positions)
    return {};
  for (auto [i, dim] : llvm::enumerate(from)) {
    if (!llvm::is_contained(*positions, int64_t(i)))
      to.push_back(dim);
    else if (!wantEqual(Dim(1), dim, "squeeze of axis " + Twine(i)))
      return {};
  }
  return reshape(x, to);
}

static bool isPermutation(ArrayRef<int64_t> permutation, size_t rank) {
  SmallVector<int64_t> sorted(permutation);
  llvm::sort(sorted);
  return llvm::equal(sorted, llvm::seq<int64_t>(0, rank));
}

Value GraphBuilder::transpose(Value x, Axes permutation) {
  if (!x || hasFailed())
    return {};
  Shape from = shapeOf(x);
  if (!isPermutation(permutation, from.size())) {
    error() << "wanted a permutation of " << from.size() << " axes, found [" << permutation << "]";
    return {};
  }
  if (llvm::is_sorted(permutation))
    return x;
  if (x.getDefiningOp<GetOp>())
    return transposedWeight(x, permutation);
  Shape to = llvm::map_to_vector<4>(permutation, [&](int64_t axis) { return from[axis]; });
  return map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> indices(at.size());
    for (auto [index, axis] : llvm::zip(at, permutation))
      indices[axis] = index;
    return s.load(t[0], indices);
  });
}

Value GraphBuilder::transposedWeight(Value x, Axes permutation) {
  auto get = x ? x.getDefiningOp<GetOp>() : GetOp();
  if (!get) {
    if (x && !hasFailed())
      error() << "wants a weight to transpose, found a computed value";
    return {};
  }
  std::string name = get.getWeight().str() + ".transposed";
  if (!llvm::equal(permutation, ArrayRef<int64_t>{1, 0}))
    for (int64_t axis : permutation)
      name += "." + std::to_string(axis);
  Value &known = weightValues[name];
  if (known)
    return known;
  auto type = cast<RankedTensorType>(x.getType());
  auto sizes = llvm::map_to_vector(permutation, [&](int64_t axis) { return type.getDimSize(axis); });
  auto parameter = builder.getNamedAttr("permutation", builder.getDenseI64ArrayAttr(permutation));
  return known = recipe(name, "transpose", x, type.getElementType(), sizes, parameter);
}

Value GraphBuilder::broadcastTo(Value x, Dims shape) {
  if (!x || hasFailed())
    return {};
  std::optional<RankedTensorType> type = typeOf(elementOf(x), shape);
  if (!type || x.getType() == *type)
    return type ? x : Value();
  if (TypedAttr constant = splatElement(x))
    return splat(constant, shape);
  Shape from = shapeOf(x), to = shapeOf(*type);
  return map(elementOf(x), to, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> own(at.take_back(from.size()));
    for (auto [index, small, wide] : llvm::zip(own, from, ArrayRef<Dim>(to).take_back(from.size())))
      if (small == Dim(1) && wide != Dim(1))
        index = s.index(0);
    return s.load(t[0], own);
  });
}

Value GraphBuilder::slice(Value x, int64_t along, const Dim &begin, const Dim &size, int64_t step) {
  if (!x || hasFailed())
    return {};
  Shape shape = shapeOf(x);
  std::optional<int64_t> position = axis(along, shape.size());
  if (!position || (begin == Dim(0) && step == 1 && size == shape[*position]))
    return position ? x : Value();
  shape[*position] = size;
  if (TypedAttr constant = splatElement(x))
    return splat(constant, shape);
  return map(elementOf(x), shape, x, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> indices(at);
    Value &index = indices[*position];
    index = s.mul(index, s.index(step));
    if (begin != Dim(0))
      index = s.add(index, s.size(begin));
    return s.load(t[0], indices);
  });
}

//===----------------------------------------------------------------------------===//
// Concatenation: the part is selected by index, and so is the index within it, because
// both sides of a select are evaluated.
//===----------------------------------------------------------------------------===//

namespace {
struct Concatenation {
  ArrayRef<Value> parts; ///< Splats among them are not loaded.
  ArrayRef<Dim> begins;  ///< Of each part along the axis.
  int64_t axis;

  Value elementOfPart(ScalarBuilder &s, ArrayRef<Value> tensors, unsigned part, ValueRange at, Value inside) const {
    if (TypedAttr constant = GraphBuilder::splatElement(parts[part]))
      return arith::ConstantOp::create(s.builder, s.loc, constant);
    SmallVector<Value> indices(at);
    Value within = part == 0 ? at[axis] : s.sub(at[axis], s.size(begins[part]));
    indices[axis] = s.select(inside, within, s.index(0));
    return s.load(tensors[part], indices);
  }

  Value element(ScalarBuilder &s, ArrayRef<Value> tensors, ValueRange at) const {
    unsigned last = parts.size() - 1;
    auto before = [&](unsigned part) { return s.compare(Comparison::Less, at[axis], s.size(begins[part])); };
    auto notBefore = [&](unsigned part) { return s.compare(Comparison::GreaterEqual, at[axis], s.size(begins[part])); };
    Value result = elementOfPart(s, tensors, last, at, notBefore(last));
    for (unsigned part = last; part-- > 0;) {
      Value ends = before(part + 1);
      Value inside = part == 0 ? ends : s.bitAnd(notBefore(part), ends);
      result = s.select(ends, elementOfPart(s, tensors, part, at, inside), result);
    }
    return result;
  }
};
} // namespace

Value GraphBuilder::concat(ValueRange given, int64_t along) {
  if (llvm::is_contained(given, Value()) || hasFailed())
    return {};
  if (given.empty()) {
    error() << "wants at least one tensor to concatenate";
    return {};
  }
  Shape shape = shapeOf(given.front());
  std::optional<int64_t> position = axis(along, shape.size());
  if (!position)
    return {};
  SmallVector<Value> parts;
  SmallVector<Dim> begins;
  Dim total(0);
  for (auto [number, part] : llvm::enumerate(given)) {
    Shape other = shapeOf(part);
    if (other.size() != shape.size() || !sameElements(given.front(), part)) {
      if (!hasFailed())
        error() << "wants tensors of rank " << shape.size() << ", found " << toString(other);
      return {};
    }
    for (unsigned i = 0; i < shape.size(); ++i)
      if (int64_t(i) != *position &&
          !wantEqual(shape[i], other[i], "dimension " + Twine(i) + " of part " + Twine(number)))
        return {};
    if (other[*position] == Dim(0))
      continue;
    parts.push_back(part);
    begins.push_back(total);
    total += other[*position];
  }
  if (parts.size() <= 1)
    return parts.empty() ? Value(given.front()) : parts.front();
  shape[*position] = total;
  SmallVector<Value> loaded =
      llvm::to_vector(llvm::make_filter_range(parts, [](Value part) { return !splatElement(part); }));
  return map(elementOf(parts.front()), shape, loaded, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    SmallVector<Value> tensors(parts.size());
    unsigned next = 0;
    for (auto [tensor, part] : llvm::zip(tensors, parts))
      if (!splatElement(part))
        tensor = t[next++];
    return Concatenation{parts, begins, *position}.element(s, tensors, at);
  });
}

//===----------------------------------------------------------------------------===//
// Gathering
//===----------------------------------------------------------------------------===//

/// True when a scalar of a map's region is never negative, as far as sums and
/// products of indices show. A region being built has no op yet: its operands are `open`.
static bool isNeverNegative(Value scalar, ArrayRef<Value> open, const Bounds &bounds, unsigned depth = 0) {
  auto operandsAre = [&](Operation *op) {
    return llvm::all_of(op->getOperands(), [&](Value v) { return isNeverNegative(v, open, bounds, depth + 1); });
  };
  if (depth > 24)
    return false;
  Operation *op = scalar.getDefiningOp();
  if (!op)
    return isa<IndexType>(scalar.getType());
  if (isa<arith::AddIOp, arith::MulIOp, arith::IndexCastOp, arith::MaxSIOp, arith::MinSIOp>(op))
    return operandsAre(op);
  if (auto select = dyn_cast<arith::SelectOp>(op))
    return isNeverNegative(select.getTrueValue(), open, bounds, depth + 1) &&
           isNeverNegative(select.getFalseValue(), open, bounds, depth + 1);
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto integer = dyn_cast<IntegerAttr>(constant.getValue());
    return integer && !integer.getValue().isNegative();
  }
  if (auto size = dyn_cast<SizeOp>(op))
    return size.getDim().getValue().interval(bounds).lo >= 0;
  auto load = dyn_cast<LoadOp>(op);
  if (!load)
    return false;
  auto argument = cast<BlockArgument>(load.getTensor());
  auto user = dyn_cast_or_null<MapOp>(argument.getOwner()->getParentOp());
  Value operand = user ? user.getInputs()[argument.getArgNumber()] : open[argument.getArgNumber()];
  auto producer = operand.getDefiningOp<MapOp>();
  return producer && isNeverNegative(producer.getYielded(), open, bounds, depth + 1);
}

Value GraphBuilder::wrappedIndex(ScalarBuilder &s, Value loaded, const Dim &size) {
  Value index = s.cast(loaded, s.builder.getIndexType());
  if (isNeverNegative(index, openInputs, bounds))
    return index;
  Value negative = s.compare(Comparison::Less, index, s.index(0));
  return s.select(negative, s.add(index, s.size(size)), index);
}

Value GraphBuilder::gather(Value table, Value indices, int64_t along) {
  if (!table || !indices || hasFailed())
    return {};
  Shape from = shapeOf(table), picked = shapeOf(indices);
  std::optional<int64_t> position = axis(along, from.size());
  if (!position)
    return {};
  if (!isa<IntegerType>(elementOf(indices))) {
    error() << "wants integer indices, found " << elementOf(indices);
    return {};
  }
  if (!wantPositionsWithin(*this, indices, from[*position]))
    return {};
  Shape shape(ArrayRef<Dim>(from).take_front(*position));
  llvm::append_range(shape, picked);
  llvm::append_range(shape, ArrayRef<Dim>(from).drop_front(*position + 1));
  TypedAttr constant = splatElement(indices);
  SmallVector<Value> inputs{table};
  if (!constant)
    inputs.push_back(indices);
  return map(elementOf(table), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value picks = constant ? arith::ConstantOp::create(s.builder, s.loc, constant)
                           : s.load(t[1], at.slice(*position, picked.size()));
    SmallVector<Value> source(at.take_front(*position));
    source.push_back(wrappedIndex(s, picks, from[*position]));
    llvm::append_range(source, at.drop_front(*position + picked.size()));
    return s.load(t[0], source);
  });
}

Value GraphBuilder::iota(Type element, const Dim &count, const Dim &start, const Dim &step) {
  return map(element, count, {}, [&](ScalarBuilder &s, ValueRange, ValueRange at) {
    Value value = s.mul(at[0], s.size(step));
    return s.cast(s.add(value, s.size(start)), element);
  });
}
