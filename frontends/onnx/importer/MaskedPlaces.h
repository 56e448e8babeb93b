//===- MaskedPlaces.h - the places where a mask is true, as data decides ------------===//
//
// NonZero gives as many indices as its operand has elements other than zero: no tensor of a program, whose dims are
// known before it runs. What exporters do with them mostly gives one again. Vision-language models put features of
// images into a text, at its image tokens:
//
//     places = Transpose(NonZero(mask))              one index tuple for each true element
//     chosen = Slice(features, 0, Shape(places)[0])  as many of the features
//     y = ScatterND(x, places, chosen)
//
// which is `y[i] = mask[i] ? features[the number of true elements before i] : x[i]`: a running sum and a map.
//
// `x[mask] = features` of PyTorch's newer exporter expands the features to `[ReduceSum(mask), ...]` instead: as many as
// they are, if the file means anything.
//
// Rule. The number is a symbol that sizes may hold (GraphBuilder::sizeOfData). Places, and what there is one of for
// each place, are remembered in place of tensors; the operators below take them. ONNX gives a meaning where there are
// as many slices as places: fewer are an error when the program runs, more are left out. Every other operator reports
// that data decides the size.
//
#ifndef TENON_FRONTENDS_ONNX_IMPORTER_MASKEDPLACES_H
#define TENON_FRONTENDS_ONNX_IMPORTER_MASKEDPLACES_H

#include "frontends/onnx/importer/NodeContext.h"

namespace tenon::onnx_importer {

struct MaskedPlaces {
  enum class Form {
    Indices, ///< [rank, count], as NonZero gives them.
    Tuples,  ///< [count, rank].
    Slices   ///< [count, ...], what there is for each place.
  };
  Form form;
  Dim count;
  mlir::Value flags;  ///< Of places: the mask, booleans.
  mlir::Value slices; ///< Of slices: at least as many, of which the first count.
  bool isOne = false; ///< Of slices: there is one, [1, ...], the same for each place.

  Shape shape() const;
};

/// NonZero of an operand: the indices of its places.
mlir::LogicalResult defineMaskedPlaces(NodeContext &n, mlir::Value x);
/// Transpose, Slice, Expand, Reshape and ScatterND, where places or their number are among the operands; none where
/// they are not.
std::optional<mlir::LogicalResult> transposeMasked(NodeContext &n);
std::optional<mlir::LogicalResult> sliceMasked(NodeContext &n);
std::optional<mlir::LogicalResult> expandMasked(NodeContext &n);
std::optional<mlir::LogicalResult> reshapeMasked(NodeContext &n);
std::optional<mlir::LogicalResult> scatterMasked(NodeContext &n);

} // namespace tenon::onnx_importer
#endif
