//===- AssumptionsTest.cpp - what equations of dims teach -----------------------------===//
#include "frontends/builder/Assumptions.h"

#include <gtest/gtest.h>

using namespace tenon;

namespace {

const Dim s = Dim::symbol("S"), p = Dim::symbol("P"), t = Dim::symbol("T");

TEST(Assumptions, MinimumAgainstAnOperandBoundsIt) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.equate(Dim::min(s, Dim(512)), s));
  EXPECT_EQ(assumptions.restrict("S", {0, 2147483647}), (Interval{0, 512}));
  EXPECT_EQ(assumptions.restrict("P", {0, 7}), (Interval{0, 7}));
  EXPECT_FALSE(assumptions.equate(Dim::min(s, Dim(512)), s)) << "nothing new";
  EXPECT_TRUE(assumptions.equate(p - Dim::min(s, Dim(4)), p - Dim(4))) << "beside what both sides have";
  EXPECT_EQ(assumptions.restrict("S", {0, 1000}).lo, 4);
}

TEST(Assumptions, ASymbolByItselfIsSolvedFor) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.equate(p + s, t));
  EXPECT_EQ(assumptions.resolve("T"), p + s);
  EXPECT_EQ(assumptions.resolve("S"), s);
}

TEST(Assumptions, ANumberReplacesASymbol) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.equate(Dim(64), s));
  EXPECT_EQ(assumptions.resolve("S"), Dim(64));
}

TEST(Assumptions, LaterOnesReachEarlierValues) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.equate(p + s, t));
  EXPECT_TRUE(assumptions.equate(p, Dim(8)));
  EXPECT_EQ(assumptions.resolve("T"), s + Dim(8));
}

TEST(Assumptions, BlocksPutTogetherAgainDivide) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.equate(p * s, Dim(8) * p * s.floorDiv(Dim(8))));
  EXPECT_EQ(assumptions.divisor("S"), 8);
  EXPECT_EQ(assumptions.divisor("P"), 1);
  EXPECT_TRUE(assumptions.equate(s, Dim(3) * (Dim(4) * s).floorDiv(Dim(12)))) << "a third of four times S";
  EXPECT_EQ(assumptions.divisor("S"), 24);
  EXPECT_FALSE(assumptions.equate(s, Dim(6) * s.floorDiv(Dim(6)))) << "nothing new";
  EXPECT_FALSE(assumptions.equate(s * p, Dim(8) * t.floorDiv(Dim(8))));
}

TEST(Assumptions, WhatIsPaddedButNotCutDivides) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.equate(p * s, Dim(8) * p * s.ceilDiv(Dim(8))));
  EXPECT_EQ(assumptions.divisor("S"), 8);
  EXPECT_TRUE(assumptions.equate(t + (-t).mod(Dim(6)), t));
  EXPECT_EQ(assumptions.divisor("T"), 6);
}

TEST(Assumptions, WhatBothSidesHaveIsLeftOut) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.equate(Dim(512) * p, Dim(64) * p * s));
  EXPECT_EQ(assumptions.resolve("S"), Dim(8));
  EXPECT_FALSE(assumptions.equate(Dim(64) * p * t, Dim(32) * p * t));
}

TEST(Assumptions, WhatIsNotLinearTeachesNothing) {
  Assumptions assumptions;
  EXPECT_FALSE(assumptions.equate(s * p, t * t));
  EXPECT_FALSE(assumptions.equate(s.floorDiv(Dim(2)), p.mod(Dim(3))));
}

TEST(Assumptions, AtLeast) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.bound(Dim(0), s - Dim(1)));
  EXPECT_EQ(assumptions.restrict("S", {0, 100}), (Interval{1, 100}));
}

TEST(Assumptions, TheLargestIsAtMostWhatEachIs) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.bound(Dim(1), Dim(1) - Dim::max(Dim(0), Dim(1) - s)));
  EXPECT_EQ(assumptions.restrict("S", {0, 100}), (Interval{1, 100}));
  EXPECT_FALSE(assumptions.bound(Dim::max(Dim(3), s), Dim(2)));
  EXPECT_FALSE(assumptions.bound(Dim::max(s, p), Dim(2)));
}

TEST(Assumptions, WhatIsGivenIsNarrowedUntilNothingIsLeft) {
  Assumptions assumptions({{"S", {1, 8}}});
  EXPECT_EQ(assumptions.restrict("S", {0, 100}), (Interval{1, 8}));
  EXPECT_TRUE(assumptions.bound(Dim(8), s));
  EXPECT_FALSE(assumptions.contradiction());
  EXPECT_TRUE(assumptions.bound(Dim(9), s));
  EXPECT_EQ(assumptions.contradiction()->first, "S");
}

TEST(Assumptions, BoundsReachIntoDivisions) {
  Assumptions assumptions;
  // Windows of 400 samples every 320, less one: at least one is left.
  EXPECT_TRUE(assumptions.bound(Dim(1), (s - Dim(80)).floorDiv(Dim(320)) - Dim(1)));
  EXPECT_EQ(assumptions.restrict("S", {0, 100000}), (Interval{720, 100000}));
  EXPECT_TRUE(assumptions.bound(s.floorDiv(Dim(4)), Dim(511)));
  EXPECT_EQ(assumptions.restrict("S", {0, 100000}), (Interval{720, 2047}));
  EXPECT_FALSE(assumptions.bound(Dim(0), s.floorDiv(p))) << "not by a constant";
}

TEST(Assumptions, BoundsReachIntoTheSmallest) {
  Assumptions assumptions;
  EXPECT_TRUE(assumptions.bound(Dim(1), Dim::min(Dim(1), s)));
  EXPECT_EQ(assumptions.restrict("S", {0, 100}), (Interval{1, 100}));
  EXPECT_FALSE(assumptions.bound(Dim(2), Dim::min(Dim(1), s))) << "1 is smaller";
  EXPECT_FALSE(assumptions.bound(Dim(1), Dim::min(p, t))) << "two to solve for";
}

} // namespace
