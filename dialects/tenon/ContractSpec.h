//===- ContractSpec.h - the index lists of a contraction -------------------------===//
//
// "b s k, k n -> b s n" names the dimensions of both operands and of the result.
// Every index falls in one of five classes, and which classes are not empty is all
// that distinguishes a dot product from a matrix product from an outer product:
//
//   | class   | in lhs | in rhs | in result | of "b m k, b k n -> b m n" |
//   |---------|--------|--------|-----------|----------------------------|
//   | batch   | x      | x      | x         | b                          |
//   | rows    | x      |        | x         | m                          |
//   | columns |        | x      | x         | n                          |
//   | summed  | x      | x      |           | k                          |
//   | lone    | one of them     |           | (none)                     |
//
#ifndef TENON_DIALECTS_TENON_CONTRACTSPEC_H
#define TENON_DIALECTS_TENON_CONTRACTSPEC_H

#include "dialects/tenon/Dim.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace tenon {

struct ContractSpec {
  using Indices = llvm::SmallVector<llvm::StringRef, 4>;
  Indices lhs, rhs, result;

  /// Null with a message in `error` when the text is not a specification.
  static std::optional<ContractSpec> parse(llvm::StringRef text, std::string &error);
  std::string str() const;

  Indices batch() const;
  Indices rows() const;
  Indices columns() const;
  Indices summed() const;
  Indices lone() const;
};

/// Elements of 16 bits stand in panels as words of two neighbours along k, in tiles of 16 words:
/// what a matrix unit takes at once. The words of `depth` elements, a number or a Dim; zeros fill the last tile.
inline constexpr int64_t pairTile = 16;
inline int64_t pairWords(int64_t depth) { return (depth + 2 * pairTile - 1) / (2 * pairTile) * pairTile; }
inline Dim pairWords(const Dim &depth) { return depth.ceilDiv(Dim(2 * pairTile)) * Dim(pairTile); }

/// The position of an index in a list, or -1.
int positionOf(llvm::StringRef index, llvm::ArrayRef<llvm::StringRef> list);

} // namespace tenon
#endif
