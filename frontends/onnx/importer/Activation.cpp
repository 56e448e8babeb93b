//===- Activation.cpp - functions of one number, by their names ----------------------===//
#include "frontends/onnx/importer/Activation.h"

#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

using Parameters = ArrayRef<Activation::Parameter>;

/// A parameter as a number of x's type.
static Value number(ScalarBuilder &s, Value x, const Activation::Parameter &parameter) {
  return s.number(x.getType(), parameter.value);
}

static Value zero(ScalarBuilder &s, Value x) { return s.number(x.getType(), 0); }

/// positive(x) where x > 0 (or is NaN), negative(x) elsewhere.
static Value byGreaterZero(ScalarBuilder &s, Value x, Value positive, Value negative) {
  return s.select(s.compare(Comparison::LessEqual, x, zero(s, x)), negative, positive);
}

/// exp(x) - 1
static Value expm1(ScalarBuilder &s, Value x) { return s.math<math::ExpM1Op>(x); }

static Value leakyRelu(ScalarBuilder &s, Value x, Parameters p) {
  return s.select(s.compare(Comparison::Less, x, zero(s, x)), s.mul(x, number(s, x, p[0])), x);
}

static Value elu(ScalarBuilder &s, Value x, Parameters p) {
  return byGreaterZero(s, x, x, s.mul(number(s, x, p[0]), expm1(s, x)));
}

static Value celu(ScalarBuilder &s, Value x, Parameters p) {
  Value alpha = number(s, x, p[0]);
  return byGreaterZero(s, x, x, s.mul(alpha, expm1(s, s.div(x, alpha))));
}

static Value selu(ScalarBuilder &s, Value x, Parameters p) {
  Value negative = s.mul(number(s, x, p[0]), expm1(s, x));
  return s.mul(number(s, x, p[1]), byGreaterZero(s, x, x, negative));
}

/// alpha x + beta, held between 0 and 1.
static Value hardSigmoid(ScalarBuilder &s, Value x, Parameters p) {
  Value line = s.add(s.mul(x, number(s, x, p[0])), number(s, x, p[1]));
  return s.max(s.min(line, s.number(x.getType(), 1)), zero(s, x));
}

static Value hardSwish(ScalarBuilder &s, Value x, Parameters) {
  return s.mul(x, hardSigmoid(s, x, {{"alpha", 1.0 / 6}, {"beta", 0.5}}));
}

static Value clip(ScalarBuilder &s, Value x, Parameters p) {
  return s.min(s.max(x, number(s, x, p[0])), number(s, x, p[1]));
}

/// log(1 + exp(x)) without overflow: max(x, 0) + log1p(exp(-|x|))
static Value softplus(ScalarBuilder &s, Value x, Parameters) {
  return s.add(s.relu(x), s.math<math::Log1pOp>(s.exp(s.neg(s.abs(x)))));
}

static Value softsign(ScalarBuilder &s, Value x, Parameters) {
  return s.div(x, s.add(s.abs(x), s.number(x.getType(), 1)));
}

static Value thresholdedRelu(ScalarBuilder &s, Value x, Parameters p) {
  return s.select(s.compare(Comparison::Greater, x, number(s, x, p[0])), x, zero(s, x));
}

static Value mish(ScalarBuilder &s, Value x, Parameters) { return s.mul(x, s.tanh(softplus(s, x, {}))); }
static Value relu(ScalarBuilder &s, Value x, Parameters) { return s.relu(x); }
static Value sigmoid(ScalarBuilder &s, Value x, Parameters) { return s.sigmoid(x); }
static Value tanh(ScalarBuilder &s, Value x, Parameters) { return s.tanh(x); }

const Activation *onnx_importer::findActivation(StringRef name) {
  constexpr double most = std::numeric_limits<float>::max();
  static const std::vector<Activation> table{
      {"Relu", {}, relu},
      {"Sigmoid", {}, sigmoid},
      {"Tanh", {}, tanh},
      {"LeakyRelu", {{"alpha", 0.01f}}, leakyRelu},
      {"Elu", {{"alpha", 1}}, elu},
      {"Celu", {{"alpha", 1}}, celu},
      {"Selu", {{"alpha", 1.67326319217681884765625}, {"gamma", 1.05070102214813232421875}}, selu},
      {"HardSigmoid", {{"alpha", 0.2f}, {"beta", 0.5}}, hardSigmoid},
      {"HardSwish", {}, hardSwish},
      {"Clip", {{"min", -most}, {"max", most}}, clip},
      {"Softplus", {}, softplus},
      {"Softsign", {}, softsign},
      {"ThresholdedRelu", {{"alpha", 1}}, thresholdedRelu},
      {"Mish", {}, mish},
  };
  auto found = llvm::find_if(table, [&](const Activation &activation) { return name == activation.name; });
  return found == table.end() ? nullptr : &*found;
}

Value Activation::of(GraphBuilder &graph, Value x) const {
  if (!x)
    return {};
  return graph.elementwise(elementOf(x), x,
                           [&](ScalarBuilder &s, ArrayRef<Value> v) { return function(s, v[0], parameters); });
}
