//===- Butterflies.cpp - the arithmetic of Fourier transforms in registers --------------===//
#include "passes/fft_rpe/Butterflies.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include <cmath>

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------------===//

Value Butterflies::constant(double value) {
  auto element = FloatAttr::get(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vector, element.getValue()));
  return arith::ConstantOp::create(builder, loc, element);
}
Value Butterflies::zero() { return constant(0); }

Value Butterflies::sum(Value a, Value b) {
  return !a ? b : !b ? a : Value(arith::AddFOp::create(builder, loc, a, b));
}
Value Butterflies::negated(Value a) { return a ? Value(arith::NegFOp::create(builder, loc, a)) : Value(); }
Value Butterflies::difference(Value a, Value b) {
  return !b ? a : !a ? negated(b) : Value(arith::SubFOp::create(builder, loc, a, b));
}
Value Butterflies::product(Value a, Value b) {
  return a && b ? Value(arith::MulFOp::create(builder, loc, a, b)) : Value();
}
Value Butterflies::scaled(Value a, double factor) { return a ? product(a, constant(factor)) : Value(); }
Value Butterflies::sumScaled(Value c, Value a, double factor) {
  if (!a || !c)
    return a ? scaled(a, factor) : c;
  return math::FmaOp::create(builder, loc, a, constant(factor), c);
}

Point Butterflies::times(const Point &a, const Point &b) {
  Value real = product(a.real, b.real), imaginary = product(a.real, b.imaginary);
  if (a.imaginary && b.imaginary)
    real = real ? Value(math::FmaOp::create(builder, loc, negated(a.imaginary), b.imaginary, real))
                : negated(product(a.imaginary, b.imaginary));
  if (a.imaginary && b.real)
    imaginary = imaginary ? Value(math::FmaOp::create(builder, loc, a.imaginary, b.real, imaginary))
                          : product(a.imaginary, b.real);
  return {real, imaginary};
}

Point Butterflies::sumOfProducts(const Point &c, const Point &a, const Point &b) {
  if (!c.real || !c.imaginary)
    return sum(c, times(a, b));
  Value real = math::FmaOp::create(builder, loc, a.real, b.real, c.real);
  Value imaginary = math::FmaOp::create(builder, loc, a.real, b.imaginary, c.imaginary);
  return {math::FmaOp::create(builder, loc, negated(a.imaginary), b.imaginary, real),
          math::FmaOp::create(builder, loc, a.imaginary, b.real, imaginary)};
}

//===----------------------------------------------------------------------------===//
// Butterflies: the transforms of one stage, in registers
//===----------------------------------------------------------------------------===//

/// a, b, c, d become their transform.
void Butterflies::dft4(Point &a, Point &b, Point &c, Point &d) {
  Point evenSum = sum(a, c), evenDifference = difference(a, c), oddSum = sum(b, d), oddDifference = difference(b, d);
  a = sum(evenSum, oddSum);
  c = difference(evenSum, oddSum);
  // -i (x + i y) = y - i x
  b = {sum(evenDifference.real, oddDifference.imaginary), difference(evenDifference.imaginary, oddDifference.real)};
  d = {difference(evenDifference.real, oddDifference.imaginary), sum(evenDifference.imaginary, oddDifference.real)};
}

void Butterflies::dft8(MutableArrayRef<Point> x) {
  dft4(x[0], x[2], x[4], x[6]);
  dft4(x[1], x[3], x[5], x[7]);
  double half = std::sqrt(0.5);
  // e^(-πi/4) (x + i y) = (x + y + i (y - x)) √½, e^(-3πi/4) (x + i y) = (y - x - i (x + y)) √½: the root goes into the last sum.
  Point first{sum(x[3].real, x[3].imaginary), difference(x[3].imaginary, x[3].real)};
  Point third{difference(x[7].imaginary, x[7].real), negated(sum(x[7].real, x[7].imaginary))};
  Point second{x[5].imaginary, negated(x[5].real)};
  Point even[] = {x[0], x[2], x[4], x[6]}, odd[] = {x[1], first, second, third};
  for (int k = 0; k < 4; ++k) {
    double factor = k % 2 ? half : 1;
    auto combine = [&](double sign) -> Point {
      if (factor == 1)
        return sign > 0 ? sum(even[k], odd[k]) : difference(even[k], odd[k]);
      return {sumScaled(even[k].real, odd[k].real, sign * factor),
              sumScaled(even[k].imaginary, odd[k].imaginary, sign * factor)};
    };
    x[k] = combine(1);
    x[k + 4] = combine(-1);
  }
}

/// y[k], y[r - k] = x[0] + Σ_j cos(2πjk/r) (x[j] + x[r - j]) ∓ i Σ_j sin(2πjk/r) (x[j] - x[r - j])
void Butterflies::dftOdd(MutableArrayRef<Point> x) {
  int64_t radix = x.size(), pairs = radix / 2;
  SmallVector<Point> sums, differences;
  Point total = x[0];
  for (int64_t j = 1; j <= pairs; ++j) {
    sums.push_back(sum(x[j], x[radix - j]));
    differences.push_back(difference(x[j], x[radix - j]));
    total = sum(total, sums.back());
  }
  SmallVector<Point> result(radix);
  result[0] = total;
  for (int64_t k = 1; k <= pairs; ++k) {
    Point even = x[0], odd{};
    for (int64_t j = 1; j <= pairs; ++j) {
      Complex root = rootOfUnity(j * k, radix);
      even = {sumScaled(even.real, sums[j - 1].real, root.real()),
              sumScaled(even.imaginary, sums[j - 1].imaginary, root.real())};
      odd = {sumScaled(odd.real, differences[j - 1].real, -root.imag()),
             sumScaled(odd.imaginary, differences[j - 1].imaginary, -root.imag())};
    }
    result[k] = {sum(even.real, odd.imaginary), difference(even.imaginary, odd.real)};
    result[radix - k] = {difference(even.real, odd.imaginary), sum(even.imaginary, odd.real)};
  }
  llvm::copy(result, x.begin());
}

void Butterflies::dft(MutableArrayRef<Point> points) {
  switch (points.size()) {
  case 1:
    return;
  case 2: {
    Point first = points[0];
    points[0] = sum(first, points[1]);
    points[1] = difference(first, points[1]);
    return;
  }
  case 4:
    return dft4(points[0], points[1], points[2], points[3]);
  case 8:
    dft8(points);
    return;
  default:
    return dftOdd(points);
  }
}

//===----------------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------------===//

Value complexTable(KernelLowering &lowering, FloatType real, StringRef name, ArrayRef<Complex> numbers) {
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  auto module = lowering.kernel->getParentOfType<ModuleOp>();
  auto type = MemRefType::get({2 * int64_t(numbers.size())}, real);
  std::string symbol = (name + (real.isF64() ? ".f64" : ".f32")).str();
  if (!module.lookupSymbol(symbol)) {
    SmallVector<APFloat> elements;
    for (const Complex &number : numbers)
      for (double part : {number.real(), number.imag()})
        elements.push_back(FloatAttr::get(real, part).getValue());
    auto tensor = DenseElementsAttr::get(RankedTensorType::get(type.getShape(), real), elements);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    memref::GlobalOp::create(builder, loc, symbol, builder.getStringAttr("private"), type, tensor, /*constant=*/true,
                             builder.getI64IntegerAttr(64));
  }
  return memref::GetGlobalOp::create(builder, loc, type, symbol);
}

} // namespace tenon
