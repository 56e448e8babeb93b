//===- MapEditing.cpp - products and parts of maps' regions written -----------------------===//
#include "compiler/factorization/MapEditing.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace tenon {

Value appendInput(MapOp map, Value tensor) {
  unsigned position = unsigned(map.getInputs().size());
  Value argument = map.getBody().front().insertArgument(position, tensor.getType(), map.getLoc());
  map.getInputsMutable().append(tensor);
  return argument;
}

namespace {

/// Writes the terms of a sum in front of a scalar of a map.
class SumWriter {
public:
  SumWriter(MapOp map, Operation *before, unsigned dim, WeightOp near, ModelWeights &weights)
      : map(map), builder(before), loc(map.getLoc()), dim(dim), near(near), weights(weights) {}

  Value term(const AffineTerm &term) {
    Value argument = appendInput(map, term.tensor); // moves the indices
    SmallVector<Value> indices(map.getIndices().begin(), map.getIndices().end());
    if (LoadOp load = term.elsewhere)
      indices.assign(load.getIndices().begin(), load.getIndices().end());
    Value element = LoadOp::create(builder, loc, argument, indices);
    return isAll(term.factor, 1) ? element
                                 : arith::MulFOp::create(builder, loc, element, channels(term.factor, ".factor"));
  }

  Value channels(const Channels &values, StringRef suffix) {
    if (isAll(values, values[0]))
      return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(float(values[0])));
    std::vector<float> elements(values.begin(), values.end());
    WeightOp weight = weights.add(near, suffix, {int64_t(values.size())}, std::move(elements));
    OpBuilder outside(map);
    Value vector = WeightRecipes::get(outside, loc, weight);
    Value argument = appendInput(map, vector);
    return LoadOp::create(builder, loc, argument, ValueRange(map.getIndices()[dim]));
  }

  Value plus(Value a, Value b) { return a ? Value(arith::AddFOp::create(builder, loc, a, b)) : b; }

private:
  MapOp map;
  OpBuilder builder;
  Location loc;
  unsigned dim;
  WeightOp near;
  ModelWeights &weights;
};

} // namespace

void replaceBySum(MapOp map, Value scalar, ArrayRef<AffineTerm> terms, const Channels &offset, unsigned dim,
                  WeightOp near, ModelWeights &weights) {
  SumWriter writer(map, scalar.getDefiningOp(), dim, near, weights);
  Value sum;
  for (const AffineTerm &term : terms)
    sum = writer.plus(sum, writer.term(term));
  if (!isAll(offset, 0))
    sum = writer.plus(sum, writer.channels(offset, ".offset"));
  scalar.replaceAllUsesWith(sum);
}

Value multiplyAlong(OpBuilder &builder, Location loc, Value base, WeightOp matrix, unsigned dim) {
  std::string rows[2];
  for (unsigned d = 0, rank = unsigned(shapeOf(base).size()); d < rank; ++d)
    for (bool after : {false, true})
      rows[after] += (d ? " " : "") + (d == dim ? std::string(after ? "n" : "k") : "m" + std::to_string(d));
  return ContractOp::create(builder, loc, rows[0] + ", k n -> " + rows[1], base,
                            WeightRecipes::get(builder, loc, matrix));
}

Value addOffset(OpBuilder &builder, Location loc, Value tensor, WeightOp near, const Channels &offset, unsigned dim,
                ModelWeights &weights) {
  auto map = MapOp::create(builder, loc, cast<RankedTensorType>(tensor.getType()), tensor,
                           [](OpBuilder &b, Location loc, ValueRange t, ValueRange at) -> Value {
                             return LoadOp::create(b, loc, t[0], at);
                           });
  replaceBySum(map, map.getYielded(), AffineTerm{tensor, {1}}, offset, dim, near, weights);
  return map.getResult();
}

void setSize(Value tensor, unsigned dim, int64_t size) {
  Shape shape = shapeOf(tensor);
  shape[dim] = Dim(size);
  RankedTensorType type = tensorOf(elementOf(tensor), shape);
  tensor.setType(type);
  for (OpOperand &use : tensor.getUses())
    if (auto map = dyn_cast<MapOp>(use.getOwner()))
      map.getBody().getArgument(use.getOperandNumber()).setType(type);
}

SmallVector<Value> dropUnreadInputs(MapOp map) {
  Block &body = map.getBody().front();
  SmallVector<Operation *> operations;
  for (Operation &op : body.without_terminator())
    operations.push_back(&op);
  for (Operation *op : llvm::reverse(operations))
    if (op->use_empty() && isMemoryEffectFree(op))
      op->erase();
  SmallVector<Value> dropped;
  for (unsigned position = unsigned(map.getInputs().size()); position-- > 0;) {
    if (!body.getArgument(position).use_empty())
      continue;
    dropped.push_back(map.getInputs()[position]);
    body.eraseArgument(position);
    map.getInputsMutable().erase(position);
  }
  return dropped;
}

llvm::DenseSet<Operation *> eraseUnread(Operation *op) {
  SmallVector<Operation *> worklist{op};
  llvm::DenseSet<Operation *> gone;
  while (!worklist.empty()) {
    Operation *next = worklist.pop_back_val();
    if (gone.contains(next) || !next->use_empty() || !isMemoryEffectFree(next))
      continue;
    for (Value operand : next->getOperands())
      if (Operation *producer = operand.getDefiningOp())
        worklist.push_back(producer);
    gone.insert(next);
    next->erase();
  }
  return gone;
}

} // namespace tenon
