//===- ScalarFunctions.cpp - every operation of arith and math on two registers -----===//
//
// One table, by operation name. Integer results are wrapped to their type, so
// the entries compute in 64 bits and forget about widths, except where the operand's
// own width is the point (unsigned operations, bit counts).
//
//===-----------------------------------------------------------------------------===//
#include "interpreter/RegionProgram.h"

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;

namespace tenon {
namespace {

using Frame = RegionProgram::Frame;
using Step = RegionProgram::Step;
using Function = RegionProgram::Function;

Register &target(Frame &frame, const Step &step) { return frame.registers[step.target]; }
Register source(Frame &frame, const Step &step, unsigned n) { return frame.registers[step.sources[n]]; }

uint64_t unsignedOf(int64_t value, unsigned width) {
  return width == 64 ? uint64_t(value) : uint64_t(value) & ((uint64_t(1) << width) - 1);
}
/// Booleans are held as 0 and 1; the signed value of a true i1 is -1.
int64_t signedOf(int64_t value, unsigned width) { return width == 1 ? -(value & 1) : value; }

//===----------------------------------------------------------------------------===//
// Shapes of functions: what is read, what is written
//===----------------------------------------------------------------------------===//

template <auto F> void unaryFloat(Frame &frame, const Step &step) {
  target(frame, step).f = F(source(frame, step, 0).f);
}
template <double (*F)(double)> void library(Frame &frame, const Step &step) {
  target(frame, step).f = F(source(frame, step, 0).f);
}
template <auto F> void binaryFloat(Frame &frame, const Step &step) {
  target(frame, step).f = F(source(frame, step, 0).f, source(frame, step, 1).f);
}
template <auto F> void ternaryFloat(Frame &frame, const Step &step) {
  target(frame, step).f = F(source(frame, step, 0).f, source(frame, step, 1).f, source(frame, step, 2).f);
}
template <auto F> void testFloat(Frame &frame, const Step &step) {
  target(frame, step).i = F(source(frame, step, 0).f);
}
template <auto F> void compareFloat(Frame &frame, const Step &step) {
  target(frame, step).i = F(source(frame, step, 0).f, source(frame, step, 1).f);
}

template <auto F> void unaryInteger(Frame &frame, const Step &step) {
  target(frame, step).i = wrapTo(step.type, F(source(frame, step, 0).i, step.width));
}
template <auto F> void signedInteger(Frame &frame, const Step &step) {
  int64_t a = signedOf(source(frame, step, 0).i, step.width), b = signedOf(source(frame, step, 1).i, step.width);
  target(frame, step).i = wrapTo(step.type, int64_t(F(a, b)));
}
template <auto F> void unsignedInteger(Frame &frame, const Step &step) {
  uint64_t a = unsignedOf(source(frame, step, 0).i, step.width), b = unsignedOf(source(frame, step, 1).i, step.width);
  target(frame, step).i = wrapTo(step.type, int64_t(F(a, b)));
}
template <auto F> void shift(Frame &frame, const Step &step) {
  int64_t a = source(frame, step, 0).i;
  uint64_t by = unsignedOf(source(frame, step, 1).i, step.width);
  target(frame, step).i = by >= step.width ? 0 : wrapTo(step.type, F(a, by, step.width));
}
template <auto F> void signedDivision(Frame &frame, const Step &step) {
  int64_t a = signedOf(source(frame, step, 0).i, step.width), b = signedOf(source(frame, step, 1).i, step.width);
  int64_t least = std::numeric_limits<int64_t>::min() >> (64 - step.width);
  frame.faulty = b == 0 || (b == -1 && a == least);
  target(frame, step).i = frame.faulty ? 0 : wrapTo(step.type, F(a, b));
}
template <auto F> void unsignedDivision(Frame &frame, const Step &step) {
  uint64_t a = unsignedOf(source(frame, step, 0).i, step.width), b = unsignedOf(source(frame, step, 1).i, step.width);
  frame.faulty = b == 0;
  target(frame, step).i = frame.faulty ? 0 : wrapTo(step.type, int64_t(F(a, b)));
}

//===----------------------------------------------------------------------------===//
// Functions that need more than one expression
//===----------------------------------------------------------------------------===//

/// Maximum and minimum as IEEE 754-2019 has them: NaN if one is NaN, and -0 < +0.
double maximum(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return std::nan("");
  return a == b ? (std::signbit(a) ? b : a) : std::max(a, b);
}
double minimum(double a, double b) { return -maximum(-a, -b); }

int64_t floorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
int64_t ceilDivide(int64_t a, int64_t b) { return a / b + (a % b != 0 && (a < 0) == (b < 0)); }

int64_t integerPower(int64_t base, int64_t exponent) {
  if (exponent < 0)
    return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t power = 1, square = uint64_t(base);
  for (; exponent; exponent >>= 1, square *= square)
    power *= exponent & 1 ? square : 1;
  return int64_t(power);
}

void select(Frame &frame, const Step &step) {
  target(frame, step) = source(frame, step, source(frame, step, 0).i ? 1 : 2);
}
void copy(Frame &frame, const Step &step) { target(frame, step) = source(frame, step, 0); }

void floatOfSigned(Frame &frame, const Step &step) {
  int64_t value = signedOf(source(frame, step, 0).i, step.width);
  target(frame, step).f = double(value);
}
void floatOfUnsigned(Frame &frame, const Step &step) {
  target(frame, step).f = double(unsignedOf(source(frame, step, 0).i, step.width));
}
void signedOfFloat(Frame &frame, const Step &step) {
  target(frame, step).i = integerOf(step.type, source(frame, step, 0).f);
}
void unsignedOfFloat(Frame &frame, const Step &step) {
  double value = source(frame, step, 0).f;
  uint64_t magnitude = value >= 0x1p64 ? ~uint64_t(0) : value > 0 ? uint64_t(value) : 0;
  target(frame, step).i = wrapTo(step.type, int64_t(magnitude));
}
void floatPower(Frame &frame, const Step &step) {
  target(frame, step).f = std::pow(source(frame, step, 0).f, double(source(frame, step, 1).i));
}

/// Between types of equal width, one of them a float: through the bytes of that type.
void bitcast(Frame &frame, const Step &step) {
  auto op = cast<arith::BitcastOp>(step.op);
  DType from = llvm::cantFail(dtypeOf(op.getIn().getType(), op)), to = step.type;
  Array array = Array::zeros(from, {1});
  if (array.isFloat())
    array.floats[0] = source(frame, step, 0).f;
  else
    array.integers[0] = source(frame, step, 0).i;
  array = Array::fromBytes(to, {1}, array.toBytes());
  if (array.isFloat())
    target(frame, step).f = array.floats[0];
  else
    target(frame, step).i = array.integers[0];
}

//===----------------------------------------------------------------------------===//
// Comparisons, by predicate
//===----------------------------------------------------------------------------===//

template <auto Ordered, bool WhenNaN> void compareOrdered(Frame &frame, const Step &step) {
  double a = source(frame, step, 0).f, b = source(frame, step, 1).f;
  target(frame, step).i = std::isnan(a) || std::isnan(b) ? WhenNaN : Ordered(a, b);
}

constexpr auto equal = [](auto a, auto b) { return a == b; };
constexpr auto notEqual = [](auto a, auto b) { return a != b; };
constexpr auto less = [](auto a, auto b) { return a < b; };
constexpr auto lessEqual = [](auto a, auto b) { return a <= b; };
constexpr auto greater = [](auto a, auto b) { return a > b; };
constexpr auto greaterEqual = [](auto a, auto b) { return a >= b; };
constexpr auto always = [](auto, auto) { return true; };
constexpr auto never = [](auto, auto) { return false; };

Function comparison(arith::CmpFPredicate predicate) {
  // In the order of the enumeration, which is LLVM's.
  static const Function functions[] = {
      compareOrdered<never, false>,        compareOrdered<equal, false>,       compareOrdered<greater, false>,
      compareOrdered<greaterEqual, false>, compareOrdered<less, false>,        compareOrdered<lessEqual, false>,
      compareOrdered<notEqual, false>,     compareOrdered<always, false>,      compareOrdered<equal, true>,
      compareOrdered<greater, true>,       compareOrdered<greaterEqual, true>, compareOrdered<less, true>,
      compareOrdered<lessEqual, true>,     compareOrdered<notEqual, true>,     compareOrdered<never, true>,
      compareOrdered<always, true>};
  return functions[size_t(predicate)];
}

Function comparison(arith::CmpIPredicate predicate) {
  static const Function functions[] = {
      signedInteger<equal>,     signedInteger<notEqual>,      signedInteger<less>,   signedInteger<lessEqual>,
      signedInteger<greater>,   signedInteger<greaterEqual>,  unsignedInteger<less>, unsignedInteger<lessEqual>,
      unsignedInteger<greater>, unsignedInteger<greaterEqual>};
  return functions[size_t(predicate)];
}

//===----------------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------------===//

using I = int64_t;
using U = uint64_t;

const llvm::StringMap<Function> &table() {
  static const llvm::StringMap<Function> functions = {
      // Floats.
      {"arith.addf", binaryFloat<[](double a, double b) { return a + b; }>},
      {"arith.subf", binaryFloat<[](double a, double b) { return a - b; }>},
      {"arith.mulf", binaryFloat<[](double a, double b) { return a * b; }>},
      {"arith.divf", binaryFloat<[](double a, double b) { return a / b; }>},
      {"arith.remf", binaryFloat<[](double a, double b) { return std::fmod(a, b); }>},
      {"arith.negf", unaryFloat<[](double a) { return -a; }>},
      {"arith.maximumf", binaryFloat<maximum>},
      {"arith.minimumf", binaryFloat<minimum>},
      {"arith.maxnumf", binaryFloat<[](double a, double b) { return std::fmax(a, b); }>},
      {"arith.minnumf", binaryFloat<[](double a, double b) { return std::fmin(a, b); }>},
      {"math.absf", library<std::fabs>},
      {"math.acos", library<std::acos>},
      {"math.acosh", library<std::acosh>},
      {"math.asin", library<std::asin>},
      {"math.asinh", library<std::asinh>},
      {"math.atan", library<std::atan>},
      {"math.atanh", library<std::atanh>},
      {"math.cbrt", library<std::cbrt>},
      {"math.ceil", library<std::ceil>},
      {"math.cos", library<std::cos>},
      {"math.cosh", library<std::cosh>},
      {"math.erf", library<std::erf>},
      {"math.erfc", library<std::erfc>},
      {"math.exp", library<std::exp>},
      {"math.exp2", library<std::exp2>},
      {"math.expm1", library<std::expm1>},
      {"math.floor", library<std::floor>},
      {"math.log", library<std::log>},
      {"math.log10", library<std::log10>},
      {"math.log1p", library<std::log1p>},
      {"math.log2", library<std::log2>},
      {"math.round", library<std::round>},
      {"math.roundeven", library<std::nearbyint>},
      {"math.sin", library<std::sin>},
      {"math.sinh", library<std::sinh>},
      {"math.sqrt", library<std::sqrt>},
      {"math.tan", library<std::tan>},
      {"math.tanh", library<std::tanh>},
      {"math.trunc", library<std::trunc>},
      {"math.rsqrt", unaryFloat<[](double a) { return 1 / std::sqrt(a); }>},
      {"math.atan2", binaryFloat<[](double a, double b) { return std::atan2(a, b); }>},
      {"math.copysign", binaryFloat<[](double a, double b) { return std::copysign(a, b); }>},
      {"math.powf", binaryFloat<[](double a, double b) { return std::pow(a, b); }>},
      {"math.fpowi", floatPower},
      {"math.fma", ternaryFloat<[](double a, double b, double c) { return std::fma(a, b, c); }>},
      {"math.clampf", ternaryFloat<[](double x, double lo, double hi) { return minimum(maximum(x, lo), hi); }>},
      {"math.isfinite", testFloat<[](double a) { return std::isfinite(a); }>},
      {"math.isinf", testFloat<[](double a) { return std::isinf(a); }>},
      {"math.isnan", testFloat<[](double a) { return std::isnan(a); }>},
      // Integers; sums and products wrap, so they are computed unsigned.
      {"arith.addi", unsignedInteger<[](U a, U b) { return a + b; }>},
      {"arith.subi", unsignedInteger<[](U a, U b) { return a - b; }>},
      {"arith.muli", unsignedInteger<[](U a, U b) { return a * b; }>},
      {"arith.andi", unsignedInteger<[](U a, U b) { return a & b; }>},
      {"arith.ori", unsignedInteger<[](U a, U b) { return a | b; }>},
      {"arith.xori", unsignedInteger<[](U a, U b) { return a ^ b; }>},
      {"arith.maxsi", signedInteger<[](I a, I b) { return std::max(a, b); }>},
      {"arith.minsi", signedInteger<[](I a, I b) { return std::min(a, b); }>},
      {"arith.maxui", unsignedInteger<[](U a, U b) { return std::max(a, b); }>},
      {"arith.minui", unsignedInteger<[](U a, U b) { return std::min(a, b); }>},
      {"arith.divsi", signedDivision<[](I a, I b) { return a / b; }>},
      {"arith.remsi", signedDivision<[](I a, I b) { return a % b; }>},
      {"arith.floordivsi", signedDivision<floorDivide>},
      {"arith.ceildivsi", signedDivision<ceilDivide>},
      {"arith.divui", unsignedDivision<[](U a, U b) { return a / b; }>},
      {"arith.remui", unsignedDivision<[](U a, U b) { return a % b; }>},
      {"arith.ceildivui", unsignedDivision<[](U a, U b) { return a / b + (a % b != 0); }>},
      // A shift by the width or more has no value; 0 stands for it.
      {"arith.shli", shift<[](I a, U by, unsigned) { return I(U(a) << by); }>},
      {"arith.shrsi", shift<[](I a, U by, unsigned width) { return signedOf(a, width) >> by; }>},
      {"arith.shrui", shift<[](I a, U by, unsigned width) { return I(unsignedOf(a, width) >> by); }>},
      {"math.absi", unaryInteger<[](I a, unsigned) { return a < 0 ? I(-U(a)) : a; }>},
      {"math.ipowi", signedInteger<integerPower>},
      {"math.ctpop", unaryInteger<[](I a, unsigned width) { return I(std::popcount(unsignedOf(a, width))); }>},
      {"math.ctlz",
       unaryInteger<[](I a, unsigned width) { return I(std::countl_zero(unsignedOf(a, width))) - 64 + I(width); }>},
      {"math.cttz",
       unaryInteger<[](I a, unsigned width) { return std::min(I(std::countr_zero(unsignedOf(a, width))), I(width)); }>},
      // Between types.
      {"arith.select", select},
      {"arith.extf", copy},
      {"arith.truncf", copy},
      {"arith.extsi", unaryInteger<[](I a, unsigned width) { return signedOf(a, width); }>},
      {"arith.extui", unaryInteger<[](I a, unsigned width) { return I(unsignedOf(a, width)); }>},
      {"arith.trunci", unaryInteger<[](I a, unsigned) { return a; }>},
      {"arith.index_cast", unaryInteger<[](I a, unsigned width) { return signedOf(a, width); }>},
      {"arith.index_castui", unaryInteger<[](I a, unsigned width) { return I(unsignedOf(a, width)); }>},
      {"arith.sitofp", floatOfSigned},
      {"arith.uitofp", floatOfUnsigned},
      {"arith.fptosi", signedOfFloat},
      {"arith.fptoui", unsignedOfFloat},
      {"arith.bitcast", bitcast},
  };
  return functions;
}

} // namespace

Function scalarFunction(Operation *op) {
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return comparison(compare.getPredicate());
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return comparison(compare.getPredicate());
  return table().lookup(op->getName().getStringRef());
}

} // namespace tenon
