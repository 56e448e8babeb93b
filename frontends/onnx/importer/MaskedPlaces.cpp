//===- MaskedPlaces.cpp - the places where a mask is true, as data decides ----------===//
#include "frontends/onnx/importer/MaskedPlaces.h"
#include "frontends/onnx/importer/Reduction.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

using Form = MaskedPlaces::Form;

Shape MaskedPlaces::shape() const {
  if (form == Form::Slices) {
    Shape all = shapeOf(slices);
    all[0] = count;
    return all;
  }
  Dim rank(int64_t(shapeOf(flags).size()));
  return form == Form::Indices ? Shape{rank, count} : Shape{count, rank};
}

static LogicalResult define(NodeContext &n, ElementType type, MaskedPlaces places) {
  ImportedValue value{type, {}, std::nullopt, nullptr};
  value.places = std::make_shared<const MaskedPlaces>(std::move(places));
  return n.results(ArrayRef(value));
}

LogicalResult onnx_importer::defineMaskedPlaces(NodeContext &n, Value x) {
  Value flags = n.graph.elementwise(
      n.graph.i1(), x, [](ScalarBuilder &s, ArrayRef<Value> v) { return s.cast(v[0], s.builder.getI1Type()); });
  if (!flags)
    return failure();
  return define(n, ElementType::Int64, {Form::Indices, n.graph.sizeOfData("count of " + n.node.describe()), flags, {}});
}

std::optional<LogicalResult> onnx_importer::transposeMasked(NodeContext &n) {
  const MaskedPlaces *places = n.places(0);
  if (!places || places->form == Form::Slices)
    return std::nullopt;
  auto permutation = n.integers("perm");
  std::optional<SmallVector<int64_t>> axes = permutation ? n.graph.axes(*permutation, 2) : std::nullopt;
  if (permutation && (!axes || axes->size() != 2))
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants a permutation of two axes");
  MaskedPlaces turned = *places;
  if (!axes || axes->front() != 0)
    turned.form = places->form == Form::Indices ? Form::Tuples : Form::Indices;
  return define(n, ElementType::Int64, turned);
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
  Value x = n.tensor(0);
  if (!x)
    return failure();
  return define(n, n.type(0), {Form::Slices, ends->elements[0], {}, x});
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
  return define(n, n.type(0), {Form::Slices, *count, {}, n.graph.broadcastTo(x, *broadcast), isOne});
}

/// Slices as the list of their elements.
std::optional<LogicalResult> onnx_importer::reshapeMasked(NodeContext &n) {
  const MaskedPlaces *slices = n.places(0);
  std::optional<Sizes> target = slices ? n.sizes(1) : std::nullopt;
  if (!target || slices->form != Form::Slices || target->elements != ArrayRef<Dim>(Dim(-1)))
    return std::nullopt;
  Dim each = countOf(ArrayRef<Dim>(shapeOf(slices->slices)).drop_front());
  if (slices->isOne && each != Dim(1))
    return std::nullopt;
  Value flat = n.graph.reshape(slices->slices, countOf(shapeOf(slices->slices)));
  return define(n, n.type(0), {Form::Slices, slices->count * each, {}, flat, slices->isOne});
}

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

std::optional<LogicalResult> onnx_importer::scatterMasked(NodeContext &n) {
  const MaskedPlaces *places = n.places(1), *updates = n.places(2);
  if (!places || !updates || places->form != Form::Tuples || updates->form != Form::Slices ||
      n.text("reduction", "none") != "none")
    return std::nullopt;
  Value x = n.tensor(0), slices = updates->slices;
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
