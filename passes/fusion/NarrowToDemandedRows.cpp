//===- NarrowToDemandedRows.cpp - compute only the rows somebody reads ----------------===//
//
// Costs one walk up and one down a function. What it saves is the work of all other rows: a
// classifier that reads the first token leaves, of the last layer, keys and values only.
//
#include "dialects/tenon/ContractSpec.h"
#include "llvm/ADT/TypeSwitch.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_NARROWTODEMANDEDROWS
#include "passes/Passes.h.inc"

namespace {

/// What is read of a tensor: nothing, one position of one dimension, everything.
struct Demand {
  enum Kind { None, Row, Full } kind = None;
  unsigned dim = 0;
  int64_t position = 0;

  static Demand full() { return {Full, 0, 0}; }
  static Demand row(unsigned dim, int64_t position) { return {Row, dim, position}; }
  bool isRow() const { return kind == Row; }
  bool operator==(const Demand &) const = default;

  Demand join(const Demand &other) const {
    if (kind == None || *this == other)
      return other;
    return other.kind == None ? *this : full();
  }
};

//===----------------------------------------------------------------------------===//
// From the readers of a result to its operands
//===----------------------------------------------------------------------------===//

class DemandAnalysis {
public:
  explicit DemandAnalysis(func::FuncOp function) {
    for (Operation &op : llvm::reverse(function.getBody().front()))
      visit(op);
  }

  Demand of(Value value) const { return demands.lookup(value); }

private:
  void want(Value value, Demand demand) {
    Demand &known = demands[value];
    known = known.join(demand);
  }

  void visit(Operation &op) {
    Demand result = op.getNumResults() == 1 ? of(op.getResult(0)) : Demand::full();
    llvm::TypeSwitch<Operation *>(&op)
        .Case([&](MapOp map) { visitMap(map, result); })
        .Case([&](NormOp norm) { visitNorm(norm, result); })
        .Case([&](SoftmaxOp softmax) {
          want(softmax.getInput(), result.isRow() && result.dim != softmax.getOver() ? result : orNone(result));
        })
        .Case([&](ContractOp contract) { visitContract(contract, result); })
        .Case([&](ReshapeOp reshape) { visitReshape(reshape, result); })
        .Default([&](Operation *other) {
          for (Value operand : other->getOperands())
            want(operand, Demand::full());
        });
  }

  /// Full for whatever is read at all.
  static Demand orNone(Demand result) { return result.kind == Demand::None ? Demand() : Demand::full(); }

  /// A load at a constant in one dimension, the result's own row taken into account.
  void visitMap(MapOp map, Demand result) {
    if (result.kind == Demand::None)
      return;
    IndexDomain domain = domainOf(map);
    KnownIndices known;
    for (auto [d, index] : llvm::enumerate(map.getIndices()))
      known[index] = result.isRow() && result.dim == d ? Dim(result.position)
                                                       : domain.addIndex(shapeOf(map.getResult())[d]);
    for (LoadOp load : map.getBody().front().getOps<LoadOp>()) {
      Value input = map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
      Shape shape = shapeOf(input);
      Demand demand = Demand::full();
      for (auto [d, index] : llvm::enumerate(load.getIndices())) {
        std::optional<int64_t> position = domain.simplify(readIndex(index, known, domain)).constant();
        if (position && shape[d] != Dim(1) && !demand.isRow())
          demand = Demand::row(d, *position);
      }
      want(input, demand);
    }
  }

  void visitNorm(NormOp norm, Demand result) {
    unsigned rank = shapeOf(norm.getResult()).size();
    bool keeps = result.isRow() && norm.getKind() != NormKind::Group && result.dim + norm.getOver() < rank;
    want(norm.getInput(), keeps ? result : orNone(result));
    for (Value parameter : {norm.getScale(), norm.getShift()})
      if (parameter)
        want(parameter, orNone(result));
  }

  void visitContract(ContractOp contract, Demand result) {
    std::string error;
    ContractSpec spec = *ContractSpec::parse(contract.getSpec(), error);
    for (auto [operand, words] : {std::pair(contract.getLhs(), &spec.lhs), {contract.getRhs(), &spec.rhs}}) {
      int position = result.isRow() && !contract.getPanels() ? positionOf(spec.result[result.dim], *words) : -1;
      want(operand, position >= 0 ? Demand::row(position, result.position) : orNone(result));
    }
  }

  void visitReshape(ReshapeOp reshape, Demand result) {
    Shape from = shapeOf(reshape.getInput()), to = shapeOf(reshape.getResult());
    bool keeps = result.isRow() && result.dim < from.size() &&
                 ArrayRef<Dim>(from).take_front(result.dim + 1) == ArrayRef<Dim>(to).take_front(result.dim + 1);
    want(reshape.getInput(), keeps ? result : orNone(result));
  }

  llvm::DenseMap<Value, Demand> demands;
};

//===----------------------------------------------------------------------------===//
// Rewriting, producers first
//===----------------------------------------------------------------------------===//

class Narrower {
public:
  Narrower(func::FuncOp function, const DemandAnalysis &demands)
      : function(function), demands(demands), builder(function) {}

  void run() {
    for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
      Demand demand = op.getNumResults() == 1 ? demands.of(op.getResult(0)) : Demand();
      builder.setInsertionPoint(&op);
      if (auto map = dyn_cast<MapOp>(op))
        narrowed[op.getResult(0)] = rewriteMap(map, demand);
      else if (demand.isRow() && isa<NormOp, SoftmaxOp, ContractOp, ReshapeOp>(op))
        narrowed[op.getResult(0)] = rewrite(op, demand);
    }
  }

private:
  static RankedTensorType typeOfRow(Value value, Demand demand) {
    Shape shape = shapeOf(value);
    if (demand.isRow())
      shape[demand.dim] = Dim(1);
    return tensorOf(elementOf(value), shape);
  }

  bool isNarrowed(Value value) const { return narrowed.lookup(value) != Value(); }

  /// The row of an operand: of what was narrowed, that; of anything else, a map that reads it.
  Value rowOf(Value value, Demand demand) {
    if (demands.of(value) == demand && isNarrowed(value))
      return narrowed.lookup(value);
    return MapOp::create(builder, value.getLoc(), typeOfRow(value, demand), value,
                         [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) -> Value {
                           SmallVector<Value> indices(at);
                           indices[demand.dim] = arith::ConstantIndexOp::create(b, loc, demand.position);
                           return LoadOp::create(b, loc, tensors[0], indices);
                         });
  }

  /// The same op on the rows of those operands that have the dimension.
  Value rewrite(Operation &op, Demand demand) {
    IRMapping mapping;
    if (auto contract = dyn_cast<ContractOp>(op)) {
      std::string error;
      ContractSpec spec = *ContractSpec::parse(contract.getSpec(), error);
      if (contract.getPanels())
        return {};
      for (auto [operand, words] : {std::pair(contract.getLhs(), &spec.lhs), {contract.getRhs(), &spec.rhs}})
        if (int position = positionOf(spec.result[demand.dim], *words); position >= 0)
          mapping.map(operand, rowOf(operand, Demand::row(position, demand.position)));
    } else if (keepsDim(op, demand)) {
      mapping.map(op.getOperand(0), rowOf(op.getOperand(0), demand));
    } else {
      return {};
    }
    Operation *copy = builder.clone(op, mapping);
    copy->getResult(0).setType(typeOfRow(op.getResult(0), demand));
    return copy->getResult(0);
  }

  /// The operand's dimension of the same number is the result's.
  static bool keepsDim(Operation &op, Demand demand) {
    Shape from = shapeOf(op.getOperand(0)), to = shapeOf(op.getResult(0));
    if (auto norm = dyn_cast<NormOp>(op))
      return norm.getKind() != NormKind::Group && demand.dim + norm.getOver() < to.size();
    if (auto softmax = dyn_cast<SoftmaxOp>(op))
      return demand.dim != softmax.getOver();
    return demand.dim < from.size() &&
           ArrayRef<Dim>(from).take_front(demand.dim + 1) == ArrayRef<Dim>(to).take_front(demand.dim + 1);
  }

  /// Null where nothing changes; a map whose own result is whole is replaced at once.
  Value rewriteMap(MapOp map, Demand demand) {
    bool readsNarrowed = llvm::any_of(map.getInputs(), [&](Value input) { return isNarrowed(input); });
    if (!demand.isRow() && !readsNarrowed)
      return {};
    SmallVector<Value> inputs = llvm::map_to_vector(
        map.getInputs(), [&](Value input) { return isNarrowed(input) ? narrowed.lookup(input) : input; });
    auto copy = MapOp::create(builder, map.getLoc(), typeOfRow(map.getResult(), demand), inputs,
                              [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange at) {
                                return cloneBody(b, loc, map, demand, tensors, at);
                              });
    if (demand.isRow())
      return copy.getResult();
    map.getResult().replaceAllUsesWith(copy.getResult());
    return {};
  }

  Value cloneBody(OpBuilder &b, Location loc, MapOp map, Demand demand, ValueRange tensors, ValueRange at) {
    IRMapping mapping;
    mapping.map(map.getOperandArgs(), tensors);
    mapping.map(map.getIndices(), at);
    if (demand.isRow())
      mapping.map(map.getIndices()[demand.dim], arith::ConstantIndexOp::create(b, loc, demand.position).getResult());
    for (Operation &op : map.getBody().front().without_terminator()) {
      auto copy = dyn_cast<LoadOp>(b.clone(op, mapping));
      if (!copy)
        continue;
      Value input = map.getInputs()[cast<BlockArgument>(cast<LoadOp>(op).getTensor()).getArgNumber()];
      if (!isNarrowed(input))
        continue;
      b.setInsertionPoint(copy);
      copy.getIndicesMutable()[demands.of(input).dim].set(arith::ConstantIndexOp::create(b, loc, 0));
      b.setInsertionPointAfter(copy);
    }
    return mapping.lookup(map.getYielded());
  }

  func::FuncOp function;
  const DemandAnalysis &demands;
  OpBuilder builder;
  llvm::DenseMap<Value, Value> narrowed;
};

void eraseUnread(func::FuncOp function) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
    if (op.use_empty() && isMemoryEffectFree(&op) && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
}

struct NarrowToDemandedRows : impl::NarrowToDemandedRowsBase<NarrowToDemandedRows> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal() || !function.getBody().hasOneBlock())
        continue;
      DemandAnalysis demands(function);
      Narrower(function, demands).run();
      eraseUnread(function);
    }
  }
};

} // namespace
} // namespace tenon
