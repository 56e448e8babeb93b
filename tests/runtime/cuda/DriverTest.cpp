//===- DriverTest.cpp - Which GPU takes which level -----------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/driver.h"
#include "tenon/inspect.h"
#include "tests/runtime/TestProgram.h"
#include "tests/runtime/cuda/FakeDriver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace tenon;
using namespace tenon::test;
using testing::HasSubstr;

namespace {

/// Starts the driver again after fakeDriver() was changed.
void restart() {
  static const cuda::DriverTable table = fakeTable();
  cuda::replaceDriver(&table);
}

/// x + w for this machine and for a GPU, which is preferred.
std::vector<uint8_t> bothLevels(std::vector<std::string> features = {"sm_80"}) {
  TestProgram program = addProgram();
  program.levels = {program.level("cpu", {}, 0), program.gpuLevel("nvptx-sm_80", std::move(features), 1)};
  return program.bytes();
}

tenon_model_options optionsFor(const char *level) {
  tenon_model_options options{};
  options.struct_bytes = sizeof(options);
  options.level = level;
  return options;
}

std::string levelOf(const Model &model) { return tenon_model_level(model.get()); }

/// Loads one level by name; the message.
std::string tryLevel(const std::vector<uint8_t> &bytes, const char *level, tenon_code wanted = TENON_UNSUPPORTED) {
  AlignedCopy copy(bytes);
  tenon_model_options options = optionsFor(level);
  tenon_model *model = nullptr;
  tenon_status *status = tenon_model_load_memory(copy.data(), copy.size(), &options, &model);
  EXPECT_EQ(wanted, tenon_status_code(status));
  EXPECT_EQ(nullptr, model);
  return message(status);
}

TEST(GpuDriver, isPreferredWhereThereIsAGpu) {
  EXPECT_EQ("nvptx-sm_80", levelOf(load(bothLevels())));
  tenon_model_options options = optionsFor("cpu");
  EXPECT_EQ("cpu", levelOf(load(bothLevels(), &options)));
}

TEST(GpuDriver, withoutOneTheCpuIsTaken) {
  cuda::replaceDriver(nullptr);
  EXPECT_EQ("cpu", levelOf(load(bothLevels())));
  EXPECT_EQ("artifact in memory: nvptx-sm_80: no NVIDIA driver found (libcuda.so.1 is not there), artifact also "
            "carries cpu: use --target",
            tryLevel(bothLevels(), "nvptx-sm_80"));
  TestProgram alone = addProgram();
  alone.levels = {alone.gpuLevel("nvptx-sm_80", {"sm_80"}, 1)};
  EXPECT_THAT(tryLevel(alone.bytes(), nullptr),
              HasSubstr("cannot run any of its levels; the artifact has: nvptx-sm_80 (lacks an NVIDIA driver "
                        "(libcuda.so.1 is not there))"));
}

TEST(GpuDriver, mayBeTooOld) {
  fakeDriver().version = 11020;
  restart();
  EXPECT_EQ("cpu", levelOf(load(bothLevels())));
  EXPECT_EQ(
      "artifact in memory: nvptx-sm_80: no NVIDIA driver of CUDA 11.4 or newer found (the driver is CUDA 11.2's), "
      "artifact also carries cpu: use --target",
      tryLevel(bothLevels(), "nvptx-sm_80"));
  // Code for one architecture alone came with CUDA 12.
  fakeDriver().version = 11080;
  fakeDriver().gpus[0].capability = 90;
  restart();
  EXPECT_EQ("cpu", levelOf(load(bothLevels({"sm_90a"}))));
  EXPECT_EQ("nvptx-sm_80", levelOf(load(bothLevels())));
}

TEST(GpuDriver, theGpuMayBeTheWrongOne) {
  fakeDriver().gpus = {{"Fake T4", 75, 1 << 20}, {"Fake A100", 80, 1 << 24}};
  restart();
  EXPECT_EQ("nvptx-sm_80", levelOf(load(bothLevels()))); // on the second
  EXPECT_THAT(tryLevel(bothLevels({"sm_90a"}), "nvptx-sm_80"),
              HasSubstr("no NVIDIA GPU of compute capability 9.0 found (there is: Fake T4 (7.5), Fake A100 (8.0))"));
  fakeDriver().gpus = {{"Fake B200", 100, 1 << 24}};
  restart();
  EXPECT_EQ("cpu", levelOf(load(bothLevels({"sm_90a"})))); // 9.0 exactly
  EXPECT_EQ("nvptx-sm_80", levelOf(load(bothLevels())));
  EXPECT_THAT(tryLevel(bothLevels({"sm_80", "tcgen05"}), "nvptx-sm_80"), HasSubstr("no NVIDIA GPU with tcgen05 found"));
}

TEST(GpuDriver, mayHaveNoGpuOrNotStart) {
  fakeDriver().gpus.clear();
  restart();
  EXPECT_THAT(tryLevel(bothLevels(), "nvptx-sm_80"), HasSubstr("no NVIDIA GPU found (the driver lists no GPU)"));
  fakeDriver().start = cuda::noDevice;
  restart();
  EXPECT_THAT(tryLevel(bothLevels(), "nvptx-sm_80"),
              HasSubstr("no NVIDIA GPU found (the driver does not start: CUDA_ERROR_NO_DEVICE (as the name says))"));
  EXPECT_EQ("cpu", levelOf(load(bothLevels())));
}

TEST(GpuDriver, refusesPtxWithItsReason) {
  TestProgram program = addProgram();
  program.kernels[0].operandCount = 4; // the parameter's size is not the kernel's
  program.entries[0].commands[0].operands.push_back({format::Space::output, 0});
  std::string failed = tryLevel(program.bytes(), nullptr);
  EXPECT_EQ(
      "artifact in memory: level any: the NVIDIA driver (CUDA 12.4) refuses its PTX, ptxas application ptx input, "
      "line 3; fatal   : Parsing error near '?': CUDA_ERROR_INVALID_PTX (as the name says)",
      failed);
}

TEST(GpuDriver, isDescribedByTheDoctor) {
  auto describe = [](tenon_text_format format) {
    char *text = nullptr;
    EXPECT_EQ("ok", message(tenon_describe_host(format, &text)));
    std::string words = text;
    tenon_text_free(text);
    return words;
  };
  EXPECT_THAT(describe(TENON_PLAIN), HasSubstr("GPU:     NVIDIA driver of CUDA 12.4\n"
                                               "         Fake GPU, compute capability 8.0, 1.1 GB\n"));
  EXPECT_THAT(
      describe(TENON_JSON),
      HasSubstr("\"nvidia\": {\"driver\": \"CUDA 12.4\", \"problem\": \"\", \"gpus\": [{\"name\": \"Fake GPU\", "
                "\"capability\": \"8.0\", \"bytes\": 1073741824}]}"));
  cuda::replaceDriver(nullptr);
  EXPECT_THAT(describe(TENON_PLAIN), HasSubstr("GPU:     no NVIDIA driver (libcuda.so.1 is not there)\n"));
  EXPECT_THAT(describe(TENON_JSON),
              HasSubstr("\"nvidia\": {\"driver\": \"\", \"problem\": \"libcuda.so.1 is not there\""));
  fakeDriver().gpus.clear();
  restart();
  EXPECT_THAT(describe(TENON_PLAIN), HasSubstr("GPU:     NVIDIA driver of CUDA 12.4; the driver lists no GPU\n"));
}

} // namespace
