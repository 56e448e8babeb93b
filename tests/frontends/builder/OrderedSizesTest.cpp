//===- OrderedSizesTest.cpp - what orders of several sizes decide -------------------===//
#include "frontends/builder/OrderedSizes.h"

#include <gtest/gtest.h>

using namespace tenon;

namespace {

const Dim n = Dim::symbol("n"), total = Dim::symbol("total"), capacity = Dim::symbol("capacity");

class OrderedSizesTest : public testing::Test {
protected:
  OrderedSizesTest() {
    for (const char *symbol : {"n", "total", "capacity"})
      bounds.set(symbol, {0, 1000});
  }

  /// Each order as text.
  std::vector<std::string> taken() const {
    std::vector<std::string> result;
    for (const OrderedSizes::Order &order : sizes.all()) {
      auto [smaller, larger] = order.sides();
      result.push_back(smaller.str() + " <= " + larger.str() + " for " + order.source);
    }
    return result;
  }

  OrderedSizes sizes;
  Bounds bounds;
};

using Texts = std::vector<std::string>;

TEST_F(OrderedSizesTest, WhatIsTakenDecidesMinimaAndMaxima) {
  Dim rest = Dim::max(Dim(0), total - n), end = Dim::min(total, capacity);
  EXPECT_EQ(sizes.simplify(rest, bounds), rest);
  EXPECT_TRUE(sizes.add(total - n, bounds, "Slice"));
  EXPECT_EQ(sizes.simplify(rest, bounds), total - n);
  EXPECT_EQ(sizes.simplify(end, bounds), end) << "says nothing of the capacity";
  EXPECT_EQ(sizes.simplify(Dim::max(total, n + Dim(1)), bounds), Dim::max(total, n + Dim(1)));
  EXPECT_EQ(sizes.simplify((rest * capacity).mod(Dim(7)), bounds), ((total - n) * capacity).mod(Dim(7)))
      << "within other arithmetic";
}

TEST_F(OrderedSizesTest, OrdersAddUp) {
  EXPECT_TRUE(sizes.add(total - n, bounds, "a"));
  EXPECT_TRUE(sizes.add(capacity - total, bounds, "b"));
  EXPECT_TRUE(sizes.isNonNegative(capacity - n, bounds));
  EXPECT_TRUE(sizes.isNonNegative(capacity - n + Dim(3), bounds));
  EXPECT_FALSE(sizes.isNonNegative(capacity - n - Dim(1), bounds));
  EXPECT_FALSE(sizes.isNonNegative(n - total, bounds));
}

TEST_F(OrderedSizesTest, TheFewestThatMakeASliceWhole) {
  Dim begin = Dim::min(Dim::max(Dim(0), total - n), capacity), end = Dim::min(total, capacity);
  Dim size = Dim::max(Dim(0), end - begin);
  EXPECT_TRUE(sizes.equate(size, n, bounds, "Slice"));
  EXPECT_EQ(sizes.simplify(size, bounds), n);
  EXPECT_EQ(sizes.all().size(), 2u);
  EXPECT_FALSE(sizes.equate(size, n, bounds, "Slice")) << "nothing new";
}

TEST_F(OrderedSizesTest, NothingIsTakenForWhatNoOrderMakesEqual) {
  EXPECT_FALSE(sizes.equate(Dim::min(total, capacity), n, bounds, "Add"));
  EXPECT_FALSE(sizes.equate(total, n, bounds, "Add"));
  EXPECT_TRUE(sizes.all().empty());
}

TEST_F(OrderedSizesTest, WhatIsKnownOrCannotBeIsNotTaken) {
  EXPECT_FALSE(sizes.add(total + n, bounds, "a")) << "known";
  EXPECT_FALSE(sizes.add(Dim(-1) - total - n, bounds, "a")) << "never";
  EXPECT_FALSE(sizes.add(total - Dim(4), bounds, "a")) << "one symbol: bounds say that";
  EXPECT_FALSE(sizes.add(total * n - capacity, bounds, "a")) << "a product";
  EXPECT_TRUE(sizes.add(total - n, bounds, "a"));
  EXPECT_FALSE(sizes.add(total - n + Dim(2), bounds, "a")) << "follows";
  EXPECT_FALSE(sizes.add(n - total - Dim(1), bounds, "a")) << "the opposite";
}

TEST_F(OrderedSizesTest, WhatFailsAtOneValueIsTakenNotToBeThat) {
  Dim padding = (-n).mod(Dim(8));
  EXPECT_TRUE(sizes.add(padding - Dim(1), bounds, "a"));
  EXPECT_TRUE(sizes.isNonNegative(padding - Dim(1), bounds));
  EXPECT_EQ(sizes.simplify(Dim::max(Dim(1), padding), bounds), padding);
  EXPECT_EQ(taken(), (Texts{"1 <= (7 * n) mod 8 for a"}));
  EXPECT_FALSE(sizes.add(padding - Dim(2), bounds, "a")) << "fails at two";
}

TEST_F(OrderedSizesTest, SixteenAtMost) {
  for (int64_t factor = 1; factor <= 20; ++factor)
    EXPECT_EQ(sizes.add(Dim(factor) * n - total - Dim(5 * factor * factor), bounds, "a"), factor <= 16) << factor;
}

TEST_F(OrderedSizesTest, SidesHaveNoMinus) {
  EXPECT_TRUE(sizes.add(Dim(2) * capacity - total - n + Dim(3), bounds, "a"));
  EXPECT_TRUE(sizes.add(total - n - Dim(5), bounds, "b"));
  EXPECT_EQ(taken(), (Texts{"n + total <= 2 * capacity + 3 for a", "n + 5 <= total for b"}));
}

TEST_F(OrderedSizesTest, ValuesReachWhatWasTaken) {
  EXPECT_TRUE(sizes.add(total - n, bounds, "a"));
  sizes.substitute("total", capacity * capacity + Dim(2));
  EXPECT_EQ(taken(), (Texts{"n <= capacity * capacity + 2 for a"}));
}

} // namespace
