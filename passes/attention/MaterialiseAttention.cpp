//===- MaterialiseAttention.cpp - attention as scores, weights and two products -------===//
//
// The reference: every normaliser, every rule for empty rows, any region. Costs O(N^2) memory: two or
// three tensors of batch x heads x queries x keys.
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

/// A tensor whose dims are named by words of a contraction.
struct Worded {
  Value tensor;
  SmallVector<std::string> words;
};

class Materialiser {
public:
  explicit Materialiser(AttentionOp op)
      : op(op), builder(op), loc(op.getLoc()), sizes(op.getSizes()), type(op.getScoreType()),
        full{sizes.batch, sizes.heads, sizes.queries, sizes.keys} {}

  Value lower() {
    Worded query = operand(op.getQuery(), op.getLayout(0), "i"), key = operand(op.getKeys()[0], op.getLayout(1), "j"),
           value = operand(op.getValues()[0], op.getLayout(2), "j");
    splitHeads(query, sizes.heads);
    nameKeyHeads(key);
    nameKeyHeads(value);
    SmallVector<std::string> heads = headWords(query);
    Value scores = contract(query, key, words(query, key, heads, "j"), full);
    Value weights = normalise(scored(scores));
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
    return anyLive = ReduceOp::create(builder, loc, ReduceKind::Max, live, ArrayRef<int64_t>{3});
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

  /// The score region; where a key is dead, the value that gives it no weight; what the empty-row rule
  /// asks for in rows without live keys.
  Value scored(Value scores) {
    if (!op.hasScore() && !op.hasKeep())
      return scores;
    SmallVector<Value> tensors{scores};
    if (needsLiveRows())
      tensors.push_back(liveRows());
    double dead = op.getNormaliser() == Normaliser::Softmax ? -std::numeric_limits<double>::infinity() : 0;
    return map(type, full, withCaptures(tensors), [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      ValueRange captures = inputs.drop_front(tensors.size());
      Value y = LoadOp::create(b, loc, inputs[0], at);
      if (op.hasScore())
        y = inlined(b, op.getScore(), y, at, captures);
      if (!op.hasKeep())
        return y;
      Value keep = inlined(b, op.getKeep(), Value(), at, captures);
      Value masked = arith::SelectOp::create(b, loc, keep, y, number(b, dead));
      if (!needsLiveRows())
        return masked;
      Value other = op.getEmpty() == EmptyRow::IgnoreKeep ? y : number(b, 1);
      return arith::SelectOp::create(b, loc, isLiveRow(b, inputs[1], at), masked, other);
    });
  }

  Value normalise(Value scores) {
    if (op.getNormaliser() == Normaliser::Softmax)
      return SoftmaxOp::create(builder, loc, scores.getType(), scores, 3);
    bool uniform = needsLiveRows() && op.getEmpty() == EmptyRow::Uniform;
    if (op.getNormaliser() == Normaliser::None && !uniform)
      return scores;
    Value sums = ReduceOp::create(builder, loc, ReduceKind::Sum, scores, ArrayRef<int64_t>{3});
    SmallVector<Value> tensors{scores, sums};
    if (uniform)
      tensors.push_back(liveRows());
    return map(type, full, tensors, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value y = LoadOp::create(b, loc, inputs[0], at);
      Value p = arith::DivFOp::create(b, loc, y, LoadOp::create(b, loc, inputs[1], at.take_front(3)));
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
    shape.append({sizes.queries, sizes.keys});
    left.words.append({"i", "j"});
    left.tensor = reshapeTo(builder, loc, weights, shape);
    result.append({"i", "d"});
    return contract(left, value, result, {sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth});
  }

  /// In the result's layout and element type; NaN in rows without live keys where the rule says so.
  Value placeResult(Value product) {
    std::string error;
    AttentionLayout layout = *AttentionLayout::parse(op.getLayout(3), error);
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
  Shape full;
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
    if (op.getKeys().size() != 1)
      return op.emitOpError("wants one source of keys to be materialised, found ") << op.getKeys().size();
    if (StringRef(op.getLayout(3)).find_first_of("0123456789") != StringRef::npos)
      return op.emitOpError("writes a slice of its result: layout \"") << op.getLayout(3) << "\"";
    op.getResult().replaceAllUsesWith(Materialiser(op).lower());
    op.erase();
    return success();
  }
};

} // namespace
} // namespace tenon
