//===- MutateMessage.cpp - Random changes of a protobuf message -----------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "tests/fuzz/MutateMessage.h"

#include <cstdint>
#include <string>
#include <vector>

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace tenon {

namespace {

constexpr size_t mostStringBytes = 256;

void collect(Message &message, std::vector<Message *> &all) {
  all.push_back(&message);
  const Reflection *reflection = message.GetReflection();
  std::vector<const FieldDescriptor *> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor *field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
      continue;
    if (!field->is_repeated())
      collect(*reflection->MutableMessage(&message, field), all);
    for (int i = 0; field->is_repeated() && i < reflection->FieldSize(message, field); ++i)
      collect(*reflection->MutableRepeatedMessage(&message, field, i), all);
  }
}

class Mutation {
public:
  Mutation(Message &root, std::mt19937 &random) : random(random) { collect(root, all); }

  void run() {
    Message &message = *all[below(all.size())];
    const FieldDescriptor *field = message.GetDescriptor()->field(int(below(size_t(message.GetDescriptor()->field_count()))));
    field->is_repeated() ? mutateList(message, field) : mutateOne(message, field);
  }

private:
  size_t below(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random); }

  int64_t number(int64_t old) {
    const int64_t special[] = {0, 1, -1, 2, 4, 63, 64, 127, 255, 65536, INT32_MAX, INT32_MIN, int64_t(1) << 40,
                               INT64_MAX, INT64_MIN, old + 1, old - 1, old * 2};
    return special[below(std::size(special))];
  }

  std::string text(std::string old) {
    switch (below(4)) {
    case 0: // the name of something else, which is how graphs break
      if (std::string *other = anyString())
        return *other;
      return old;
    case 1:
      return "";
    default:
      size_t size = old.size();
      old.resize(std::max(size + 16, mostStringBytes));
      old.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(old.data()), size, old.size()));
      return old;
    }
  }

  std::string *anyString() {
    for (int attempt = 0; attempt < 8; ++attempt) {
      Message &message = *all[below(all.size())];
      const Reflection *reflection = message.GetReflection();
      std::vector<const FieldDescriptor *> fields;
      reflection->ListFields(message, &fields);
      if (fields.empty())
        continue;
      const FieldDescriptor *field = fields[below(fields.size())];
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING)
        continue;
      found = field->is_repeated()
                  ? reflection->GetRepeatedString(message, field, int(below(size_t(reflection->FieldSize(message, field)))))
                  : reflection->GetString(message, field);
      return &found;
    }
    return nullptr;
  }

  /// Another message of this type in the whole, or none.
  const Message *another(const Message &like) {
    for (int attempt = 0; attempt < 16; ++attempt)
      if (Message *other = all[below(all.size())]; other->GetDescriptor() == like.GetDescriptor() && other != &like)
        return other;
    return nullptr;
  }

  void mutateOne(Message &message, const FieldDescriptor *field) {
    const Reflection *reflection = message.GetReflection();
    if (below(6) == 0)
      return reflection->ClearField(&message, field);
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(&message, field, int32_t(number(reflection->GetInt32(message, field))));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(&message, field, number(reflection->GetInt64(message, field)));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(&message, field, uint64_t(number(0)));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection->SetFloat(&message, field, float(number(1)));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(&message, field, double(number(1)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(&message, field, below(2));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(&message, field, int(below(32)));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(&message, field, text(reflection->GetString(message, field)));
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Message *inner = reflection->MutableMessage(&message, field);
      if (const Message *other = another(*inner)) {
        std::string copy = other->SerializePartialAsString(); // `other` may hold `inner`
        (void)inner->ParsePartialFromString(copy);
      }
      return;
    }
    default:
      return;
    }
  }

  void mutateList(Message &message, const FieldDescriptor *field) {
    const Reflection *reflection = message.GetReflection();
    int size = reflection->FieldSize(message, field);
    if (size > 0 && below(3) == 0) {
      reflection->SwapElements(&message, field, int(below(size_t(size))), size - 1);
      return reflection->RemoveLast(&message, field);
    }
    if (size > 1 && below(4) == 0)
      return reflection->SwapElements(&message, field, int(below(size_t(size))), int(below(size_t(size))));
    addElement(message, field);
  }

  void addElement(Message &message, const FieldDescriptor *field) {
    const Reflection *reflection = message.GetReflection();
    switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->AddInt32(&message, field, int32_t(number(3)));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->AddInt64(&message, field, number(3));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->AddUInt64(&message, field, uint64_t(number(3)));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection->AddFloat(&message, field, float(number(3)));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->AddDouble(&message, field, double(number(3)));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->AddString(&message, field, text(""));
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Message *inner = reflection->AddMessage(&message, field);
      if (const Message *other = another(*inner)) {
        std::string copy = other->SerializePartialAsString();
        (void)inner->ParsePartialFromString(copy);
      }
      return;
    }
    default:
      return;
    }
  }

  std::mt19937 &random;
  std::vector<Message *> all;
  std::string found;
};

} // namespace

void mutateMessage(Message &message, std::mt19937 &random) { Mutation(message, random).run(); }

} // namespace tenon
