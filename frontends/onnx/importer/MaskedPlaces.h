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
// A mixture of experts that loops over the tokens of each computes with what there is at the places:
//
//     expert, token = NonZero(chosen)                [count] each, of a mask [experts, tokens]
//     y[token] += f(x[token]) * weights[token, expert]
//
// Each of these is remembered as a tensor with the dims of the mask in place of the count, or 1 along those it does not
// depend on: `x[token]` is x, `[1, tokens, width]`. What operators compute for each place apart (EachPlace.h) they
// compute at all elements of the mask; the mask is asked where the result is put. So `f` costs what it costs for all
// tokens, whatever the mask.
//
// The parts of a Split by numbers that are data, tokens sorted by expert, are given in the same way, at places that are
// a range. A Concat of all parts picks each row from what was computed with its own.
//
// A loop over the experts that are chosen at all is traced as a Split of their numbers into as many as the example had.
// Where a file splits what there is at the places into parts whose sizes it gives, these sizes add up to the number of
// places: data that gives another is an error when the program runs, and there is a tensor after all.
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
    AtPlaces, ///< [..., count, ...], given at all elements of a mask.
    List,     ///< [count * rest], the same with the elements of `[count, ...]` in a row.
    Slices    ///< [count, ...], in the order of the places.
  };
  Form form;
  Dim count;
  /// Slices: at least as many, of which the first count. Else with dims of the mask, or 1, in place of the count.
  mlir::Value values;
  mlir::Value flags; ///< The mask, booleans; null for slices.
  int64_t at = 0;    ///< The dim of `shape()` that is the count.
  /// If not empty, `values` are these of the place's indices: one index each along the dim `along` of `shape()`, or all
  /// elements the same one where `along` is -1.
  llvm::SmallVector<int64_t> coordinates;
  int64_t along = -1;
  bool isOne = false; ///< Of slices: there is one, [1, ...], the same for each place.
  mlir::Value sizes;  ///< Of a part of what Split gave: the list of sizes; else null.
  int64_t part = -1;

  Shape shape() const;
  /// The dims of the mask.
  Shape masked() const { return shapeOf(flags); }
  /// Those of `values` that stand in place of the count.
  Shape given() const;
  /// The dims behind the count.
  Shape rest() const;
};

/// NonZero of an operand: the indices of its places.
mlir::LogicalResult defineMaskedPlaces(NodeContext &n, mlir::Value x);
/// These of the indices of places, as `[count, coordinates]`, with the dims swapped where `along` is 0, or `[count]`
/// where it is -1.
MaskedPlaces coordinatesOf(NodeContext &n, const MaskedPlaces &places, llvm::ArrayRef<int64_t> coordinates,
                           int64_t along);
ImportedValue valueOf(ElementType type, MaskedPlaces places);
/// Whether two tensors repeat or move the elements of a third in the same way, as far as maps and reshapes show it.
bool areSameElements(mlir::Value a, mlir::Value b);

/// Of a list of booleans: the positions of the first `wanted` that are true. -1, which no tensor has, unless exactly so
/// many are.
mlir::Value positionsOf(NodeContext &n, mlir::Value flags, const Dim &wanted);
/// What is given at all elements of a mask, as the tensor of what there is at its places, if these are exactly
/// `wanted`: else reading it is an error when the program runs.
mlir::Value atExactly(NodeContext &n, const MaskedPlaces &places, int64_t wanted);

/// Split into parts whose sizes are data: each is given at the places between where it begins and ends.
mlir::LogicalResult defineParts(NodeContext &n, mlir::Value x, int64_t axis);
/// Concat of all parts in their order, which have been computed with; none for other operands.
std::optional<mlir::LogicalResult> joinParts(NodeContext &n);

/// Slice, Expand, Reshape and ScatterND, where slices, places or their number are among the operands; none where they
/// are not.
std::optional<mlir::LogicalResult> sliceMasked(NodeContext &n);
std::optional<mlir::LogicalResult> expandMasked(NodeContext &n);
std::optional<mlir::LogicalResult> reshapeMasked(NodeContext &n);
std::optional<mlir::LogicalResult> scatterMasked(NodeContext &n);
/// ScatterND (index tuples) and ScatterElements along the first dim, of indices and updates given at the places of one
/// mask; none for others, or where indices are not those of the places.
std::optional<mlir::LogicalResult> scatterEachMasked(NodeContext &n, std::optional<ReduceKind> kind, bool areTuples);

} // namespace tenon::onnx_importer
#endif
