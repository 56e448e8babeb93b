//===- tenon.cpp - The C interface ----------------------------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Checks what a caller can get wrong in the call itself, and hands on.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/model.h"
#include "runtime/src/session.h"
#include "runtime/src/shape.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

#ifndef TENON_VERSION
#error "the build defines TENON_VERSION"
#endif

using namespace tenon;

/// Options of any version: what the caller's struct has, the rest zero.
template <typename Options> static Options readOptions(const Options *given) {
  Options options{};
  if (given)
    std::memcpy(&options, given, std::min(given->struct_bytes, sizeof(options)));
  return options;
}

static Status nullArgument(const char *function) {
  return failure(TENON_INVALID_ARGUMENT, "%s: a null pointer where none may be", function);
}

static Status indexTooLarge(const char *what, size_t index, size_t count, const char *entry) {
  return failure(TENON_INVALID_ARGUMENT, "%s %zu: entry %s has %zu", what, index, entry, count);
}

extern "C" {

const char *tenon_version(void) { return TENON_VERSION; }

const char *tenon_dtype_name(tenon_dtype dtype) { return format::dataTypeName(format::DataType(dtype)); }
size_t tenon_dtype_bytes(tenon_dtype dtype) { return format::elementBytes(format::DataType(dtype)); }

//===- Models -------------------------------------------------------------===//

tenon_status *tenon_model_load_file(const char *path, const tenon_model_options *options, tenon_model **model) {
  if (!path || !model)
    return nullArgument(__func__).release();
  *model = nullptr;
  auto loading = std::make_unique<tenon_model>();
  if (Status failed = loading->artifact.bytes.mapFile(path))
    return failed.release();
  if (Status failed = loadModel(*loading, readOptions(options)))
    return failed.release();
  *model = loading.release();
  return nullptr;
}

tenon_status *tenon_model_load_memory(const void *data, size_t bytes, const tenon_model_options *options,
                                      tenon_model **model) {
  if (!data || !model)
    return nullArgument(__func__).release();
  *model = nullptr;
  auto loading = std::make_unique<tenon_model>();
  if (Status failed = loading->artifact.bytes.useMemory(data, bytes))
    return failed.release();
  if (Status failed = loadModel(*loading, readOptions(options)))
    return failed.release();
  *model = loading.release();
  return nullptr;
}

tenon_status *tenon_model_load_linked(const tenon_linked_program *program, const tenon_model_options *options,
                                      tenon_model **model) {
  if (!program || !model)
    return nullArgument(__func__).release();
  *model = nullptr;
  tenon_model_options chosen = readOptions(options);
  if (chosen.level && std::strcmp(chosen.level, program->level) != 0)
    return failure(TENON_NOT_FOUND, "the linked program: wanted level %s, it has: %s", chosen.level, program->level)
        .release();
  chosen.level = program->level;
  auto loading = std::make_unique<tenon_model>();
  loading->linked = program;
  if (Status failed = loading->artifact.bytes.useMemory(program->artifact, program->artifact_bytes))
    return failed.release();
  if (Status failed = loadModel(*loading, chosen))
    return failed.release();
  *model = loading.release();
  return nullptr;
}

void tenon_model_release(tenon_model *model) {
  if (model && model->holders.fetch_sub(1) == 1)
    delete model;
}

const char *tenon_model_level(const tenon_model *model) { return model->levelName(); }
uint64_t tenon_model_weight_bytes(const tenon_model *model) { return model->tables().weightDataBytes; }

size_t tenon_model_metadata_count(const tenon_model *model) { return model->tables().metadata.size(); }

int tenon_model_metadata(const tenon_model *model, size_t index, const char **key, const char **value) {
  const Tables &tables = model->tables();
  if (index >= tables.metadata.size())
    return 0;
  *key = tables.string(tables.metadata[index].key);
  *value = tables.string(tables.metadata[index].value);
  return 1;
}

size_t tenon_model_entry_count(const tenon_model *model) { return model->entries.size(); }

const tenon_entry *tenon_model_entry(const tenon_model *model, size_t index) {
  return index < model->entries.size() ? &model->entries[index] : nullptr;
}

const tenon_entry *tenon_model_find_entry(const tenon_model *model, const char *name) {
  for (const tenon_entry &entry : model->entries)
    if (name && std::strcmp(tenon_entry_name(&entry), name) == 0)
      return &entry;
  return nullptr;
}

//===- Entries ------------------------------------------------------------===//

const char *tenon_entry_name(const tenon_entry *entry) { return entry->model->string(entry->record.name); }
size_t tenon_entry_input_count(const tenon_entry *entry) { return entry->inputs.size(); }
size_t tenon_entry_output_count(const tenon_entry *entry) { return entry->outputs.size(); }

tenon_status *tenon_entry_input(const tenon_entry *entry, size_t index, tenon_tensor_info *info) {
  if (!entry || !info)
    return nullArgument(__func__).release();
  if (index >= entry->inputs.size())
    return indexTooLarge("input", index, entry->inputs.size(), tenon_entry_name(entry)).release();
  *info = entry->inputs[index].info;
  return nullptr;
}

tenon_status *tenon_entry_output(const tenon_entry *entry, size_t index, tenon_tensor_info *info) {
  if (!entry || !info)
    return nullArgument(__func__).release();
  if (index >= entry->outputs.size())
    return indexTooLarge("output", index, entry->outputs.size(), tenon_entry_name(entry)).release();
  *info = entry->outputs[index].info;
  return nullptr;
}

static Status findTensor(const tenon_entry &entry, const std::deque<tenon_entry::Tensor> &tensors, const char *what,
                         const char *name, size_t *index) {
  std::string names;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (std::strcmp(tensors[i].info.name, name) == 0) {
      *index = i;
      return nullptr;
    }
    names += (names.empty() ? "" : ", ") + std::string(tensors[i].info.name);
  }
  return failure(TENON_NOT_FOUND, "entry %s has no %s '%s'; it has: %s", tenon_entry_name(&entry), what, name,
                 names.empty() ? "none" : names.c_str());
}

tenon_status *tenon_entry_find_input(const tenon_entry *entry, const char *name, size_t *index) {
  if (!entry || !name || !index)
    return nullArgument(__func__).release();
  return findTensor(*entry, entry->inputs, "input", name, index).release();
}

tenon_status *tenon_entry_find_output(const tenon_entry *entry, const char *name, size_t *index) {
  if (!entry || !name || !index)
    return nullArgument(__func__).release();
  return findTensor(*entry, entry->outputs, "output", name, index).release();
}

tenon_status *tenon_entry_output_dims(const tenon_entry *entry, const int64_t *const *input_dims, size_t index,
                                      int64_t *dims) {
  if (!entry || (!input_dims && !entry->inputs.empty()) || !dims)
    return nullArgument(__func__).release();
  if (index >= entry->outputs.size())
    return indexTooLarge("output", index, entry->outputs.size(), tenon_entry_name(entry)).release();
  std::vector<int64_t> symbols;
  if (Status failed = bindSymbols(*entry, keptAtFirst(entry->model->tables()), input_dims, symbols))
    return failed.release();
  uint64_t bytes;
  return tensorDims(*entry, entry->record.outputs.first + uint32_t(index), symbols, dims, bytes).release();
}

//===- Sessions -----------------------------------------------------------===//

tenon_status *tenon_session_create(tenon_model *model, const tenon_session_options *given, tenon_session **session) {
  if (!model || !session)
    return nullArgument(__func__).release();
  *session = nullptr;
  tenon_session_options options = readOptions(given);
  constexpr uint32_t mostThreads = 1024;
  uint32_t threads = options.executor ? options.executor->threads : options.threads;
  if (threads > mostThreads || (options.executor && (threads == 0 || !options.executor->parallel_for)))
    return failure(TENON_INVALID_ARGUMENT, "a session takes 1 to %u threads, found %u", mostThreads, threads).release();
  if (options.allocator && (!options.allocator->allocate || !options.allocator->deallocate))
    return nullArgument("tenon_allocator").release();
  auto made = std::make_unique<tenon_session>(*model, options);
  if (Status failed = made->prepare())
    return failed.release();
  *session = made.release();
  return nullptr;
}

void tenon_session_release(tenon_session *session) { delete session; }

/// Whether the call can go on: the session is free, the entry its model's.
static Status admit(const tenon_session *session, const Claim &claim, const tenon_entry *entry) {
  if (!claim)
    return failure(TENON_BUSY, "the session is in use by another thread; give each thread its own");
  if (entry && entry->model != &session->model)
    return failure(TENON_INVALID_ARGUMENT, "entry %s is another model's", tenon_entry_name(entry));
  return nullptr;
}

tenon_status *tenon_session_bind_input(tenon_session *session, const tenon_entry *entry, size_t index,
                                       const tenon_tensor *tensor) {
  if (!session || !entry || !tensor)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, entry))
    return failed.release();
  if (index >= entry->inputs.size())
    return indexTooLarge("input", index, entry->inputs.size(), tenon_entry_name(entry)).release();
  return session->bindInput(*entry, index, *tensor).release();
}

tenon_status *tenon_session_bind_output(tenon_session *session, const tenon_entry *entry, size_t index, void *data,
                                        size_t bytes) {
  if (!session || !entry)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, entry))
    return failed.release();
  if (index >= entry->outputs.size())
    return indexTooLarge("output", index, entry->outputs.size(), tenon_entry_name(entry)).release();
  return session->bindOutput(*entry, index, data, bytes).release();
}

tenon_status *tenon_session_run(tenon_session *session, const tenon_entry *entry) {
  if (!session || !entry)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, entry))
    return failed.release();
  return session->run(*entry).release();
}

tenon_status *tenon_session_get_output(tenon_session *session, const tenon_entry *entry, size_t index,
                                       tenon_tensor *tensor) {
  if (!session || !entry || !tensor)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, entry))
    return failed.release();
  if (index >= entry->outputs.size())
    return indexTooLarge("output", index, entry->outputs.size(), tenon_entry_name(entry)).release();
  return session->getOutput(*entry, index, *tensor).release();
}

tenon_status *tenon_session_reserve(tenon_session *session, const tenon_entry *entry,
                                    const int64_t *const *input_dims) {
  if (!session || !entry || (!input_dims && !entry->inputs.empty()))
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, entry))
    return failed.release();
  return session->reserve(*entry, input_dims).release();
}

tenon_status *tenon_session_reset_states(tenon_session *session) {
  if (!session)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, nullptr))
    return failed.release();
  return session->resetStates().release();
}

tenon_status *tenon_session_get_state(tenon_session *session, const char *name, void **data, size_t *bytes) {
  if (!session || !name || !data || !bytes)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, nullptr))
    return failed.release();
  return session->getState(name, data, bytes).release();
}

tenon_status *tenon_session_get_kept(tenon_session *session, const char *name, int64_t *value) {
  if (!session || !name || !value)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, nullptr))
    return failed.release();
  return session->getKept(name, value).release();
}

tenon_status *tenon_session_set_kept(tenon_session *session, const char *name, int64_t value) {
  if (!session || !name)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, nullptr))
    return failed.release();
  return session->setKept(name, value).release();
}

void tenon_session_cancel(tenon_session *session) {
  if (session)
    session->cancelled.store(true);
}

uint32_t tenon_session_threads(const tenon_session *session) { return session->threads(); }
uint64_t tenon_session_memory(const tenon_session *session) { return session->memoryBytes(); }

tenon_status *tenon_session_start_trace(tenon_session *session, size_t max_events) {
  if (!session)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, nullptr))
    return failed.release();
  session->trace.start(session->threads(), max_events);
  return nullptr;
}

tenon_status *tenon_session_write_trace(tenon_session *session, const char *path) {
  if (!session || !path)
    return nullArgument(__func__).release();
  Claim claim(*session);
  if (Status failed = admit(session, claim, nullptr))
    return failed.release();
  return session->trace.write(path).release();
}

} // extern "C"
