//===- DimFuzzer.cpp - Any text as symbolic sizes -------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// One or two sizes, a line each. What parses prints as a text that parses to the
// same value; every operation on two of them has at one point the value that
// plain arithmetic gives; analyses end, and their answers hold at that point.
//
//===----------------------------------------------------------------------===//

#include "dialects/tenon/Dim.h"

#include <cstdlib>

using tenon::Bounds;
using tenon::Dim;
using tenon::DimOp;

using Values = std::map<std::string, int64_t, std::less<>>;

static void require(bool condition) {
  if (!condition)
    std::abort();
}

/// Where both are known, they agree. A form may know its value where the other overflows.
static void requireSame(std::optional<int64_t> found, std::optional<int64_t> wanted) {
  require(!found || !wanted || *found == *wanted);
}

static void checkAlone(const Dim &dim, const Values &values, const Bounds &bounds) {
  std::optional<Dim> again = Dim::parse(dim.str());
  require(again && *again == dim && Dim::compare(dim, *again) == 0);
  struct : tenon::DimVisitor {
    long depth = 0;
    void constant(int64_t) override { ++depth; }
    void symbol(std::string_view) override { ++depth; }
    void binary(DimOp) override { require(--depth >= 1); }
  } stack;
  dim.visit(stack);
  require(stack.depth == 1);
  std::optional<int64_t> value = dim.evaluate(values);
  requireSame(dim.simplify(bounds).evaluate(values), value);
  int64_t divisor = dim.knownDivisor(bounds);
  require(!value || (dim.interval(bounds).contains(*value) && (divisor == 0 ? *value == 0 : *value % divisor == 0)));
  std::map<std::string, Dim, std::less<>> constants;
  for (const auto &[symbol, number] : values)
    constants.emplace(symbol, Dim(number));
  requireSame(dim.substitute(constants).constant(), value);
}

static std::optional<int64_t> floorDivide(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == INT64_MIN))
    return std::nullopt;
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static void checkTogether(const Dim &a, const Dim &b, const Values &values, const Bounds &bounds) {
  std::optional<int64_t> x = a.evaluate(values), y = b.evaluate(values);
  if (!x || !y)
    return;
  int64_t result;
  if (!__builtin_add_overflow(*x, *y, &result))
    requireSame((a + b).evaluate(values), result);
  if (!__builtin_sub_overflow(*x, *y, &result))
    requireSame((a - b).evaluate(values), result);
  if (!__builtin_mul_overflow(*x, *y, &result))
    requireSame((a * b).evaluate(values), result);
  if (std::optional<int64_t> quotient = floorDivide(*x, *y)) {
    requireSame(a.floorDiv(b).evaluate(values), quotient);
    requireSame(a.mod(b).evaluate(values), *x - *quotient * *y);
    if (*y > 0)
      requireSame(a.ceilDiv(b).evaluate(values), *quotient + (*x - *quotient * *y != 0));
    if (std::optional<Dim> exact = a.exactDiv(b))
      requireSame(exact->evaluate(values), quotient);
  }
  requireSame(Dim::min(a, b).evaluate(values), std::min(*x, *y));
  requireSame(Dim::max(a, b).evaluate(values), std::max(*x, *y));
  std::optional<bool> equal = Dim::isKnownEqual(a, b, bounds), less = Dim::isKnownLessEqual(a, b, bounds);
  require((!equal || *equal == (*x == *y)) && (!less || *less == (*x <= *y)));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  size_t end = text.find('\n');
  std::string error;
  std::vector<Dim> dims;
  for (std::string_view line : {text.substr(0, end), end == text.npos ? std::string_view() : text.substr(end + 1)})
    if (std::optional<Dim> dim = Dim::parse(line, &error))
      dims.push_back(*dim);
    else
      require(!error.empty());
  Values values;
  Bounds bounds;
  for (const Dim &dim : dims)
    for (const std::string &symbol : dim.symbols()) {
      int64_t value = static_cast<int64_t>(symbol.size()) * 3 + 1;
      if (value > 64)
        return 0;
      values[symbol] = value;
      bounds.set(symbol, {1, 64}, symbol.size() % 2 ? 1 : value);
    }
  for (const Dim &dim : dims)
    checkAlone(dim, values, bounds);
  if (dims.size() == 2)
    checkTogether(dims[0], dims[1], values, bounds);
  return 0;
}
