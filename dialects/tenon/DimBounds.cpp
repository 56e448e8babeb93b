//===- DimBounds.cpp - What is known of a size under bounds ---------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Interval arithmetic, sharpened by one trick: when every atom x of a
// polynomial has a least value m, rewrite it over x' = x - m >= 0. In
// `B * S - B` with B, S >= 1 the plain sum of intervals knows nothing;
// `(B'+1)*(S'+1) - (B'+1)` is `B'*S' + S'`, so it is at least 0.
//
//===----------------------------------------------------------------------===//

#include "dialects/tenon/DimDetail.h"

#include <algorithm>
#include <numeric>

using namespace tenon;
using Term = Dim::Term;
using AtomPtr = Dim::AtomPtr;
using AtomKind = Dim::AtomKind;

static constexpr int64_t minusInfinity = Interval::minusInfinity;
static constexpr int64_t plusInfinity = Interval::plusInfinity;

/// Moves a finite end off the value that means "no bound" on that side, so that
/// the extreme values are infinities wherever they appear.
static Interval widen(Interval a) { return {std::min(a.lo, plusInfinity - 1), std::max(a.hi, minusInfinity + 1)}; }

void Bounds::set(std::string symbol, Interval interval, int64_t divisor) {
  entries[std::move(symbol)] = {widen(interval), std::max<int64_t>(divisor, 1)};
}

Bounds::Entry Bounds::lookup(std::string_view symbol) const {
  auto found = entries.find(symbol);
  return found == entries.end() ? Entry{} : found->second;
}

//===----------------------------------------------------------------------===//
// Interval arithmetic. Results saturate outward, so they stay sound.
//===----------------------------------------------------------------------===//

static int64_t saturatingAdd(int64_t a, int64_t b) {
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum))
    return sum;
  return a < 0 ? minusInfinity : plusInfinity;
}

static int64_t saturatingMultiply(int64_t a, int64_t b) {
  int64_t product;
  bool infinite = a == minusInfinity || a == plusInfinity || b == minusInfinity || b == plusInfinity;
  if (a == 0 || b == 0)
    return 0;
  if (!infinite && !__builtin_mul_overflow(a, b, &product))
    return product;
  return (a < 0) == (b < 0) ? plusInfinity : minusInfinity;
}

static Interval add(Interval a, Interval b) {
  return widen({a.lo == minusInfinity || b.lo == minusInfinity ? minusInfinity : saturatingAdd(a.lo, b.lo),
                a.hi == plusInfinity || b.hi == plusInfinity ? plusInfinity : saturatingAdd(a.hi, b.hi)});
}

static Interval multiply(Interval a, Interval b) {
  auto [lo, hi] = std::minmax({saturatingMultiply(a.lo, b.lo), saturatingMultiply(a.lo, b.hi),
                               saturatingMultiply(a.hi, b.lo), saturatingMultiply(a.hi, b.hi)});
  return widen({lo, hi});
}

static Interval negate(Interval a) {
  return {a.hi == plusInfinity ? minusInfinity : -a.hi, a.lo == minusInfinity ? plusInfinity : -a.lo};
}

static Interval intersect(Interval a, Interval b) { return {std::max(a.lo, b.lo), std::min(a.hi, b.hi)}; }
static Interval unite(Interval a, Interval b) { return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)}; }

static int64_t divideBound(int64_t a, int64_t b) {
  if (a == minusInfinity || a == plusInfinity)
    return a;
  if (b == plusInfinity)
    return a < 0 ? -1 : 0;
  return *detail::floorDivide(a, b);
}

/// For divisors of one sign; the other half is handled by negating both.
static Interval divideByPositive(Interval a, Interval b) {
  auto [lo, hi] =
      std::minmax({divideBound(a.lo, b.lo), divideBound(a.lo, b.hi), divideBound(a.hi, b.lo), divideBound(a.hi, b.hi)});
  return {lo, hi};
}

static Interval moduloPositive(Interval a, Interval b) {
  if (a.lo >= 0 && a.hi < b.lo)
    return a;
  int64_t largest = b.hi == plusInfinity ? plusInfinity : b.hi - 1;
#ifdef TENON_PLANTED_BUG // scripts/fuzz planted: a fuzzer must notice
  largest -= 1;
#endif
  return {0, a.lo >= 0 ? std::min(largest, a.hi) : largest};
}

/// Applies `onPositive` to the positive and, mirrored, the negative divisors.
template <typename OnPositive, typename OnNegative>
static Interval splitDivisor(Interval b, const OnPositive &onPositive, const OnNegative &onNegative) {
  Interval positive = {std::max<int64_t>(b.lo, 1), b.hi};
  Interval negative = negate({b.lo, std::min<int64_t>(b.hi, -1)});
  if (positive.lo > positive.hi && negative.lo > negative.hi)
    return {}; // Only zero is left: no value, any interval is sound.
  if (positive.lo > positive.hi)
    return onNegative(negative);
  if (negative.lo > negative.hi)
    return onPositive(positive);
  return unite(onPositive(positive), onNegative(negative));
}

static Interval floorDivide(Interval a, Interval b) {
  return splitDivisor(
      b, [&](Interval d) { return divideByPositive(a, d); },
      [&](Interval d) { return divideByPositive(negate(a), d); });
}

static Interval modulo(Interval a, Interval b) {
  return splitDivisor(
      b, [&](Interval d) { return moduloPositive(a, d); },
      [&](Interval d) { return negate(moduloPositive(negate(a), d)); });
}

//===----------------------------------------------------------------------===//
// Intervals of sums
//===----------------------------------------------------------------------===//

static Interval intervalOf(const Dim::Atom &atom, const Bounds &bounds) {
  if (atom.kind == AtomKind::Symbol)
    return bounds.lookup(atom.name).interval;
  Interval result = atom.operands[0].interval(bounds);
  for (size_t i = 1; i < atom.operands.size(); ++i) {
    Interval next = atom.operands[i].interval(bounds);
    switch (atom.kind) {
    case AtomKind::FloorDiv:
      result = floorDivide(result, next);
      break;
    case AtomKind::Mod:
      result = modulo(result, next);
      break;
    case AtomKind::Min:
      result = {std::min(result.lo, next.lo), std::min(result.hi, next.hi)};
      break;
    default:
      result = {std::max(result.lo, next.lo), std::max(result.hi, next.hi)};
      break;
    }
  }
  return result;
}

static Interval sumOfTerms(const std::vector<Term> &terms, const std::function<Interval(const AtomPtr &)> &ofAtom) {
  Interval total = {0, 0};
  for (const Term &term : terms) {
    Interval product = {term.coefficient, term.coefficient};
    for (const AtomPtr &factor : term.factors)
      product = multiply(product, ofAtom(factor));
    total = add(total, product);
  }
  return total;
}

namespace {

/// The atoms' intervals, each computed once: nesting must not multiply work.
class AtomIntervals {
public:
  explicit AtomIntervals(const Bounds &bounds) : bounds(bounds) {}
  Interval of(const AtomPtr &atom) {
    auto [entry, inserted] = known.try_emplace(atom.get());
    if (inserted)
      entry->second = intervalOf(*atom, bounds);
    return entry->second;
  }

private:
  const Bounds &bounds;
  std::map<const Dim::Atom *, Interval> known;
};

/// A polynomial over fresh symbols `0`, `1`, ... that stand for the atoms of
/// another one, each measured from its least value.
struct Shifted {
  Dim dim;
  std::vector<Interval> intervals;

  Interval interval() const {
    return sumOfTerms(dim.terms(), [&](const AtomPtr &atom) { return intervals[std::stoul(atom->name)]; });
  }
};

} // namespace

static constexpr size_t maxShiftedTerms = 64;
static constexpr size_t maxShiftedDegree = 6;

static std::optional<Shifted> shiftToLeastValues(const std::vector<Term> &terms, AtomIntervals &intervals) {
  Shifted shifted;
  std::vector<std::pair<AtomPtr, Dim>> seen;
  auto shiftedAtom = [&](const AtomPtr &atom) -> Dim {
    for (auto &[known, replacement] : seen)
      if (known == atom || (known->hash == atom->hash && known->kind == atom->kind && known->name == atom->name &&
                            known->operands == atom->operands))
        return replacement;
    Interval interval = intervals.of(atom);
    if (interval.lo == minusInfinity)
      return Dim::invalid();
    Dim replacement = Dim::symbol(std::to_string(shifted.intervals.size())) + interval.lo;
    shifted.intervals.push_back({0, add(interval, {-interval.lo, -interval.lo}).hi});
    seen.emplace_back(atom, replacement);
    return replacement;
  };
  if (terms.size() > maxShiftedTerms)
    return std::nullopt;
  for (const Term &term : terms) {
    Dim product = term.factors.size() > maxShiftedDegree ? Dim::invalid() : Dim(term.coefficient);
    for (const AtomPtr &factor : term.factors)
      product *= shiftedAtom(factor);
    shifted.dim += product;
  }
  return shifted.dim.isValid() ? std::optional(std::move(shifted)) : std::nullopt;
}

/// Every `k * c * (e floordiv c)` as `k * e - k * r`, where the rest r is from 0 to c - 1: so 2 * ((s + 1) floordiv 2)
/// - s is at least 0. `rests` takes what is left out.
static std::optional<Dim> withoutDivisions(const Dim &dim, Interval &rests) {
  Dim result = dim;
  for (const Term &term : dim.terms()) {
    if (term.factors.size() != 1 || term.factors[0]->kind != AtomKind::FloorDiv)
      continue;
    const std::vector<Dim> &operands = term.factors[0]->operands;
    std::optional<int64_t> by = operands[1].constant();
    if (!by || *by <= 1 || term.coefficient % *by != 0)
      continue;
    int64_t times = term.coefficient / *by;
    rests = add(rests, multiply({-times, -times}, {0, *by - 1}));
    result += Dim(times) * operands[0] - Dim(term.coefficient) * operands[0].floorDiv(operands[1]);
  }
  return result.isValid() && result != dim ? std::optional(result) : std::nullopt;
}

static constexpr size_t maxChoices = 3;

static bool isRemainder(const AtomPtr &atom) { return atom->kind == AtomKind::Mod && atom->operands[1].isConstant(); }

static bool hasRemainder(const std::vector<Term> &terms) {
  return std::any_of(terms.begin(), terms.end(), [](const Term &term) {
    return std::any_of(term.factors.begin(), term.factors.end(), isRemainder);
  });
}

/// The same value, `x mod a` as `x - a * (x floordiv a)` where a is a constant: what makes `B * S - B * (S mod 8)` and
/// `8 * B * (S floordiv 8)` one.
static Dim withoutRemainders(const Dim &dim) {
  Dim result = 0;
  for (const Term &term : dim.terms()) {
    Dim product = term.coefficient;
    for (const AtomPtr &factor : term.factors) {
      const std::vector<Dim> &operands = factor->operands;
      if (factor->kind == AtomKind::Symbol)
        product *= Dim::symbol(factor->name);
      else if (isRemainder(factor))
        product *= operands[0] - operands[1] * operands[0].floorDiv(operands[1]);
      else
        product *= detail::combine(factor->kind, operands);
    }
    result += product;
  }
  return result;
}

/// A sum with `k * max(a, b)` is the larger of the sums with `k * a` and `k * b`, the smaller for k < 0: so
/// 2 * s + max(0, 5 - s) is at least 5. Of sums with few such terms, the first is resolved.
static std::optional<Interval> ofChoices(const Dim &dim, const Bounds &bounds) {
  const std::vector<Term> terms = dim.terms();
  const Term *choice = nullptr;
  size_t count = 0;
  for (const Term &term : terms) {
    if (term.factors.size() != 1 || (term.factors[0]->kind != AtomKind::Min && term.factors[0]->kind != AtomKind::Max))
      continue;
    choice = choice ? choice : &term;
    ++count;
  }
  if (!choice || count > maxChoices)
    return std::nullopt;
  const Dim::Atom &atom = *choice->factors[0];
  Dim rest = dim - detail::combine(atom.kind, atom.operands) * choice->coefficient;
  bool isLargest = (atom.kind == AtomKind::Max) == (choice->coefficient > 0);
  std::optional<Interval> result;
  for (const Dim &operand : atom.operands) {
    Interval next = (rest + operand * choice->coefficient).interval(bounds);
    if (!result)
      result = next;
    else if (isLargest)
      result = {std::max(result->lo, next.lo), std::max(result->hi, next.hi)};
    else
      result = {std::min(result->lo, next.lo), std::min(result->hi, next.hi)};
  }
  return result;
}

Interval Dim::interval(const Bounds &bounds) const {
  if (!valid)
    return {};
  if (!sum)
    return widen({value, value});
  AtomIntervals intervals(bounds);
  Interval plain = sumOfTerms(sum->terms, [&](const AtomPtr &atom) { return intervals.of(atom); });
  if (hasRemainder(sum->terms))
    if (Dim other = withoutRemainders(*this); other.isValid() && !(other == *this))
      plain = intersect(plain, other.interval(bounds));
  if (sum->terms.size() < 2)
    return plain;
  Interval rests{0, 0};
  if (std::optional<Dim> undivided = withoutDivisions(*this, rests))
    plain = intersect(plain, add(undivided->interval(bounds), rests));
  if (std::optional<Shifted> shifted = shiftToLeastValues(sum->terms, intervals))
    plain = intersect(plain, shifted->interval());
  bool hasSign = plain.lo >= 0 || plain.hi < 0;
  std::optional<Interval> chosen = hasSign ? std::nullopt : ofChoices(*this, bounds);
  return chosen ? intersect(plain, *chosen) : plain;
}

//===----------------------------------------------------------------------===//
// Divisibility, simplification, comparison
//===----------------------------------------------------------------------===//

static int64_t divisorOf(const Dim::Atom &atom, const Bounds &bounds) {
  switch (atom.kind) {
  case AtomKind::Symbol:
    return bounds.lookup(atom.name).divisor;
  case AtomKind::FloorDiv: {
    // A multiple of g*b divided by the constant b is a multiple of g.
    auto by = atom.operands[1].constant();
    int64_t known = atom.operands[0].knownDivisor(bounds);
    return by && *by > 0 && known % *by == 0 && known != 0 ? known / *by : 1;
  }
  default:
    break;
  }
  int64_t common = 0; // mod, min, max: a combination or a choice of operands.
  for (const Dim &operand : atom.operands)
    common = std::gcd(common, operand.knownDivisor(bounds));
  return std::max<int64_t>(common, 1);
}

int64_t Dim::knownDivisor(const Bounds &bounds) const {
  if (!valid)
    return 1;
  int64_t common = 0;
  for (const Term &term : terms()) {
    if (term.coefficient == INT64_MIN)
      return 1;
    int64_t known = std::abs(term.coefficient);
    for (const AtomPtr &factor : term.factors) {
      int64_t product;
      if (!__builtin_mul_overflow(known, divisorOf(*factor, bounds), &product))
        known = product;
    }
    common = std::gcd(common, known);
  }
  return common;
}

/// The terms of a dividend that the constant divisor is known to divide, divided by it, and the other terms.
struct Multiples {
  Dim quotient, rest;
};

static Multiples takeMultiples(const Dim &dividend, int64_t by, const Bounds &bounds) {
  Multiples result;
  for (const Term &term : dividend.terms()) {
    Dim product = term.coefficient, divided = 0;
    bool isDivided = false;
    for (const AtomPtr &factor : term.factors) {
      Dim next = factor->kind == AtomKind::Symbol ? Dim::symbol(factor->name) : detail::combine(factor->kind, factor->operands);
      bool divides = !isDivided && divisorOf(*factor, bounds) % by == 0;
      divided = divides ? product * next.floorDiv(by) : divided * next;
      isDivided |= divides;
      product *= next;
    }
    if (isDivided)
      result.quotient += divided;
    else
      result.rest += product;
  }
  return result;
}

/// `(S + 7) floordiv 8` as `S floordiv 8`, and `(S + 7) mod 8` as 7, where S is a multiple of 8 and so is what is left
/// beside it decided.
static Dim withoutMultiples(const Dim::Atom &atom, const std::vector<Dim> &operands, const Bounds &bounds) {
  Dim plain = detail::combine(atom.kind, operands);
  std::optional<int64_t> by = operands[1].constant();
  if (!by || *by <= 1)
    return plain;
  auto [quotient, rest] = takeMultiples(operands[0], *by, bounds);
  if (quotient == Dim(0))
    return plain;
  if (atom.kind == AtomKind::Mod)
    return rest.mod(*by);
  Interval interval = rest.floorDiv(*by).interval(bounds);
  return interval.isPoint() ? quotient + interval.lo : plain;
}

/// The operation on simplified operands, its outcome where bounds decide it.
static Dim simplifyAtom(const Dim::Atom &atom, const std::vector<Dim> &operands, const Bounds &bounds) {
  if (atom.kind == AtomKind::Min || atom.kind == AtomKind::Max) {
    Dim best = operands[0];
    for (size_t i = 1; i < operands.size(); ++i) {
      std::optional<bool> lessEqual = Dim::isKnownLessEqual(best, operands[i], bounds);
      if (!lessEqual)
        if (std::optional<bool> other = Dim::isKnownLessEqual(operands[i], best, bounds); other && *other)
          lessEqual = false;
      if (!lessEqual)
        best = atom.kind == AtomKind::Min ? Dim::min(best, operands[i]) : Dim::max(best, operands[i]);
      else if (*lessEqual != (atom.kind == AtomKind::Min))
        best = operands[i];
    }
    return best;
  }
  Dim result = withoutMultiples(atom, operands, bounds);
  Interval interval = result.interval(bounds);
  if (interval.isPoint())
    return interval.lo;
  if (atom.kind == AtomKind::FloorDiv || operands[0].interval(bounds).lo < 0)
    return result;
  std::optional<bool> small = Dim::isKnownLessEqual(operands[0] + 1, operands[1], bounds);
  return small && *small ? operands[0] : result;
}

/// `(a floordiv b) * b` is `a` when b is a constant known to divide a.
static std::optional<Dim> undoExactDivision(const Dim &quotient, int64_t &coefficient, const Bounds &bounds) {
  AtomPtr atom = detail::onlyAtom(quotient);
  if (!atom || atom->kind != AtomKind::FloorDiv || !atom->operands[1].isConstant())
    return std::nullopt;
  int64_t by = *atom->operands[1].constant();
  if (by <= 1 || coefficient % by != 0 || atom->operands[0].knownDivisor(bounds) % by != 0)
    return std::nullopt;
  coefficient /= by;
  return atom->operands[0];
}

Dim Dim::simplify(const Bounds &bounds) const {
  if (!sum)
    return *this;
  Dim result = 0;
  for (const Term &term : sum->terms) {
    int64_t coefficient = term.coefficient;
    Dim product = 1;
    for (const AtomPtr &factor : term.factors) {
      Dim next = ofAtom(factor);
      if (factor->kind == AtomKind::Symbol) {
        Interval interval = bounds.lookup(factor->name).interval;
        product *= interval.isPoint() ? Dim(interval.lo) : next;
        continue;
      }
      std::vector<Dim> operands;
      for (const Dim &operand : factor->operands)
        operands.push_back(operand.simplify(bounds));
      next = simplifyAtom(*factor, operands, bounds);
      if (factor->kind == AtomKind::Mod && operands[1].isConstant() && *operands[1].constant() != 0 &&
          operands[0].knownDivisor(bounds) % *operands[1].constant() == 0)
        next = 0;
      std::optional<Dim> undone = undoExactDivision(next, coefficient, bounds);
      product *= undone ? *undone : next;
    }
    result += product * coefficient;
  }
  return result.isValid() ? result : *this;
}

std::optional<bool> Dim::isKnownLessEqual(const Dim &a, const Dim &b, const Bounds &bounds) {
  Dim difference = b - a;
  if (!difference.isValid())
    return std::nullopt;
  Interval interval = difference.interval(bounds);
  if (interval.lo >= 0)
    return true;
  if (interval.hi < 0)
    return false;
  return std::nullopt;
}

std::optional<bool> Dim::isKnownEqual(const Dim &a, const Dim &b, const Bounds &bounds) {
  if (a.isValid() && a == b)
    return true;
  Dim difference = (a - b).simplify(bounds);
  if (!difference.isValid())
    return std::nullopt;
  if (difference == Dim(0))
    return true;
  if (hasRemainder(difference.terms()) && withoutRemainders(difference).simplify(bounds) == Dim(0))
    return true;
  // Quotients of a symbol are compared as those of the multiple that it is: 2 * (S floordiv 8) is S floordiv 4.
  std::map<std::string, Dim, std::less<>> multiples;
  for (const std::string &symbol : difference.symbols())
    if (int64_t by = bounds.lookup(symbol).divisor; by > 1)
      multiples.emplace(symbol, Dim::symbol(symbol) * Dim(by));
  if (!multiples.empty() && difference.substitute(multiples) == Dim(0))
    return true;
  Interval interval = difference.interval(bounds);
  if (!interval.contains(0))
    return false;
  if (interval == Interval{0, 0})
    return true;
  auto [scaled, offset] = splitConstant(difference);
  int64_t divisor = scaled.knownDivisor(bounds);
  if (divisor > 1 && offset % divisor != 0)
    return false;
  return std::nullopt;
}
