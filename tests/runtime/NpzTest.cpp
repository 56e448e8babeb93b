//===- NpzTest.cpp - NumPy's .npz files -----------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Archives are put together here byte by byte, so that each can be wrong in one
// place; those NumPy itself writes are read in tests/compiler/tools/run.test.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace tenon;
using testing::HasSubstr;

namespace {

std::string number(uint64_t value, unsigned width) {
  std::string text;
  for (unsigned i = 0; i < width; ++i)
    text += char(value >> 8 * i & 0xff);
  return text;
}

uint32_t crc32(const std::string &text) {
  uint32_t sum = ~0u;
  for (char c : text) {
    sum ^= uint8_t(c);
    for (int bit = 0; bit < 8; ++bit)
      sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
  }
  return ~sum;
}

/// A member and what its directory entry says of it, right unless a test changes it.
struct Member {
  std::string name, content;
  uint32_t method = 0, checksum = crc32(content);
  uint64_t stored = content.size(), bytes = content.size();
  std::string extra;
};

std::string npyOf(const std::string &data) {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + std::to_string(data.size()) + ",), }\n";
  return std::string("\x93NUMPY\x01\x00", 8) + number(header.size(), 2) + header + data;
}

std::string zip(const std::vector<Member> &members) {
  std::string body, directory;
  for (const Member &m : members) {
    std::string fields = number(m.checksum, 4) + number(m.stored, 4) + number(m.bytes, 4) + number(m.name.size(), 2);
    directory += number(0x02014b50, 4) + number(20, 2) + number(20, 2) + number(0, 2) + number(m.method, 2) +
                 number(0, 4) + fields + number(m.extra.size(), 2) + number(0, 10) + number(body.size(), 4) + m.name +
                 m.extra;
    body += number(0x04034b50, 4) + number(20, 2) + number(0, 2) + number(m.method, 2) + number(0, 4) + fields +
            number(0, 2) + m.name + m.content;
  }
  std::string count = number(members.size(), 2);
  return body + directory + number(0x06054b50, 4) + number(0, 4) + count + count + number(directory.size(), 4) +
         number(body.size(), 4) + number(0, 2);
}

std::string read(const std::string &text, NpzArrays &arrays) {
  std::string error = readNpzMemory(reinterpret_cast<const uint8_t *>(text.data()), text.size(), "z", arrays);
  return error.empty() ? "ok" : error;
}
std::string read(const std::string &text) {
  NpzArrays arrays;
  return read(text, arrays);
}

TEST(Npz, readsEveryMember) {
  NpzArrays arrays;
  ASSERT_EQ("ok", read(zip({{"a.npy", npyOf("xy")}, {"deep/b.0.npy", npyOf("")}}), arrays));
  ASSERT_EQ(2u, arrays.size());
  EXPECT_EQ("a", arrays[0].first);
  EXPECT_EQ((std::vector<uint8_t>{'x', 'y'}), arrays[0].second.bytes);
  EXPECT_EQ("deep/b.0", arrays[1].first);
  EXPECT_TRUE(arrays[1].second.bytes.empty());
  EXPECT_EQ("ok", read(zip({}), arrays));
  EXPECT_TRUE(arrays.empty());
}

TEST(Npz, sizesOf64Bits) {
  Member member{"a.npy", npyOf("xy")};
  uint64_t bytes = member.bytes;
  member.bytes = member.stored = 0xffffffff;
  EXPECT_THAT(read(zip({member})), HasSubstr("a.npy: lies outside of the file"));
  member.extra = number(1, 2) + number(16, 2) + number(bytes, 8) + number(bytes, 8);
  EXPECT_EQ("ok", read(zip({member})));
  member.extra = number(1, 2) + number(65535, 2);
  EXPECT_THAT(read(zip({member})), HasSubstr("entry 0 of its directory is damaged"));
}

TEST(Npz, whatItCannotRead) {
  std::string good = npyOf("xy");
  EXPECT_THAT(read(""), HasSubstr("found no directory of a ZIP archive"));
  EXPECT_THAT(read(good), HasSubstr("found no directory of a ZIP archive"));
  EXPECT_THAT(read(zip({{"a.txt", good}})), HasSubstr("wanted members that end in .npy, found 'a.txt'"));
  EXPECT_THAT(read(zip({{"a.npy", "text"}})), HasSubstr("z: a.npy: wanted a .npy file"));
  EXPECT_THAT(read(zip({{"a.npy", good}, {"a.npy", good}})), HasSubstr("two members are named a.npy"));
  EXPECT_THAT(read(zip({{"a.npy", good, 12}})), HasSubstr("compressed by method 12"));
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  EXPECT_THAT(read(zip({{"a.npy", good, 0, 7}})), HasSubstr("its checksum differs"));
#endif
  EXPECT_THAT(read(zip({{"a.npy", good, 0, crc32(good), good.size(), 3}})), HasSubstr("two sizes"));
}

// A member of some bytes that says it unpacks to a gigabyte costs no memory.
TEST(Npz, claimsOfAGigabyte) {
  Member member{"a.npy", "short", 8};
  member.bytes = uint64_t(1) << 30;
  std::string error = read(zip({member}));
  EXPECT_TRUE(error.find("claims 1073741824 bytes") != std::string::npos ||
              error.find("is compressed, which this build cannot read") != std::string::npos)
      << error;
}

TEST(Npz, cutShortAtEveryLengthAndEveryByteChanged) {
  std::string whole = zip({{"a.npy", npyOf("xyz")}, {"b.npy", npyOf("q")}});
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE("ok", read(whole.substr(0, length))) << length;
  for (size_t at = 0; at < whole.size(); ++at)
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[at] ^= char(1 << bit);
      (void)read(changed); // under the sanitizers: no byte outside of it is touched
    }
}

} // namespace
