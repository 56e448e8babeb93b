//===- SafetensorsTest.cpp - What a hostile header cannot do --------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "frontends/huggingface/reader/Safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace tenon;
using namespace tenon::huggingface_reader;

namespace {

std::string withLength(uint64_t length, const std::string &rest) {
  std::string text(8, '\0');
  std::memcpy(text.data(), &length, 8);
  return text + rest;
}

std::string fileOf(const std::string &header, size_t dataSize) {
  return withLength(header.size(), header + std::string(dataSize, '\1'));
}

Result<Safetensors> read(const std::string &text) {
  return readSafetensors(Bytes::own({text.begin(), text.end()}), "m.safetensors");
}

std::string errorOf(const std::string &text) {
  Result<Safetensors> file = read(text);
  return file ? "no error" : file.error().message;
}

std::string errorOfHeader(const std::string &header, size_t dataSize = 0) { return errorOf(fileOf(header, dataSize)); }

const std::string twoTensors = R"({"__metadata__":{"format":"pt"},)"
                               R"("b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},)"
                               R"("a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},)"
                               R"("s":{"dtype":"F64","shape":[],"data_offsets":[10,18]},)"
                               R"("e":{"dtype":"F16","shape":[0,3],"data_offsets":[2,2]}}   )";

TEST(Safetensors, ReadsTensorsInPlace) {
  Result<Safetensors> file = read(fileOf(twoTensors, 18));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->tensors.size(), 4u);
  EXPECT_EQ(file->metadata.at("format"), "pt");
  const Tensor &b = **file->find("b");
  EXPECT_EQ(b.type, ElementType::Float32);
  EXPECT_EQ(b.shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(b.data.size(), 8u);
  EXPECT_EQ(b.offset, 8 + twoTensors.size() + 2);
  EXPECT_EQ(b.data.data(), file->bytes.data() + b.offset);
  EXPECT_TRUE((*file->find("s"))->shape.empty());
  EXPECT_EQ((*file->find("e"))->data.size(), 0u);
}

TEST(Safetensors, FindSaysWhatIsMissing) {
  Result<Safetensors> file = read(fileOf(twoTensors, 18));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->find("c").error().message, "m.safetensors: wanted tensor 'c', found none of this name");
  EXPECT_EQ(file->find("b", {3, 4}).error().message, "m.safetensors: tensor 'b': wanted shape [3, 4], found [2, 1]");
  EXPECT_TRUE(file->find("b", {2, 1}));
}

TEST(Safetensors, EmptyFileOfTensors) { EXPECT_EQ(errorOfHeader("{}"), "no error"); }

TEST(Safetensors, NotAFile) {
  EXPECT_EQ(errorOf(""), "m.safetensors: wanted a safetensors file, found an empty file");
  EXPECT_EQ(errorOf("1234567"), "m.safetensors: wanted a safetensors file, found one of less than 8 bytes");
  EXPECT_EQ(errorOf(withLength(0, "")), "m.safetensors: wanted a safetensors header that begins with '{', found an "
                                        "empty one");
  EXPECT_EQ(errorOf(withLength(3, "[1]")), "m.safetensors: wanted a safetensors header that begins with '{', found "
                                           "another byte");
  EXPECT_EQ(errorOf(withLength(50, "{}")), "m.safetensors: wanted a header of 50 bytes, found a file of 10");
  EXPECT_EQ(errorOf(withLength(UINT64_MAX, "{}")),
            "m.safetensors: wanted a safetensors header of at most 100 MB, found 18446744073709551615 bytes");
}

TEST(Safetensors, BrokenJson) {
  EXPECT_EQ(errorOfHeader("{"), "m.safetensors: wanted a header of UTF-8 JSON, found a fault at byte 10");
  EXPECT_NE(errorOfHeader("{\"\xff\":1}").find("UTF-8 JSON"), std::string::npos);
  EXPECT_NE(errorOfHeader("{} x").find("UTF-8 JSON"), std::string::npos);
  EXPECT_NE(errorOfHeader("{\"a\":" + std::string(100000, '[')).find("found a list for 'a'"), std::string::npos);
  EXPECT_NE(errorOfHeader("{\"a\":{\"shape\":" + std::string(100000, '[')).find("found a list"), std::string::npos);
}

TEST(Safetensors, HeadersOfAnotherForm) {
  auto tensor = [](const std::string &body) { return errorOfHeader("{\"t\":{" + body + "}}", 4); };
  EXPECT_EQ(tensor(R"("dtype":"F32","shape":[1])"),
            "m.safetensors: wanted dtype, shape and data_offsets for tensor 't', found one missing");
  EXPECT_EQ(tensor(R"("dtype":"F31","shape":[1],"data_offsets":[0,4])"),
            "m.safetensors: wanted a known dtype for tensor 't', found 'F31'");
  EXPECT_EQ(tensor(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"),
            "m.safetensors: wanted a safetensors header in tensor 't', found -1 for 'shape'");
  EXPECT_EQ(tensor(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"),
            "m.safetensors: wanted a safetensors header in tensor 't', found 1.5 for 'shape'");
  EXPECT_EQ(tensor(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4])"),
            "m.safetensors: wanted numbers below 2^63, found 18446744073709551615");
  EXPECT_EQ(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"),
            "m.safetensors: wanted two data_offsets, found 3");
  EXPECT_EQ(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"shape":[1])"),
            "m.safetensors: wanted key 'shape' once, found it twice");
  EXPECT_EQ(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1)"),
            "m.safetensors: wanted dtype, shape and data_offsets for tensor 't', found 'more'");
  EXPECT_EQ(errorOfHeader(R"({"t":1})"), "m.safetensors: wanted a safetensors header, found a number for 't'");
  EXPECT_EQ(errorOfHeader(R"({"__metadata__":{"a":{}}})"),
            "m.safetensors: wanted a safetensors header, found an object in the wrong place");
  EXPECT_NE(errorOfHeader(R"({"t":{},"t":{}})"), "no error");
}

TEST(Safetensors, RangesOutsideOverlappingOrWithHoles) {
  auto one = [](const std::string &shape, const std::string &range, size_t size) {
    return errorOfHeader("{\"t\":{\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + range + "}}", size);
  };
  EXPECT_EQ(one("[1]", "[0,4]", 4), "no error");
  EXPECT_EQ(one("[1]", "[0,8]", 8), "m.safetensors: tensor 't': wanted 4 bytes for [1] of F32, found 8");
  EXPECT_EQ(one("[2]", "[0,8]", 4),
            "m.safetensors: tensor 't': wanted data_offsets that rise and end by 4, found 0 to 8");
  EXPECT_EQ(one("[1]", "[4,0]", 4),
            "m.safetensors: tensor 't': wanted data_offsets that rise and end by 4, found 4 to 0");
  EXPECT_EQ(one("[1]", "[0,4]", 5), "m.safetensors: wanted 4 bytes of data, found 5");
  EXPECT_EQ(one("[1]", "[4,8]", 8), "m.safetensors: tensor 't': wanted data from offset 0, found data from 4, a hole");
  EXPECT_EQ(one("[4611686018427387904,4611686018427387904]", "[0,4]", 4),
            "m.safetensors: tensor 't': wanted a size below 2^64 bytes, found [4611686018427387904, "
            "4611686018427387904]");
  EXPECT_EQ(errorOfHeader(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                          R"("b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
                          4),
            "m.safetensors: tensor 'b': wanted data from offset 3, found data from 2, an overlap");
}

TEST(Safetensors, EveryPrefixAndEverySingleByteChanged) {
  std::string text = fileOf(twoTensors, 18);
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(read(text.substr(0, size))) << size;
  for (size_t i = 0; i < text.size(); ++i)
    for (int change : {0x01, 0x04, 0x20, 0x80, 0xff}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      Result<Safetensors> file = read(damaged);
      EXPECT_TRUE(file || !file.error().message.empty());
    }
}

} // namespace
