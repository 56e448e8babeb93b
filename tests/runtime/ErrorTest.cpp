//===- ErrorTest.cpp - One wrong use per error ----------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Every message names the place, what was wanted and what was found.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/TestProgram.h"

#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

using namespace tenon;
using namespace tenon::format;
using namespace tenon::test;
using testing::HasSubstr;

namespace {

const std::vector<float> zeros(4096);

//===- Inputs -------------------------------------------------------------===//

/// main(x: [B, S], mask: [B, S + P], past: [P]) with S in 1..64 by 4.
class InputErrors : public testing::Test {
protected:
  InputErrors() {
    TestProgram program;
    uint32_t b = program.addSymbol({"B", 1, 8}), s = program.addSymbol({"S", 1, 64, 4}), p = program.addSymbol({"P"});
    uint32_t rows = program.symbolDim(b), columns = program.symbolDim(s), past = program.symbolDim(p);
    uint32_t total = program.addDim(DimExpr::symbol(s) + DimExpr::symbol(p));
    EntryDesc entry;
    entry.name = "main";
    entry.inputs = {{"x", DataType::f32, {rows, columns}},
                    {"mask", DataType::f32, {rows, total}},
                    {"past", DataType::f32, {past}},
                    {"fixed", DataType::f32, {program.constant(3)}}};
    entry.outputs = {{"y", DataType::f32, {program.addDim(DimExpr::symbol(s) * DimExpr::symbol(p))}}};
    entry.checks = {{columns, Relation::lessEqual, program.constant(32), "Slice /slice"}};
    program.entries = {entry};
    model = load(program.bytes());
    session = makeSession(model);
    main = entryOf(model);
  }

  /// Binds all four inputs and runs; the message.
  std::string runWith(std::vector<int64_t> x, std::vector<int64_t> mask, int64_t past, int64_t fixed = 3) {
    EXPECT_EQ("ok", bindFloats(session, main, 0, x, zeros.data()));
    EXPECT_EQ("ok", bindFloats(session, main, 1, mask, zeros.data()));
    EXPECT_EQ("ok", bindFloats(session, main, 2, {past}, zeros.data()));
    EXPECT_EQ("ok", bindFloats(session, main, 3, {fixed}, zeros.data()));
    return run(session, main);
  }

  Model model;
  Session session;
  const tenon_entry *main;
};

TEST_F(InputErrors, noneWhenTheShapesAgree) { EXPECT_EQ("ok", runWith({2, 8}, {2, 11}, 3)); }

TEST_F(InputErrors, contradictionNamesBothInputs) {
  EXPECT_EQ("input 'mask' dimension 0: wanted B = 2 as in input 'x' dimension 0, found 3", runWith({2, 8}, {3, 11}, 3));
}

TEST_F(InputErrors, sumThatDoesNotAgree) {
  EXPECT_EQ("input 'mask' dimension 1: wanted S + P = 11, found 12", runWith({2, 8}, {2, 12}, 3));
}

TEST_F(InputErrors, fixedSize) {
  EXPECT_EQ("input 'fixed' dimension 0: wanted 3, found 4", runWith({2, 8}, {2, 11}, 3, 4));
}

TEST_F(InputErrors, outsideItsBounds) {
  EXPECT_EQ("input 'x' dimension 0: wanted B in 1..8, found 9", runWith({9, 8}, {9, 11}, 3));
  EXPECT_EQ("input 'x' dimension 0: wanted B in 1..8, found 0", runWith({0, 8}, {9, 11}, 3));
}

TEST_F(InputErrors, notAMultiple) {
  EXPECT_EQ("input 'x' dimension 1: wanted S to be a multiple of 4, found 7", runWith({2, 7}, {2, 10}, 3));
}

TEST_F(InputErrors, negativeSize) {
  EXPECT_EQ("input 'past' dimension 0: wanted a size, found -1", runWith({2, 8}, {2, 7}, -1));
}

TEST_F(InputErrors, checkOfTheCompiler) {
  EXPECT_EQ("Slice /slice: wanted S <= 32, found 36 and 32", runWith({2, 36}, {2, 39}, 3));
}

TEST_F(InputErrors, outputTooLargeForAnAddress) {
  TestProgram program = addProgram();
  program.entries[0].outputs[0].dims = {
      program.addDim(DimExpr::symbol(0) * DimExpr::constant(int64_t(1) << 60) * DimExpr::constant(4))};
  Model large = load(program.bytes());
  Session user = makeSession(large);
  ASSERT_EQ("ok", bindFloats(user, entryOf(large), 0, {1}, zeros.data()));
  EXPECT_EQ("y: a shape of [4611686018427387904] has more bytes than an address", run(user, entryOf(large)));
  ASSERT_EQ("ok", bindFloats(user, entryOf(large), 0, {2}, zeros.data()));
  EXPECT_EQ("y: N * 1152921504606846976 * 4 overflows or divides by zero for these shapes", run(user, entryOf(large)));
}

TEST_F(InputErrors, wrongDataType) {
  int64_t dims[] = {2, 8};
  tenon_tensor tensor = {TENON_I64, 2, dims, const_cast<float *>(zeros.data())};
  EXPECT_EQ("input 'x': wanted f32, found i64", message(tenon_session_bind_input(session.get(), main, 0, &tensor)));
}

TEST_F(InputErrors, wrongRank) {
  EXPECT_EQ("input 'x': wanted rank 2, [B, S], found rank 3, [1, 2, 8]",
            bindFloats(session, main, 0, {1, 2, 8}, zeros.data()));
}

TEST_F(InputErrors, missing) {
  EXPECT_EQ("ok", bindFloats(session, main, 0, {2, 8}, zeros.data()));
  EXPECT_EQ("input 'mask' of entry main is missing: nothing is bound to it", run(session, main));
}

TEST_F(InputErrors, nullData) {
  EXPECT_EQ("input 'x': its data is a null pointer", bindFloats(session, main, 0, {2, 8}, nullptr));
}

TEST_F(InputErrors, outputBufferTooSmall) {
  std::vector<float> y(5);
  ASSERT_EQ("ok", message(tenon_session_bind_output(session.get(), main, 0, y.data(), 20)));
  EXPECT_EQ("output 'y': wanted 96 bytes for [24], found a buffer of 20", runWith({2, 8}, {2, 11}, 3));
}

TEST_F(InputErrors, aRunAfterAnErrorIsAsGoodAsEver) {
  EXPECT_NE("ok", runWith({2, 8}, {2, 12}, 3));
  EXPECT_EQ("ok", runWith({2, 8}, {2, 11}, 3));
}

TEST_F(InputErrors, namesThatAreNotThere) {
  size_t index;
  EXPECT_EQ("entry main has no input 'z'; it has: x, mask, past, fixed",
            message(tenon_entry_find_input(main, "z", &index)));
  EXPECT_EQ("entry main has no output 'x'; it has: y", message(tenon_entry_find_output(main, "x", &index)));
  EXPECT_EQ(nullptr, tenon_model_find_entry(model.get(), "other"));
}

TEST_F(InputErrors, indexTooLarge) {
  EXPECT_EQ("input 4: entry main has 4", bindFloats(session, main, 4, {2, 8}, zeros.data()));
  tenon_tensor_info info;
  EXPECT_EQ(TENON_INVALID_ARGUMENT, code(tenon_entry_output(main, 1, &info)));
}

TEST_F(InputErrors, outputBeforeARun) {
  tenon_tensor tensor;
  EXPECT_EQ("output 'y': entry main has not run, or its last run failed",
            message(tenon_session_get_output(session.get(), main, 0, &tensor)));
}

TEST_F(InputErrors, entryOfAnotherModel) {
  Model other = load(addProgram().bytes());
  EXPECT_EQ("entry main is another model's", run(session, entryOf(other)));
}

TEST_F(InputErrors, nullPointers) {
  tenon_model *made;
  EXPECT_EQ(TENON_INVALID_ARGUMENT, code(tenon_model_load_file(nullptr, nullptr, &made)));
  EXPECT_EQ(TENON_INVALID_ARGUMENT, code(tenon_model_load_memory(nullptr, 0, nullptr, &made)));
  EXPECT_EQ(TENON_INVALID_ARGUMENT, code(tenon_session_run(session.get(), nullptr)));
  EXPECT_EQ(TENON_INVALID_ARGUMENT, code(tenon_session_run(nullptr, main)));
  tenon_status_free(nullptr);
  tenon_model_release(nullptr);
  tenon_session_release(nullptr);
}

//===- Running ------------------------------------------------------------===//

TEST(RunErrors, indexOutOfRangeNamesItsSource) {
  TestProgram program;
  uint32_t n = program.symbolDim(program.addSymbol({"N", 1, 1024}));
  uint32_t table = program.weight("table", {10, 11, 12});
  uint32_t gather =
      program.kernel("gatherKernel", 3, 1, 2, DimExpr::kernelDim(1)); // a tile per index, so that many threads work
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"ids", DataType::i64, {n}}};
  entry.outputs = {{"y", DataType::f32, {n}}};
  entry.commands = {dispatch(gather, {{Space::weight, table}, {Space::input, 0}, {Space::output, 0}},
                             {program.constant(3), n}, "Gather /embeddings/word")};
  program.entries = {entry};
  Model model = load(program.bytes());
  Session session = makeSession(model, 2);
  std::vector<int64_t> ids(1000, 2);
  int64_t dims[] = {int64_t(ids.size())};
  tenon_tensor tensor = {TENON_I64, 1, dims, ids.data()};
  ASSERT_EQ("ok", message(tenon_session_bind_input(session.get(), entryOf(model), 0, &tensor)));
  EXPECT_EQ("ok", run(session, entryOf(model)));
  ids[999] = 3;
  EXPECT_EQ("Gather /embeddings/word: an index in its input is out of range", run(session, entryOf(model)));
  ids[999] = 1;
  EXPECT_EQ("ok", run(session, entryOf(model)));
}

/// main(x: [1]) = a kernel that takes long, again and again.
TestProgram slowProgram() {
  TestProgram program;
  uint32_t one = program.constant(1);
  uint32_t slow = program.kernel("slowKernel", 2, 1, 1, DimExpr::constant(64));
  EntryDesc entry;
  entry.name = "main";
  entry.inputs = {{"x", DataType::f32, {one}}};
  entry.outputs = {{"y", DataType::f32, {one}}};
  CommandDesc loop;
  loop.kind = CommandKind::loop;
  loop.expression = program.constant(int64_t(1) << 40);
  loop.body = 1;
  entry.commands = {loop,
                    dispatch(slow, {{Space::input, 0}, {Space::output, 0}}, {program.constant(1000)}, "Slow /slow")};
  program.entries = {entry};
  return program;
}

TEST(RunErrors, cancelledFromAnotherThread) {
  Model model = load(slowProgram().bytes());
  Session session = makeSession(model, 2);
  tenon_session_cancel(session.get()); // no run, no effect
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {1}, zeros.data()));
  std::atomic<bool> ended{false};
  tenon_code result = TENON_OK;
  std::thread runner([&] {
    result = code(tenon_session_run(session.get(), entryOf(model)));
    ended = true;
  });
  while (!ended) { // a cancellation before the run began is lost by design
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    tenon_session_cancel(session.get());
  }
  runner.join();
  EXPECT_EQ(TENON_CANCELLED, result);
}

TEST(RunErrors, secondThreadIsTurnedAway) {
  Model model = load(slowProgram().bytes());
  Session session = makeSession(model, 1);
  const tenon_entry *entry = entryOf(model);
  ASSERT_EQ("ok", bindFloats(session, entry, 0, {1}, zeros.data()));
  std::atomic<bool> ended{false};
  std::thread runner([&] {
    tenon_code result = TENON_BUSY; // as the other thread may get ahead
    while (result == TENON_BUSY)
      result = code(tenon_session_run(session.get(), entry));
    EXPECT_EQ(TENON_CANCELLED, result);
    ended = true;
  });
  std::string second;
  while (second != "the session is in use by another thread; give each thread its own") {
    std::vector<int64_t> dims = {1};
    tenon_tensor tensor = {TENON_F32, 1, dims.data(), const_cast<float *>(zeros.data())};
    second = message(tenon_session_bind_input(session.get(), entry, 0, &tensor));
  }
  while (!ended) {
    tenon_session_cancel(session.get());
    std::this_thread::yield();
  }
  runner.join();
}

TEST(RunErrors, noMemory) {
  TestProgram program = addProgram();
  program.symbols[0].max = int64_t(1) << 60;
  EntryDesc &entry = program.entries[0];
  entry.buffers = {{program.addDim(DimExpr::symbol(0) * DimExpr::constant(int64_t(1) << 45)), 0, 0}};
  Model model = load(program.bytes());
  Session session = makeSession(model);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {64}, zeros.data()));
  EXPECT_EQ("no memory for the 2251799813685504 bytes of the arena", run(session, entryOf(model)));
}

TEST(RunErrors, operandBehindItsBuffer) {
  TestProgram program = addProgram();
  program.entries[0].commands[0].operands[1].bytes = program.addDim(DimExpr::symbol(0) * DimExpr::constant(8));
  Model model = load(program.bytes());
  Session session = makeSession(model);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {32}, zeros.data()));
  EXPECT_EQ("ok", run(session, entryOf(model)));
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {33}, zeros.data()));
  EXPECT_EQ("Add /add: an operand takes 264 bytes from 0 on, there are 256 for these shapes",
            run(session, entryOf(model)));
}

//===- Levels -------------------------------------------------------------===//

tenon_model_options withLevel(const char *level) {
  tenon_model_options options{};
  options.struct_bytes = sizeof(options);
  options.level = level;
  return options;
}

TEST(Levels, takesTheHighestRankThisMachineHas) {
  TestProgram program = addProgram();
  program.levels = {program.level("plain", {}, 1), program.level("better", {}, 2),
                    program.level("future", {"teleport"}, 3)};
  EXPECT_STREQ("better", tenon_model_level(load(program.bytes()).get()));
  tenon_model_options options = withLevel("plain");
  Model forced = load(program.bytes(), &options);
  EXPECT_STREQ("plain", tenon_model_level(forced.get()));
}

#if defined(__x86_64__)
TestProgram twoLevels() {
  TestProgram program = addProgram();
  program.levels = {program.level("plain", {}, 1), program.level("better", {}, 2),
                    program.level("future", {"x86-64-v4", "teleport"}, 3),
                    program.level("elsewhere", {"neon"}, 9, readImage(TENON_TEST_IMAGES "/kernels-aarch64.elf"), 183)};
  return program;
}

TEST(Levels, refusedOneSaysWhatIsMissing) {
  std::vector<uint8_t> bytes = twoLevels().bytes();
  tenon_model *model;
  tenon_model_options options = withLevel("elsewhere");
  std::string text = message(tenon_model_load_memory(bytes.data(), bytes.size(), &options, &model));
  EXPECT_THAT(text, HasSubstr("this machine (x86-64) cannot run elsewhere"));
  EXPECT_THAT(text, HasSubstr("elsewhere (lacks a CPU of type ARM64)"));
  EXPECT_THAT(text, HasSubstr("plain (this machine has it)"));
  EXPECT_THAT(text, HasSubstr("teleport"));
  options = withLevel("nvptx-sm_90a");
  text = message(tenon_model_load_memory(bytes.data(), bytes.size(), &options, &model));
  EXPECT_THAT(text, HasSubstr("wanted level nvptx-sm_90a, the artifact has: plain (this machine has it); better"));
}

TEST(Levels, machineWithoutAnyIsTold) {
  TestProgram program = addProgram();
  program.levels = {program.level("elsewhere", {"neon"}, 9, readImage(TENON_TEST_IMAGES "/kernels-aarch64.elf"), 183)};
  std::vector<uint8_t> bytes = program.bytes();
  tenon_model *model;
  EXPECT_THAT(message(tenon_model_load_memory(bytes.data(), bytes.size(), nullptr, &model)),
              HasSubstr("cannot run any of its levels; the artifact has: elsewhere (lacks a CPU of type ARM64)"));
}
#endif

} // namespace
