//===- MaskedScatter.cpp - what is put at the places of a mask -----------------------===//
#include "frontends/onnx/importer/MaskedPlaces.h"
#include "frontends/onnx/importer/Reduction.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

using Form = MaskedPlaces::Form;

/// Whether the elements do not depend on the index along a dim, as in what is broadcast along it.
static bool ignoresIndex(Value tensor, int64_t d, unsigned depth = 0) {
  auto map = tensor.getDefiningOp<MapOp>();
  if (!map || depth == 32)
    return false;
  Value index = map.getIndices()[d];
  for (Operation *user : index.getUsers()) {
    auto load = dyn_cast<LoadOp>(user);
    if (!load || llvm::is_contained(load->getOperands().take_front(1), index))
      return false;
    Value from = map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
    for (auto [k, at] : llvm::enumerate(load.getIndices()))
      if (at == index && !ignoresIndex(from, k, depth + 1))
        return false;
  }
  return true;
}

/// Without the dims at the end along which a mask is the same. The first is kept.
static Value leadingFlags(NodeContext &n, Value flags) {
  size_t rank = shapeOf(flags).size();
  while (rank > 1 && ignoresIndex(flags, rank - 1))
    flags = n.graph.map(n.graph.i1(), ArrayRef<Dim>(shapeOf(flags)).take_front(--rank), flags,
                        [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                          SmallVector<Value> source(at);
                          source.push_back(s.index(0));
                          return s.load(t[0], source);
                        });
  return flags;
}

/// The index of a place, of a dim of `values`: 0 where they do not depend on it.
static SmallVector<Value> givenIndex(ScalarBuilder &s, ArrayRef<Dim> given, ArrayRef<Value> place) {
  SmallVector<Value> index(place);
  for (auto [at, dim] : llvm::zip(index, given))
    at = dim == Dim(1) ? s.index(0) : at;
  return index;
}

static Value combined(ScalarBuilder &s, std::optional<ReduceKind> kind, Value old, Value update, Sign sign) {
  if (!kind)
    return update;
  switch (*kind) {
  case ReduceKind::Sum:
    return s.add(old, update);
  case ReduceKind::Product:
    return s.mul(old, update);
  case ReduceKind::Min:
    return s.min(old, update, sign);
  case ReduceKind::Max:
    return s.max(old, update, sign);
  }
  llvm_unreachable("a kind of reduction");
}

/// x with what there is at the places of a mask put at their indices of dims `to`, which are the first of x. Where
/// several places have these indices: one of them, or their sum.
static std::optional<LogicalResult> scatterEach(NodeContext &n, const MaskedPlaces &updates, ArrayRef<int64_t> to,
                                                std::optional<ReduceKind> kind) {
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Shape shape = shapeOf(x), masked = updates.masked(), given = updates.given(), rest = updates.rest();
  size_t rank = masked.size(), lead = to.size();
  if (updates.at != 0 || shape.size() != lead + rest.size() || elementOf(updates.values) != elementOf(x))
    return std::nullopt;
  SmallVector<int64_t> others;
  for (int64_t d = 0; d < int64_t(rank); ++d)
    if (llvm::count(to, d) > 1)
      return std::nullopt;
    else if (!llvm::is_contained(to, d))
      others.push_back(d);
  if (!others.empty() && kind ? kind != ReduceKind::Sum : others.size() > 1)
    return std::nullopt;
  for (auto [d, dim] : llvm::enumerate(to))
    if (!Dim::isKnownEqual(masked[dim], shape[d], n.graph.getBounds()).value_or(false))
      return std::nullopt;
  for (auto [dim, own] : llvm::zip(rest, ArrayRef<Dim>(shape).drop_front(lead)))
    if (!n.graph.wantEqual(dim, own, "slices and what they are for"))
      return failure();
  Sign sign = n.sign(0);
  ElementType type = n.type(0);
  // The index of the place that an element of the result is of, with those along the other dims.
  auto placeAt = [&](ValueRange at, ArrayRef<Value> along) {
    SmallVector<Value> place(rank);
    for (auto [d, dim] : llvm::enumerate(to))
      place[dim] = at[d];
    for (auto [dim, index] : llvm::zip(others, along))
      place[dim] = index;
    return place;
  };
  auto updateAt = [&](ScalarBuilder &s, Value values, ArrayRef<Value> place, ValueRange behind) {
    SmallVector<Value> index = givenIndex(s, given, place);
    llvm::append_range(index, behind);
    return s.load(values, index);
  };
  if (others.empty())
    return n.result(n.graph.map(elementOf(x), shape, {x, updates.flags, updates.values},
                                [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                  SmallVector<Value> place = placeAt(at, {});
                                  Value old = s.load(t[0], at), update = updateAt(s, t[2], place, at.drop_front(lead));
                                  return s.select(s.load(t[1], place), combined(s, kind, old, update, sign), old);
                                }),
                    type);
  Shape each(ArrayRef<Dim>(shape).take_front(lead));
  for (int64_t dim : others)
    each.push_back(masked[dim]);
  SmallVector<int64_t> summed = llvm::to_vector(llvm::seq<int64_t>(lead, rank));
  if (kind) {
    llvm::append_range(each, rest);
    Value terms = n.graph.map(elementOf(x), each, {updates.flags, updates.values},
                              [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                SmallVector<Value> along(at.slice(lead, others.size()));
                                SmallVector<Value> place = placeAt(at, along);
                                Value update = updateAt(s, t[1], place, at.drop_front(rank));
                                Value none = isa<FloatType>(update.getType()) ? s.number(update.getType(), 0)
                                                                              : s.integer(update.getType(), 0);
                                return s.select(s.load(t[0], place), update, none);
                              });
    return n.result(n.graph.add(x, n.graph.reduce(ReduceKind::Sum, terms, summed, false)), type);
  }
  // The last of the places, -1 where there is none.
  Value last = n.graph.reduce(ReduceKind::Max,
                              n.graph.map(n.graph.i64(), each, updates.flags,
                                          [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                            Value isPlace = s.load(t[0], placeAt(at, at.back()));
                                            return s.cast(s.select(isPlace, at.back(), s.index(-1)), n.graph.i64());
                                          }),
                              summed, false);
  return n.result(n.graph.map(elementOf(x), shape, {x, updates.values, last},
                              [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                Value along = s.cast(s.load(t[2], at.take_front(lead)), s.builder.getIndexType());
                                Value isPlace = s.compare(Comparison::GreaterEqual, along, s.index(0));
                                SmallVector<Value> place = placeAt(at, s.max(along, s.index(0)));
                                return s.select(isPlace, updateAt(s, t[1], place, at.drop_front(lead)),
                                                s.load(t[0], at));
                              }),
                  type);
}

/// `x[mask] = f(x[mask])`: the elements of a list given at the same places, of a mask that is the same along the dims
/// of what there is for each.
static std::optional<LogicalResult> scatterList(NodeContext &n, const MaskedPlaces &places, const MaskedPlaces &list) {
  Value x = n.tensor(0), flags = leadingFlags(n, places.flags);
  if (!x || !flags)
    return failure();
  Shape shape = shapeOf(x), masked = places.masked(), given = list.given();
  size_t lead = shapeOf(flags).size();
  Shape behind(ArrayRef<Dim>(masked).drop_front(lead));
  if (list.at != 0 || masked.size() != shape.size() || lead != given.size() ||
      countOf(behind) != countOf(list.rest()) || elementOf(x) != elementOf(list.values) ||
      !areSameElements(flags, list.flags))
    return std::nullopt;
  for (auto [dim, own] : llvm::zip(masked, shape))
    if (!n.graph.wantEqual(dim, own, "a mask and what it is for"))
      return failure();
  Shape wanted = given;
  llvm::append_range(wanted, behind);
  return n.result(n.graph.map(elementOf(x), shape, {x, flags, n.graph.reshape(list.values, wanted)},
                              [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                SmallVector<Value> place(at.take_front(lead)), index = givenIndex(s, given, place);
                                llvm::append_range(index, at.drop_front(lead));
                                return s.select(s.load(t[1], place), s.load(t[2], index), s.load(t[0], at));
                              }),
                  n.type(0));
}

/// Whether these are tuples of all indices of their places.
static bool areWhole(const MaskedPlaces &places) {
  return places.form == Form::AtPlaces && places.at == 0 && places.along == 1 &&
         llvm::equal(places.coordinates, llvm::seq<int64_t>(0, places.masked().size()));
}

std::optional<LogicalResult> onnx_importer::scatterEachMasked(NodeContext &n, std::optional<ReduceKind> kind,
                                                              bool areTuples) {
  const MaskedPlaces *places = n.places(1), *updates = n.places(2);
  if (!places || !updates || places->form != Form::AtPlaces || updates->form != Form::AtPlaces ||
      places->flags != updates->flags || places->coordinates.empty() || places->at != 0)
    return std::nullopt;
  Shape tuple{Dim(int64_t(places->coordinates.size()))};
  if (areTuples ? places->rest() != tuple : places->along != -1 || places->rest() != updates->rest())
    return std::nullopt;
  return scatterEach(n, *updates, places->coordinates, kind);
}

std::optional<LogicalResult> onnx_importer::scatterMasked(NodeContext &n) {
  const MaskedPlaces *places = n.places(1), *updates = n.places(2);
  if (!places || !updates || !areWhole(*places) || n.text("reduction", "none") != "none")
    return std::nullopt;
  if (updates->form == Form::List)
    return scatterList(n, *places, *updates);
  if (updates->form != Form::Slices)
    return std::nullopt;
  Value x = n.tensor(0), slices = updates->values;
  if (!x)
    return failure();
  Shape shape = shapeOf(x), masked = shapeOf(places->flags), rest = shapeOf(slices);
  size_t rank = masked.size();
  if (rank > shape.size() || rest.size() != 1 + shape.size() - rank || elementOf(slices) != elementOf(x))
    return n.error() << "wants a mask of " << toString(shape) << " and a slice for each place, found "
                     << toString(masked) << " and " << toString(places->shape());
  for (size_t d = 0; d < shape.size(); ++d)
    if (!n.graph.wantEqual(d < rank ? masked[d] : rest[1 + d - rank], shape[d], "a mask and what it is for"))
      return failure();
  // Along dims at the end where the mask is the same, places follow each other: only the others are counted.
  Value flags = leadingFlags(n, places->flags);
  Shape counted = shapeOf(flags);
  size_t lead = counted.size();
  Dim each = countOf(ArrayRef<Dim>(masked).drop_front(lead));
  Value ones = n.graph.reshape(n.graph.cast(flags, n.graph.i64(), Sign::Unsigned), countOf(counted));
  if (!ones)
    return failure();
  Value before = n.graph.reshape(running(n, ReduceKind::Sum, ones, 0, /*exclusive=*/true, /*reverse=*/false), counted);
  bool isOne = updates->isOne;
  return n.result(n.graph.map(elementOf(x), shape, {x, flags, before, slices},
                              [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                                Value isPlace = s.load(t[1], at.take_front(lead)), number = s.index(0);
                                if (!isOne) {
                                  number = s.cast(s.load(t[2], at.take_front(lead)), s.builder.getIndexType());
                                  number = s.mul(number, s.size(each));
                                  Value within = s.index(0);
                                  for (size_t d = lead; d < rank; ++d)
                                    within = s.add(s.mul(within, s.size(masked[d])), at[d]);
                                  number = s.select(isPlace, s.add(number, within), s.index(0));
                                }
                                SmallVector<Value> source{number};
                                llvm::append_range(source, at.drop_front(rank));
                                return s.select(isPlace, s.load(t[3], source), s.load(t[0], at));
                              }),
                  n.type(0));
}
