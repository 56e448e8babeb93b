//===- NormaliseRows.cpp - softmax and norms over the last dim alone -------------------===//
//
// A softmax or norm over the last dim is a kernel of its own: a row is read once and kept. A softmax
// over another dim is the reductions over that dim, which take neighbouring rows in the lanes of a
// vector. A norm over several dims is one over their flattened row.
//
#include "passes/Passes.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_NORMALISEROWS
#include "passes/Passes.h.inc"

namespace {

using Body = function_ref<Value(OpBuilder &, Value x, Value row)>;

/// The element type a softmax computes in: f32 for narrower ones.
Type computedIn(Type element) {
  return element.getIntOrFloatBitWidth() < 32 ? Type(Float32Type::get(element.getContext())) : element;
}

/// body(x[…], rows[… without over]) in the type a softmax computes in, cast to `element`.
Value mapWithRows(OpBuilder &builder, Location loc, Value x, Value rows, int64_t over, Type element, Body body) {
  Shape shape = shapeOf(x);
  Type wide = computedIn(elementOf(x));
  auto widened = [&](OpBuilder &b, Value scalar) -> Value {
    return scalar.getType() == wide ? scalar : Value(arith::ExtFOp::create(b, loc, wide, scalar));
  };
  return MapOp::create(builder, loc, tensorOf(element, shape), ValueRange{x, rows},
                       [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) -> Value {
                         SmallVector<Value> row(at);
                         row.erase(row.begin() + over);
                         Value y = body(b, widened(b, LoadOp::create(b, loc, tensors[0], at)),
                                        widened(b, LoadOp::create(b, loc, tensors[1], row)));
                         return element == wide ? y : Value(arith::TruncFOp::create(b, loc, element, y));
                       });
}

void split(SoftmaxOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  int64_t over = op.getOver();
  Value x = op.getInput();
  Value maximum = ReduceOp::create(builder, loc, ReduceKind::Max, x, ArrayRef<int64_t>{over});
  Value exponentials =
      mapWithRows(builder, loc, x, maximum, over, computedIn(elementOf(x)),
                  [&](OpBuilder &b, Value element, Value greatest) -> Value {
                    return math::ExpOp::create(b, loc, arith::SubFOp::create(b, loc, element, greatest));
                  });
  Value sum = ReduceOp::create(builder, loc, ReduceKind::Sum, exponentials, ArrayRef<int64_t>{over});
  Value weights = mapWithRows(builder, loc, exponentials, sum, over, elementOf(x),
                              [&](OpBuilder &b, Value element, Value total) -> Value {
                                return arith::DivFOp::create(b, loc, element, total);
                              });
  op.replaceAllUsesWith(weights);
  op.erase();
}

/// The dims before `from`, and those from there on as one.
Shape flattenedFrom(ArrayRef<Dim> shape, size_t from) {
  Shape result(shape.take_front(from));
  result.push_back(countOf(shape.drop_front(from)));
  return result;
}

Value flatParameter(OpBuilder &builder, Location loc, Value parameter) {
  return parameter ? reshapeTo(builder, loc, parameter, {countOf(shapeOf(parameter))}) : Value();
}

/// A layer or RMS norm over the last `over` dims as one over their flattened row.
Value flatNorm(OpBuilder &builder, NormOp op) {
  Location loc = op.getLoc();
  Shape shape = shapeOf(op.getInput());
  Value rows = reshapeTo(builder, loc, op.getInput(), flattenedFrom(shape, shape.size() - op.getOver()));
  Value normal = NormOp::create(builder, loc, rows.getType(), op.getKind(), rows,
                                flatParameter(builder, loc, op.getScale()), flatParameter(builder, loc, op.getShift()),
                                1, op.getEpsilon());
  return reshapeTo(builder, loc, normal, shape);
}

/// A group norm [B, C, …] as a layer norm of rows [B, groups, C / groups · …], then each channel's scale and shift.
Value groupNorm(OpBuilder &builder, NormOp op) {
  Location loc = op.getLoc();
  Shape shape = shapeOf(op.getInput());
  Shape rowsShape{shape[0], Dim(op.getOver()), countOf(ArrayRef<Dim>(shape).drop_front(1)).floorDiv(Dim(op.getOver()))};
  Value rows = reshapeTo(builder, loc, op.getInput(), rowsShape);
  Value normal = NormOp::create(builder, loc, rows.getType(), NormKind::Layer, rows, Value(), Value(), 1,
                                op.getEpsilon());
  normal = reshapeTo(builder, loc, normal, shape);
  SmallVector<Value> inputs{normal};
  for (Value parameter : {op.getScale(), op.getShift()})
    if (parameter)
      inputs.push_back(parameter);
  if (inputs.size() == 1)
    return normal;
  return MapOp::create(builder, loc, cast<RankedTensorType>(op.getType()), inputs,
                       [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) -> Value {
                         Value y = LoadOp::create(b, loc, tensors[0], at);
                         auto parameter = [&](unsigned k) { return LoadOp::create(b, loc, tensors[k], at[1]); };
                         if (op.getScale())
                           y = arith::MulFOp::create(b, loc, y, parameter(1));
                         if (op.getShift())
                           y = arith::AddFOp::create(b, loc, y, parameter(tensors.size() - 1));
                         return y;
                       });
}

void flatten(NormOp op) {
  OpBuilder builder(op);
  Value flat = op.getKind() == NormKind::Group ? groupNorm(builder, op) : flatNorm(builder, op);
  op.replaceAllUsesWith(flat);
  op.erase();
}

struct NormaliseRows : impl::NormaliseRowsBase<NormaliseRows> {
  void runOnOperation() override {
    SmallVector<SoftmaxOp> softmaxes;
    SmallVector<NormOp> norms;
    getOperation().walk([&](SoftmaxOp op) {
      if (op.getOver() + 1 != shapeOf(op.getInput()).size())
        softmaxes.push_back(op);
    });
    getOperation().walk([&](NormOp op) {
      if (op.getKind() == NormKind::Group || op.getOver() != 1)
        norms.push_back(op);
    });
    llvm::for_each(softmaxes, split);
    llvm::for_each(norms, flatten);
  }
};

} // namespace
} // namespace tenon
