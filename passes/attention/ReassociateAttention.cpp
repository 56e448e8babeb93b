//===- ReassociateAttention.cpp - linear attention: keys times values first -------------===//
//
// (Q Kᵀ) V = Q (Kᵀ V): without anything between the two products their order is free, and the second one
// costs N d d_v instead of N² (d + d_v).
//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/AttentionRewriter.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_REASSOCIATEATTENTION
#include "passes/Passes.h.inc"

namespace {

//===----------------------------------------------------------------------------===//
// Scores that factorise
//===----------------------------------------------------------------------------===//

/// A score x · Π factors, each of one side: of the query (b, h, i) or of the key (b, h, j).
struct Factors {
  struct Factor {
    Value value;
    bool divides;
  };
  SmallVector<Factor> ofQuery, ofKey;
};

/// Null where the region is something else.
class ScoreFactoriser {
public:
  explicit ScoreFactoriser(AttentionOp op) : op(op), analysis(op.getScore(), /*hasScore=*/true) {}

  std::optional<Factors> run() {
    Value yielded = op.getScore().front().getTerminator()->getOperand(0);
    return collect(yielded) ? std::optional(factors) : std::nullopt;
  }

private:
  /// Whether `value`, which depends on x, is x times factors.
  bool collect(Value value) {
    if (value == op.getScore().getArgument(0))
      return true;
    if (auto product = value.getDefiningOp<arith::MulFOp>()) {
      bool left = analysis.dependenceOf(product.getLhs()).score, right = analysis.dependenceOf(product.getRhs()).score;
      Value x = left ? product.getLhs() : product.getRhs(), factor = left ? product.getRhs() : product.getLhs();
      return left != right && add({factor, false}) && collect(x);
    }
    if (auto quotient = value.getDefiningOp<arith::DivFOp>())
      return !analysis.dependenceOf(quotient.getRhs()).score && add({quotient.getRhs(), true}) && collect(quotient.getLhs());
    return false;
  }

  bool add(Factors::Factor factor) {
    Dependence on = analysis.dependenceOf(factor.value);
    if (!on.key) {
      factors.ofQuery.push_back(factor);
      return true;
    }
    // One key serves all query heads of its group.
    AttentionOp::Sizes sizes = op.getSizes();
    if (on.query || (on.head && sizes.keyHeads != sizes.heads))
      return false;
    factors.ofKey.push_back(factor);
    return true;
  }

  AttentionOp op;
  RegionAnalysis analysis;
  Factors factors;
};

/// Empty where the products may change order and should.
StringRef whyNot(AttentionOp op) {
  if (op.getKeys().size() != 1)
    return "there is more than one source of keys";
  if (op.getOverQueries() || !op.getMore().empty())
    return "weights are of queries, or asked for";
  if (op.hasKeep())
    return "keys are masked";
  if (op.hasWeight())
    return "a weight region stands between the products";
  if (StringRef(op.getLayout(3)).find_first_of("0123456789") != StringRef::npos)
    return "the result is a slice of a tensor";
  if (op.hasScore() && !ScoreFactoriser(op).run())
    return "the score is not linear in x with factors of the query and of the key";
  AttentionOp::Sizes sizes = op.getSizes();
  auto constant = [](const Dim &dim) { return dim.constant(); };
  auto queries = constant(sizes.queries), keys = constant(sizes.keys), depth = constant(sizes.depth),
       valueDepth = constant(sizes.valueDepth);
  if (queries && keys && depth && valueDepth &&
      *queries * *keys * (*depth + *valueDepth) <= (*queries + *keys) * *depth * *valueDepth)
    return "so few queries and keys that their products are cheaper";
  return "";
}

//===----------------------------------------------------------------------------===//
// The other order
//===----------------------------------------------------------------------------===//

class Reassociator : AttentionRewriter {
public:
  explicit Reassociator(AttentionOp op) : AttentionRewriter(op) {}

  Value lower() {
    Factors factors = op.hasScore() ? *ScoreFactoriser(op).run() : Factors();
    Worded query = this->query(), key = this->key(), value = this->value();
    scale(query, factors.ofQuery, "i");
    scale(key, factors.ofKey, "j");
    llvm::replace(value.words, std::string("d"), std::string("e"));
    Value result = times(query, summedOver(key, value), "e", {sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth});
    if (op.getNormaliser() == Normaliser::None)
      return place(result, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
        return LoadOp::create(b, loc, inputs[0], at);
      });
    Value sums = times(query, summed(key), "", {sizes.batch, sizes.heads, sizes.queries});
    return place({result, sums}, [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
      Value sum = LoadOp::create(b, loc, inputs[1], at.take_front(3));
      return zeroWithoutKeys(b, arith::DivFOp::create(b, loc, LoadOp::create(b, loc, inputs[0], at), sum));
    });
  }

private:
  /// Without any key the sum over the keys is zero, not zero divided by zero.
  Value zeroWithoutKeys(OpBuilder &b, Value quotient) {
    if (sizes.keys.constant() && *sizes.keys.constant() > 0)
      return quotient;
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value none = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, size(b, sizes.keys), zero);
    return arith::SelectOp::create(b, loc, none, number(b, 0), quotient);
  }

  /// The operand times the factors of its row.
  void scale(Worded &operand, ArrayRef<Factors::Factor> factors, StringRef row) {
    if (factors.empty())
      return;
    operand.tensor = map(type, shapeOf(operand.tensor), withCaptures(operand.tensor),
                         [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
                           Value element = LoadOp::create(b, loc, inputs[0], at);
                           SmallVector<Value> place = placeOf(b, operand, at, row);
                           for (const Factors::Factor &factor : factors) {
                             Value value = inlined(b, op.getScore(), number(b, 0), place, inputs.drop_front(), factor.value);
                             element = factor.divides ? Value(arith::DivFOp::create(b, loc, element, value))
                                                      : Value(arith::MulFOp::create(b, loc, element, value));
                           }
                           return element;
                         });
  }

  /// b, h, i, j for an element of the operand; what it has not is 0.
  SmallVector<Value> placeOf(OpBuilder &b, const Worded &operand, ValueRange at, StringRef row) {
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    auto index = [&](StringRef word) {
      auto it = llvm::find(operand.words, word);
      return it == operand.words.end() ? zero : at[it - operand.words.begin()];
    };
    Value head = index("h");
    if (operand.has("g")) {
      Value group = size(b, sizes.heads.floorDiv(sizes.keyHeads));
      head = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, index("g"), group), index("r"));
    }
    return {index("b"), head, row == "i" ? index("i") : zero, row == "j" ? index("j") : zero};
  }

  /// Σ_j K[j, d] V[j, e].
  Worded summedOver(const Worded &key, const Worded &value) {
    Worded result;
    for (StringRef word : {"b", "h", "g", "one"})
      if (key.has(word) || value.has(word))
        result.words.push_back(word.str());
    result.words.append({"d", "e"});
    std::string text = llvm::join(key.words, " ") + ", " + llvm::join(value.words, " ") + " -> " + llvm::join(result.words, " ");
    result.tensor = ContractOp::create(builder, loc, text, key.tensor, value.tensor);
    return result;
  }

  /// Σ_j K[j, d].
  Worded summed(const Worded &key) {
    Worded result;
    int64_t rows = llvm::find(key.words, "j") - key.words.begin();
    for (const std::string &word : key.words)
      if (word != "j")
        result.words.push_back(word);
    result.tensor = ReduceOp::create(builder, loc, ReduceKind::Sum, key.tensor, ArrayRef<int64_t>{rows});
    return result;
  }

  Value times(const Worded &query, const Worded &other, StringRef last, ArrayRef<Dim> shape) {
    return contract(query, other, words(query, other, headWords(query), last), shape);
  }
};

struct ReassociateAttention : impl::ReassociateAttentionBase<ReassociateAttention> {
  void runOnOperation() override {
    SmallVector<AttentionOp> found;
    getOperation().walk([&](AttentionOp op) {
      bool isLinear = op.getNormaliser() == Normaliser::Sum || op.getNormaliser() == Normaliser::None;
      if (isLinear && !op.getAlgorithm())
        found.push_back(op);
    });
    auto options = remark::RemarkOpts::name("reassociate").category(getArgument());
    for (AttentionOp op : found) {
      if (StringRef reason = whyNot(op); !reason.empty()) {
        remark::missed(op.getLoc(), options) << remark::reason("products in the order written: {0}", reason);
        continue;
      }
      remark::passed(op.getLoc(), options)
          << remark::add("linear: keys times values first, for the score is linear; no N x N scores, work grows as N");
      op.getResult().replaceAllUsesWith(Reassociator(op).lower());
      op.erase();
    }
  }
};

} // namespace
} // namespace tenon
