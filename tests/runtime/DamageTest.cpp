//===- DamageTest.cpp - Files that are not what they should be ------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Damage under its checksums must be found; damage under recomputed checksums
// must be found or do no harm (the sanitizer builds watch).
//
//===----------------------------------------------------------------------===//

#include "tenon/inspect.h"
#include "tests/runtime/TestProgram.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

using namespace tenon;
using namespace tenon::format;
using namespace tenon::test;
using testing::HasSubstr;

namespace {

/// Loads aligned bytes in place; the message.
std::string loadMessage(const uint8_t *data, size_t size) {
  tenon_model *model = nullptr;
  std::string text = message(tenon_model_load_memory(data, size, nullptr, &model));
  tenon_model_release(model);
  return text;
}

std::string loadMessage(const std::vector<uint8_t> &bytes) {
  AlignedCopy copy(bytes);
  return loadMessage(copy.data(), copy.size());
}

TEST(Damage, cutShortAtEveryLength) {
  const std::vector<uint8_t> bytes = addProgram().bytes();
  AlignedCopy copy(bytes);
  for (size_t length = 0; length < bytes.size(); ++length)
    ASSERT_NE("ok", loadMessage(copy.data(), length)) << length;
  EXPECT_EQ("ok", loadMessage(copy.data(), bytes.size()));
}

TEST(Damage, everyByteFlipped) {
  const std::vector<uint8_t> bytes = addProgram().bytes();
  AlignedCopy copy(bytes);
  for (size_t i = 0; i < bytes.size(); ++i) {
    copy.data()[i] ^= uint8_t(1u << i % 8);
    ASSERT_NE("ok", loadMessage(copy.data(), copy.size())) << i;
    copy.data()[i] = bytes[i];
  }
}

TEST(Damage, somethingAppended) {
  std::vector<uint8_t> bytes = addProgram().bytes();
  bytes.push_back(0);
  EXPECT_THAT(loadMessage(bytes), HasSubstr("damaged: its header says"));
}

TEST(Damage, checksumNamesTheBytes) {
  std::vector<uint8_t> bytes = addProgram().bytes();
  bytes[bytes.size() / 2] ^= 1;
  EXPECT_THAT(loadMessage(bytes), HasSubstr("damaged: bytes 0 to "));
}

TEST(Damage, notAnArtifact) {
  EXPECT_EQ("artifact in memory: wanted a .tenon artifact, found a file that does not start like one",
            loadMessage(std::vector<uint8_t>(1000, 'x')));
  tenon_model *model;
  EXPECT_EQ("/nowhere/m.tenon: cannot open: No such file or directory",
            message(tenon_model_load_file("/nowhere/m.tenon", nullptr, &model)));
  EXPECT_THAT(message(tenon_model_load_file("/", nullptr, &model)), HasSubstr("wanted a file, found a folder"));
  std::string empty = testing::TempDir() + "/empty.tenon";
  std::ofstream(empty).close();
  EXPECT_THAT(message(tenon_model_load_file(empty.c_str(), nullptr, &model)), HasSubstr("found an empty file"));
  std::remove(empty.c_str());
}

TEST(Damage, newerVersion) {
  std::vector<uint8_t> bytes = addProgram().bytes();
  auto *header = reinterpret_cast<Header *>(bytes.data());
  header->minor = minorVersion + 1;
  sealAgain(bytes);
  EXPECT_EQ(TENON_WRONG_VERSION, [&] {
    tenon_model *model;
    AlignedCopy copy(bytes);
    return code(tenon_model_load_memory(copy.data(), copy.size(), nullptr, &model));
  }());
  EXPECT_THAT(loadMessage(bytes), HasSubstr("artifact format 1.5, this runtime (0.1.0) reads 1.0 to 1.4; use a newer"));
  header->major = 0;
  EXPECT_THAT(loadMessage(bytes), HasSubstr("compile the model again"));
}

/// What a writer makes that stores numbers as a big-endian machine does.
TEST(Damage, otherByteOrder) {
  std::vector<uint8_t> bytes = addProgram().bytes();
  auto *header = reinterpret_cast<Header *>(bytes.data());
  header->major = __builtin_bswap16(majorVersion);
  header->minor = __builtin_bswap16(minorVersion);
  header->fileBytes = __builtin_bswap64(header->fileBytes);
  EXPECT_THAT(loadMessage(bytes), HasSubstr("wanted numbers in little-endian order, found big-endian"));
}

/// Shorter records, as an older minor version would have written them, and
/// sections nobody knows.
TEST(Damage, unknownSectionIsSkipped) {
  std::vector<uint8_t> bytes = addProgram().bytes();
  auto *sections = reinterpret_cast<SectionRecord *>(bytes.data() + sizeof(Header));
  for (unsigned i = 0; i < reinterpret_cast<Header *>(bytes.data())->sectionCount; ++i)
    if (Section(sections[i].kind) == Section::metadata)
      sections[i].kind = 63;
  sealAgain(bytes);
  EXPECT_EQ("ok", loadMessage(bytes));
}

/// Uses whatever loads: every run, inspection and query must stay in bounds.
void use(const std::vector<uint8_t> &bytes) {
  AlignedCopy copy(bytes);
  char *text = nullptr;
  tenon_status_free(tenon_inspect_memory(copy.data(), copy.size(), TENON_PLAIN, &text));
  tenon_text_free(text);
  text = nullptr;
  tenon_status_free(tenon_inspect_memory(copy.data(), copy.size(), TENON_JSON, &text));
  tenon_text_free(text);
  tenon_model *model = nullptr;
  tenon_status_free(tenon_model_load_memory(copy.data(), copy.size(), nullptr, &model));
  if (!model)
    return;
  int64_t input[16] = {7}, dims[16];
  std::vector<const int64_t *> inputs(16, input);
  for (size_t e = 0; e < tenon_model_entry_count(model); ++e) {
    const tenon_entry *entry = tenon_model_entry(model, e);
    if (tenon_entry_input_count(entry) > inputs.size())
      continue;
    for (size_t i = 0; i < tenon_entry_output_count(entry); ++i)
      tenon_status_free(tenon_entry_output_dims(entry, inputs.data(), i, dims));
  }
  tenon_model_release(model);
}

/// Where the tables end; behind is code, whose change is not for a loader to find.
size_t tablesEnd(const std::vector<uint8_t> &bytes) {
  size_t end = 0;
  auto *sections = reinterpret_cast<const SectionRecord *>(bytes.data() + sizeof(Header));
  for (unsigned i = 0; i < reinterpret_cast<const Header *>(bytes.data())->sectionCount; ++i)
    if (Section(sections[i].kind) != Section::weightData)
      end = std::max<size_t>(end, sections[i].offset + sections[i].bytes);
  return end;
}

TEST(Inconsistent, everyTableByteUnderRightChecksums) {
  const std::vector<uint8_t> bytes = addProgram().bytes();
  size_t end = tablesEnd(bytes);
  for (size_t i = 0; i < end; ++i)
    for (uint8_t value : {0x00, 0xff, 0x01, 0x7f}) {
      std::vector<uint8_t> altered = bytes;
      if (altered[i] == value)
        continue;
      altered[i] = value;
      if (i >= offsetof(Header, checksumStart) && i < sizeof(Header))
        continue; // no place to recompute the checksums for
      sealAgain(altered);
      use(altered);
    }
}

TEST(Inconsistent, manyTableWordsAtOnce) {
  const std::vector<uint8_t> bytes = addProgram().bytes();
  size_t end = tablesEnd(bytes);
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<uint8_t> altered = bytes;
    for (int change = 0; change < 3; ++change) {
      size_t place = sizeof(Header) + random() % (end - sizeof(Header) - 4) / 4 * 4;
      uint32_t values[] = {0, 1, 2, 0xffffffffu, 0x7fffffffu, 0x80000000u, uint32_t(random()), uint32_t(random() % 64)};
      std::memcpy(&altered[place], &values[random() % 8], 4);
    }
    sealAgain(altered);
    use(altered);
  }
}

/// Every byte of the image's headers and dynamic table.
TEST(Inconsistent, everyCodeHeaderByteUnderRightChecksums) {
  const std::vector<uint8_t> bytes = addProgram().bytes();
  size_t start = (tablesEnd(bytes) + pageBytes - 1) / pageBytes * pageBytes;
  for (size_t i = start; i < start + 0x300; ++i)
    for (uint8_t value : {0x00, 0xff, 0x01}) {
      std::vector<uint8_t> altered = bytes;
      altered[i] = value;
      sealAgain(altered);
      use(altered);
    }
}

//===- One inconsistency per message --------------------------------------===//

/// The message for a program that is wrong from the start.
template <typename Change> std::string messageFor(Change change) {
  TestProgram program = addProgram();
  change(program, program.entries[0]);
  return loadMessage(program.bytes());
}

TEST(Inconsistent, symbolNoInputGives) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &entry) {
                entry.outputs[0].dims = {program.symbolDim(program.addSymbol({"M"}))};
              }),
              HasSubstr("inconsistent: entry main, tensor 1: needs M, which no input's shape gives"));
}

TEST(Inconsistent, boundsWithoutAValue) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &) { program.symbols[0].max = 0; }),
              HasSubstr("symbol N: no value is in 1..0"));
}

TEST(Inconsistent, writesToAWeight) {
  EXPECT_THAT(messageFor([](TestProgram &, EntryDesc &entry) { entry.commands[0].operands[2] = {Space::weight, 0}; }),
              HasSubstr("command 0: writes to an input or a weight"));
}

TEST(Inconsistent, bufferOutsideItsLife) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &entry) {
                entry.commands.push_back(entry.commands[0]);
                entry.buffers = {{program.constant(256), 1, 1}};
                entry.commands[0].operands[0] = {Space::arena, 0};
              }),
              HasSubstr("command 0: uses buffer 0, which lives in commands 1 to 1"));
}

TEST(Inconsistent, kernelOperandsMiscounted) {
  EXPECT_THAT(messageFor([](TestProgram &, EntryDesc &entry) { entry.commands[0].operands.pop_back(); }),
              HasSubstr("command 0: 2 operands and 1 dims, kernel addKernel takes 3 and 1"));
}

TEST(Inconsistent, gridOverSymbols) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &) {
                program.levels = {program.level("any", {}, 0)};
                program.levels[0].kernels[0].grid = program.symbolDim(0);
              }),
              HasSubstr("level any, kernel addKernel: grid may name d0 up to 1 dims only"));
}

TEST(Inconsistent, kernelOutsideTheCode) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &) {
                program.levels = {program.level("any", {}, 0)};
                program.levels[0].kernels[0].address = 64;
              }),
              HasSubstr("level any, kernel addKernel: address 64 is not code"));
}

/// What loading says of an artifact whose one level is a GPU's, with `ptx` and blocks of `threads`.
static std::string deviceMessage(const std::string &ptx, uint32_t threads) {
  return messageFor([&](TestProgram &program, EntryDesc &) {
    LevelCode level = program.level("gpu", {"sm_999"}, 0, hostImage(), machineCuda);
    level.image.assign(ptx.begin(), ptx.end());
    level.kernels[0].blockThreads = threads;
    program.levels = {level};
  });
}

TEST(Inconsistent, deviceCode) {
  const std::string whole("ptx\0", 4);
  const char *refused = "level gpu: its code is refused: wanted PTX with a NUL at its end";
  EXPECT_THAT(deviceMessage("ptx", 1), HasSubstr(refused));
  EXPECT_THAT(deviceMessage(std::string("p\0x\0", 4), 1), HasSubstr(refused));
  EXPECT_THAT(deviceMessage("", 1), HasSubstr(refused));
  EXPECT_THAT(deviceMessage(whole, 0), HasSubstr("level gpu, kernel addKernel: blocks of 0 threads, wanted 1 to 1024"));
  EXPECT_THAT(deviceMessage(whole, 1025), HasSubstr("blocks of 1025 threads"));
  EXPECT_THAT(deviceMessage(whole, 128), HasSubstr("the artifact has: gpu (lacks an NVIDIA "));
}

TEST(Inconsistent, bodyBehindTheEnd) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &entry) {
                CommandDesc loop;
                loop.kind = CommandKind::loop;
                loop.expression = program.constant(2);
                loop.body = 2;
                entry.commands.insert(entry.commands.begin(), loop);
              }),
              HasSubstr("its bodies reach behind what holds it"));
}

TEST(Inconsistent, counterOutsideItsLoop) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &entry) {
                entry.commands[0].dims = {program.symbolDim(program.addSymbol({"i", 0, 9, 1, true}))};
              }),
              HasSubstr("command 0: needs i, which no input's shape gives"));
}

TEST(Inconsistent, nestedTooDeeply) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &entry) {
                for (uint32_t depth = 0; depth < 40; ++depth) {
                  CommandDesc loop;
                  loop.kind = CommandKind::loop;
                  loop.expression = program.constant(1);
                  loop.body = depth + 1;
                  entry.commands.insert(entry.commands.begin(), loop);
                }
              }),
              HasSubstr("nests deeper than 16"));
}

TEST(Inconsistent, weightShapeAndBytes) {
  EXPECT_THAT(messageFor([](TestProgram &program, EntryDesc &) { program.weights[0].shape = {63}; }),
              HasSubstr("weight w: has 256 bytes, its shape needs 252"));
}

TEST(Inconsistent, twoInputsOfOneName) {
  EXPECT_THAT(messageFor([](TestProgram &, EntryDesc &entry) { entry.inputs.push_back(entry.inputs[0]); }),
              HasSubstr("entry main, two inputs are called x"));
}

TEST(Inconsistent, unboundedState) {
  TestProgram program = addProgram();
  uint32_t open = program.addSymbol({"M"});
  program.states = {{{"cache", DataType::f32, {program.symbolDim(open)}}}};
  Model model = load(program.bytes());
  tenon_session *session;
  EXPECT_EQ("state 'cache': its dimension 0, M, is not bounded",
            message(tenon_session_create(model.get(), nullptr, &session)));
}

//===- Code that is not taken ---------------------------------------------===//

struct RefusedCode {
  const char *image;
  const char *reason;
};
class Refused : public testing::TestWithParam<RefusedCode> {};

TEST_P(Refused, saysWhy) {
  TestProgram program = addProgram();
  program.levels = {program.level("any", {}, 0)};
  program.levels[0].image = readImage(std::string(TENON_TEST_IMAGES "/") + GetParam().image + ".elf").bytes;
  EXPECT_THAT(loadMessage(program.bytes()),
              HasSubstr(std::string("level any: its code is refused: ") + GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(Code, Refused,
                         testing::Values(RefusedCode{"IMPORTS", ""}, RefusedCode{"IMPORTS_SYSV", ""},
                                         RefusedCode{"WRITABLE", "a writable segment"}, RefusedCode{"RELOCATED", ""},
                                         RefusedCode{"CONSTRUCTOR", ""}, RefusedCode{"THREAD_LOCAL", ""},
#if defined(__x86_64__)
                                         RefusedCode{"kernels-aarch64", "for machine 183, its level says 62"}
#else
                    RefusedCode{"kernels-x86_64", "for machine 62, its level says 183"}
#endif
                                         ),
                         [](const auto &info) {
                           std::string name = info.param.image;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Refused, notAnImage) {
  TestProgram program = addProgram();
  program.levels = {program.level("any", {}, 0)};
  program.levels[0].image = {1, 2, 3};
  EXPECT_THAT(loadMessage(program.bytes()), HasSubstr("too short for an ELF header"));
}

} // namespace
