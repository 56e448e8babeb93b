//===- AttentionLayout.h - where a tensor's elements stand for attention -----------===//
//
// A layout names the dimensions of one operand of attention in their order:
// "b h n d" is [batch, heads, rows, depth], "b n h d" what a projection gives
// without a transpose, and "b n 1 h d" the second of three slices of a merged
// product [B, N, 3, H, D]. Each of b, h, n, d occurs at most once; b or h may
// be missing where that size is 1, and with tenon.scan any other.
//
#ifndef TENON_DIALECTS_TENON_ATTENTIONLAYOUT_H
#define TENON_DIALECTS_TENON_ATTENTIONLAYOUT_H

#include "dialects/tenon/Dim.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace tenon {

struct AttentionLayout {
  /// Per tensor dimension: one of 'b', 'h', 'n', 'd', or '#' for a fixed index.
  llvm::SmallVector<char, 5> roles;
  /// The fixed index where the role is '#', else 0.
  llvm::SmallVector<int64_t, 5> fixed;

  static std::optional<AttentionLayout> parse(llvm::StringRef text, std::string &error,
                                              llvm::StringRef required = "nd");

  /// The size of a role in a tensor of this shape, 1 if the role is missing.
  Dim sizeOf(char role, llvm::ArrayRef<Dim> shape) const;
  /// The distance between neighbours along a role, in elements; 0 if it is missing.
  Dim strideOf(char role, llvm::ArrayRef<Dim> shape) const;
  /// Elements of a row lie side by side, rows a constant number of elements apart, and their size is a constant.
  bool hasConstantRows(llvm::ArrayRef<Dim> shape) const;
  /// The offset of the fixed indices, in elements.
  Dim offset(llvm::ArrayRef<Dim> shape) const;
};

} // namespace tenon
#endif
