//===- Embedder.h - Sentence vectors from a .tenon artifact -----*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// All there is to using the runtime's C interface: load, bind, run, read.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_EXAMPLES_SEMANTIC_SEARCH_EMBEDDER_H
#define TENON_EXAMPLES_SEMANTIC_SEARCH_EMBEDDER_H

#include "tenon/tenon.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace semantic_search {

class Embedder {
public:
  /// Loads an artifact whose first entry point takes int64 token ids of shape
  /// [batch, sequence] and gives one float32 vector per batch element.
  /// `threads` 0: as many as the process may use. On failure, like all below,
  /// returns nothing and says why in `error`.
  static std::optional<Embedder> load(const std::string &path, uint32_t threads, std::string &error);

  /// The vector of one sentence.
  std::optional<std::vector<float>> embed(std::vector<int64_t> ids, std::string &error);

  std::string level() const { return tenon_model_level(model.get()); }
  uint32_t threads() const { return tenon_session_threads(session.get()); }

private:
  struct Release {
    void operator()(tenon_model *model) const { tenon_model_release(model); }
    void operator()(tenon_session *session) const { tenon_session_release(session); }
  };
  /// What an input of the model is fed with.
  enum class Feed { Ids, Ones, Zeros };

  bool findInputs(std::string &error);
  bool findOutput(std::string &error);

  std::unique_ptr<tenon_model, Release> model;
  std::unique_ptr<tenon_session, Release> session;
  const tenon_entry *entry = nullptr;
  std::vector<Feed> feeds; ///< One per input.
  size_t output = 0;
};

} // namespace semantic_search

#endif // TENON_EXAMPLES_SEMANTIC_SEARCH_EMBEDDER_H
