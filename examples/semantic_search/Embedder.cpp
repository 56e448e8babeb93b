//===- Embedder.cpp - Sentence vectors from a .tenon artifact -------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "Embedder.h"

using namespace semantic_search;

/// True when `status` is success; otherwise takes its message.
static bool succeeded(tenon_status *status, std::string &error) {
  if (!status)
    return true;
  error = tenon_status_message(status);
  tenon_status_free(status);
  return false;
}

std::optional<Embedder> Embedder::load(const std::string &path, uint32_t threads, std::string &error) {
  Embedder embedder;
  tenon_model *model = nullptr;
  if (!succeeded(tenon_model_load_file(path.c_str(), nullptr, &model), error))
    return std::nullopt;
  embedder.model.reset(model);

  tenon_session_options options = {};
  options.struct_bytes = sizeof(options);
  options.threads = threads;
  tenon_session *session = nullptr;
  if (!succeeded(tenon_session_create(model, &options, &session), error))
    return std::nullopt;
  embedder.session.reset(session);

  embedder.entry = tenon_model_entry(model, 0);
  if (!embedder.entry) {
    error = path + ": wanted an entry point, found none";
    return std::nullopt;
  }
  if (!embedder.findInputs(error) || !embedder.findOutput(error)) {
    error = path + ": " + error;
    return std::nullopt;
  }
  return embedder;
}

bool Embedder::findInputs(std::string &error) {
  for (size_t i = 0; i < tenon_entry_input_count(entry); ++i) {
    tenon_tensor_info info;
    if (!succeeded(tenon_entry_input(entry, i, &info), error))
      return false;
    std::string name = info.name;
    if (info.dtype != TENON_I64 || info.rank != 2) {
      error = "input '" + name + "': wanted i64 of rank 2, found " + tenon_dtype_name(info.dtype) + " of rank " +
              std::to_string(info.rank);
      return false;
    }
    if (name == "input_ids") {
      feeds.push_back(Feed::Ids);
    } else if (name == "attention_mask") {
      feeds.push_back(Feed::Ones);
    } else if (name == "token_type_ids") {
      feeds.push_back(Feed::Zeros);
    } else {
      error = "wanted inputs input_ids, attention_mask, token_type_ids, found '" + name + "'";
      return false;
    }
  }
  return true;
}

bool Embedder::findOutput(std::string &error) {
  size_t count = tenon_entry_output_count(entry);
  for (size_t i = 0; i < count; ++i) {
    tenon_tensor_info info;
    if (!succeeded(tenon_entry_output(entry, i, &info), error))
      return false;
    bool fits = info.dtype == TENON_F32 && info.rank == 2;
    if (fits && (count == 1 || std::string(info.name) == "sentence_embedding")) {
      output = i;
      return true;
    }
  }
  error = "wanted an output sentence_embedding of f32 and rank 2, found none among " + std::to_string(count);
  return false;
}

std::optional<std::vector<float>> Embedder::embed(std::vector<int64_t> ids, std::string &error) {
  int64_t dims[2] = {1, static_cast<int64_t>(ids.size())};
  std::vector<int64_t> ones(ids.size(), 1), zeros(ids.size(), 0);
  for (size_t i = 0; i < feeds.size(); ++i) {
    std::vector<int64_t> &data = feeds[i] == Feed::Ids ? ids : feeds[i] == Feed::Ones ? ones : zeros;
    tenon_tensor tensor = {TENON_I64, 2, dims, data.data()};
    if (!succeeded(tenon_session_bind_input(session.get(), entry, i, &tensor), error))
      return std::nullopt;
  }
  if (!succeeded(tenon_session_run(session.get(), entry), error))
    return std::nullopt;
  tenon_tensor result;
  if (!succeeded(tenon_session_get_output(session.get(), entry, output, &result), error))
    return std::nullopt;
  const float *values = static_cast<const float *>(result.data);
  return std::vector<float>(values, values + result.dims[1]);
}
