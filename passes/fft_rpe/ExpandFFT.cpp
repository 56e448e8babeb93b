//===- ExpandFFT.cpp - Fourier transforms of a length that is not known, as products ----===//
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"

#include <cmath>

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_EXPANDFFT
#include "passes/Passes.h.inc"

namespace {

/// Arithmetic in the region of the matrix.
struct MatrixElement {
  OpBuilder &builder;
  Location loc;
  FloatType type;

  Value size(const Dim &dim) { return builder.createOrFold<SizeOp>(loc, DimAttr::get(builder.getContext(), dim)); }
  Value index(int64_t value) { return arith::ConstantIndexOp::create(builder, loc, value); }
  Value number(double value) {
    return arith::ConstantOp::create(builder, loc, FloatAttr::get(type, value));
  }
  Value less(Value a, Value b) { return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b); }
  Value equal(Value a, Value b) { return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, a, b); }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(builder, loc, condition, yes, no);
  }
  Value add(Value a, Value b) { return arith::AddIOp::create(builder, loc, a, b); }
  Value sub(Value a, Value b) { return arith::SubIOp::create(builder, loc, a, b); }
  Value mul(Value a, Value b) { return arith::MulIOp::create(builder, loc, a, b); }

  /// cos(2π u / (4 N)) for 0 <= u < 4 N. Folded into an eighth of a turn by exact integer arithmetic, so that
  /// the angle's rounding error stays below 2^-25.
  Value cosine(Value u, Value n) {
    Value half = mul(n, index(2)), turn = mul(n, index(4));
    Value folded = select(less(half, u), sub(turn, u), u);
    Value isNegative = less(n, folded);
    Value quarter = select(isNegative, sub(half, folded), folded), rest = sub(n, quarter);
    Value isSteep = less(rest, quarter);
    auto asFloat = [&](Value i) -> Value {
      Value integer = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), i);
      return arith::SIToFPOp::create(builder, loc, type, integer);
    };
    Value share = arith::DivFOp::create(builder, loc, asFloat(select(isSteep, rest, quarter)), asFloat(n));
    Value angle = arith::MulFOp::create(builder, loc, share, number(M_PI / 2));
    Value value = select(isSteep, math::SinOp::create(builder, loc, angle), math::CosOp::create(builder, loc, angle));
    return select(isNegative, arith::NegFOp::create(builder, loc, value), value);
  }

  /// What part `from` of x[n] adds to part `to` of Y[k].
  Value at(FFTOp op, Value n, Value from, Value k, Value to) {
    Value length = size(op.getLength().getValue());
    Value turns = mul(index(4), arith::RemUIOp::create(builder, loc, mul(n, k), length));
    Value isSine = arith::XOrIOp::create(builder, loc, equal(from, index(1)), equal(to, index(1)));
    // A sine is the cosine a quarter of a turn before; forwards imaginary parts get its negative.
    Value turn = mul(length, index(4));
    Value before = arith::RemUIOp::create(builder, loc, add(turns, mul(length, index(3))), turn);
    Value value = cosine(select(isSine, before, turns), length);
    Value isNegative = arith::AndIOp::create(builder, loc, isSine, equal(to, index(op.getInverse() ? 0 : 1)));
    value = select(isNegative, arith::NegFOp::create(builder, loc, value), value);
    if (op.getInverse()) {
      Value integer = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), length);
      value = arith::DivFOp::create(builder, loc, value, arith::SIToFPOp::create(builder, loc, type, integer));
    }
    return select(less(n, length), value, number(0));
  }
};

Value converted(OpBuilder &builder, Location loc, Value tensor, FloatType type) {
  if (elementOf(tensor) == type)
    return tensor;
  bool widens = elementOf(tensor).getIntOrFloatBitWidth() < type.getWidth();
  return MapOp::create(builder, loc, tensorOf(type, shapeOf(tensor)), tensor,
                       [&](OpBuilder &b, Location at, ValueRange inputs, ValueRange indices) -> Value {
                         Value element = LoadOp::create(b, at, inputs[0], indices);
                         return widens ? Value(arith::ExtFOp::create(b, at, type, element))
                                       : Value(arith::TruncFOp::create(b, at, type, element));
                       });
}

Value expanded(FFTOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Shape from = shapeOf(op.getInput()), to = shapeOf(op.getResult());
  auto element = cast<FloatType>(elementOf(op.getInput()));
  FloatType type = element.getWidth() < 32 ? FloatType(builder.getF32Type()) : element;
  Shape shape{from[op.getAxis()], from[op.getParts()], to[op.getAxis()], to[op.getParts()]};
  Value matrix = MapOp::create(builder, loc, tensorOf(type, shape), ValueRange(),
                               [&](OpBuilder &b, Location at, ValueRange, ValueRange i) {
                                 return MatrixElement{b, at, type}.at(op, i[0], i[1], i[2], i[3]);
                               });
  auto words = [&](StringRef axis, StringRef parts) {
    std::string text;
    for (int64_t dim = 0; dim < int64_t(from.size()); ++dim)
      text += (dim ? " " : "") + (dim == int64_t(op.getAxis())    ? axis.str()
                                  : dim == int64_t(op.getParts()) ? parts.str()
                                                                  : "d" + std::to_string(dim));
    return text;
  };
  std::string spec = words("n", "p") + ", n p k q -> " + words("k", "q");
  Value input = converted(builder, loc, op.getInput(), type);
  return converted(builder, loc, ContractOp::create(builder, loc, spec, input, matrix), element);
}

struct ExpandFFT : impl::ExpandFFTBase<ExpandFFT> {
  void runOnOperation() override {
    SmallVector<FFTOp> found;
    getOperation().walk([&](FFTOp op) {
      bool isConstant = op.getLength().getValue().isConstant() && shapeOf(op.getInput())[op.getAxis()].isConstant() &&
                        shapeOf(op.getResult())[op.getAxis()].isConstant();
      if (!isConstant)
        found.push_back(op);
    });
    auto options = remark::RemarkOpts::name("fft").category(getArgument());
    for (FFTOp op : found) {
      remark::missed(op.getLoc(), options)
          << remark::reason("a product with the matrix of all powers, N K of them: length {0} is not a constant",
                            op.getLength().getValue().str());
      op.getResult().replaceAllUsesWith(expanded(op));
      op.erase();
    }
  }
};

} // namespace
} // namespace tenon
