//===- RaiseLinearAttention.cpp - (Q Kᵀ * decay) V under a causal mask is attention ------------------===//
//
// RetNet and its like in their parallel form have no softmax by which RaiseAttention would find them: two contractions, and
// between them a factor that is zero where the key comes after the query. What it is good for: ScanAttention then makes a
// recurrence of it, and where it does not, no tensor of queries x keys is in memory.
//
#include "dialects/tenon/AttentionRegions.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/ElementTrace.h"
#include "passes/scan/LinearStep.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISELINEARATTENTION
#include "passes/Passes.h.inc"

namespace {

/// The contraction of which `tensor` is made by maps and reshapes; null where there are several.
ContractOp scoresBehind(Value tensor) {
  ContractOp found;
  llvm::SetVector<Operation *> seen; // each once: maps that read each other twice are as many paths as powers of two
  seen.insert(tensor.getDefiningOp());
  for (size_t next = 0; next < seen.size(); ++next) {
    if (auto contract = dyn_cast_if_present<ContractOp>(seen[next])) {
      if (found)
        return {};
      found = contract;
    } else if (isa_and_present<MapOp, ReshapeOp>(seen[next])) {
      for (Value operand : seen[next]->getOperands())
        seen.insert(operand.getDefiningOp());
    }
  }
  return found;
}

class LinearRaiser {
public:
  LinearRaiser(ContractOp product, ContractOp scores)
      : product(product), scores(scores), tracer(product), builder(product), loc(product.getLoc()),
        type(elementOf(product.getResult())) {}

  /// Null and no change where it is no such attention.
  Value raise() {
    if (!type.isF32() || !split() || !giveRoles())
      return {};
    Value q = operand(queryTree, i, depth), k = operand(keyTree, j, depth), v = operand(valueTree, j, column);
    return inOrderOfProduct(attention(q, k, v));
  }

private:
  //===--------------------------------------------------------------------------===//
  // What the two products sum
  //===--------------------------------------------------------------------------===//

  /// Σ_j (Σ_d q k) factors v, with factors that are zero for j > i among them.
  bool split() {
    for (const Dim &extent : shapeOf(product.getResult()))
      at.push_back(extent == Dim(1) ? Dim(0) : tracer.domain.addIndex(extent));
    StepTree outer =
        tracer.sum(product, at, {{}, [&](Value tensor) { return !dependsOn(tensor, scores.getResult()); }});
    if (!outer || outer->kind != StepNode::Sum || outer->at.size() != 1)
      return false;
    j = outer->at[0];
    StepProduct all = StepProduct::of(tracer, outer->operands[0]);
    StepTree inner = nullptr;
    for (size_t next = 0; next < all.factors.size(); ++next) { // grows: a mask's live side is factors again
      StepTree factor = all.factors[next];
      if (factor->kind == StepNode::Sum && !inner)
        inner = factor;
      else if (StepTree live = isOfQueriesAndKeys(factor) ? withoutMask(opened(factor)) : nullptr)
        all.take(tracer, live);
      else
        rest.push_back(isOfQueriesAndKeys(factor) ? opened(factor) : factor);
    }
    if (!inner || inner->at.size() != 1 || !i.asSymbol())
      return false;
    depth = inner->at[0];
    StepProduct query, key, value;
    query.number = all.number;
    for (StepTree factor : StepProduct::of(tracer, inner->operands[0]).factors)
      (dependsOn(factor, j) ? key : query).factors.push_back(factor);
    query.number *= StepProduct::of(tracer, inner->operands[0]).number;
    return takeRest(value, inner) && finish(query, key, value);
  }

  bool isOfQueriesAndKeys(StepTree factor) const {
    return dependsOn(factor, j) &&
           llvm::count_if(at, [&](const Dim &index) { return index.asSymbol() && dependsOn(factor, index); }) > 0;
  }

  StepTree opened(StepTree tree) {
    while (StepTree inside = tracer.opened(tree))
      tree = inside;
    return tree;
  }

  /// The other side of a choice between it and zero by j <= i; null for anything else. The first names i.
  StepTree withoutMask(StepTree tree) {
    if (!tree->is<arith::SelectOp>())
      return nullptr;
    bool isZeroElsewhere = tree->operands[2]->number() == 0.0;
    if (isZeroElsewhere == (tree->operands[1]->number() == 0.0) || !isCausal(tree->operands[0], isZeroElsewhere))
      return nullptr;
    return tree->operands[isZeroElsewhere ? 1 : 2];
  }

  static std::optional<Dim> integer(StepTree tree) {
    if (tree->kind == StepNode::Index)
      return tree->at[0];
    if (auto constant = tree->kind == StepNode::Constant ? dyn_cast<IntegerAttr>(tree->constant) : IntegerAttr())
      return Dim(constant.getInt());
    if (tree->is<arith::IndexCastOp>())
      return integer(tree->operands[0]);
    if (!tree->is<arith::SubIOp>() && !tree->is<arith::AddIOp>())
      return std::nullopt;
    std::optional<Dim> a = integer(tree->operands[0]), b = integer(tree->operands[1]);
    if (!a || !b)
      return std::nullopt;
    return tree->is<arith::SubIOp>() ? *a - *b : *a + *b;
  }

  /// Whether the condition, or its contrary, is j <= i for an index i of the product.
  bool isCausal(StepTree condition, bool wanted) {
    using Predicate = arith::CmpIPredicate;
    if (!condition->is<arith::CmpIOp>())
      return false;
    auto attribute = condition->attributes.getAs<arith::CmpIPredicateAttr>("predicate");
    std::optional<Dim> a = integer(condition->operands[0]), b = integer(condition->operands[1]);
    if (!attribute || !a || !b)
      return false;
    Predicate predicate = wanted ? attribute.getValue() : arith::invertPredicate(attribute.getValue());
    bool isLess = predicate == Predicate::slt || predicate == Predicate::sle;
    if (!isLess && predicate != Predicate::sgt && predicate != Predicate::sge)
      return false;
    bool isStrict = predicate == Predicate::slt || predicate == Predicate::sgt;
    // 0 <= distance
    Dim distance = (isLess ? *b - *a : *a - *b) - Dim(isStrict ? 1 : 0), query = distance + j;
    if (!query.asSymbol() || !llvm::is_contained(at, query) || (i.asSymbol() && i != query))
      return false;
    i = query;
    return true;
  }

  /// Values are what knows the index that no score knows; the others are factors of the scores.
  bool takeRest(StepProduct &value, StepTree inner) {
    for (const Dim &index : at) {
      if (!index.asSymbol() || dependsOn(inner, index))
        continue;
      if (column.asSymbol())
        return false;
      column = index;
    }
    if (!column.asSymbol())
      return false;
    for (StepTree factor : rest) {
      if (dependsOn(factor, column))
        value.factors.push_back(factor);
      else
        scoreFactors.push_back(factor);
      if (dependsOn(factor, column) && dependsOn(factor, i))
        return false;
    }
    return !value.factors.empty();
  }

  bool finish(const StepProduct &query, const StepProduct &key, const StepProduct &value) {
    queryTree = query.tree(tracer, type);
    keyTree = key.tree(tracer, type);
    valueTree = value.tree(tracer, type);
    SmallVector<StepTree> all{queryTree, keyTree, valueTree};
    llvm::append_range(all, scoreFactors);
    auto isScalar = [](StepTree tree) {
      return !contains(tree, [](const StepNode &node) { return node.kind == StepNode::Sum; });
    };
    return llvm::all_of(all, isScalar) && !dependsOn(queryTree, j) && !dependsOn(keyTree, i) &&
           dependsOn(queryTree, i) && extentOf(depth).isConstant() && extentOf(column).isConstant();
  }

  Dim extentOf(const Dim &index) const { return tracer.domain.extentOf(*index.asSymbol()); }

  /// What is left of the indices are batch and heads.
  bool giveRoles() {
    SmallVector<Dim> others;
    for (const Dim &index : at)
      if (index.asSymbol() && index != i && index != column)
        others.push_back(index);
    if (others.size() > 2)
      return false;
    bool isOneOfHeads = others.size() == 1 && extentOf(others[0]).isConstant();
    if (!others.empty())
      (isOneOfHeads ? head : batch) = others[0];
    if (others.size() == 2)
      head = others[1];
    return true;
  }

  //===--------------------------------------------------------------------------===//
  // The attention
  //===--------------------------------------------------------------------------===//

  SmallVector<Dim> indicesWith(const Dim &row, const Dim &last) const {
    SmallVector<Dim> indices;
    for (const Dim &index : {batch, head})
      if (index.asSymbol())
        indices.push_back(index);
    indices.append({row, last});
    return indices;
  }

  RankedTensorType tensorOver(ArrayRef<Dim> indices) const {
    return tensorOf(type, llvm::map_to_vector<4>(indices, [&](const Dim &index) { return extentOf(index); }));
  }

  /// [batch, heads, rows, columns] of what a tree gives.
  Value operand(StepTree tree, const Dim &row, const Dim &last) {
    llvm::SetVector<Value> tensors;
    collectTensors(tree, tensors);
    SmallVector<Dim> indices = indicesWith(row, last);
    return MapOp::create(builder, loc, tensorOver(indices), tensors.getArrayRef(),
                         [&](OpBuilder &b, Location, ValueRange inputs, ValueRange places) {
                           llvm::StringMap<Value> symbols;
                           for (auto [index, place] : llvm::zip(indices, places))
                             symbols[*index.asSymbol()] = place;
                           return tracer.emit(b, loc, tree, tensors.getArrayRef(), inputs, symbols);
                         });
  }

  Value attention(Value q, Value k, Value v) {
    llvm::SetVector<Value> captures;
    for (StepTree factor : scoreFactors)
      collectTensors(factor, captures);
    std::string layout = std::string(batch.asSymbol() ? "b " : "") + (head.asSymbol() ? "h " : "") + "n d";
    auto op = AttentionOp::create(builder, loc, tensorOver(indicesWith(i, column)), q, ValueRange(k), ValueRange(v),
                                  captures.getArrayRef(), Normaliser::None, EmptyRow::Zero,
                                  builder.getStrArrayAttr({layout, layout, layout, layout}));
    OpBuilder::InsertionGuard guard(builder);
    if (!scoreFactors.empty()) {
      Block *block = addRegionBlock(builder, op.getScore(), type, captures.getArrayRef(), loc);
      llvm::StringMap<Value> symbols;
      SmallVector<Dim> roles{batch, head, i, j};
      for (auto [number, index] : llvm::enumerate(roles))
        if (index.asSymbol())
          symbols[*index.asSymbol()] = block->getArgument(1 + number);
      Value score = block->getArgument(0);
      for (StepTree factor : scoreFactors)
        score = arith::MulFOp::create(
            builder, loc, score,
            tracer.emit(builder, loc, factor, captures.getArrayRef(), block->getArguments().drop_front(5), symbols));
      YieldOp::create(builder, loc, score);
    }
    Block *block = addRegionBlock(builder, op.getKeep(), Type(), captures.getArrayRef(), loc);
    Value live =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sle, block->getArgument(3), block->getArgument(2));
    YieldOp::create(builder, loc, live);
    return op.getResult();
  }

  Value inOrderOfProduct(Value result) {
    return MapOp::create(builder, loc, cast<RankedTensorType>(product.getType()), result,
                         [&](OpBuilder &b, Location, ValueRange tensors, ValueRange places) -> Value {
                           auto from = llvm::map_to_vector(indicesWith(i, column), [&](const Dim &index) -> Value {
                             return places[llvm::find(at, index) - at.begin()];
                           });
                           return LoadOp::create(b, loc, tensors[0], from);
                         });
  }

  ContractOp product, scores;
  StepTracer tracer;
  OpBuilder builder;
  Location loc;
  Type type;
  SmallVector<Dim, 4> at;                     ///< Indices of the product.
  Dim i, j, depth, column, batch, head;       ///< Symbols; 0 for those that are not there.
  SmallVector<StepTree> rest, scoreFactors;
  StepTree queryTree = nullptr, keyTree = nullptr, valueTree = nullptr;
};

struct RaiseLinearAttention : impl::RaiseLinearAttentionBase<RaiseLinearAttention> {
  void runOnOperation() override {
    SmallVector<ContractOp> products;
    getOperation().walk([&](ContractOp op) { products.push_back(op); });
    auto options = remark::RemarkOpts::name("attention").category(getArgument());
    for (ContractOp product : products)
      for (Value operand : {product.getLhs(), product.getRhs()}) {
        ContractOp scores =
            isa_and_present<MapOp, ReshapeOp>(operand.getDefiningOp()) ? scoresBehind(operand) : ContractOp();
        Value result = scores && !product.getPanels() ? LinearRaiser(product, scores).raise() : Value();
        if (!result)
          continue;
        remark::passed(product.getLoc(), options)
            << remark::add("two contractions and a causal mask are attention without a normaliser");
        product.getResult().replaceAllUsesWith(result);
        break;
      }
  }
};

} // namespace
} // namespace tenon
