//===- TestProgram.cpp - Small programs and handles for the tests ---------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/TestProgram.h"
#include "runtime/src/cpu.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <elf.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

namespace tenon::test {

using namespace format;

Image readImage(const std::string &path) {
  Image image;
  std::ifstream file(path, std::ios::binary);
  image.bytes.assign(std::istreambuf_iterator<char>(file), {});
  EXPECT_FALSE(image.bytes.empty()) << path;
  const uint8_t *base = image.bytes.data();
  auto *header = reinterpret_cast<const Elf64_Ehdr *>(base);
  auto *sections = reinterpret_cast<const Elf64_Shdr *>(base + header->e_shoff);
  for (unsigned i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB)
      continue;
    auto *symbols = reinterpret_cast<const Elf64_Sym *>(base + sections[i].sh_offset);
    auto *names = reinterpret_cast<const char *>(base + sections[sections[i].sh_link].sh_offset);
    for (size_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); ++s)
      if (ELF64_ST_TYPE(symbols[s].st_info) == STT_FUNC)
        image.functions[names + symbols[s].st_name] = symbols[s].st_value;
  }
  return image;
}

const Image &hostImage() {
  static const Image image = readImage(TENON_TEST_IMAGES "/kernels.elf");
  return image;
}

//===- Programs -----------------------------------------------------------===//

uint32_t TestProgram::kernel(const std::string &name, uint32_t operands, uint32_t results, uint32_t dims, DimExpr grid,
                             DimExpr scratch) {
  kernels.push_back({name, operands, results, dims});
  grids.push_back(addDim(grid));
  scratches.push_back(addDim(scratch));
  return uint32_t(kernels.size() - 1);
}

uint32_t TestProgram::weight(const std::string &name, std::vector<float> values) {
  WeightDesc desc;
  desc.name = name;
  desc.shape = {int64_t(values.size())};
  desc.bytes = values.size() * sizeof(float);
  desc.fill = [values](std::span<uint8_t> bytes) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return std::string();
  };
  weights.push_back(desc);
  return uint32_t(weights.size() - 1);
}

LevelCode TestProgram::level(const std::string &name, std::vector<std::string> features, uint32_t rank,
                             const Image &image, uint32_t machine) {
  LevelCode code;
  code.name = name;
  code.features = std::move(features);
  code.machine = machine ? machine : hostMachine();
  code.rank = rank;
  code.image = image.bytes;
  for (size_t i = 0; i < kernels.size(); ++i)
    code.kernels.push_back({image.functions.at(kernels[i].name), grids[i], scratches[i]});
  return code;
}

/// An entry as the compiler writes its head; tests' driver knows what it does by its name.
static std::string ptxEntry(const KernelDesc &kernel, uint32_t blockThreads) {
  std::string parameter = std::to_string(8 * (kernel.operandCount + kernel.dimCount) + 32);
  std::string entry = ".visible .entry " + kernel.name + "(\n\t.param .align 8 .b8 " + kernel.name + "_param_0[" +
                      parameter + "]\n)\n";
  if (blockThreads > 1)
    entry += ".reqntid " + std::to_string(blockThreads) + "\n";
  return entry + "{\n\tret;\n}\n";
}

LevelCode TestProgram::gpuLevel(const std::string &name, std::vector<std::string> features, uint32_t rank,
                                uint32_t blockThreads) {
  LevelCode code;
  code.name = name;
  code.features = std::move(features);
  code.machine = EM_CUDA;
  code.rank = rank;
  std::string ptx = ".version 7.0\n.target sm_80\n.address_size 64\n";
  for (size_t i = 0; i < kernels.size(); ++i) {
    ptx += ptxEntry(kernels[i], blockThreads);
    code.kernels.push_back({0, grids[i], scratches[i], blockThreads, 0});
  }
  code.image.assign(ptx.c_str(), ptx.c_str() + ptx.size() + 1);
  return code;
}

bool TestProgram::onGpu = false;

ArtifactBuilder TestProgram::builder() const {
  std::vector<LevelCode> written = levels;
  if (written.empty())
    written.push_back(onGpu ? const_cast<TestProgram *>(this)->gpuLevel("any", {"sm_80"}, 0)
                            : const_cast<TestProgram *>(this)->level("any", {}, 0));
  return ArtifactBuilder(*this, written, weights);
}

std::vector<uint8_t> TestProgram::bytes() const {
  ArtifactBytes memory;
  auto failed = builder().writeMemory(memory, 2);
  EXPECT_FALSE(failed) << *failed;
  return {memory.data(), memory.data() + memory.size()};
}

DimExpr tilesOfD0() { return DimExpr::kernelDim(0).ceilDiv(16); }

CommandDesc dispatch(uint32_t kernel, std::vector<OperandDesc> operands, std::vector<uint32_t> dims,
                     std::string source) {
  CommandDesc command;
  command.kernel = kernel;
  command.operands = std::move(operands);
  command.dims = std::move(dims);
  command.source = std::move(source);
  return command;
}

TestProgram addProgram() {
  TestProgram program;
  uint32_t n = program.addSymbol({"N", 1, 64});
  uint32_t size = program.symbolDim(n);
  std::vector<float> values;
  for (int i = 0; i < 64; ++i)
    values.push_back(float(i));
  uint32_t w = program.weight("w", values);
  uint32_t add = program.kernel("addKernel", 3, 1, 1, tilesOfD0());
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"x", DataType::f32, {size}}};
  entry.outputs = {{"y", DataType::f32, {size}}};
  entry.commands = {dispatch(add, {{Space::input, 0}, {Space::weight, w}, {Space::output, 0}}, {size}, "Add /add")};
  program.entries = {entry};
  program.metadata = {{"compiler", "hand"}};
  return program;
}

TestProgram chainProgram() {
  TestProgram program = addProgram();
  uint32_t size = program.symbolDim(0);
  uint32_t bytes = program.addDim(DimExpr::symbol(0) * DimExpr::constant(4));
  uint32_t doubling = program.kernel("doubleKernel", 2, 1, 1, tilesOfD0(), DimExpr::constant(64));
  EntryDesc &entry = program.entries[0];
  entry.buffers = {{bytes, 0, 1}};
  entry.commands[0].operands[2] = {Space::arena, 0};
  entry.commands.push_back(dispatch(doubling, {{Space::arena, 0}, {Space::output, 0}}, {size}, "Mul /mul"));
  return program;
}

TestProgram whileProgram() {
  TestProgram program;
  uint32_t one = program.constant(1);
  uint32_t decrement = program.kernel("decrementKernel", 2, 1, 0, DimExpr::constant(1));
  uint32_t count = program.kernel("countKernel", 2, 2, 2, tilesOfD0());
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"n", DataType::u8, {}}};
  entry.outputs = {{"sum", DataType::f32, {}}};
  entry.buffers = {{one, 0, 3}};
  program.states = {{{"total", DataType::f32, {one}}}};
  entry.states = {0};
  CommandDesc start, loop;
  start.kind = CommandKind::copy;
  start.expression = one;
  start.operands = {{Space::input, 0}, {Space::arena, 0}};
  loop.kind = CommandKind::loop;
  loop.expression = program.constant(1000);
  loop.operands = {{Space::arena, 0}};
  loop.body = 2;
  entry.commands = {start, loop, dispatch(decrement, {{Space::arena, 0}, {Space::arena, 0}}, {}, "Sub /loop/sub"),
                    dispatch(count, {{Space::state, 0}, {Space::output, 0}}, {one, one}, "Add /loop/add")};
  program.entries = {entry};
  return program;
}

TestProgram counterProgram() {
  TestProgram program;
  uint32_t four = program.constant(4), one = program.constant(1), ten = program.constant(10);
  uint32_t start = program.weight("start", {100, 200, 300, 400});
  uint32_t count = program.kernel("countKernel", 2, 2, 2, tilesOfD0());
  program.states = {{{"counter", DataType::f32, {four}}, start}};
  for (auto [name, step] : {std::pair("step", one), std::pair("leap", ten)}) {
    EntryDesc entry;
    entry.name = name;
    entry.outputs = {{"now", DataType::f32, {four}}};
    entry.states = {0};
    entry.commands = {dispatch(count, {{Space::state, 0}, {Space::output, 0}}, {four, step}, "Add /count")};
    program.entries.push_back(entry);
  }
  return program;
}

//===- Handles ------------------------------------------------------------===//

std::string message(tenon_status *status) {
  std::string text = tenon_status_message(status);
  tenon_status_free(status);
  return text;
}

tenon_code code(tenon_status *status) {
  tenon_code result = tenon_status_code(status);
  tenon_status_free(status);
  return result;
}

Model load(const std::vector<uint8_t> &bytes, const tenon_model_options *options) {
  tenon_model *model = nullptr;
  // The bytes are not aligned, so the model keeps a copy.
  std::vector<uint8_t> moved(bytes.size() + 65);
  size_t shift = 1 + (64 - reinterpret_cast<uintptr_t>(moved.data()) % 64) % 64;
  std::copy(bytes.begin(), bytes.end(), moved.begin() + shift);
  EXPECT_EQ("ok", message(tenon_model_load_memory(moved.data() + shift, bytes.size(), options, &model)));
  return Model(model);
}

Session makeSession(const Model &model, uint32_t threads) {
  tenon_session_options options{};
  options.struct_bytes = sizeof(options);
  options.threads = threads;
  tenon_session *session = nullptr;
  EXPECT_EQ("ok", message(tenon_session_create(model.get(), &options, &session)));
  return Session(session);
}

const tenon_entry *entryOf(const Model &model, const char *name) {
  const tenon_entry *entry = tenon_model_find_entry(model.get(), name);
  EXPECT_NE(entry, nullptr) << name;
  return entry;
}

std::string bindFloats(const Session &session, const tenon_entry *entry, size_t index, std::vector<int64_t> dims,
                       const float *data) {
  tenon_tensor tensor = {TENON_F32, uint32_t(dims.size()), dims.data(), const_cast<float *>(data)};
  return message(tenon_session_bind_input(session.get(), entry, index, &tensor));
}

std::string run(const Session &session, const tenon_entry *entry) {
  return message(tenon_session_run(session.get(), entry));
}

std::vector<float> output(const Session &session, const tenon_entry *entry, size_t index) {
  tenon_tensor tensor{};
  EXPECT_EQ("ok", message(tenon_session_get_output(session.get(), entry, index, &tensor)));
  size_t count = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i)
    count *= size_t(tensor.dims[i]);
  const float *data = static_cast<const float *>(tensor.data);
  return {data, data + count};
}

void sealAgain(std::vector<uint8_t> &bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  std::vector<uint64_t> hashes;
  for (uint64_t start = 0; start < header.checksumStart; start += chunkBytes)
    hashes.push_back(XXH3_64bits(bytes.data() + start, std::min(chunkBytes, header.checksumStart - start)));
  hashes.push_back(XXH3_64bits(hashes.data(), hashes.size() * sizeof(uint64_t)));
  std::memcpy(bytes.data() + header.checksumStart, hashes.data(), hashes.size() * sizeof(uint64_t));
}

} // namespace tenon::test
