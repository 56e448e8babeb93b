//===- OrderedSizes.h - sizes taken to be at most other sizes ---------------------===//
//
// Worked example. A step writes its n keys to the end of what a mask of `total` positions says is there, in a cache of
// `capacity` rows: `cache[:, total - n : total] = keys`. That is n rows only where `total - n >= 0`, else the slice
// begins elsewhere, and where `capacity - total >= 0`, else it is cut short. With both, the slice's size
//
//     max(0, min(total, capacity) - min(max(0, total - n), capacity))
//
// is n.
//
// Rule. What is taken for granted is a set of sums of several symbols that are at least 0. A dim is at least 0 if its
// bounds say so, or if it is one of these sums and a dim that is. A minimum or maximum goes where that decides it. The
// runtime checks each sum when a program runs, and names the node that needs it.
//
// Limits. Sums of symbols with numbers before them; and any dim that is at least -1, as what pads to a multiple,
// less 1. Of these, each is used once for one dim, and three at most.
#ifndef TENON_FRONTENDS_BUILDER_ORDEREDSIZES_H
#define TENON_FRONTENDS_BUILDER_ORDEREDSIZES_H

#include "dialects/tenon/Dim.h"

namespace tenon {

class OrderedSizes {
public:
  struct Order {
    Dim difference; ///< At least 0.
    std::string source;

    /// The difference as `first <= second`, without minus signs.
    std::pair<Dim, Dim> sides() const;
  };

  /// Takes the sum to be at least 0, for the node `source` names. False where it is nothing of that kind, never at
  /// least 0, or known to be.
  bool add(const Dim &difference, const Bounds &bounds, const std::string &source);
  /// Takes what makes `a` equal `b`, as few sums as do. False where none is found.
  bool equate(const Dim &a, const Dim &b, const Bounds &bounds, const std::string &source);

  bool isNonNegative(const Dim &dim, const Bounds &bounds) const { return isNonNegative(dim, bounds, 0, maxSums); }
  /// The same value, without minima and maxima that are decided.
  Dim simplify(const Dim &dim, const Bounds &bounds) const;
  /// The value stands for the symbol from now on.
  void substitute(const std::string &symbol, const Dim &value);

  const std::vector<Order> &all() const { return orders; }

private:
  static constexpr unsigned maxSums = 3;

  bool isNonNegative(const Dim &dim, const Bounds &bounds, size_t first, unsigned sums) const;
  Dim extreme(Dim::AtomKind kind, const std::vector<Dim> &operands, const Bounds &bounds) const;
  bool search(const Dim &a, const Dim &b, const Bounds &bounds, const std::string &source, unsigned sums);

  std::vector<Order> orders;
};

} // namespace tenon
#endif
