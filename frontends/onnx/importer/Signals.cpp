//===- Signals.cpp - ONNX's transforms, windows and filter banks for signals -------------===//
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

//===----------------------------------------------------------------------------===//
// Transforms
//===----------------------------------------------------------------------------===//

/// The one number an operand holds; `otherwise` where it is left out.
static std::optional<Dim> scalarOr(NodeContext &n, unsigned i, StringRef what, const Dim &otherwise) {
  if (!n.has(i))
    return otherwise;
  std::optional<Sizes> known = n.wantSizes(i, what);
  if (!known || known->elements.size() != 1)
    return std::nullopt;
  return known->elements[0];
}

/// All `length` frequencies of a real signal from the first half: X[length - k] is the conjugate of X[k].
static Value completed(NodeContext &n, Value half, int64_t axis, const Dim &length) {
  Shape shape = shapeOf(half);
  Dim given = shape[axis];
  shape[axis] = length;
  return n.graph.map(elementOf(half), shape, half, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value k = at[axis], zero = s.number(elementOf(half), 0), end = s.size(length);
    Value isFirst = s.compare(Comparison::LessEqual, s.add(k, k), end);
    Value from = s.select(isFirst, k, s.sub(end, k));
    Value isGiven = s.compare(Comparison::Less, from, s.size(given));
    SmallVector<Value> place(at);
    place[axis] = s.select(isGiven, from, s.index(0));
    Value value = s.load(t[0], place);
    Value isImaginary = s.compare(Comparison::Equal, at.back(), s.index(1));
    Value turned = s.select(isImaginary, s.sub(zero, value), value);
    return s.select(isGiven, s.select(isFirst, value, turned), zero);
  });
}

/// One of `values`, by the number that the tensor `which` holds: values[k] where it is keys[k].
static Value selected(NodeContext &n, Value which, ArrayRef<int64_t> keys, ArrayRef<Value> values) {
  SmallVector<Value> inputs(values);
  inputs.push_back(which);
  return n.graph.map(
      elementOf(values[0]), shapeOf(values[0]), inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
        Value number = onlyElement(s, t.back()), result = s.load(t[0], at);
        for (size_t k = 1; k < keys.size(); ++k) {
          Value isThis = s.compare(Comparison::Equal, number, s.number(elementOf(which), double(keys[k])));
          result = s.select(isThis, s.load(t[k], at), result);
        }
        return result;
      });
}

namespace {
struct DFT {
  Value x;
  bool inverse, oneSided;
  bool isBack() const { return inverse && oneSided; }
};
} // namespace

/// Null after an error.
static Value transformed(NodeContext &n, const DFT &dft, int64_t axis) {
  Dim extent = shapeOf(dft.x)[axis];
  std::optional<Dim> length = scalarOr(n, 1, "dft_length", dft.isBack() ? Dim(2) * (extent - Dim(1)) : extent);
  if (!length)
    return {};
  if (dft.isBack())
    return n.graph.fft(completed(n, dft.x, axis, *length), axis, *length, *length, true, 1);
  return n.graph.fft(dft.x, axis, *length, dft.oneSided ? length->floorDiv(Dim(2)) + Dim(1) : *length, dft.inverse);
}

/// The extents the result has where the transform is along `axis`.
static std::optional<Shape> shapeAlong(NodeContext &n, const DFT &dft, int64_t axis) {
  Shape shape = shapeOf(dft.x);
  std::optional<Dim> length =
      scalarOr(n, 1, "dft_length", dft.isBack() ? Dim(2) * (shape[axis] - Dim(1)) : shape[axis]);
  if (!length)
    return std::nullopt;
  shape[axis] = dft.oneSided && !dft.inverse ? length->floorDiv(Dim(2)) + Dim(1) : *length;
  shape.back() = Dim(dft.isBack() ? 1 : 2);
  return shape;
}

/// An axis that is data: of all that give the shape the file declares, the one it names.
static LogicalResult transformAlongData(NodeContext &n, const DFT &dft) {
  std::optional<Shape> declared = n.wantDeclared(2, "axis");
  if (!declared)
    return failure();
  SmallVector<int64_t> keys;
  SmallVector<Value> values;
  int64_t rank = int64_t(shapeOf(dft.x).size());
  for (int64_t axis = 0; axis < rank - 1; ++axis) {
    std::optional<Shape> shape = shapeAlong(n, dft, axis);
    if (!shape)
      return failure();
    bool isEmpty = (*shape)[axis].constant() && *(*shape)[axis].constant() < 1;
    if (*shape != *declared || isEmpty)
      continue;
    Value result = transformed(n, dft, axis);
    keys.append({axis, axis - rank});
    values.append({result, result});
  }
  if (values.empty())
    return n.error() << "wants an axis whose transform has the declared shape " << toString(*declared)
                     << ", found none";
  Value which = n.tensor(2);
  if (!which || n.graph.hasFailed())
    return failure();
  return n.result(selected(n, which, keys, values));
}

LogicalResult onnx_importer::importDFT(NodeContext &n) {
  DFT dft{n.tensor(0), n.integer("inverse", 0) != 0, n.integer("onesided", 0) != 0};
  int64_t axisGiven = n.version < 20 ? n.integer("axis", 1) : -2;
  if (!dft.x || n.graph.hasFailed())
    return failure();
  Shape shape = shapeOf(dft.x);
  if (shape.size() < 2 || (dft.oneSided && shape.back() != Dim(dft.inverse ? 2 : 1)))
    return n.error() << "wants " << (dft.isBack() ? "complex" : "real") << " numbers where one side is "
                     << (dft.isBack() ? "given" : "wanted") << ", found a tensor " << toString(shape);
  if (n.version >= 20 && n.isComputed(2))
    return transformAlongData(n, dft);
  if (n.version >= 20 && n.has(2)) {
    std::optional<SmallVector<int64_t>> known = n.wantConstants(2, "axis");
    if (!known || known->size() != 1)
      return failure();
    axisGiven = known->front();
  }
  std::optional<int64_t> axis = n.graph.axis(axisGiven, shape.size());
  return axis ? n.result(transformed(n, dft, *axis)) : failure();
}

namespace {
struct STFT {
  Value signal, window;
  Shape shape; ///< [batch, length, parts]
  bool isHalf; ///< Of the frequencies; the others follow.
};
} // namespace

/// The transforms of `frames` windows of a length, which begin where `begin` of the frame says.
static Value framesOf(NodeContext &n, const STFT &stft, const Dim &frames, const Dim &length, ValueRange more,
                      llvm::function_ref<Value(ScalarBuilder &, ValueRange more, Value frame)> begin) {
  SmallVector<Value> inputs{stft.signal};
  if (stft.window)
    inputs.push_back(stft.window);
  unsigned own = inputs.size();
  llvm::append_range(inputs, more);
  Shape shape{stft.shape[0], frames, length, stft.shape[2]};
  Value framed = n.graph.map(elementOf(stft.signal), shape, inputs, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value place = s.add(begin(s, t.drop_front(own), at[1]), at[2]);
    Value value = s.load(t[0], {at[0], place, at[3]});
    return stft.window ? s.mul(value, s.load(t[1], at[2])) : value;
  });
  return n.graph.fft(framed, 2, length, stft.isHalf ? length.floorDiv(Dim(2)) + Dim(1) : length);
}

/// A step or a length that is data: the file's shape of the result leaves one or two lengths.
static LogicalResult framesOfData(NodeContext &n, const STFT &stft) {
  std::optional<Shape> declared = n.wantDeclared(n.isComputed(1) ? 1 : 3, "frame_step or frame_length");
  if (!declared || declared->size() != 4)
    return failure();
  Dim bins = (*declared)[2], frames = (*declared)[1];
  SmallVector<Dim> lengths{bins};
  if (n.has(3) && n.sizes(3))
    lengths = {n.sizes(3)->elements[0]};
  else if (stft.window)
    lengths = {shapeOf(stft.window)[0]};
  else if (!n.has(3))
    lengths = {stft.shape[1]};
  else if (stft.isHalf)
    lengths = {Dim(2) * bins - Dim(2), Dim(2) * bins - Dim(1)};
  Value step = n.tensor(1);
  SmallVector<int64_t> keys;
  SmallVector<Value> values;
  for (const Dim &length : lengths) {
    if (!length.constant() || *length.constant() < 1)
      continue;
    keys.push_back(*length.constant());
    values.push_back(framesOf(n, stft, frames, length, step, [&](ScalarBuilder &s, ValueRange more, Value frame) {
      // The last frame of a length that is not the one meant may reach beyond the signal.
      Value begin = s.mul(frame, s.cast(onlyElement(s, more[0]), IndexType::get(n.graph.getContext())));
      return s.max(s.min(begin, s.size(stft.shape[1] - length)), s.index(0));
    }));
  }
  if (values.empty() || n.graph.hasFailed())
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "wants frames of a constant length");
  return n.result(values.size() == 1 ? values[0] : selected(n, n.tensor(3), keys, values));
}

LogicalResult onnx_importer::importSTFT(NodeContext &n) {
  STFT stft{n.tensor(0), n.optional(2), {}, n.integer("onesided", 1) != 0};
  if (!stft.signal || n.graph.hasFailed())
    return failure();
  stft.shape = shapeOf(stft.signal);
  if (stft.shape.size() == 2) {
    stft.shape.push_back(Dim(1));
    stft.signal = n.graph.reshape(stft.signal, stft.shape);
  }
  if (stft.shape.size() != 3 || (stft.window && shapeOf(stft.window).size() != 1))
    return n.error() << "wants a signal [batch, length, 1 or 2] and a window of one dim, found "
                     << toString(stft.shape);
  stft.isHalf = stft.isHalf && stft.shape[2] == Dim(1);
  if (n.isComputed(1) || n.isComputed(3))
    return framesOfData(n, stft);
  std::optional<Dim> step = scalarOr(n, 1, "frame_step", Dim(1));
  std::optional<Dim> length = scalarOr(n, 3, "frame_length", stft.window ? shapeOf(stft.window)[0] : stft.shape[1]);
  if (!step || !length)
    return failure();
  if (!step->constant() || *step->constant() < 1)
    return n.error() << "wants a constant frame_step of at least 1, found " << step->str();
  if (stft.window && !n.graph.wantEqual(shapeOf(stft.window)[0], *length, "frame_length and the window's length"))
    return failure();
  Dim frames = n.graph.simplify(Dim::max((stft.shape[1] - *length).floorDiv(*step) + Dim(1), Dim(0)));
  return n.result(framesOf(n, stft, frames, *length, {}, [&](ScalarBuilder &s, ValueRange, Value frame) {
    return s.mul(frame, s.size(*step));
  }));
}
