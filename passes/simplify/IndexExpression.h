//===- IndexExpression.h - index arithmetic of regions as dim expressions ------------===//
//
// The region of a map computes indices with `arith` ops. Read as a `Dim` over the
// region's indices they have a normal form, so that what an exporter wrote as a chain
// of reshapes, transposes and gathers can be compared, simplified and written back.
//
// Example. `[B, S, 384]` reshaped to `[B, S, 12, 32]` and back, at indices b, s, n:
//
//     IndexDomain domain(boundsOf(module));
//     Dim n = domain.addIndex(Dim(384));
//     Dim back = n.floorDiv(32) * Dim(32) + n.mod(32);
//     domain.simplify(back) == n
//
// Rule. An index symbol i of extent e satisfies 0 <= i < e, where e may depend on the
// module's symbols. A statement about expressions is made for every value of all symbols at
// which the region is evaluated at all; so an extent that is one symbol is at least 1.
//
#ifndef TENON_PASSES_SIMPLIFY_INDEXEXPRESSION_H
#define TENON_PASSES_SIMPLIFY_INDEXEXPRESSION_H

#include "dialects/tenon/Tenon.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

namespace tenon {

class IndexDomain {
public:
  explicit IndexDomain(Bounds module) : bounds(std::move(module)) {}

  /// A new symbol i with 0 <= i < extent.
  Dim addIndex(const Dim &extent);
  /// The symbol that stands for a value nothing is known of; the same for the same value.
  Dim addOpaque(mlir::Value value);

  bool isIndex(llvm::StringRef symbol) const { return extents.contains(symbol); }
  /// The value behind an opaque symbol, null for any other.
  mlir::Value opaqueValue(llvm::StringRef symbol) const { return opaque.lookup(symbol); }
  bool isOpaque(mlir::Value value) const { return symbolOf.contains(value); }
  bool hasOpaque(const Dim &dim) const;
  /// No index and no opaque value: a size.
  bool isSize(const Dim &dim) const;
  Dim extentOf(llvm::StringRef symbol) const { return extents.lookup(symbol); }

  /// The same value in fewer operations: divisions and remainders decided by ranges are gone.
  Dim simplify(const Dim &dim) const;
  /// True only if proven for all values.
  bool isLessEqual(const Dim &a, const Dim &b) const;
  bool isLess(const Dim &a, const Dim &b) const { return isLessEqual(a + Dim(1), b); }
  bool isNonNegative(const Dim &dim) const { return isLessEqual(Dim(0), dim); }
  bool isEqual(const Dim &a, const Dim &b) const;

private:
  struct Digits {
    Dim unit, quotient, rest;
  };
  std::optional<Digits> digitsOf(const Dim &a, const Dim &divisor) const;
  Dim sizeOf(const Dim::Term &term) const;
  Dim simplifyDivision(const Dim::Atom &atom) const;
  Dim simplifyAtom(const Dim::Atom &atom) const;
  Dim leastOverIndices(Dim dim) const;

  Bounds bounds;
  llvm::StringMap<Dim> extents;
  llvm::StringMap<mlir::Value> opaque;
  llvm::DenseMap<mlir::Value, Dim> symbolOf;
};

/// What the indices and integers of a region are, as far as it is known.
using KnownIndices = llvm::DenseMap<mlir::Value, Dim>;

/// A value of type index or i64 as an expression; what is not integer arithmetic
/// becomes opaque. i64 is read as an integer: indices never come near its ends.
Dim readIndex(mlir::Value value, const KnownIndices &known, IndexDomain &domain);

/// A comparison, where it has the same outcome at all indices.
std::optional<bool> decide(mlir::arith::CmpIPredicate predicate, const Dim &a, const Dim &b, const IndexDomain &domain);

/// Whether a value of a region is a function of one of its indices.
bool dependsOnIndex(mlir::Value value, mlir::Value index);

/// Operations it takes to compute an expression; sizes and constants are free.
unsigned costOf(const Dim &dim, const IndexDomain &domain);

/// Writes an expression as `arith` ops and `tenon.size`. `leaf` gives the value of an index symbol.
mlir::Value emitIndex(mlir::OpBuilder &builder, mlir::Location loc, const Dim &dim, const IndexDomain &domain,
                      llvm::function_ref<mlir::Value(llvm::StringRef)> leaf);

/// Row-major position of an element.
Dim linearise(llvm::ArrayRef<Dim> indices, llvm::ArrayRef<Dim> shape);
/// The element of a tensor of shape `to` that stands where element `indices` of one of shape `from` stands.
llvm::SmallVector<Dim, 4> reshapeIndices(llvm::ArrayRef<Dim> indices, llvm::ArrayRef<Dim> from,
                                         llvm::ArrayRef<Dim> to, const IndexDomain &domain);

/// The operations of a region that compute `value`, in order.
llvm::SetVector<mlir::Operation *> sliceOf(mlir::Value value);
/// Whether an index depends on what a tensor holds.
bool readsData(mlir::Value index);

} // namespace tenon
#endif
