//===- Assumptions.cpp - what a graph takes for granted about its symbols ---------===//
#include "frontends/builder/Assumptions.h"

#include <algorithm>
#include <numeric>

namespace tenon {

Dim Assumptions::resolve(const std::string &symbol) const {
  auto it = values.find(symbol);
  return it == values.end() ? Dim::symbol(symbol) : it->second;
}

Interval Assumptions::restrict(const std::string &symbol, Interval interval) const {
  auto it = intervals.find(symbol);
  if (it == intervals.end())
    return interval;
  return {std::max(interval.lo, it->second.lo), std::min(interval.hi, it->second.hi)};
}

std::optional<std::pair<std::string, Interval>> Assumptions::contradiction() const {
  for (const auto &entry : intervals)
    if (entry.second.lo > entry.second.hi)
      return entry;
  return std::nullopt;
}

int64_t Assumptions::divisor(const std::string &symbol) const {
  auto it = divisors.find(symbol);
  return it == divisors.end() ? 1 : it->second;
}

/// A dim that is one atom of a kind and a number: `coefficient * atom + constant`.
static std::optional<std::pair<Dim::Term, int64_t>> atomAndConstant(const Dim &dim) {
  std::vector<Dim::Term> terms = dim.terms();
  int64_t constant = 0;
  if (!terms.empty() && terms.back().factors.empty()) {
    constant = terms.back().coefficient;
    terms.pop_back();
  }
  if (terms.size() != 1 || terms[0].factors.size() != 1)
    return std::nullopt;
  return std::pair(terms[0], constant);
}

/// Rounded to minus infinity; the divisor is positive.
static int64_t floorDivide(int64_t a, int64_t divisor) { return a / divisor - (a % divisor < 0); }

// Example: (S + 55) floordiv 80 - 1 >= 0 where (S + 55) floordiv 80 >= 1, where S + 55 >= 80: S >= 25.
std::optional<std::pair<std::string, Interval>> Assumptions::solveNonNegative(const Dim &dim) {
  auto parts = atomAndConstant(dim);
  if (!parts || parts->first.coefficient == 0)
    return std::nullopt;
  auto [term, constant] = *parts;
  bool isLower = term.coefficient > 0;
  // atom >= least, or atom <= greatest.
  int64_t limit = isLower ? -floorDivide(constant, term.coefficient) : floorDivide(constant, -term.coefficient);
  const Dim::Atom &atom = *term.factors[0];
  if (atom.kind == Dim::AtomKind::Symbol) {
    Interval interval;
    (isLower ? interval.lo : interval.hi) = limit;
    return std::pair(atom.name, interval);
  }
  if (atom.kind == (isLower ? Dim::AtomKind::Min : Dim::AtomKind::Max)) {
    // The smallest is so large where each is, the largest so small: numbers are or are not, and one other operand is
    // solved for.
    std::optional<Dim> open;
    for (const Dim &operand : atom.operands) {
      std::optional<int64_t> number = operand.constant();
      if (number ? (isLower ? *number < limit : *number > limit) : open.has_value())
        return std::nullopt;
      if (!number)
        open = operand;
    }
    return open ? solveNonNegative(isLower ? *open - Dim(limit) : Dim(limit) - *open) : std::nullopt;
  }
  std::optional<int64_t> divisor = atom.operands.size() == 2 ? atom.operands[1].constant() : std::nullopt;
  if (atom.kind != Dim::AtomKind::FloorDiv || !divisor || *divisor <= 0)
    return std::nullopt;
  Dim inner = atom.operands[0];
  return solveNonNegative(isLower ? inner - Dim(limit) * Dim(*divisor)
                                  : Dim(limit) * Dim(*divisor) + Dim(*divisor - 1) - inner);
}

bool Assumptions::bound(const Dim &smaller, const Dim &larger) {
  auto solved = solveNonNegative(larger - smaller);
  if (!solved)
    return false;
  Interval &interval = intervals[solved->first], before = interval;
  interval.lo = std::max(interval.lo, solved->second.lo);
  interval.hi = std::min(interval.hi, solved->second.hi);
  return interval != before;
}

/// The `symbol` for which 0 = difference, if it occurs once, linearly, with coefficient 1 or -1.
static std::optional<Dim> solve(const Dim &difference, const std::string &symbol) {
  for (const Dim::Term &term : difference.terms()) {
    if (term.factors.size() != 1 || term.factors[0]->kind != Dim::AtomKind::Symbol || term.factors[0]->name != symbol ||
        (term.coefficient != 1 && term.coefficient != -1))
      continue;
    Dim value = term.coefficient == 1 ? Dim::symbol(symbol) - difference : Dim::symbol(symbol) + difference;
    std::vector<std::string> rest = value.symbols();
    if (std::find(rest.begin(), rest.end(), symbol) == rest.end())
      return value;
  }
  return std::nullopt;
}

/// Solves a = b, for a side that is a symbol by itself before any other:
/// `total = past + step` is solved for total.
bool Assumptions::substitute(const Dim &a, const Dim &b) {
  std::vector<std::string> candidates;
  for (const Dim &side : {b, a})
    if (auto symbol = side.asSymbol())
      candidates.emplace_back(*symbol);
  for (const Dim &side : {b, a})
    for (std::string &symbol : side.symbols())
      candidates.push_back(std::move(symbol));
  for (const std::string &symbol : candidates) {
    std::optional<Dim> value = solve(a - b, symbol);
    if (!value)
      continue;
    for (auto &[other, expression] : values)
      expression = expression.substitute({{symbol, *value}});
    orderedSizes.substitute(symbol, *value);
    return values.emplace(symbol, *value).second;
  }
  return false;
}

/// Each symbol that is divided by a constant somewhere in the dim, and what must divide it for that to leave no rest.
static void collectDivisions(const Dim &dim, std::vector<std::pair<std::string, int64_t>> &found) {
  for (const Dim::Term &term : dim.terms())
    for (const Dim::AtomPtr &atom : term.factors) {
      for (const Dim &operand : atom->operands)
        collectDivisions(operand, found);
      if (atom->kind != Dim::AtomKind::FloorDiv && atom->kind != Dim::AtomKind::Mod)
        continue;
      auto parts = atomAndConstant(atom->operands[0]);
      std::optional<int64_t> by = atom->operands[1].constant();
      if (parts && by && *by > 1 && parts->first.factors[0]->kind == Dim::AtomKind::Symbol)
        found.emplace_back(parts->first.factors[0]->name, *by / std::gcd(*by, parts->first.coefficient));
    }
}

/// Where a = b holds once a symbol is a multiple of what it is divided by, takes it to be one.
bool Assumptions::divide(const Dim &a, const Dim &b) {
  std::vector<std::pair<std::string, int64_t>> candidates;
  collectDivisions(a - b, candidates);
  for (const auto &[symbol, by] : candidates) {
    std::map<std::string, Dim, std::less<>> multiple{{symbol, Dim::symbol(symbol) * Dim(by)}};
    if (a.substitute(multiple) != b.substitute(multiple))
      continue;
    int64_t &known = divisors.try_emplace(symbol, 1).first->second, before = known;
    known = std::lcm(known, by);
    return known != before;
  }
  return false;
}

/// Divides both sides by the symbols and the numbers they have in common.
static void cancel(Dim &a, Dim &b) {
  if (a == Dim(0) || b == Dim(0))
    return;
  auto divideBoth = [&](const Dim &by) {
    std::optional<Dim> one = a.exactDiv(by), other = b.exactDiv(by);
    if (!one || !other)
      return false;
    a = *one;
    b = *other;
    return true;
  };
  for (const std::string &symbol : a.symbols())
    while (divideBoth(Dim::symbol(symbol))) {
    }
  int64_t common = 0;
  for (const Dim &side : {a, b})
    for (const Dim::Term &term : side.terms())
      common = std::gcd(common, term.coefficient);
  if (common > 1)
    divideBoth(Dim(common));
}

/// 0 = difference where that is one min against one of its operands, whatever else both sides had in common:
/// `min(S, 512) - S`, or `4 - min(4, S)`. None if it is not.
std::optional<bool> Assumptions::equateMinimum(const Dim &difference) {
  for (const Dim::Term &term : difference.terms()) {
    if (term.factors.size() != 1 || term.factors[0]->kind != Dim::AtomKind::Min || std::abs(term.coefficient) != 1)
      continue;
    const std::vector<Dim> &operands = term.factors[0]->operands;
    Dim minimum = operands[0];
    for (const Dim &operand : operands)
      minimum = Dim::min(minimum, operand);
    Dim other = minimum - difference * Dim(term.coefficient);
    if (std::find(operands.begin(), operands.end(), other) == operands.end())
      continue;
    bool learned = false;
    for (const Dim &operand : operands)
      learned |= !(operand == other) && bound(other, operand);
    return learned;
  }
  return std::nullopt;
}

bool Assumptions::equate(const Dim &left, const Dim &right) {
  Dim a = left, b = right;
  cancel(a, b);
  if (std::optional<bool> learned = equateMinimum(a - b))
    return *learned;
  return divide(a, b) || substitute(a, b);
}

} // namespace tenon
