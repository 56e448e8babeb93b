//===- ImportedValue.h - what is known of a value while importing ------------------===//
//
// An ONNX value is a tensor of the program, or bytes readable now, or *sizes*: a small
// integer tensor whose elements are dim expressions. `Concat(Shape(x)[0:1], [-1, 64])`
// is the sizes [B, -1, 64]; what only computes sizes leaves nothing in the program.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_IMPORTEDVALUE_H
#define TENON_FRONTENDS_ONNX_IMPORTER_IMPORTEDVALUE_H

#include "dialects/tenon/Tenon.h"
#include "frontends/builder/ScalarBuilder.h"
#include "frontends/onnx/reader/Model.h"

namespace tenon::onnx_importer {

using onnx_reader::ElementType;

/// Integers, row-major, each a dim expression. Booleans are 0 and 1.
struct Sizes {
  /// Larger tensors are data, not sizes.
  static constexpr int64_t maxElements = 256;

  llvm::SmallVector<int64_t> dims; ///< None for a scalar.
  llvm::SmallVector<Dim> elements;
  ElementType type = ElementType::Int64;

  static Sizes scalar(Dim dim) { return {{}, {std::move(dim)}}; }
  static Sizes list(llvm::ArrayRef<Dim> list) {
    return {{int64_t(list.size())}, llvm::SmallVector<Dim>(list.begin(), list.end())};
  }
  /// All elements, if they are constants.
  std::optional<llvm::SmallVector<int64_t>> constants() const;
};

struct MaskedPlaces;

struct ImportedValue {
  ElementType type = ElementType::Float32;
  mlir::Value tensor; ///< Null until an operator needs it.
  std::optional<Sizes> sizes;
  std::shared_ptr<const onnx_reader::Tensor> constant;
  std::shared_ptr<const MaskedPlaces> places; ///< As many as data decides: no tensor.
};

bool isFloat(ElementType type);
Sign signOf(ElementType type);
/// The type of such elements in the program (integers carry no sign), null if it has none.
mlir::Type typeOf(ElementType type, mlir::MLIRContext *context);
/// What a user can do about elements of a type that no program has, as the end of an error; else empty.
std::string insteadOfType(ElementType type);
/// The signed or boolean ElementType of a type of the program.
ElementType elementTypeOf(mlir::Type type);

/// The bits of element `index`, zero-extended.
uint64_t bitsAt(const onnx_reader::Tensor &tensor, int64_t index);
/// Element `index` of an integer or boolean tensor.
int64_t integerAt(const onnx_reader::Tensor &tensor, int64_t index);
/// Element `index` as a constant of the program.
mlir::TypedAttr elementAt(const onnx_reader::Tensor &tensor, int64_t index, mlir::Type type);
/// A constant's elements as sizes, if it is a small integer tensor.
std::optional<Sizes> sizesOf(const onnx_reader::Tensor &tensor);

} // namespace tenon::onnx_importer
#endif
