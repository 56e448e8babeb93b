//===- Functions.cpp - ONNX's functions of one number ------------------------------===//
#include "frontends/onnx/importer/Activation.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

/// The tensor of body(x), element by element.
static LogicalResult unary(NodeContext &n, llvm::function_ref<Value(ScalarBuilder &, Value)> body) {
  Value x = n.tensor(0);
  if (!x)
    return failure();
  return n.result(
      n.graph.elementwise(elementOf(x), x, [&](ScalarBuilder &s, ArrayRef<Value> v) { return body(s, v[0]); }));
}

template <typename MathOp> static LogicalResult unary(NodeContext &n) {
  return unary(n, [](ScalarBuilder &s, Value x) { return s.math<MathOp>(x); });
}

/// The function of that name, its parameters the node's attributes.
static LogicalResult named(NodeContext &n, StringRef name) {
  Activation activation = *findActivation(name);
  for (Activation::Parameter &parameter : activation.parameters)
    parameter.value = n.real(parameter.name, parameter.value);
  return n.result(activation.of(n.graph, n.tensor(0)));
}

LogicalResult onnx_importer::importExp(NodeContext &n) { return unary<math::ExpOp>(n); }
LogicalResult onnx_importer::importLog(NodeContext &n) { return unary<math::LogOp>(n); }
LogicalResult onnx_importer::importSqrt(NodeContext &n) { return unary<math::SqrtOp>(n); }
LogicalResult onnx_importer::importErf(NodeContext &n) { return unary<math::ErfOp>(n); }
LogicalResult onnx_importer::importTanh(NodeContext &n) { return unary<math::TanhOp>(n); }
LogicalResult onnx_importer::importSin(NodeContext &n) { return unary<math::SinOp>(n); }
LogicalResult onnx_importer::importCos(NodeContext &n) { return unary<math::CosOp>(n); }
LogicalResult onnx_importer::importTan(NodeContext &n) { return unary<math::TanOp>(n); }
LogicalResult onnx_importer::importAsin(NodeContext &n) { return unary<math::AsinOp>(n); }
LogicalResult onnx_importer::importAcos(NodeContext &n) { return unary<math::AcosOp>(n); }
LogicalResult onnx_importer::importAtan(NodeContext &n) { return unary<math::AtanOp>(n); }
LogicalResult onnx_importer::importSinh(NodeContext &n) { return unary<math::SinhOp>(n); }
LogicalResult onnx_importer::importCosh(NodeContext &n) { return unary<math::CoshOp>(n); }
LogicalResult onnx_importer::importAsinh(NodeContext &n) { return unary<math::AsinhOp>(n); }
LogicalResult onnx_importer::importAcosh(NodeContext &n) { return unary<math::AcoshOp>(n); }
LogicalResult onnx_importer::importAtanh(NodeContext &n) { return unary<math::AtanhOp>(n); }
LogicalResult onnx_importer::importFloor(NodeContext &n) { return unary<math::FloorOp>(n); }
LogicalResult onnx_importer::importCeil(NodeContext &n) { return unary<math::CeilOp>(n); }
LogicalResult onnx_importer::importRound(NodeContext &n) { return unary<math::RoundEvenOp>(n); }

LogicalResult onnx_importer::importRelu(NodeContext &n) {
  return n.result(n.graph.apply(&ScalarBuilder::relu, n.tensor(0)));
}

LogicalResult onnx_importer::importSigmoid(NodeContext &n) {
  return n.result(n.graph.apply(&ScalarBuilder::sigmoid, n.tensor(0)));
}

LogicalResult onnx_importer::importLeakyRelu(NodeContext &n) { return named(n, "LeakyRelu"); }
LogicalResult onnx_importer::importElu(NodeContext &n) { return named(n, "Elu"); }
LogicalResult onnx_importer::importCelu(NodeContext &n) { return named(n, "Celu"); }
LogicalResult onnx_importer::importSelu(NodeContext &n) { return named(n, "Selu"); }
LogicalResult onnx_importer::importHardSigmoid(NodeContext &n) { return named(n, "HardSigmoid"); }
LogicalResult onnx_importer::importHardSwish(NodeContext &n) { return named(n, "HardSwish"); }
LogicalResult onnx_importer::importSoftplus(NodeContext &n) { return named(n, "Softplus"); }
LogicalResult onnx_importer::importSoftsign(NodeContext &n) { return named(n, "Softsign"); }
LogicalResult onnx_importer::importThresholdedRelu(NodeContext &n) { return named(n, "ThresholdedRelu"); }
LogicalResult onnx_importer::importMish(NodeContext &n) { return named(n, "Mish"); }

LogicalResult onnx_importer::importPRelu(NodeContext &n) {
  Value x = n.tensor(0), slope = n.tensor(1);
  if (!x || !slope)
    return failure();
  return n.result(n.graph.elementwise(elementOf(x), {x, slope}, [](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.select(s.compare(Comparison::Less, v[0], s.number(v[0].getType(), 0)), s.mul(v[0], v[1]), v[0]);
  }));
}

LogicalResult onnx_importer::importGelu(NodeContext &n) {
  std::string approximate = n.text("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return n.error() << "attribute 'approximate': wanted 'none' or 'tanh', found " << quote(approximate);
  auto body = approximate == "none" ? &ScalarBuilder::gelu : &ScalarBuilder::geluTanh;
  return n.result(n.graph.apply(body, n.tensor(0)));
}

LogicalResult onnx_importer::importSwish(NodeContext &n) {
  double alpha = n.real("alpha", 1);
  return unary(n, [&](ScalarBuilder &s, Value x) {
    return s.mul(x, s.sigmoid(alpha == 1 ? x : s.mul(x, s.number(x.getType(), alpha))));
  });
}

LogicalResult onnx_importer::importSwiGLU(NodeContext &n) {
  double alpha = n.real("alpha", 1);
  Value gate = n.tensor(0), x = n.tensor(1);
  if (!gate || !x)
    return failure();
  return n.result(n.graph.elementwise(elementOf(gate), {gate, x}, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Value scaled = alpha == 1 ? v[0] : s.mul(v[0], s.number(v[0].getType(), alpha));
    return s.mul(s.mul(v[0], s.sigmoid(scaled)), v[1]);
  }));
}

LogicalResult onnx_importer::importShrink(NodeContext &n) {
  double bias = n.real("bias", 0), lambda = n.real("lambd", 0.5);
  Value x = n.tensor(0);
  if (!x)
    return failure();
  Type type = elementOf(x);
  // Integers are compared with a bound that may lie between two of them.
  Type wide = isa<FloatType>(type) ? type : Type(n.graph.f64());
  Sign sign = n.sign(0);
  return n.result(n.graph.elementwise(type, x, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Value value = s.cast(v[0], wide, sign);
    auto number = [&](double d) { return s.number(wide, d); };
    Value low = s.compare(Comparison::Less, value, number(-lambda));
    Value high = s.compare(Comparison::Greater, value, number(lambda));
    Value middle = s.select(high, s.sub(value, number(bias)), number(0));
    return s.cast(s.select(low, s.add(value, number(bias)), middle), type, sign);
  }));
}
