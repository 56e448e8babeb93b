//===- Microsoft.cpp - activations, norms and products of com.microsoft ----------------===//
#include "frontends/onnx/importer/Microsoft.h"
#include "frontends/onnx/importer/AttentionRule.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::onnx_importer;

bool microsoft::wantInteger(NodeContext &n, StringRef attribute, int64_t wanted) {
  int64_t found = n.integer(attribute, wanted);
  if (found != wanted)
    n.error() << "attribute '" << attribute << "': wanted " << wanted << ", found " << found;
  return found == wanted;
}

//===----------------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------------===//

/// The sum of the first operand and those of the others that are there.
static Value sumOf(NodeContext &n, ArrayRef<unsigned> others) {
  Value sum = n.tensor(0);
  for (unsigned i : others)
    if (n.has(i))
      sum = n.graph.add(sum, n.tensor(i));
  return sum;
}

LogicalResult microsoft::importGelu(NodeContext &n) { return n.result(n.graph.gelu(n.tensor(0))); }
LogicalResult microsoft::importFastGelu(NodeContext &n) { return n.result(n.graph.geluTanh(sumOf(n, 1))); }
LogicalResult microsoft::importBiasGelu(NodeContext &n) { return n.result(n.graph.gelu(sumOf(n, 1))); }

LogicalResult microsoft::importQuickGelu(NodeContext &n) {
  double alpha = n.real("alpha", 1.702f);
  Value x = n.tensor(0);
  return n.result(n.graph.mul(x, n.graph.sigmoid(n.graph.scale(x, alpha))));
}

//===----------------------------------------------------------------------------===//
// Norms of sums
//===----------------------------------------------------------------------------===//

/// Outputs: the norm, its statistics, which are for training, and the sum.
static LogicalResult resultOfNorm(NodeContext &n, Value norm, Value sum, unsigned sumOutput) {
  SmallVector<Value> results{norm};
  for (unsigned i = 1; i < n.node.outputs.size(); ++i) {
    if (!n.node.outputs[i].empty() && i != sumOutput)
      return n.error() << "output " << i << ": wanted none of it, for it is for training, found "
                       << quote(n.node.outputs[i]);
    results.push_back(sum);
  }
  return n.results(results);
}

/// input, skip, scale, perhaps shift, bias.
static LogicalResult normOfSum(NodeContext &n, NormKind kind, bool hasShift) {
  double epsilon = n.real("epsilon", 1e-12f);
  Value sum = sumOf(n, {1, hasShift ? 4u : 3u}), scale = n.tensor(2), shift = hasShift ? n.optional(3) : Value();
  return resultOfNorm(n, n.graph.norm(kind, sum, scale, shift, 1, epsilon), sum, 3);
}

LogicalResult microsoft::importSkipLayerNormalization(NodeContext &n) { return normOfSum(n, NormKind::Layer, true); }
LogicalResult microsoft::importSkipSimplifiedLayerNormalization(NodeContext &n) {
  return normOfSum(n, NormKind::RMS, false);
}

/// ids, segments, then the tables of words, positions and segments, scale, shift, mask, positions.
LogicalResult microsoft::importEmbedLayerNormalization(NodeContext &n) {
  double epsilon = n.real("epsilon", 1e-12f);
  n.integer("mask_index_type", 0); // Only its dims.
  Value ids = n.tensor(0), words = n.graph.gather(n.tensor(2), ids);
  if (!words)
    return failure();
  Dim batch = shapeOf(ids)[0], length = shapeOf(ids)[1];
  Type i32 = n.graph.i32();
  Value positions = n.has(8) ? n.tensor(8) : n.graph.reshape(n.graph.iota(i32, length), {Dim(1), length});
  Value sum = n.graph.add(words, n.graph.gather(n.tensor(3), positions));
  if (n.has(1) && n.has(4))
    sum = n.graph.add(sum, n.graph.gather(n.tensor(4), n.tensor(1)));
  SmallVector<Value> results{n.graph.norm(NormKind::Layer, sum, n.tensor(5), n.tensor(6), 1, epsilon)};
  if (n.node.outputs.size() > 1) // How many tokens of each row are kept; none without a mask.
    results.push_back(n.has(7) ? n.graph.reduce(ReduceKind::Sum, n.graph.cast(n.tensor(7), i32), 1, false)
                               : n.graph.splat(i32, 0, batch));
  if (n.node.outputs.size() > 2)
    results.push_back(sum);
  return n.results(results);
}

//===----------------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------------===//

/// The last two dims the other way around.
static Value transposedMatrix(NodeContext &n, Value x, bool transpose) {
  if (!x || !transpose || shapeOf(x).size() < 2)
    return x;
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, shapeOf(x).size()));
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return n.graph.transpose(x, order);
}

LogicalResult microsoft::importFusedMatMul(NodeContext &n) {
  double alpha = n.real("alpha", 1);
  bool left = n.integer("transA", 0) != 0, right = n.integer("transB", 0) != 0;
  if (!wantInteger(n, "transBatchA", 0) || !wantInteger(n, "transBatchB", 0))
    return failure();
  Value a = transposedMatrix(n, n.tensor(0), left), b = transposedMatrix(n, n.tensor(1), right);
  return n.result(n.graph.scale(n.graph.matmul(a, b), alpha));
}

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

//===----------------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------------===//

LogicalResult microsoft::importRotaryEmbedding(NodeContext &n) {
  Rotation rotation;
  rotation.interleaved = n.integer("interleaved", 0) != 0;
  rotation.size = n.integer("rotary_embedding_dim", 0);
  int64_t heads = n.integer("num_heads", 0);
  if (!wantInteger(n, "is_packed_batching", 0) || n.real("scale", 1) != 1)
    return n.graph.hasFailed() ? failure() : LogicalResult(n.error() << "attribute 'scale': wanted 1");
  Value x = n.tensor(0);
  rotation.positions = n.tensor(1);
  rotation.cosines = n.tensor(2);
  rotation.sines = n.tensor(3);
  if (!x || !rotation.positions || !rotation.cosines || !rotation.sines)
    return failure();
  Shape given = shapeOf(x), shape = given;
  bool isFlat = given.size() == 3;
  std::optional<int64_t> pairs = shapeOf(rotation.cosines).back().constant();
  if (isFlat && pairs) {
    // Without a number of heads, all of each is turned.
    Dim depth = heads > 0 ? given[2].exactDiv(Dim(heads)).value_or(Dim(0)) : Dim(2 * *pairs);
    shape = {given[0], given[1], given[2].exactDiv(depth).value_or(Dim(0)), depth};
  }
  if (shape.size() != 4 || !shape[3].isConstant() || countOf(shape) != countOf(given))
    return n.error()
           << "wants [batch, heads, sequence, depth], or [batch, sequence, hidden] with heads of one depth, found "
           << toString(given);
  rotation.along = isFlat ? 1 : 2;
  return n.result(n.graph.reshape(rotated(n, n.graph.reshape(x, shape), rotation), given));
}
