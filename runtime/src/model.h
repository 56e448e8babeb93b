//===- model.h - A loaded artifact ------------------------------*- C++ -*-===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Immutable once loaded, so any number of sessions and threads read it without
// locks. It is freed when its last holder (the caller or a session) lets go.
//
//===----------------------------------------------------------------------===//

#ifndef TENON_RUNTIME_MODEL_H
#define TENON_RUNTIME_MODEL_H

#include "runtime/src/artifact.h"
#include "runtime/src/cuda/program.h"
#include "runtime/src/elf_image.h"
#include "tenon/kernel_abi.h"

#include <atomic>
#include <deque>

/// An entry's signature, with its dims as text.
struct tenon_entry {
  const tenon_model *model = nullptr;
  uint32_t index = 0;
  tenon::format::EntryRecord record{};
  struct Tensor {
    tenon_tensor_info info{};
    std::vector<std::string> dims;
    std::vector<const char *> dimPointers;
  };
  std::deque<Tensor> inputs;
  std::deque<Tensor> outputs;
};

struct tenon_model {
  tenon::Artifact artifact;
  const tenon_linked_program *linked = nullptr; ///< where the kernels are, if not in the artifact
  const tenon::format::LevelRecord *level = nullptr;
  tenon::MappedCode code;
  std::vector<tenon_kernel_fn> kernels;
  std::unique_ptr<tenon::cuda::Program> gpu; ///< instead of code and kernels, if the level is a GPU's
  std::deque<tenon_entry> entries;
  mutable std::atomic<uint32_t> holders{1};

  const tenon::Tables &tables() const { return artifact.tables; }
  const char *string(tenon::format::StringRef ref) const { return artifact.tables.string(ref); }
  const char *levelName() const { return string(level->name); }
};

namespace tenon {

/// Steps after the bytes are there: check, choose a level, map its code.
Status loadModel(tenon_model &model, const tenon_model_options &options);

} // namespace tenon

#endif // TENON_RUNTIME_MODEL_H
