//===- DecidingSizesTest.cpp - what decides a question about sizes --------------------===//
#include "frontends/builder/DecidingSizes.h"

#include <gtest/gtest.h>

using namespace tenon;

namespace {

const Dim s = Dim::symbol("S"), b = Dim::symbol("B");

/// What to give so that the dim is known to be at least 0, or to be below 0.
std::string decidingTheSign(const Dim &dim, const Bounds &bounds) {
  return sizesToGive(dim.symbols(), bounds, [&](const Bounds &narrow) {
    Interval found = dim.simplify(narrow).interval(narrow);
    return found.lo >= 0 || found.hi < 0;
  });
}

std::string equating(const Dim &a, const Dim &c, const Bounds &bounds = {}) {
  return sizesToGive((a - c).symbols(), bounds,
                     [&](const Bounds &narrow) { return Dim::isKnownEqual(a, c, narrow) == true; });
}

TEST(DecidingSizes, RangesBetweenWhatDivides) {
  Bounds bounds;
  bounds.set("S", {0, 2147483647});
  Dim end = -(-s).mod(Dim(512));
  EXPECT_EQ(decidingTheSign(end, bounds), "; give --dim S=1..511, or --dim S=513..1023, or --dim S=1025..1535");
  bounds.set("S", {500, 600});
  EXPECT_EQ(decidingTheSign(end, bounds), "; give --dim S=500..511, or --dim S=512, or --dim S=513..600");
}

TEST(DecidingSizes, OneSize) {
  EXPECT_EQ(equating(Dim(2) * s, Dim(36)), "; give --dim S=18");
  EXPECT_EQ(equating(s * s, Dim(2) * s), "; give --dim S=2");
}

TEST(DecidingSizes, ARangeWithoutEnd) { EXPECT_EQ(equating(Dim::max(s, Dim(5)), s), "; give --dim S=5..2147483647"); }

TEST(DecidingSizes, MultiplesOfADivisor) {
  Bounds bounds;
  bounds.set("S", {0, 1000}, 8);
  EXPECT_EQ(equating(Dim::min(s, Dim(20)), s, bounds), "; give --dim S=8..20");
}

TEST(DecidingSizes, TwoSymbols) {
  EXPECT_EQ(equating(b * s, Dim(6)), "; give --dim B=1 --dim S=6, or --dim B=2 --dim S=3, or --dim B=3 --dim S=2");
}

TEST(DecidingSizes, None) {
  EXPECT_EQ(equating(Dim(2) * s, Dim(7)), "; no small size of S decides it");
  EXPECT_EQ(equating(Dim(3) * b + Dim(6) * s, Dim(7)), "; no small size of B and S decides it");
}

TEST(DecidingSizes, ManySymbolsAreNamed) {
  EXPECT_EQ(equating(b + s, Dim::symbol("T")), "; a size or bounds of B, S, T (--dim NAME=LOW..HIGH) may decide it");
}

} // namespace
