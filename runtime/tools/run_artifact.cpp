//===- run_artifact.cpp - What `tenon run` and tenon-run do ---------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/run_artifact.h"
#include "runtime/tools/mapped_file.h"
#include "runtime/tools/npy.h"
#include "runtime/tools/npz.h"
#include "runtime/tools/signature.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

namespace tenon {

namespace {

constexpr size_t inputAlignment = 256;

struct Release {
  void operator()(void *memory) const { std::free(memory); }
  void operator()(tenon_model *model) const { tenon_model_release(model); }
  void operator()(tenon_session *session) const { tenon_session_release(session); }
};

} // namespace

class ArtifactRun::Runner {
public:
  explicit Runner(const RunOptions &options) : options(options) {}
  std::string run();
  std::string open();
  std::string runOnce(double &seconds);
  std::string writeInputs(const std::string &folder) const;
  std::string writeOutputs(const std::string &folder) const;
  std::string level() const { return tenon_model_level(model.get()); }
  uint32_t threads() const { return tenon_session_threads(session.get()); }

private:
  std::string load();
  std::string loadModel(const tenon_model_options &modelOptions, tenon_model *&loaded);
  std::string loadSigned(const tenon_model_options &modelOptions, tenon_model *&loaded);
  std::string chooseEntry();
  std::string readFiles();
  std::string readInputs();
  void noteSizes(const tenon_tensor_info &info, const std::vector<int64_t> &dims);
  std::string chooseDims(const tenon_tensor_info &info, std::vector<int64_t> &dims) const;
  uint64_t rowsIndexedBy(const char *input) const;
  std::string checkNames() const;
  std::string bindInputs();
  void *place(NpyArray &array);
  std::string makeUp(const tenon_tensor_info &info, NpyArray &array) const;
  std::string time();
  std::string recordTrace();
  void printTimes() const;

  const RunOptions &options;
  MappedFile signedFile; ///< outlives the model
  std::unique_ptr<tenon_model, Release> model;
  std::unique_ptr<tenon_session, Release> session;
  const tenon_entry *entry = nullptr;
  NpzArrays files;              ///< inputs read from files, by name
  std::map<std::string, int64_t> sizes; ///< of the model's dims, from inputs that have theirs
  std::vector<NpyArray> arrays; ///< one per input
  std::vector<std::unique_ptr<void, Release>> placed; ///< their copies, with alignInputs
  std::vector<double> seconds;
};

using Runner = ArtifactRun::Runner;

/// The status's message, empty for success; frees it.
static std::string take(tenon_status *status) {
  std::string message = status ? tenon_status_message(status) : "";
  tenon_status_free(status);
  return message;
}

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The bytes whose signature is checked are the bytes that are loaded.
std::string Runner::loadSigned(const tenon_model_options &modelOptions, tenon_model *&loaded) {
  std::string error = signedFile.open(options.artifact);
  if (error.empty())
    error = checkSignature(signedFile.data(), signedFile.size(), options.artifact, options.trust);
  return error.empty() ? take(tenon_model_load_memory(signedFile.data(), signedFile.size(), &modelOptions, &loaded))
                       : error;
}

std::string Runner::loadModel(const tenon_model_options &modelOptions, tenon_model *&loaded) {
  if (options.linked)
    return take(tenon_model_load_linked(options.linked, &modelOptions, &loaded));
  if (!options.trust.empty())
    return loadSigned(modelOptions, loaded);
  return take(tenon_model_load_file(options.artifact.c_str(), &modelOptions, &loaded));
}

std::string Runner::load() {
  tenon_model_options modelOptions{};
  modelOptions.struct_bytes = sizeof(modelOptions);
  modelOptions.level = options.level.empty() ? nullptr : options.level.c_str();
  modelOptions.threads = options.threads;
  tenon_model *loaded = nullptr;
  std::string error = loadModel(modelOptions, loaded);
  model.reset(loaded);
  if (!error.empty())
    return error;
  tenon_session_options sessionOptions{};
  sessionOptions.struct_bytes = sizeof(sessionOptions);
  sessionOptions.threads = options.threads;
  if (options.onCommand) {
    sessionOptions.trace = [](void *user, const tenon_trace_event *event) {
      static_cast<const RunOptions *>(user)->onCommand(*event);
    };
    sessionOptions.trace_user = const_cast<RunOptions *>(&options);
  }
  tenon_session *made = nullptr;
  error = take(tenon_session_create(model.get(), &sessionOptions, &made));
  session.reset(made);
  return error;
}

std::string Runner::chooseEntry() {
  size_t count = tenon_model_entry_count(model.get());
  std::string wanted = options.entry.empty() ? "main" : options.entry, names;
  entry = tenon_model_find_entry(model.get(), wanted.c_str());
  if (!entry && options.entry.empty() && count == 1)
    entry = tenon_model_entry(model.get(), 0);
  for (size_t i = 0; i < count; ++i)
    names += (i ? ", " : "") + std::string(tenon_entry_name(tenon_model_entry(model.get(), i)));
  return entry ? "" : options.artifact + ": no entry '" + wanted + "'; it has: " + names;
}

/// Every name on the command line must be an input's.
std::string Runner::checkNames() const {
  size_t index;
  std::string error;
  for (const auto &[name, array] : files)
    if (error.empty())
      error = take(tenon_entry_find_input(entry, name.c_str(), &index));
  for (const auto &[name, dims] : options.shapes)
    if (error.empty())
      error = take(tenon_entry_find_input(entry, name.c_str(), &index));
  return error;
}

/// The rows of the smallest table an integer input indexes, as the compiler found it; 2 if none.
uint64_t Runner::rowsIndexedBy(const char *input) const {
  std::string wanted = std::string("index_rows/") + tenon_entry_name(entry) + "/" + input;
  const char *key, *value;
  for (size_t i = 0; tenon_model_metadata(model.get(), i, &key, &value); ++i)
    if (wanted == key)
      return std::max<uint64_t>(1, std::strtoull(value, nullptr, 10));
  return 2;
}

/// What this input's dims say of the model's.
void Runner::noteSizes(const tenon_tensor_info &info, const std::vector<int64_t> &dims) {
  for (uint32_t i = 0; i < info.rank && i < dims.size(); ++i)
    if (!std::isdigit(static_cast<unsigned char>(*info.dims[i])))
      sizes.emplace(info.dims[i], dims[i]);
}

/// The value of "128", "batch" or "past + 2 * step", if all its names are known.
static bool evaluate(const std::string &text, const std::map<std::string, int64_t> &sizes, int64_t &value) {
  value = 0;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(" + ", begin), text.size());
    int64_t product = 1;
    for (size_t first = begin; first <= end;) {
      size_t last = std::min(text.find(" * ", first), end);
      std::string factor = text.substr(first, last - first);
      char *rest;
      int64_t number = std::strtoll(factor.c_str(), &rest, 10);
      auto known = sizes.find(factor);
      if (factor.empty() || (*rest && known == sizes.end()))
        return false;
      product *= *rest ? known->second : number;
      first = last + 3;
    }
    value += product;
    begin = end + 3;
  }
  return true;
}

/// Those given, or what the other inputs' dims leave no choice about.
std::string Runner::chooseDims(const tenon_tensor_info &info, std::vector<int64_t> &dims) const {
  for (const auto &[name, given] : options.shapes)
    if (name == info.name) {
      dims = given;
      return "";
    }
  for (uint32_t i = 0; i < info.rank; ++i) {
    dims.emplace_back();
    if (!evaluate(info.dims[i], sizes, dims.back()))
      return std::string("input '") + info.name + "': its dimension " + std::to_string(i) + " is " + info.dims[i] +
             "; give --shape " + info.name + "=1x128 or --input " + info.name + "=FILE.npy";
  }
  return "";
}

std::string Runner::makeUp(const tenon_tensor_info &info, NpyArray &array) const {
  if (std::string error = chooseDims(info, array.dims); !error.empty())
    return error;
  array.dtype = info.dtype;
  size_t count = 1, bytes = tenon_dtype_bytes(info.dtype);
  for (int64_t dim : array.dims)
    count *= size_t(dim);
  array.bytes.resize(count * bytes);
  uint64_t state = 0x9e3779b97f4a7c15u, rows = rowsIndexedBy(info.name);
  for (size_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    float uniform = float(int32_t(state >> 32)) / 2147483648.0f;
    double wide = uniform;
    uint16_t half = uint16_t((state >> 48 & 0x8000) | 0x3800); // plus or minus a half
    uint16_t brain = uint16_t((state >> 48 & 0x8000) | 0x3f00);
    uint64_t whole = (state >> 33) % rows;
    const void *value = &whole; // little-endian: its low bytes are any integer type
    switch (info.dtype) {
    case TENON_F32:
      value = &uniform;
      break;
    case TENON_F64:
      value = &wide;
      break;
    case TENON_F16:
      value = &half;
      break;
    case TENON_BF16:
      value = &brain;
      break;
    default:
      break;
    }
    std::memcpy(array.bytes.data() + i * bytes, value, bytes);
  }
  return "";
}

std::string Runner::readFiles() {
  std::string error;
  for (const auto &[name, file] : options.inputs) {
    NpzArrays found;
    if (name.empty()) {
      error = readNpz(file, found);
    } else {
      found.emplace_back(name, NpyArray());
      error = readNpy(file, found.back().second);
    }
    if (!error.empty())
      return error;
    for (auto &[input, array] : found) {
      auto isSame = [&name = input](const auto &other) { return other.first == name; };
      if (std::any_of(files.begin(), files.end(), isSame))
        return "input '" + input + "' is given twice";
      files.emplace_back(input, std::move(array));
    }
  }
  return "";
}

std::string Runner::readInputs() {
  std::string error = readFiles();
  if (error.empty())
    error = checkNames();
  arrays.resize(tenon_entry_input_count(entry));
  for (size_t i = 0; i < arrays.size() && error.empty(); ++i) {
    tenon_tensor_info info;
    error = take(tenon_entry_input(entry, i, &info));
    for (const auto &[name, array] : files)
      if (error.empty() && name == info.name)
        noteSizes(info, array.dims);
    for (const auto &[name, dims] : options.shapes)
      if (error.empty() && name == info.name)
        noteSizes(info, dims);
  }
  for (size_t i = 0; i < arrays.size() && error.empty(); ++i) {
    tenon_tensor_info info;
    error = take(tenon_entry_input(entry, i, &info));
    auto named = std::find_if(files.begin(), files.end(), [&](const auto &each) { return each.first == info.name; });
    bool hasShape = std::any_of(options.shapes.begin(), options.shapes.end(),
                                [&](const auto &each) { return each.first == info.name; });
    if (named != files.end()) {
      arrays[i] = std::move(named->second);
    } else if (options.random || hasShape) {
      error = makeUp(info, arrays[i]);
    } else {
      error = std::string("input '") + info.name + "' is missing: give --input " + info.name +
              "=FILE.npy, or --random for made-up values";
    }
  }
  return error;
}

/// Where an input is bound from.
void *Runner::place(NpyArray &array) {
  void *memory = nullptr;
  if (options.alignInputs)
    memory = std::aligned_alloc(inputAlignment, (array.bytes.size() / inputAlignment + 1) * inputAlignment);
  if (!memory)
    return array.bytes.data();
  placed.emplace_back(memory);
  std::copy(array.bytes.begin(), array.bytes.end(), static_cast<uint8_t *>(memory));
  return memory;
}

std::string Runner::bindInputs() {
  for (size_t i = 0; i < arrays.size(); ++i) {
    tenon_tensor_info info;
    std::string error = take(tenon_entry_input(entry, i, &info));
    if (!error.empty())
      return error;
    tenon_tensor tensor = {asBits(info.dtype, arrays[i].dtype), uint32_t(arrays[i].dims.size()), arrays[i].dims.data(),
                           place(arrays[i])};
    error = take(tenon_session_bind_input(session.get(), entry, i, &tensor));
    if (!error.empty())
      return error;
  }
  return "";
}

std::string Runner::time() {
  for (uint32_t i = 0; i < options.warmup + options.repeat; ++i) {
    double taken;
    if (std::string error = runOnce(taken); !error.empty())
      return error;
    if (i >= options.warmup)
      seconds.push_back(taken);
  }
  return "";
}

std::string Runner::runOnce(double &seconds) {
  double start = now();
  std::string error = take(tenon_session_run(session.get(), entry));
  seconds = now() - start;
  return error.empty() && options.check ? options.check() : error;
}

/// One more run, so that recording is in none of the times.
std::string Runner::recordTrace() {
  constexpr size_t mostEvents = 1 << 16;
  std::string error = take(tenon_session_start_trace(session.get(), mostEvents));
  if (error.empty())
    error = take(tenon_session_run(session.get(), entry));
  return error.empty() ? take(tenon_session_write_trace(session.get(), options.trace.c_str())) : error;
}

std::string Runner::writeInputs(const std::string &folder) const {
  for (size_t i = 0; i < arrays.size(); ++i) {
    tenon_tensor_info info;
    std::string error = take(tenon_entry_input(entry, i, &info)), path;
    if (error.empty())
      error = npyPath(folder, info.name, path);
    NpyArray array = arrays[i];
    if (error.empty())
      error = writeNpy(path, {array.dtype, uint32_t(array.dims.size()), array.dims.data(), array.bytes.data()});
    if (!error.empty())
      return error;
  }
  return "";
}

std::string Runner::writeOutputs(const std::string &folder) const {
  for (size_t i = 0; i < tenon_entry_output_count(entry); ++i) {
    tenon_tensor_info info;
    tenon_tensor tensor;
    std::string error = take(tenon_entry_output(entry, i, &info)), path;
    if (error.empty())
      error = take(tenon_session_get_output(session.get(), entry, i, &tensor));
    if (error.empty())
      error = npyPath(folder, info.name, path);
    if (error.empty())
      error = writeNpy(path, tensor);
    if (!error.empty())
      return error;
    if (!options.quiet)
      std::fprintf(stderr, "wrote %s\n", path.c_str());
  }
  return "";
}

void Runner::printTimes() const {
  const char *level = tenon_model_level(model.get());
  unsigned threads = tenon_session_threads(session.get());
  if (options.json) {
    std::printf("{\"target\": \"%s\", \"threads\": %u, \"seconds\": [", level, threads);
    for (size_t i = 0; i < seconds.size(); ++i)
      std::printf("%s%.9f", i ? ", " : "", seconds[i]);
    std::printf("]}\n");
    return;
  }
  std::vector<double> sorted = seconds;
  std::sort(sorted.begin(), sorted.end());
  auto percentile = [&](double share) { return 1e3 * sorted[size_t(share * double(sorted.size() - 1) + 0.5)]; };
  if (!sorted.empty())
    std::printf("%s, %u threads, %zu runs: median %.3f ms, p90 %.3f ms, p99 %.3f ms, best %.3f ms\n", level, threads,
                sorted.size(), percentile(0.5), percentile(0.9), percentile(0.99), percentile(0));
}

std::string Runner::open() {
  std::string error = load();
  for (auto step : {&Runner::chooseEntry, &Runner::readInputs, &Runner::bindInputs})
    if (error.empty())
      error = (this->*step)();
  return error;
}

std::string Runner::run() {
  std::string error = open();
  if (error.empty())
    error = time();
  if (error.empty() && !options.outputFolder.empty())
    error = writeOutputs(options.outputFolder);
  if (error.empty())
    printTimes();
  if (error.empty() && !options.trace.empty())
    error = recordTrace();
  return error;
}

std::string runArtifact(const RunOptions &options) { return Runner(options).run(); }

ArtifactRun::ArtifactRun(const RunOptions &options) : runner(std::make_unique<Runner>(options)) {}
ArtifactRun::~ArtifactRun() = default;
std::string ArtifactRun::open() { return runner->open(); }
std::string ArtifactRun::runOnce(double &seconds) { return runner->runOnce(seconds); }
std::string ArtifactRun::writeInputs(const std::string &folder) const { return runner->writeInputs(folder); }
std::string ArtifactRun::writeOutputs(const std::string &folder) const { return runner->writeOutputs(folder); }
std::string ArtifactRun::level() const { return runner->level(); }
uint32_t ArtifactRun::threads() const { return runner->threads(); }

bool parseDims(const std::string &text, std::vector<int64_t> &dims) {
  dims.clear();
  const char *place = text.c_str();
  for (;;) {
    char *end;
    long long dim = std::strtoll(place, &end, 10);
    if (end == place || *place < '0' || *place > '9')
      return false;
    dims.push_back(dim);
    if (*end == 0)
      return true;
    if (*end != 'x')
      return false;
    place = end + 1;
  }
}

} // namespace tenon
