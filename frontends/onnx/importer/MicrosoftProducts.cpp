//===- MicrosoftProducts.cpp - matrix products of com.microsoft -----------------------===//
#include "frontends/onnx/importer/Activation.h"
#include "frontends/onnx/importer/Contraction.h"
#include "frontends/onnx/importer/Microsoft.h"
#include "frontends/onnx/importer/StorageTypes.h"

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

/// The table, its indices, scales and zero points. Bytes hold several numbers along the last dim, or one of a type of
/// few bits.
LogicalResult microsoft::importGatherBlockQuantized(NodeContext &n) {
  int64_t bits = n.integer("bits", 4), block = n.integer("block_size", 128);
  int64_t gatherAxis = n.integer("gather_axis", 0), blockAxis = n.integer("quantize_axis", 1);
  ElementType type = n.type(0);
  Value table = n.tensor(0), indices = n.tensor(1), scales = n.tensor(2), zeros = n.optional(3);
  if (!table || !indices || !scales || n.graph.hasFailed())
    return failure();
  Shape stored = shapeOf(table), shape = stored;
  bool isPacked = type == ElementType::UInt8 && bits < 8;
  std::optional<int64_t> from = n.graph.axis(gatherAxis, shape.size()), along = n.graph.axis(blockAxis, shape.size());
  if (!from || !along)
    return failure();
  if (!llvm::is_contained({2, 4, 8}, bits) || block < 1 || isStorageFloat(type) || (isPacked && *from != 0) ||
      shapeOf(scales).size() != shape.size())
    return n.error() << "wants integers of 2, 4 or 8 bits in blocks with a scale each, packed ones gathered along axis "
                        "0, found bits = "
                     << bits << ", block_size = " << block << ", scales " << toString(shapeOf(scales)) << " for "
                     << toString(stored);
  int64_t perByte = isPacked ? 8 / bits : 1, last = int64_t(shape.size()) - 1;
  shape[last] = shape[last] * Dim(perByte);
  Shape to(ArrayRef<Dim>(shape).take_front(*from));
  llvm::append_range(to, shapeOf(indices));
  llvm::append_range(to, ArrayRef<Dim>(shape).drop_front(*from + 1));
  SmallVector<Value> inputs{table, indices, scales};
  if (zeros)
    inputs.push_back(zeros);
  Type i32 = n.graph.i32(), f32 = n.graph.f32(), element = elementOf(scales);
  size_t picks = shapeOf(indices).size();
  auto body = [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value picked = s.load(t[1], at.slice(*from, picks));
    SmallVector<Value> place(at.take_front(*from));
    place.push_back(n.graph.wrappedIndex(s, picked, shape[*from]));
    llvm::append_range(place, at.drop_front(*from + picks));
    auto number = [&](Value tensor, SmallVector<Value> where) {
      Value position = where[last];
      if (isPacked)
        where[last] = s.div(position, s.index(perByte), Sign::Unsigned);
      Value bytes = s.load(tensor, where);
      Value whole = s.cast(isStorage(type) ? decode(s, bytes, type) : bytes, i32,
                           isSignedStorage(type) ? Sign::Signed : signOf(type));
      if (!isPacked)
        return whole;
      Value shift = s.cast(s.mul(s.rem(position, s.index(perByte), Sign::Unsigned), s.index(bits)), i32);
      return s.bitAnd(s.builder.createOrFold<arith::ShRUIOp>(s.loc, whole, shift),
                      s.integer(i32, (int64_t(1) << bits) - 1));
    };
    SmallVector<Value> group = place;
    group[*along] = s.div(place[*along], s.index(block), Sign::Unsigned);
    Value value = number(t[0], place);
    if (zeros)
      value = s.sub(value, number(t[3], group));
    else if (type == ElementType::UInt8)
      value = s.sub(value, s.integer(i32, int64_t(1) << (bits - 1)));
    return s.cast(s.mul(s.cast(value, f32), s.cast(s.load(t[2], group), f32)), element);
  };
  return n.result(n.graph.map(element, to, inputs, body), n.type(2));
}
