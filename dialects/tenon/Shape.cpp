//===- Shape.cpp - tensor types as lists of dim expressions ----------------------===//
#include "dialects/tenon/Tenon.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {

Shape shapeOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (auto dims = dyn_cast_or_null<DimsAttr>(tensor.getEncoding()))
    return Shape(dims.getDims());
  return llvm::map_to_vector<4>(tensor.getShape(), [](int64_t size) {
    return ShapedType::isDynamic(size) ? Dim::symbol("unknown") : Dim(size);
  });
}

RankedTensorType tensorOf(Type element, ArrayRef<Dim> shape) {
  auto sizes =
      llvm::map_to_vector<4>(shape, [](const Dim &dim) { return dim.constant().value_or(ShapedType::kDynamic); });
  Attribute encoding;
  if (llvm::is_contained(sizes, ShapedType::kDynamic))
    encoding = DimsAttr::get(element.getContext(), shape);
  return RankedTensorType::get(sizes, element, encoding);
}

Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

Dim countOf(ArrayRef<Dim> shape) {
  Dim count(1);
  for (const Dim &dim : shape)
    count = count * dim;
  return count;
}

std::string toString(ArrayRef<Dim> shape) {
  return "[" + llvm::join(llvm::map_range(shape, [](const Dim &dim) { return dim.str(); }), ", ") + "]";
}

Bounds boundsOf(ModuleOp module) {
  Bounds bounds;
  for (SymbolOp symbol : module.getOps<SymbolOp>())
    bounds.set(symbol.getSymName().str(), Interval{int64_t(symbol.getMin()), int64_t(symbol.getMax())},
               symbol.getDivisor());
  return bounds;
}

Dim kernelDim(unsigned k) { return Dim::symbol("d" + std::to_string(k)); }

} // namespace tenon
