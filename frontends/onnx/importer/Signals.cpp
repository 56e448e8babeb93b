//===- Signals.cpp - ONNX's windows and filter banks for signals ------------------------===//
#include "frontends/onnx/importer/NodeContext.h"

#include <cmath>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

/// Inside a map: the one number of a tensor.
static Value onlyElement(ScalarBuilder &s, Value tensor) {
  return s.load(tensor, SmallVector<Value>(shapeOf(tensor).size(), s.index(0)));
}

/// terms[0] + terms[1] cos(x) + terms[2] cos(2 x) with x = 2 pi i / (size, or size - 1 if symmetric).
static LogicalResult cosineWindow(NodeContext &n, ArrayRef<double> terms) {
  bool periodic = n.integer("periodic", 1) != 0;
  std::optional<ElementType> type = onnx_reader::elementTypeOf(n.integer("output_datatype", 1));
  Type element = type ? typeOf(*type, n.graph.getContext()) : Type();
  std::optional<Dim> size;
  if (n.isComputed(0)) {
    if (std::optional<Shape> shape = n.wantDeclared(0, "size"); shape && shape->size() == 1)
      size = (*shape)[0];
  } else if (std::optional<Sizes> known = n.wantSizes(0, "size")) {
    size = known->elements[0];
  }
  if (!size || !element)
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants a known element type to give");
  Type wide = isa<FloatType>(element) ? element : Type(n.graph.f32());
  if (wide.getIntOrFloatBitWidth() < 32)
    wide = n.graph.f32();
  return n.result(n.graph.map(element, *size, {}, [&](ScalarBuilder &s, ValueRange, ValueRange at) {
    Value count = s.cast(s.size(periodic ? *size : *size - Dim(1)), wide);
    Value angle = s.mul(s.div(s.cast(at[0], wide), count), s.number(wide, 2 * M_PI));
    Value sum = s.number(wide, terms[0]);
    for (size_t k = 1; k < terms.size(); ++k)
      sum = s.add(sum, s.mul(s.number(wide, terms[k]), s.math<math::CosOp>(s.mul(angle, s.number(wide, double(k))))));
    return s.cast(sum, element);
  }), *type);
}

LogicalResult onnx_importer::importHannWindow(NodeContext &n) { return cosineWindow(n, {0.5, -0.5}); }
LogicalResult onnx_importer::importHammingWindow(NodeContext &n) {
  return cosineWindow(n, {25.0 / 46, -21.0 / 46});
}
LogicalResult onnx_importer::importBlackmanWindow(NodeContext &n) { return cosineWindow(n, {0.42, -0.5, 0.08}); }

LogicalResult onnx_importer::importMelWeightMatrix(NodeContext &n) {
  std::optional<ElementType> type = onnx_reader::elementTypeOf(n.integer("output_datatype", 1));
  Type element = type ? typeOf(*type, n.graph.getContext()) : Type();
  SmallVector<Value> inputs = n.tensors();
  std::optional<Sizes> bins = n.sizes(0), length = n.sizes(1);
  Shape shape;
  if (bins && length)
    shape = {length->elements[0].floorDiv(Dim(2)) + Dim(1), bins->elements[0]};
  else if (std::optional<Shape> declared = n.wantDeclared(0, "num_mel_bins or dft_length"))
    shape = *declared;
  if (inputs.size() != 5 || shape.size() != 2 || !element || n.graph.hasFailed())
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants five numbers and a matrix as result");
  Type f32 = n.graph.f32();
  // Edge k of the triangles, as the spectrogram's bin: equal steps on the mel scale.
  Value edges = n.graph.map(f32, shape[1] + Dim(2), inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    auto input = [&](unsigned i) { return s.cast(onlyElement(s, t[i]), f32); };
    auto number = [&](double value) { return s.number(f32, value); };
    double perMel = 2595 / std::log(10.0);
    auto mel = [&](Value hertz) { return s.mul(s.math<math::Log1pOp>(s.div(hertz, number(700))), number(perMel)); };
    Value low = mel(input(3)), high = mel(input(4));
    Value step = s.div(s.sub(high, low), s.cast(s.size(shape[1] + Dim(2)), f32));
    Value at0 = s.add(s.mul(s.cast(at[0], f32), step), low);
    Value hertz = s.mul(s.math<math::ExpM1Op>(s.div(at0, number(perMel))), number(700));
    return s.math<math::FloorOp>(s.div(s.mul(s.add(input(1), number(1)), hertz), input(2)));
  });
  return n.result(n.graph.map(element, shape, edges, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value bin = s.cast(at[0], f32), zero = s.number(f32, 0), one = s.number(f32, 1);
    auto edge = [&](int64_t k) { return s.load(t[0], s.add(at[1], s.index(k))); };
    Value low = edge(0), centre = edge(1), high = edge(2);
    Value rise = s.sub(centre, low), fall = s.sub(high, centre);
    auto within = [&](Value from, Value to, Comparison end) {
      return s.bitAnd(s.compare(Comparison::GreaterEqual, bin, from), s.compare(end, bin, to));
    };
    Value isFlat = s.compare(Comparison::Equal, rise, zero);
    Value up = s.select(isFlat, one, s.div(s.sub(bin, low), s.select(isFlat, one, rise)));
    Value down = s.div(s.sub(high, bin), s.max(fall, s.number(f32, 1e-30)));
    Value result = s.select(within(low, centre, Comparison::LessEqual), up, zero);
    return s.cast(s.select(within(centre, high, Comparison::Less), down, result), element);
  }), *type);
}
