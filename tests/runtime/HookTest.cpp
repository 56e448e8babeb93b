//===- HookTest.cpp - Logs, traces, names for profilers -------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/TestProgram.h"

#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <unistd.h>

using namespace tenon;
using namespace tenon::test;
using testing::HasSubstr;

namespace {

const std::vector<float> zeros(64);

std::string readText(const std::string &path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Hooks, logSaysWhichLevel) {
  std::string lines;
  tenon_model_options options{};
  options.struct_bytes = sizeof(options);
  options.log_user = &lines;
  options.log = [](void *user, tenon_log_level, const char *message) {
    *static_cast<std::string *>(user) += std::string(message) + "\n";
  };
  load(addProgram().bytes(), &options);
  EXPECT_EQ("artifact in memory: level any of any (this machine has it)\n", lines);
}

TEST(Hooks, traceHookSeesEveryCommand) {
  Model model = load(addProgram().bytes());
  std::vector<tenon_trace_event> events;
  tenon_session_options options{};
  options.struct_bytes = sizeof(options);
  options.threads = 2;
  options.trace_user = &events;
  options.trace = [](void *user, const tenon_trace_event *event) {
    static_cast<std::vector<tenon_trace_event> *>(user)->push_back(*event);
  };
  tenon_session *made = nullptr;
  ASSERT_EQ("ok", message(tenon_session_create(model.get(), &options, &made)));
  Session session(made);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {64}, zeros.data()));
  ASSERT_EQ("ok", run(session, entryOf(model)));
  ASSERT_EQ(1u, events.size());
  EXPECT_STREQ("addKernel", events[0].name);
  EXPECT_STREQ("Add /add", events[0].source);
  EXPECT_EQ(4u, events[0].tiles);
  EXPECT_LE(events[0].start_ns, events[0].end_ns);
}

TEST(Hooks, traceFileHasOneLanePerThread) {
  Model model = load(addProgram().bytes());
  tenon_executor inTurn = {nullptr, 2, [](void *, uint32_t count, void (*task)(void *, uint32_t), void *context) {
                             for (uint32_t i = 0; i < count; ++i)
                               task(context, i);
                           }};
  tenon_session_options options{};
  options.struct_bytes = sizeof(options);
  options.executor = &inTurn;
  tenon_session *made = nullptr;
  ASSERT_EQ("ok", message(tenon_session_create(model.get(), &options, &made)));
  Session session(made);
  ASSERT_EQ("ok", bindFloats(session, entryOf(model), 0, {64}, zeros.data()));
  ASSERT_EQ("ok", message(tenon_session_start_trace(session.get(), 1)));
  ASSERT_EQ("ok", run(session, entryOf(model)));
  ASSERT_EQ("ok", run(session, entryOf(model))); // no room: counted
  std::string path = testing::TempDir() + "/tenon-trace.json";
  ASSERT_EQ("ok", message(tenon_session_write_trace(session.get(), path.c_str())));
  std::string text = readText(path);
  EXPECT_THAT(text, HasSubstr("\"dropped\": 2"));
  EXPECT_THAT(text, HasSubstr("{\"name\": \"addKernel\", \"ph\": \"X\", \"pid\": 0, \"tid\": 0, \"ts\": "));
  EXPECT_THAT(text, HasSubstr("\"tid\": 1, "));
  EXPECT_THAT(text, HasSubstr("\"args\": {\"source\": \"Add /add\", \"tiles\": 2}}"));
  ::unlink(path.c_str());
  EXPECT_THAT(message(tenon_session_write_trace(session.get(), "/nowhere/t.json")), HasSubstr("cannot create"));
}

TEST(Hooks, perfMapNamesKernels) {
  ::setenv("TENON_PERF_MAP", "1", 1);
  load(addProgram().bytes());
  ::unsetenv("TENON_PERF_MAP");
  std::string path = "/tmp/perf-" + std::to_string(::getpid()) + ".map";
  EXPECT_THAT(readText(path), HasSubstr(" tenon addKernel\n"));
  ::unlink(path.c_str());
}

} // namespace
