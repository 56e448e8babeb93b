//===- Quantities.h - numbers for people -------------------------------------------------===//
#ifndef TENON_COMPILER_EXPLAIN_QUANTITIES_H
#define TENON_COMPILER_EXPLAIN_QUANTITIES_H

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <iterator>
#include <string>

namespace tenon {

inline std::string formatted(const char *form, double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format(form, value);
  return text;
}

/// "1.23 G" and the like, before a unit.
inline std::string scaled(double value) {
  static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
  unsigned prefix = 0;
  for (; value >= 1000 && prefix + 1 < std::size(prefixes); ++prefix)
    value /= 1000;
  return formatted("%.3g ", value) + prefixes[prefix];
}

} // namespace tenon
#endif
