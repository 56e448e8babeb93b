//===- DimDetail.h - What the parts of Dim share ----------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Private to Dim.cpp (arithmetic), DimBounds.cpp (what is known under bounds)
// and DimText.cpp (parse and print).
//
//===----------------------------------------------------------------------===//

#ifndef TENON_DIALECTS_TENON_DIMDETAIL_H
#define TENON_DIALECTS_TENON_DIMDETAIL_H

#include "dialects/tenon/Dim.h"

#include <utility>

namespace tenon {

struct Dim::Sum {
  std::vector<Term> terms;
  size_t hash;
  size_t size;
  unsigned depth;
};

namespace detail {

/// Rounded to minus infinity; none for a zero divisor or a quotient of 2^63.
std::optional<int64_t> floorDivide(int64_t a, int64_t b);
/// The sign follows the divisor; none for a zero divisor.
std::optional<int64_t> floorModulo(int64_t a, int64_t b);

/// The atom a Dim consists of, or null.
Dim::AtomPtr onlyAtom(const Dim &dim);

/// The Dim of an operation (not a symbol) on new operands.
Dim combine(Dim::AtomKind kind, const std::vector<Dim> &operands);

} // namespace detail

/// The terms with factors, and the constant.
inline std::pair<Dim, int64_t> splitConstant(const Dim &dim) {
  std::vector<Dim::Term> terms = dim.terms();
  int64_t constant = !terms.empty() && terms.back().factors.empty() ? terms.back().coefficient : 0;
  return {dim - constant, constant};
}

} // namespace tenon

#endif // TENON_DIALECTS_TENON_DIMDETAIL_H
