//===- RaiseScan.cpp - unrolled loops over time as recurrences ----------------------------------===//
//
// Exporters have no loop for `for t in range(T): S = a[t] * S + b[t]; y.append(S @ c[t])`: they write T times what one
// step does. Here the steps are read as one expression in t, it is split into what `tenon.scan` is made of, and nothing
// of the steps remains. What is looked for is the arithmetic, S linear in its predecessor, whatever operators wrote it.
//
// Costs: T traces of one step. Saves T kernels and their dispatches, and T states in memory.
//
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/scan/ElementLoop.h"
#include "passes/scan/ScanBuilder.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISESCAN
#include "passes/Passes.h.inc"

namespace {

//===----------------------------------------------------------------------------===//
// The steps as expressions
//===----------------------------------------------------------------------------===//

class StepReader {
public:
  StepReader(const UnrolledLoop &loop, StepTracer &tracer)
      : loop(loop), tracer(tracer), n(trees.n), state(trees.state), depth(trees.depth) {
    n = tracer.domain.addIndex(Dim(loop.steps()));
    state = indicesOf(shapeOf(loop.states.front()));
  }

  /// None where the loop is no linear recurrence.
  std::optional<StepTrees> read() {
    Type type = elementOf(loop.states.front());
    if (!isa<FloatType>(type) || !readQuery() || !readStep() || !readOutput())
      return std::nullopt;
    bool isOfOneType = trees.query->type == type && trees.output->type == elementOf(loop.collect.getResult());
    return isOfOneType ? std::optional(trees) : std::nullopt;
  }

private:
  using Trace = function_ref<StepTree(int64_t step, const StepTracer::Stops &stops)>;
  using Carried = function_ref<Value(int64_t step)>;

  /// An index for each dim; 0 where there is but one.
  SmallVector<Dim, 4> indicesOf(ArrayRef<Dim> shape) {
    return llvm::map_to_vector<4>(
        shape, [&](const Dim &extent) { return extent == Dim(1) ? Dim(0) : tracer.domain.addIndex(extent); });
  }

  StepTree traceAt(int64_t step, Trace trace, Carried carried) {
    return trace(step, {{carried(step)}, [&](Value tensor) { return loop.isShared(tensor, step); }});
  }

  /// The tree that all steps but the first are instances of.
  StepTree common(Trace trace, Carried carried) {
    StepTree first = traceAt(1, trace, carried), second = traceAt(2, trace, carried);
    StepTree general = first && second ? tracer.generalised(first, second, 1, n) : nullptr;
    for (int64_t step = 3; general && step < loop.steps(); ++step) {
      StepTree tree = traceAt(step, trace, carried);
      if (!tree || !tracer.isInstance(general, tree, n, step, [](StepTree, StepTree) { return false; }))
        return nullptr;
    }
    return general;
  }

  /// What the first step computes, traced down to the tensors all steps share.
  StepTree firstOf(StepTree general, Trace trace, Value carried) {
    llvm::SetVector<Value> tensors;
    collectTensors(general, tensors);
    return trace(0, {{carried}, [&](Value tensor) { return tensors.contains(tensor); }});
  }

  bool startsAlike(StepTree general, Trace trace, Value carried) {
    StepTree tree = firstOf(general, trace, carried);
    return tree && tracer.isInstance(general, tree, n, 0, [](StepTree, StepTree) { return false; });
  }

  //===--------------------------------------------------------------------------===//
  // From one state to the next
  //===--------------------------------------------------------------------------===//

  bool readStep() {
    auto trace = [&](int64_t step, const StepTracer::Stops &stops) {
      return tracer.element(loop.states[step], state, stops);
    };
    StepTree general = common(trace, [&](int64_t step) { return loop.states[step - 1]; });
    if (!general)
      return false;
    std::optional<LinearStep> step = LinearStep::of(tracer, general, state, depth);
    if (!step || !startsFrom(general, trace, *step))
      return false;
    trees.step = *step;
    if (step->transition && !depth) {
      depth = step->rows;
      trees.isStateRead = true;
    }
    return true;
  }

  /// Before the first step stand zeros, of which a step may have made what it adds alone, or a tensor.
  bool startsFrom(StepTree general, Trace trace, const LinearStep &step) {
    StepTree first = firstOf(general, trace, Value());
    auto isZero = [&](StepTree, StepTree tree) { return tree->number() == 0.0; };
    if (first && (tracer.isInstance(general, first, n, 0, isZero) ||
                  (step.added && tracer.isInstance(step.added, first, n, 0, isZero))))
      return true;
    if (!loop.initial || !startsAlike(general, trace, loop.initial))
      return false;
    trees.initial = loop.initial;
    return true;
  }

  //===--------------------------------------------------------------------------===//
  // What is read of a state
  //===--------------------------------------------------------------------------===//

  bool readQuery() {
    for (unsigned k = 0; k < state.size(); ++k)
      trees.readDims.push_back(k);
    trees.query = tracer.number(elementOf(loop.states.front()), 1);
    if (!loop.reads[1])
      return llvm::none_of(loop.reads, [](Operation *op) { return op != nullptr; });
    Value result = loop.reads[1]->getResult(0);
    if (llvm::any_of(loop.reads, [&](Operation *op) { return !op || op->getResult(0).getType() != result.getType(); }))
      return false;
    SmallVector<Dim, 4> at = indicesOf(shapeOf(result));
    auto trace = [&](int64_t step, const StepTracer::Stops &stops) { return tracer.sum(loop.reads[step], at, stops); };
    auto carried = [&](int64_t step) { return loop.states[step]; };
    StepTree sum = common(trace, carried);
    return sum && startsAlike(sum, trace, loop.states[0]) && takeQuery(sum, at);
  }

  /// sum of q times the state, of which one dim is summed.
  bool takeQuery(StepTree sum, ArrayRef<Dim> at) {
    StepTree carried = carriedIn(sum), summand = sum;
    std::optional<Dim> over;
    if (sum->kind == StepNode::Sum) {
      over = sum->at[0];
      summand = sum->operands[0];
    }
    if (!carried || (over && sum->at.size() > 1))
      return false;
    std::map<std::string, Dim, std::less<>> names;
    trees.readDims.assign(at.size(), state.size());
    for (auto [k, place] : llvm::enumerate(carried->at)) {
      if (state[k] == Dim(0) && place == Dim(0))
        continue;
      auto name = place.asSymbol();
      if (!name || !names.try_emplace(std::string(*name), state[k]).second)
        return false;
      if (place == over)
        depth = k;
      else
        trees.readDims[llvm::find(at, place) - at.begin()] = k;
    }
    // Every index of the result is one of the state.
    size_t variable = llvm::count_if(at, [](const Dim &index) { return index != Dim(0); });
    if (names.size() != variable + (over ? 1 : 0))
      return false;
    std::optional<LinearStep::Parts> parts = LinearStep::split(tracer, tracer.substituted(summand, names), state);
    if (!parts || !parts->factor || parts->rest || parts->found)
      return false;
    trees.query = parts->factor;
    return true;
  }

  //===--------------------------------------------------------------------------===//
  // What is made of it
  //===--------------------------------------------------------------------------===//

  bool readOutput() {
    Shape shape = shapeOf(loop.parts.front());
    SmallVector<Dim, 4> at = indicesOf(shape);
    trees.outputAt = at;
    auto trace = [&](int64_t step, const StepTracer::Stops &stops) {
      return tracer.element(loop.parts[step], at, stops);
    };
    auto carried = [&](int64_t step) { return loop.reads[step] ? loop.reads[step]->getResult(0) : loop.states[step]; };
    trees.output = common(trace, carried);
    return trees.output && hasCarried(trees.output) && !hasSum(trees.output) &&
           startsAlike(trees.output, trace, carried(0));
  }

  static StepTree carriedIn(StepTree tree) {
    if (tree->kind == StepNode::Carried)
      return tree;
    for (StepTree operand : tree->operands)
      if (StepTree found = carriedIn(operand))
        return found;
    return nullptr;
  }

  const UnrolledLoop &loop;
  StepTracer &tracer;
  StepTrees trees;
  Dim &n;
  SmallVector<Dim, 4> &state;
  std::optional<unsigned> &depth;
};

//===----------------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------------===//

struct RaiseScan : impl::RaiseScanBase<RaiseScan> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<MapOp> maps(function.getOps<MapOp>());
      // A loop that was raised leaves nothing of its steps to those behind it.
      bool isChanged = false;
      for (MapOp map : maps) {
        std::optional<UnrolledLoop> loop = UnrolledLoop::match(map);
        isChanged |= (loop && raise(*loop)) || raiseElements(map);
      }
      if (!isChanged)
        continue;
      eraseDead(function);
      sortTopologically(&function.getBody().front()); // who reads the last state may stand before what was collected
    }
  }

  bool raise(const UnrolledLoop &loop) {
    auto options = remark::RemarkOpts::name("scan").category(getArgument());
    Location loc = loop.collect.getLoc();
    StepTracer tracer(loop.collect);
    StepReader reader(loop, tracer);
    std::optional<StepTrees> trees = reader.read();
    bool isRaised = trees && buildScan(loop, tracer, *trees);
    if (isRaised)
      remark::passed(loc, options) << remark::add("{0} steps of a loop are one recurrence", loop.steps());
    else
      remark::missed(loc, options) << remark::reason("{0} steps of a loop are no linear recurrence of one state",
                                                     loop.steps());
    return isRaised;
  }

  /// A loop over several states, or one that y_t reads before the step writes it. Whether there is something new, used
  /// or not.
  bool raiseElements(MapOp map) {
    std::optional<UnrolledLoop> parts = UnrolledLoop::matchParts(map);
    if (!parts)
      return false;
    StepTracer tracer(map);
    std::optional<ElementLoop> loop = ElementLoop::read(*parts, tracer);
    if (!loop)
      return false;
    auto options = remark::RemarkOpts::name("scan").category(getArgument());
    bool isBuilt = hasSum(loop->output) ? buildSummedScan(*loop) : buildElementScans(*loop);
    if (isBuilt)
      remark::passed(map.getLoc(), options)
          << remark::add("{0} steps of a loop are recurrences of {1} states", parts->steps(), loop->states.size());
    else
      remark::missed(map.getLoc(), options)
          << remark::reason("{0} steps of a loop: a state of {1} is neither linear nor a maximum, or is read otherwise",
                            parts->steps(), loop->states.size());
    return true;
  }

  static void eraseDead(func::FuncOp function) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
      if (isOpTriviallyDead(&op))
        op.erase();
  }
};

} // namespace
} // namespace tenon
