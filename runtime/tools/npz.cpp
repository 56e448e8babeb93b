//===- npz.cpp - NumPy's .npz files ---------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// The central directory at the end of the archive is what counts; of a
// member's own header only its length is used. Every offset and size is checked
// against the file before it is used, and a member may not claim to grow by
// more than deflate can.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/npz.h"
#include "runtime/tools/mapped_file.h"

#include <algorithm>
#include <cstring>

#ifdef TENON_HAVE_ZLIB
#include <zlib.h>
#endif

namespace tenon {

namespace {

/// Little-endian numbers of a range of bytes; outside of it is an error that sticks.
class Cursor {
public:
  Cursor(const uint8_t *data, uint64_t bytes, uint64_t at) : data(data), bytes(bytes), at(at) {}

  uint64_t number(unsigned width) {
    if (!take(width))
      return 0;
    uint64_t value = 0;
    for (unsigned i = 0; i < width; ++i)
      value |= uint64_t(data[at - width + i]) << 8 * i;
    return value;
  }
  std::string text(uint64_t length) {
    return take(length) ? std::string(reinterpret_cast<const char *>(data) + at - length, size_t(length)) : "";
  }
  void skip(uint64_t length) { take(length); }
  bool isGood() const { return good; }
  uint64_t position() const { return at; }

private:
  bool take(uint64_t length) {
    good = good && at <= bytes && length <= bytes - at;
    at += good ? length : 0;
    return good;
  }
  const uint8_t *data;
  uint64_t bytes, at;
  bool good = true;
};

struct Member {
  std::string name;
  uint32_t method = 0, checksum = 0;
  uint64_t stored = 0, bytes = 0; ///< in the archive; unpacked
  uint64_t offset = 0;            ///< of its own header
};

enum Signature : uint32_t { endOfDirectory = 0x06054b50, directoryEntry = 0x02014b50, localHeader = 0x04034b50 };
enum Method : uint32_t { storedPlain = 0, deflated = 8 };
constexpr uint64_t endBytes = 22;

class Archive {
public:
  Archive(const uint8_t *data, uint64_t bytes, const std::string &place) : data(data), bytes(bytes), place(place) {}
  std::string read(NpzArrays &arrays) const;

private:
  bool findEnd(uint64_t &at) const;
  bool readEntry(Cursor &cursor, Member &member) const;
  std::string readMember(const Member &member, NpyArray &array) const;
  std::string unpack(const Member &member, const uint8_t *from, std::vector<uint8_t> &to) const;

  const uint8_t *data;
  uint64_t bytes;
  const std::string &place;
};

[[maybe_unused]] uint32_t checksumOf(const uint8_t *data, size_t bytes) {
  static const auto table = [] {
    std::vector<uint32_t> made(256);
    for (uint32_t i = 0; i < 256; ++i) {
      made[i] = i;
      for (int bit = 0; bit < 8; ++bit)
        made[i] = made[i] >> 1 ^ (made[i] & 1 ? 0xedb88320u : 0);
    }
    return made;
  }();
  uint32_t sum = ~uint32_t(0);
  for (size_t i = 0; i < bytes; ++i)
    sum = table[(sum ^ data[i]) & 0xff] ^ sum >> 8;
  return ~sum;
}

/// The record is the last of the file but for a comment of up to 64 KiB.
bool Archive::findEnd(uint64_t &at) const {
  if (bytes < endBytes)
    return false;
  uint64_t last = bytes - endBytes, first = last > 0xffff ? last - 0xffff : 0;
  for (at = last;; --at) {
    Cursor cursor(data, bytes, at);
    if (cursor.number(4) == endOfDirectory)
      return true;
    if (at == first)
      return false;
  }
}

/// One entry of the directory. Sizes that do not fit 32 bits stand in an extra field.
bool Archive::readEntry(Cursor &cursor, Member &member) const {
  if (cursor.number(4) != directoryEntry)
    return false;
  cursor.skip(6);
  member.method = uint32_t(cursor.number(2));
  cursor.skip(4);
  member.checksum = uint32_t(cursor.number(4));
  member.stored = cursor.number(4);
  member.bytes = cursor.number(4);
  uint64_t nameBytes = cursor.number(2), extraBytes = cursor.number(2), commentBytes = cursor.number(2);
  cursor.skip(8);
  member.offset = cursor.number(4);
  member.name = cursor.text(nameBytes);
  uint64_t extraEnd = cursor.position() + extraBytes;
  constexpr uint64_t elsewhere = 0xffffffff, zip64 = 1;
  while (cursor.isGood() && cursor.position() + 4 <= extraEnd) {
    uint64_t kind = cursor.number(2), next = cursor.number(2);
    next += cursor.position();
    if (kind == zip64)
      for (uint64_t *value : {&member.bytes, &member.stored, &member.offset})
        if (*value == elsewhere)
          *value = cursor.number(8);
    if (next < cursor.position())
      return false;
    cursor.skip(next - cursor.position());
  }
  if (!cursor.isGood() || cursor.position() > extraEnd)
    return false;
  cursor.skip(extraEnd - cursor.position());
  cursor.skip(commentBytes);
  return cursor.isGood();
}

std::string Archive::unpack(const Member &member, const uint8_t *from, std::vector<uint8_t> &to) const {
  std::string what = place + ": " + member.name;
#ifdef TENON_HAVE_ZLIB
  constexpr uint64_t mostGrowth = 1032; // of deflate
  if (member.bytes > member.stored * mostGrowth + 64 || member.stored > UINT32_MAX || member.bytes > UINT32_MAX)
    return what + ": claims " + std::to_string(member.bytes) + " bytes, more than its " +
           std::to_string(member.stored) + " can hold";
  to.resize(size_t(member.bytes) + 1); // a byte more shows when there is more
  z_stream stream{};
  stream.next_in = const_cast<uint8_t *>(from);
  stream.avail_in = uInt(member.stored);
  stream.next_out = to.data();
  stream.avail_out = uInt(std::min<uint64_t>(to.size(), UINT32_MAX));
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return what + ": no memory to unpack it";
  int done = inflate(&stream, Z_FINISH);
  uint64_t made = stream.total_out;
  inflateEnd(&stream);
  if (done != Z_STREAM_END || made != member.bytes)
    return what + ": damaged: its compressed data do not give " + std::to_string(member.bytes) + " bytes";
  to.resize(size_t(member.bytes));
  return "";
#else
  (void)from;
  (void)to;
  return what + " is compressed, which this build cannot read; write it with numpy.savez";
#endif
}

std::string Archive::readMember(const Member &member, NpyArray &array) const {
  std::string what = place + ": " + member.name;
  Cursor cursor(data, bytes, member.offset);
  bool isHeader = cursor.number(4) == localHeader;
  cursor.skip(22);
  uint64_t nameBytes = cursor.number(2), extraBytes = cursor.number(2);
  cursor.skip(nameBytes + extraBytes);
  uint64_t begin = cursor.position();
  cursor.skip(member.stored);
  if (!isHeader || !cursor.isGood())
    return what + ": lies outside of the file";
  const uint8_t *content = data + begin;
  std::vector<uint8_t> unpacked;
  if (member.method == deflated) {
    if (std::string error = unpack(member, content, unpacked); !error.empty())
      return error;
    content = unpacked.data();
  } else if (member.method != storedPlain) {
    return what + ": compressed by method " + std::to_string(member.method) + ", wanted none or deflate";
  } else if (member.stored != member.bytes) {
    return what + ": two sizes, " + std::to_string(member.stored) + " and " + std::to_string(member.bytes);
  }
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  if (checksumOf(content, size_t(member.bytes)) != member.checksum)
    return what + ": damaged: its checksum differs";
#endif
  return readNpyMemory(content, size_t(member.bytes), what, array);
}

std::string Archive::read(NpzArrays &arrays) const {
  uint64_t end = 0;
  if (!findEnd(end))
    return place + ": wanted a .npz file, found no directory of a ZIP archive";
  Cursor tail(data, bytes, end + 10);
  uint64_t count = tail.number(2);
  tail.skip(4);
  Cursor cursor(data, bytes, tail.number(4));
  for (uint64_t i = 0; i < count; ++i) {
    Member member;
    if (!readEntry(cursor, member))
      return place + ": entry " + std::to_string(i) + " of its directory is damaged";
    constexpr char ending[] = ".npy";
    constexpr size_t endingBytes = sizeof(ending) - 1;
    if (member.name.size() <= endingBytes || member.name.compare(member.name.size() - endingBytes, endingBytes, ending))
      return place + ": wanted members that end in .npy, found '" + member.name + "'";
    std::string name = member.name.substr(0, member.name.size() - endingBytes);
    for (const auto &[other, array] : arrays)
      if (other == name)
        return place + ": two members are named " + member.name;
    arrays.emplace_back(name, NpyArray());
    if (std::string error = readMember(member, arrays.back().second); !error.empty())
      return error;
  }
  return "";
}

} // namespace

std::string readNpzMemory(const uint8_t *data, size_t bytes, const std::string &place, NpzArrays &arrays) {
  arrays.clear();
  return Archive(data, bytes, place).read(arrays);
}

std::string readNpz(const std::string &path, NpzArrays &arrays) {
  MappedFile file;
  std::string error = file.open(path);
  return error.empty() ? readNpzMemory(file.data(), file.size(), path, arrays) : error;
}

} // namespace tenon
