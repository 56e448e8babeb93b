//===- RunInMemory.cpp - an artifact in memory on the interpreter's arrays -------------===//
#include "compiler/tools/RunInMemory.h"
#include "compiler/driver/Diagnostics.h"
#include "runtime/tools/npy.h"
#include "tenon/tenon.h"
#include "mlir/IR/BuiltinTypes.h"

namespace tenon {

static constexpr std::pair<DType, tenon_dtype> types[] = {
    {DType::F64, TENON_F64}, {DType::F32, TENON_F32}, {DType::F16, TENON_F16}, {DType::BF16, TENON_BF16},
    {DType::Bool, TENON_BOOL}, {DType::I8, TENON_I8}, {DType::I16, TENON_I16}, {DType::I32, TENON_I32},
    {DType::I64, TENON_I64}, {DType::U8, TENON_U8}, {DType::U16, TENON_U16}, {DType::U32, TENON_U32},
    {DType::U64, TENON_U64}};

static tenon_dtype runtimeType(DType dtype) {
  return llvm::find_if(types, [&](auto pair) { return pair.first == dtype; })->second;
}

static DType arrayType(tenon_dtype dtype) {
  return llvm::find_if(types, [&](auto pair) { return pair.second == dtype; })->first;
}

std::optional<DType> arrayTypeOf(mlir::Type element) {
  if (element.isF64())
    return DType::F64;
  if (element.isF32())
    return DType::F32;
  if (element.isF16())
    return DType::F16;
  if (element.isBF16())
    return DType::BF16;
  auto integer = mlir::dyn_cast<mlir::IntegerType>(element);
  if (!integer)
    return std::nullopt;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return DType::Bool;
  case 8:
    return isUnsigned ? DType::U8 : DType::I8;
  case 16:
    return isUnsigned ? DType::U16 : DType::I16;
  case 32:
    return isUnsigned ? DType::U32 : DType::I32;
  case 64:
    return isUnsigned ? DType::U64 : DType::I64;
  }
  return std::nullopt;
}

namespace {
struct Handles {
  tenon_model *model = nullptr;
  tenon_session *session = nullptr;
  ~Handles() {
    tenon_session_release(session);
    tenon_model_release(model);
  }
};
} // namespace

static llvm::Error toError(tenon_status *status) {
  llvm::Error error = makeError(tenon_status_message(status));
  tenon_status_free(status);
  return error;
}

llvm::Expected<Array> readArray(const std::string &file) {
  NpyArray array;
  if (std::string error = readNpy(file, array); !error.empty())
    return makeError(error);
  return Array::fromBytes(arrayType(array.dtype), array.dims, std::as_bytes(std::span(array.bytes)));
}

llvm::Expected<std::vector<Array>> runInMemory(const ArtifactBytes &artifact, const std::string &entryName,
                                               const std::vector<Array> &inputs, uint32_t threads) {
  Handles handles;
  if (tenon_status *status = tenon_model_load_memory(artifact.data(), artifact.size(), nullptr, &handles.model))
    return toError(status);
  tenon_session_options options{};
  options.struct_bytes = sizeof options;
  options.threads = threads;
  if (tenon_status *status = tenon_session_create(handles.model, &options, &handles.session))
    return toError(status);
  const tenon_entry *entry = tenon_model_find_entry(handles.model, entryName.c_str());
  std::vector<std::vector<std::byte>> bytes;
  for (auto [index, input] : llvm::enumerate(inputs)) {
    bytes.push_back(input.toBytes());
    tenon_tensor tensor{runtimeType(input.dtype), uint32_t(input.shape.size()), input.shape.data(),
                        bytes.back().data()};
    if (tenon_status *status = tenon_session_bind_input(handles.session, entry, index, &tensor))
      return toError(status);
  }
  if (tenon_status *status = tenon_session_run(handles.session, entry))
    return toError(status);
  std::vector<Array> outputs;
  for (size_t index = 0; index < tenon_entry_output_count(entry); ++index) {
    tenon_tensor tensor;
    if (tenon_status *status = tenon_session_get_output(handles.session, entry, index, &tensor))
      return toError(status);
    std::vector<int64_t> shape(tensor.dims, tensor.dims + tensor.rank);
    size_t count = size_t(countOf(shape)) * tenon_dtype_bytes(tensor.dtype);
    auto *data = static_cast<const std::byte *>(tensor.data);
    outputs.push_back(Array::fromBytes(arrayType(tensor.dtype), shape, std::span(data, count)));
  }
  return outputs;
}

} // namespace tenon
