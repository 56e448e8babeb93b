//===- Dim.cpp - Normal form and arithmetic of symbolic sizes -------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Products are compared by length first, then atom by atom: the graded
// lexicographic order, which multiplication preserves. Division of polynomials
// relies on that.
//
//===----------------------------------------------------------------------===//

#include "dialects/tenon/DimDetail.h"

#include <algorithm>
#include <numeric>
#include <set>

using namespace tenon;
using Term = Dim::Term;
using AtomPtr = Dim::AtomPtr;
using AtomKind = Dim::AtomKind;

namespace {

size_t mix(size_t seed, size_t value) {
  uint64_t x = seed ^ (value + 0x9e3779b97f4a7c15ull + (seed << 6) + (seed >> 2));
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  return static_cast<size_t>(x ^ (x >> 27));
}

size_t hashText(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return static_cast<size_t>(hash);
}

int compareAtoms(const AtomPtr &a, const AtomPtr &b) {
  if (a == b)
    return 0;
  if (a->kind != b->kind)
    return a->kind < b->kind ? -1 : 1;
  if (int order = a->name.compare(b->name))
    return order < 0 ? -1 : 1;
  for (size_t i = 0; i < std::min(a->operands.size(), b->operands.size()); ++i)
    if (int order = Dim::compare(a->operands[i], b->operands[i]))
      return order;
  if (a->operands.size() != b->operands.size())
    return a->operands.size() < b->operands.size() ? -1 : 1;
  return 0;
}

/// Negative when the product `a` comes first, that is, leads.
int compareProducts(const std::vector<AtomPtr> &a, const std::vector<AtomPtr> &b) {
  if (a.size() != b.size())
    return a.size() > b.size() ? -1 : 1;
  for (size_t i = 0; i < a.size(); ++i)
    if (int order = compareAtoms(a[i], b[i]))
      return order;
  return 0;
}

std::vector<AtomPtr> multiplyProducts(const std::vector<AtomPtr> &a, const std::vector<AtomPtr> &b) {
  std::vector<AtomPtr> product(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), product.begin(),
             [](const AtomPtr &x, const AtomPtr &y) { return compareAtoms(x, y) < 0; });
  return product;
}

/// `a` without the factors of `b`, if it has them all.
std::optional<std::vector<AtomPtr>> divideProducts(const std::vector<AtomPtr> &a, const std::vector<AtomPtr> &b) {
  std::vector<AtomPtr> quotient;
  size_t next = 0;
  for (const AtomPtr &factor : a) {
    if (next < b.size() && compareAtoms(factor, b[next]) == 0)
      ++next;
    else
      quotient.push_back(factor);
  }
  if (next != b.size())
    return std::nullopt;
  return quotient;
}

std::vector<AtomPtr> commonProduct(const std::vector<AtomPtr> &a, const std::vector<AtomPtr> &b) {
  std::vector<AtomPtr> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common),
                        [](const AtomPtr &x, const AtomPtr &y) { return compareAtoms(x, y) < 0; });
  return common;
}

/// Greatest common divisor of magnitudes; 0 only of zeros. A gcd of 2^63
/// (both arguments the least int64) counts as 2^62.
int64_t gcdOf(int64_t a, int64_t b) {
  auto magnitude = [](int64_t x) { return x < 0 ? 0 - static_cast<uint64_t>(x) : static_cast<uint64_t>(x); };
  uint64_t gcd = std::gcd(magnitude(a), magnitude(b));
  return gcd > static_cast<uint64_t>(INT64_MAX) ? int64_t(1) << 62 : static_cast<int64_t>(gcd);
}

bool leads(const Term &a, const Term &b) { return compareProducts(a.factors, b.factors) < 0; }

} // namespace

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

std::optional<int64_t> detail::floorDivide(int64_t a, int64_t b) {
  if (b == 0 || (a == INT64_MIN && b == -1))
    return std::nullopt;
  int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

std::optional<int64_t> detail::floorModulo(int64_t a, int64_t b) {
  if (b == 0)
    return std::nullopt;
  if (b == -1)
    return 0;
  int64_t remainder = a % b;
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

/// Turns loose terms and atoms into canonical values.
class Dim::Builder {
public:
  static Dim fromTerms(std::vector<Term> terms) {
    std::sort(terms.begin(), terms.end(), leads);
    std::vector<Term> merged;
    for (Term &term : terms) {
      if (term.factors.size() > maxDegree)
        return invalid();
      if (merged.empty() || compareProducts(merged.back().factors, term.factors) != 0)
        merged.push_back(std::move(term));
      else if (__builtin_add_overflow(merged.back().coefficient, term.coefficient, &merged.back().coefficient))
        return invalid();
    }
    std::erase_if(merged, [](const Term &term) { return term.coefficient == 0; });
    if (merged.size() > maxTerms)
      return invalid();
    if (merged.empty())
      return Dim(0);
    if (merged.size() == 1 && merged[0].factors.empty())
      return Dim(merged[0].coefficient);
    return ofSum(std::move(merged));
  }

  static Dim ofTerm(int64_t coefficient, std::vector<AtomPtr> factors) {
    std::vector<Term> terms;
    terms.push_back({coefficient, std::move(factors)});
    return fromTerms(std::move(terms));
  }

  static Dim atom(AtomKind kind, std::string name, std::vector<Dim> operands) {
    size_t hash = mix(hashText(name), static_cast<size_t>(kind));
    size_t size = 1;
    unsigned depth = 0;
    for (const Dim &operand : operands) {
      if (!operand.isValid())
        return invalid();
      hash = mix(hash, operand.hash());
      size += operand.size();
      depth = std::max(depth, operand.depth());
    }
    if (++depth > maxDepth)
      return invalid();
    return ofAtom(std::make_shared<const Atom>(Atom{kind, std::move(name), std::move(operands), hash, size, depth}));
  }

  static Dim quotient(Dim dividend, Dim divisor);
  static Dim remainder(Dim dividend, Dim divisor);

private:
  static Dim ofSum(std::vector<Term> terms) {
    size_t hash = terms.size(), size = terms.size();
    unsigned depth = 0;
    for (const Term &term : terms) {
      hash = mix(hash, static_cast<size_t>(term.coefficient));
      for (const AtomPtr &factor : term.factors) {
        hash = mix(hash, factor->hash);
        size += factor->size;
        depth = std::max(depth, factor->depth);
      }
    }
    if (size > maxSize)
      return invalid();
    Dim dim;
    dim.sum = std::make_shared<const Sum>(Sum{std::move(terms), hash, size, depth});
    return dim;
  }

  struct Split {
    Dim whole, rest;
  };
  static Split takeMultiples(const Dim &dividend, const Term &divisor);
  static Term commonTerm(const Dim &a, const Dim &b);
  static Dim divideTerms(const Dim &dim, const Term &by);
  static Dim nestedQuotient(const Dim &dividend, int64_t divisor);
  static Dim withoutRemainders(const Dim &dividend, const Dim &divisor, bool congruent);
  static Dim reflected(const Dim &dividend, int64_t divisor);
};

Dim Dim::invalid() {
  Dim dim;
  dim.valid = false;
  return dim;
}

Dim Dim::symbol(std::string_view name) { return Builder::atom(AtomKind::Symbol, std::string(name), {}); }

Dim Dim::ofAtom(AtomPtr atom) {
  std::vector<AtomPtr> factors;
  factors.push_back(std::move(atom));
  return Builder::ofTerm(1, std::move(factors));
}

//===----------------------------------------------------------------------===//
// Looking
//===----------------------------------------------------------------------===//

std::vector<Term> Dim::terms() const {
  if (!valid || (!sum && value == 0))
    return {};
  return sum ? sum->terms : std::vector<Term>{{value, {}}};
}

AtomPtr detail::onlyAtom(const Dim &dim) {
  std::vector<Term> terms = dim.terms();
  if (terms.size() == 1 && terms[0].coefficient == 1 && terms[0].factors.size() == 1)
    return terms[0].factors[0];
  return nullptr;
}

std::optional<std::string_view> Dim::asSymbol() const {
  AtomPtr atom = detail::onlyAtom(*this);
  return atom && atom->kind == AtomKind::Symbol ? std::optional<std::string_view>(atom->name) : std::nullopt;
}

static void collectSymbols(const Dim &dim, std::set<std::string> &names) {
  for (const Term &term : dim.terms())
    for (const AtomPtr &factor : term.factors) {
      if (factor->kind == AtomKind::Symbol)
        names.insert(factor->name);
      for (const Dim &operand : factor->operands)
        collectSymbols(operand, names);
    }
}

std::vector<std::string> Dim::symbols() const {
  std::set<std::string> names;
  collectSymbols(*this, names);
  return {names.begin(), names.end()};
}

unsigned Dim::depth() const { return sum ? sum->depth : 0; }
size_t Dim::size() const { return sum ? sum->size : 1; }

size_t Dim::hash() const {
  if (!valid)
    return 0x7e11;
  return sum ? sum->hash : mix(0x5eed, static_cast<size_t>(value));
}

int Dim::compare(const Dim &a, const Dim &b) {
  if (a.valid != b.valid)
    return a.valid ? -1 : 1;
  if (a.sum == b.sum)
    return a.value == b.value ? 0 : a.value < b.value ? -1 : 1;
  if (!a.sum || !b.sum)
    return a.sum ? 1 : -1;
  const std::vector<Term> &left = a.sum->terms, &right = b.sum->terms;
  for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (int order = compareProducts(left[i].factors, right[i].factors))
      return order;
    if (left[i].coefficient != right[i].coefficient)
      return left[i].coefficient < right[i].coefficient ? -1 : 1;
  }
  return left.size() == right.size() ? 0 : left.size() < right.size() ? -1 : 1;
}

//===----------------------------------------------------------------------===//
// Ring operations
//===----------------------------------------------------------------------===//

namespace tenon {

Dim operator+(const Dim &a, const Dim &b) {
  if (!a.isValid() || !b.isValid())
    return Dim::invalid();
  std::vector<Term> terms = a.terms();
  for (Term &term : b.terms())
    terms.push_back(std::move(term));
  return Dim::Builder::fromTerms(std::move(terms));
}

Dim operator-(const Dim &a, const Dim &b) { return a + b * Dim(-1); }

Dim operator*(const Dim &a, const Dim &b) {
  if (!a.isValid() || !b.isValid())
    return Dim::invalid();
  std::vector<Term> left = a.terms(), right = b.terms(), terms;
  if (left.size() * right.size() > Dim::maxTerms * 8)
    return Dim::invalid();
  for (const Term &x : left)
    for (const Term &y : right) {
      int64_t coefficient;
      if (__builtin_mul_overflow(x.coefficient, y.coefficient, &coefficient))
        return Dim::invalid();
      terms.push_back({coefficient, multiplyProducts(x.factors, y.factors)});
    }
  return Dim::Builder::fromTerms(std::move(terms));
}

} // namespace tenon

std::optional<Dim> Dim::exactDiv(const Dim &divisor) const {
  std::vector<Term> by = divisor.terms();
  if (by.empty() || !isValid())
    return std::nullopt;
  Dim rest = *this, quotient = 0;
  for (size_t steps = 0; rest != Dim(0); ++steps) {
    std::vector<Term> terms = rest.terms();
    if (terms.empty() || steps > maxTerms)
      return std::nullopt;
    auto factors = divideProducts(terms[0].factors, by[0].factors);
    auto coefficient = detail::floorDivide(terms[0].coefficient, by[0].coefficient);
    if (!factors || !coefficient || terms[0].coefficient % by[0].coefficient != 0)
      return std::nullopt;
    Dim part = Builder::ofTerm(*coefficient, std::move(*factors));
    quotient += part;
    rest -= part * divisor;
  }
  return quotient;
}

//===----------------------------------------------------------------------===//
// floordiv and mod
//===----------------------------------------------------------------------===//

/// dividend = whole * divisor + rest, no coefficient in `rest` of a multiple of
/// the divisor's product outside [0, divisor's coefficient).
Dim::Builder::Split Dim::Builder::takeMultiples(const Dim &dividend, const Term &divisor) {
  std::vector<Term> whole, rest;
  for (Term &term : dividend.terms()) {
    auto factors = divideProducts(term.factors, divisor.factors);
    if (!factors) {
      rest.push_back(std::move(term));
      continue;
    }
    int64_t remainder = *detail::floorModulo(term.coefficient, divisor.coefficient);
    whole.push_back({*detail::floorDivide(term.coefficient, divisor.coefficient), std::move(*factors)});
    rest.push_back({remainder, std::move(term.factors)});
  }
  return {fromTerms(std::move(whole)), fromTerms(std::move(rest))};
}

/// The largest term that divides every term of both.
Term Dim::Builder::commonTerm(const Dim &a, const Dim &b) {
  Term common{0, {}};
  bool first = true;
  for (const Dim *dim : {&a, &b})
    for (const Term &term : dim->terms()) {
      common.coefficient = gcdOf(common.coefficient, term.coefficient);
      common.factors = first ? term.factors : commonProduct(common.factors, term.factors);
      first = false;
    }
  return common;
}

Dim Dim::Builder::divideTerms(const Dim &dim, const Term &by) {
  std::vector<Term> terms = dim.terms();
  for (Term &term : terms) {
    term.coefficient /= by.coefficient;
    term.factors = *divideProducts(term.factors, by.factors);
  }
  return fromTerms(std::move(terms));
}

/// `(x floordiv a + c) floordiv b` as `(x + c * a) floordiv (a * b)`, for
/// positive constants a and b; invalid when the dividend has another form.
Dim Dim::Builder::nestedQuotient(const Dim &dividend, int64_t divisor) {
  std::vector<Term> terms = dividend.terms();
  const Term &inner = terms[0];
  bool constantRest = terms.size() == 1 || (terms.size() == 2 && terms[1].factors.empty());
  if (!constantRest || inner.coefficient != 1 || inner.factors.size() != 1 ||
      inner.factors[0]->kind != AtomKind::FloorDiv)
    return invalid();
  const Dim &numerator = inner.factors[0]->operands[0], &first = inner.factors[0]->operands[1];
  if (!first.isConstant() || *first.constant() <= 0)
    return invalid();
  Dim product = first * divisor;
  if (!product.isValid())
    return invalid();
  return quotient(numerator + first * (terms.size() == 2 ? terms[1].coefficient : 0), product);
}

/// `dividend` with each `x mod a` of a term as `x - a * (x floordiv a)`, where the constant `divisor` divides a: what
/// is padded to a multiple, `S + (-S) mod 8`, becomes `8 * ((S + 7) floordiv 8)`. If only the value modulo `divisor`
/// counts, `congruent`, as x alone.
Dim Dim::Builder::withoutRemainders(const Dim &dividend, const Dim &divisor, bool congruent) {
  Dim result = 0;
  for (const Term &term : dividend.terms()) {
    auto isRemainder = [&](const AtomPtr &factor) {
      return factor->kind == AtomKind::Mod && factor->operands[1].isConstant() &&
             factor->operands[1].exactDiv(divisor).has_value();
    };
    auto found = std::find_if(term.factors.begin(), term.factors.end(), isRemainder);
    if (found == term.factors.end()) {
      result += ofTerm(term.coefficient, term.factors);
      continue;
    }
    const Dim &x = (*found)->operands[0], &a = (*found)->operands[1];
    Dim value = congruent ? x : x - a * quotient(x, a);
    result += ofTerm(term.coefficient, *divideProducts(term.factors, {*found})) * value;
  }
  return result;
}

/// `d floordiv c` as `-((c - 1 - d) floordiv c)` where d is minus an atom: `-((-S) floordiv 8)` and `S - (7 * S)
/// floordiv 8` are `(S + 7) floordiv 8`, as ceilDiv writes it. Invalid where d is not.
Dim Dim::Builder::reflected(const Dim &dividend, int64_t divisor) {
  if (divisor <= 3 || dividend.terms()[0].coefficient != divisor - 1)
    return invalid();
  return -quotient(Dim(divisor - 1) - dividend, Dim(divisor));
}

Dim Dim::Builder::quotient(Dim dividend, Dim divisor) {
  if (!dividend.isValid() || divisor.terms().empty())
    return invalid();
  if (auto exact = dividend.exactDiv(divisor))
    return *exact;
  if (divisor.terms()[0].coefficient < 0) {
    dividend = -dividend;
    divisor = -divisor;
    if (!dividend.isValid() || !divisor.isValid())
      return invalid();
  }
  if (divisor.isConstant())
    if (Dim whole = withoutRemainders(dividend, divisor, /*congruent=*/false); whole != dividend)
      if (auto exact = whole.exactDiv(divisor))
        return *exact;
  if (divisor.terms().size() == 1) {
    Split split = takeMultiples(dividend, divisor.terms()[0]);
    if (split.whole != Dim(0))
      return split.whole + quotient(split.rest, divisor);
  }
  if (auto constant = divisor.constant()) {
    // floor((g*p + c) / (g*b)) = floor((p + floor(c/g)) / b), for 0 <= c.
    auto [scaled, offset] = splitConstant(dividend);
    if (scaled == Dim(0))
      return Dim(*detail::floorDivide(offset, *constant));
    int64_t common = commonTerm(scaled, divisor).coefficient;
    if (common > 1)
      return quotient(divideTerms(scaled, {common, {}}) + Dim(*detail::floorDivide(offset, common)),
                      Dim(*constant / common));
    if (Dim flat = nestedQuotient(dividend, *constant); flat.isValid())
      return flat;
    if (Dim other = reflected(dividend, *constant); other.isValid())
      return other;
  } else if (Term common = commonTerm(dividend, divisor); common.coefficient > 1 || !common.factors.empty()) {
    return quotient(divideTerms(dividend, common), divideTerms(divisor, common));
  }
  return atom(AtomKind::FloorDiv, "", {dividend, divisor});
}

Dim Dim::Builder::remainder(Dim dividend, Dim divisor) {
  if (!dividend.isValid() || divisor.terms().empty())
    return invalid();
  if (dividend.exactDiv(divisor))
    return Dim(0);
  if (divisor.terms()[0].coefficient < 0)
    return -remainder(-dividend, -divisor);
  if (divisor.terms().size() == 1)
    dividend = takeMultiples(dividend, divisor.terms()[0]).rest;
  if (auto constant = divisor.constant()) {
    // (g*p + c) mod (g*b) = g*((p + floor(c/g)) mod b) + c mod g.
    auto [scaled, offset] = splitConstant(dividend);
    if (scaled == Dim(0))
      return Dim(*detail::floorModulo(offset, *constant));
    int64_t common = commonTerm(scaled, divisor).coefficient;
    if (common > 1)
      return remainder(divideTerms(scaled, {common, {}}) + Dim(*detail::floorDivide(offset, common)),
                       Dim(*constant / common)) *
                 common +
             *detail::floorModulo(offset, common);
    // (x + y mod a) mod b = (x + y) mod b where b divides a.
    if (Dim sum = withoutRemainders(dividend, divisor, /*congruent=*/true); sum.isValid() && sum != dividend)
      return remainder(sum, divisor);
  } else if (Term common = commonTerm(dividend, divisor); common.coefficient > 1 || !common.factors.empty()) {
    return remainder(divideTerms(dividend, common), divideTerms(divisor, common)) *
           ofTerm(common.coefficient, common.factors);
  }
  return atom(AtomKind::Mod, "", {dividend, divisor});
}

Dim Dim::floorDiv(const Dim &divisor) const {
  if (!divisor.isValid())
    return invalid();
  return Builder::quotient(*this, divisor);
}

Dim Dim::mod(const Dim &divisor) const {
  if (!divisor.isValid())
    return invalid();
  return Builder::remainder(*this, divisor);
}

Dim Dim::ceilDiv(const Dim &divisor) const { return (*this + divisor - 1).floorDiv(divisor); }

//===----------------------------------------------------------------------===//
// min and max
//===----------------------------------------------------------------------===//

static void addOperand(AtomKind kind, const Dim &dim, std::vector<Dim> &operands) {
  AtomPtr atom = detail::onlyAtom(dim);
  if (atom && atom->kind == kind) {
    for (const Dim &operand : atom->operands)
      addOperand(kind, operand, operands);
    return;
  }
  for (Dim &other : operands) {
    auto difference = (dim - other).constant();
    if (!difference)
      continue;
    if ((kind == AtomKind::Min) == (*difference < 0))
      other = dim;
    return;
  }
  operands.push_back(dim);
}

Dim Dim::minMax(AtomKind kind, const Dim &a, const Dim &b) {
  if (!a.isValid() || !b.isValid())
    return invalid();
  std::vector<Dim> operands;
  addOperand(kind, a, operands);
  addOperand(kind, b, operands);
  if (operands.size() == 1)
    return operands[0];
  if (operands.size() > maxTerms)
    return invalid();
  std::sort(operands.begin(), operands.end());
  return Builder::atom(kind, "", std::move(operands));
}

Dim Dim::min(const Dim &a, const Dim &b) { return minMax(AtomKind::Min, a, b); }
Dim Dim::max(const Dim &a, const Dim &b) { return minMax(AtomKind::Max, a, b); }

//===----------------------------------------------------------------------===//
// Substitution, evaluation, walking
//===----------------------------------------------------------------------===//

Dim detail::combine(AtomKind kind, const std::vector<Dim> &operands) {
  switch (kind) {
  case AtomKind::FloorDiv:
    return operands[0].floorDiv(operands[1]);
  case AtomKind::Mod:
    return operands[0].mod(operands[1]);
  default:
    break;
  }
  Dim result = operands[0];
  for (size_t i = 1; i < operands.size(); ++i)
    result = kind == AtomKind::Min ? Dim::min(result, operands[i]) : Dim::max(result, operands[i]);
  return result;
}

Dim Dim::substitute(const std::map<std::string, Dim, std::less<>> &map) const {
  if (!sum)
    return *this;
  Dim result = 0;
  for (const Term &term : sum->terms) {
    Dim product = term.coefficient;
    for (const AtomPtr &factor : term.factors) {
      if (factor->kind == AtomKind::Symbol) {
        auto found = map.find(factor->name);
        product *= found == map.end() ? ofAtom(factor) : found->second;
        continue;
      }
      std::vector<Dim> operands;
      for (const Dim &operand : factor->operands)
        operands.push_back(operand.substitute(map));
      product *= detail::combine(factor->kind, operands);
    }
    result += product;
  }
  return result;
}

static std::optional<int64_t> evaluateAtom(const Dim::Atom &atom, const Dim::Environment &environment) {
  if (atom.kind == AtomKind::Symbol)
    return environment(atom.name);
  std::optional<int64_t> result = atom.operands[0].evaluate(environment);
  for (size_t i = 1; result && i < atom.operands.size(); ++i) {
    std::optional<int64_t> next = atom.operands[i].evaluate(environment);
    if (!next)
      return std::nullopt;
    switch (atom.kind) {
    case AtomKind::FloorDiv:
      result = detail::floorDivide(*result, *next);
      break;
    case AtomKind::Mod:
      result = detail::floorModulo(*result, *next);
      break;
    case AtomKind::Min:
      result = std::min(*result, *next);
      break;
    default:
      result = std::max(*result, *next);
      break;
    }
  }
  return result;
}

std::optional<int64_t> Dim::evaluate(const Environment &environment) const {
  if (!valid)
    return std::nullopt;
  int64_t total = sum ? 0 : value;
  for (const Term &term : sum ? sum->terms : std::vector<Term>{}) {
    int64_t product = term.coefficient;
    for (const AtomPtr &factor : term.factors) {
      std::optional<int64_t> next = evaluateAtom(*factor, environment);
      if (!next || __builtin_mul_overflow(product, *next, &product))
        return std::nullopt;
    }
    if (__builtin_add_overflow(total, product, &total))
      return std::nullopt;
  }
  return total;
}

std::optional<int64_t> Dim::evaluate(const std::map<std::string, int64_t, std::less<>> &values) const {
  return evaluate([&](std::string_view name) -> std::optional<int64_t> {
    auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  });
}

static void visitAtom(const Dim::Atom &atom, DimVisitor &visitor) {
  if (atom.kind == AtomKind::Symbol)
    return visitor.symbol(atom.name);
  static constexpr DimOp operations[] = {DimOp::Add, DimOp::FloorDiv, DimOp::Mod, DimOp::Min, DimOp::Max};
  for (size_t i = 0; i < atom.operands.size(); ++i) {
    atom.operands[i].visit(visitor);
    if (i > 0)
      visitor.binary(operations[static_cast<size_t>(atom.kind)]);
  }
}

void Dim::visit(DimVisitor &visitor) const {
  if (!sum)
    return visitor.constant(value);
  bool firstTerm = true;
  for (const Term &term : sum->terms) {
    bool pushed = term.coefficient != 1 || term.factors.empty();
    if (pushed)
      visitor.constant(term.coefficient);
    for (const AtomPtr &factor : term.factors) {
      visitAtom(*factor, visitor);
      if (pushed)
        visitor.binary(DimOp::Multiply);
      pushed = true;
    }
    if (!firstTerm)
      visitor.binary(DimOp::Add);
    firstTerm = false;
  }
}
