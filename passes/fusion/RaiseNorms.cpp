//===- RaiseNorms.cpp - norms from the arithmetic exporters write for them -------------===//
//
// x · rsqrt(mean(x²) + ε) comes as a map of squares, a sum over the last dim, a map of the sums and a map
// of the elements, in any grouping. What is matched is the arithmetic, followed from map to map: in the last
// map, a product (or quotient) of an element and the reciprocal deviation of its row (or the deviation).
//
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "passes/fusion/RowScalars.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISENORMS
#include "passes/Passes.h.inc"

namespace {

//===--------------------------------------------------------------------------===//
// Deviation and the norm around it
//===--------------------------------------------------------------------------===//

struct Norm {
  NormKind kind;
  Value input;
  double epsilon = 0;
};

/// x, or x - mean(x), of an element.
std::optional<Norm> centredOf(Value scalar, size_t rows) {
  if (auto difference = scalar.getDefiningOp<arith::SubFOp>()) {
    Value x = elementTensor(difference.getLhs());
    return x && meanOf(difference.getRhs(), rows) == x ? std::optional(Norm{NormKind::Layer, x}) : std::nullopt;
  }
  Value x = elementTensor(scalar);
  if (!x)
    return std::nullopt;
  if (auto map = x.getDefiningOp<MapOp>())
    if (auto centred = centredOf(map.getYielded(), rows); centred && centred->kind == NormKind::Layer)
      return centred;
  return Norm{NormKind::RMS, x};
}

/// What is squared in d·d or d².
Value squareRoot(Value scalar) {
  if (auto product = scalar.getDefiningOp<arith::MulFOp>(); product && product.getLhs() == product.getRhs())
    return product.getLhs();
  if (auto power = scalar.getDefiningOp<math::PowFOp>())
    if (auto exponent = constantOf(power.getRhs()); exponent && *exponent == 2)
      return power.getLhs();
  return Value();
}

/// mean(d²) + ε of d = x or x - mean(x).
std::optional<Norm> varianceOf(Value scalar, size_t rows) {
  auto sum = withConstant<arith::AddFOp>(throughRows(scalar, rows));
  if (!sum)
    return std::nullopt;
  Value squares = meanOf(sum->first, rows);
  auto map = squares ? squares.getDefiningOp<MapOp>() : MapOp();
  Value root = map ? squareRoot(map.getYielded()) : Value();
  std::optional<Norm> norm = root ? centredOf(root, rows) : std::nullopt;
  if (norm)
    norm->epsilon = sum->second;
  return norm;
}

/// sqrt(variance).
std::optional<Norm> deviationOf(Value scalar, size_t rows) {
  scalar = throughRows(scalar, rows);
  auto root = scalar.getDefiningOp<math::SqrtOp>();
  return root ? varianceOf(root.getOperand(), rows) : std::nullopt;
}

/// 1 / sqrt(variance), however it is written.
std::optional<Norm> reciprocalOf(Value scalar, size_t rows) {
  scalar = throughRows(scalar, rows);
  if (auto root = scalar.getDefiningOp<math::RsqrtOp>())
    return varianceOf(root.getOperand(), rows);
  if (auto power = scalar.getDefiningOp<math::PowFOp>())
    if (auto exponent = constantOf(power.getRhs()); exponent && *exponent == -0.5)
      return varianceOf(power.getLhs(), rows);
  auto quotient = scalar.getDefiningOp<arith::DivFOp>();
  std::optional<double> one = quotient ? constantOf(quotient.getLhs()) : std::nullopt;
  return one && *one == 1 ? deviationOf(quotient.getRhs(), rows) : std::nullopt;
}

/// The norm whose element a product or quotient in a map is.
std::optional<Norm> normOf(Operation &op, size_t rows) {
  auto matched = [&](Value element, std::optional<Norm> norm) -> std::optional<Norm> {
    std::optional<Norm> centred = norm ? centredOf(element, rows) : std::nullopt;
    bool same = centred && centred->kind == norm->kind && centred->input == norm->input;
    return same ? norm : std::nullopt;
  };
  if (auto quotient = dyn_cast<arith::DivFOp>(op))
    return matched(quotient.getLhs(), deviationOf(quotient.getRhs(), rows));
  auto product = dyn_cast<arith::MulFOp>(op);
  if (!product)
    return std::nullopt;
  if (auto norm = matched(product.getLhs(), reciprocalOf(product.getRhs(), rows)))
    return norm;
  return matched(product.getRhs(), reciprocalOf(product.getLhs(), rows));
}

/// The map with `element`, one of its values, read from `norm` instead.
void readNorm(MapOp map, Value element, const Norm &norm) {
  OpBuilder builder(map);
  Value normal = NormOp::create(builder, map.getLoc(), norm.input.getType(), norm.kind, norm.input, Value(), Value(), 1,
                                APFloat(norm.epsilon));
  SmallVector<Value> inputs(map.getInputs());
  inputs.push_back(normal);
  Value replaced = MapOp::create(
      builder, map.getLoc(), cast<RankedTensorType>(map.getType()), inputs,
      [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) -> Value {
        IRMapping mapping;
        mapping.map(map.getOperandArgs(), tensors.drop_back());
        mapping.map(map.getIndices(), at);
        for (Operation &op : map.getBody().front().without_terminator()) {
          b.clone(op, mapping);
          if (op.getResult(0) == element)
            mapping.map(element, LoadOp::create(b, loc, tensors.back(), at).getResult());
        }
        return mapping.lookup(map.getYielded());
      });
  map.replaceAllUsesWith(replaced);
  map.erase();
}

struct RaiseNorms : impl::RaiseNormsBase<RaiseNorms> {
  void runOnOperation() override {
    SmallVector<MapOp> maps;
    getOperation().walk([&](MapOp map) { maps.push_back(map); });
    for (MapOp map : maps)
      raise(map);
  }

private:
  static void raise(MapOp map) {
    size_t rank = map.getIndices().size();
    if (!rank || !isa<Float32Type, Float64Type>(elementOf(map.getResult())))
      return;
    for (Operation &op : map.getBody().front())
      if (std::optional<Norm> norm = normOf(op, rank - 1);
          norm && shapeOf(norm->input) == shapeOf(map.getResult()))
        return readNorm(map, op.getResult(0), *norm);
  }
};

} // namespace
} // namespace tenon
