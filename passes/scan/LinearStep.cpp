//===- LinearStep.cpp - one step of a linear recurrence, in the terms of tenon.scan -------------===//
#include "passes/scan/LinearStep.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------------===//

StepProduct StepProduct::of(StepTracer &tracer, StepTree tree) {
  StepProduct product;
  product.take(tracer, tree);
  return product;
}

bool StepProduct::drop(const StepProduct &other) {
  for (StepTree factor : other.factors) {
    auto it = llvm::find_if(factors, [&](StepTree mine) { return isEqual(mine, factor); });
    if (it == factors.end())
      return false;
    factors.erase(it);
  }
  number /= other.number;
  return true;
}

StepTree StepProduct::tree(StepTracer &tracer, Type type) const {
  SmallVector<StepTree> all{tracer.number(type, number)};
  llvm::append_range(all, factors);
  return tracer.product(type, all);
}

/// A tensor that maps made is a product where they multiplied: it need not be there then.
static StepTree openedProduct(StepTracer &tracer, StepTree tree) {
  StepTree inside = tracer.opened(tree);
  if (!inside)
    return nullptr;
  bool isProduct = inside->is<arith::MulFOp>() || inside->is<arith::DivFOp>() || inside->is<arith::NegFOp>();
  return isProduct ? inside : openedProduct(tracer, inside);
}

void StepProduct::take(StepTracer &tracer, StepTree tree) {
  if (StepTree inside = openedProduct(tracer, tree))
    return take(tracer, inside);
  if (std::optional<double> value = tree->number()) {
    number *= *value;
  } else if (tree->is<arith::MulFOp>()) {
    take(tracer, tree->operands[0]);
    take(tracer, tree->operands[1]);
  } else if (tree->is<arith::NegFOp>()) {
    number = -number;
    take(tracer, tree->operands[0]);
  } else if (tree->is<arith::DivFOp>() && tree->operands[0]->number() != 1.0) {
    take(tracer, tree->operands[0]);
    factors.push_back(tracer.apply<arith::DivFOp>(tracer.number(tree->type, 1), tree->operands[1]));
  } else {
    factors.push_back(tree);
  }
}

namespace {

using Parts = LinearStep::Parts;

//===----------------------------------------------------------------------------===//
// Linear in the state
//===----------------------------------------------------------------------------===//

class Splitter {
public:
  Splitter(StepTracer &tracer, ArrayRef<Dim> state) : tracer(tracer), state(state) {}

  std::optional<Parts> split(StepTree tree) {
    Parts parts;
    if (!hasCarried(tree)) {
      parts.rest = tree;
      return parts;
    }
    if (tree->kind == StepNode::Carried) {
      parts.factor = tracer.number(tree->type, 1);
      return tree->at == state ? std::optional(parts) : std::nullopt;
    }
    if (tree->kind == StepNode::Sum) {
      parts.foundBy = tracer.number(tree->type, 1);
      parts.found = tree;
      return parts;
    }
    if (tree->is<arith::AddFOp>() || tree->is<arith::SubFOp>())
      return sum(split(tree->operands[0]), split(tree->operands[1]), tree->is<arith::SubFOp>());
    if (tree->is<math::FmaOp>())
      return sum(product(tree->operands[0], tree->operands[1]), split(tree->operands[2]), false);
    if (tree->is<arith::MulFOp>())
      return product(tree->operands[0], tree->operands[1]);
    if (tree->is<arith::NegFOp>())
      return scaled(split(tree->operands[0]), tracer.number(tree->type, -1));
    if (tree->is<arith::DivFOp>() && !hasCarried(tree->operands[1]))
      return scaled(split(tree->operands[0]),
                    tracer.apply<arith::DivFOp>(tracer.number(tree->type, 1), tree->operands[1]));
    return std::nullopt;
  }

private:
  std::optional<Parts> product(StepTree a, StepTree b) {
    if (hasCarried(b))
      std::swap(a, b);
    return hasCarried(b) ? std::nullopt : scaled(split(a), b);
  }

  std::optional<Parts> scaled(std::optional<Parts> parts, StepTree by) {
    if (parts)
      for (StepTree *part : {&parts->factor, &parts->rest, &parts->foundBy})
        if (*part)
          *part = tracer.product(by->type, {*part, by});
    return parts;
  }

  std::optional<Parts> sum(std::optional<Parts> a, std::optional<Parts> b, bool isDifference) {
    if (isDifference && b)
      b = scaled(b, tracer.number((b->rest ? b->rest : b->factor ? b->factor : b->foundBy)->type, -1));
    if (!a || !b || (a->found && b->found && !isEqual(a->found, b->found)))
      return std::nullopt;
    auto added = [&](StepTree x, StepTree y) { return x && y ? tracer.apply<arith::AddFOp>(x, y) : x ? x : y; };
    return Parts{added(a->factor, b->factor), added(a->rest, b->rest), added(a->foundBy, b->foundBy),
                 a->found ? a->found : b->found};
  }

  StepTracer &tracer;
  ArrayRef<Dim> state;
};

//===----------------------------------------------------------------------------===//
// The delta rule
//===----------------------------------------------------------------------------===//

bool isOne(StepTree tree) { return tree->number() == 1.0; }

/// S' = a S + k β (v - Σ_d k a S): the sum's factors are the key and the decay, its own factor is -k β, what is added k β v.
std::optional<LinearStep> deltaRule(StepTracer &tracer, const Parts &parts, ArrayRef<Dim> state, unsigned depth) {
  StepTree sum = parts.found;
  if (sum->at.size() != 1 || !parts.rest || !parts.factor)
    return std::nullopt;
  std::map<std::string, Dim, std::less<>> names{{std::string(*sum->at[0].asSymbol()), state[depth]}};
  std::optional<Parts> inner = LinearStep::split(tracer, tracer.substituted(sum->operands[0], names), state);
  if (!inner || !inner->factor || inner->rest || inner->found)
    return std::nullopt;
  Type type = parts.factor->type;
  StepProduct decay = StepProduct::of(tracer, parts.factor), key = StepProduct::of(tracer, inner->factor),
          rate = StepProduct::of(tracer, parts.foundBy), value = StepProduct::of(tracer, parts.rest);
  if (!key.drop(decay) || !rate.drop(key) || !value.drop(key) || !value.drop(rate))
    return std::nullopt;
  rate.number = -rate.number;
  value.number = -value.number;
  LinearStep step{key.tree(tracer, type), value.tree(tracer, type), isOne(parts.factor) ? nullptr : parts.factor,
                  rate.tree(tracer, type), nullptr};
  return step;
}

//===----------------------------------------------------------------------------===//
// What is added, and what a matrix does
//===----------------------------------------------------------------------------===//

/// What is added to the state: a product, of which the key has the factors that know the dim `depth`.
LinearStep written(StepTracer &tracer, StepTree rest, ArrayRef<Dim> state, std::optional<unsigned> depth) {
  StepProduct value = StepProduct::of(tracer, rest), key;
  if (depth && state[*depth].asSymbol())
    for (StepTree factor : SmallVector<StepTree>(value.factors))
      if (dependsOn(factor, state[*depth])) {
        key.factors.push_back(factor);
        value.factors.erase(llvm::find(value.factors, factor));
      }
  return {key.tree(tracer, rest->type), value.tree(tracer, rest->type), nullptr, nullptr, rest};
}

/// The dim of the state at which the one carried element below `tree` stands at `column`, and elsewhere at the state's indices.
std::optional<unsigned> mixedDim(StepTree tree, ArrayRef<Dim> state, const Dim &column) {
  if (tree->kind == StepNode::Carried) {
    std::optional<unsigned> mixed;
    for (auto [k, place] : llvm::enumerate(tree->at))
      if (place != state[k]) {
        if (mixed || place != column)
          return std::nullopt;
        mixed = k;
      }
    return mixed;
  }
  for (StepTree operand : tree->operands)
    if (hasCarried(operand))
      return mixedDim(operand, state, column);
  return std::nullopt;
}

/// S' = Σ_e A[d, e] S[e] + k v.
std::optional<LinearStep> transitionStep(StepTracer &tracer, const Parts &parts, ArrayRef<Dim> state,
                                         std::optional<unsigned> depth) {
  StepTree sum = parts.found;
  if (sum->at.size() != 1)
    return std::nullopt;
  Dim column = sum->at[0];
  std::optional<unsigned> rows = mixedDim(sum->operands[0], state, column);
  if (!rows || !state[*rows].asSymbol() || (depth && depth != rows))
    return std::nullopt;
  // With the two names exchanged the summand is a factor of the state's own element.
  std::map<std::string, Dim, std::less<>> exchanged{{std::string(*column.asSymbol()), state[*rows]},
                                                    {std::string(*state[*rows].asSymbol()), column}};
  std::optional<Parts> inner = LinearStep::split(tracer, tracer.substituted(sum->operands[0], exchanged), state);
  if (!inner || !inner->factor || inner->rest || inner->found)
    return std::nullopt;
  StepTree matrix = tracer.product(sum->type, {parts.foundBy, tracer.substituted(inner->factor, exchanged)});
  LinearStep step = written(tracer, parts.rest, state, rows);
  step.transition = matrix;
  step.column = column;
  step.rows = *rows;
  return step;
}

} // namespace

std::optional<Parts> LinearStep::split(StepTracer &tracer, StepTree tree, ArrayRef<Dim> state) {
  return Splitter(tracer, state).split(tree);
}

std::optional<LinearStep> LinearStep::of(StepTracer &tracer, StepTree tree, ArrayRef<Dim> state,
                                         std::optional<unsigned> depth) {
  std::optional<Parts> parts = split(tracer, tree, state);
  if (!parts || !parts->rest || (!parts->factor && !parts->found))
    return std::nullopt;
  if (!parts->factor)
    return transitionStep(tracer, *parts, state, depth);
  if (parts->found)
    return depth ? deltaRule(tracer, *parts, state, *depth) : std::nullopt;
  LinearStep step = written(tracer, parts->rest, state, depth);
  step.decay = isOne(parts->factor) ? nullptr : parts->factor;
  return step;
}

} // namespace tenon
