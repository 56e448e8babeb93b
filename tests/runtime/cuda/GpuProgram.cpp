//===- GpuProgram.cpp - Every test of this program runs on a GPU ----------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Before each test a driver as new; after it nothing may be left in the GPU, and
// the driver must have seen no misuse.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/driver.h"
#include "tests/runtime/TestProgram.h"
#include "tests/runtime/cuda/FakeDriver.h"

#include <cstdlib>
#include <gtest/gtest.h>

using namespace tenon;
using namespace tenon::test;

namespace {

class CleanGpu : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo &) override {
    static const cuda::DriverTable table = fakeTable();
    ::setenv("TENON_CACHE_DIR", "off", 1);
    TestProgram::onGpu = true;
    resetFakeDriver();
    cuda::replaceDriver(&table);
  }
  void OnTestEnd(const testing::TestInfo &) override {
    EXPECT_EQ("", fakeDriver().leaks());
    for (const std::string &what : fakeDriver().misuse)
      ADD_FAILURE() << "the driver was misused: " << what;
  }
};

/// Before main: the listener is there for every test.
const bool isListening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new CleanGpu);
  return true;
}();

} // namespace
