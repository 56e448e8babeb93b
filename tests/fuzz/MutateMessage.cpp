//===- MutateMessage.cpp - Random changes of a protobuf message -----------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "tests/fuzz/MutateMessage.h"

#include <cstdint>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace tenon {

namespace {

enum WireType : uint64_t { varint = 0, eightBytes = 1, withLength = 2, fourBytes = 5 };
constexpr size_t mostStringBytes = 256;
constexpr unsigned mostDepth = 16;

struct Field {
  uint64_t tag = 0; ///< number * 8 + wire type
  uint64_t value = 0;
  std::string bytes;         ///< withLength, if it is no message
  std::vector<Field> fields; ///< withLength, if it is one
  bool isMessage = false;

  uint64_t type() const { return tag & 7; }
};
using Fields = std::vector<Field>;

bool readVarint(std::string_view &text, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !text.empty(); shift += 7) {
    auto byte = static_cast<unsigned char>(text[0]);
    text.remove_prefix(1);
    value |= uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

bool readFields(std::string_view text, Fields &fields, unsigned depth) {
  while (!text.empty()) {
    Field field;
    if (!readVarint(text, field.tag) || field.tag >> 3 == 0 || field.tag >> 32)
      return false;
    size_t fixed = field.type() == eightBytes ? 8 : 4;
    if (field.type() == varint) {
      if (!readVarint(text, field.value))
        return false;
    } else if (field.type() == withLength) {
      uint64_t size;
      if (!readVarint(text, size) || size > text.size())
        return false;
      std::string_view inner = text.substr(0, size);
      field.isMessage = depth < mostDepth && size > 1 && readFields(inner, field.fields, depth + 1);
      if (!field.isMessage) {
        field.fields.clear();
        field.bytes = inner;
      }
      text.remove_prefix(size);
    } else if (field.type() == eightBytes || field.type() == fourBytes) {
      if (text.size() < fixed)
        return false;
      field.bytes = text.substr(0, fixed);
      text.remove_prefix(fixed);
    } else {
      return false;
    }
    fields.push_back(std::move(field));
  }
  return true;
}

void writeVarint(uint64_t value, std::string &text) {
  for (; value >= 0x80; value >>= 7)
    text += char(value | 0x80);
  text += char(value);
}

std::string write(const Fields &fields) {
  std::string text;
  for (const Field &field : fields) {
    writeVarint(field.tag, text);
    if (field.type() == varint) {
      writeVarint(field.value, text);
      continue;
    }
    std::string inner = field.isMessage ? write(field.fields) : field.bytes;
    if (field.type() == withLength)
      writeVarint(inner.size(), text);
    text += inner;
  }
  return text;
}

class Mutation {
public:
  Mutation(Fields &root, std::mt19937 &random) : random(random) { collect(root); }

  void run() {
    Fields &fields = *messages[below(messages.size())];
    if (fields.empty())
      return;
    size_t at = below(fields.size());
    switch (below(8)) {
    case 0:
      fields.erase(fields.begin() + ptrdiff_t(at));
      return;
    case 1: {
      Field copy = fields[at];
      fields.insert(fields.begin() + ptrdiff_t(below(fields.size() + 1)), std::move(copy));
      return;
    }
    case 2:
      std::swap(fields[at], fields[below(fields.size())]);
      return;
    case 3: // any other field, a name for a name, which is how graphs break
      fields[at] = Field(anyField());
      return;
    default:
      change(fields[at]);
    }
  }

private:
  void collect(Fields &fields) {
    messages.push_back(&fields);
    for (Field &field : fields)
      if (field.isMessage)
        collect(field.fields);
  }

  size_t below(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random); }

  const Field &anyField() {
    for (;;)
      if (Fields &fields = *messages[below(messages.size())]; !fields.empty())
        return fields[below(fields.size())];
  }

  void change(Field &field) {
    const uint64_t special[] = {0, 1, 2, 7, 23, 64, 255, 65536, INT32_MAX, uint64_t(1) << 40, INT64_MAX,
                                uint64_t(1) << 63, ~uint64_t(0), field.value + 1, field.value - 1, field.value * 2};
    if (field.type() == varint) {
      field.value = special[below(std::size(special))];
      return;
    }
    if (field.isMessage) {
      field.bytes = write(field.fields);
      field.isMessage = false;
    }
    size_t size = field.bytes.size(), room = field.type() == withLength ? std::max(size + 16, mostStringBytes) : size;
    field.bytes.resize(room);
    size_t changed = LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(field.bytes.data()), size, room);
    field.bytes.resize(field.type() == withLength ? changed : size);
  }

  std::mt19937 &random;
  std::vector<Fields *> messages;
};

} // namespace

std::optional<std::string> mutateMessage(std::string_view message, std::mt19937 &random) {
  Fields fields;
  if (message.empty() || !readFields(message, fields, 0))
    return std::nullopt;
  Mutation(fields, random).run();
  return write(fields);
}

} // namespace tenon
