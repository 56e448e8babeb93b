//===- MaterialiseAttention.cpp - attention as scores, weights and two products -------===//
//
// The reference: every normaliser, every rule for empty rows, any region, any number of sources. Costs O(N^2) memory:
// two or three tensors of batch x heads x queries x keys;
// `topk_softmax` also sorts the greatest of each row.
//
#include "passes/Passes.h"
#include "passes/attention/AttentionRewriter.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_MATERIALISEATTENTION
#include "passes/Passes.h.inc"

namespace {

constexpr double minusInfinity = -std::numeric_limits<double>::infinity();

class Materialiser : AttentionRewriter {
public:
  explicit Materialiser(AttentionOp op)
      : AttentionRewriter(op), axis(op.getOverQueries() ? 2 : 3),
        full{sizes.batch, sizes.heads, sizes.queries, op.getAllKeys()} {}

  Value lower() {
    Worded query = this->query(), key = this->key(), value = this->value();
    SmallVector<std::string> heads = headWords(query);
    Value scores = contract(query, key, words(query, key, heads, "j"), full);
    Value y = scored(scores);
    if (!op.getMore().empty())
      giveMore(scores);
    Value weights = normalise(y);
    if (op.hasWeight())
      weights = mapWeights(weights);
    if (op.hasKeep())
      weights = zeroDead(weights);
    return placeResult(product(weights, value, heads));
  }

private:
  /// 1 where a row has a live key, 0 elsewhere; null where every row is live or dead alike.
  Value liveRows() {
    if (anyLive)
      return anyLive;
    Value live = map(type, full, withCaptures({}), [&](OpBuilder &b, ValueRange tensors, ValueRange at) -> Value {
      Value keep = inlined(b, op.getKeep(), Value(), at, tensors);
      return arith::SelectOp::create(b, loc, keep, number(b, 1), number(b, 0));
    });
    return anyLive = ReduceOp::create(builder, loc, ReduceKind::Max, live, ArrayRef<int64_t>{axis});
  }

  Value isLiveRow(OpBuilder &b, Value rows, ValueRange at) {
    Value count = LoadOp::create(b, loc, rows, at.take_front(3));
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, count, number(b, 0));
  }

  bool needsLiveRows() {
    return op.hasKeep() && (op.getEmpty() == EmptyRow::Uniform || op.getEmpty() == EmptyRow::IgnoreKeep);
  }

  //===--------------------------------------------------------------------------===//
  // Scores and weights
  //===--------------------------------------------------------------------------===//

  /// y, with `dead` where a key is; rows without live keys as the rule asks for, or dead as well.
  Value masked(Value scores, double dead, bool fillsEmpty) {
    if (!op.hasScore() && !op.hasKeep())
      return scores;
    SmallVector<Value> tensors{scores};
    if (fillsEmpty)
      tensors.push_back(liveRows());
    return map(type, full, withCaptures(tensors), [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      ValueRange captures = inputs.drop_front(tensors.size());
      Value y = LoadOp::create(b, loc, inputs[0], at);
      if (op.hasScore())
        y = inlined(b, op.getScore(), y, at, captures);
      if (!op.hasKeep())
        return y;
      Value keep = inlined(b, op.getKeep(), Value(), at, captures);
      Value masked = arith::SelectOp::create(b, loc, keep, y, number(b, dead));
      if (!fillsEmpty)
        return masked;
      Value other = op.getEmpty() == EmptyRow::IgnoreKeep ? y : number(b, 1);
      return arith::SelectOp::create(b, loc, isLiveRow(b, inputs[1], at), masked, other);
    });
  }

  /// The score region; where a key is dead, the value that gives it no weight; what the empty-row rule
  /// asks for in rows without live keys.
  Value scored(Value scores) {
    bool isSum = op.getNormaliser() == Normaliser::Sum || op.getNormaliser() == Normaliser::None;
    return masked(scores, isSum ? 0 : minusInfinity, needsLiveRows());
  }

  Value reduce(ReduceKind kind, Value tensor, int64_t over) {
    return ReduceOp::create(builder, loc, kind, tensor, ArrayRef<int64_t>{over});
  }

  /// The indices without the one that is normalised over.
  SmallVector<Value> outer(ValueRange at, int64_t over) {
    SmallVector<Value> indices(at);
    indices.erase(indices.begin() + over);
    return indices;
  }

  /// The results `also` asks for, from the products of queries and keys.
  void giveMore(Value products) {
    Value scores = masked(products, minusInfinity, /*fillsEmpty=*/false);
    if (Value asked = op.getAlso("scores"))
      asked.replaceAllUsesWith(scores);
    Value asked = op.getAlso("log_sum_exp");
    if (!asked)
      return;
    Value greatest = reduce(ReduceKind::Max, scores, 3);
    Value powers = map(type, full, {scores, greatest}, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value y = LoadOp::create(b, loc, inputs[0], at), m = LoadOp::create(b, loc, inputs[1], at.take_front(3));
      return math::ExpOp::create(b, loc, arith::SubFOp::create(b, loc, y, m));
    });
    Value sums = reduce(ReduceKind::Sum, powers, 3);
    ArrayRef<Dim> rows = ArrayRef<Dim>(full).take_front(3);
    asked.replaceAllUsesWith(
        map(type, rows, {greatest, sums}, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
          Value m = LoadOp::create(b, loc, inputs[0], at), sum = LoadOp::create(b, loc, inputs[1], at);
          Value empty = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, m, number(b, minusInfinity));
          Value log = arith::AddFOp::create(b, loc, m, math::LogOp::create(b, loc, sum));
          return arith::SelectOp::create(b, loc, empty, m, log);
        }));
  }

  Value normalise(Value scores) {
    switch (op.getNormaliser()) {
    case Normaliser::Softmax:
      return softmax(scores, axis);
    case Normaliser::Hard:
      return hard(scores);
    case Normaliser::TopKSoftmax:
      return softmax(onlyGreatest(scores, *op.getCount()), axis);
    case Normaliser::Sinkhorn:
      return balanced(softmax(scores, axis));
    case Normaliser::Sum:
    case Normaliser::None:
      return divided(scores);
    }
    llvm_unreachable("every normaliser is above");
  }

  Value softmax(Value scores, int64_t over) { return SoftmaxOp::create(builder, loc, scores.getType(), scores, over); }

  /// One where the greatest score stands first among the live, zero elsewhere; where rows without live keys are
  /// uniform, one over the number of keys there.
  Value hard(Value scores) {
    Type index = builder.getI64Type();
    Value greatest = reduce(ReduceKind::Max, scores, axis);
    Value places = map(
        index, full, withCaptures({scores, greatest}), [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
          Value y = LoadOp::create(b, loc, inputs[0], at), m = LoadOp::create(b, loc, inputs[1], outer(at, axis));
          Value chosen = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, y, m);
          if (op.hasKeep() && !needsLiveRows())
            chosen = arith::AndIOp::create(b, loc, chosen, inlined(b, op.getKeep(), Value(), at, inputs.drop_front(2)));
          Value place = arith::SelectOp::create(b, loc, chosen, at[axis], size(b, full[axis]));
          return arith::IndexCastOp::create(b, loc, index, place);
        });
    SmallVector<Value> tensors{reduce(ReduceKind::Min, places, axis)};
    bool isUniform = needsLiveRows() && op.getEmpty() == EmptyRow::Uniform;
    if (isUniform)
      tensors.push_back(liveRows());
    return map(type, full, tensors, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value place = LoadOp::create(b, loc, inputs[0], outer(at, axis));
      Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, place,
                                         arith::IndexCastOp::create(b, loc, index, at[axis]));
      Value weight = arith::SelectOp::create(b, loc, here, number(b, 1), number(b, 0));
      if (!isUniform)
        return weight;
      Value share = arith::DivFOp::create(b, loc, number(b, 1), asNumber(b, full[axis]));
      return arith::SelectOp::create(b, loc, isLiveRow(b, inputs[1], at), weight, share);
    });
  }

  /// Scores below the k-th greatest are dead; those equal to it stay.
  Value onlyGreatest(Value scores, int64_t k) {
    Dim kept = Dim::min(Dim(k), full[3]);
    Value order =
        OrderOp::create(builder, loc, scores, 3, kept, /*descending=*/true, /*isUnsigned=*/false, /*records=*/false);
    return map(type, full, {scores, order}, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      SmallVector<Value> row(at.take_front(3));
      Value place = LoadOp::create(b, loc, inputs[1], ValueRange{at[0], at[1], at[2], size(b, kept - Dim(1))});
      row.push_back(arith::IndexCastOp::create(b, loc, b.getIndexType(), place));
      Value least = LoadOp::create(b, loc, inputs[0], row), y = LoadOp::create(b, loc, inputs[0], at);
      Value stays = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, y, least);
      return arith::SelectOp::create(b, loc, stays, y, number(b, minusInfinity));
    });
  }

  /// Columns and rows in turn, Sinkhorn's half-steps after the first.
  Value balanced(Value weights) {
    if (op.hasKeep())
      weights = zeroDead(weights);
    for (int64_t step = 1, steps = *op.getCount(); step < steps; ++step) {
      int64_t over = step % 2 == 1 ? 2 : 3;
      Value sums = reduce(ReduceKind::Sum, weights, over);
      weights = map(type, full, {weights, sums}, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
        Value w = LoadOp::create(b, loc, inputs[0], at), sum = LoadOp::create(b, loc, inputs[1], outer(at, over));
        Value share =
            over == 2 ? arith::DivFOp::create(b, loc, asNumber(b, full[2]), asNumber(b, full[3])) : number(b, 1);
        Value scaled = arith::DivFOp::create(b, loc, arith::MulFOp::create(b, loc, w, share), sum);
        Value nothing = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, sum, number(b, 0));
        return arith::SelectOp::create(b, loc, nothing, w, scaled);
      });
    }
    return weights;
  }

  Value asNumber(OpBuilder &b, const Dim &dim) {
    Value integer = arith::IndexCastOp::create(b, loc, b.getI64Type(), size(b, dim));
    return arith::SIToFPOp::create(b, loc, type, integer);
  }

  /// By the sum, or not at all.
  Value divided(Value scores) {
    bool uniform = needsLiveRows() && op.getEmpty() == EmptyRow::Uniform;
    if (op.getNormaliser() == Normaliser::None && !uniform)
      return scores;
    Value sums = reduce(ReduceKind::Sum, scores, axis);
    SmallVector<Value> tensors{scores, sums};
    if (uniform)
      tensors.push_back(liveRows());
    return map(type, full, tensors, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value y = LoadOp::create(b, loc, inputs[0], at);
      Value p = arith::DivFOp::create(b, loc, y, LoadOp::create(b, loc, inputs[1], outer(at, axis)));
      if (op.getNormaliser() == Normaliser::None)
        p = arith::SelectOp::create(b, loc, isLiveRow(b, inputs[2], at), y, p);
      return p;
    });
  }

  Value mapWeights(Value weights) {
    return map(type, full, withCaptures({weights}), [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
      return inlined(b, op.getWeight(), LoadOp::create(b, loc, inputs[0], at), at, inputs.drop_front(1));
    });
  }

  /// Dead keys take no part, whatever the weight region makes of 0; nor does a row without live keys, but
  /// where the rule gives it weights.
  Value zeroDead(Value weights) {
    SmallVector<Value> tensors{weights};
    if (needsLiveRows())
      tensors.push_back(liveRows());
    return map(type, full, withCaptures(tensors), [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value w = LoadOp::create(b, loc, inputs[0], at);
      Value keep = inlined(b, op.getKeep(), Value(), at, inputs.drop_front(tensors.size()));
      Value masked = arith::SelectOp::create(b, loc, keep, w, number(b, 0));
      if (!needsLiveRows())
        return masked;
      return arith::SelectOp::create(b, loc, isLiveRow(b, inputs[1], at), masked, w);
    });
  }

  //===--------------------------------------------------------------------------===//
  // The result
  //===--------------------------------------------------------------------------===//

  /// [batch, heads, queries, value depth].
  Value product(Value weights, const Worded &value, ArrayRef<std::string> heads) {
    Worded left;
    Shape shape{sizes.batch};
    left.words.push_back("b");
    if (isGrouped())
      shape.append({sizes.keyHeads, sizes.heads.floorDiv(sizes.keyHeads)});
    else
      shape.push_back(sizes.heads);
    llvm::append_range(left.words, isGrouped() ? SmallVector<std::string>{"g", "r"} : SmallVector<std::string>{"h"});
    SmallVector<std::string> result = left.words;
    shape.append({sizes.queries, full[3]});
    left.words.append({"i", "j"});
    left.tensor = reshapeTo(builder, loc, weights, shape);
    result.append({"i", "d"});
    return contract(left, value, result, {sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth});
  }

  /// In the result's layout and element type; NaN in rows without live keys where the rule says so.
  Value placeResult(Value product) {
    bool nan = op.hasKeep() && op.getEmpty() == EmptyRow::NaN;
    SmallVector<Value> tensors{product};
    if (nan)
      tensors.push_back(liveRows());
    return place(tensors, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value o = LoadOp::create(b, loc, inputs[0], at);
      return nan ? Value(arith::SelectOp::create(b, loc, isLiveRow(b, inputs[1], at), o, number(b, std::nan("")))) : o;
    });
  }

  int64_t axis; ///< Of `full`, that is normalised over.
  Shape full;   ///< [batch, heads, queries, keys]
  Value anyLive;
};

struct MaterialiseAttention : impl::MaterialiseAttentionBase<MaterialiseAttention> {
  using MaterialiseAttentionBase::MaterialiseAttentionBase;

  void runOnOperation() override {
    SmallVector<AttentionOp> found;
    getOperation().walk([&](AttentionOp op) {
      if (all || op.getAlgorithm() == AttentionAlgorithm::Materialised)
        found.push_back(op);
    });
    for (AttentionOp op : found)
      if (failed(materialise(op)))
        return signalPassFailure();
  }

  static LogicalResult materialise(AttentionOp op) {
    StringRef result = op.getLayout(1 + 2 * op.getKeys().size());
    if (result.find_first_of("0123456789") != StringRef::npos)
      return op.emitOpError("writes a slice of its result: layout \"") << result << "\"";
    op.getResult().replaceAllUsesWith(Materialiser(op).lower());
    op.erase();
    return success();
  }
};

} // namespace
} // namespace tenon
