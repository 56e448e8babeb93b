// Index arithmetic that folds constants as it is built, for emitters.

#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/Builders.h"

namespace tenon {

/// Operands are non-negative `index` values: sizes, offsets, counts.
struct IndexMath {
  mlir::OpBuilder &builder;
  mlir::Location loc;

  mlir::Value constant(int64_t value) const { return mlir::arith::ConstantIndexOp::create(builder, loc, value); }
  mlir::Value value(mlir::OpFoldResult stride) const {
    return mlir::getValueOrCreateConstantIndexOp(builder, loc, stride);
  }
  mlir::Value add(mlir::Value a, mlir::Value b) const { return fold<mlir::arith::AddIOp>(a, b); }
  mlir::Value add(mlir::Value a, int64_t b) const { return add(a, constant(b)); }
  mlir::Value sub(mlir::Value a, mlir::Value b) const { return fold<mlir::arith::SubIOp>(a, b); }
  mlir::Value mul(mlir::Value a, mlir::Value b) const { return fold<mlir::arith::MulIOp>(a, b); }
  mlir::Value mul(mlir::Value a, int64_t b) const { return mul(a, constant(b)); }
  mlir::Value div(mlir::Value a, mlir::Value b) const { return fold<mlir::arith::DivUIOp>(a, b); }
  mlir::Value div(mlir::Value a, int64_t b) const { return div(a, constant(b)); }
  mlir::Value ceilDiv(mlir::Value a, int64_t b) const { return div(add(a, b - 1), b); }
  mlir::Value rem(mlir::Value a, mlir::Value b) const { return fold<mlir::arith::RemUIOp>(a, b); }
  mlir::Value rem(mlir::Value a, int64_t b) const { return rem(a, constant(b)); }
  mlir::Value min(mlir::Value a, mlir::Value b) const { return fold<mlir::arith::MinUIOp>(a, b); }
  mlir::Value max(mlir::Value a, mlir::Value b) const { return fold<mlir::arith::MaxUIOp>(a, b); }
  mlir::Value equal(mlir::Value a, mlir::Value b) const {
    return mlir::arith::CmpIOp::create(builder, loc, mlir::arith::CmpIPredicate::eq, a, b);
  }
  /// base + count * stride
  mlir::Value step(mlir::Value base, int64_t count, mlir::OpFoldResult stride) const {
    return count == 0 ? base : add(base, mul(value(stride), constant(count)));
  }

private:
  template <typename Op> mlir::Value fold(mlir::Value a, mlir::Value b) const {
    return builder.createOrFold<Op>(loc, a, b);
  }
};

} // namespace tenon
