//===- ReassociateAttention.cpp - linear attention: keys times values first -------------===//
//
// (Q Kᵀ) V = Q (Kᵀ V): without anything between the two products their order is free, and the second one
// costs N d d_v instead of N² (d + d_v).
//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Passes.h"
#include "passes/attention/LinearScore.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_REASSOCIATEATTENTION
#include "passes/Passes.h.inc"

namespace {

/// Empty where the products may change order and should.
StringRef whyNot(AttentionOp op) {
  if (StringRef reason = whyNotLinear(op); !reason.empty())
    return reason;
  if (op.hasKeep())
    return "keys are masked";
  if (StringRef(op.getLayout(3)).find_first_of("0123456789") != StringRef::npos)
    return "the result is a slice of a tensor";
  if (!LinearScore::match(op)->ofBoth.empty())
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

class Reassociator : LinearAttentionRewriter {
public:
  explicit Reassociator(AttentionOp op) : LinearAttentionRewriter(op) {}

  Value lower() {
    Worded query = this->query(), key = this->key(), value = this->value();
    scale(query, factors.ofQuery, "i");
    scale(key, factors.ofKey, "j");
    llvm::replace(value.words, std::string("d"), std::string("e"));
    Value result =
        times(query, summedOver(key, value), "e", {sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth});
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

  /// Σ_j K[j, d] V[j, e].
  Worded summedOver(const Worded &key, const Worded &value) {
    Worded result;
    for (StringRef word : {"b", "h", "g", "one"})
      if (key.has(word) || value.has(word))
        result.words.push_back(word.str());
    result.words.append({"d", "e"});
    std::string text =
        llvm::join(key.words, " ") + ", " + llvm::join(value.words, " ") + " -> " + llvm::join(result.words, " ");
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
    rewriteLinearAttentions(
        getOperation(), [](AttentionOp) { return true; },
        {getArgument(), "reassociate",
         "linear: keys times values first, for the score is linear; no N x N scores, work grows as N",
         "products in the order written", whyNot, [](AttentionOp op) { return Reassociator(op).lower(); }});
  }
};

} // namespace
} // namespace tenon
