//===- OrderedSizes.cpp - sizes taken to be at most other sizes -------------------===//
#include "frontends/builder/OrderedSizes.h"

#include <algorithm>
#include <cstdlib>

namespace tenon {

/// More orders than this are not taken, and no more ways to decide a dim tried: what is searched grows with their cube.
static constexpr size_t maxOrders = 16, maxDecisions = 16;

/// The atom with other operands.
static Dim withOperands(const Dim::Atom &atom, const std::vector<Dim> &operands) {
  if (atom.kind == Dim::AtomKind::Symbol)
    return Dim::symbol(atom.name);
  if (atom.kind == Dim::AtomKind::FloorDiv)
    return operands[0].floorDiv(operands[1]);
  if (atom.kind == Dim::AtomKind::Mod)
    return operands[0].mod(operands[1]);
  Dim result = operands[0];
  for (const Dim &operand : operands)
    result = atom.kind == Dim::AtomKind::Min ? Dim::min(result, operand) : Dim::max(result, operand);
  return result;
}

std::pair<Dim, Dim> OrderedSizes::Order::sides() const {
  std::pair<Dim, Dim> sides;
  for (const Dim::Term &term : difference.terms()) {
    Dim product(std::abs(term.coefficient));
    for (const Dim::AtomPtr &factor : term.factors)
      product *= withOperands(*factor, factor->operands);
    (term.coefficient < 0 ? sides.first : sides.second) += product;
  }
  return sides;
}

/// `2 * n - past + 3`: several symbols, each by itself.
static bool isSumOfSymbols(const Dim &dim) {
  size_t symbols = 0;
  for (const Dim::Term &term : dim.terms()) {
    if (term.factors.size() > 1 || (term.factors.size() == 1 && term.factors[0]->kind != Dim::AtomKind::Symbol))
      return false;
    symbols += term.factors.size();
  }
  return symbols > 1;
}

bool OrderedSizes::add(const Dim &difference, const Bounds &bounds, const std::string &source) {
  bool failsAtOneValue = difference.interval(bounds).lo == -1;
  if (orders.size() == maxOrders || !(isSumOfSymbols(difference) || failsAtOneValue) ||
      isNonNegative(difference, bounds) || isNonNegative(Dim(-1) - difference, bounds))
    return false;
  orders.push_back({difference, source});
  return true;
}

void OrderedSizes::substitute(const std::string &symbol, const Dim &value) {
  for (Order &order : orders)
    order.difference = order.difference.substitute({{symbol, value}});
}

bool OrderedSizes::isNonNegative(const Dim &dim, const Bounds &bounds, size_t first, unsigned sums) const {
  if (dim.interval(bounds).lo >= 0)
    return true;
  for (size_t i = first; i < orders.size() && sums > 0; ++i)
    if (isNonNegative(dim - orders[i].difference, bounds, i + 1, sums - 1))
      return true;
  return false;
}

//===----------------------------------------------------------------------------===//
// Simplification
//===----------------------------------------------------------------------------===//

static bool isMinimumOrMaximum(const Dim::Atom &atom) {
  return atom.kind == Dim::AtomKind::Min || atom.kind == Dim::AtomKind::Max;
}

/// The least or the largest of the operands, as far as what is taken for granted decides it.
Dim OrderedSizes::extreme(Dim::AtomKind kind, const std::vector<Dim> &operands, const Bounds &bounds) const {
  bool isMinimum = kind == Dim::AtomKind::Min;
  Dim best = operands[0];
  for (const Dim &operand : operands) {
    Dim more = isMinimum ? operand - best : best - operand;
    if (isNonNegative(more, bounds))
      continue;
    if (isNonNegative(-more, bounds))
      best = operand;
    else
      best = isMinimum ? Dim::min(best, operand) : Dim::max(best, operand);
  }
  return best;
}

Dim OrderedSizes::simplify(const Dim &dim, const Bounds &bounds) const {
  Dim simple = dim.simplify(bounds), result;
  if (orders.empty())
    return simple;
  for (const Dim::Term &term : simple.terms()) {
    Dim product(term.coefficient);
    for (const Dim::AtomPtr &factor : term.factors) {
      std::vector<Dim> operands;
      for (const Dim &operand : factor->operands)
        operands.push_back(simplify(operand, bounds));
      product *=
          isMinimumOrMaximum(*factor) ? extreme(factor->kind, operands, bounds) : withOperands(*factor, operands);
    }
    result += product;
  }
  return result.isValid() ? result : simple;
}

//===----------------------------------------------------------------------------===//
// What makes two dims equal
//===----------------------------------------------------------------------------===//

/// What would decide a minimum or maximum in the dim, either way.
static void collectDecisions(const Dim &dim, std::vector<Dim> &decisions) {
  for (const Dim::Term &term : dim.terms())
    for (const Dim::AtomPtr &factor : term.factors) {
      const std::vector<Dim> &operands = factor->operands;
      for (const Dim &operand : operands)
        collectDecisions(operand, decisions);
      if (!isMinimumOrMaximum(*factor))
        continue;
      for (const Dim &one : operands)
        for (const Dim &other : operands)
          if (Dim decision = one - other; decisions.size() < maxDecisions && isSumOfSymbols(decision) &&
                                          std::find(decisions.begin(), decisions.end(), decision) == decisions.end())
            decisions.push_back(decision);
    }
}

bool OrderedSizes::search(const Dim &a, const Dim &b, const Bounds &bounds, const std::string &source, unsigned sums) {
  Dim left = simplify(a, bounds), right = simplify(b, bounds);
  if (Dim::isKnownEqual(left, right, bounds) == true)
    return true;
  std::vector<Dim> decisions;
  if (sums > 0) {
    collectDecisions(left, decisions);
    collectDecisions(right, decisions);
  }
  for (const Dim &decision : decisions) {
    OrderedSizes with = *this;
    if (!with.add(decision, bounds, source) || !with.search(left, right, bounds, source, sums - 1))
      continue;
    *this = std::move(with);
    return true;
  }
  return false;
}

bool OrderedSizes::equate(const Dim &a, const Dim &b, const Bounds &bounds, const std::string &source) {
  size_t before = orders.size();
  for (unsigned sums = 1; sums <= maxSums; ++sums)
    if (search(a, b, bounds, source, sums))
      return orders.size() > before;
  return false;
}

} // namespace tenon
