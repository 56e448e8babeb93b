//===- MicrosoftProducts.cpp - matrix products of com.microsoft -----------------------===//
#include "frontends/onnx/importer/Activation.h"
#include "frontends/onnx/importer/Contraction.h"
#include "frontends/onnx/importer/Microsoft.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

//===----------------------------------------------------------------------------===//
// With what stands before and behind them
//===----------------------------------------------------------------------------===//

/// With `batch` the first dim goes behind those of the batch, then with `matrix` the last two change places.
static Value transposed(NodeContext &n, Value x, bool matrix, bool batch) {
  if (!x || shapeOf(x).size() < 2)
    return x;
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, shapeOf(x).size()));
  if (batch)
    std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
  if (matrix)
    std::swap(order[order.size() - 1], order[order.size() - 2]);
  return n.graph.transpose(x, order);
}

LogicalResult microsoft::importFusedMatMul(NodeContext &n) {
  double alpha = n.real("alpha", 1);
  auto operand = [&](unsigned i, StringRef matrix, StringRef batch) {
    return transposed(n, n.tensor(i), n.integer(matrix, 0) != 0, n.integer(batch, 0) != 0);
  };
  Value a = operand(0, "transA", "transBatchA"), b = operand(1, "transB", "transBatchB");
  return n.result(n.graph.scale(n.graph.matmul(a, b), alpha));
}

LogicalResult microsoft::importFusedGemm(NodeContext &n) {
  std::string name = n.text("activation", "");
  const Activation *known = findActivation(name);
  if (!known)
    return n.error() << "attribute 'activation': wanted the name of an activation, found " << quote(name);
  Activation activation = *known;
  for (Activation::Parameter &parameter : activation.parameters)
    parameter.value = n.real(std::string("activation_") + parameter.name, parameter.value);
  // Written for every activation, whatever its parameters.
  for (StringRef other : {"activation_alpha", "activation_beta", "activation_gamma"})
    n.real(other, 0);
  return n.result(activation.of(n.graph, generalProduct(n)));
}

LogicalResult microsoft::importGemmFastGelu(NodeContext &n) {
  Value product = n.graph.matmul(n.tensor(0), n.tensor(1));
  return n.result(n.graph.geluTanh(n.has(2) ? n.graph.add(product, n.tensor(2)) : product));
}

//===----------------------------------------------------------------------------===//
// With weights of few bits
//===----------------------------------------------------------------------------===//

namespace {
/// A matrix [columns, rows] of few bits, each row in blocks with a scale and a zero point.
struct PackedMatrix {
  int64_t rows, columns, bits, block;
  const onnx_reader::Tensor *packed, *scales, *zeros;

  int64_t blocks() const { return (rows + block - 1) / block; }
  int64_t bytesOfBlock() const { return block * bits / 8; }

  int64_t bitsAt(const onnx_reader::Tensor &tensor, int64_t byte, int64_t position) const {
    int64_t first = position * bits, whole = integerAt(tensor, byte + first / 8);
    return whole >> first % 8 & ((int64_t(1) << bits) - 1);
  }

  double zeroOf(int64_t column, int64_t number, Type element) const {
    if (!zeros)
      return double(int64_t(1) << (bits - 1));
    if (isFloat(zeros->type))
      return cast<FloatAttr>(elementAt(*zeros, column * blocks() + number, element)).getValueAsDouble();
    return double(bitsAt(*zeros, column * ((blocks() * bits + 7) / 8), number));
  }

  float at(int64_t row, int64_t column, Type element) const {
    int64_t number = row / block;
    double bitsHere = double(bitsAt(*packed, (column * blocks() + number) * bytesOfBlock(), row % block));
    double scale = cast<FloatAttr>(elementAt(*scales, column * blocks() + number, element)).getValueAsDouble();
    return float((bitsHere - zeroOf(column, number, element)) * scale);
  }
};
} // namespace

LogicalResult microsoft::importMatMulNBits(NodeContext &n) {
  PackedMatrix matrix{n.integer("K", 0), n.integer("N", 0), n.integer("bits", 4), n.integer("block_size", 32),
                      n.constant(1),     n.constant(2),     n.constant(3)};
  n.integer("accuracy_level", 0); // How roughly it may be computed.
  Value x = n.tensor(0);
  if (!x || n.graph.hasFailed())
    return failure();
  if (!matrix.packed || !matrix.scales || (n.has(3) && !matrix.zeros) || n.has(4))
    return n.error() << "wants constant weights, scales and zero points, and no order of groups";
  auto [rows, columns, bits, block, packed, scales, zeros] = matrix;
  if (rows < 1 || columns < 1 || !llvm::is_contained({2, 4, 8}, bits) || block < 8)
    return n.error() << "wants positive K and N, 2, 4 or 8 bits and blocks of at least 8, found K = " << rows
                     << ", N = " << columns << ", bits = " << bits << ", block_size = " << block;
  int64_t wanted = columns * matrix.blocks(), zeroBytes = columns * ((matrix.blocks() * bits + 7) / 8);
  if (packed->elementCount != wanted * matrix.bytesOfBlock() || scales->elementCount != wanted ||
      (zeros && zeros->elementCount != (isFloat(zeros->type) ? wanted : zeroBytes)))
    return n.error() << "wants " << wanted << " blocks of weights, with a scale and a zero point each, found "
                     << packed->elementCount << " bytes and " << scales->elementCount << " scales";
  auto values = std::make_shared<std::vector<float>>(rows * columns);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      (*values)[row * columns + column] = matrix.at(row, column, n.graph.f32());
  Value weight = n.graph.weight(n.node.inputs[1], n.graph.f32(), {rows, columns}, values->data(), values);
  Value result = n.graph.matmul(n.graph.cast(x, n.graph.f32()), weight);
  result = n.graph.cast(result, elementOf(x));
  return n.result(n.has(5) ? n.graph.add(result, n.tensor(5)) : result);
}
