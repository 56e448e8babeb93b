//===- ScanBuilder.cpp - a loop's step as a scan ------------------------------------------------===//
#include "passes/scan/ScanBuilder.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {
namespace {

/// Gives the dims of the state their roles, and writes operands and results under them.
class ScanBuilder {
public:
  ScanBuilder(const UnrolledLoop &loop, StepTracer &tracer, const StepTrees &trees)
      : loop(loop), tracer(tracer), trees(trees), builder(loop.collect), loc(loop.collect.getLoc()),
        shape(shapeOf(loop.states.front())), type(elementOf(loop.states.front())) {}

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
    return tree && trees.state[k].asSymbol() && dependsOn(tree, trees.state[k]);
  }

  /// A dim that keys, factors or queries know is one of heads, one that values alone know is one of columns.
  bool giveRoles() {
    const LinearStep &step = trees.step;
    for (unsigned k = 0; k < shape.size(); ++k) {
      bool isOfHeads = !shape[k].isConstant() || !trees.depth; // without rows every element is a head
      for (StepTree tree : {trees.query, step.key, step.decay, step.rate})
        isOfHeads |= dependsOnDim(tree, k);
      if (trees.depth == k)
        rows.push_back(k);
      else if (!trees.state[k].asSymbol())
        continue;
      else if (isOfHeads && k == 0 && shape.size() > 1)
        batch.push_back(k);
      else if (isOfHeads)
        heads.push_back(k);
      else
        columns.push_back(k);
    }
    bool isPossible = !trees.depth || (shape[*trees.depth].isConstant() && !dependsOnDim(step.value, *trees.depth) &&
                                       !dependsOnDim(step.rate, *trees.depth));
    isPossible &= !trees.isStateRead || heads.empty();
    isPossible &= !step.transition || isConstantMatrix(step);
    StepTree all[] = {trees.query, step.key, step.value, step.decay, step.rate, step.transition};
    return isPossible && llvm::all_of(all, [](StepTree tree) { return !tree || !hasSum(tree); });
  }

  /// A matrix that is the same at every step, for all but the rows it mixes.
  bool isConstantMatrix(const LinearStep &step) const {
    bool knowsMore = dependsOn(step.transition, trees.n);
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
      bool isKnown = role == 'n' ? dependsOn(tree, trees.n)
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
          symbols[*trees.n.asSymbol()] = index;
        else
          spread(b, groupOf(role, isValue), index, symbols);
      }
      return tracer.emit(b, loc, tree, tensors.getArrayRef(), inputs, symbols);
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
    Dim row = trees.state[trees.step.rows], size = shape[trees.step.rows];
    return map(tensorOf(type, {size, size}), tensors.getArrayRef(),
               [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
                 llvm::StringMap<Value> symbols;
                 symbols[*row.asSymbol()] = at[0];
                 symbols[*trees.step.column.asSymbol()] = at[1];
                 return tracer.emit(b, loc, tree, tensors.getArrayRef(), inputs, symbols);
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
      symbols[*trees.state[k].asSymbol()] =
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
  Shape fourDims() const {
    return llvm::map_to_vector<4>(groups(), [&](const Group &group) { return sizeOf(group); });
  }

  /// [batch, heads, rows, columns] from a tensor like a state, and back.
  Value stateAsFour(Value tensor) {
    return map(tensorOf(type, fourDims()), tensor, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      llvm::StringMap<Value> symbols;
      for (auto [group, index] : llvm::zip(groups(), at))
        spread(b, group, index, symbols);
      auto place = llvm::map_to_vector(trees.state, [&](const Dim &dim) {
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
      for (auto [position, index] : llvm::enumerate(trees.outputAt))
        if (auto name = index.asSymbol())
          symbols[*name] = at[position];
      symbols[*trees.n.asSymbol()] = at[loop.axis];
      return tracer.emit(
          b, loc, trees.output, tensors.getArrayRef(), inputs, symbols, [&](ArrayRef<Value> read) -> Value {
            SmallVector<Value> indices(shape.size() + 1), place;
            for (auto [k, index] : llvm::zip(trees.readDims, read))
              indices[k] = index;
            for (char role : scan.getLayoutOfResult())
              if (role != ' ')
                place.push_back(
                    role == 'n' ? at[loop.axis]
                                : gathered(b, role == 'h' && trees.isStateRead ? rows : groupOf(role, true), indices));
            return LoadOp::create(b, loc, inputs.back(), place);
          });
    });
    loop.collect.getResult().replaceAllUsesWith(all);
  }

  const UnrolledLoop &loop;
  StepTracer &tracer;
  const StepTrees &trees;
  OpBuilder builder;
  Location loc;
  Shape shape;
  Type type;
  Group batch, heads, rows, columns;
};

} // namespace

bool buildScan(const UnrolledLoop &loop, StepTracer &tracer, const StepTrees &trees) {
  return ScanBuilder(loop, tracer, trees).build();
}

} // namespace tenon
