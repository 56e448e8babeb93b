//===- GpuSessionTest.cpp - Runs, graphs and failures on a GPU ------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/cuda/driver.h"
#include "tests/runtime/TestProgram.h"
#include "tests/runtime/cuda/FakeDriver.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <thread>

using namespace tenon;
using namespace tenon::format;
using namespace tenon::test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

namespace {

std::vector<float> ramp(size_t count, float start = 0) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), start);
  return values;
}

/// 2 * (x + w): what chainProgram computes.
std::vector<float> chained(std::vector<float> x) {
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = 2 * (x[i] + float(i));
  return x;
}

/// Runs a chain on n elements from `start` on, and looks at what comes out.
void runChain(const Session &session, const tenon_entry *entry, int64_t n, float start) {
  std::vector<float> x = ramp(size_t(n), start);
  ASSERT_EQ("ok", bindFloats(session, entry, 0, {n}, x.data()));
  ASSERT_EQ("ok", run(session, entry));
  EXPECT_EQ(chained(x), output(session, entry)) << n;
}

int calls(const char *function) { return fakeDriver().calls[function]; }

//===- Launches -----------------------------------------------------------===//

TEST(GpuSession, workersShareTilesAndScratch) {
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model);
  runChain(session, entryOf(model), 64, 1);
  EXPECT_THAT(fakeDriver().launches, ElementsAre("addKernel 1x4", "doubleKernel 1x4")); // 4 tiles of 16
}

TEST(GpuSession, manyTilesAreSharedByWorkers) {
  TestProgram program;
  uint32_t n = program.symbolDim(program.addSymbol({"N"}));
  uint32_t doubling = program.kernel("doubleKernel", 2, 1, 1, tilesOfD0(), DimExpr::constant(64));
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"x", DataType::f32, {n}}};
  entry.outputs = {{"y", DataType::f32, {n}}};
  entry.commands = {dispatch(doubling, {{Space::input, 0}, {Space::output, 0}}, {n}, "Mul /mul")};
  program.entries = {entry};
  Model model = load(program.bytes());
  Session session = makeSession(model);
  std::vector<float> x = ramp(100000);
  for (int64_t count : {33 * 16, 100000}) {
    ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {count}, x.data()));
    ASSERT_EQ("ok", run(session, entryOf(model)));
    EXPECT_EQ(2 * x[size_t(count) - 1], output(session, entryOf(model)).back());
  }
  EXPECT_THAT(fakeDriver().launches, ElementsAre("doubleKernel 1x32", "doubleKernel 128x32")); // at most 4096
}

TEST(GpuSession, aNativeKernelHasATilePerBlock) {
  TestProgram program = chainProgram();
  program.levels = {program.gpuLevel("nvptx-sm_80", {"sm_80"}, 0, 128)};
  Model model = load(program.bytes());
  Session session = makeSession(model);
  runChain(session, entryOf(model), 33, 1);
  EXPECT_THAT(fakeDriver().launches, ElementsAre("addKernel 3x128", "doubleKernel 3x128"));
}

TEST(GpuSession, weightsAreSentOnce) {
  Model model = load(chainProgram().bytes());
  EXPECT_EQ(1, calls("cuMemcpyHtoD_v2"));
  Session first = makeSession(model), second = makeSession(model);
  runChain(first, entryOf(model), 5, 1);
  runChain(second, entryOf(model), 5, 2);
  EXPECT_EQ(1, calls("cuMemcpyHtoD_v2"));
  EXPECT_EQ(2, calls("cuMemcpyHtoDAsync_v2")); // an input each
}

TEST(GpuSession, nothingIsComputedOnThreads) {
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model, 8);
  EXPECT_EQ(1u, tenon_session_threads(session.get()));
}

//===- Graphs -------------------------------------------------------------===//

TEST(GpuSession, capturesAPlanThatComesTwice) {
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  runChain(session, entry, 20, 1);
  EXPECT_EQ(2, calls("cuLaunchKernel"));
  EXPECT_EQ(0, calls("cuGraphLaunch"));
  for (int round = 1; round < 4; ++round) {
    runChain(session, entry, 20, float(10 * round));
    EXPECT_EQ(4, calls("cuLaunchKernel"));
    EXPECT_EQ(round, calls("cuGraphLaunch"));
  }
  runChain(session, entry, 21, 1); // another shape, for the first time
  EXPECT_EQ(6, calls("cuLaunchKernel"));
  EXPECT_EQ(1, calls("cuGraphInstantiateWithFlags"));
}

TEST(GpuSession, capturesAgainWhenMemoryMoved) {
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  for (int round = 0; round < 3; ++round)
    runChain(session, entry, 4, float(round));
  EXPECT_EQ(1, calls("cuGraphInstantiateWithFlags"));
  runChain(session, entry, 64, 1); // its tensors and arena lie elsewhere
  runChain(session, entry, 4, 7);
  EXPECT_LE(calls("cuGraphInstantiateWithFlags"), 2);
  runChain(session, entry, 4, 8);
  EXPECT_EQ(calls("cuGraphInstantiateWithFlags"), calls("cuGraphExecDestroy") + 1);
}

TEST(GpuSession, dropsGraphsOfForgottenShapes) {
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model);
  for (int64_t n = 1; n <= 12; ++n) // more than a session keeps plans
    for (int round = 0; round < 2; ++round)
      runChain(session, entryOf(model), n, float(round));
  EXPECT_EQ(12, calls("cuGraphInstantiateWithFlags"));
  EXPECT_EQ(4, calls("cuGraphExecDestroy"));
}

TEST(GpuSession, aLoopThatLooksAtBytesIsNotCaptured) {
  Model model = load(whileProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  float total = 0;
  for (uint8_t n : {5, 3, 0, 9}) {
    tenon_tensor tensor = {TENON_U8, 0, nullptr, &n};
    ASSERT_EQ("ok", message(tenon_session_bind_input(session.get(), entry, 0, &tensor)));
    ASSERT_EQ("ok", run(session, entry));
    total += n;
    if (n)
      EXPECT_EQ(std::vector<float>{total}, output(session, entry));
  }
  EXPECT_EQ(0, calls("cuStreamBeginCapture_v2"));
}

/// y = 2 * x, one element a round of a loop with a counter.
TestProgram elementwiseLoop(int64_t most) {
  TestProgram program;
  uint32_t n = program.addSymbol({"N", 1, most}), counter = program.addSymbol({"i", 0, most - 1, 1, true});
  uint32_t one = program.constant(1), size = program.symbolDim(n);
  uint32_t offset = program.addDim(DimExpr::symbol(counter) * DimExpr::constant(4));
  uint32_t doubling = program.kernel("doubleKernel", 2, 1, 1, tilesOfD0(), DimExpr::constant(64));
  CommandDesc loop;
  loop.kind = CommandKind::loop;
  loop.expression = size;
  loop.counter = counter;
  loop.body = 1;
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"x", DataType::f32, {size}}};
  entry.outputs = {{"y", DataType::f32, {size}}};
  entry.commands = {
      loop, dispatch(doubling, {{Space::input, 0, 0, offset}, {Space::output, 0, 0, offset}}, {one}, "Mul /loop/mul")};
  program.entries = {entry};
  return program;
}

TEST(GpuSession, unrollsShortLoopsIntoAGraph) {
  Model model = load(elementwiseLoop(10000).bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  std::vector<float> x = ramp(5000, 3), wanted;
  for (float value : x)
    wanted.push_back(2 * value);
  for (int64_t n : {40, 5000}) {
    for (int round = 0; round < 3; ++round) {
      ASSERT_EQ("ok", bindFloats(session, entry, 0, {n}, x.data()));
      ASSERT_EQ("ok", run(session, entry));
      EXPECT_EQ(std::vector<float>(wanted.begin(), wanted.begin() + n), output(session, entry));
    }
    EXPECT_EQ(1, calls("cuGraphInstantiateWithFlags")) << n; // 5000 launches are too many
  }
}

//===- Copies -------------------------------------------------------------===//

/// main(x: u8 [N]): y = x, then y's bytes from `from` on moved to `to`.
void runShift(int64_t bytes, int64_t from, int64_t to) {
  TestProgram program;
  uint32_t n = program.symbolDim(program.addSymbol({"N"}));
  CommandDesc fill, shift;
  fill.kind = shift.kind = CommandKind::copy;
  fill.expression = n;
  fill.operands = {{Space::input, 0}, {Space::output, 0}};
  shift.expression = program.constant(bytes - std::max(from, to));
  shift.operands = {{Space::output, 0, uint64_t(from)}, {Space::output, 0, uint64_t(to)}};
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"x", DataType::u8, {n}}};
  entry.outputs = {{"y", DataType::u8, {n}}};
  entry.commands = {fill, shift};
  program.entries = {entry};
  Model model = load(program.bytes());
  Session session = makeSession(model);
  std::vector<uint8_t> x(size_t(bytes), 0);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = uint8_t(i * 31 + i / 256);
  std::vector<uint8_t> wanted = x;
  std::memmove(wanted.data() + to, wanted.data() + from, size_t(bytes - std::max(from, to)));
  tenon_tensor tensor = {TENON_U8, 1, &bytes, x.data()};
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ("ok", message(tenon_session_bind_input(session.get(), entryOf(model), 0, &tensor)));
    ASSERT_EQ("ok", run(session, entryOf(model)));
    tenon_tensor result;
    ASSERT_EQ("ok", message(tenon_session_get_output(session.get(), entryOf(model), 0, &result)));
    EXPECT_EQ(0, std::memcmp(result.data, wanted.data(), wanted.size())) << from << " to " << to;
  }
}

TEST(GpuSession, overlappingRangesAreMovedInPieces) {
  int64_t bytes = (int64_t(3) << 20) + 77;
  runShift(bytes, 5, 0);
  runShift(bytes, 0, 5);
  runShift(bytes, 0, int64_t(1) << 20);
  runShift(bytes, 7, 7);
}

//===- States -------------------------------------------------------------===//

TEST(GpuSession, aStateCanBeReadAndWritten) {
  Model model = load(counterProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *step = entryOf(model, "step");
  void *data;
  size_t bytes;
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ("ok", run(session, step));
    ASSERT_EQ("ok", message(tenon_session_get_state(session.get(), "counter", &data, &bytes)));
    EXPECT_EQ(101.0f + float(round), static_cast<float *>(data)[0]);
  }
  static_cast<float *>(data)[0] = -5;
  ASSERT_EQ("ok", run(session, step));
  EXPECT_EQ((std::vector<float>{-4, 204, 304, 404}), output(session, step));
  int sent = calls("cuMemcpyHtoDAsync_v2");
  ASSERT_EQ("ok", run(session, step)); // nobody asked: it stays on the GPU
  EXPECT_EQ(sent, calls("cuMemcpyHtoDAsync_v2"));
}

//===- Errors -------------------------------------------------------------===//

/// main(i: i64 [2]) gathers from 2 * w.
TestProgram gatherProgram() {
  TestProgram program;
  uint32_t two = program.constant(2), four = program.constant(4);
  uint32_t w = program.weight("w", {1, 2, 3, 4});
  uint32_t doubling = program.kernel("doubleKernel", 2, 1, 1, tilesOfD0(), DimExpr::constant(64));
  uint32_t gather = program.kernel("gatherKernel", 3, 1, 2, DimExpr::kernelDim(1));
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"i", DataType::i64, {two}}};
  entry.outputs = {{"y", DataType::f32, {two}}};
  entry.buffers = {{program.constant(16), 0, 1}};
  entry.commands = {dispatch(doubling, {{Space::weight, w}, {Space::arena, 0}}, {four}, "Mul /scale"),
                    dispatch(gather, {{Space::arena, 0}, {Space::input, 0}, {Space::output, 0}}, {four, two},
                             "Gather /embed")};
  program.entries = {entry};
  return program;
}

TEST(GpuSession, anIndexOutOfRangeNamesTheCommand) {
  Model model = load(gatherProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  int64_t indices[2], two = 2;
  tenon_tensor tensor = {TENON_I64, 1, &two, indices};
  ASSERT_EQ("ok", message(tenon_session_bind_input(session.get(), entry, 0, &tensor)));
  for (int round = 0; round < 3; ++round) { // launched, then as a graph
    indices[0] = 3, indices[1] = 1;
    ASSERT_EQ("ok", run(session, entry));
    EXPECT_EQ((std::vector<float>{8, 4}), output(session, entry));
    indices[1] = 4;
    tenon_status *status = tenon_session_run(session.get(), entry);
    EXPECT_EQ(TENON_BAD_VALUE, tenon_status_code(status));
    EXPECT_EQ("Gather /embed: an index in its input is out of range", message(status));
  }
}

/// x + w by a kernel that reads where it may not.
TestProgram faultProgram() {
  TestProgram program = chainProgram();
  uint32_t fault = program.kernel("faultKernel", 2, 1, 1, tilesOfD0());
  EntryDesc entry = program.entries[0];
  entry.name = "bad";
  entry.commands = {dispatch(fault, {{Space::input, 0}, {Space::output, 0}}, {program.symbolDim(0)}, "Bad /bad")};
  entry.buffers.clear();
  program.entries.push_back(entry);
  program.levels = {program.gpuLevel("nvptx-sm_80", {"sm_80"}, 1)};
  return program;
}

/// What a GPU that stopped leaves behind cannot be given back.
void forgetLeaks() {
  static const cuda::DriverTable table = fakeTable();
  resetFakeDriver();
  cuda::replaceDriver(&table);
}

TEST(GpuSession, aKernelsFaultEndsSessionsAndNotTheProcess) {
  {
    Model model = load(faultProgram().bytes());
    Session session = makeSession(model), other = makeSession(model);
    const tenon_entry *good = entryOf(model), *bad = entryOf(model, "bad");
    runChain(session, good, 4, 1);
    runChain(other, good, 4, 1);
    std::vector<float> x = ramp(4);
    ASSERT_EQ("ok", bindFloats(session, bad, 0, {4}, x.data()));
    tenon_status *status = tenon_session_run(session.get(), bad);
    EXPECT_EQ(TENON_DEVICE_ERROR, tenon_status_code(status));
    EXPECT_EQ(
        "entry bad failed on Fake GPU (a trace says at which command): CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory "
        "access was encountered)",
        message(status));
    std::string dead =
        "the session is dead: Fake GPU stopped for this process after an earlier error; start it anew, or "
        "use a CPU's level: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)";
    int made = fakeDriver().callCount;
    EXPECT_EQ(dead, run(session, bad));
    EXPECT_EQ(dead, run(other, good));
    EXPECT_EQ(made, fakeDriver().callCount); // nothing is even tried
    tenon_session *third = nullptr;
    EXPECT_THAT(message(tenon_session_create(model.get(), nullptr, &third)), HasSubstr("CUDA_ERROR_ILLEGAL_ADDRESS"));
    EXPECT_EQ(nullptr, third);
  }
  forgetLeaks();
  // The CPU goes on.
  TestProgram cpu = chainProgram();
  cpu.levels = {cpu.level("cpu", {}, 0)};
  Model model = load(cpu.bytes());
  Session session = makeSession(model);
  runChain(session, entryOf(model), 9, 1);
}

TEST(GpuSession, aLaunchThatIsRefusedEndsTheRunAlone) {
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model);
  runChain(session, entryOf(model), 33, 1);
  std::vector<float> x = ramp(20);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {20}, x.data()));
  fakeDriver().failingFunction = "cuLaunchKernel";
  fakeDriver().failure = cuda::launchOutOfResources;
  tenon_status *status = tenon_session_run(session.get(), entryOf(model));
  EXPECT_EQ(TENON_DEVICE_ERROR, tenon_status_code(status));
  EXPECT_EQ(
      "Add /add: kernel addKernel cannot be launched in 1 blocks of 2 threads: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (as "
      "the name says)",
      message(status));
  fakeDriver().failingFunction.clear();
  runChain(session, entryOf(model), 20, 1);
}

TEST(GpuSession, aTraceSaysWhichCommandFailed) {
  {
    Model model = load(faultProgram().bytes());
    Session session = makeSession(model);
    const tenon_entry *bad = entryOf(model, "bad");
    ASSERT_EQ("ok", message(tenon_session_start_trace(session.get(), 10)));
    std::vector<float> x = ramp(4);
    ASSERT_EQ("ok", bindFloats(session, bad, 0, {4}, x.data()));
    EXPECT_THAT(run(session, bad), HasSubstr("Bad /bad: kernel faultKernel failed: CUDA_ERROR_ILLEGAL_ADDRESS"));
  }
  forgetLeaks();
}

TEST(GpuSession, tracesEachCommand) {
  Model model = load(chainProgram().bytes());
  struct Seen {
    std::vector<std::string> names;
    tenon_session *session = nullptr;
    bool cancels = false;
  } seen;
  tenon_session_options options{};
  options.struct_bytes = sizeof(options);
  options.trace_user = &seen;
  options.trace = [](void *user, const tenon_trace_event *event) {
    Seen &seen = *static_cast<Seen *>(user);
    seen.names.push_back(std::string(event->name) + " " + event->source + " " + std::to_string(event->tiles));
    EXPECT_LE(event->start_ns, event->end_ns);
    if (seen.cancels)
      tenon_session_cancel(seen.session);
  };
  tenon_session *made = nullptr;
  ASSERT_EQ("ok", message(tenon_session_create(model.get(), &options, &made)));
  Session session(made);
  seen.session = made;
  for (int round = 0; round < 2; ++round) {
    seen.names.clear();
    runChain(session, entryOf(model), 17, 1);
    EXPECT_THAT(seen.names, ElementsAre("addKernel Add /add 2", "doubleKernel Mul /mul 2"));
  }
  EXPECT_EQ(0, calls("cuGraphLaunch"));
  seen.cancels = true; // between the two
  std::vector<float> x = ramp(17);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {17}, x.data()));
  EXPECT_EQ("cancelled", run(session, entryOf(model)));
  seen.cancels = false;
  runChain(session, entryOf(model), 17, 1);
}

//===- Memory that is not there -------------------------------------------===//

TEST(GpuSession, saysWhatItNeedsAndWhatIsFree) {
  fakeDriver().gpus[0].bytes = 100;
  AlignedCopy copy(chainProgram().bytes());
  tenon_model *none = nullptr;
  tenon_status *status = tenon_model_load_memory(copy.data(), copy.size(), nullptr, &none);
  EXPECT_EQ(TENON_OUT_OF_MEMORY, tenon_status_code(status));
  EXPECT_EQ("artifact in memory: no GPU memory for the 256 bytes of weights: 100 of 100 bytes are free on Fake GPU",
            message(status));
  EXPECT_EQ("", fakeDriver().leaks());

  fakeDriver().gpus[0].bytes = 1000;
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model);
  std::vector<float> x = ramp(64);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {64}, x.data()));
  status = tenon_session_run(session.get(), entryOf(model));
  EXPECT_EQ(TENON_OUT_OF_MEMORY, tenon_status_code(status));
  EXPECT_THAT(message(status), MatchesRegex("no GPU memory for the [0-9]+ bytes of (the arena|scratch|inputs and "
                                            "outputs): [0-9]+ of 1000 bytes are free on Fake GPU"));
  fakeDriver().gpus[0].bytes = 100000; // somebody gave memory back
  runChain(session, entryOf(model), 64, 1);
}

/// Loads and runs all that a session does, whatever fails; true if all of it went well.
bool runEverything(const AlignedCopy &bytes) {
  AlignedCopy &memory = const_cast<AlignedCopy &>(bytes);
  tenon_model *loaded = nullptr;
  if (test::code(tenon_model_load_memory(memory.data(), memory.size(), nullptr, &loaded)))
    return false;
  Model model(loaded);
  tenon_session *made = nullptr;
  if (test::code(tenon_session_create(model.get(), nullptr, &made)))
    return false;
  Session session(made);
  const tenon_entry *step = entryOf(model, "step");
  for (int round = 0; round < 3; ++round) // launched, captured, launched as a graph
    if (test::code(tenon_session_run(session.get(), step)))
      return false;
  void *data;
  size_t size;
  if (test::code(tenon_session_get_state(session.get(), "counter", &data, &size)))
    return false;
  if (test::code(tenon_session_run(session.get(), step)))
    return false;
  return output(session, step) == std::vector<float>{104, 204, 304, 404};
}

TEST(GpuSession, anyCallMayFailAndNothingIsLeaked) {
  AlignedCopy bytes(counterProgram().bytes());
  for (cuda::Result error : {cuda::outOfMemory, cuda::invalidValue, cuda::illegalAddress, cuda::unknown}) {
    int failing = 0;
    for (bool passed = false; !passed; ++failing) {
      ASSERT_LT(failing, 200);
      fakeDriver().callCount = 0;
      fakeDriver().failure = error;
      fakeDriver().failingCall = failing;
      passed = runEverything(bytes);
      EXPECT_EQ("", fakeDriver().leaks()) << "call " << failing;
      bool wasReached = fakeDriver().callCount > failing;
      // A query of free memory or a cubin may fail without harm.
      if (passed && wasReached)
        passed = false;
    }
    EXPECT_GT(failing, 30);
  }
}

TEST(GpuSession, twoSessionsRunAtOnce) {
  Model model = load(chainProgram().bytes());
  auto work = [&](float start) {
    Session session = makeSession(model);
    for (int round = 0; round < 50; ++round)
      runChain(session, entryOf(model), 1 + round % 3, start + float(round));
  };
  std::thread first(work, 1.0f), second(work, 1000.0f);
  first.join();
  second.join();
}

TEST(GpuSession, reservesMemoryOnce) {
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model);
  int64_t most[] = {64};
  const int64_t *dims[] = {most};
  ASSERT_EQ("ok", message(tenon_session_reserve(session.get(), entryOf(model), dims)));
  int taken = calls("cuMemAlloc_v2");
  EXPECT_GT(tenon_session_memory(session.get()), 0u);
  for (int64_t n = 1; n <= 64; ++n)
    runChain(session, entryOf(model), n, 1);
  EXPECT_EQ(taken, calls("cuMemAlloc_v2"));
}

} // namespace
