//===- DimTest.cpp - Laws of the normal form of symbolic sizes ------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Examples first, one per rule of Dim.h; then random expressions, whose normal
// form must agree with a tree that was never normalised.
//
//===----------------------------------------------------------------------===//

#include "dialects/tenon/Dim.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace tenon;

namespace {

Dim parsed(std::string_view text) {
  std::string error;
  std::optional<Dim> dim = Dim::parse(text, &error);
  EXPECT_TRUE(dim) << text << ": " << error;
  return dim.value_or(Dim::invalid());
}

std::string normal(std::string_view text) { return parsed(text).str(); }

std::string errorOf(std::string_view text) {
  std::string error;
  EXPECT_FALSE(Dim::parse(text, &error)) << text;
  return error;
}

const Dim b = Dim::symbol("B"), s = Dim::symbol("S"), p = Dim::symbol("P");

TEST(Dim, SumsAndProductsHaveOneForm) {
  EXPECT_EQ(normal("B * (S + P)"), "B * P + B * S");
  EXPECT_EQ(normal("S * B + P * B"), "B * P + B * S");
  EXPECT_EQ(normal("(S + 1) * (S - 1)"), "S * S - 1");
  EXPECT_EQ(normal("S - S"), "0");
  EXPECT_EQ(normal("1 - 2 * S"), "-2 * S + 1");
  EXPECT_EQ(normal("3 - S"), "-S + 3");
  EXPECT_EQ(normal("768*S"), "768 * S");
  EXPECT_EQ(Dim(7).constant(), 7);
  EXPECT_EQ(s.asSymbol(), "S");
  EXPECT_FALSE((s + 1).asSymbol());
}

TEST(Dim, ExactDivision) {
  EXPECT_EQ((b * s * 768).floorDiv(b * s), 768);
  EXPECT_EQ((b * s * 768).floorDiv(768), b * s);
  EXPECT_EQ((b * s + b * p).exactDiv(s + p), b);
  EXPECT_EQ((s * s - 1).exactDiv(s + 1), s - 1);
  EXPECT_FALSE((s + 1).exactDiv(2));
  EXPECT_FALSE((s + 1).exactDiv(b));
  EXPECT_FALSE(s.exactDiv(0));
  EXPECT_EQ((s + p).floorDiv(s + p), 1);
}

TEST(Dim, FloorDivAndMod) {
  EXPECT_EQ(normal("S floordiv 1"), "S");
  EXPECT_EQ(normal("(4 * S) floordiv 4"), "S");
  EXPECT_EQ(normal("(5 * S + 7) floordiv 3"), "S + (2 * S + 1) floordiv 3 + 2");
  EXPECT_EQ(normal("S mod 1"), "0");
  EXPECT_EQ(normal("(4 * S) mod 4"), "0");
  EXPECT_EQ(normal("(4 * S + P) mod 4"), "P mod 4");
  EXPECT_EQ(normal("(4 * S + 1) floordiv 6"), "(2 * S) floordiv 3");
  EXPECT_EQ(normal("(4 * S + 1) mod 6"), "2 * ((2 * S) mod 3) + 1");
  EXPECT_EQ(normal("S floordiv 2 floordiv 8"), "S floordiv 16");
  EXPECT_EQ(normal("S mod 8 mod 4"), "S mod 4");
  EXPECT_EQ(normal("S ceildiv 16"), "(S + 15) floordiv 16");
  EXPECT_EQ(normal("(B * S) floordiv (B * P)"), "S floordiv P");
  EXPECT_EQ(normal("-7 floordiv 2"), "-4");
  EXPECT_EQ(normal("-7 mod 2"), "1");
  EXPECT_EQ(normal("7 mod -2"), "-1");
  EXPECT_EQ(normal("-(S floordiv 2)"), "-(S floordiv 2)");
}

TEST(Dim, WhatIsPaddedToAMultipleIsOne) {
  EXPECT_EQ(normal("(S + -S mod 8) floordiv 8"), "(S + 7) floordiv 8");
  EXPECT_EQ(normal("(S + (8 - S mod 8) mod 8) floordiv 8"), "(S + 7) floordiv 8");
  EXPECT_EQ(normal("(S + -S mod 8) mod 4"), "0");
  EXPECT_EQ(normal("(3 * (S mod 8) + P) mod 4"), "(P + 3 * S) mod 4");
  EXPECT_EQ(normal("(3 * (S mod 6) + P) mod 4"), "(P + 3 * (S mod 6)) mod 4");
  EXPECT_EQ(normal("-(-S floordiv 8)"), "(S + 7) floordiv 8");
  EXPECT_EQ(normal("(S - S mod 8) floordiv 8"), "S floordiv 8");
  EXPECT_EQ(normal("(S - S mod 8) floordiv 3"), "(S + 2 * (S mod 8)) floordiv 3 - S mod 8");
  auto equal = [](const char *a, const char *b) { return Dim::isKnownEqual(parsed(a), parsed(b)); };
  EXPECT_EQ(equal("B * S + B * (-S mod 8)", "8 * B * ((S + 7) floordiv 8)"), true);
  EXPECT_EQ(equal("S - S mod 8", "8 * (S floordiv 8)"), true);
  EXPECT_EQ(equal("S - S mod 8", "4 * (S floordiv 4)"), std::nullopt);
  Bounds bounds;
  bounds.set("S", {1, 8});
  EXPECT_EQ(Dim::isKnownEqual(parsed("S + -S mod 8"), 8, bounds), true);
  EXPECT_EQ(Dim::isKnownLessEqual(parsed("S + -S mod 8"), 8, bounds), true);
  EXPECT_EQ(Dim::isKnownEqual(parsed("S + -S mod 8"), 8), std::nullopt);
}

TEST(Dim, MinAndMax) {
  EXPECT_EQ(Dim::min(s, s), s);
  EXPECT_EQ(normal("min(S + 1, S + 3)"), "S + 1");
  EXPECT_EQ(normal("max(S + 1, S + 3)"), "S + 3");
  EXPECT_EQ(normal("min(S, min(P, B))"), "min(B, P, S)");
  EXPECT_EQ(normal("max(3, 9)"), "9");
}

TEST(Dim, OverflowAndDivisionByZeroAreInvalid) {
  Dim big = int64_t(1) << 62;
  EXPECT_FALSE((big + big).isValid());
  EXPECT_FALSE((big * s * 4).isValid());
  EXPECT_FALSE((-Dim(INT64_MIN)).isValid());
  EXPECT_FALSE(Dim(INT64_MIN).floorDiv(-1).isValid());
  EXPECT_FALSE(s.floorDiv(0).isValid());
  EXPECT_FALSE(s.mod(0).isValid());
  EXPECT_FALSE((Dim::invalid() * 0).isValid());
  EXPECT_EQ(Dim::invalid().str(), "<invalid>");
  Dim sum = 1, deep = s;
  for (int i = 0; i < 12; ++i)
    sum *= Dim::symbol("x" + std::to_string(i)) + 1;
  EXPECT_FALSE(sum.isValid());
  for (int i = 0; i < 200; ++i)
    deep = (deep * deep + p).floorDiv(s + deep);
  EXPECT_FALSE(deep.isValid());
}

TEST(Dim, EvaluationRefusesWhatHasNoValue) {
  EXPECT_EQ((b * s + 1).evaluate({{"B", 2}, {"S", 3}}), 7);
  EXPECT_FALSE((b * s).evaluate({{"B", 2}}));
  EXPECT_FALSE(s.floorDiv(p).evaluate({{"S", 2}, {"P", 0}}));
  EXPECT_FALSE((s * s).evaluate({{"S", int64_t(1) << 40}}));
  EXPECT_FALSE(Dim::invalid().evaluate(std::map<std::string, int64_t, std::less<>>{}));
}

TEST(Dim, SubstitutionIsSimultaneous) {
  EXPECT_EQ((b - s).substitute({{"B", s}, {"S", b}}), s - b);
  EXPECT_EQ(parsed("(S + 15) floordiv 16").substitute({{"S", b * 16}}), b);
}

TEST(Dim, TextErrorsNameThePlace) {
  EXPECT_EQ(errorOf(""), "at column 1: wanted an integer, a symbol or '(', found the end");
  EXPECT_EQ(errorOf("S +"), "at column 4: wanted an integer, a symbol or '(', found the end");
  EXPECT_EQ(errorOf("(S"), "at column 3: wanted ')', found the end");
  EXPECT_EQ(errorOf("S ? 2"), "at column 3: wanted the end or an operator, found '?'");
  EXPECT_EQ(errorOf("S P"), "at column 3: wanted the end or an operator, found 'P'");
  EXPECT_EQ(errorOf("99999999999999999999"), "at column 1: wanted an integer of 64 bits, found '9'");
  EXPECT_EQ(errorOf("min(S; P)"), "at column 6: wanted ')', found ';'");
  EXPECT_EQ(errorOf("S floordiv 0"), "the expression divides by zero, overflows or is too large");
  EXPECT_NE(errorOf(std::string(100000, '(')).find("nesting"), std::string::npos);
  EXPECT_NE(errorOf(std::string(100000, '-') + "S").find("nesting"), std::string::npos);
}

TEST(Dim, AnyNameIsASymbol) {
  for (std::string name : {"a b", "min", "mod", "", "x\"y\\z", "past_sequence_length + 1", "unk.0", "1st"}) {
    Dim symbol = Dim::symbol(name);
    EXPECT_EQ(parsed((symbol * 2 + s).str()), symbol * 2 + s) << name;
  }
  EXPECT_EQ((Dim::symbol("seq.len") + 1).str(), "\"seq.len\" + 1");
}

TEST(Dim, ExtremeCoefficientsPrint) {
  Dim least = Dim(INT64_MIN);
  EXPECT_EQ(parsed((s + least).str()), s + least);
  EXPECT_EQ(parsed((s * least).str()), s * least);
  EXPECT_EQ(parsed((s * s + s * least).str()), s * s + s * least);
}

TEST(Dim, BoundsDecideComparisons) {
  Bounds bounds;
  bounds.set("B", {1, 64});
  bounds.set("S", {1, 512}, 1);
  bounds.set("P", {0, Interval::plusInfinity}, 8);
  EXPECT_EQ((b * s).interval(bounds), (Interval{1, 64 * 512}));
  EXPECT_EQ(s.mod(16).interval(bounds), (Interval{0, 15}));
  EXPECT_EQ(s.floorDiv(16).interval(bounds), (Interval{0, 32}));
  EXPECT_EQ(parsed("2 * S + max(0, 5 - S) - 4").interval(bounds).lo, 2);
  EXPECT_EQ(parsed("S - min(S, 5)").interval(bounds).lo, 0);
  EXPECT_EQ(parsed("min(S, 5) - S").interval(bounds).hi, 0);
  EXPECT_EQ(Dim::isKnownLessEqual(b, b * s, bounds), true);
  EXPECT_EQ(Dim::isKnownLessEqual(s, 512, bounds), true);
  EXPECT_EQ(Dim::isKnownLessEqual(513, s, bounds), false);
  EXPECT_EQ(Dim::isKnownLessEqual(s, 100, bounds), std::nullopt);
  EXPECT_EQ(Dim::isKnownEqual(s + p, p + s), true);
  EXPECT_EQ(Dim::isKnownEqual(s, s + 1, bounds), false);
  EXPECT_EQ(Dim::isKnownEqual(s, b, bounds), std::nullopt);
  EXPECT_EQ(Dim::isKnownEqual(p + 3, b * 8, bounds), false);
  EXPECT_EQ(Dim::isKnownEqual(s, 0), std::nullopt);
}

TEST(Dim, MultiplesOfQuotientsAreComparedWithTheirDividends) {
  Bounds bounds;
  bounds.set("s", {0, 1000});
  Dim s = Dim::symbol("s"), even = Dim(2) * (s + Dim(1)).floorDiv(Dim(2));
  EXPECT_EQ(Dim::isKnownLessEqual(s, even, bounds), true);
  EXPECT_EQ(Dim::isKnownLessEqual(even, s + Dim(1), bounds), true);
  EXPECT_EQ(Dim::isKnownLessEqual(even, s, bounds), std::nullopt);
  bounds.set("p", {0, 1000}, 8);
  Dim p = Dim::symbol("p");
  EXPECT_EQ(Dim::isKnownEqual(Dim(2) * p.floorDiv(Dim(8)), p.floorDiv(Dim(4)), bounds), true);
  EXPECT_EQ(Dim::isKnownLessEqual(Dim(12) * s.floorDiv(Dim(4)), Dim(3) * s, bounds), true);
}

TEST(Dim, MultiplesLeaveTheDividend) {
  Bounds bounds;
  bounds.set("S", {1, 512});
  bounds.set("P", {0, 1024}, 8);
  auto simplified = [&](const char *text) { return parsed(text).simplify(bounds); };
  EXPECT_EQ(simplified("(P + 7) floordiv 8"), parsed("P floordiv 8"));
  EXPECT_EQ(simplified("8 * ((P + 7) floordiv 8)"), p);
  EXPECT_EQ(simplified("(8 * ((P + 7) floordiv 8)) floordiv P"), 1);
  EXPECT_EQ(simplified("(3 * P - 1) floordiv 8"), parsed("3 * (P floordiv 8) - 1"));
  EXPECT_EQ(simplified("(P * S + S mod 3) floordiv 4"), parsed("S * (P floordiv 4)"));
  EXPECT_EQ(simplified("(P + 5) mod 8"), 5);
  EXPECT_EQ(simplified("(P + S) mod 4"), parsed("S mod 4"));
  EXPECT_EQ(simplified("(P + S) floordiv 8"), parsed("(P + S) floordiv 8"));
  EXPECT_EQ(simplified("(P + 7) floordiv 16"), parsed("(P + 7) floordiv 16"));
  EXPECT_EQ(simplified("(S + 7) floordiv 8"), parsed("(S + 7) floordiv 8"));
}

TEST(Dim, BoundsSimplify) {
  Bounds bounds;
  bounds.set("S", {1, 512});
  bounds.set("P", {0, 1024}, 8);
  bounds.set("K", {4, 4});
  EXPECT_EQ(parsed("min(S, 512)").simplify(bounds), s);
  EXPECT_EQ(parsed("max(S, 512)").simplify(bounds), 512);
  EXPECT_EQ(parsed("min(S, P + S)").simplify(bounds), s);
  EXPECT_EQ(parsed("S mod 1000").simplify(bounds), s);
  EXPECT_EQ(parsed("S floordiv 1000").simplify(bounds), 0);
  EXPECT_EQ(parsed("P mod 4").simplify(bounds), 0);
  EXPECT_EQ(parsed("(P floordiv 8) * 8 + S").simplify(bounds), p + s);
  EXPECT_EQ(parsed("K * S").simplify(bounds), s * 4);
  EXPECT_EQ(parsed("S mod 4").simplify(bounds), s.mod(4));
  EXPECT_EQ((p * 6).knownDivisor(bounds), 48);
  EXPECT_EQ(parsed("P floordiv 4").knownDivisor(bounds), 2);
}

TEST(Dim, VisitIsPostfix) {
  struct Text : DimVisitor {
    std::string text;
    void constant(int64_t value) override { text += std::to_string(value) + " "; }
    void symbol(std::string_view name) override { text += std::string(name) + " "; }
    void binary(DimOp op) override { text += std::string{"+*/%mM"[static_cast<size_t>(op)]} + " "; }
  } visitor;
  parsed("2 * B * S + max(S, P, 7) - (S + 1) floordiv 2").visit(visitor);
  EXPECT_EQ(visitor.text, "2 B * S * -1 S 1 + 2 / * + 7 P M S M + ");
}

//===----------------------------------------------------------------------===//
// Properties
//===----------------------------------------------------------------------===//

using Values = std::map<std::string, int64_t, std::less<>>;

/// An expression as written, beside its normal form.
struct Sample {
  std::function<std::optional<int64_t>(const Values &)> naive;
  Dim dim;
};

class Generator {
public:
  explicit Generator(unsigned seed) : random(seed) {}

  int64_t between(int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(random); }

  Values values(int64_t lo, int64_t hi) {
    Values result;
    for (const char *name : {"a", "b", "c"})
      result[name] = between(lo, hi);
    return result;
  }

  Sample sample(int depth) {
    if (depth == 0 || between(0, 5) == 0)
      return leaf();
    Sample x = sample(depth - 1), y = sample(depth - 1);
    int op = static_cast<int>(between(0, 6));
    auto naive = [x = x.naive, y = y.naive, op](const Values &values) -> std::optional<int64_t> {
      auto left = x(values), right = y(values);
      return left && right ? apply(op, *left, *right) : std::nullopt;
    };
    return {naive, applyDim(op, x.dim, y.dim)};
  }

private:
  Sample leaf() {
    if (between(0, 1)) {
      int64_t number = between(-6, 9);
      return {[number](const Values &) { return std::optional(number); }, Dim(number)};
    }
    std::string name(1, static_cast<char>('a' + between(0, 2)));
    return {[name](const Values &values) { return std::optional(values.at(name)); }, Dim::symbol(name)};
  }

  static std::optional<int64_t> apply(int op, int64_t x, int64_t y) {
    int64_t result = 0;
    double quotient = static_cast<double>(x) / static_cast<double>(y);
    if (std::abs(x) > (int64_t(1) << 50) || std::abs(y) > (int64_t(1) << 50))
      return std::nullopt;
    switch (op) {
    case 0:
      return x + y;
    case 1:
      return x - y;
    case 2:
      return __builtin_mul_overflow(x, y, &result) ? std::nullopt : std::optional(result);
    case 3:
      return std::min(x, y);
    case 4:
      return std::max(x, y);
    default:
      break;
    }
    if (y == 0)
      return std::nullopt;
    int64_t floor = static_cast<int64_t>(std::floor(quotient));
    while (floor * y > x == (y > 0) && floor * y != x) // Corrects the rounding of the double.
      --floor;
    while (((floor + 1) * y <= x) == (y > 0) || (floor + 1) * y == x)
      ++floor;
    return op == 5 ? floor : x - floor * y;
  }

  static Dim applyDim(int op, const Dim &x, const Dim &y) {
    switch (op) {
    case 0:
      return x + y;
    case 1:
      return x - y;
    case 2:
      return x * y;
    case 3:
      return Dim::min(x, y);
    case 4:
      return Dim::max(x, y);
    case 5:
      return x.floorDiv(y);
    default:
      return x.mod(y);
    }
  }

  std::mt19937 random;
};

TEST(DimProperties, NormalFormKeepsEveryDefinedValue) {
  Generator generator(1);
  int compared = 0;
  for (int i = 0; i < 5000; ++i) {
    Sample sample = generator.sample(4);
    if (!sample.dim.isValid())
      continue;
    for (int k = 0; k < 4; ++k) {
      Values values = generator.values(-7, 12);
      auto expected = sample.naive(values), found = sample.dim.evaluate(values);
      if (!expected || !found)
        continue;
      ++compared;
      ASSERT_EQ(*expected, *found) << sample.dim.str();
    }
  }
  EXPECT_GT(compared, 5000);
}

TEST(DimProperties, TextRoundTrips) {
  Generator generator(2);
  for (int i = 0; i < 5000; ++i) {
    Dim dim = generator.sample(4).dim;
    if (!dim.isValid())
      continue;
    Dim again = parsed(dim.str());
    ASSERT_EQ(again, dim) << dim.str() << " became " << again.str();
    ASSERT_EQ(again.hash(), dim.hash());
    ASSERT_EQ(again.str(), dim.str());
  }
}

TEST(DimProperties, Laws) {
  Generator generator(3);
  for (int i = 0; i < 5000; ++i) {
    Dim x = generator.sample(2).dim, y = generator.sample(2).dim, z = generator.sample(2).dim;
    Dim product = x * y * z;
    if (!product.isValid())
      continue;
    ASSERT_EQ(x + y, y + x);
    ASSERT_EQ(x * y, y * x);
    ASSERT_EQ((x + y) + z, x + (y + z));
    ASSERT_EQ((x * y) * z, x * (y * z));
    ASSERT_EQ(x * (y + z), x * y + x * z);
    ASSERT_EQ(x - x, Dim(0));
    ASSERT_EQ(Dim::min(x, y), Dim::min(y, x));
    ASSERT_EQ(Dim::max(Dim::max(x, y), z), Dim::max(x, Dim::max(y, z)));
    ASSERT_EQ(Dim::compare(x, y), -Dim::compare(y, x));
    if (y != Dim(0)) {
      ASSERT_EQ((x * y).exactDiv(y), x) << x.str() << " over " << y.str();
      ASSERT_EQ((x * y).floorDiv(y), x);
      ASSERT_EQ((x * y).mod(y), Dim(0));
    }
  }
}

TEST(DimProperties, IntervalsAndDivisorsAreSound) {
  Generator generator(4);
  for (int i = 0; i < 5000; ++i) {
    Dim dim = generator.sample(3).dim;
    if (!dim.isValid())
      continue;
    Values values = generator.values(-7, 12);
    Bounds bounds;
    for (const auto &[name, value] : values)
      bounds.set(name, {value - generator.between(0, 9), value + generator.between(0, 9)},
                 value != 0 ? std::abs(value) : 5);
    auto value = dim.evaluate(values);
    if (!value)
      continue;
    Interval interval = dim.interval(bounds);
    ASSERT_TRUE(interval.contains(*value))
        << dim.str() << " = " << *value << " outside [" << interval.lo << ", " << interval.hi << "]";
    int64_t divisor = dim.knownDivisor(bounds);
    ASSERT_TRUE(divisor == 0 ? *value == 0 : *value % divisor == 0) << dim.str();
    ASSERT_EQ(dim.simplify(bounds).evaluate(values), value) << dim.str() << " -> " << dim.simplify(bounds).str();
    ASSERT_NE(Dim::isKnownEqual(dim, *value, bounds), false) << dim.str();
    ASSERT_NE(Dim::isKnownLessEqual(dim, *value, bounds), false) << dim.str();
    ASSERT_NE(Dim::isKnownLessEqual(dim, *value - 1, bounds), true) << dim.str();
  }
}

TEST(DimProperties, SubstitutionCommutesWithEvaluation) {
  Generator generator(5);
  for (int i = 0; i < 5000; ++i) {
    Dim dim = generator.sample(3).dim, inner = generator.sample(2).dim;
    Values values = generator.values(0, 12);
    auto innerValue = inner.evaluate(values);
    Dim replaced = dim.substitute({{"a", inner}});
    if (!innerValue || !replaced.isValid() || !dim.isValid())
      continue;
    auto found = replaced.evaluate(values);
    values["a"] = *innerValue;
    auto expected = dim.evaluate(values);
    if (expected && found)
      ASSERT_EQ(*expected, *found) << dim.str() << " with a = " << inner.str();
  }
}

} // namespace
