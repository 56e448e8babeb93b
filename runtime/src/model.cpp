//===- model.cpp - A loaded artifact --------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/model.h"
#include "runtime/src/cpu.h"
#include "runtime/src/dim.h"
#include "runtime/src/target.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <unistd.h>

namespace tenon {

using namespace format;

namespace {

class Loader {
public:
  Loader(tenon_model &model, const tenon_model_options &options)
      : model(model), options(options), t(model.artifact.tables) {}

  Status run();

private:
  Status chooseLevel();
  /// What this machine lacks for a level, by comma; empty if it has it. Kernels linked beside a GPU's level are functions
  /// of this machine.
  std::string lacking(const LevelRecord &level) const {
    return model.linked && level.machine == machineCuda ? "" : lacks(level.machine, t.string(level.features));
  }
  std::string listLevels() const;
  Status refuse() const;
  Status mapCode();
  Status loadOntoGpu();
  void describeEntries();
  void describeTensors(Range tensors, std::deque<tenon_entry::Tensor> &described);
  void writePerfMap() const;
  void log(const std::string &message) const {
    if (options.log)
      options.log(options.log_user, TENON_LOG_INFO, message.c_str());
  }

  tenon_model &model;
  const tenon_model_options &options;
  const Tables &t;
};

} // namespace

std::string Loader::listLevels() const {
  std::string list;
  for (const LevelRecord &level : t.levels) {
    std::string lacks = lacking(level);
    list += (list.empty() ? "" : "; ") + std::string(t.string(level.name)) +
            (lacks.empty() ? " (this machine has it)" : " (lacks " + lacks + ")");
  }
  return list.empty() ? "none" : list;
}

/// Why none of the levels that may be taken can be.
Status Loader::refuse() const {
  const char *name = model.artifact.bytes.name().c_str();
  std::string others, missing;
  bool found = !options.level;
  for (const LevelRecord &level : t.levels) {
    bool isWanted = options.level && std::strcmp(t.string(level.name), options.level) == 0;
    if (isWanted && level.machine == machineCuda)
      missing = whatIsLacking(level.machine, t.string(level.features));
    else if (options.level && lacking(level).empty())
      others += (others.empty() ? "" : ", ") + std::string(t.string(level.name));
    found |= isWanted;
  }
  if (!found)
    return failure(TENON_NOT_FOUND, "%s: wanted level %s, the artifact has: %s", name, options.level,
                   listLevels().c_str());
  if (!missing.empty() && !others.empty())
    return failure(TENON_UNSUPPORTED, "%s: %s: %s, artifact also carries %s: use --target", name, options.level,
                   missing.c_str(), others.c_str());
  return failure(TENON_UNSUPPORTED, "%s: this machine (%s) cannot run %s; the artifact has: %s", name,
                 machineName(hostMachine()).c_str(), options.level ? options.level : "any of its levels",
                 listLevels().c_str());
}

Status Loader::chooseLevel() {
  const char *name = model.artifact.bytes.name().c_str();
  const LevelRecord *best = nullptr;
  for (const LevelRecord &level : t.levels) {
    if (options.level && std::strcmp(t.string(level.name), options.level) != 0)
      continue;
    if (lacking(level).empty() && (!best || level.rank > best->rank))
      best = &level;
  }
  if (!best)
    return refuse();
  if (std::strstr(t.string(best->features), "amx-") && !requestAmx())
    return failure(TENON_UNSUPPORTED, "%s: level %s needs AMX tiles, and the system refuses them to this process", name,
                   t.string(best->name));
  model.level = best;
  log(text("%s: level %s of %s", name, t.string(best->name), listLevels().c_str()));
  return nullptr;
}

Status Loader::loadOntoGpu() {
  model.gpu = std::make_unique<cuda::Program>();
  std::string note;
  if (Status failed = model.gpu->load(model, note)) {
    failed->message = model.artifact.bytes.name() + ": " + failed->message;
    return failed;
  }
  log(model.artifact.bytes.name() + ": " + note);
  return nullptr;
}

Status Loader::mapCode() {
  if (const tenon_linked_program *linked = model.linked) {
    if (linked->kernel_count != model.level->kernelCode.count)
      return failure(TENON_BAD_ARTIFACT, "%s: wanted %u kernels beside it, found %zu",
                     model.artifact.bytes.name().c_str(), model.level->kernelCode.count, linked->kernel_count);
    model.kernels.assign(linked->kernels, linked->kernels + linked->kernel_count);
    return nullptr;
  }
  if (model.level->machine == machineCuda)
    return loadOntoGpu();
  ElfImage image;
  std::string reason;
  image.read(model.artifact.image(*model.level), model.level->bytes, model.level->machine, reason); // checked before
  if (Status failed = model.code.map(image))
    return failed;
  for (uint32_t i = 0; i < model.level->kernelCode.count; ++i) {
    const uint8_t *address = model.code.at(t.kernelCode[model.level->kernelCode.first + i].address);
    model.kernels.push_back(reinterpret_cast<tenon_kernel_fn>(reinterpret_cast<uintptr_t>(address)));
  }
  const char *wanted = std::getenv("TENON_PERF_MAP");
  if (wanted && std::strcmp(wanted, "1") == 0)
    writePerfMap();
  return nullptr;
}

/// Lines "address size name" where perf looks for code it has no file for. A
/// kernel is taken to reach to the next one.
void Loader::writePerfMap() const {
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(text("/tmp/perf-%d.map", int(::getpid())).c_str(), "ae"),
                                              std::fclose);
  if (!file)
    return;
  std::vector<std::pair<uintptr_t, const char *>> kernels;
  for (size_t i = 0; i < model.kernels.size(); ++i)
    kernels.push_back({reinterpret_cast<uintptr_t>(model.kernels[i]), t.string(t.kernels[i].name)});
  std::sort(kernels.begin(), kernels.end());
  constexpr uintptr_t lastBytes = 4096;
  for (size_t i = 0; i < kernels.size(); ++i) {
    uintptr_t end = i + 1 < kernels.size() ? kernels[i + 1].first : kernels[i].first + lastBytes;
    std::fprintf(file.get(), "%" PRIxPTR " %" PRIxPTR " tenon %s\n", kernels[i].first, end - kernels[i].first,
                 kernels[i].second);
  }
}

void Loader::describeTensors(Range tensors, std::deque<tenon_entry::Tensor> &described) {
  for (uint32_t i = 0; i < tensors.count; ++i) {
    const TensorRecord &record = t.tensors[tensors.first + i];
    tenon_entry::Tensor &tensor = described.emplace_back();
    for (uint32_t d = 0; d < record.dims.count; ++d)
      tensor.dims.push_back(print(t, t.indices[record.dims.first + d]));
    for (const std::string &dim : tensor.dims)
      tensor.dimPointers.push_back(dim.c_str());
    tensor.info = {t.string(record.name), tenon_dtype(record.dataType), record.dims.count, tensor.dimPointers.data()};
  }
}

void Loader::describeEntries() {
  for (uint32_t i = 0; i < t.entries.size(); ++i) {
    tenon_entry &entry = model.entries.emplace_back();
    entry.model = &model;
    entry.index = i;
    entry.record = t.entries[i];
    describeTensors(entry.record.inputs, entry.inputs);
    describeTensors(entry.record.outputs, entry.outputs);
  }
}

Status Loader::run() {
  if (Status failed = model.artifact.open(options.threads))
    return failed;
  if (Status failed = chooseLevel())
    return failed;
  if (Status failed = mapCode())
    return failed;
  describeEntries();
  return nullptr;
}

Status loadModel(tenon_model &model, const tenon_model_options &options) { return Loader(model, options).run(); }

} // namespace tenon
