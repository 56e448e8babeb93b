//===- Assumptions.h - what a graph takes for granted about its symbols -----------===//
//
// Worked example. A position table has 512 rows and the graph takes the first S of
// them: its dim is min(S, 512). Adding that to S rows is a valid program only if
// the two are equal, hence S <= 512.
//
// Rule. Where two dims meet that must be equal and cannot be shown to be, the
// equation is solved for a symbol: a bound on it, or its value in terms of the
// others. The graph is then built again with the symbols so restricted, so that every
// type in it is in its final form, and the runtime checks the restriction by
// name when a program runs.
//
// Dims that are equal once slices are not cut short are taken to be so: `max(0, n)` is n
// where n >= 0, `min(n, 512)` is n where n <= 512. Without its first row and with one row more a sequence
// is as long as it was unless it was empty, so it is at least 1 long.
//
// What both sides have in common is left out: 512 * B = 64 * B * S makes S 8. A length cut into blocks of 8 and put
// together again, `8 * (S floordiv 8)`, is S where 8 divides S.
//
// Limits. Equations: linear in one symbol with coefficient 1 or -1, or one min against one of its operands (and the
// same beside both). Bounds: one symbol and numbers, perhaps within divisions by constants; of several symbols, see
// OrderedSizes.h. Two dims of which one might be 1 at run time are taken to be equal, not broadcast.
//
#ifndef TENON_FRONTENDS_BUILDER_ASSUMPTIONS_H
#define TENON_FRONTENDS_BUILDER_ASSUMPTIONS_H

#include "dialects/tenon/Dim.h"
#include "frontends/builder/OrderedSizes.h"
#include <map>
#include <string>

namespace tenon {

/// What is given of symbols by name: `{"sequence", {1, 512}}`.
using SymbolIntervals = std::map<std::string, Interval, std::less<>>;

class Assumptions {
public:
  explicit Assumptions(SymbolIntervals given = {}) : intervals(std::move(given)) {}

  /// Learns what makes `a` equal `b`. False when nothing can be learned.
  bool equate(const Dim &a, const Dim &b);

  /// Learns what makes `smaller` at most `larger`. False when nothing can be learned.
  bool bound(const Dim &smaller, const Dim &larger);

  /// The values of a symbol for which the dim is at least 0, if it depends on one symbol and rises or falls with it.
  static std::optional<std::pair<std::string, Interval>> solveNonNegative(const Dim &dim);

  /// What is taken for granted of several symbols at once.
  OrderedSizes &ordered() { return orderedSizes; }
  const OrderedSizes &ordered() const { return orderedSizes; }

  /// What stands for the symbol: itself, or the expression it must equal.
  Dim resolve(const std::string &symbol) const;
  /// The interval, intersected with what was learned.
  Interval restrict(const std::string &symbol, Interval interval) const;
  /// A symbol that no size is left for, and what its interval has become.
  std::optional<std::pair<std::string, Interval>> contradiction() const;
  /// What divides the symbol, as far as was learned; else 1.
  int64_t divisor(const std::string &symbol) const;

private:
  std::optional<bool> equateMinimum(const Dim &difference);
  bool substitute(const Dim &a, const Dim &b);
  bool divide(const Dim &a, const Dim &b);

  std::map<std::string, Dim, std::less<>> values;
  SymbolIntervals intervals;
  std::map<std::string, int64_t, std::less<>> divisors;
  OrderedSizes orderedSizes;
};

} // namespace tenon
#endif
