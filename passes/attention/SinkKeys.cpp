//===- SinkKeys.cpp - learned sinks as keys ----------------------------------------------===//
#include "passes/attention/SinkKeys.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/Dialect/Math/IR/Math.h"
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

  /// The weights are the softmax's without entries before and behind those of keys, summed over with the values.
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
    if (view.base != softmax.getResult() || view.indices.size() != at.size() || lastOf(weights) != keys ||
        summed.size() != 1 || summed[0] != (left ? spec.lhs : spec.rhs).back())
      return false;
    // The only place of a dim of one element is read as 0.
    for (auto [read, own, size] : llvm::drop_end(llvm::zip(view.indices, at, shapeOf(weights))))
      if (read != own && size != Dim(1))
        return false;
    std::optional<int64_t> before = (view.indices.back() - at.back()).constant();
    if (!before || *before < 0)
      return false;
    first = Dim(*before);
    return true;
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
      return lastOf(input) == keys && isAtKey(load.getIndices().back(), entry) &&
             isOnlyForKeys(load.getResult(), entry) && isExtensible(input);
    });
  }

  /// An index where `entry` is a place; of a choice that the place decides, the side it takes.
  static Dim readAt(Value index, Value entry, const Dim &place, IndexDomain &within) {
    if (auto choice = index.getDefiningOp<arith::SelectOp>())
      if (std::optional<bool> side = outcome(choice.getCondition(), entry, place, within))
        return readAt(*side ? choice.getTrueValue() : choice.getFalseValue(), entry, place, within);
    return readIndex(index, {{entry, place}}, within);
  }

  /// A comparison where `entry` is a place, if that decides it.
  static std::optional<bool> outcome(Value condition, Value entry, const Dim &place, IndexDomain &within) {
    auto compare = condition.getDefiningOp<arith::CmpIOp>();
    if (!compare)
      return std::nullopt;
    return decide(compare.getPredicate(), readIndex(compare.getLhs(), {{entry, place}}, within),
                  readIndex(compare.getRhs(), {{entry, place}}, within), within);
  }

  /// For an entry that is a key, the index is that key.
  bool isAtKey(Value index, Value entry) const {
    IndexDomain within = domain;
    Dim key = within.addIndex(keys);
    return within.isEqual(readAt(index, entry, key + first, within), key);
  }

  /// What is computed from `value` is chosen only where the entry is a key.
  bool isOnlyForKeys(Value value, Value entry) const {
    return llvm::all_of(value.getUsers(), [&](Operation *user) {
      auto choice = dyn_cast<arith::SelectOp>(user);
      if (choice && choice.getCondition() != value && isLeftOut(choice, value, entry))
        return true;
      return isa<arith::ArithDialect, math::MathDialect>(user->getDialect()) &&
             isOnlyForKeys(user->getResult(0), entry);
    });
  }

  /// For an entry before or behind the keys the choice takes its other side.
  bool isLeftOut(arith::SelectOp choice, Value value, Value entry) const {
    auto takesOther = [&](const Dim &count, const Dim &from) {
      if (count == Dim(0))
        return true;
      IndexDomain within = domain;
      std::optional<bool> side = outcome(choice.getCondition(), entry, within.addIndex(count) + from, within);
      return side && (*side ? choice.getTrueValue() : choice.getFalseValue()) != value;
    };
    return takesOther(first, Dim(0)) && takesOther(all - keys - first, keys + first);
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
    auto constant = [&](const Dim &size) { return emitIndex(b, loc, size, domain, [](StringRef) { return Value(); }); };
    using Predicate = arith::CmpIPredicate;
    Value isKey, key = entry;
    if (first + keys != all)
      isKey = arith::CmpIOp::create(b, loc, Predicate::slt, entry, constant(first + keys));
    if (first != Dim(0)) {
      Value isBehind = arith::CmpIOp::create(b, loc, Predicate::sge, entry, constant(first));
      isKey = isKey ? Value(arith::AndIOp::create(b, loc, isBehind, isKey)) : isBehind;
      key = arith::SubIOp::create(b, loc, entry, constant(first));
    }
    return {isKey, arith::SelectOp::create(b, loc, isKey, key, constant(Dim(0)))};
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
  Dim keys, all;      ///< Keys, and entries of the softmax.
  Dim first = Dim(0); ///< The entry of the first key.
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
