//===- WeightStoreTest.cpp - ranges of mapped files, and those outside -------------===//
#include "dialects/tenon/WeightStore.h"

#include <gtest/gtest.h>
#include <vector>

using tenon::WeightStore;

namespace {

WeightStore storeOf(std::vector<uint8_t> content) {
  WeightStore store;
  auto owner = std::make_shared<std::vector<uint8_t>>(std::move(content));
  store.add("model", owner->data(), owner->size(), owner);
  return store;
}

TEST(WeightStore, GivesARangeAndKeepsItsOwner) {
  WeightStore store = storeOf({1, 2, 3, 4});
  auto bytes = store.bytes("model", 1, 2);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->size(), 2u);
  EXPECT_EQ((*bytes)[0], std::byte{2});
  EXPECT_TRUE(store.bytes("model", 4, 0)) << "an empty range at the end is inside";
}

TEST(WeightStore, RefusesRangesOutside) {
  WeightStore store = storeOf({1, 2, 3, 4});
  std::string error;
  EXPECT_FALSE(store.bytes("model", 3, 2, &error));
  EXPECT_EQ(error, "wanted bytes 3 to 3 + 2 of \"model\", found a file of 4");
  EXPECT_FALSE(store.bytes("model", UINT64_MAX, 2)) << "the sum must not wrap around";
  EXPECT_FALSE(store.bytes("model", 1, UINT64_MAX));
}

TEST(WeightStore, NamesTheMissingFile) {
  std::string error;
  EXPECT_FALSE(WeightStore().bytes("other", 0, 1, &error));
  EXPECT_EQ(error, "no file named \"other\" is mapped");
}

} // namespace
