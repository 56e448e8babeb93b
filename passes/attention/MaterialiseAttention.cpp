//===- MaterialiseAttention.cpp - attention as scores, weights and two products -------===//
//
// The reference: every normaliser, every rule for empty rows, any region, any number of sources. Costs O(N^2) memory:
// two or three tensors of batch x heads x queries x keys; `topk_softmax` also M comparisons for each of them.
//
#include "dialects/tenon/AttentionLayout.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_MATERIALISEATTENTION
#include "passes/Passes.h.inc"

namespace {

constexpr double minusInfinity = -std::numeric_limits<double>::infinity();

/// A tensor whose dims are named by words of a contraction.
struct Worded {
  Value tensor;
  SmallVector<std::string> words;
};

class Materialiser {
public:
  explicit Materialiser(AttentionOp op)
      : op(op), builder(op), loc(op.getLoc()), sizes(op.getSizes()), type(op.getScoreType()),
        axis(op.getOverQueries() ? 2 : 3), full{sizes.batch, sizes.heads, sizes.queries, op.getAllKeys()} {}

  Value lower() {
    unsigned sources = op.getKeys().size();
    Worded query = operand(op.getQuery(), op.getLayout(0), "i"), key = sourcesOf(op.getKeys(), 1),
           value = sourcesOf(op.getValues(), 1 + sources);
    splitHeads(query, sizes.heads);
    nameKeyHeads(key);
    nameKeyHeads(value);
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
  //===--------------------------------------------------------------------------===//
  // Operands under words
  //===--------------------------------------------------------------------------===//

  /// The operand in the score's type, without its fixed dims.
  Worded operand(Value tensor, StringRef text, StringRef rows) {
    std::string error;
    AttentionLayout layout = *AttentionLayout::parse(text, error);
    Shape shape = shapeOf(tensor), kept;
    Worded result;
    for (auto [role, dim] : llvm::zip(layout.roles, shape)) {
      if (role == '#')
        continue;
      kept.push_back(dim);
      result.words.push_back(role == 'n' ? rows.str() : std::string(1, role));
    }
    result.tensor = kept.size() == shape.size() && elementOf(tensor) == type ? tensor : converted(tensor, layout, kept);
    return result;
  }

  /// The keys or the values of all sources, one after another; `first` is the layout of the first.
  Worded sourcesOf(ValueRange tensors, unsigned first) {
    if (tensors.size() == 1)
      return operand(tensors[0], op.getLayout(first), "j");
    Value joined;
    for (auto [source, tensor] : llvm::enumerate(tensors)) {
      Value rows = keysFirst(tensor, op.getLayout(first + source));
      if (!joined) {
        joined = rows;
        continue;
      }
      Shape shape = shapeOf(joined);
      shape[0] += shapeOf(rows)[0];
      joined = AppendOp::create(builder, loc, tensorOf(type, shape), rows, joined);
    }
    return {joined, {"j", "b", "h", "d"}};
  }

  /// The tensor as `n b h d`, in the score's type.
  Value keysFirst(Value tensor, StringRef text) {
    std::string error;
    AttentionLayout layout = *AttentionLayout::parse(text, error);
    Shape shape = llvm::map_to_vector<4>(StringRef("nbhd"), [&](char role) { return layout.sizeOf(role, shapeOf(tensor)); });
    return map(type, shape, tensor, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      SmallVector<Value> indices;
      for (auto [role, position] : llvm::zip(layout.roles, layout.fixed))
        indices.push_back(role == '#' ? Value(arith::ConstantIndexOp::create(b, loc, position))
                                      : at[StringRef("nbhd").find(role)]);
      return cast(b, LoadOp::create(b, loc, inputs[0], indices), type);
    });
  }

  Value size(OpBuilder &b, const Dim &dim) {
    return SizeOp::create(b, loc, b.getIndexType(), DimAttr::get(b.getContext(), dim));
  }

  Value converted(Value tensor, const AttentionLayout &layout, const Shape &kept) {
    return map(type, kept, tensor, [&](OpBuilder &b, ValueRange tensors, ValueRange at) -> Value {
      SmallVector<Value> indices;
      unsigned next = 0;
      for (auto [role, position] : llvm::zip(layout.roles, layout.fixed))
        indices.push_back(role == '#' ? arith::ConstantIndexOp::create(b, loc, position) : at[next++]);
      return cast(b, LoadOp::create(b, loc, tensors[0], indices), type);
    });
  }

  bool isGrouped() const { return sizes.keyHeads != sizes.heads && sizes.keyHeads != Dim(1); }

  /// Query heads as (key head, member of its group), where groups share a key head.
  void splitHeads(Worded &query, const Dim &heads) {
    auto it = llvm::find(query.words, "h");
    if (!isGrouped() || it == query.words.end())
      return;
    unsigned position = it - query.words.begin();
    Shape shape = shapeOf(query.tensor);
    shape[position] = sizes.keyHeads;
    shape.insert(shape.begin() + position + 1, heads.floorDiv(sizes.keyHeads));
    query.words[position] = "g";
    query.words.insert(query.words.begin() + position + 1, "r");
    query.tensor = reshapeTo(builder, loc, query.tensor, shape);
  }

  /// One key head for all query heads has a word of its own, summed as a lone dim of size 1.
  void nameKeyHeads(Worded &operand) {
    for (std::string &word : operand.words)
      if (word == "h" && sizes.keyHeads != sizes.heads)
        word = isGrouped() ? "g" : "one";
  }

  static SmallVector<std::string> headWords(const Worded &query) {
    SmallVector<std::string> heads;
    for (StringRef word : {"h", "g", "r"})
      if (llvm::is_contained(query.words, word))
        heads.push_back(word.str());
    return heads;
  }

  static SmallVector<std::string> words(const Worded &a, const Worded &b, ArrayRef<std::string> heads, StringRef last) {
    SmallVector<std::string> result;
    if (llvm::is_contained(a.words, "b") || llvm::is_contained(b.words, "b"))
      result.push_back("b");
    llvm::append_range(result, heads);
    result.push_back("i");
    result.push_back(last.str());
    return result;
  }

  /// The contraction, its result under the dims `shape` of equal row-major order.
  Value contract(const Worded &a, const Worded &b, ArrayRef<std::string> result, ArrayRef<Dim> shape) {
    std::string text = llvm::join(a.words, " ") + ", " + llvm::join(b.words, " ") + " -> " + llvm::join(result, " ");
    Value product = ContractOp::create(builder, loc, text, a.tensor, b.tensor);
    return reshapeTo(builder, loc, product, shape);
  }

  //===--------------------------------------------------------------------------===//
  // Maps over [batch, heads, queries, keys]
  //===--------------------------------------------------------------------------===//

  using Body = function_ref<Value(OpBuilder &, ValueRange tensors, ValueRange at)>;

  Value map(Type element, ArrayRef<Dim> shape, ValueRange inputs, Body body) {
    return MapOp::create(builder, loc, tensorOf(element, shape), inputs,
                         [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) { return body(b, tensors, at); });
  }

  Value cast(OpBuilder &b, Value scalar, Type wanted) {
    Type found = scalar.getType();
    if (found == wanted)
      return scalar;
    if (found.getIntOrFloatBitWidth() < wanted.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(b, loc, wanted, scalar);
    return arith::TruncFOp::create(b, loc, wanted, scalar);
  }

  Value number(OpBuilder &b, double value) {
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
  }

  /// The value of a region; `scalar` is null for keep.
  Value inlined(OpBuilder &b, Region &region, Value scalar, ValueRange at, ValueRange captures) {
    IRMapping mapping;
    SmallVector<Value> arguments(scalar ? 1 : 0, scalar);
    llvm::append_range(arguments, at);
    llvm::append_range(arguments, captures);
    mapping.map(region.getArguments(), arguments);
    for (Operation &inner : region.front().without_terminator())
      b.clone(inner, mapping);
    return mapping.lookupOrDefault(region.front().getTerminator()->getOperand(0));
  }

  SmallVector<Value> withCaptures(ArrayRef<Value> tensors) {
    SmallVector<Value> inputs(tensors);
    llvm::append_range(inputs, op.getCaptures());
    return inputs;
  }

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

  /// One where the greatest score stands first among the live, zero elsewhere.
  Value hard(Value scores) {
    Type index = builder.getI64Type();
    Value greatest = reduce(ReduceKind::Max, scores, axis);
    Value places = map(index, full, withCaptures({scores, greatest}), [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value y = LoadOp::create(b, loc, inputs[0], at), m = LoadOp::create(b, loc, inputs[1], outer(at, axis));
      Value chosen = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, y, m);
      if (op.hasKeep() && !needsLiveRows())
        chosen = arith::AndIOp::create(b, loc, chosen, inlined(b, op.getKeep(), Value(), at, inputs.drop_front(2)));
      Value place = arith::SelectOp::create(b, loc, chosen, at[axis], size(b, full[axis]));
      return arith::IndexCastOp::create(b, loc, index, place);
    });
    Value first = reduce(ReduceKind::Min, places, axis);
    return map(type, full, first, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value place = LoadOp::create(b, loc, inputs[0], outer(at, axis));
      Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, place,
                                         arith::IndexCastOp::create(b, loc, index, at[axis]));
      return arith::SelectOp::create(b, loc, here, number(b, 1), number(b, 0));
    });
  }

  /// Scores that k others or more exceed are dead.
  Value onlyGreatest(Value scores, int64_t k) {
    Shape pairs(full);
    pairs.push_back(full[3]);
    Value exceeds = map(type, pairs, scores, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value y = LoadOp::create(b, loc, inputs[0], at.take_front(4));
      Value other = LoadOp::create(b, loc, inputs[0], ValueRange{at[0], at[1], at[2], at[4]});
      Value above = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, other, y);
      return arith::SelectOp::create(b, loc, above, number(b, 1), number(b, 0));
    });
    Value counts = reduce(ReduceKind::Sum, exceeds, 4);
    return map(type, full, {scores, counts}, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value count = LoadOp::create(b, loc, inputs[1], at);
      Value stays = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, count, number(b, double(k)));
      return arith::SelectOp::create(b, loc, stays, LoadOp::create(b, loc, inputs[0], at), number(b, minusInfinity));
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
        Value share = over == 2 ? arith::DivFOp::create(b, loc, asNumber(b, full[2]), asNumber(b, full[3])) : number(b, 1);
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
    std::string error;
    AttentionLayout layout = *AttentionLayout::parse(op.getLayout(1 + 2 * op.getKeys().size()), error);
    bool nan = op.hasKeep() && op.getEmpty() == EmptyRow::NaN;
    SmallVector<Value> tensors{product};
    if (nan)
      tensors.push_back(liveRows());
    Type element = elementOf(op.getResult());
    return map(element, shapeOf(op.getResult()), tensors, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      SmallVector<Value> indices;
      for (char role : StringRef("bhnd")) {
        auto it = llvm::find(layout.roles, role);
        indices.push_back(it == layout.roles.end() ? Value(arith::ConstantIndexOp::create(b, loc, 0))
                                                   : at[it - layout.roles.begin()]);
      }
      Value o = LoadOp::create(b, loc, inputs[0], indices);
      if (nan)
        o = arith::SelectOp::create(b, loc, isLiveRow(b, inputs[1], indices), o, number(b, std::nan("")));
      return cast(b, o, element);
    });
  }

  AttentionOp op;
  OpBuilder builder;
  Location loc;
  AttentionOp::Sizes sizes;
  Type type;
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
