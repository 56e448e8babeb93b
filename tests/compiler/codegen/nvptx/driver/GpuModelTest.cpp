//===- GpuModelTest.cpp - Models through the runtime's path to GPUs -------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// One artifact with code for a CPU and for a GPU. Its GPU level goes the whole
// way: PTX through the driver, weights, launches, graphs; only that the driver is
// the tests' own and a launch is run by the emulator, from the parameter that
// the runtime made. What comes out must be what the CPU's level gives.
//
//===----------------------------------------------------------------------===//

#include "compiler/codegen/nvptx/emulator/Emulator.h"
#include "compiler/driver/Compiler.h"
#include "compiler/levels/Level.h"
#include "runtime/src/cuda/driver.h"
#include "tests/runtime/cuda/FakeDriver.h"
#include "llvm/Support/Error.h"

#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <numeric>

using namespace tenon;
using namespace tenon::test;

namespace {

const std::string root = TENON_SOURCE;

template <typename Value> Value take(llvm::Expected<Value> value) {
  if (!value) {
    std::fprintf(stderr, "%s\n", llvm::toString(value.takeError()).c_str());
    std::abort();
  }
  return std::move(*value);
}

std::string message(tenon_status *status) {
  std::string text = tenon_status_message(status);
  tenon_status_free(status);
  return text;
}

/// Runs a launch on the emulator. Which words of the parameter are addresses shows by what they point to.
std::string emulate(emulator::Emulator &emulator, const FakeLaunch &launch) {
  emulator::Launch emulated;
  emulated.blocks = launch.blocks;
  emulated.threads = launch.threads;
  emulated.sharedBytes = launch.sharedBytes;
  std::vector<uint64_t> parameter = launch.parameter;
  for (uint64_t &word : parameter) {
    auto [data, bytes] = fakeMemory(word);
    if (!data)
      continue;
    word = emulator::deviceAddress(unsigned(emulated.memory.size()), data);
    emulated.memory.push_back({"word " + std::to_string(&word - parameter.data()), data, bytes, true});
  }
  emulated.parameter = parameter.data();
  emulated.parameterBytes = 8 * parameter.size();
  if (llvm::Error error = emulator.run(launch.kernel, emulated))
    return llvm::toString(std::move(error));
  return "";
}

/// A model, its session on a CPU's level or on the GPU.
class Instance {
public:
  Instance(const ArtifactBytes &artifact, const char *level) {
    tenon_model_options options{};
    options.struct_bytes = sizeof(options);
    options.level = level;
    EXPECT_EQ("ok", message(tenon_model_load_memory(artifact.data(), artifact.size(), &options, &model)));
    EXPECT_EQ("ok", message(tenon_session_create(model, nullptr, &session)));
  }
  ~Instance() {
    tenon_session_release(session);
    tenon_model_release(model);
  }

  const char *level() const { return tenon_model_level(model); }

  template <typename Value>
  void bind(const char *name, const char *input, std::vector<int64_t> dims, std::vector<Value> &data,
            tenon_dtype type) {
    size_t index;
    const tenon_entry *entry = tenon_model_find_entry(model, name);
    tenon_tensor tensor = {type, uint32_t(dims.size()), dims.data(), data.data()};
    ASSERT_EQ("ok", message(tenon_entry_find_input(entry, input, &index)));
    ASSERT_EQ("ok", message(tenon_session_bind_input(session, entry, index, &tensor)));
  }

  std::string tryRun(const char *name) {
    return message(tenon_session_run(session, tenon_model_find_entry(model, name)));
  }

  /// All outputs' floats, one behind the other.
  std::vector<float> run(const char *name) {
    const tenon_entry *entry = tenon_model_find_entry(model, name);
    EXPECT_EQ("ok", tryRun(name));
    std::vector<float> all;
    for (size_t i = 0; i < tenon_entry_output_count(entry); ++i) {
      tenon_tensor tensor{};
      EXPECT_EQ("ok", message(tenon_session_get_output(session, entry, i, &tensor)));
      size_t count = std::accumulate(tensor.dims, tensor.dims + tensor.rank, size_t(1), std::multiplies<>());
      all.insert(all.end(), static_cast<float *>(tensor.data), static_cast<float *>(tensor.data) + count);
    }
    return all;
  }

private:
  tenon_model *model = nullptr;
  tenon_session *session = nullptr;
};

void expectNear(const std::vector<float> &wanted, const std::vector<float> &found) {
  ASSERT_EQ(wanted.size(), found.size());
  for (size_t i = 0; i < wanted.size(); ++i)
    ASSERT_NEAR(wanted[i], found[i], 2e-5 * (1 + std::fabs(wanted[i]))) << i;
}

std::vector<float> wave(size_t count, float phase = 0) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = std::sin(0.37f * float(i) + phase);
  return values;
}

class GpuModel : public testing::Test {
protected:
  void SetUp() override {
    static const cuda::DriverTable table = fakeTable();
    ::setenv("TENON_CACHE_DIR", "off", 1);
    resetFakeDriver();
    cuda::replaceDriver(&table);
  }
  void TearDown() override {
    cpu.reset();
    gpu.reset();
    EXPECT_EQ("", fakeDriver().leaks());
    for (const std::string &what : fakeDriver().misuse)
      ADD_FAILURE() << what;
  }

  /// Compiles for this machine and for a GPU, whose kernels run from now on.
  void compile(const std::string &path) {
    CompileOptions options;
    options.targets = "nvptx-sm_80";
    Compiler forGpu(options);
    kernels = take(emulator::Emulator::create(take(forGpu.printCode(take(forGpu.load(root + path)), false))));
    fakeDriver().run = [this](const FakeLaunch &launch) { return emulate(*kernels, launch); };
    std::string host = take(parseTargets("host")).front().name.str();
    options.targets = host + ",nvptx-sm_80";
    Compiler compiler(options);
    artifact = take(take(compiler.compile(take(compiler.load(root + path)))).toMemory());
    cpu = std::make_unique<Instance>(artifact, host.c_str());
    gpu = std::make_unique<Instance>(artifact, nullptr);
    EXPECT_STREQ("nvptx-sm_80", gpu->level());
  }

  std::unique_ptr<emulator::Emulator> kernels;
  ArtifactBytes artifact;
  std::unique_ptr<Instance> cpu, gpu;
};

TEST_F(GpuModel, normalisesRows) {
  compile("/tests/compiler/codegen/nvptx/Inputs/rows.mlir");
  for (int64_t rows : {1, 5, 5, 5}) {
    std::vector<float> x = wave(size_t(rows) * 100, float(rows));
    for (Instance *instance : {cpu.get(), gpu.get()})
      instance->bind("main", "x", {rows, 100}, x, TENON_F32);
    expectNear(cpu->run("main"), gpu->run("main"));
  }
  EXPECT_EQ(2, fakeDriver().calls["cuGraphLaunch"]);
}

TEST_F(GpuModel, decodesWithStates) {
  compile("/examples/states/decoder.mlir");
  std::vector<float> x = wave(3 * 24);
  for (Instance *instance : {cpu.get(), gpu.get()})
    instance->bind("prefill", "x", {3, 24}, x, TENON_F32);
  expectNear(cpu->run("prefill"), gpu->run("prefill"));
  for (int token = 0; token < 2; ++token) {
    std::vector<float> next = wave(24, float(token));
    for (Instance *instance : {cpu.get(), gpu.get()})
      instance->bind("step", "x", {1, 24}, next, TENON_F32);
    expectNear(cpu->run("step"), gpu->run("step"));
  }
}

TEST_F(GpuModel, runsBert) {
  compile("/tests/models/bert/model.onnx");
  for (int64_t tokens : {2, 3, 3, 3}) {
    std::vector<int64_t> ids(size_t(2 * tokens));
    std::iota(ids.begin(), ids.end(), 3);
    bool isLast = fakeDriver().calls["cuGraphLaunch"] == 1;
    if (isLast)
      ids[1] = 1000; // no such token
    std::vector<int64_t> ones(ids.size(), 1), zeros(ids.size(), 0);
    for (Instance *instance : {cpu.get(), gpu.get()}) {
      instance->bind("main", "input_ids", {2, tokens}, ids, TENON_I64);
      instance->bind("main", "attention_mask", {2, tokens}, ones, TENON_I64);
      instance->bind("main", "token_type_ids", {2, tokens}, zeros, TENON_I64);
    }
    if (!isLast) {
      expectNear(cpu->run("main"), gpu->run("main"));
      continue;
    }
    std::string fault = cpu->tryRun("main");
    EXPECT_NE(std::string::npos, fault.find("an index in its input is out of range")) << fault;
    EXPECT_EQ(fault, gpu->tryRun("main"));
  }
  EXPECT_EQ(2, fakeDriver().calls["cuGraphLaunch"]);
}

} // namespace
