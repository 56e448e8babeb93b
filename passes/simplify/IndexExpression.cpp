//===- IndexExpression.cpp - index arithmetic of regions as dim expressions ----------===//
#include "passes/simplify/IndexExpression.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// The domain
//===----------------------------------------------------------------------------===//

Dim IndexDomain::addIndex(const Dim &extent) {
  std::string name = "%" + std::to_string(extents.size());
  extents[name] = extent;
  if (std::optional<std::string_view> symbol = extent.asSymbol()) {
    Bounds::Entry entry = bounds.lookup(*symbol);
    entry.interval.lo = std::max<int64_t>(entry.interval.lo, 1);
    bounds.set(std::string(*symbol), entry.interval, entry.divisor);
  }
  int64_t most = extent.interval(bounds).hi;
  bounds.set(name, {0, most == Interval::plusInfinity ? most : std::max<int64_t>(most - 1, 0)});
  return Dim::symbol(name);
}

Dim IndexDomain::addOpaque(Value value) {
  auto [it, inserted] = symbolOf.try_emplace(value);
  if (inserted) {
    std::string name = "%v" + std::to_string(opaque.size());
    opaque[name] = value;
    it->second = Dim::symbol(name);
  }
  return it->second;
}

bool IndexDomain::hasOpaque(const Dim &dim) const {
  return llvm::any_of(dim.symbols(), [&](const std::string &name) { return opaque.contains(name); });
}

bool IndexDomain::isSize(const Dim &dim) const {
  return llvm::none_of(dim.symbols(),
                       [&](const std::string &name) { return opaque.contains(name) || extents.contains(name); });
}

/// Applies `onAtom` to every factor that is not a symbol of its own right.
template <typename OnAtom> static Dim rebuild(const Dim &dim, OnAtom onAtom) {
  if (!dim.isValid())
    return dim;
  Dim sum(0);
  for (const Dim::Term &term : dim.terms()) {
    Dim product(term.coefficient);
    for (const Dim::AtomPtr &factor : term.factors)
      product = product * onAtom(*factor);
    sum = sum + product;
  }
  return sum;
}

static Dim makeAtom(Dim::AtomKind kind, const Dim &a, const Dim &b) {
  switch (kind) {
  case Dim::AtomKind::FloorDiv:
    return a.floorDiv(b);
  case Dim::AtomKind::Mod:
    return a.mod(b);
  case Dim::AtomKind::Min:
    return Dim::min(a, b);
  default:
    return Dim::max(a, b);
  }
}

static Dim copyAtom(const Dim::Atom &atom) {
  if (atom.kind == Dim::AtomKind::Symbol)
    return Dim::symbol(atom.name);
  Dim result = atom.operands[0];
  for (const Dim &operand : llvm::drop_begin(atom.operands))
    result = makeAtom(atom.kind, result, operand);
  return result;
}

/// A term as (size, the factors that are not sizes).
static std::pair<Dim, SmallVector<Dim::AtomPtr>> splitTerm(const Dim::Term &term, const IndexDomain &domain) {
  Dim size(term.coefficient);
  SmallVector<Dim::AtomPtr> rest;
  for (const Dim::AtomPtr &factor : term.factors) {
    Dim copy = copyAtom(*factor);
    if (domain.isSize(copy))
      size = size * copy;
    else
      rest.push_back(factor);
  }
  return {size, rest};
}

static Dim productOf(const Dim::Term &term) {
  Dim product(term.coefficient);
  for (const Dim::AtomPtr &factor : term.factors)
    product = product * copyAtom(*factor);
  return product;
}

Dim IndexDomain::sizeOf(const Dim::Term &term) const { return splitTerm(term, *this).first; }

/// `a = unit * quotient + rest` with 0 <= rest < unit, where the divisor is a multiple of unit. Then
/// a floordiv divisor is quotient floordiv (divisor / unit), and the remainder follows.
std::optional<IndexDomain::Digits> IndexDomain::digitsOf(const Dim &a, const Dim &divisor) const {
  for (const Dim::Term &leading : a.terms()) {
    Digits digits{sizeOf(leading), Dim(0), Dim(0)};
    if (digits.unit == Dim(1) || !divisor.exactDiv(digits.unit) || !isNonNegative(digits.unit))
      continue;
    for (const Dim::Term &term : a.terms()) {
      Dim product = productOf(term);
      std::optional<Dim> multiple = product.exactDiv(digits.unit);
      (multiple ? digits.quotient : digits.rest) += multiple ? *multiple : product;
    }
    if (isNonNegative(digits.rest) && isLess(digits.rest, digits.unit))
      return digits;
  }
  return std::nullopt;
}

Dim IndexDomain::simplifyDivision(const Dim::Atom &atom) const {
  const Dim &a = atom.operands[0], &divisor = atom.operands[1];
  bool isQuotient = atom.kind == Dim::AtomKind::FloorDiv;
  if (isNonNegative(a) && isLess(a, divisor))
    return isQuotient ? Dim(0) : a;
  if (std::optional<int64_t> width = divisor.constant(); width && *width > 0)
    for (const Dim::Term &term : a.terms())
      if (term.factors.empty()) { // whole divisors in the constant part
        Dim whole(llvm::divideFloorSigned(term.coefficient, *width)), rest = a - whole * divisor;
        if (isNonNegative(rest) && isLess(rest, divisor))
          return isQuotient ? whole : rest;
      }
  std::optional<Digits> digits = digitsOf(a, divisor);
  if (!digits || digits->rest == Dim(0))
    return copyAtom(atom);
  Dim reduced = *divisor.exactDiv(digits->unit);
  if (isQuotient)
    return simplify(digits->quotient.floorDiv(reduced));
  return simplify(digits->quotient.mod(reduced)) * digits->unit + digits->rest;
}

Dim IndexDomain::simplifyAtom(const Dim::Atom &atom) const {
  if (atom.kind == Dim::AtomKind::Symbol) {
    auto extent = extents.find(atom.name);
    return extent != extents.end() && extent->second == Dim(1) ? Dim(0) : Dim::symbol(atom.name);
  }
  auto decided = [&](const Dim::Atom &inner) {
    bool divides = inner.kind == Dim::AtomKind::FloorDiv || inner.kind == Dim::AtomKind::Mod;
    return divides ? simplifyDivision(inner) : copyAtom(inner);
  };
  Dim result = simplify(atom.operands[0]);
  for (const Dim &operand : llvm::drop_begin(atom.operands)) {
    Dim next = simplify(operand);
    bool extremum = atom.kind == Dim::AtomKind::Min || atom.kind == Dim::AtomKind::Max;
    if (extremum && isLessEqual(result, next))
      result = atom.kind == Dim::AtomKind::Min ? result : next;
    else if (extremum && isLessEqual(next, result))
      result = atom.kind == Dim::AtomKind::Min ? next : result;
    else
      result = rebuild(makeAtom(atom.kind, result, next), decided);
  }
  return result;
}

/// Of a symbol that is known to be a multiple.
static bool dependsOnMultiple(const Dim &dim, const Bounds &bounds) {
  return !dim.isConstant() && llvm::any_of(dim.symbols(), [&](const std::string &symbol) {
    return bounds.lookup(symbol).divisor > 1;
  });
}

Dim IndexDomain::simplify(const Dim &dim) const {
  Dim known = dependsOnMultiple(dim, bounds) ? dim.simplify(bounds) : dim;
  Dim once = rebuild(known, [&](const Dim::Atom &atom) { return simplifyAtom(atom); });
  // x floordiv c * c + x mod c is x; found by writing every remainder as a quotient.
  auto withoutMod = [&](const Dim::Atom &atom) {
    if (atom.kind != Dim::AtomKind::Mod)
      return copyAtom(atom);
    return atom.operands[0] - atom.operands[0].floorDiv(atom.operands[1]) * atom.operands[1];
  };
  Dim expanded = rebuild(rebuild(once, withoutMod), [&](const Dim::Atom &atom) { return simplifyAtom(atom); });
  return costOf(expanded, *this) < costOf(once, *this) ? expanded : once;
}

/// `coefficient` of a symbol where the expression is affine in it; null elsewhere.
static std::optional<Dim> coefficientOf(const Dim &dim, StringRef symbol) {
  Dim coefficient(0);
  for (const Dim::Term &term : dim.terms()) {
    Dim rest(term.coefficient);
    unsigned found = 0;
    for (const Dim::AtomPtr &factor : term.factors) {
      if (factor->kind == Dim::AtomKind::Symbol && factor->name == symbol) {
        ++found;
        continue;
      }
      Dim copy = copyAtom(*factor);
      if (llvm::is_contained(copy.symbols(), symbol))
        return std::nullopt;
      rest = rest * copy;
    }
    if (found > 1)
      return std::nullopt;
    if (found == 1)
      coefficient = coefficient + rest;
  }
  return coefficient;
}

/// Replaces each index by the end of its range at which the expression is least.
Dim IndexDomain::leastOverIndices(Dim dim) const {
  for (const std::string &name : dim.symbols()) {
    if (!extents.contains(name))
      continue;
    std::optional<Dim> coefficient = coefficientOf(dim, name);
    if (!coefficient)
      continue;
    Interval sign = coefficient->interval(bounds);
    if (sign.lo >= 0)
      dim = dim.substitute({{name, Dim(0)}});
    else if (sign.hi <= 0)
      dim = dim.substitute({{name, extents.lookup(name) - Dim(1)}});
  }
  return dim;
}

bool IndexDomain::isLessEqual(const Dim &a, const Dim &b) const {
  Dim difference = b - a;
  return difference.isValid() && leastOverIndices(difference).interval(bounds).lo >= 0;
}

bool IndexDomain::isEqual(const Dim &a, const Dim &b) const { return a == b || simplify(a - b) == Dim(0); }

//===----------------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------------===//

static bool isInteger(Value value) { return value.getType().isIndex() || value.getType().isInteger(64); }

/// Division that rounds to zero and its remainder agree with floordiv and mod here.
static bool roundsDown(const Dim &dividend, const Dim &divisor, const IndexDomain &domain) {
  return domain.isNonNegative(dividend) && domain.isLessEqual(Dim(1), divisor);
}

static std::optional<Dim> readDivision(Operation *op, const Dim &a, const Dim &b, const IndexDomain &domain) {
  bool positive = domain.isLessEqual(Dim(1), b);
  if (isa<arith::FloorDivSIOp>(op) && positive)
    return a.floorDiv(b);
  if (isa<arith::CeilDivSIOp>(op) && positive)
    return a.ceilDiv(b);
  if (!roundsDown(a, b, domain))
    return std::nullopt;
  if (isa<arith::DivSIOp, arith::DivUIOp>(op))
    return a.floorDiv(b);
  if (isa<arith::RemSIOp, arith::RemUIOp>(op))
    return a.mod(b);
  return std::nullopt;
}

static std::optional<Dim> readBinary(Operation *op, const Dim &a, const Dim &b, const IndexDomain &domain) {
  if (isa<arith::AddIOp>(op))
    return a + b;
  if (isa<arith::SubIOp>(op))
    return a - b;
  if (isa<arith::MulIOp>(op))
    return a * b;
  if (isa<arith::MinSIOp>(op))
    return Dim::min(a, b);
  if (isa<arith::MaxSIOp>(op))
    return Dim::max(a, b);
  return readDivision(op, a, b, domain);
}

Dim readIndex(Value value, const KnownIndices &known, IndexDomain &domain) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  Operation *op = value.getDefiningOp();
  if (!op)
    return domain.addOpaque(value);
  IntegerAttr constant;
  if (auto constantOp = dyn_cast<arith::ConstantOp>(op);
      constantOp && (constant = dyn_cast<IntegerAttr>(constantOp.getValue())))
    return Dim(constant.getInt());
  if (auto size = dyn_cast<SizeOp>(op))
    return size.getDim().getValue();
  if (auto cast = dyn_cast<arith::IndexCastOp>(op); cast && isInteger(cast.getIn()))
    return readIndex(cast.getIn(), known, domain);
  if (op->getNumOperands() == 2 && isInteger(op->getOperand(0)) && isa<arith::ArithDialect>(op->getDialect())) {
    Dim a = readIndex(op->getOperand(0), known, domain), b = readIndex(op->getOperand(1), known, domain);
    if (std::optional<Dim> result = readBinary(op, a, b, domain); result && result->isValid())
      return *result;
  }
  return domain.addOpaque(value);
}

std::optional<bool> decide(arith::CmpIPredicate predicate, const Dim &a, const Dim &b, const IndexDomain &domain) {
  using Predicate = arith::CmpIPredicate;
  auto either = [](bool yes, bool no) { return yes ? std::optional(true) : no ? std::optional(false) : std::nullopt; };
  bool less = domain.isLess(a, b), lessEqual = domain.isLessEqual(a, b);
  bool greater = domain.isLess(b, a), greaterEqual = domain.isLessEqual(b, a);
  switch (predicate) {
  case Predicate::slt:
    return either(less, greaterEqual);
  case Predicate::sle:
    return either(lessEqual, greater);
  case Predicate::sgt:
    return either(greater, lessEqual);
  case Predicate::sge:
    return either(greaterEqual, less);
  case Predicate::eq:
    return either(domain.isEqual(a, b), less || greater);
  case Predicate::ne:
    return either(less || greater, domain.isEqual(a, b));
  default:
    return std::nullopt;
  }
}

bool dependsOnIndex(Value value, Value index) {
  llvm::SetVector<Value> seen; // each once: what is used twice must not be followed twice
  seen.insert(value);
  for (size_t next = 0; next < seen.size(); ++next) {
    if (seen[next] == index)
      return true;
    if (Operation *op = seen[next].getDefiningOp())
      seen.insert_range(op->getOperands());
  }
  return false;
}

//===----------------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------------===//

unsigned costOf(const Dim &dim, const IndexDomain &domain) {
  if (domain.isSize(dim))
    return 0;
  unsigned cost = 0, parts = 0;
  bool hasSize = false;
  for (const Dim::Term &term : dim.terms()) {
    auto [size, factors] = splitTerm(term, domain);
    if (factors.empty()) {
      hasSize = true;
      continue;
    }
    ++parts;
    cost += factors.size() - 1 + (size != Dim(1) && size != Dim(-1));
    for (const Dim::AtomPtr &factor : factors)
      if (factor->kind != Dim::AtomKind::Symbol) {
        cost += factor->operands.size() - 1;
        for (const Dim &operand : factor->operands)
          cost += costOf(operand, domain);
      }
  }
  return cost + parts + hasSize - 1;
}

namespace {
class IndexEmitter {
public:
  IndexEmitter(OpBuilder &builder, Location loc, const IndexDomain &domain, function_ref<Value(StringRef)> leaf)
      : builder(builder), loc(loc), domain(domain), leaf(leaf) {}

  Value emit(const Dim &dim) {
    if (std::optional<int64_t> constant = dim.constant())
      return arith::ConstantIndexOp::create(builder, loc, *constant);
    if (domain.isSize(dim))
      return SizeOp::create(builder, loc, builder.getIndexType(), DimAttr::get(builder.getContext(), dim));
    return emitSum(dim);
  }

private:
  Value emitSum(const Dim &dim) {
    Dim size(0);
    Value sum;
    SmallVector<Value> subtracted;
    for (const Dim::Term &term : dim.terms()) {
      auto [factor, rest] = splitTerm(term, domain);
      if (rest.empty()) {
        size = size + factor;
        continue;
      }
      bool negative = factor.constant() && *factor.constant() < 0;
      Value product = emitProduct(negative ? -factor : factor, rest);
      if (negative)
        subtracted.push_back(product);
      else
        sum = sum ? Value(arith::AddIOp::create(builder, loc, sum, product)) : product;
    }
    if (size != Dim(0) || !sum)
      sum = sum ? Value(arith::AddIOp::create(builder, loc, sum, emit(size))) : emit(size);
    for (Value value : subtracted)
      sum = arith::SubIOp::create(builder, loc, sum, value);
    return sum;
  }

  Value emitProduct(const Dim &size, ArrayRef<Dim::AtomPtr> factors) {
    Value product;
    for (const Dim::AtomPtr &factor : factors) {
      Value value = emitAtom(*factor);
      product = product ? Value(arith::MulIOp::create(builder, loc, product, value)) : value;
    }
    if (size == Dim(1))
      return product;
    return arith::MulIOp::create(builder, loc, product, emit(size));
  }

  Value emitAtom(const Dim::Atom &atom) {
    if (atom.kind == Dim::AtomKind::Symbol)
      return emitLeaf(atom.name);
    Value result = emit(atom.operands[0]);
    for (const Dim &operand : llvm::drop_begin(atom.operands))
      result = emitBinary(atom, result, emit(operand));
    return result;
  }

  Value emitLeaf(StringRef name) {
    Value value = domain.opaqueValue(name);
    if (!value)
      return leaf(name);
    if (value.getType().isIndex())
      return value;
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), value);
  }

  Value emitBinary(const Dim::Atom &atom, Value a, Value b) {
    switch (atom.kind) {
    case Dim::AtomKind::Min:
      return arith::MinSIOp::create(builder, loc, a, b);
    case Dim::AtomKind::Max:
      return arith::MaxSIOp::create(builder, loc, a, b);
    case Dim::AtomKind::FloorDiv:
      if (domain.isNonNegative(atom.operands[0]))
        return arith::DivUIOp::create(builder, loc, a, b);
      return arith::FloorDivSIOp::create(builder, loc, a, b);
    default:
      break;
    }
    if (domain.isNonNegative(atom.operands[0]))
      return arith::RemUIOp::create(builder, loc, a, b);
    Value quotient = arith::FloorDivSIOp::create(builder, loc, a, b);
    return arith::SubIOp::create(builder, loc, a, arith::MulIOp::create(builder, loc, quotient, b));
  }

  OpBuilder &builder;
  Location loc;
  const IndexDomain &domain;
  function_ref<Value(StringRef)> leaf;
};
} // namespace

Value emitIndex(OpBuilder &builder, Location loc, const Dim &dim, const IndexDomain &domain,
                function_ref<Value(StringRef)> leaf) {
  return IndexEmitter(builder, loc, domain, leaf).emit(dim);
}

//===----------------------------------------------------------------------------===//
// Row-major order
//===----------------------------------------------------------------------------===//

Dim linearise(ArrayRef<Dim> indices, ArrayRef<Dim> shape) {
  Dim position(0);
  for (auto [index, extent] : llvm::zip(indices, shape))
    position = position * extent + index;
  return position;
}

namespace {
/// Neighbouring dims of two shapes with as many elements in all, none of whose proper ends have.
struct ReshapedDims {
  unsigned fromBegin, fromEnd, toBegin, toEnd;
};
} // namespace

/// From the last dims to the first: a group ends as soon as both sides hold as many elements.
static SmallVector<ReshapedDims> groupDims(ArrayRef<Dim> from, ArrayRef<Dim> to, const IndexDomain &domain) {
  SmallVector<ReshapedDims> groups;
  for (unsigned f = from.size(), t = to.size(); f > 0 && t > 0;) {
    unsigned fromEnd = f, toEnd = t;
    Dim fromCount = from[--f], toCount = to[--t];
    while (fromCount != toCount && (f > 0 || t > 0)) {
      bool growFrom = f > 0 && (t == 0 || toCount.exactDiv(fromCount));
      if (growFrom)
        fromCount = domain.simplify(fromCount * from[--f]);
      else
        toCount = domain.simplify(toCount * to[--t]);
    }
    groups.push_back({f, fromEnd, t, toEnd});
  }
  return groups;
}

SmallVector<Dim, 4> reshapeIndices(ArrayRef<Dim> indices, ArrayRef<Dim> from, ArrayRef<Dim> to,
                                   const IndexDomain &domain) {
  SmallVector<Dim, 4> result(to.size(), Dim(0)); // What no group reaches is of size 1.
  for (const ReshapedDims &group : groupDims(from, to, domain)) {
    unsigned fromSize = group.fromEnd - group.fromBegin, toSize = group.toEnd - group.toBegin;
    Dim position = linearise(indices.slice(group.fromBegin, fromSize), from.slice(group.fromBegin, fromSize));
    ArrayRef<Dim> target = to.slice(group.toBegin, toSize);
    for (unsigned i = 0; i < toSize; ++i) {
      Dim quotient = domain.simplify(position.floorDiv(domain.simplify(countOf(target.drop_front(i + 1)))));
      result[group.toBegin + i] = i == 0 ? quotient : domain.simplify(quotient.mod(target[i]));
    }
  }
  return result;
}

//===----------------------------------------------------------------------------===//
// What indices depend on
//===----------------------------------------------------------------------------===//

llvm::SetVector<Operation *> sliceOf(Value value) {
  llvm::SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.inclusive = options.omitBlockArguments = true;
  if (Operation *definition = value.getDefiningOp())
    (void)getBackwardSlice(definition, &slice, options);
  return slice;
}

bool readsData(Value index) { return llvm::any_of(sliceOf(index), llvm::IsaPred<LoadOp>); }

} // namespace tenon
