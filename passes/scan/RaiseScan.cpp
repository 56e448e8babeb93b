//===- RaiseScan.cpp - unrolled loops over time as recurrences ----------------------------------===//
//
// Exporters have no loop for `for t in range(T): S = a[t] * S + b[t]; y.append(S @ c[t])`: they write T times what one step
// does. Here the steps are read as one expression in t, it is split into what `tenon.scan` is made of, and nothing of the
// steps remains. What is looked for is the arithmetic, S linear in its predecessor, whatever operators wrote it.
//
// Costs: T traces of one step. Saves T kernels and their dispatches, and T states in memory.
//
#include "llvm/ADT/StringExtras.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/scan/ElementLoop.h"
#include "passes/scan/LinearStep.h"
#include "passes/scan/UnrolledLoop.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISESCAN
#include "passes/Passes.h.inc"

namespace {

//===----------------------------------------------------------------------------===//
// The steps as expressions
//===----------------------------------------------------------------------------===//

/// What one step computes, over its number n and the indices of the state.
struct StepTrees {
  LinearStep step;
  Value initial;    ///< Null for zeros.
  StepTree query;   ///< What a read multiplies the state by.
  StepTree output;  ///< y over the indices of the collected tensor, what was read being carried.
  bool isStateRead = false; ///< Each element of a state whose rows a matrix mixes: its rows are heads of the result.
  SmallVector<unsigned>
      readDims; ///< The dim of the state each index of what was read runs over; behind the last where it is one of none.
};

class StepReader {
public:
  StepReader(const UnrolledLoop &loop, StepTracer &tracer)
      : loop(loop), tracer(tracer), n(tracer.domain.addIndex(Dim(loop.steps()))),
        state(indicesOf(shapeOf(loop.states.front()))) {}

  /// None where the loop is no linear recurrence.
  std::optional<StepTrees> read() {
    Type type = elementOf(loop.states.front());
    if (!isa<FloatType>(type) || !readQuery() || !readStep() || !readOutput())
      return std::nullopt;
    bool isOfOneType = trees.query->type == type && trees.output->type == elementOf(loop.collect.getResult());
    return isOfOneType ? std::optional(trees) : std::nullopt;
  }

  const UnrolledLoop &loop;
  StepTracer &tracer;
  Dim n;
  SmallVector<Dim, 4> state;
  std::optional<unsigned> depth; ///< The dim of the state a read sums over.
  SmallVector<Dim, 4> output;    ///< Indices of a part.

  static bool isScalar(StepTree tree) {
    return !contains(tree, [](const StepNode &node) { return node.kind == StepNode::Sum; });
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
    output = at;
    auto trace = [&](int64_t step, const StepTracer::Stops &stops) {
      return tracer.element(loop.parts[step], at, stops);
    };
    auto carried = [&](int64_t step) { return loop.reads[step] ? loop.reads[step]->getResult(0) : loop.states[step]; };
    trees.output = common(trace, carried);
    return trees.output && hasCarried(trees.output) && isScalar(trees.output) &&
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

  StepTrees trees;
};

//===----------------------------------------------------------------------------===//
// The recurrence
//===----------------------------------------------------------------------------===//

/// Gives the dims of the state their roles, and writes operands and results under them.
class ScanBuilder {
public:
  ScanBuilder(StepReader &reader, const StepTrees &trees)
      : loop(reader.loop), tracer(reader.tracer), trees(trees), reader(reader), builder(loop.collect),
        loc(loop.collect.getLoc()), shape(shapeOf(loop.states.front())), type(elementOf(loop.states.front())) {}

  /// False where a scan has no roles for the dims.
  bool build() {
    if (!giveRoles())
      return false;
    const LinearStep &step = trees.step;
    Operand query = trees.isStateRead ? identity() : operand(trees.query, "d", false),
            key = operand(step.key, "d", false), value = operand(step.value, "bnhd", true);
    SmallVector<std::string> layouts{query.layout, key.layout, value.layout};
    Value decay = add(step.decay, layouts), rate = add(step.rate, layouts), matrix = transition();
    RankedTensorType result = resultOf(value, layouts.emplace_back());
    Value initial = trees.initial ? stateAsFour(trees.initial) : Value(), last = loop.finalState();
    SmallVector<StringRef> texts(layouts.begin(), layouts.end());
    auto scan = ScanOp::create(builder, loc, result, last ? Type(tensorOf(type, fourDims())) : Type(), query.tensor,
                               key.tensor, value.tensor, decay, rate, matrix, initial, builder.getStrArrayAttr(texts));
    collect(scan);
    if (last)
      last.replaceUsesWithIf(fourAsState(scan.getFinal()),
                             [&](OpOperand &use) { return !loop.isOfSteps(use.getOwner()); });
    return true;
  }

private:
  using Group = SmallVector<unsigned, 4>; ///< Dims of the state.
  struct Operand {
    Value tensor;
    std::string layout;
  };

  //===--------------------------------------------------------------------------===//
  // Roles
  //===--------------------------------------------------------------------------===//

  bool dependsOnDim(StepTree tree, unsigned k) const {
    return tree && reader.state[k].asSymbol() && dependsOn(tree, reader.state[k]);
  }

  /// A dim that keys, factors or queries know is one of heads, one that values alone know is one of columns.
  bool giveRoles() {
    const LinearStep &step = trees.step;
    for (unsigned k = 0; k < shape.size(); ++k) {
      bool isOfHeads = !shape[k].isConstant() || !reader.depth; // without rows every element is a head
      for (StepTree tree : {trees.query, step.key, step.decay, step.rate})
        isOfHeads |= dependsOnDim(tree, k);
      if (reader.depth == k)
        rows.push_back(k);
      else if (!reader.state[k].asSymbol())
        continue;
      else if (isOfHeads && k == 0 && shape.size() > 1)
        batch.push_back(k);
      else if (isOfHeads)
        heads.push_back(k);
      else
        columns.push_back(k);
    }
    bool isPossible = !reader.depth || (shape[*reader.depth].isConstant() && !dependsOnDim(step.value, *reader.depth) &&
                                        !dependsOnDim(step.rate, *reader.depth));
    isPossible &= !trees.isStateRead || heads.empty();
    isPossible &= !step.transition || isConstantMatrix(step);
    StepTree all[] = {trees.query, step.key, step.value, step.decay, step.rate, step.transition};
    return isPossible && llvm::all_of(all, [](StepTree tree) { return !tree || StepReader::isScalar(tree); });
  }

  /// A matrix that is the same at every step, for all but the rows it mixes.
  bool isConstantMatrix(const LinearStep &step) const {
    bool knowsMore = dependsOn(step.transition, reader.n);
    for (unsigned k = 0; k < shape.size(); ++k)
      knowsMore |= k != step.rows && dependsOnDim(step.transition, k);
    return !knowsMore;
  }

  Dim sizeOf(const Group &group) const {
    Dim size(1);
    for (unsigned k : group)
      size *= shape[k];
    return size;
  }

  //===--------------------------------------------------------------------------===//
  // Operands
  //===--------------------------------------------------------------------------===//

  Group groupOf(char role, bool isValue) const {
    return role == 'b' ? batch : role == 'h' ? heads : isValue ? columns : rows;
  }

  /// A map from roles to the element; those of `always`, and those the element depends on. Where nothing is known of a
  /// value's columns they are one.
  Operand operand(StepTree tree, StringRef always, bool isValue) {
    std::string roles;
    Shape dims;
    for (char role : StringRef("bnhd")) {
      Group group = groupOf(role, isValue);
      bool isKnown = role == 'n' ? dependsOn(tree, reader.n)
                                 : llvm::any_of(group, [&](unsigned k) { return dependsOnDim(tree, k); });
      bool isWanted = always.contains(role) && (!isValue || role == 'n' || !group.empty());
      if (!isKnown && !isWanted)
        continue;
      roles.push_back(role);
      dims.push_back(role == 'n' ? Dim(loop.steps()) : sizeOf(group));
    }
    if (roles.empty())
      return operand(tree, "n", isValue);
    llvm::SetVector<Value> tensors;
    collectTensors(tree, tensors);
    Value made = map(tensorOf(type, dims), tensors.getArrayRef(), [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
      llvm::StringMap<Value> symbols;
      for (auto [role, index] : llvm::zip(roles, at)) {
        if (role == 'n')
          symbols[*reader.n.asSymbol()] = index;
        else
          spread(b, groupOf(role, isValue), index, symbols);
      }
      return write(b, tree, tensors, inputs, symbols, {});
    });
    std::string layout = llvm::join(llvm::map_range(roles, [](char role) { return std::string(1, role); }), " ");
    return {made, layout};
  }

  /// Queries that read every row.
  Operand identity() {
    Dim size = shape[trees.step.rows];
    Value made = map(tensorOf(type, {size, size}), {}, [&](OpBuilder &b, ValueRange, ValueRange at) -> Value {
      Value isSame = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, at[0], at[1]);
      auto number = [&](double value) -> Value {
        return arith::ConstantOp::create(b, loc, FloatAttr::get(cast<FloatType>(type), value));
      };
      return arith::SelectOp::create(b, loc, isSame, number(1), number(0));
    });
    return {made, "h d"};
  }

  /// The matrix over rows and the column that is summed; null where there is none.
  Value transition() {
    StepTree tree = trees.step.transition;
    if (!tree)
      return {};
    llvm::SetVector<Value> tensors;
    collectTensors(tree, tensors);
    Dim row = reader.state[trees.step.rows], size = shape[trees.step.rows];
    return map(tensorOf(type, {size, size}), tensors.getArrayRef(),
               [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
                 llvm::StringMap<Value> symbols;
                 symbols[*row.asSymbol()] = at[0];
                 symbols[*trees.step.column.asSymbol()] = at[1];
                 return write(b, tree, tensors, inputs, symbols, {});
               });
  }

  /// As the values; rows that are heads stand before the columns. Writes the layout.
  RankedTensorType resultOf(const Operand &value, std::string &layout) {
    layout = value.layout;
    Shape dims = shapeOf(value.tensor);
    if (trees.isStateRead) {
      bool hasColumns = !columns.empty();
      layout.insert(hasColumns ? layout.find('d') : layout.size(), hasColumns ? "h " : " h");
      dims.insert(dims.end() - hasColumns, shape[trees.step.rows]);
    }
    return tensorOf(type, dims);
  }

  Value add(StepTree tree, SmallVectorImpl<std::string> &layouts) {
    if (!tree)
      return {};
    Operand made = operand(tree, "", false);
    layouts.push_back(made.layout);
    return made.tensor;
  }

  using Body = function_ref<Value(OpBuilder &, ValueRange inputs, ValueRange at)>;
  Value map(RankedTensorType result, ValueRange inputs, Body body) {
    return MapOp::create(builder, loc, result, inputs, [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) {
      return body(b, tensors, at);
    });
  }

  Value write(OpBuilder &b, StepTree tree, const llvm::SetVector<Value> &tensors, ValueRange inputs,
              const llvm::StringMap<Value> &symbols, function_ref<Value(ArrayRef<Value>)> carried) {
    auto tensorAt = [&](Value tensor) -> Value { return inputs[llvm::find(tensors, tensor) - tensors.begin()]; };
    return tracer.emit(b, loc, tree, tensorAt, carried, [&](StringRef name) { return symbols.lookup(name); });
  }

  //===--------------------------------------------------------------------------===//
  // Several dims as one
  //===--------------------------------------------------------------------------===//

  Value constant(OpBuilder &b, int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value extent(OpBuilder &b, unsigned k) {
    return SizeOp::create(b, loc, b.getIndexType(), DimAttr::get(b.getContext(), shape[k]));
  }

  /// The indices of the dims of which `index` is the row-major number.
  void spread(OpBuilder &b, const Group &group, Value index, llvm::StringMap<Value> &symbols) {
    for (unsigned k : llvm::reverse(group)) {
      bool isFirst = k == group.front();
      symbols[*reader.state[k].asSymbol()] =
          isFirst ? index : arith::RemUIOp::create(b, loc, index, extent(b, k)).getResult();
      if (!isFirst)
        index = arith::DivUIOp::create(b, loc, index, extent(b, k));
    }
  }

  Value gathered(OpBuilder &b, const Group &group, ArrayRef<Value> indices) {
    Value sum;
    for (unsigned k : group)
      sum =
          sum ? arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, sum, extent(b, k)), indices[k]).getResult()
              : indices[k];
    return sum ? sum : constant(b, 0);
  }

  SmallVector<Group> groups() const { return {batch, heads, rows, columns}; }
  Shape fourDims() const { return llvm::map_to_vector<4>(groups(), [&](const Group &group) { return sizeOf(group); }); }

  /// [batch, heads, rows, columns] from a tensor like a state, and back.
  Value stateAsFour(Value tensor) {
    return map(tensorOf(type, fourDims()), tensor, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      llvm::StringMap<Value> symbols;
      for (auto [group, index] : llvm::zip(groups(), at))
        spread(b, group, index, symbols);
      auto place = llvm::map_to_vector(reader.state, [&](const Dim &dim) {
        return dim.asSymbol() ? symbols.lookup(*dim.asSymbol()) : constant(b, 0);
      });
      return LoadOp::create(b, loc, inputs[0], place);
    });
  }

  Value fourAsState(Value tensor) {
    return map(tensorOf(type, shape), tensor, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      SmallVector<Value> indices(at), place;
      for (const Group &group : groups())
        place.push_back(gathered(b, group, indices));
      return LoadOp::create(b, loc, inputs[0], place);
    });
  }

  /// What was collected, from the result of the scan.
  void collect(ScanOp scan) {
    llvm::SetVector<Value> tensors;
    collectTensors(trees.output, tensors);
    tensors.insert(scan.getResult());
    auto type = cast<RankedTensorType>(loop.collect.getResult().getType());
    Value all = map(type, tensors.getArrayRef(), [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
      llvm::StringMap<Value> symbols;
      for (auto [position, index] : llvm::enumerate(reader.output))
        if (auto name = index.asSymbol())
          symbols[*name] = at[position];
      symbols[*reader.n.asSymbol()] = at[loop.axis];
      return write(b, trees.output, tensors, inputs, symbols, [&](ArrayRef<Value> read) -> Value {
        SmallVector<Value> indices(shape.size() + 1), place;
        for (auto [k, index] : llvm::zip(trees.readDims, read))
          indices[k] = index;
        for (char role : scan.getLayoutOfResult())
          if (role != ' ')
            place.push_back(role == 'n'
                                ? at[loop.axis]
                                : gathered(b, role == 'h' && trees.isStateRead ? rows : groupOf(role, true), indices));
        return LoadOp::create(b, loc, inputs.back(), place);
      });
    });
    loop.collect.getResult().replaceAllUsesWith(all);
  }

  const UnrolledLoop &loop;
  StepTracer &tracer;
  const StepTrees &trees;
  StepReader &reader;
  OpBuilder builder;
  Location loc;
  Shape shape;
  Type type;
  Group batch, heads, rows, columns;
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
    bool isRaised = trees && ScanBuilder(reader, *trees).build();
    if (isRaised)
      remark::passed(loc, options) << remark::add("{0} steps of a loop are one recurrence", loop.steps());
    else
      remark::missed(loc, options) << remark::reason("{0} steps of a loop are no linear recurrence of one state",
                                                     loop.steps());
    return isRaised;
  }

  /// A loop over several states, or one that y_t reads before the step writes it. Whether there is something new, used or not.
  bool raiseElements(MapOp map) {
    std::optional<UnrolledLoop> parts = UnrolledLoop::matchParts(map);
    if (!parts)
      return false;
    StepTracer tracer(map);
    std::optional<ElementLoop> loop = ElementLoop::read(*parts, tracer);
    if (!loop)
      return false;
    auto options = remark::RemarkOpts::name("scan").category(getArgument());
    bool isBuilt = buildElementScans(*loop);
    if (isBuilt)
      remark::passed(map.getLoc(), options) << remark::add("{0} steps of a loop are recurrences of {1} states, element by element",
                                                           parts->steps(), loop->states.size());
    else
      remark::missed(map.getLoc(), options)
          << remark::reason("{0} steps of a loop: a state of {1} is neither linear nor a maximum", parts->steps(),
                            loop->states.size());
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
