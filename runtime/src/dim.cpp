//===- dim.cpp - Evaluating and printing dim expressions ------------------===//
//
// Part of the Tenon project, under Apache-2.0 with LLVM exceptions.
//
//===----------------------------------------------------------------------===//

#include "runtime/src/dim.h"

#include <algorithm>
#include <cinttypes>

namespace tenon {

using namespace format;

static bool floorDivide(int64_t a, int64_t b, int64_t &quotient) {
  if (b == 0 || (a == INT64_MIN && b == -1))
    return false;
  quotient = a / b;
  if (a % b != 0 && (a < 0) != (b < 0))
    --quotient;
  return true;
}

static bool apply(DimCode code, int64_t a, int64_t b, int64_t &result) {
  int64_t quotient;
  switch (code) {
  case DimCode::add:
    return !__builtin_add_overflow(a, b, &result);
  case DimCode::mul:
    return !__builtin_mul_overflow(a, b, &result);
  case DimCode::floorDiv:
    return floorDivide(a, b, result);
  case DimCode::mod:
    if (b == -1)
      return result = 0, true;
    return floorDivide(a, b, quotient) && (result = a - b * quotient, true);
  case DimCode::min:
    return result = std::min(a, b), true;
  case DimCode::max:
    return result = std::max(a, b), true;
  default:
    return false;
  }
}

bool evaluate(const Tables &tables, uint32_t dimension, const int64_t *symbols, const int64_t *kernelDims,
              int64_t &value) {
  int64_t stack[maxDimStack];
  uint32_t depth = 0;
  Range ops = tables.dimensions[dimension].ops;
  for (uint32_t i = 0; i < ops.count; ++i) {
    const DimOp &op = tables.dimOps[ops.first + i];
    switch (DimCode(op.code)) {
    case DimCode::constant:
      stack[depth++] = op.value;
      break;
    case DimCode::symbol:
      stack[depth++] = symbols[op.value];
      break;
    case DimCode::kernelDim:
      stack[depth++] = kernelDims[op.value];
      break;
    default:
      --depth;
      if (!apply(DimCode(op.code), stack[depth - 1], stack[depth], stack[depth - 1]))
        return false;
    }
  }
  value = stack[0];
  return true;
}

namespace {
/// A printed operand, with how tightly it binds: 0 sum, 1 product, 2 atom.
struct Printed {
  std::string text;
  int binding;
};
} // namespace

static std::string within(const Printed &operand, int binding) {
  return operand.binding < binding ? "(" + operand.text + ")" : operand.text;
}

static Printed combine(DimCode code, const Printed &a, const Printed &b) {
  switch (code) {
  case DimCode::add:
    if (b.text[0] == '-')
      return {a.text + " - " + b.text.substr(1), 0};
    return {a.text + " + " + b.text, 0};
  case DimCode::mul:
    return {within(a, 1) + " * " + within(b, 1), 1};
  case DimCode::floorDiv:
    return {within(a, 1) + " floordiv " + within(b, 2), 1};
  case DimCode::mod:
    return {within(a, 1) + " mod " + within(b, 2), 1};
  case DimCode::min:
    return {"min(" + a.text + ", " + b.text + ")", 2};
  default:
    return {"max(" + a.text + ", " + b.text + ")", 2};
  }
}

std::string print(const Tables &tables, uint32_t dimension) {
  std::vector<Printed> stack;
  Range ops = tables.dimensions[dimension].ops;
  for (uint32_t i = 0; i < ops.count; ++i) {
    const DimOp &op = tables.dimOps[ops.first + i];
    switch (DimCode(op.code)) {
    case DimCode::constant:
      stack.push_back({text("%" PRId64, op.value), 2});
      break;
    case DimCode::symbol:
      stack.push_back({tables.string(tables.symbols[op.value].name), 2});
      break;
    case DimCode::kernelDim:
      stack.push_back({text("d%" PRId64, op.value), 2});
      break;
    default: {
      Printed right = std::move(stack.back());
      stack.pop_back();
      stack.back() = combine(DimCode(op.code), stack.back(), right);
    }
    }
  }
  return stack.back().text;
}

uint32_t asSymbol(const Tables &tables, uint32_t dimension) {
  Range ops = tables.dimensions[dimension].ops;
  const DimOp &first = tables.dimOps[ops.first];
  return ops.count == 1 && DimCode(first.code) == DimCode::symbol ? uint32_t(first.value) : none;
}

} // namespace tenon
