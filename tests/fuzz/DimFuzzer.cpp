//===- DimFuzzer.cpp - Any text as a symbolic size ------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// What parses prints as a text that parses to the same value; analyses of it
// end, and their answers hold at one point.
//
//===----------------------------------------------------------------------===//

#include "dialects/tenon/Dim.h"

#include <cstdlib>

using tenon::Bounds;
using tenon::Dim;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::optional<Dim> dim = Dim::parse({reinterpret_cast<const char *>(data), size});
  if (!dim)
    return 0;
  std::optional<Dim> again = Dim::parse(dim->str());
  if (!again || *again != *dim)
    std::abort();
  std::map<std::string, int64_t, std::less<>> values;
  Bounds bounds;
  for (const std::string &symbol : dim->symbols()) {
    values[symbol] = static_cast<int64_t>(symbol.size()) * 3 + 1;
    bounds.set(symbol, {1, 64}, 1);
  }
  std::optional<int64_t> value = dim->evaluate(values);
  for (const auto &[symbol, number] : values)
    if (number > 64)
      return 0;
  if (value && !dim->interval(bounds).contains(*value))
    std::abort();
  Dim simple = dim->simplify(bounds);
  std::optional<int64_t> simpleValue = simple.evaluate(values);
  if (value && simpleValue && *value != *simpleValue)
    std::abort();
  return 0;
}
