//===- FormKernels.cpp - fused groups become outlined kernels -----------------------===//
//
// One linear sweep over a function. A group is grown around each root; what is
// left over are maps, each its own kernel. Costs nothing at run time; what a group
// saves is one pass over memory for each map it takes in.
//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/attention/PositionProducts.h"
#include "passes/lowering/GroupedProduct.h"
#include "passes/lowering/RowMove.h"
#include "passes/lowering/WindowProduct.h"
#include "passes/scan/ScanForm.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FORMKERNELS
#include "passes/Passes.h.inc"

namespace {

//===----------------------------------------------------------------------------===//
// Which operations go together
//===----------------------------------------------------------------------------===//

bool isRoot(Operation *op) { return isa<KernelRootOpInterface>(op); }

/// Every load of `tensor` in `map` is at the map's own indices.
bool loadsInPlace(MapOp map, Value tensor) {
  for (auto [argument, input] : llvm::zip(map.getOperandArgs(), map.getInputs())) {
    if (input != tensor)
      continue;
    for (Operation *user : argument.getUsers())
      if (!llvm::equal(cast<LoadOp>(user).getIndices(), map.getIndices()))
        return false;
  }
  return true;
}

/// The map behind `value` that can be applied to each element as it is computed.
MapOp epilogueOf(Value value) {
  // A scatter's elements are in memory before they are final; transforms write pairs and columns.
  if (!value.hasOneUse() || isa_and_present<ScatterOp, FFTOp, CirculantOp>(value.getDefiningOp()))
    return {};
  auto map = dyn_cast<MapOp>(*value.user_begin());
  if (!map || shapeOf(map.getResult()) != shapeOf(value) || !loadsInPlace(map, value))
    return {};
  return map;
}

/// The map only rounds: computing it where it is read costs less than writing it.
bool onlyConverts(MapOp map) {
  return llvm::all_of(map.getBody().front(), [](Operation &op) { return isa<LoadOp, arith::TruncFOp, YieldOp>(op); });
}

/// A scan walks an operand once for each head, and one that is not as wide as the value once for each block of columns.
bool readsOnce(ScanOp scan, Value operand) {
  ScanOp::Sizes sizes = scan.getSizes();
  // A transition's tile is some columns of a state for all its heads.
  if (scan.getTransition() && operand != scan.getValue())
    return false;
  if (operand == scan.getInitial())
    return sizes.states == sizes.heads;
  if (operand != scan.getValue() && sizes.valueDepth.constant().value_or(0) > columnsOfTile(scan))
    return false;
  std::string error;
  unsigned number = llvm::find(scan.getInputs(), operand) - scan.getInputs().begin();
  std::optional<AttentionLayout> layout = AttentionLayout::parse(scan.getLayout(number), error, "");
  return layout->sizeOf('h', shapeOf(operand)) == (scan.getTransition() ? sizes.states : sizes.heads);
}

/// A root that reads each element of `operand` once takes in the map that computes it. A
/// packed product reads its rows once for each worker, a grouped one its matrices.
bool readsOnce(Operation *root, Value operand) {
  auto map = operand.getDefiningOp<MapOp>();
  if (auto contract = dyn_cast<ContractOp>(root)) {
    if (GroupedProduct::match(contract))
      return operand == contract.getRhs() || onlyConverts(map);
    return contract.getPanels() && operand == contract.getLhs() && (onlyConverts(map) || rowMoveOf(map));
  }
  if (isa<ReduceOp, SoftmaxOp>(root))
    return true;
  // Keys of 64 bits and records are read once for each half or field.
  if (auto order = dyn_cast<OrderOp>(root))
    return !order.getRecords() && elementOf(operand).getIntOrFloatBitWidth() <= 32;
  if (auto scan = dyn_cast<ScanOp>(root))
    return readsOnce(scan, operand);
  if (auto scatter = dyn_cast<ScatterOp>(root))
    return operand != scatter.getPlaces();
  auto norm = dyn_cast<NormOp>(root);
  return norm && norm.getInput() == operand;
}

/// The merge that only this finish reads: both are one kernel.
AttentionMergeOp mergeFor(AttentionFinishOp finish) {
  auto merge = finish.getState().getDefiningOp<AttentionMergeOp>();
  return merge && merge->hasOneUse() ? merge : AttentionMergeOp();
}

/// A product normalises its rows while it copies them.
bool isNormBeforeProduct(Operation *op) {
  if (!isa<NormOp>(op) || !op->hasOneUse())
    return false;
  Operation *user = *op->user_begin();
  if (isa<MapOp>(user) && user->hasOneUse())
    user = *user->user_begin();
  auto product = dyn_cast<ContractOp>(user);
  return product && product->getBlock() == op->getBlock() && CopiedRows::of(product).norm == op;
}

bool isTakenIn(Operation *root) {
  if (isNormBeforeProduct(root))
    return true;
  if (auto contract = dyn_cast<ContractOp>(root))
    return isPartOfAttention(contract);
  auto merge = dyn_cast<AttentionMergeOp>(root);
  if (!merge || !merge->hasOneUse())
    return false;
  return isa<AttentionFinishOp>(*merge->user_begin());
}

/// The operations of one kernel, in order; the last one gives the results.
using Group = SmallVector<Operation *, 4>;

Group groupOf(Operation *root) {
  Group group;
  auto product = dyn_cast<ContractOp>(root);
  if (product)
    if (std::optional<WindowProduct> windows = WindowProduct::match(product)) {
      group.push_back(windows->map);
      if (windows->reshape)
        group.push_back(windows->reshape);
      group.push_back(root);
      if (MapOp epilogue = epilogueOf(root->getResult(0)))
        group.push_back(epilogue);
      return group;
    }
  if (NormOp norm = product ? CopiedRows::of(product).norm : NormOp())
    group.push_back(norm);
  for (Value operand : root->getOperands())
    if (auto producer = operand.getDefiningOp<MapOp>())
      if (operand.hasOneUse() && readsOnce(root, operand))
        group.push_back(producer);
  llvm::append_range(group, productsOfAttention(root));
  if (auto finish = dyn_cast<AttentionFinishOp>(root))
    if (AttentionMergeOp merge = mergeFor(finish))
      group.push_back(merge);
  group.push_back(root);
  // The rows of a state are written as they are, and so is what comes of a root with several results.
  if (isa<AttentionUpdateOp, AttentionMergeOp>(root) || root->getNumResults() > 1)
    return group;
  if (MapOp epilogue = epilogueOf(root->getResult(0)))
    group.push_back(epilogue);
  return group;
}

//===----------------------------------------------------------------------------===//
// Outlining
//===----------------------------------------------------------------------------===//

/// Gives each distinct dim expression of a group a number: what the kernel calls d0, d1, …
class KernelDims {
public:
  Dim rename(const Dim &dim) {
    if (dim.isConstant())
      return dim;
    auto it = llvm::find(dims, dim);
    unsigned number = it - dims.begin();
    if (it != dims.end())
      return kernelDim(number);
    if (std::optional<Dim> known = productOfKnown(dim))
      return *known;
    dims.push_back(dim);
    return kernelDim(number);
  }

  /// From now on a product of known dims and a number is that product: a reshape inside of the kernel says so.
  void keepProducts() { keepsProducts = true; }

  Type rename(Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      return type;
    Shape shape = llvm::map_to_vector<4>(shapeOf(tensor), [&](const Dim &dim) { return rename(dim); });
    return tensorOf(tensor.getElementType(), shape);
  }
  void rename(Operation *op) {
    for (Value result : op->getResults())
      result.setType(rename(result.getType()));
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        argument.setType(rename(argument.getType()));
    if (auto size = dyn_cast<SizeOp>(op))
      size.setDimAttr(DimAttr::get(op->getContext(), rename(size.getDim().getValue())));
  }
  ArrayRef<Dim> get() const { return dims; }

private:
  std::optional<Dim> factorOf(const Dim &dim) const {
    auto it = llvm::find(dims, dim);
    return it == dims.end() ? productOfKnown(dim) : kernelDim(it - dims.begin());
  }

  std::optional<Dim> productOfKnown(const Dim &dim) const {
    for (size_t i = 0; keepsProducts && i < dims.size(); ++i) {
      std::optional<Dim> rest = dim.exactDiv(dims[i]);
      if (rest && !rest->isConstant())
        rest = factorOf(*rest);
      if (rest && *rest != Dim(0))
        return kernelDim(i) * *rest;
    }
    return std::nullopt;
  }

  SmallVector<Dim> dims;
  bool keepsProducts = false;
};

/// The tensors a group reads, each once, in order of first use.
llvm::SetVector<Value> inputsOf(const Group &group) {
  llvm::SetVector<Value> inputs;
  for (Operation *op : group)
    for (Value operand : op->getOperands())
      if (!llvm::is_contained(group, operand.getDefiningOp()))
        inputs.insert(operand);
  return inputs;
}

StringRef kindOf(const Group &group) {
  for (Operation *op : group)
    if (isRoot(op) && !isPartOfAttention(op) && !isNormBeforeProduct(op))
      return op->getName().stripDialect();
  return group.back()->getName().stripDialect();
}

class Outliner {
public:
  explicit Outliner(ModuleOp module) : module(module), builder(module.getContext()) {}

  void outline(const Group &group) {
    KernelDims dims;
    llvm::SetVector<Value> inputs = inputsOf(group);
    KernelOp kernel = merge(build(group, inputs, dims), kindOf(group));
    replace(group, inputs, dims, kernel);
  }

private:
  KernelOp build(const Group &group, const llvm::SetVector<Value> &inputs, KernelDims &dims) {
    for (Operation *op : group)
      if (auto reshape = dyn_cast<ReshapeOp>(op)) {
        (void)dims.rename(reshape.getInput().getType());
        dims.keepProducts();
      }
    SmallVector<Type> argumentTypes;
    for (Value input : inputs)
      argumentTypes.push_back(dims.rename(input.getType()));
    SmallVector<Type> resultTypes;
    for (Type type : group.back()->getResultTypes())
      resultTypes.push_back(dims.rename(type));
    builder.setInsertionPointToEnd(module.getBody());
    auto kernel =
        KernelOp::create(builder, locationOf(group), "kernel", builder.getFunctionType(argumentTypes, resultTypes));
    Block *body = builder.createBlock(&kernel.getBody());
    IRMapping mapping;
    for (auto [input, type] : llvm::zip(inputs, argumentTypes))
      mapping.map(input, body->addArgument(type, input.getLoc()));
    for (Operation *op : group)
      builder.clone(*op, mapping)->walk([&](Operation *cloned) { dims.rename(cloned); });
    auto results =
        llvm::map_to_vector(group.back()->getResults(), [&](Value result) { return mapping.lookup(result); });
    ReturnOp::create(builder, kernel.getLoc(), results);
    return kernel;
  }

  /// The kernel that prints like this one, if there is one already.
  KernelOp merge(KernelOp kernel, StringRef kind) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    kernel->print(stream, OpPrintingFlags().useLocalScope().printGenericOpForm());
    auto [it, isNew] = kernels.try_emplace(text, kernel);
    if (!isNew) {
      kernel.erase();
      return it->second;
    }
    kernel.setSymName((kind + "_" + Twine(kernels.size() - 1)).str());
    return kernel;
  }

  void replace(const Group &group, const llvm::SetVector<Value> &inputs, const KernelDims &dims, KernelOp kernel) {
    Operation *last = group.back();
    builder.setInsertionPoint(last);
    auto dispatch = DispatchOp::create(builder, locationOf(group), last->getResultTypes(),
                                       FlatSymbolRefAttr::get(kernel.getSymNameAttr()), inputs.getArrayRef(),
                                       DimsAttr::get(module.getContext(), dims.get()));
    last->replaceAllUsesWith(dispatch);
    for (Operation *op : llvm::reverse(group))
      op->erase();
  }

  Location locationOf(const Group &group) {
    auto locations = llvm::map_to_vector(group, [](Operation *op) { return op->getLoc(); });
    return FusedLoc::get(module.getContext(), locations);
  }

  ModuleOp module;
  OpBuilder builder;
  llvm::StringMap<KernelOp> kernels;
};

struct FormKernels : impl::FormKernelsBase<FormKernels> {
  void runOnOperation() override {
    Outliner outliner(getOperation());
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<Operation *> roots, maps;
      function.walk<WalkOrder::PreOrder>([&](Operation *op) {
        if (isRoot(op) && op->getParentOp() == function && !isTakenIn(op))
          roots.push_back(op);
      });
      for (Operation *root : roots)
        outliner.outline(groupOf(root));
      for (MapOp map : function.getOps<MapOp>())
        maps.push_back(map);
      for (Operation *map : maps)
        outliner.outline({map});
    }
  }
};

} // namespace
} // namespace tenon
