//===- StreamSinkhorn.cpp - Sinkhorn's balancing without the N x N weights ---------------===//
//
// What rows and columns are divided by are vectors. With f of the queries and g of the keys, at first zero, the weights are
//
//   w_ij = exp(y_ij + f_i + g_j) / M
//   rows:     f_i = log M - log Σ_j exp(y_ij + g_j)
//   columns:  g_j = log N - log Σ_i exp(y_ij + f_i)
//
// for N queries and M keys (the 1 / M keeps both near zero, where floats are fine),
//
// so a half-step is the log_sum_exp of an attention whose score has one more term, with queries and keys in each other's
// place for columns, and the last one is the attention itself: after a step of rows, softmax of y + g; after one of columns the weights w
// themselves, which are at most N / M. Scores are computed once for each half-step; memory is O(N).
//
#include "dialects/tenon/AttentionRegions.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/AttentionRewriter.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_STREAMSINKHORN
#include "passes/Passes.h.inc"

namespace {

/// Scores of a head that stay in the second-level cache are balanced faster where they are.
constexpr int64_t fewScores = 256 * 256;

class Streamer : AttentionRewriter {
public:
  explicit Streamer(AttentionOp op) : AttentionRewriter(op), steps(*op.getCount()) {}

  void lower() {
    Value f = zeros(sizes.queries), g = zeros(sizes.keys);
    // The last step of rows is the attention below.
    bool isScaled = steps % 2 == 0;
    for (int64_t step = 0; step < (isScaled ? steps : steps - 1); ++step)
      if (step % 2 == 0)
        f = balanced(/*columns=*/false, f, g);
      else
        g = balanced(/*columns=*/true, g, f);
    AttentionOp last = attend(/*columns=*/false, g, op.getValues()[0], op.getLayout(2), op.getResult().getType(),
                              op.getLayout(3), /*sums=*/false, isScaled ? f : Value());
    op.getResult().replaceAllUsesWith(last.getResult());
  }

private:
  /// [batch, heads, rows]
  Value zeros(const Dim &rows) {
    return map(type, {sizes.batch, sizes.heads, rows}, {},
               [&](OpBuilder &b, ValueRange, ValueRange) { return number(b, 0); });
  }

  /// The op's attention over rows or columns of y + `other`; `values` and what becomes of them. With the queries' vector `own` its
  /// weights are w.
  AttentionOp attend(bool columns, Value other, Value values, StringRef valueLayout, Type resultType,
                     StringRef resultLayout, bool sums, Value own = {}) {
    Value query = op.getQuery(), key = op.getKeys()[0];
    StringRef queryLayout = op.getLayout(0), keyLayout = op.getLayout(1);
    if (columns) {
      std::swap(query, key);
      std::swap(queryLayout, keyLayout);
    }
    SmallVector<Value> captures = withCaptures({});
    captures.push_back(other);
    if (own)
      captures.push_back(own);
    unsigned added = own ? 2 : 1;
    SmallVector<Type> more;
    if (sums)
      more.push_back(tensorOf(type, {sizes.batch, sizes.heads, columns ? sizes.keys : sizes.queries}));
    MLIRContext *context = builder.getContext();
    auto attention = AttentionOp::create(
        builder, loc, resultType, more, query, key, values, captures,
        NormaliserAttr::get(context, own ? Normaliser::None : Normaliser::Softmax), IntegerAttr(), UnitAttr(),
        op.getEmptyAttr(), builder.getStrArrayAttr({queryLayout, keyLayout, valueLayout, resultLayout}),
        AttentionAlgorithmAttr(), sums ? builder.getStrArrayAttr({"log_sum_exp"}) : ArrayAttr());
    fill(attention.getScore(), columns, captures, type,
         [&](OpBuilder &b, ValueRange scalars, ValueRange at, ValueRange tensors) {
           Value y = op.hasScore() ? inlined(b, op.getScore(), scalars[0], at, tensors.drop_back(added)) : scalars[0];
           Value shift =
               LoadOp::create(b, loc, tensors.drop_back(added - 1).back(), {at[0], at[1], at[columns ? 2 : 3]});
           if (own)
             shift =
                 arith::AddFOp::create(b, loc, shift, LoadOp::create(b, loc, tensors.back(), {at[0], at[1], at[2]}));
           Value shifted = arith::AddFOp::create(b, loc, y, shift);
           return own ? Value(arith::DivFOp::create(b, loc, math::ExpOp::create(b, loc, shifted),
                                                    asNumber(b, sizes.keys)))
                      : shifted;
         });
    if (op.hasKeep())
      fill(attention.getKeep(), columns, captures, Type(),
           [&](OpBuilder &b, ValueRange, ValueRange at, ValueRange tensors) {
             return inlined(b, op.getKeep(), Value(), at, tensors.drop_back(added));
           });
    return attention;
  }

  /// A region that yields `value(x if there is one, the place in the op's own terms, captures)`.
  void fill(Region &region, bool columns, ValueRange captures, Type score,
            llvm::function_ref<Value(OpBuilder &, ValueRange, ValueRange, ValueRange)> value) {
    OpBuilder::InsertionGuard guard(builder);
    Block *block = addRegionBlock(builder, region, score, captures, loc);
    ValueRange arguments = block->getArguments(), scalars = arguments.take_front(score ? 1 : 0);
    SmallVector<Value> at(arguments.drop_front(scalars.size()).take_front(4));
    if (columns)
      std::swap(at[2], at[3]);
    YieldOp::create(builder, loc, value(builder, scalars, at, arguments.drop_front(scalars.size() + 4)));
  }

  /// One half-step's vector: `before` stays where there is nothing to divide by.
  Value balanced(bool columns, Value before, Value other) {
    const Dim &rows = columns ? sizes.keys : sizes.queries, &across = columns ? sizes.queries : sizes.keys;
    Value values = reshapeTo(builder, loc, other, {sizes.batch, sizes.heads, across, Dim(1)});
    AttentionOp attention = attend(columns, other, values, "b h n d",
                                   tensorOf(type, {sizes.batch, sizes.heads, rows, Dim(1)}), "b h n d", /*sums=*/true);
    return map(type, {sizes.batch, sizes.heads, rows}, {attention.getAlso("log_sum_exp"), before},
               [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
                 Value sum = LoadOp::create(b, loc, inputs[0], at), kept = LoadOp::create(b, loc, inputs[1], at);
                 Value share = logOf(b, across);
                 Value empty = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, sum,
                                                     number(b, -std::numeric_limits<double>::infinity()));
                 return arith::SelectOp::create(b, loc, empty, kept, arith::SubFOp::create(b, loc, share, sum));
               });
  }

  Value asNumber(OpBuilder &b, const Dim &dim) {
    Value integer = arith::IndexCastOp::create(b, loc, b.getI64Type(), size(b, dim));
    return arith::SIToFPOp::create(b, loc, type, integer);
  }

  Value logOf(OpBuilder &b, const Dim &dim) { return math::LogOp::create(b, loc, asNumber(b, dim)); }

  int64_t steps;
};

/// Why the weights are balanced in memory, or empty.
StringRef whyNot(AttentionOp op) {
  AttentionOp::Sizes sizes = op.getSizes();
  std::string error;
  if (op.getKeys().size() != 1)
    return "there is more than one source of keys";
  if (sizes.heads != sizes.keyHeads)
    return "key heads are shared, so no query has their place";
  if (op.hasKeep() && op.getEmpty() != EmptyRow::Zero)
    return "rows without live keys have a rule of their own";
  if (op.hasWeight())
    return "there is a weight region";
  if (!op.getMore().empty())
    return "more than the result is asked for";
  if (elementOf(op.getQuery()).isF64())
    return "elements are f64";
  for (unsigned operand = 0; operand < 4; ++operand) {
    Value tensor = operand < 3 ? op->getOperand(operand) : Value(op.getResult());
    if (!AttentionLayout::parse(op.getLayout(operand), error)->hasConstantRows(shapeOf(tensor)))
      return "depth or the distance of rows is not a constant";
  }
  if (op.getLayout(3).find_first_of("0123456789") != StringRef::npos)
    return "the result is a slice";
  std::optional<int64_t> queries = sizes.queries.constant(), keys = sizes.keys.constant();
  if (queries && keys && *queries * *keys <= fewScores)
    return "the scores are few";
  return "";
}

struct StreamSinkhorn : impl::StreamSinkhornBase<StreamSinkhorn> {
  void runOnOperation() override {
    SmallVector<AttentionOp> found;
    getOperation().walk([&](AttentionOp op) {
      if (op.getNormaliser() == Normaliser::Sinkhorn && !op.getAlgorithm() && !op.getOverQueries())
        found.push_back(op);
    });
    auto options = remark::RemarkOpts::name("sinkhorn").category("tenon-stream-sinkhorn");
    for (AttentionOp op : found) {
      if (StringRef reason = whyNot(op); !reason.empty()) {
        remark::missed(op.getLoc(), options) << remark::reason("balanced in memory: {0}", reason);
        continue;
      }
      remark::passed(op.getLoc(), options)
          << remark::add("rows and columns balanced by vectors: {0} half-steps, each an attention; no N x N weights",
                         std::to_string(*op.getCount()));
      Streamer(op).lower();
      op.erase();
    }
  }
};

} // namespace
} // namespace tenon
