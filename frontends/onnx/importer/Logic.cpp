//===- Logic.cpp - ONNX's comparisons, logic and selection -------------------------===//
#include "frontends/onnx/importer/NodeContext.h"

#include <limits>

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

static LogicalResult compare(NodeContext &n, Comparison comparison) {
  return n.result(n.graph.compare(comparison, n.tensor(0), n.tensor(1), n.sign(0)), ElementType::Bool);
}

LogicalResult onnx_importer::importEqual(NodeContext &n) { return compare(n, Comparison::Equal); }
LogicalResult onnx_importer::importLess(NodeContext &n) { return compare(n, Comparison::Less); }
LogicalResult onnx_importer::importLessOrEqual(NodeContext &n) { return compare(n, Comparison::LessEqual); }
LogicalResult onnx_importer::importGreater(NodeContext &n) { return compare(n, Comparison::Greater); }
LogicalResult onnx_importer::importGreaterOrEqual(NodeContext &n) { return compare(n, Comparison::GreaterEqual); }

/// A bitwise operation, which on bools is the logical one.
static LogicalResult bitwise(NodeContext &n, Value (ScalarBuilder::*function)(Value, Value)) {
  Value a = n.tensor(0), b = n.tensor(1);
  if (!a || !b)
    return failure();
  if (elementOf(a) != elementOf(b) || !isa<IntegerType>(elementOf(a)))
    return n.error() << "wants two integer or bool tensors of one type, found " << elementOf(a) << " and "
                     << elementOf(b);
  return n.result(n.graph.elementwise(elementOf(a), {a, b},
                                      [&](ScalarBuilder &s, ArrayRef<Value> v) { return (s.*function)(v[0], v[1]); }));
}

LogicalResult onnx_importer::importAnd(NodeContext &n) { return bitwise(n, &ScalarBuilder::bitAnd); }
LogicalResult onnx_importer::importOr(NodeContext &n) { return bitwise(n, &ScalarBuilder::bitOr); }
LogicalResult onnx_importer::importXor(NodeContext &n) { return bitwise(n, &ScalarBuilder::bitXor); }
LogicalResult onnx_importer::importBitwiseAnd(NodeContext &n) { return bitwise(n, &ScalarBuilder::bitAnd); }
LogicalResult onnx_importer::importBitwiseOr(NodeContext &n) { return bitwise(n, &ScalarBuilder::bitOr); }
LogicalResult onnx_importer::importBitwiseXor(NodeContext &n) { return bitwise(n, &ScalarBuilder::bitXor); }

LogicalResult onnx_importer::importNot(NodeContext &n) {
  return n.result(n.graph.apply(&ScalarBuilder::bitNot, n.tensor(0)));
}

LogicalResult onnx_importer::importBitwiseNot(NodeContext &n) {
  return n.result(n.graph.apply(&ScalarBuilder::bitNot, n.tensor(0)));
}

LogicalResult onnx_importer::importBitShift(NodeContext &n) {
  std::string direction = n.text("direction", "");
  Value a = n.tensor(0), b = n.tensor(1);
  if (!a || !b)
    return failure();
  if ((direction != "LEFT" && direction != "RIGHT") || elementOf(a) != elementOf(b) || !isa<IntegerType>(elementOf(a)))
    return n.error() << "wants direction LEFT or RIGHT and two integer tensors of one type, found "
                     << quote(direction) << ", " << elementOf(a) << " and " << elementOf(b);
  bool left = direction == "LEFT", isSigned = n.sign(0) == Sign::Signed;
  return n.result(n.graph.elementwise(elementOf(a), {a, b}, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Type type = v[0].getType();
    unsigned width = type.getIntOrFloatBitWidth();
    // By the width or more nothing is left but, to the right, copies of the sign.
    Value fits = s.compare(Comparison::Less, v[1], s.integer(type, width), Sign::Unsigned);
    Value zero = s.integer(type, 0), count = s.select(fits, v[1], zero);
    if (left)
      return s.select(fits, s.builder.createOrFold<arith::ShLIOp>(s.loc, v[0], count), zero);
    if (isSigned)
      return s.builder.createOrFold<arith::ShRSIOp>(s.loc, v[0], s.select(fits, v[1], s.integer(type, width - 1)));
    return s.select(fits, s.builder.createOrFold<arith::ShRUIOp>(s.loc, v[0], count), zero);
  }));
}

LogicalResult onnx_importer::importIsNaN(NodeContext &n) {
  Value x = n.tensor(0);
  return n.result(
      n.graph.elementwise(n.graph.i1(), x, [](ScalarBuilder &s, ArrayRef<Value> v) { return s.isNaN(v[0]); }),
      ElementType::Bool);
}

LogicalResult onnx_importer::importIsInf(NodeContext &n) {
  bool positive = n.integer("detect_positive", 1) != 0, negative = n.integer("detect_negative", 1) != 0;
  Value x = n.tensor(0);
  auto body = [&](ScalarBuilder &s, ArrayRef<Value> v) {
    Type type = v[0].getType();
    auto equals = [&](double value) { return s.compare(Comparison::Equal, v[0], s.number(type, value)); };
    Value found = s.integer(s.builder.getI1Type(), 0);
    if (positive)
      found = s.bitOr(equals(std::numeric_limits<double>::infinity()), found);
    if (negative)
      found = s.bitOr(equals(-std::numeric_limits<double>::infinity()), found);
    return found;
  };
  return n.result(n.graph.elementwise(n.graph.i1(), x, body), ElementType::Bool);
}

LogicalResult onnx_importer::importWhere(NodeContext &n) {
  return n.result(n.graph.where(n.tensor(0), n.tensor(1), n.tensor(2)), n.type(1));
}
