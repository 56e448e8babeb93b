//===- Shape.h - tensor types as lists of dim expressions ------------------------===//
//
// A tensor type is seen by everybody else as an element type and a list of `Dim`s;
// the split into static sizes and the `#tenon.dims` encoding stays in here.
//
#ifndef TENON_DIALECTS_TENON_SHAPE_H
#define TENON_DIALECTS_TENON_SHAPE_H

#include "dialects/tenon/Dim.h"
#include "llvm/ADT/SmallVector.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"

namespace tenon {

using Shape = llvm::SmallVector<Dim, 4>;

/// The dims of a type. A dynamic dim without an encoding is an error the
/// verifiers report; here it gives a symbol no module declares ("unknown").
Shape shapeOf(mlir::Type type);
inline Shape shapeOf(mlir::Value value) { return shapeOf(value.getType()); }

/// The tensor type of these dims: static where a dim is constant.
mlir::RankedTensorType tensorOf(mlir::Type element, llvm::ArrayRef<Dim> shape);

mlir::Type elementOf(mlir::Value value);

/// The number of elements, 1 for rank 0.
Dim countOf(llvm::ArrayRef<Dim> shape);

/// "[B, S + P, 64]", for messages.
std::string toString(llvm::ArrayRef<Dim> shape);

/// What the module's `tenon.symbol` ops declare.
Bounds boundsOf(mlir::ModuleOp module);

/// The column order of a kernel's dims: the values `d0`, `d1`, … stand for.
Dim kernelDim(unsigned k);

} // namespace tenon
#endif
