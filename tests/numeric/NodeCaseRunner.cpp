//===- NodeCaseRunner.cpp - many small ONNX models, compiled and run in one process --===//
//
//   tenon-run-node-cases [TARGET] < list of folders
//
// For each folder on standard input: FOLDER/model.onnx is compiled to an artifact in memory,
// loaded by the runtime, run on FOLDER/input_K.npy and leaves FOLDER/output_K.npy. One line a
// folder on standard output, as it ends: `ok FOLDER`, or `compile FOLDER: why`, `run FOLDER: why`.
//
#include "compiler/driver/Compiler.h"
#include "runtime/tools/npy.h"
#include "tenon/tenon.h"

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace {

struct Release {
  void operator()(tenon_model *model) const { tenon_model_release(model); }
  void operator()(tenon_session *session) const { tenon_session_release(session); }
};

/// The status's message, empty for success; frees it.
std::string take(tenon_status *status) {
  std::string message = status ? tenon_status_message(status) : "";
  tenon_status_free(status);
  return message;
}

std::string compileCase(const std::string &folder, tenon::CompileOptions options, tenon::ArtifactBytes &bytes) {
  tenon::Compiler compiler(std::move(options));
  auto model = compiler.load(folder + "/model.onnx");
  if (!model)
    return llvm::toString(model.takeError());
  auto compiled = compiler.compile(std::move(*model));
  if (!compiled)
    return llvm::toString(compiled.takeError());
  auto memory = compiled->toMemory();
  if (!memory)
    return llvm::toString(memory.takeError());
  bytes = std::move(*memory);
  return "";
}

std::string bindInputs(const std::string &folder, const tenon_entry *entry, tenon_session *session,
                       std::vector<tenon::NpyArray> &arrays) {
  arrays.resize(tenon_entry_input_count(entry));
  for (size_t i = 0; i < arrays.size(); ++i) {
    tenon_tensor_info info;
    std::string error = take(tenon_entry_input(entry, i, &info));
    if (error.empty())
      error = tenon::readNpy(folder + "/input_" + std::to_string(i) + ".npy", arrays[i]);
    if (!error.empty())
      return error;
    tenon::NpyArray &array = arrays[i];
    tenon_tensor tensor = {tenon::asBits(info.dtype, array.dtype), uint32_t(array.dims.size()), array.dims.data(),
                           array.bytes.data()};
    error = take(tenon_session_bind_input(session, entry, i, &tensor));
    if (!error.empty())
      return error;
  }
  return "";
}

std::string writeOutputs(const std::string &folder, const tenon_entry *entry, tenon_session *session) {
  for (size_t i = 0; i < tenon_entry_output_count(entry); ++i) {
    tenon_tensor tensor;
    std::string error = take(tenon_session_get_output(session, entry, i, &tensor));
    if (error.empty())
      error = tenon::writeNpy(folder + "/output_" + std::to_string(i) + ".npy", tensor);
    if (!error.empty())
      return error;
  }
  return "";
}

std::string runCase(const std::string &folder, const tenon::ArtifactBytes &bytes) {
  tenon_model *loaded = nullptr;
  std::string error = take(tenon_model_load_memory(bytes.data(), bytes.size(), nullptr, &loaded));
  std::unique_ptr<tenon_model, Release> model(loaded);
  if (!error.empty())
    return error;
  tenon_session_options options{};
  options.struct_bytes = sizeof(options);
  options.threads = 1;
  tenon_session *made = nullptr;
  error = take(tenon_session_create(model.get(), &options, &made));
  std::unique_ptr<tenon_session, Release> session(made);
  if (!error.empty())
    return error;
  const tenon_entry *entry = tenon_model_find_entry(model.get(), "main");
  std::vector<tenon::NpyArray> arrays;
  error = bindInputs(folder, entry, session.get(), arrays);
  if (error.empty())
    error = take(tenon_session_run(session.get(), entry));
  return error.empty() ? writeOutputs(folder, entry, session.get()) : error;
}

std::string verdict(const std::string &folder, const tenon::CompileOptions &options) {
  tenon::ArtifactBytes bytes;
  std::string error = compileCase(folder, options, bytes);
  if (!error.empty())
    return "compile " + folder + ": " + error;
  error = runCase(folder, bytes);
  return error.empty() ? "ok " + folder : "run " + folder + ": " + error;
}

} // namespace

int main(int count, char **arguments) {
  tenon::CompileOptions options;
  options.targets = count > 1 ? arguments[1] : "host";
  options.threads = 1;
  std::string folder;
  while (std::getline(std::cin, folder)) {
    std::string line = verdict(folder, options);
    for (char &c : line)
      if (c == '\n')
        c = ' ';
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }
}
