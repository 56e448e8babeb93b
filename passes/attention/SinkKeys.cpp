//===- SinkKeys.cpp - learned sinks as keys ----------------------------------------------===//
#include "passes/attention/SinkKeys.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/IRMapping.h"
#include "passes/attention/ElementTrace.h"

using namespace mlir;

namespace tenon {
namespace {

Dim lastOf(Value tensor) { return shapeOf(tensor).back(); }

RankedTensorType withLast(Value tensor, const Dim &size, unsigned position) {
  Shape shape = shapeOf(tensor);
  shape[position] = size;
  return tensorOf(elementOf(tensor), shape);
}

class KeyExtender {
public:
  KeyExtender(SoftmaxOp softmax, ContractOp scores, ContractOp product)
      : softmax(softmax), scores(scores), product(product), builder(softmax), loc(softmax.getLoc()),
        keys(lastOf(scores.getResult())), all(lastOf(softmax.getResult())), domain(domainOf(softmax)) {}

  ContractOp extend() {
    if (!matchProduct() || !isExtended(softmax.getInput()))
      return {};
    softmax.getInputMutable().assign(extended(softmax.getInput()));
    return extendedProduct();
  }

private:
  //===--------------------------------------------------------------------------===//
  // Whether it is one
  //===--------------------------------------------------------------------------===//

  /// The weights are the softmax's without its last entries, summed over with the values.
  bool matchProduct() {
    if (softmax.getOver() + 1 != shapeOf(softmax.getResult()).size() || product.getPanels() || scores.getPanels())
      return false;
    std::string error;
    spec = *ContractSpec::parse(product.getSpec(), error);
    left = dependsOn(product.getLhs(), softmax.getResult());
    Value weights = left ? product.getLhs() : product.getRhs();
    auto at = llvm::map_to_vector<4>(shapeOf(weights), [&](const Dim &size) { return domain.addIndex(size); });
    View view = viewOf(weights, at, domain, Through::Movement);
    auto summed = spec.summed();
    return view.base == softmax.getResult() && llvm::equal(view.indices, at) && lastOf(weights) == keys &&
           summed.size() == 1 && summed[0] == (left ? spec.lhs : spec.rhs).back();
  }

  bool isDependent(Value tensor) { return dependsOn(tensor, scores.getResult()); }
  static Value inputOf(LoadOp load, MapOp map) {
    return map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
  }

  /// The loads of a map that give scores; the index of the key stands last in each.
  SmallVector<LoadOp> scoreLoads(MapOp map) {
    auto loads = map.getBody().front().getOps<LoadOp>();
    return llvm::to_vector(
        llvm::make_filter_range(loads, [&](LoadOp load) { return isDependent(inputOf(load, map)); }));
  }

  /// Maps over all entries, down to one that selects the scores where the entry is a key.
  bool isExtended(Value tensor) {
    auto map = tensor.getDefiningOp<MapOp>();
    if (!map || lastOf(tensor) != all)
      return false;
    Value entry = map.getIndices().back();
    return llvm::all_of(scoreLoads(map), [&](LoadOp load) {
      Value input = inputOf(load, map);
      if (lastOf(input) == all)
        return load.getIndices().back() == entry && isExtended(input);
      return lastOf(input) == keys && isOnlyForKeys(load, entry) && isExtensible(input);
    });
  }

  /// What is loaded is selected only where the entry is below the number of keys.
  bool isOnlyForKeys(LoadOp load, Value entry) const {
    return llvm::all_of(load->getUsers(), [&](Operation *user) {
      auto select = dyn_cast<arith::SelectOp>(user);
      auto compare = select ? select.getCondition().getDefiningOp<arith::CmpIOp>() : arith::CmpIOp();
      if (!compare || compare.getLhs() != entry || sizeOf(compare.getRhs()) != keys)
        return false;
      bool isKey = compare.getPredicate() == arith::CmpIPredicate::slt ||
                   compare.getPredicate() == arith::CmpIPredicate::ult;
      bool isBeside = compare.getPredicate() == arith::CmpIPredicate::sge ||
                      compare.getPredicate() == arith::CmpIPredicate::uge;
      return (isKey && select.getFalseValue() != load.getResult()) ||
             (isBeside && select.getTrueValue() != load.getResult());
    });
  }

  static std::optional<Dim> sizeOf(Value value) {
    if (auto size = value.getDefiningOp<SizeOp>())
      return size.getDim().getValue();
    if (auto constant = value.getDefiningOp<arith::ConstantIndexOp>())
      return Dim(constant.value());
    return std::nullopt;
  }

  /// The product of queries and keys, or maps of it: key by key.
  bool isExtensible(Value tensor) {
    if (tensor == scores.getResult()) {
      std::string error;
      ContractSpec own = *ContractSpec::parse(scores.getSpec(), error);
      StringRef key = own.result.back();
      return (positionOf(key, own.lhs) < 0) != (positionOf(key, own.rhs) < 0);
    }
    auto map = tensor.getDefiningOp<MapOp>();
    if (!map || lastOf(tensor) != keys)
      return false;
    return llvm::all_of(scoreLoads(map), [&](LoadOp load) {
      return load.getIndices().back() == map.getIndices().back() && isExtensible(inputOf(load, map));
    });
  }

  //===--------------------------------------------------------------------------===//
  // As it then is
  //===--------------------------------------------------------------------------===//

  /// Whether an index is that of a key, and the index, or 0 where it is not.
  std::pair<Value, Value> keyOf(OpBuilder &b, Value entry) const {
    Value count = emitIndex(b, loc, keys, domain, [](StringRef) { return Value(); });
    Value isKey = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, entry, count);
    return {isKey, arith::SelectOp::create(b, loc, isKey, entry, arith::ConstantIndexOp::create(b, loc, 0))};
  }

  /// The tensor with zeros for the entries that are no keys.
  Value padded(Value tensor, unsigned position) {
    return MapOp::create(builder, loc, withLast(tensor, all, position), tensor,
                         [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) -> Value {
                           auto [isKey, key] = keyOf(b, at[position]);
                           SmallVector<Value> indices(at);
                           indices[position] = key;
                           Value loaded = LoadOp::create(b, loc, tensors[0], indices);
                           Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(loaded.getType()));
                           return arith::SelectOp::create(b, loc, isKey, loaded, zero);
                         });
  }

  /// The map over all entries. Where it was one over keys, `isOfKeys`, what it reads beside scores is read at a key.
  Value rebuilt(MapOp map, bool isOfKeys) {
    llvm::DenseMap<Value, Value> replacements;
    SmallVector<LoadOp> loads = scoreLoads(map);
    for (LoadOp load : loads) {
      Value input = inputOf(load, map);
      if (!replacements.count(input))
        replacements[input] = extended(input);
    }
    auto inputs = llvm::map_to_vector(map.getInputs(), [&](Value input) {
      Value replacement = replacements.lookup(input);
      return replacement ? replacement : input;
    });
    unsigned last = map.getIndices().size() - 1;
    return MapOp::create(builder, loc, withLast(map.getResult(), all, last), inputs,
                         [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) -> Value {
                           IRMapping mapping;
                           mapping.map(map.getOperandArgs(), tensors);
                           mapping.map(map.getIndices(), at);
                           if (isOfKeys)
                             mapping.map(map.getIndices()[last], keyOf(b, at[last]).second);
                           for (Operation &op : map.getBody().front().without_terminator()) {
                             auto load = dyn_cast<LoadOp>(op);
                             if (!load || !llvm::is_contained(loads, load)) {
                               b.clone(op, mapping);
                               continue;
                             }
                             auto indices = llvm::map_to_vector(load.getIndices(),
                                                                [&](Value index) { return mapping.lookup(index); });
                             indices.back() = at[last];
                             mapping.map(load.getResult(),
                                         LoadOp::create(b, loc, mapping.lookup(load.getTensor()), indices).getResult());
                           }
                           return mapping.lookup(map.getYielded());
                         });
  }

  Value extended(Value tensor) {
    if (tensor == scores.getResult())
      return extendedScores();
    auto map = tensor.getDefiningOp<MapOp>();
    return rebuilt(map, /*isOfKeys=*/lastOf(tensor) == keys);
  }

  Value extendedScores() {
    std::string error;
    ContractSpec own = *ContractSpec::parse(scores.getSpec(), error);
    StringRef key = own.result.back();
    SmallVector<Value> operands{scores.getLhs(), scores.getRhs()};
    for (unsigned side : {0, 1})
      if (int position = positionOf(key, side == 0 ? own.lhs : own.rhs); position >= 0)
        operands[side] = padded(operands[side], position);
    auto copy = cast<ContractOp>(builder.clone(*scores));
    return finish(copy, operands, withLast(scores.getResult(), all, own.result.size() - 1));
  }

  ContractOp extendedProduct() {
    ArrayRef<StringRef> words = left ? ArrayRef<StringRef>(spec.rhs) : ArrayRef<StringRef>(spec.lhs);
    builder.setInsertionPoint(product);
    Value values = padded(left ? product.getRhs() : product.getLhs(), positionOf(spec.summed()[0], words));
    SmallVector<Value> operands{left ? softmax.getResult() : values, left ? values : softmax.getResult()};
    auto copy = cast<ContractOp>(builder.clone(*product));
    finish(copy, operands, cast<RankedTensorType>(product.getType()));
    product.getResult().replaceAllUsesWith(copy.getResult());
    product.erase();
    return copy;
  }

  static Value finish(ContractOp copy, ArrayRef<Value> operands, RankedTensorType type) {
    copy->setOperand(0, operands[0]);
    copy->setOperand(1, operands[1]);
    copy.getResult().setType(type);
    return copy.getResult();
  }

  SoftmaxOp softmax;
  ContractOp scores, product;
  OpBuilder builder;
  Location loc;
  Dim keys, all; ///< Keys, and entries of the softmax.
  IndexDomain domain;
  ContractSpec spec; ///< Of the second contraction.
  bool left = false; ///< Its left operand is the weights.
};

/// The contractions a tensor is computed from by maps.
void collectScores(Value tensor, llvm::SetVector<ContractOp> &found) {
  if (auto contract = tensor.getDefiningOp<ContractOp>())
    found.insert(contract);
  else if (auto map = tensor.getDefiningOp<MapOp>())
    for (Value input : map.getInputs())
      collectScores(input, found);
}

} // namespace

ContractOp withKeysForSinks(SoftmaxOp softmax, ContractOp product) {
  llvm::SetVector<ContractOp> candidates;
  collectScores(softmax.getInput(), candidates);
  Dim all = lastOf(softmax.getResult());
  for (ContractOp scores : candidates) {
    std::optional<int64_t> beside = (all - lastOf(scores.getResult())).constant();
    if (!beside || *beside < 1)
      continue;
    if (ContractOp extended = KeyExtender(softmax, scores, product).extend())
      return extended;
  }
  return {};
}

} // namespace tenon
