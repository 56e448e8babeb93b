//===- WindowProduct.cpp - convolutions as products of windows ------------------------===//
#include "passes/lowering/WindowProduct.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/Matchers.h"
#include "passes/simplify/IndexExpression.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace tenon {

namespace {

/// `value` is 0 of its type.
bool isZero(Value value) { return matchPattern(value, m_AnyZeroFloat()); }

/// The load a window's region yields: as it is, or where a condition holds and 0 elsewhere.
LoadOp loadOf(MapOp map, Value &condition) {
  Value yielded = map.getYielded();
  if (auto select = yielded.getDefiningOp<arith::SelectOp>(); select && isZero(select.getFalseValue())) {
    condition = select.getCondition();
    yielded = select.getTrueValue();
  }
  return yielded.getDefiningOp<LoadOp>();
}

/// Matches one map, by one way to see x; see WindowRead.
class WindowMatcher {
public:
  /// x has a dim for its batch, or is the only one.
  WindowMatcher(MapOp map, bool hasBatch, bool channelsLast)
      : map(map), hasBatch(hasBatch), channelsLast(channelsLast),
        domain(IndexDomain(boundsOf(map->getParentOfType<ModuleOp>()))) {
    for (auto [index, extent] : llvm::zip(map.getIndices(), shapeOf(map.getResult())))
      symbols.push_back(known[index] = domain.addIndex(extent));
  }

  std::optional<WindowRead> match(int64_t depth) {
    Value condition;
    LoadOp load = loadOf(map, condition);
    if (!load || map.getInputs().size() != 1 || !findTaps(depth))
      return std::nullopt;
    result.source = map.getInputs()[0];
    Shape from = shapeOf(result.source);
    if (!hasBatch) {
      from.insert(from.begin(), Dim(1));
      indices.push_back(Dim(0));
    }
    size_t rank = from.size() - 2;
    if (from.size() < 3 || rank > 2)
      return std::nullopt;
    for (Value index : load.getIndices())
      indices.push_back(read(index));
    if (channelsLast) {
      std::rotate(from.begin() + 1, from.end() - 1, from.end());
      std::rotate(indices.begin() + 1, indices.end() - 1, indices.end());
    }
    result.shape = from;
    result.channelsLast = channelsLast;
    for (size_t axis = 0; axis < rank; ++axis)
      if (!readAxis(indices[2 + axis]))
        return std::nullopt;
    if (!readChannel(indices[1], from[1]) || !isBatch(indices[0]) || !coversDims() ||
        (condition && !isInside(condition, from)))
      return std::nullopt;
    result.overlaps = condition || llvm::any_of(result.axes, [](const WindowRead::Axis &axis) {
                        return axis.positions != Dim(1) && (axis.taps > axis.stride || axis.dilation > 1);
                      });
    return result;
  }

private:
  /// Which dims of the map are summed.
  bool findTaps(int64_t depth) {
    Shape shape = shapeOf(map.getResult());
    firstTap = shape.size();
    Dim product(1);
    while (firstTap > 0 && product != Dim(depth))
      product *= shape[--firstTap];
    return product == Dim(depth);
  }

  /// An index where it is used: of a select that guards it, the guarded side.
  Dim read(Value index) {
    if (auto select = index.getDefiningOp<arith::SelectOp>(); select && matchPattern(select.getFalseValue(), m_Zero()))
      index = select.getTrueValue();
    return domain.simplify(readIndex(index, known, domain));
  }

  /// Coefficients of the map's indices in a linear expression, and what is left over.
  std::optional<SmallVector<std::pair<unsigned, int64_t>>> linear(const Dim &dim, Dim &rest) {
    SmallVector<std::pair<unsigned, int64_t>> parts;
    rest = dim;
    for (auto [number, symbol] : llvm::enumerate(symbols)) {
      if (!llvm::is_contained(dim.symbols(), std::string(*symbol.asSymbol())))
        continue;
      int64_t coefficient = 0;
      for (const Dim::Term &term : dim.terms())
        if (term.factors.size() == 1 && term.factors[0]->kind == Dim::AtomKind::Symbol &&
            term.factors[0]->name == *symbol.asSymbol())
          coefficient = term.coefficient;
      rest = rest - symbol * Dim(coefficient);
      parts.push_back({number, coefficient});
    }
    return domain.isSize(rest) ? std::optional(parts) : std::nullopt;
  }

  bool readAxis(const Dim &index) {
    Dim rest;
    auto parts = linear(index, rest);
    if (!parts)
      return false;
    WindowRead::Axis axis;
    axis.positions = Dim(1);
    axis.before = Dim(0) - rest;
    for (auto [number, coefficient] : *parts) {
      Dim extent = shapeOf(map.getResult())[number];
      bool isTap = number >= firstTap;
      if (coefficient <= 0 || (isTap && !extent.constant()))
        return false;
      if (!isTap)
        firstPosition = std::min(firstPosition, number);
      (isTap ? axis.dilation : axis.stride) = coefficient;
      if (isTap)
        axis.taps = *extent.constant();
      else
        axis.positions = extent;
      order.push_back(number);
    }
    result.axes.push_back(axis);
    return parts->size() <= 2;
  }

  bool readChannel(const Dim &index, const Dim &count) {
    Dim rest;
    auto parts = linear(index, rest);
    if (!parts || rest != Dim(0) || !count.constant())
      return false;
    result.channels = 1;
    for (auto [number, coefficient] : *parts)
      if (number >= firstTap && coefficient == 1)
        result.channels = shapeOf(map.getResult())[number].constant().value_or(0);
    if (result.channels == 0)
      return false;
    result.groups = *count.constant() / result.channels;
    for (auto [number, coefficient] : *parts) {
      bool isGroup = number < firstPosition && coefficient == result.channels;
      if (!isGroup && !(number >= firstTap && coefficient == 1))
        return false;
      order.insert(order.begin(), number);
    }
    return true;
  }

  bool isBatch(const Dim &index) {
    Dim rest;
    auto parts = linear(index, rest);
    bool isOne = parts && rest == Dim(0) && parts->size() <= 1 &&
                 llvm::all_of(*parts, [&](auto part) { return part.first < firstPosition && part.second == 1; });
    if (isOne)
      for (auto [number, coefficient] : *parts)
        order.push_back(number);
    return isOne;
  }

  /// Every dim is read by one index, and the dims stand in the order batch, group, positions, channel, taps.
  bool coversDims() {
    llvm::SmallBitVector seen(symbols.size());
    for (unsigned number : order) {
      if (seen.test(number))
        return false;
      seen.set(number);
    }
    for (auto [number, extent] : llvm::enumerate(shapeOf(map.getResult())))
      if (extent != Dim(1) && !seen.test(number))
        return false;
    return isOrdered();
  }

  bool isOrdered() {
    auto coefficientOf = [&](unsigned axis, bool ofTap) -> std::optional<unsigned> {
      Dim rest;
      auto parts = linear(indices[2 + axis], rest);
      for (auto [number, coefficient] : *parts)
        if ((number >= firstTap) == ofTap)
          return number;
      return std::nullopt;
    };
    for (bool ofTap : {false, true})
      if (result.axes.size() == 2) {
        auto first = coefficientOf(0, ofTap), second = coefficientOf(1, ofTap);
        if (first && second && *first > *second)
          return false;
      }
    Dim rest;
    auto channel = linear(indices[1], rest);
    for (auto [number, coefficient] : *channel)
      for (unsigned axis = 0; axis < result.axes.size(); ++axis)
        if (auto tap = coefficientOf(axis, true); number >= firstTap && tap && *tap < number)
          return false;
    return true;
  }

  /// Every comparison of the condition is that an index lies within x.
  bool isInside(Value condition, ArrayRef<Dim> from) {
    if (auto both = condition.getDefiningOp<arith::AndIOp>())
      return isInside(both.getLhs(), from) && isInside(both.getRhs(), from);
    auto compare = condition.getDefiningOp<arith::CmpIOp>();
    if (!compare)
      return false;
    Dim index = domain.simplify(readIndex(compare.getLhs(), known, domain));
    Dim bound = readIndex(compare.getRhs(), known, domain);
    for (size_t axis = 0; axis < result.axes.size(); ++axis)
      if (domain.isEqual(index, indices[2 + axis])) {
        if (compare.getPredicate() == arith::CmpIPredicate::sge && bound == Dim(0))
          return true;
        if (compare.getPredicate() == arith::CmpIPredicate::slt && domain.isEqual(bound, from[2 + axis]))
          return true;
      }
    return false;
  }

  MapOp map;
  bool hasBatch, channelsLast;
  IndexDomain domain;
  KnownIndices known;
  SmallVector<Dim, 6> symbols, indices;
  SmallVector<unsigned> order; ///< Dims read so far.
  unsigned firstTap = 0, firstPosition = ~0u;
  WindowRead result;
};

} // namespace

Dim WindowRead::positions() const {
  Dim count(1);
  for (const Axis &axis : axes)
    count *= axis.positions;
  return count;
}

bool WindowRead::isPointwise() const {
  return llvm::all_of(axes, [](const Axis &axis) { return axis.taps == 1; });
}

std::optional<WindowRead> WindowRead::match(MapOp map, int64_t depth, std::optional<Dim> groups) {
  for (bool channelsLast : {false, true})
    for (bool hasBatch : {true, false})
      if (std::optional<WindowRead> read = WindowMatcher(map, hasBatch, channelsLast).match(depth))
        if (!groups || Dim(read->groups) == *groups)
          return read;
  return std::nullopt;
}

MapOp mapOfRows(ContractOp product) {
  Value rows = product.getLhs();
  while (auto reshape = rows.hasOneUse() ? rows.getDefiningOp<ReshapeOp>() : ReshapeOp())
    rows = reshape.getInput();
  return rows.hasOneUse() ? rows.getDefiningOp<MapOp>() : MapOp();
}

std::optional<WindowRead> windowsOfRows(ContractOp product) {
  MapOp map = mapOfRows(product);
  if (!map || !elementOf(product.getResult()).isF32())
    return std::nullopt;
  Shape rows = shapeOf(product.getLhs());
  std::optional<int64_t> depth = rows.back().constant();
  auto read = depth ? WindowRead::match(map, *depth, Dim(1)) : std::nullopt;
  if (!read || rows.front() != read->shape.front() * read->positions())
    return std::nullopt;
  return read;
}

int64_t WindowProduct::filterCount() const {
  Shape result = shapeOf(ContractOp(op).getResult());
  return kind == Depthwise ? 1 : *(isRows ? result.back() : result.end()[-2]).constant();
}

namespace {

/// What a specification says of a convolution.
struct WindowSpec {
  WindowProduct::Kind kind;
  bool hasBatch, isPacked = false, isRows = false, tapsFirst = false;
};

std::optional<WindowSpec> specOf(StringRef text) {
  using P = WindowProduct;
  return llvm::StringSwitch<std::optional<WindowSpec>>(text)
      .Case("n k, b m k -> b n m", WindowSpec{P::Dense, true})
      .Case("n k, m k -> n m", WindowSpec{P::Dense, false})
      .Case("b m k, k n -> b n m", WindowSpec{P::Dense, true, /*isPacked=*/true})
      .Case("m k, k n -> n m", WindowSpec{P::Dense, false, /*isPacked=*/true})
      .Case("m k, k n -> m n", WindowSpec{P::Dense, false, /*isPacked=*/true, /*isRows=*/true})
      .Case("g n k, b g m k -> b g n m", WindowSpec{P::Grouped, true})
      .Case("g n k, g m k -> g n m", WindowSpec{P::Grouped, false})
      .Case("g k, b g m k -> b g m", WindowSpec{P::Depthwise, true})
      .Case("g k, g m k -> g m", WindowSpec{P::Depthwise, false})
      .Case("k g, b g m k -> b g m", WindowSpec{P::Depthwise, true, false, false, /*tapsFirst=*/true})
      .Case("k g, g m k -> g m", WindowSpec{P::Depthwise, false, false, false, /*tapsFirst=*/true})
      .Case("g k, b g m k -> b m g", WindowSpec{P::Depthwise, true, false, /*isRows=*/true})
      .Case("g k, g m k -> m g", WindowSpec{P::Depthwise, false, false, /*isRows=*/true})
      .Case("k g, b g m k -> b m g", WindowSpec{P::Depthwise, true, false, /*isRows=*/true, /*tapsFirst=*/true})
      .Case("k g, g m k -> m g", WindowSpec{P::Depthwise, false, false, /*isRows=*/true, /*tapsFirst=*/true})
      .Default(std::nullopt);
}

} // namespace

std::optional<WindowProduct> WindowProduct::match(ContractOp op) {
  std::optional<WindowSpec> spec = specOf(op.getSpec());
  if (!spec || bool(op.getPanels()) != spec->isPacked || !elementOf(op.getResult()).isF32() ||
      !elementOf(op.getLhs()).isF32() || !elementOf(op.getRhs()).isF32() || !op.getAccumulateType().isF32())
    return std::nullopt;
  WindowProduct product;
  product.op = op;
  product.kind = spec->kind;
  product.hasBatch = spec->hasBatch;
  product.isPacked = spec->isPacked;
  product.isRows = spec->isRows;
  product.tapsFirst = spec->tapsFirst;
  product.reshape = product.windows().getDefiningOp<ReshapeOp>();
  Value windowed = product.reshape ? product.reshape.getInput() : product.windows();
  product.map = windowed.getDefiningOp<MapOp>();
  if (!product.map || !product.windows().hasOneUse() || !windowed.hasOneUse())
    return std::nullopt;
  Shape filters = shapeOf(product.filters()), windows = shapeOf(product.windows());
  std::optional<int64_t> depth = windows.back().constant();
  Dim groups = product.kind == Dense ? Dim(1) : windows[windows.size() - 3];
  auto read = depth ? WindowRead::match(product.map, *depth, groups) : std::nullopt;
  if (!read || !llvm::all_of(filters, [](const Dim &dim) { return dim.isConstant(); }))
    return std::nullopt;
  bool isDenseRows = product.kind == Dense && product.isRows;
  // Pixels that lie apart are gathered as rows.
  bool isConvolution = read->overlaps || (read->channelsLast && !read->isPointwise());
  if (isDenseRows ? !isConvolution || windows.front() != read->shape.front() * read->positions()
                  : !product.hasBatch && read->shape.front() != Dim(1))
    return std::nullopt;
  if (product.kind == Depthwise && read->channels != 1)
    return std::nullopt;
  // Lanes along positions read planes.
  if (read->channelsLast && !product.isPacked && product.kind != Depthwise)
    return std::nullopt;
  product.read = *read;
  return product;
}

} // namespace tenon
