//===- OnnxReaderFuzzer.cpp - Any bytes as an ONNX file -------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//
//
// Whatever the bytes, the reader returns a model or a message. A model keeps
// what Model.h promises: data as long as the dims say. Three changes in four are
// of a message, the others of bytes.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/reader/Model.h"
#include "tests/fuzz/MutateMessage.h"

#include <cstdlib>
#include <cstring>

using namespace tenon;
using namespace tenon::onnx_reader;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  std::mt19937 random(seed);
  std::optional<std::string> changed;
  if (seed % 4 != 0)
    changed = mutateMessage({reinterpret_cast<const char *>(data), size}, random);
  for (unsigned more = seed / 4 % 3; changed && more > 0; --more)
    if (std::optional<std::string> again = mutateMessage(*changed, random))
      changed = std::move(again);
  if (!changed || changed->size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::memcpy(data, changed->data(), changed->size());
  return changed->size();
}

static void check(const Tensor &tensor) {
  uint64_t bits = static_cast<uint64_t>(tensor.elementCount) * bitsOf(tensor.type);
  if (tensor.data.size() != (bits + 7) / 8)
    std::abort();
  if (tensor.type == ElementType::String && tensor.strings.size() != static_cast<uint64_t>(tensor.elementCount))
    std::abort();
  // Every byte must be readable.
  unsigned sum = 0;
  for (size_t i = 0; i < tensor.data.size(); ++i)
    sum += tensor.data.data()[i];
  [[maybe_unused]] volatile unsigned kept = sum;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<Model> model = readModel(Bytes::borrow(data, size), "fuzz.onnx");
  if (!model) {
    if (model.error().message.empty())
      std::abort();
    return 0;
  }
  for (const Tensor &tensor : model->graph.initializers)
    check(tensor);
  for (const Node &node : model->graph.nodes)
    for (const Attribute &attribute : node.attributes)
      if (const Tensor *tensor = std::get_if<Tensor>(&attribute.value))
        check(*tensor);
  return 0;
}
