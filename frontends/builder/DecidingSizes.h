//===- DecidingSizes.h - sizes for which a question has an answer ------------------===//
//
// Where a model means something for some sizes only, its error names them, as options of
// the command: the user need not solve the equation.
//
// Example. A slice that ends at `-(-S mod 512)`, before what S was padded by, ends at the beginning where 512
// divides S. Each of the ranges 1..511, 513..1023, ... decides it: "give --dim S=1..511, or S=513..1023".
//
// Rule. From the smallest size on, a range grows while the bounds with it in place still decide the question (if a
// range does, every part of it does, so it grows by bisection). For two symbols the first has one size at a time.
//
// Limits: one or two symbols, ranges that begin at one of the first `maxStarts` sizes.
//
#ifndef TENON_FRONTENDS_BUILDER_DECIDINGSIZES_H
#define TENON_FRONTENDS_BUILDER_DECIDINGSIZES_H

#include "dialects/tenon/Dim.h"
#include <functional>

namespace tenon {

/// Whether the question is decided, as the program needs it, within these bounds.
using IsDecided = std::function<bool(const Bounds &)>;

/// "; give --dim S=1..511, or --dim S=513..1023": what decides a question about these symbols. Where no size does, or
/// none is found, says so.
std::string sizesToGive(const std::vector<std::string> &symbols, const Bounds &bounds, const IsDecided &isDecided);

} // namespace tenon
#endif
