//===- KeepAnalysis.h - what a keep region says about a whole block of keys ------------===//
//
// A tile of attention covers queries [i0, i1] and keys [j0, j1]. If keep is false everywhere in that box the
// tile is dead and skipped; if it is true everywhere the tile needs no mask; else its elements are masked one by one.
//
// Example, a sliding causal window `j <= i and i - j < w`:
//
//     j - i is in [j0 - i1, j1 - i0]      so  j <= i     is false where j0 > i1, true where j1 <= i0
//     i - j is in [i0 - j1, i1 - j0]      so  i - j < w  is false where i0 - j1 >= w, true where i1 - j0 < w
//     and, or, not in three values        so  the box is dead if either is false, full if both are true
//
// Rule. Every value of the region has one of these kinds:
//
//   | kind    | is                                              | its range over the box                     |
//   |---------|-------------------------------------------------|--------------------------------------------|
//   | point   | free of i and j                                 | itself                                     |
//   | range   | arithmetic on i and j                           | interval arithmetic                        |
//   | scan    | a load at i + c or j + c, all else points       | least and greatest element over the box    |
//   | unknown | anything else: a load at both, a bit trick      | anything                                   |
//
// So lengths, document numbers and padding masks given as data are decided too, by one pass over a
// tile's row of them. Limit: ranges forget how values depend on each other, so a box may count as mixed though
// it is not; that costs time and is never wrong.
//
#ifndef TENON_PASSES_ATTENTION_KEEPANALYSIS_H
#define TENON_PASSES_ATTENTION_KEEPANALYSIS_H

#include "dialects/tenon/Tenon.h"
#include "llvm/ADT/DenseMap.h"
#include <string>

namespace tenon {

class KeepAnalysis {
public:
  enum class Kind { Point, Range, Scan, Unknown };

  /// A keep region, of an attention or an attention_update; it must have a body and outlive this.
  explicit KeepAnalysis(mlir::Region &keep);

  Kind kindOf(mlir::Value value) { return factOf(value).kind; }
  bool dependsOnData(mlir::Value value) { return factOf(value).data; }
  /// For a scan: which index of the load runs over the box.
  unsigned scannedIndex(LoadOp load);

  /// Whether some box can be decided at all.
  bool decides() { return kindOf(yielded) != Kind::Unknown; }
  /// For a remark: "2 conditions on positions, 1 on data"; says so if nothing is decided.
  std::string summary();

private:
  /// `step` is the change of the value from one query or key to the next where it is affine in them.
  struct Fact {
    Kind kind = Kind::Unknown;
    bool query = false, key = false, data = false;
    std::optional<int64_t> queryStep, keyStep;
  };
  const Fact &factOf(mlir::Value value);
  Fact computeFact(mlir::Value value);
  Fact factOfLoad(LoadOp load);

  mlir::Region &region;
  mlir::Value yielded;
  llvm::DenseMap<mlir::Value, Fact> facts;
};

} // namespace tenon
#endif
