//===- ScanAttention.cpp - causal linear attention as a recurrence ---------------------===//
//
// o_i = Σ_{j ≤ i} (q_i · k_j) f(i, j) v_j with f(i, j) = Π_{j < t ≤ i} a_t is what a matrix gives that gains k_i v_iᵀ and
// decays by a_i at each step: N steps of about 4 d d_v operations, instead of N² / 2 pairs of 2 (d + d_v).
//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "passes/attention/LinearScore.h"
#include "passes/scan/ScanForm.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_SCANATTENTION
#include "passes/Passes.h.inc"

namespace {

//===----------------------------------------------------------------------------===//
// Where it is possible, and pays
//===----------------------------------------------------------------------------===//

/// Empty where the attention may be a recurrence and should.
StringRef whyNot(AttentionOp op) {
  if (StringRef reason = whyNotLinear(op); !reason.empty())
    return reason;
  if (!isCausal(op))
    return "keys are not those up to the query";
  AttentionOp::Sizes sizes = op.getSizes();
  if (sizes.queries != sizes.keys)
    return "there are other queries than keys";
  for (const LinearScore::Factor &factor : LinearScore::match(op)->ofBoth)
    if (!LinearScore::isDecay(op, factor.value))
      return "a factor of query and key is no decay with their distance";
  auto steps = sizes.queries.constant(), depth = sizes.depth.constant(), valueDepth = sizes.valueDepth.constant();
  if (!depth || !valueDepth)
    return "the depth is not known";
  // Measured: an operation of either takes about the same time.
  if (steps && *steps * (*depth + *valueDepth) <= 5 * *depth * *valueDepth)
    return "so few steps that the scores of all pairs are cheaper";
  return "";
}

//===----------------------------------------------------------------------------===//
// The recurrence
//===----------------------------------------------------------------------------===//

class Scanner : LinearAttentionRewriter {
public:
  explicit Scanner(AttentionOp op) : LinearAttentionRewriter(op) {}

  Value lower() {
    Worded query = operand(op.getQuery(), op.getLayout(0), "i"), key = operand(op.getKeys()[0], op.getLayout(1), "j"),
           value = operand(op.getValues()[0], op.getLayout(2), "j");
    scale(query, factors.ofQuery, "i");
    scale(key, factors.ofKey, "j");
    bool divides = op.getNormaliser() == Normaliser::Sum;
    if (divides)
      value.tensor = withOnes(value);
    SmallVector<std::string> layouts{layoutOf(query), layoutOf(key), layoutOf(value)};
    Value decay = factors.ofBoth.empty() ? Value() : decayOf(layouts.emplace_back());
    layouts.push_back("b h n d");
    Shape shape{sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth + Dim(divides ? 1 : 0)};
    SmallVector<StringRef> texts(layouts.begin(), layouts.end());
    if (!divides && elementOf(op.getResult()) == type &&
        StringRef(op.getLayout(3)).find_first_of("0123456789") == StringRef::npos) {
      texts.back() = op.getLayout(3);
      return scan(op.getResult().getType(), query, key, value, decay, texts);
    }
    Value rows = scan(tensorOf(type, shape), query, key, value, decay, texts);
    return place(rows, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value element = LoadOp::create(b, loc, inputs[0], at);
      if (!divides)
        return element;
      SmallVector<Value> last(at);
      last[3] = size(b, sizes.valueDepth);
      return arith::DivFOp::create(b, loc, element, LoadOp::create(b, loc, inputs[0], last));
    });
  }

private:
  Value scan(Type result, const Worded &query, const Worded &key, const Worded &value, Value decay,
             ArrayRef<StringRef> layouts) {
    return ScanOp::create(builder, loc, result, Type(), query.tensor, key.tensor, value.tensor, decay, Value(), Value(),
                          Value(), builder.getStrArrayAttr(layouts))
        .getResult();
  }

  static std::string layoutOf(const Worded &operand) {
    auto roles = llvm::map_to_vector(operand.words, [](const std::string &word) {
      return word == "i" || word == "j" ? std::string("n") : word;
    });
    return llvm::join(roles, " ");
  }

  /// Behind the columns of the values one of ones, whose sum over the keys is that of the scores.
  Value withOnes(const Worded &value) {
    Shape shape = shapeOf(value.tensor);
    int64_t columns = llvm::find(value.words, "d") - value.words.begin();
    shape[columns] += Dim(1);
    return map(type, shape, value.tensor, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      SmallVector<Value> inside(at);
      Value last = arith::ConstantIndexOp::create(b, loc, *sizes.valueDepth.constant() - 1);
      inside[columns] = arith::MinSIOp::create(b, loc, at[columns], last);
      Value isOne = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, at[columns], last);
      return arith::SelectOp::create(b, loc, isOne, number(b, 1), LoadOp::create(b, loc, inputs[0], inside));
    });
  }

  /// a_t = f(t, t - 1), with those dims it is a function of; a_0, which meets an empty state, is 1.
  Value decayOf(std::string &layout) {
    RegionAnalysis analysis(op.getScore(), /*hasScore=*/true);
    Dependence on;
    bool isConstant = true;
    for (const LinearScore::Factor &factor : factors.ofBoth) {
      on = on | analysis.dependenceOf(factor.value);
      isConstant &= LinearScore::isPower(op, factor.value);
    }
    std::string roles = std::string(on.batch ? "b" : "") + (on.head ? "h" : "") + (isConstant ? "" : "n");
    Shape shape;
    SmallVector<StringRef> words;
    for (char role : roles) {
      shape.push_back(role == 'b' ? sizes.batch : role == 'h' ? sizes.heads : sizes.queries);
      words.push_back(role == 'b' ? "b" : role == 'h' ? "h" : "n");
    }
    layout = llvm::join(words, " ");
    return map(type, shape, withCaptures({}), [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
      Value step = isConstant ? one : at.back(),
            isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, step, zero);
      Value before = arith::SelectOp::create(b, loc, isFirst, zero, arith::SubIOp::create(b, loc, step, one));
      SmallVector<Value> place{on.batch ? at.front() : zero, on.head ? at[on.batch ? 1 : 0] : zero, step, before};
      Value factor = scaled(b, number(b, 1), factors.ofBoth, place, inputs);
      return arith::SelectOp::create(b, loc, isFirst, number(b, 1), factor);
    });
  }
};

struct ScanAttention : impl::ScanAttentionBase<ScanAttention> {
  void runOnOperation() override {
    rewriteLinearAttentions(getOperation(), [](AttentionOp op) { return op.hasKeep(); },
                            {getArgument(), "scan",
                             "as a recurrence: the score is linear and causal; no N x N scores, work grows as N",
                             "not as a recurrence", whyNot, [](AttentionOp op) { return Scanner(op).lower(); }});
    if (failed(chooseScanForms(getOperation(), getArgument())))
      signalPassFailure();
  }
};

} // namespace
} // namespace tenon
