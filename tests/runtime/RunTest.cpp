//===- RunTest.cpp - Programs that run ------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/TestProgram.h"

#include <atomic>
#include <gtest/gtest.h>
#include <numeric>
#include <thread>

using namespace tenon;
using namespace tenon::format;
using namespace tenon::test;

namespace {

std::vector<float> ramp(size_t count, float start = 0) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), start);
  return values;
}

std::vector<float> twice(std::vector<float> values) {
  for (float &value : values)
    value *= 2;
  return values;
}

TEST(Run, addsInputAndWeight) {
  Model model = load(addProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  std::vector<float> x = ramp(33);
  ASSERT_EQ("ok", bindFloats(session, entry, 0, {33}, x.data()));
  ASSERT_EQ("ok", run(session, entry));
  EXPECT_EQ(twice(x), output(session, entry));
}

TEST(Run, takesAnyShapeWithinBounds) {
  Model model = load(chainProgram().bytes());
  Session session = makeSession(model, 2);
  const tenon_entry *entry = entryOf(model);
  for (int round = 0; round < 2; ++round)
    for (int64_t n : {1, 2, 15, 16, 17, 63, 64, 3, 5, 7, 9, 11, 13}) { // more than the kept plans
      std::vector<float> x = ramp(n);
      ASSERT_EQ("ok", bindFloats(session, entry, 0, {n}, x.data()));
      ASSERT_EQ("ok", run(session, entry));
      EXPECT_EQ(twice(twice(x)), output(session, entry)) << n;
    }
}

TEST(Run, writesIntoTheCallersBuffer) {
  Model model = load(addProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  std::vector<float> x = ramp(20), y(21, -1.0f);
  ASSERT_EQ("ok", bindFloats(session, entry, 0, {20}, x.data()));
  ASSERT_EQ("ok", message(tenon_session_bind_output(session.get(), entry, 0, y.data(), 20 * sizeof(float))));
  ASSERT_EQ("ok", run(session, entry));
  EXPECT_EQ(38.0f, y[19]);
  EXPECT_EQ(-1.0f, y[20]);
  tenon_tensor tensor;
  ASSERT_EQ("ok", message(tenon_session_get_output(session.get(), entry, 0, &tensor)));
  EXPECT_EQ(y.data(), tensor.data);
  // Back to the session's memory.
  ASSERT_EQ("ok", message(tenon_session_bind_output(session.get(), entry, 0, nullptr, 0)));
  ASSERT_EQ("ok", run(session, entry));
  EXPECT_EQ(twice(x), output(session, entry));
}

TEST(Run, sharesOneModelBetweenSessionsAndThreads) {
  Model model = load(chainProgram().bytes());
  const tenon_entry *entry = entryOf(model);
  auto work = [&](float start) {
    Session session = makeSession(model, 2);
    std::vector<float> x = ramp(64, start), wanted;
    for (int i = 0; i < 64; ++i)
      wanted.push_back(2 * (x[i] + float(i)));
    for (int round = 0; round < 200; ++round) {
      EXPECT_EQ("ok", bindFloats(session, entry, 0, {64}, x.data()));
      EXPECT_EQ("ok", run(session, entry));
      EXPECT_EQ(wanted, output(session, entry));
    }
  };
  std::thread first(work, 1.0f), second(work, 100.0f);
  first.join();
  second.join();
}

TEST(Run, keepsTheModelWhileASessionLives) {
  Model model = load(addProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  model.reset();
  std::vector<float> x = ramp(4);
  ASSERT_EQ("ok", bindFloats(session, entry, 0, {4}, x.data()));
  EXPECT_EQ("ok", run(session, entry));
  EXPECT_EQ(twice(x), output(session, entry));
}

TEST(Run, copiesRanges) {
  TestProgram program = addProgram();
  EntryDesc &entry = program.entries[0];
  uint32_t half = program.addDim(DimExpr::symbol(0) * DimExpr::constant(2));
  // The output's second half becomes a copy of its first.
  CommandDesc copy;
  copy.kind = CommandKind::copy;
  copy.expression = half;
  copy.operands = {{Space::output, 0}, {Space::output, 0, 0, half}};
  copy.source = "Concat /concat";
  entry.commands.push_back(copy);
  Model model = load(program.bytes());
  Session session = makeSession(model);
  std::vector<float> x = ramp(8);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {8}, x.data()));
  ASSERT_EQ("ok", run(session, entryOf(model)));
  EXPECT_EQ((std::vector<float>{0, 2, 4, 6, 0, 2, 4, 6}), output(session, entryOf(model)));
}

TEST(Run, copiesLargeRangesOnAllThreads) {
  TestProgram program;
  uint32_t n = program.symbolDim(program.addSymbol({"N"}));
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"x", DataType::u8, {n}}};
  entry.outputs = {{"y", DataType::u8, {n}}};
  CommandDesc copy;
  copy.kind = CommandKind::copy;
  copy.expression = n;
  copy.operands = {{Space::input, 0}, {Space::output, 0}};
  entry.commands = {copy};
  program.entries = {entry};
  Model model = load(program.bytes());
  Session session = makeSession(model, 3);
  std::vector<uint8_t> x((size_t(3) << 20) + 7);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = uint8_t(i * 31);
  int64_t dims[] = {int64_t(x.size())};
  tenon_tensor tensor = {TENON_U8, 1, dims, x.data()};
  ASSERT_EQ("ok", message(tenon_session_bind_input(session.get(), entryOf(model), 0, &tensor)));
  ASSERT_EQ("ok", run(session, entryOf(model)));
  ASSERT_EQ("ok", message(tenon_session_get_output(session.get(), entryOf(model), 0, &tensor)));
  EXPECT_EQ(0, memcmp(tensor.data, x.data(), x.size()));
}

TEST(Run, branchesOnAShape) {
  TestProgram program = addProgram();
  uint32_t doubling = program.kernel("doubleKernel", 2, 1, 1, tilesOfD0(), DimExpr::constant(64));
  EntryDesc &entry = program.entries[0];
  // N floordiv 8: not 0 from 8 on. Then y = x + w, else y = 2 * x.
  CommandDesc branch;
  branch.kind = CommandKind::branch;
  branch.expression = program.addDim(DimExpr::symbol(0).floorDiv(DimExpr::constant(8)));
  branch.body = 1;
  branch.elseBody = 1;
  entry.commands.insert(entry.commands.begin(), branch);
  entry.commands.push_back(
      dispatch(doubling, {{Space::input, 0}, {Space::output, 0}}, {program.symbolDim(0)}, "Mul /mul"));
  Model model = load(program.bytes());
  Session session = makeSession(model);
  std::vector<float> x = {5, 5, 5, 5, 5, 5, 5, 5};
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {2}, x.data()));
  ASSERT_EQ("ok", run(session, entryOf(model)));
  EXPECT_EQ((std::vector<float>{10, 10}), output(session, entryOf(model)));
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {8}, x.data()));
  ASSERT_EQ("ok", run(session, entryOf(model)));
  EXPECT_EQ((std::vector<float>{5, 6, 7, 8, 9, 10, 11, 12}), output(session, entryOf(model)));
}

TEST(Run, loopsWhileAValueIsNotZero) {
  Model model = load(whileProgram().bytes());
  Session session = makeSession(model);
  const tenon_entry *entry = entryOf(model);
  uint8_t n = 5;
  tenon_tensor tensor = {TENON_U8, 0, nullptr, &n};
  ASSERT_EQ("ok", message(tenon_session_bind_input(session.get(), entry, 0, &tensor)));
  ASSERT_EQ("ok", run(session, entry));
  EXPECT_EQ(std::vector<float>{5}, output(session, entry));
  n = 3; // the state goes on from 5
  ASSERT_EQ("ok", run(session, entry));
  EXPECT_EQ(std::vector<float>{8}, output(session, entry));
}

TEST(Run, loopsWithACounterInOffsets) {
  // y[i] = 2 * x[i], one element a round, last round first: N - 1 - i.
  TestProgram program = addProgram();
  uint32_t counter = program.addSymbol({"i", 0, 63, 1, true});
  uint32_t one = program.constant(1);
  uint32_t offset =
      program.addDim((DimExpr::symbol(0) + DimExpr::constant(-1) + DimExpr::symbol(counter) * DimExpr::constant(-1)) *
                     DimExpr::constant(4));
  uint32_t doubling = program.kernel("doubleKernel", 2, 1, 1, tilesOfD0(), DimExpr::constant(64));
  EntryDesc &entry = program.entries[0];
  CommandDesc loop;
  loop.kind = CommandKind::loop;
  loop.expression = program.symbolDim(0);
  loop.counter = counter;
  loop.body = 1;
  entry.commands = {
      loop, dispatch(doubling, {{Space::input, 0, 0, offset}, {Space::output, 0, 0, offset}}, {one}, "Mul /loop/mul")};
  Model model = load(program.bytes());
  Session session = makeSession(model);
  std::vector<float> x = ramp(11, 3);
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {11}, x.data()));
    ASSERT_EQ("ok", run(session, entryOf(model)));
    EXPECT_EQ(twice(x), output(session, entryOf(model)));
  }
}

TEST(Run, keepsStatesBetweenRunsAndEntries) {
  Model model = load(counterProgram().bytes());
  Session session = makeSession(model), other = makeSession(model);
  const tenon_entry *step = entryOf(model, "step"), *leap = entryOf(model, "leap");
  ASSERT_EQ("ok", run(session, step));
  ASSERT_EQ("ok", run(session, leap));
  EXPECT_EQ((std::vector<float>{111, 211, 311, 411}), output(session, leap));
  // Another session has its own.
  ASSERT_EQ("ok", run(other, step));
  EXPECT_EQ((std::vector<float>{101, 201, 301, 401}), output(other, step));
  // Saved and restored.
  void *data;
  size_t bytes;
  ASSERT_EQ("ok", message(tenon_session_get_state(session.get(), "counter", &data, &bytes)));
  ASSERT_EQ(4 * sizeof(float), bytes);
  EXPECT_EQ(111.0f, static_cast<float *>(data)[0]);
  EXPECT_EQ("no state 'clock'; there are: counter",
            message(tenon_session_get_state(session.get(), "clock", &data, &bytes)));
  ASSERT_EQ("ok", message(tenon_session_reset_states(session.get())));
  ASSERT_EQ("ok", run(session, leap));
  EXPECT_EQ((std::vector<float>{110, 210, 310, 410}), output(session, leap));
}

/// Each run raises the counter by 1 and moves P, which the session keeps, on by the input's size.
TestProgram keptProgram() {
  TestProgram program = counterProgram();
  uint32_t n = program.symbolDim(program.addSymbol({"N", 1, 8}));
  uint32_t kept = program.addSymbol({"P", 2, 9, 1, false, true}), p = program.symbolDim(kept);
  for (EntryDesc &entry : program.entries) {
    entry.inputs = {{"x", DataType::f32, {n}}};
    entry.advances = {{kept, program.addDim(DimExpr::symbol(kept) + DimExpr::symbol(kept - 1))}};
  }
  program.entries[0].checks = {{p, Relation::lessEqual, program.constant(6), "rows of state counter"}};
  return program;
}

TEST(Run, keepsSymbolsBetweenRunsAndEntries) {
  Model model = load(keptProgram().bytes());
  Session session = makeSession(model), other = makeSession(model);
  const tenon_entry *step = entryOf(model, "step"), *leap = entryOf(model, "leap");
  std::vector<float> x(8);
  int64_t n = 3, value = 0;
  auto take = [&](Session &session, const tenon_entry *entry, int64_t count) {
    tenon_tensor tensor = {TENON_F32, 1, &n, x.data()};
    n = count;
    EXPECT_EQ("ok", message(tenon_session_bind_input(session.get(), entry, 0, &tensor)));
    return run(session, entry);
  };
  auto kept = [&](Session &session) {
    EXPECT_EQ("ok", message(tenon_session_get_kept(session.get(), "P", &value)));
    return value;
  };
  EXPECT_EQ(2, kept(session)); // its least value
  ASSERT_EQ("ok", take(session, step, 3));
  ASSERT_EQ("ok", take(session, leap, 2));
  EXPECT_EQ(7, kept(session));
  EXPECT_EQ(2, kept(other));
  // What does not fit is refused, and the state is as it was.
  EXPECT_EQ(
      "entry leap: wanted P + N, the next P, in 2..9, found 10: the session's states are full, and nothing was run",
      take(session, leap, 3));
  EXPECT_EQ("rows of state counter: wanted P <= 6, found 7 and 6", take(session, step, 1));
  ASSERT_EQ("ok", take(session, leap, 2));
  EXPECT_EQ((std::vector<float>{121, 221, 321, 421}), output(session, leap));
  // Restored, and as in a new session.
  EXPECT_EQ("kept symbol 'P': wanted a multiple of 1 in 2..9, found 10",
            message(tenon_session_set_kept(session.get(), "P", 10)));
  ASSERT_EQ("ok", message(tenon_session_set_kept(session.get(), "P", 5)));
  ASSERT_EQ("ok", take(session, step, 1));
  EXPECT_EQ(6, kept(session));
  ASSERT_EQ("ok", message(tenon_session_reset_states(session.get())));
  EXPECT_EQ(2, kept(session));
  EXPECT_EQ("no kept symbol 'N'; there are: P", message(tenon_session_get_kept(session.get(), "N", &value)));
}

TEST(Run, reservesMemoryOnce) {
  Model model = load(chainProgram().bytes());
  const tenon_entry *entry = entryOf(model);
  struct Counter {
    int allocations = 0;
  } counter;
  tenon_allocator allocator = {&counter,
                               [](void *user, size_t bytes, size_t alignment) {
                                 ++static_cast<Counter *>(user)->allocations;
                                 return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
                               },
                               [](void *, void *memory, size_t) { std::free(memory); }};
  tenon_session_options options{};
  options.struct_bytes = sizeof(options);
  options.threads = 2;
  options.allocator = &allocator;
  tenon_session *made = nullptr;
  ASSERT_EQ("ok", message(tenon_session_create(model.get(), &options, &made)));
  Session session(made);
  int64_t most[] = {64};
  const int64_t *dims[] = {most};
  ASSERT_EQ("ok", message(tenon_session_reserve(session.get(), entry, dims)));
  int reserved = counter.allocations;
  EXPECT_GT(reserved, 0);
  for (int64_t n = 1; n <= 64; ++n) {
    std::vector<float> x = ramp(n);
    ASSERT_EQ("ok", bindFloats(session, entry, 0, {n}, x.data()));
    ASSERT_EQ("ok", run(session, entry));
  }
  EXPECT_EQ(reserved, counter.allocations);
}

TEST(Run, usesTheCallersExecutor) {
  if (TestProgram::onGpu)
    GTEST_SKIP() << "a GPU's session computes nothing on threads";
  Model model = load(chainProgram().bytes());
  const tenon_entry *entry = entryOf(model);
  std::atomic<int> calls{0};
  tenon_executor executor = {&calls, 3, [](void *user, uint32_t count, void (*task)(void *, uint32_t), void *context) {
                               ++*static_cast<std::atomic<int> *>(user);
                               std::vector<std::thread> threads;
                               for (uint32_t i = 0; i < count; ++i)
                                 threads.emplace_back(task, context, i);
                               for (std::thread &thread : threads)
                                 thread.join();
                             }};
  tenon_session_options options{};
  options.struct_bytes = sizeof(options);
  options.executor = &executor;
  tenon_session *made = nullptr;
  ASSERT_EQ("ok", message(tenon_session_create(model.get(), &options, &made)));
  Session session(made);
  EXPECT_EQ(3u, tenon_session_threads(session.get()));
  std::vector<float> x = ramp(64);
  ASSERT_EQ("ok", bindFloats(session, entry, 0, {64}, x.data()));
  ASSERT_EQ("ok", run(session, entry));
  EXPECT_EQ(twice(twice(x)), output(session, entry));
  EXPECT_EQ(2, calls);
}

TEST(Run, runsOnEmptyTensors) {
  TestProgram program = chainProgram();
  program.symbols[0].min = 0;
  Model model = load(program.bytes());
  Session session = makeSession(model);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {0}, nullptr));
  ASSERT_EQ("ok", run(session, entryOf(model)));
  EXPECT_TRUE(output(session, entryOf(model)).empty());
}

TEST(Run, describesEntries) {
  TestProgram program = chainProgram();
  program.entries[0].outputs[0].dims = {program.addDim(
      (DimExpr::symbol(0) + DimExpr::constant(15)).floorDiv(DimExpr::constant(16)) * DimExpr::constant(16))};
  Model model = load(program.bytes());
  const tenon_entry *entry = entryOf(model);
  EXPECT_STREQ("any", tenon_model_level(model.get()));
  EXPECT_EQ(256u, tenon_model_weight_bytes(model.get()));
  const char *key, *value;
  ASSERT_EQ(1u, tenon_model_metadata_count(model.get()));
  ASSERT_TRUE(tenon_model_metadata(model.get(), 0, &key, &value));
  EXPECT_STREQ("compiler", key);
  EXPECT_STREQ("hand", value);
  EXPECT_FALSE(tenon_model_metadata(model.get(), 1, &key, &value));
  tenon_tensor_info info;
  ASSERT_EQ("ok", message(tenon_entry_output(entry, 0, &info)));
  EXPECT_STREQ("y", info.name);
  EXPECT_EQ(TENON_F32, info.dtype);
  ASSERT_EQ(1u, info.rank);
  EXPECT_STREQ("(N + 15) floordiv 16 * 16", info.dims[0]);
  int64_t input[] = {17}, result[1];
  const int64_t *dims[] = {input};
  ASSERT_EQ("ok", message(tenon_entry_output_dims(entry, dims, 0, result)));
  EXPECT_EQ(32, result[0]);
}

} // namespace
