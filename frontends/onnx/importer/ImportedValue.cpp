//===- ImportedValue.cpp - elements of constants, element types --------------------===//
#include "frontends/onnx/importer/ImportedValue.h"
#include "frontends/onnx/importer/StorageTypes.h"

#include <cstring>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

std::optional<SmallVector<int64_t>> Sizes::constants() const {
  SmallVector<int64_t> result;
  for (const Dim &element : elements) {
    if (!element.isConstant())
      return std::nullopt;
    result.push_back(*element.constant());
  }
  return result;
}

bool onnx_importer::isFloat(ElementType type) {
  return type == ElementType::Float32 || type == ElementType::Float64 || type == ElementType::Float16 ||
         type == ElementType::BFloat16;
}

Sign onnx_importer::signOf(ElementType type) {
  switch (type) {
  case ElementType::UInt8:
  case ElementType::UInt16:
  case ElementType::UInt32:
  case ElementType::UInt64:
  case ElementType::Bool:
    return Sign::Unsigned;
  default: // The bits of storage types are no number.
    return isStorage(type) ? Sign::Unsigned : Sign::Signed;
  }
}

Type onnx_importer::typeOf(ElementType type, MLIRContext *context) {
  Builder builder(context);
  switch (type) {
  case ElementType::Float32:
    return builder.getF32Type();
  case ElementType::Float64:
    return builder.getF64Type();
  case ElementType::Float16:
    return builder.getF16Type();
  case ElementType::BFloat16:
    return builder.getBF16Type();
  case ElementType::Bool:
    return builder.getI1Type();
  case ElementType::Int8:
  case ElementType::UInt8:
  case ElementType::Int16:
  case ElementType::UInt16:
  case ElementType::Int32:
  case ElementType::UInt32:
  case ElementType::Int64:
  case ElementType::UInt64:
    return builder.getIntegerType(onnx_reader::bitsOf(type));
  default:
    return isStorage(type) ? Type(builder.getI8Type()) : Type();
  }
}

std::string onnx_importer::insteadOfType(ElementType type) {
  if (type == ElementType::String)
    return "; export the model from its token ids on, and make them from text in the application";
  if (type == ElementType::Complex64 || type == ElementType::Complex128)
    return "; export the model with complex numbers as pairs (torch.view_as_real)";
  return "";
}

ElementType onnx_importer::elementTypeOf(Type type) {
  if (type.isF64())
    return ElementType::Float64;
  if (type.isF16())
    return ElementType::Float16;
  if (type.isBF16())
    return ElementType::BFloat16;
  if (isa<FloatType>(type))
    return ElementType::Float32;
  switch (type.getIntOrFloatBitWidth()) {
  case 1:
    return ElementType::Bool;
  case 8:
    return ElementType::Int8;
  case 16:
    return ElementType::Int16;
  case 32:
    return ElementType::Int32;
  default:
    return ElementType::Int64;
  }
}

uint64_t onnx_importer::bitsAt(const onnx_reader::Tensor &tensor, int64_t index) {
  uint64_t bits = 0;
  unsigned width = onnx_reader::bitsOf(tensor.type);
  if (width < 8) {
    unsigned perByte = 8 / width;
    return (tensor.data.data()[index / perByte] >> (index % perByte * width)) & ((1u << width) - 1);
  }
  size_t bytes = onnx_reader::bitsOf(tensor.type) / 8;
  std::memcpy(&bits, tensor.data.data() + index * bytes, bytes);
  return bits;
}

int64_t onnx_importer::integerAt(const onnx_reader::Tensor &tensor, int64_t index) {
  uint64_t bits = bitsAt(tensor, index);
  if (tensor.type == ElementType::Bool)
    return bits != 0;
  if (signOf(tensor.type) == Sign::Unsigned || isStorage(tensor.type))
    return static_cast<int64_t>(bits);
  return llvm::SignExtend64(bits, onnx_reader::bitsOf(tensor.type));
}

TypedAttr onnx_importer::elementAt(const onnx_reader::Tensor &tensor, int64_t index, Type type) {
  if (auto real = dyn_cast<FloatType>(type)) {
    APInt bits(real.getWidth(), bitsAt(tensor, index));
    return FloatAttr::get(real, APFloat(real.getFloatSemantics(), bits));
  }
  APInt value(64, static_cast<uint64_t>(integerAt(tensor, index)), /*isSigned=*/true);
  return IntegerAttr::get(type, value.sextOrTrunc(type.getIntOrFloatBitWidth()));
}

std::optional<Sizes> onnx_importer::sizesOf(const onnx_reader::Tensor &tensor) {
  bool isInteger =
      tensor.type == ElementType::Bool || tensor.type == ElementType::Int64 || tensor.type == ElementType::Int32;
  if (!isInteger || tensor.elementCount > Sizes::maxElements)
    return std::nullopt;
  Sizes sizes{SmallVector<int64_t>(tensor.dims.begin(), tensor.dims.end()), {}, tensor.type};
  for (int64_t i = 0; i < tensor.elementCount; ++i)
    sizes.elements.push_back(Dim(integerAt(tensor, i)));
  return sizes;
}
