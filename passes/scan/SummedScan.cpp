//===- SummedScan.cpp - a matrix that is read before a step writes it, with a bonus -------------===//
//
// RWKV's matrix: y_t = Σ_d r[d] (u[d] k[d] v[e] + S[d, e]), and S' = diag(w) S + k vᵀ afterwards. A scan writes before
// it reads: so its step t makes of S what step t - 1 of the loop does, step 0 nothing, and what r meets beside S is a
// sum of its own.
//
#include "passes/scan/ElementLoop.h"
#include "passes/scan/ScanBuilder.h"

using namespace mlir;

namespace tenon {
namespace {

using Names = std::map<std::string, Dim, std::less<>>;

class SummedRead {
public:
  explicit SummedRead(ElementLoop &loop)
      : loop(loop), tracer(loop.tracer), type(elementOf(loop.states.front().values[1])), builder(loop.loop.collect),
        loc(loop.loop.collect.getLoc()) {}

  bool build() {
    trees.n = loop.step;
    trees.state = loop.at;
    trees.outputAt = loop.outputAt;
    if (loop.states.size() != 1 || !findSum() || !splitSum() || !readStep())
      return false;
    UnrolledLoop scanned = loop.loop;
    scanned.states.assign(loop.states.front().values.begin(), loop.states.front().values.end());
    scanned.states.front() = scanned.states.back(); // has the type of all; step 0 writes none
    return buildScan(scanned, tracer, trees);
  }

private:
  static bool isReadingSum(const StepNode &node) { return node.kind == StepNode::Sum && hasCarried(&node); }

  static StepTree findNode(StepTree tree, function_ref<bool(const StepNode &)> what) {
    if (what(*tree))
      return tree;
    for (StepTree operand : tree->operands)
      if (StepTree found = findNode(operand, what))
        return found;
    return nullptr;
  }

  /// The one sum over a dim of the state, through which alone y reads it, and which index of y each other dim has.
  bool findSum() {
    sum = findNode(loop.output, isReadingSum);
    if (!sum || sum->at.size() != 1)
      return false;
    StepTree carried = findNode(sum, [](const StepNode &node) { return node.kind == StepNode::Carried; });
    bool isAlone =
        !contains(tracer.replaced(loop.output, [&](StepTree node) { return isEqual(node, sum) ? zero() : nullptr; }),
                  [](const StepNode &node) { return node.kind == StepNode::Carried || node.kind == StepNode::Sum; });
    for (auto [k, place] : llvm::enumerate(carried->at)) {
      if (place == Dim(0) && loop.at[k] == Dim(0))
        continue;
      auto name = place.asSymbol();
      if (!name || !inState.try_emplace(std::string(*name), loop.at[k]).second || !loop.at[k].asSymbol())
        return false;
      inOutput[std::string(*loop.at[k].asSymbol())] = place;
      if (place == sum->at[0])
        trees.depth = k;
    }
    return isAlone && trees.depth;
  }

  StepTree zero() { return tracer.number(type, 0); }

  /// sum = Σ query · state + factors · Σ of what knows the dim.
  bool splitSum() {
    std::optional<LinearStep::Parts> parts =
        LinearStep::split(tracer, tracer.substituted(sum->operands[0], inState), loop.at);
    if (!parts || !parts->factor || parts->found || hasSum(parts->factor) || (parts->rest && hasSum(parts->rest)))
      return false;
    trees.query = parts->factor;
    SmallVector<Dim, 4> places;
    for (unsigned k = 0; k < loop.at.size(); ++k)
      if (k != trees.depth) {
        trees.readDims.push_back(k);
        places.push_back(loop.at[k]);
      }
    StepTree read = tracer.carried(type, places);
    StepTree all = parts->rest ? tracer.apply<arith::AddFOp>(read, bonus(parts->rest)) : read;
    all = tracer.substituted(all, inOutput);
    trees.output = tracer.replaced(loop.output, [&](StepTree node) { return isEqual(node, sum) ? all : nullptr; });
    return trees.query->type == type;
  }

  /// The sum of a product over the dim: of its factors that know it, as a tensor over what they know, times the others.
  StepTree bonus(StepTree rest) {
    StepProduct outside = StepProduct::of(tracer, rest), inside;
    const Dim &depth = loop.at[*trees.depth];
    for (StepTree factor : SmallVector<StepTree>(outside.factors))
      if (dependsOn(factor, depth)) {
        inside.factors.push_back(factor);
        outside.factors.erase(llvm::find(outside.factors, factor));
      }
    StepTree summand = inside.tree(tracer, type);
    SmallVector<Dim, 4> indices{loop.step};
    Shape dims{Dim(loop.loop.steps())}, shape = loop.shape();
    for (unsigned k = 0; k < shape.size(); ++k)
      if (k != trees.depth && loop.at[k].asSymbol() && dependsOn(summand, loop.at[k])) {
        indices.push_back(loop.at[k]);
        dims.push_back(shape[k]);
      }
    Value sums = summed(summand, indices, dims);
    return tracer.product(type, {outside.tree(tracer, type), tracer.load(sums, indices)});
  }

  Value summed(StepTree summand, ArrayRef<Dim> indices, Shape dims) {
    dims.push_back(loop.shape()[*trees.depth]);
    llvm::SetVector<Value> tensors;
    collectTensors(summand, tensors);
    Value terms = MapOp::create(
        builder, loc, tensorOf(type, dims), tensors.getArrayRef(),
        [&](OpBuilder &b, Location, ValueRange inputs, ValueRange at) {
          llvm::StringMap<Value> symbols;
          for (auto [index, value] : llvm::zip(indices, at))
            symbols[*index.asSymbol()] = value;
          symbols[*loop.at[*trees.depth].asSymbol()] = at.back();
          return tracer.emit(b, loc, summand, tensors.getArrayRef(), inputs, symbols);
        });
    return ReduceOp::create(builder, loc, ReduceKind::Sum, terms, ArrayRef<int64_t>{int64_t(dims.size()) - 1});
  }

  /// What makes a state of the one before, from step 1 on; step 0 adds nothing to the initial one.
  bool readStep() {
    std::optional<LinearStep> step = LinearStep::of(tracer, loop.states.front().next, loop.at, trees.depth);
    if (!step || step->transition || step->rate)
      return false;
    step->key = tracer.startingWith(zero(), step->key, loop.step);
    step->value = tracer.startingWith(zero(), step->value, loop.step);
    if (step->decay)
      step->decay = tracer.startingWith(tracer.number(type, 1), step->decay, loop.step);
    trees.step = *step;
    StepTree initial = loop.states.front().initial;
    if (initial->number() == 0.0)
      return true;
    bool isTensor = initial->kind == StepNode::Load && initial->at == loop.at && elementOf(initial->tensor) == type &&
                    shapeOf(initial->tensor) == loop.shape();
    trees.initial = isTensor ? initial->tensor : Value();
    return isTensor;
  }

  ElementLoop &loop;
  StepTracer &tracer;
  Type type;
  OpBuilder builder;
  Location loc;
  StepTrees trees;
  StepTree sum = nullptr;
  Names inState, inOutput; ///< Indices of what the sum reads as those of a state, and back.
};

} // namespace

bool buildSummedScan(ElementLoop &loop) { return SummedRead(loop).build(); }

} // namespace tenon
