//===- compile_and_run.cpp - a model said in C++, compiled in memory and run -----------===//
//
// y = gelu(x W + b) for any number of rows. The artifact never touches a disk: this is
// Tenon as a just-in-time compiler. For a model file, replace `build` by
// `compiler.load("model.onnx")`; to keep the artifact, call `compiled->write(path)`.
//
#include "compiler/driver/Compiler.h"
#include "frontends/builder/GraphBuilder.h"
#include "tenon/tenon.h"
#include <cstdio>

static void require(tenon_status *status) {
  if (!status)
    return;
  std::fprintf(stderr, "error: %s\n", tenon_status_message(status));
  std::exit(1);
}

int main() {
  std::vector<float> weight(4 * 3, 0.5f), bias{0.0f, 1.0f, -1.0f}, x{1, 2, 3, 4, -1, -2, -3, -4};
  tenon::Compiler compiler({.targets = "host"});
  auto model = compiler.build([&](tenon::GraphBuilder &graph) {
    auto input = graph.input("x", graph.f32(), {graph.symbol("rows", 1, 1024), 4});
    auto product = graph.contract("m k, k n -> m n", input, graph.weight("w", graph.f32(), {4, 3}, weight.data()));
    graph.output("y", graph.gelu(graph.add(product, graph.weight("b", graph.f32(), {3}, bias.data()))));
  });
  auto compiled = model ? compiler.compile(std::move(*model)) : model.takeError();
  auto artifact = compiled ? compiled->toMemory() : compiled.takeError();
  if (!artifact)
    return std::fprintf(stderr, "error: %s\n", llvm::toString(artifact.takeError()).c_str()), 1;

  tenon_model *loaded;
  tenon_session *session;
  require(tenon_model_load_memory(artifact->data(), artifact->size(), nullptr, &loaded));
  require(tenon_session_create(loaded, nullptr, &session));
  const tenon_entry *entry = tenon_model_find_entry(loaded, "main");
  int64_t dims[] = {2, 4};
  tenon_tensor input = {TENON_F32, 2, dims, x.data()}, output;
  require(tenon_session_bind_input(session, entry, 0, &input));
  require(tenon_session_run(session, entry));
  require(tenon_session_get_output(session, entry, 0, &output));
  for (int i = 0; i < 6; ++i)
    std::printf("%.4f%c", static_cast<float *>(output.data)[i], i % 3 == 2 ? '\n' : ' ');
  tenon_session_release(session);
  tenon_model_release(loaded);
}
