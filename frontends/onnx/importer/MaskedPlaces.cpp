//===- MaskedPlaces.cpp - the places where a mask is true, as data decides ----------===//
#include "frontends/onnx/importer/MaskedPlaces.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

using Form = MaskedPlaces::Form;

Shape MaskedPlaces::given() const { return Shape(ArrayRef<Dim>(shapeOf(values)).slice(at, masked().size())); }

Shape MaskedPlaces::rest() const {
  return Shape(ArrayRef<Dim>(shapeOf(values)).drop_front(form == Form::Slices ? 1 : at + masked().size()));
}

Shape MaskedPlaces::shape() const {
  if (form == Form::List)
    return {count * countOf(rest())};
  Shape shape(ArrayRef<Dim>(shapeOf(values)).take_front(at));
  shape.push_back(count);
  llvm::append_range(shape, rest());
  return shape;
}

ImportedValue onnx_importer::valueOf(ElementType type, MaskedPlaces places) {
  ImportedValue value{type, {}, std::nullopt, nullptr};
  value.places = std::make_shared<const MaskedPlaces>(std::move(places));
  return value;
}

static LogicalResult define(NodeContext &n, ElementType type, MaskedPlaces places) {
  return n.results(ArrayRef(valueOf(type, std::move(places))));
}

MaskedPlaces onnx_importer::coordinatesOf(NodeContext &n, const MaskedPlaces &places, ArrayRef<int64_t> coordinates,
                                          int64_t along) {
  Shape masked = places.masked(), shape(masked.size(), Dim(1));
  for (int64_t d : coordinates)
    shape[d] = masked[d];
  int64_t at = along == 0;
  if (along >= 0)
    shape.insert(along == 0 ? shape.begin() : shape.end(), Dim(int64_t(coordinates.size())));
  Value values = n.graph.map(n.graph.i64(), shape, {}, [&](ScalarBuilder &s, ValueRange, ValueRange index) {
    Value place = index[at + coordinates[0]];
    for (auto [k, d] : llvm::enumerate(coordinates.drop_front()))
      place = s.select(s.compare(Comparison::Equal, along == 0 ? index.front() : index.back(), s.index(k + 1)),
                       index[at + d], place);
    return s.cast(place, n.graph.i64());
  });
  return {Form::AtPlaces, places.count, values, places.flags, at, SmallVector<int64_t>(coordinates), along};
}

namespace {
/// What each element of a tensor is, if it only repeats or moves those of another: that tensor, and for each of its
/// dims the index of which dim, none where it is 0.
struct Source {
  Value tensor;
  SmallVector<std::optional<int64_t>> from;
  bool operator==(const Source &other) const { return tensor == other.tensor && from == other.from; }
};
} // namespace

/// What the elements of a map are, if it only loads those of one of its operands.
static std::optional<Source> sourceOf(MapOp map, const Source &result) {
  auto load = map.getBody().front().getTerminator()->getOperand(0).getDefiningOp<LoadOp>();
  if (!load)
    return std::nullopt;
  Source source{map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()], {}};
  for (Value index : load.getIndices()) {
    auto *found = llvm::find(map.getIndices(), index);
    if (found == map.getIndices().end() && !matchPattern(index, m_Zero()))
      return std::nullopt;
    source.from.push_back(found == map.getIndices().end() ? std::nullopt
                                                          : result.from[found - map.getIndices().begin()]);
  }
  return source;
}

/// The same of a reshape that only makes or drops dims of size 1.
static std::optional<Source> sourceOf(ReshapeOp reshape, const Source &result) {
  Shape to = shapeOf(reshape.getResult()), others;
  SmallVector<std::optional<int64_t>> kept;
  for (auto [d, dim] : llvm::enumerate(to))
    if (dim != Dim(1)) {
      others.push_back(dim);
      kept.push_back(result.from[d]);
    }
  Source source{reshape.getOperand(), {}};
  size_t next = 0;
  for (const Dim &dim : shapeOf(source.tensor)) {
    bool isOne = dim == Dim(1);
    if (!isOne && (next == others.size() || others[next] != dim))
      return std::nullopt;
    source.from.push_back(isOne ? std::nullopt : kept[next++]);
  }
  return next == others.size() ? std::optional(source) : std::nullopt;
}

static Source sourceOf(Value tensor) {
  Source source{tensor, {}};
  for (auto [d, dim] : llvm::enumerate(shapeOf(tensor)))
    source.from.push_back(dim == Dim(1) ? std::nullopt : std::optional<int64_t>(d));
  std::optional<Source> next = source;
  while (next) {
    source = *next;
    next.reset();
    if (auto map = source.tensor.getDefiningOp<MapOp>())
      next = sourceOf(map, source);
    else if (auto reshape = source.tensor.getDefiningOp<ReshapeOp>())
      next = sourceOf(reshape, source);
  }
  return source;
}

bool onnx_importer::areSameElements(Value a, Value b) { return shapeOf(a) == shapeOf(b) && sourceOf(a) == sourceOf(b); }

LogicalResult onnx_importer::defineMaskedPlaces(NodeContext &n, Value x) {
  Value flags = n.graph.elementwise(
      n.graph.i1(), x, [](ScalarBuilder &s, ArrayRef<Value> v) { return s.cast(v[0], s.builder.getI1Type()); });
  if (!flags)
    return failure();
  // What one mask chose is computed with together, though a file has a node for each use.
  const MaskedPlaces *same =
      n.samePlaces([&](const MaskedPlaces &known) { return areSameElements(known.flags, flags); });
  MaskedPlaces places{Form::AtPlaces, {}, {}, same ? same->flags : flags};
  places.count = same ? same->count : n.graph.sizeOfData("count of " + n.node.describe());
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, shapeOf(flags).size()));
  return define(n, ElementType::Int64, coordinatesOf(n, places, all, /*along=*/0));
}

//===----------------------------------------------------------------------------===//
// Places whose number the file says
//===----------------------------------------------------------------------------===//

Value onnx_importer::positionsOf(NodeContext &n, Value flags, const Dim &wanted) {
  if (!flags)
    return {};
  Type i64 = n.graph.i64();
  Value found = n.graph.order(flags, 0, wanted, /*descending=*/true);
  Value total = n.graph.reduce(ReduceKind::Sum, n.graph.cast(flags, i64), 0, false);
  return n.graph.map(i64, wanted, {found, total}, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value number = s.cast(s.load(t[1], {}), s.builder.getIndexType());
    Value isRight = s.compare(Comparison::Equal, number, s.size(wanted));
    return s.select(isRight, s.load(t[0], at), s.integer(i64, -1));
  });
}

Value onnx_importer::atExactly(NodeContext &n, const MaskedPlaces &places, int64_t wanted) {
  Shape masked = places.masked(), given = places.given(), shape = places.shape();
  Value flags = n.graph.reshape(places.flags, countOf(masked));
  Value positions = positionsOf(n, flags, Dim(wanted));
  if (!positions)
    return {};
  shape[places.at] = Dim(wanted);
  return n.graph.map(elementOf(places.values), shape, {places.values, positions, flags},
                     [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
                       Value position = s.cast(s.load(t[1], at[places.at]), s.builder.getIndexType());
                       // A position of -1 must fail, also where the values are known without a look: it is looked up in
                       // the mask.
                       position = s.select(s.load(t[2], position), position, s.index(-1));
                       SmallVector<Value> source(at.take_front(places.at)), index(masked.size());
                       Dim step(1);
                       for (size_t d = masked.size(); d-- > 0; step *= masked[d]) {
                         Value own =
                             s.rem(s.div(position, s.size(step), Sign::Unsigned), s.size(masked[d]), Sign::Unsigned);
                         index[d] = given[d] == Dim(1) ? s.index(0) : own;
                       }
                       llvm::append_range(source, index);
                       llvm::append_range(source, at.drop_front(places.at + 1));
                       return s.load(t[0], source);
                     });
}

//===----------------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// Inside a map: the numbers of a list added up, from the first to before `end`.
static Value sumBefore(ScalarBuilder &s, Value list, int64_t end) {
  Value sum = s.index(0);
  for (int64_t k = 0; k < end; ++k)
    sum = s.add(sum, s.cast(s.load(list, s.index(k)), s.builder.getIndexType()));
  return sum;
}

LogicalResult onnx_importer::defineParts(NodeContext &n, Value x, int64_t axis) {
  Value sizes = n.tensor(1);
  if (!sizes)
    return failure();
  int64_t parts = n.node.outputs.size();
  if (shapeOf(sizes) != Shape{Dim(parts)})
    return n.error() << "wants as many sizes as outputs, found " << toString(shapeOf(sizes)) << " and " << parts;
  Dim rows = shapeOf(x)[axis];
  SmallVector<ImportedValue> results;
  for (int64_t part = 0; part < parts; ++part) {
    Value flags = n.graph.map(n.graph.i1(), rows, sizes, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
      return s.bitAnd(s.compare(Comparison::GreaterEqual, at[0], sumBefore(s, t[0], part)),
                      s.compare(Comparison::Less, at[0], sumBefore(s, t[0], part + 1)));
    });
    Dim count = n.graph.sizeOfData("size of part " + std::to_string(part) + " of " + n.node.describe());
    MaskedPlaces places{Form::AtPlaces, count, x, flags, axis};
    places.sizes = sizes;
    places.part = part;
    results.push_back(valueOf(n.type(0), std::move(places)));
  }
  return n.results(results);
}

std::optional<LogicalResult> onnx_importer::joinParts(NodeContext &n) {
  const MaskedPlaces first = *n.places(0);
  int64_t axis = n.integer("axis", 0), rank = first.shape().size();
  if (!first.sizes || shapeOf(first.sizes) != Shape{Dim(int64_t(n.count()))} || (axis + rank) % rank != first.at)
    return std::nullopt;
  SmallVector<Value> inputs{first.sizes};
  Shape shape = shapeOf(first.values);
  shape[first.at] = first.masked()[0];
  for (unsigned i = 0; i < n.count(); ++i) {
    const MaskedPlaces *own = n.places(i);
    if (!own || own->form != Form::AtPlaces || own->sizes != first.sizes || own->part != i || own->at != first.at)
      return std::nullopt;
    inputs.push_back(n.graph.broadcastTo(own->values, shape));
  }
  if (n.graph.hasFailed())
    return failure();
  return n.result(
      n.graph.map(elementOf(first.values), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
        // Sizes that are not those of the parts of all rows must fail: no row is at -1.
        Value row = at[first.at], total = sumBefore(s, t[0], n.count());
        SmallVector<Value> source(at);
        source[first.at] = s.select(s.compare(Comparison::Equal, total, s.size(shape[first.at])), row, s.index(-1));
        Value element = s.load(t.back(), source);
        for (int64_t part = int64_t(n.count()) - 1; part-- > 0;)
          element = s.select(s.compare(Comparison::Less, row, sumBefore(s, t[0], part + 1)), s.load(t[part + 1], at),
                             element);
        return element;
      }));
}

/// The first `count` along the first dim, where data decides the count.
std::optional<LogicalResult> onnx_importer::sliceMasked(NodeContext &n) {
  std::optional<Sizes> starts = n.sizes(1), ends = n.sizes(2);
  if (!starts || !ends || ends->elements.size() != 1 || !n.graph.isOfData(ends->elements[0]))
    return std::nullopt;
  auto isConstantly = [&](unsigned i, int64_t wanted) {
    std::optional<Sizes> known = n.sizes(i);
    return !n.has(i) || (known && known->elements.size() == 1 && known->elements[0] == Dim(wanted));
  };
  if (!ends->elements[0].asSymbol() || !isConstantly(1, 0) || !isConstantly(3, 0) || !isConstantly(4, 1))
    return std::nullopt;
  if (const MaskedPlaces *list = n.places(0); list && list->form == Form::List) // All of them.
    return n.results(ArrayRef(n.value(0)));
  Value x = n.tensor(0);
  if (!x)
    return failure();
  return define(n, n.type(0), {Form::Slices, ends->elements[0], x, {}});
}

/// One for each place: the first dim of the result is their number, or another that data decides, which then must be
/// the same.
std::optional<LogicalResult> onnx_importer::expandMasked(NodeContext &n) {
  if (n.declared() ||
      (n.sizes(1) && !llvm::any_of(n.sizes(1)->elements, [&](const Dim &size) { return n.graph.isOfData(size); })))
    return std::nullopt;
  auto target = n.eachSize(1);
  if (n.graph.hasFailed())
    return failure();
  if (!target || target->empty())
    return std::nullopt;
  std::optional<Dim> count = target->front();
  if (count && (!n.graph.isOfData(*count) || !count->asSymbol()))
    return std::nullopt;
  Shape shape{Dim(1)};
  for (const std::optional<Dim> &size : ArrayRef(*target).drop_front()) {
    if (!size || n.graph.isOfData(*size))
      return std::nullopt;
    shape.push_back(*size);
  }
  Value x = n.tensor(0);
  if (!x)
    return failure();
  bool isOne = shapeOf(x).size() < shape.size() || shapeOf(x)[0] == Dim(1);
  if (shapeOf(x).size() > shape.size())
    return std::nullopt;
  if (!isOne)
    shape[0] = shapeOf(x)[0];
  std::optional<Shape> broadcast = n.graph.broadcast(shapeOf(x), shape);
  if (!broadcast)
    return failure();
  if (!count)
    count = n.graph.sizeOfData("length of " + n.node.describe());
  MaskedPlaces slices{Form::Slices, *count, n.graph.broadcastTo(x, *broadcast), {}};
  slices.isOne = isOne;
  return define(n, n.type(0), std::move(slices));
}

/// Slices as the list of their elements.
std::optional<LogicalResult> onnx_importer::reshapeMasked(NodeContext &n) {
  const MaskedPlaces *slices = n.places(0);
  std::optional<Sizes> target = slices ? n.sizes(1) : std::nullopt;
  if (!target || slices->form != Form::Slices || target->elements != ArrayRef<Dim>(Dim(-1)))
    return std::nullopt;
  Dim each = countOf(slices->rest());
  if (slices->isOne && each != Dim(1))
    return std::nullopt;
  Value flat = n.graph.reshape(slices->values, countOf(shapeOf(slices->values)));
  MaskedPlaces list{Form::Slices, slices->count * each, flat, {}};
  list.isOne = slices->isOne;
  return define(n, n.type(0), std::move(list));
}
