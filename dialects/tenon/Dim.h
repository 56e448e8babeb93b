//===- Dim.h - Symbolic sizes in one normal form ----------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// A `Dim` is a size that may depend on symbols: `B`, `S + P`, `768 * B * S`,
// `(S + 15) floordiv 16`. It is an immutable value, cheap to copy.
//
// Example. A reshape of `tensor<B x S x 768>` into rows of 768 asks how many
// rows there are:
//
//     Dim b = Dim::symbol("B"), s = Dim::symbol("S");
//     Dim rows = (b * s * 768).floorDiv(Dim(768));        // B * S
//     Dim per  = (b * s * 768).floorDiv(b * s);           // 768
//     rows.evaluate(env)                                  // B=2, S=7: 14
//
// Rule. Every Dim is a sum of terms, each an int64 coefficient times a sorted
// product of *atoms*; terms are sorted, no two have the same product, none has
// coefficient zero. An atom is a symbol or one of floordiv, mod, min, max over
// Dims. Two Dims are equal when their terms are: `B * (S + P)` equals
// `S * B + P * B`, because both become `B * P + B * S`. On top of that:
//
//   * A divisor of one term takes whole multiples of itself out of the
//     dividend: `(5 * S + 7) floordiv 3` is `S + 2 + (2 * S + 1) floordiv 3`.
//     Any divisor that divides exactly disappears; common factors cancel.
//   * A mod that a constant quotient or mod takes in goes where that leaves no
//     rest: `(S + -S mod 8) floordiv 8` is `(S + 7) floordiv 8`, and
//     `(S + -S mod 8) mod 8` is 0.
//   * floordiv rounds to minus infinity; `a mod b` is `a - b * (a floordiv b)`,
//     so its sign is that of b. A constant divisor is made positive.
//   * min and max are flat, sorted, free of operands that another operand
//     bounds by a constant: `min(S + 1, S + 3)` is `S + 1`.
//
// A rewrite never changes a defined value. It may define one that was not:
// `S floordiv S` is 1 even where S is 0, and evaluating the original there has
// no value.
//
// Limits. A coefficient that leaves int64, more than `maxTerms` terms, a
// product longer than `maxDegree`, nesting beyond `maxDepth`, a text of more
// than `maxSize` symbols or a division by the constant zero give an *invalid* Dim: `isValid()` is false, every
// operation on it is invalid again, it has no value. Nothing overflows
// silently. Equality is structural and therefore incomplete: equal functions
// may differ in form (`S mod 2` and `S - 2 * (S floordiv 2)`). `isKnownEqual`
// says yes, no or does-not-know, and never a wrong answer.
//
// Why not mlir::AffineExpr: it has no product of symbols, so it can neither
// say `B * S` in a type nor fold `(s0*s1*768) floordiv (s0*s1)`; and it needs a
// context, which the runtime's and the readers' code does not have.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_DIALECTS_TENON_DIM_H
#define TENON_DIALECTS_TENON_DIM_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

class Dim;

/// All integers from lo to hi, both included. The extreme int64 values stand
/// for "no bound".
struct Interval {
  static constexpr int64_t minusInfinity = std::numeric_limits<int64_t>::min();
  static constexpr int64_t plusInfinity = std::numeric_limits<int64_t>::max();

  int64_t lo = minusInfinity;
  int64_t hi = plusInfinity;

  bool contains(int64_t value) const { return lo <= value && value <= hi; }
  bool isPoint() const { return lo == hi && lo != minusInfinity && lo != plusInfinity; }
  bool operator==(const Interval &) const = default;
};

/// What is known of each symbol: an interval and a positive divisor. A symbol
/// that was never set may be any integer.
class Bounds {
public:
  struct Entry {
    Interval interval;
    int64_t divisor = 1;
  };

  /// Replaces what was known of `symbol`. A divisor below 1 counts as 1.
  void set(std::string symbol, Interval interval, int64_t divisor = 1);
  Entry lookup(std::string_view symbol) const;

private:
  std::map<std::string, Entry, std::less<>> entries;
};

/// The operations a Dim is built from, in the order `Dim::visit` reports them.
enum class DimOp : uint8_t { Add, Multiply, FloorDiv, Mod, Min, Max };

/// Receives a Dim in postfix order: operands first, then the operation that
/// takes the top two. One walk serves bytecode, IR and C.
class DimVisitor {
public:
  virtual ~DimVisitor() = default;
  virtual void constant(int64_t value) = 0;
  virtual void symbol(std::string_view name) = 0;
  virtual void binary(DimOp op) = 0;
};

class Dim {
public:
  static constexpr size_t maxTerms = 512;
  static constexpr size_t maxDegree = 32;
  static constexpr unsigned maxDepth = 64;
  static constexpr size_t maxSize = 16384;

  enum class AtomKind : uint8_t { Symbol, FloorDiv, Mod, Min, Max };
  struct Atom;
  using AtomPtr = std::shared_ptr<const Atom>;

  /// `coefficient` times the product of `factors`, sorted, repeated for powers.
  struct Term {
    int64_t coefficient;
    std::vector<AtomPtr> factors;
  };

  Dim() = default; ///< The constant 0.
  Dim(int64_t value) : value(value) {}
  static Dim symbol(std::string_view name);
  static Dim invalid();

  bool isValid() const { return valid; }
  bool isConstant() const { return valid && !sum; }
  std::optional<int64_t> constant() const { return isConstant() ? std::optional(value) : std::nullopt; }
  /// The name, when this is one symbol and nothing else.
  std::optional<std::string_view> asSymbol() const;
  /// The terms in canonical order, the constant last; none for zero or invalid.
  std::vector<Term> terms() const;
  /// The names this depends on, sorted, each once.
  std::vector<std::string> symbols() const;

  friend Dim operator+(const Dim &a, const Dim &b);
  friend Dim operator-(const Dim &a, const Dim &b);
  friend Dim operator*(const Dim &a, const Dim &b);
  Dim operator-() const { return Dim(0) - *this; }
  Dim &operator+=(const Dim &other) { return *this = *this + other; }
  Dim &operator-=(const Dim &other) { return *this = *this - other; }
  Dim &operator*=(const Dim &other) { return *this = *this * other; }

  Dim floorDiv(const Dim &divisor) const;
  Dim mod(const Dim &divisor) const;
  /// The smallest integer not below the quotient; the divisor must be positive
  /// (for a symbolic one that is the caller's promise).
  Dim ceilDiv(const Dim &divisor) const;
  /// The q with `q * divisor == *this` as polynomials; none if there is none.
  std::optional<Dim> exactDiv(const Dim &divisor) const;

  static Dim min(const Dim &a, const Dim &b);
  static Dim max(const Dim &a, const Dim &b);

  /// Every symbol found in `map` replaced, all at once.
  Dim substitute(const std::map<std::string, Dim, std::less<>> &map) const;

  /// The value, given the symbols'. None when a symbol has no value, something
  /// overflows int64 or a divisor is zero.
  using Environment = std::function<std::optional<int64_t>(std::string_view)>;
  std::optional<int64_t> evaluate(const Environment &environment) const;
  std::optional<int64_t> evaluate(const std::map<std::string, int64_t, std::less<>> &values) const;

  /// An interval that contains every value this takes under `bounds`.
  Interval interval(const Bounds &bounds) const;
  /// A positive number that divides every value this takes; 0 for the
  /// constant 0.
  int64_t knownDivisor(const Bounds &bounds) const;
  /// The same value under `bounds` in a form no larger: decided min, max, mod
  /// and floordiv are replaced by their outcome.
  Dim simplify(const Bounds &bounds) const;
  /// True: equal for all values within bounds. False: different for all.
  static std::optional<bool> isKnownEqual(const Dim &a, const Dim &b, const Bounds &bounds = {});
  /// True: a <= b for all values within bounds. False: a > b for all.
  static std::optional<bool> isKnownLessEqual(const Dim &a, const Dim &b, const Bounds &bounds = {});

  /// Reads `768 * B * (S + P)`, `S floordiv 2`, `S ceildiv 2`, `S mod 4`,
  /// `min(a, b, ...)`, `max(...)`, unary minus. `*`, floordiv, ceildiv and mod
  /// bind alike, to the left. A symbol that is not an identifier, or is one of
  /// the words above, is written in double quotes with \" and \\ inside.
  /// On failure returns nothing and says in `error` where and why.
  static std::optional<Dim> parse(std::string_view text, std::string *error = nullptr);
  /// The canonical text; parse(str()) is this again. `<invalid>` if invalid.
  std::string str() const;

  void visit(DimVisitor &visitor) const;

  /// Structural, total, independent of addresses. An invalid Dim is last.
  static int compare(const Dim &a, const Dim &b);
  friend bool operator==(const Dim &a, const Dim &b) { return a.hash() == b.hash() && compare(a, b) == 0; }
  friend bool operator<(const Dim &a, const Dim &b) { return compare(a, b) < 0; }
  size_t hash() const;

private:
  struct Sum;
  class Builder;
  friend class Builder;
  static Dim minMax(AtomKind kind, const Dim &a, const Dim &b);
  static Dim ofAtom(AtomPtr atom);
  unsigned depth() const;
  size_t size() const;

  std::shared_ptr<const Sum> sum; ///< Null for a constant.
  int64_t value = 0;
  bool valid = true;
};

/// One indivisible factor. `name` for a symbol; `operands` for the rest: two
/// for floordiv and mod, two or more sorted ones for min and max.
struct Dim::Atom {
  AtomKind kind;
  std::string name;
  std::vector<Dim> operands;
  size_t hash;
  size_t size; ///< Symbols and operations, counted as often as printed.
  unsigned depth;
};

} // namespace tenon

template <> struct std::hash<tenon::Dim> {
  size_t operator()(const tenon::Dim &dim) const { return dim.hash(); }
};

#endif // TENON_DIALECTS_TENON_DIM_H
