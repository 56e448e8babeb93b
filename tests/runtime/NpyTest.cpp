//===- NpyTest.cpp - NumPy's .npy files -----------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/npy.h"
#include "runtime/tools/run_artifact.h"

#include <cstdio>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace tenon;
using testing::HasSubstr;

namespace {

std::string file(const char *name) { return testing::TempDir() + "/tenon-npy-" + name; }

/// Reads a file with this header text and data; the error.
std::string readText(std::string header, const std::string &data, NpyArray &array) {
  std::string path = file("text");
  std::string start("\x93NUMPY\x01\x00", 8);
  start += {char(header.size() & 0xff), char(header.size() >> 8)};
  std::ofstream(path, std::ios::binary) << start << header << data;
  std::string error = readNpy(path, array);
  std::remove(path.c_str());
  return error.empty() ? "ok" : error.substr(path.size());
}

TEST(Npy, writesWhatItReads) {
  for (int type = TENON_F32; type <= TENON_BOOL; ++type) {
    std::vector<int64_t> dims = {2, 3};
    size_t bytes = tenon_dtype_bytes(tenon_dtype(type));
    std::vector<uint8_t> data(6 * bytes);
    for (size_t i = 0; i < data.size(); ++i)
      data[i] = uint8_t(i & 1);
    tenon_tensor tensor = {tenon_dtype(type), 2, dims.data(), data.data()};
    NpyArray array;
    ASSERT_EQ("", writeNpy(file("all"), tensor));
    ASSERT_EQ("", readNpy(file("all"), array)) << tenon_dtype_name(tensor.dtype);
    EXPECT_EQ(type, asBits(tensor.dtype, array.dtype));
    EXPECT_EQ(dims, array.dims);
    EXPECT_EQ(data, array.bytes);
  }
  std::remove(file("all").c_str());
}

// NumPy has no bfloat16: it goes out as its bits, and comes in so or as numpy.save writes
// ml_dtypes.bfloat16. Nothing else may stand for something else.
TEST(Npy, bfloat16) {
  uint16_t bits = 0x3f80;
  int64_t one = 1;
  NpyArray array;
  ASSERT_EQ("", writeNpy(file("brain"), {TENON_BF16, 1, &one, &bits}));
  ASSERT_EQ("", readNpy(file("brain"), array));
  EXPECT_EQ(TENON_U16, array.dtype);
  EXPECT_EQ(TENON_U16, asBits(TENON_F16, array.dtype));
  EXPECT_EQ(TENON_BF16, asBits(TENON_BF16, array.dtype));
  EXPECT_EQ("ok", readText("{'descr': '|V2', 'fortran_order': False, 'shape': (1,), }", "ab", array));
  EXPECT_EQ(TENON_BF16, array.dtype);
  std::remove(file("brain").c_str());
}

// The header may end anywhere, even where its text says what the elements are.
TEST(Npy, headersCutAnywhere) {
  const std::string header = "{'fortran_order': False, 'shape': (1,), 'descr': '|i1', }";
  for (size_t length = 0; length < header.find('}'); ++length) {
    NpyArray array;
    std::string error = readText(header.substr(0, length), "a", array);
    EXPECT_EQ(length >= header.find(", }"), error == "ok") << length << ": " << error;
  }
}

TEST(Npy, scalarsAndVectors) {
  float value = 3;
  int64_t one = 1;
  for (uint32_t rank : {0u, 1u}) {
    NpyArray array;
    ASSERT_EQ("", writeNpy(file("scalar"), {TENON_F32, rank, &one, &value}));
    ASSERT_EQ("", readNpy(file("scalar"), array));
    EXPECT_EQ(rank, array.dims.size());
    EXPECT_EQ(4u, array.bytes.size());
  }
  std::remove(file("scalar").c_str());
}

TEST(Npy, headersInOtherSpellings) {
  NpyArray array;
  EXPECT_EQ("ok", readText("{'shape': (2,), 'fortran_order': False, 'descr': '|u1'}\n", "ab", array));
  EXPECT_EQ(TENON_U8, array.dtype);
  EXPECT_EQ("ok", readText("{'descr': '<u1', 'fortran_order': False, 'shape': (1, 2), }\n", "ab", array));
  EXPECT_EQ((std::vector<int64_t>{1, 2}), array.dims);
}

TEST(Npy, whatItCannotRead) {
  NpyArray array;
  EXPECT_THAT(readText("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "abcd", array),
              HasSubstr("wanted little-endian numbers or booleans"));
  EXPECT_THAT(readText("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "abcd", array),
              HasSubstr("wanted C order"));
  EXPECT_THAT(readText("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "abcd", array),
              HasSubstr("its shape needs 8 bytes of data, found 4"));
  EXPECT_THAT(readText("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "abcd", array),
              HasSubstr("no shape in its header"));
  EXPECT_THAT(readText("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", "", array),
              HasSubstr("its shape is larger than memory"));
  EXPECT_THAT(readText("{'descr': '<f4', 'fortran_order': False, 'shape': (1", "abcd", array),
              HasSubstr("no shape in its header"));
  EXPECT_THAT(readText("", "", array), HasSubstr("found the header"));
}

TEST(Npy, cutShortAtEveryLength) {
  float values[4] = {};
  int64_t dims[] = {4};
  ASSERT_EQ("", writeNpy(file("whole"), {TENON_F32, 1, dims, values}));
  std::ifstream whole(file("whole"), std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(whole), {});
  for (size_t length = 0; length < bytes.size(); ++length) {
    NpyArray array;
    std::ofstream(file("short"), std::ios::binary) << bytes.substr(0, length);
    EXPECT_NE("", readNpy(file("short"), array)) << length;
  }
  std::remove(file("whole").c_str());
  std::remove(file("short").c_str());
}

TEST(Npy, dimsAsText) {
  std::vector<int64_t> dims;
  EXPECT_TRUE(parseDims("1x128", dims));
  EXPECT_EQ((std::vector<int64_t>{1, 128}), dims);
  EXPECT_TRUE(parseDims("7", dims));
  for (const char *text : {"", "x", "1x", "1xx2", "-1", "1,2", "1x 2"})
    EXPECT_FALSE(parseDims(text, dims)) << text;
}

} // namespace
