//===- MoveRowFactors.cpp - weights divided by their row's sum: divide behind the product instead -----------------===//
//
// What is gained: the weights are read by one product alone, which then is an attention, and N d quotients instead of
// N².
//
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/AttentionRaiser.h"
#include "passes/attention/RowShift.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_MOVEROWFACTORS
#include "passes/Passes.h.inc"

namespace {

/// Weights a_ij r_i or a_ij / r_i, where r is a function of Σ_j a_ij, before a product with values.
class RowFactor {
public:
  RowFactor(ContractOp product, bool left) : product(product), left(left), builder(product), loc(product.getLoc()) {}

  bool move() {
    if (!match())
      return false;
    ContractOp extended = withColumnOfOnes();
    Value sums = sumsIn(extended);
    moveReadersOfSum();
    sum.getResult().replaceAllUsesWith(sums);
    product.getResult().replaceAllUsesWith(scaled(extended));
    eraseDeadOps(sum);
    eraseDeadOps(product);
    return true;
  }

private:
  //===--------------------------------------------------------------------------===//
  // Whether it is one
  //===--------------------------------------------------------------------------===//

  bool match() {
    std::string error;
    spec = *ContractSpec::parse(product.getSpec(), error);
    map = (left ? product.getLhs() : product.getRhs()).getDefiningOp<MapOp>();
    auto summed = spec.summed(), columns = left ? spec.columns() : spec.rows();
    if (!map || !map->hasOneUse() || product.getPanels() || summed.size() != 1 || columns.size() != 1 ||
        !spec.lone().empty() || !isData(values()) || !isa<FloatType>(elementOf(values())))
      return false;
    over = positionOf(summed[0], words());
    column = columns[0];
    operation = map.getYielded().getDefiningOp();
    if (!isa_and_present<arith::MulFOp, arith::DivFOp>(operation))
      return false;
    bool mayBeSwapped = isa<arith::MulFOp>(operation);
    return isWeightAndFactor(operation->getOperand(0), operation->getOperand(1)) ||
           (mayBeSwapped && isWeightAndFactor(operation->getOperand(1), operation->getOperand(0)));
  }

  Value values() { return left ? product.getRhs() : product.getLhs(); }
  ArrayRef<StringRef> words() const { return left ? spec.lhs : spec.rhs; }

  /// The element is that of a tensor whose sum over the keys the factor is a function of, and nothing else in the row.
  bool isWeightAndFactor(Value element, Value other) {
    if (dependsOnIndex(other, map.getIndices()[over]))
      return false;
    llvm::SetVector<Operation *> seen;
    for (Operation *op : sliceOf(other))
      if (auto load = dyn_cast<LoadOp>(op))
        collectSums(inputOf(load, map), seen);
    auto *found = llvm::find_if(seen, [&](Operation *op) {
      auto reduce = dyn_cast<ReduceOp>(op);
      return reduce && reduce.getKind() == ReduceKind::Sum &&
             llvm::equal(reduce.getOver(), ArrayRef<int64_t>{int64_t(over)}) && isElementOf(reduce.getInput(), element);
    });
    if (found == seen.end())
      return false;
    sum = cast<ReduceOp>(*found);
    factor = other;
    return isScoresOfThese() && isOnlyFor(sum.getResult(), product) && sum->getBlock() == product->getBlock();
  }

  static Value inputOf(LoadOp load, MapOp of) {
    return of.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
  }

  /// The reductions a tensor is made of by maps and reshapes, among other ops.
  static void collectSums(Value tensor, llvm::SetVector<Operation *> &seen) {
    Operation *op = tensor.getDefiningOp();
    if (op && seen.insert(op) && isa<MapOp, ReshapeOp>(op))
      for (Value operand : op->getOperands())
        collectSums(operand, seen);
  }

  bool isElementOf(Value tensor, Value element) {
    auto load = element.getDefiningOp<LoadOp>();
    if (load && inputOf(load, map) == tensor)
      return llvm::equal(load.getIndices(), map.getIndices());
    auto other = tensor.getDefiningOp<MapOp>();
    return other && isSame(element, other.getYielded(), other);
  }

  /// A value of the map, and one of another map: the same function of their indices.
  bool isSame(Value value, Value other, MapOp of) {
    auto *index = llvm::find(map.getIndices(), value);
    if (index != map.getIndices().end())
      return other == of.getIndices()[index - map.getIndices().begin()];
    Operation *a = value.getDefiningOp(), *b = other.getDefiningOp();
    if (!a || !b || a->getName() != b->getName() || a->getAttrDictionary() != b->getAttrDictionary() ||
        a->getNumOperands() != b->getNumOperands())
      return false;
    unsigned first = 0;
    if (auto load = dyn_cast<LoadOp>(a)) {
      if (inputOf(load, map) != inputOf(cast<LoadOp>(b), of))
        return false;
      first = 1;
    }
    return llvm::all_of(llvm::seq(first, a->getNumOperands()),
                        [&](unsigned n) { return isSame(a->getOperand(n), b->getOperand(n), of); });
  }

  /// The weights are of one product of queries and keys, which is for them and their sum alone.
  bool isScoresOfThese() {
    llvm::SetVector<ContractOp> scores;
    collectContractions(sum.getInput(), scores);
    if (scores.size() != 1)
      return false;
    llvm::SetVector<Operation *> readers;
    collectReaders(ContractOp(scores.front()).getResult(), readers);
    return readers.size() == 2 && readers.contains(product) && readers.contains(sum);
  }

  //===--------------------------------------------------------------------------===//
  // The product and what is behind it
  //===--------------------------------------------------------------------------===//

  /// Σ_j a_ij [v_j, 1]: the sums as one column more.
  ContractOp withColumnOfOnes() {
    Value values = this->values();
    unsigned last = positionOf(column, left ? spec.rhs : spec.lhs);
    Shape shape = shapeOf(values);
    depth = shape[last];
    shape[last] = depth + Dim(1);
    Type element = elementOf(values);
    Value extended = MapOp::create(
        builder, loc, tensorOf(element, shape), values, [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) {
          IndexDomain domain = domainOf(product);
          Value count = emitIndex(b, loc, depth, domain, [](StringRef) { return Value(); });
          Value zero = arith::ConstantIndexOp::create(b, loc, 0);
          Value isValue = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, at[last], count);
          SmallVector<Value> from(at);
          from[last] = arith::SelectOp::create(b, loc, isValue, at[last], zero);
          Value value = LoadOp::create(b, loc, inputs[0], from);
          Value one = arith::ConstantOp::create(b, loc, b.getFloatAttr(element, 1));
          return arith::SelectOp::create(b, loc, isValue, value, one).getResult();
        });
    Value weights = sum.getInput(), a = left ? weights : extended, b = left ? extended : weights;
    return ContractOp::create(builder, loc, product.getSpec(), a, b);
  }

  /// What the reduction gave.
  Value sumsIn(ContractOp extended) {
    return MapOp::create(builder, loc, cast<RankedTensorType>(sum.getType()), extended.getResult(),
                         [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) -> Value {
                           Value last = emitIndex(b, loc, depth, domainOf(product), [](StringRef) { return Value(); });
                           SmallVector<Value> from;
                           SmallVector<Value> row(at);
                           row.insert(row.begin() + over, Value());
                           for (StringRef word : spec.result)
                             from.push_back(word == column ? last : row[positionOf(word, words())]);
                           return LoadOp::create(b, loc, inputs[0], from);
                         });
  }

  /// What is computed from the sums, which now are there later.
  void moveReadersOfSum() {
    llvm::SetVector<Operation *> readers;
    readers.insert_range(sum->getUsers());
    for (size_t next = 0; next < readers.size(); ++next)
      for (Operation *user : readers[next]->getUsers())
        if (user != product)
          readers.insert(user);
    SmallVector<Operation *> inOrder = readers.takeVector();
    llvm::sort(inOrder, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    for (Operation *reader : inOrder)
      reader->moveBefore(product);
  }

  /// The other columns, each times the factor of its row.
  Value scaled(ContractOp extended) {
    SmallVector<Value> tensors(map.getInputs());
    tensors.push_back(extended.getResult());
    auto result =
        MapOp::create(builder, loc, cast<RankedTensorType>(product.getType()), tensors,
                      [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) -> Value {
                        IRMapping mapping;
                        mapping.map(map.getOperandArgs(), inputs.drop_back());
                        for (auto [word, index] : llvm::zip(words(), map.getIndices()))
                          if (int position = positionOf(word, spec.result); position >= 0)
                            mapping.map(index, at[position]);
                        for (Operation *op : sliceOf(factor))
                          b.clone(*op, mapping);
                        Value element = LoadOp::create(b, loc, inputs.back(), at);
                        return isa<arith::MulFOp>(operation)
                                   ? arith::MulFOp::create(b, loc, element, mapping.lookup(factor)).getResult()
                                   : arith::DivFOp::create(b, loc, element, mapping.lookup(factor)).getResult();
                      });
    eraseUnreadInputs(result);
    return result;
  }

  ContractOp product;
  bool left; ///< The weights are its left operand.
  OpBuilder builder;
  Location loc;
  ContractSpec spec;
  MapOp map;
  unsigned over = 0; ///< The dimension of the weights that is the keys'.
  StringRef column;
  Operation *operation = nullptr;
  Value factor;
  ReduceOp sum;
  Dim depth; ///< Of the values.
};

struct MoveRowFactors : impl::MoveRowFactorsBase<MoveRowFactors> {
  void runOnOperation() override {
    SmallVector<ContractOp> products;
    getOperation().walk([&](ContractOp op) { products.push_back(op); });
    auto options = remark::RemarkOpts::name("rows").category(getArgument());
    for (ContractOp product : products) {
      Location loc = product.getLoc();
      if (RowFactor(product, /*left=*/true).move() || RowFactor(product, /*left=*/false).move())
        remark::passed(loc, options) << remark::add(
            "weights are divided by their sums behind the product with the values, which gives both");
    }
  }
};

} // namespace
} // namespace tenon
