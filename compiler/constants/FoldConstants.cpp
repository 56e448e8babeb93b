//===- FoldConstants.cpp - sums over weights alone, computed once ----------------------------===//
#include "compiler/constants/FoldConstants.h"
#include "compiler/constants/WeightArithmetic.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "passes/simplify/IndexExpression.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace tenon {
namespace {

/// Tensors of fewer elements are worth no thought.
constexpr int64_t fewElements = 1 << 16;
/// Operations a byte of the result from which on a weight is worth being larger than those it follows from.
constexpr int64_t worthwhileIntensity = 16;
/// What weights pick of weights may add to the model: one part in so many.
constexpr int64_t partOfModel = 8;
/// Operations that a model's compilation may take to compute weights: a minute or two of one core.
constexpr int64_t mostOperations = int64_t(1) << 37;

/// Elements, if they are known.
std::optional<int64_t> countOf(Value tensor) {
  if (!isa<RankedTensorType>(tensor.getType()))
    return std::nullopt;
  int64_t count = 1;
  for (const Dim &dim : shapeOf(tensor)) {
    if (!dim.isConstant())
      return std::nullopt;
    count *= *dim.constant();
  }
  return count;
}

int64_t operationsOf(ContractOp op) {
  std::string message; // the verifier has parsed it
  std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), message);
  int64_t columns = 1;
  for (auto [name, dim] : llvm::zip(spec->rhs, shapeOf(op.getRhs())))
    if (llvm::is_contained(spec->columns(), name))
      columns *= *dim.constant();
  return 2 * *countOf(op.getLhs()) * columns;
}

int64_t operationsOf(Operation *op) {
  if (auto contract = dyn_cast<ContractOp>(op))
    return operationsOf(contract);
  if (auto map = dyn_cast<MapOp>(op))
    return *countOf(map.getResult()) * int64_t(map.getBody().front().getOperations().size());
  return isa<GetOp, ReshapeOp>(op) ? 0 : *countOf(op->getOperand(0));
}

bool isSum(Operation *op) { return isa<ContractOp, ReduceOp, SoftmaxOp, NormOp>(op); }

/// Whether a map reads elements that are picked by what its operands hold.
bool picks(Operation *op) {
  auto map = dyn_cast<MapOp>(op);
  return map && llvm::any_of(map.getBody().front().getOps<LoadOp>(),
                             [](LoadOp load) { return llvm::any_of(load.getIndices(), readsData); });
}

int64_t bytesOf(Value tensor) { return *countOf(tensor) * ((elementOf(tensor).getIntOrFloatBitWidth() + 7) / 8); }

/// What a value is computed from.
struct Origin {
  explicit Origin(Operation *op) { add(op); }

  int64_t weightBytes = 0, operations = 0;
  bool hasSum = false, isPicked = false;

private:
  void add(Operation *op) {
    if (!seen.insert(op).second)
      return;
    operations += operationsOf(op);
    hasSum |= isSum(op);
    isPicked |= picks(op);
    if (isa<GetOp>(op))
      weightBytes += bytesOf(op->getResult(0));
    for (Value operand : op->getOperands())
      add(operand.getDefiningOp());
  }
  llvm::SmallPtrSet<Operation *, 16> seen;
};

//===----------------------------------------------------------------------------===//
// One function
//===----------------------------------------------------------------------------===//

class ConstantFolder {
public:
  ConstantFolder(Block &block, WeightArithmetic &arithmetic, int64_t &operationsLeft, int64_t &bytesLeft)
      : block(block), arithmetic(arithmetic), operationsLeft(operationsLeft), bytesLeft(bytesLeft) {}

  void run() {
    SmallVector<Operation *> inOrder, found;
    for (Operation &op : block)
      if (isKnown(&op)) {
        inOrder.push_back(&op);
        known.insert(&op);
        if (isSum(&op) || picks(&op) || llvm::any_of(op.getOperands(), [&](Value operand) {
              return mayBeWorthwhile.contains(operand.getDefiningOp());
            }))
          mayBeWorthwhile.insert(&op);
      }
    // From behind: where one is left to each run, what it is computed from may not be.
    for (Operation *op : llvm::reverse(inOrder)) {
      if (!isReadByOthers(op))
        continue;
      if (isWorthwhile(op))
        found.push_back(op);
      else
        known.erase(op);
    }
    // In order: what one of them gave is a weight to those behind it.
    for (Operation *op : llvm::reverse(found))
      fold(op);
    for (Operation *op : llvm::reverse(inOrder))
      if (known.contains(op) && op->use_empty())
        op->erase();
  }

private:
  bool isKnown(Operation *op) const {
    if (isa<GetOp>(op))
      return true;
    if (!isSum(op) && !isa<MapOp, ReshapeOp, ScatterOp>(op))
      return false;
    bool isOfKnown = llvm::all_of(op->getOperands(), [&](Value operand) {
      return operand.getDefiningOp() && known.contains(operand.getDefiningOp());
    });
    return isOfKnown && countOf(op->getResult(0)) && !readsSize(op) && !spreads(op);
  }

  /// Whether a region of it depends on a size that a run brings.
  static bool readsSize(Operation *op) {
    return op
        ->walk([](SizeOp size) {
          return size.getDim().getValue().isConstant() ? WalkResult::advance() : WalkResult::interrupt();
        })
        .wasInterrupted();
  }

  static bool spreads(Operation *op) {
    if (!isa<MapOp>(op) || picks(op))
      return false;
    int64_t read = fewElements;
    for (Value operand : op->getOperands())
      read += *countOf(operand);
    return *countOf(op->getResult(0)) > read;
  }

  bool isReadByOthers(Operation *op) const {
    return llvm::any_of(op->getUsers(), [&](Operation *user) { return !known.contains(user); });
  }

  bool isWorthwhile(Operation *op) {
    if (!mayBeWorthwhile.contains(op) || !elementOf(op->getResult(0)).isF32() || !WeightArithmetic::nearestWeight(op))
      return false;
    Origin origin(op);
    int64_t count = *countOf(op->getResult(0)), bytes = count * int64_t(sizeof(float));
    if (count <= fewElements || bytes <= origin.weightBytes || origin.operations >= worthwhileIntensity * bytes)
      return true;
    if (!origin.isPicked || bytes > bytesLeft)
      return false;
    bytesLeft -= bytes;
    return true;
  }

  void fold(Operation *op) {
    Origin origin(op);
    int64_t operations = origin.operations;
    if (operations > operationsLeft)
      return leave(op, llvm::formatv("{0} operations are left to each run: the compiler does up to {1} for a model",
                                     operations, mostOperations));
    llvm::Expected<Array> value = arithmetic.evaluate(op);
    if (!value)
      return leave(op, "left to each run, which fails: " + llvm::toString(value.takeError()));
    operationsLeft -= operations;
    known.erase(op);
    arithmetic.replace(op->getResult(0), *value, "computed", origin.hasSum ? "a sum" : "what weights pick");
  }

  static void leave(Operation *op, const Twine &reason) {
    auto options = remark::RemarkOpts::name("constant").category("compute-constants");
    remark::missed(op->getLoc(), options) << remark::reason("{0}", reason.str());
  }

  Block &block;
  WeightArithmetic &arithmetic;
  int64_t &operationsLeft, &bytesLeft;         ///< Of the model.
  llvm::DenseSet<Operation *> known;           ///< Follow from weights alone.
  llvm::DenseSet<Operation *> mayBeWorthwhile; ///< Those with a sum, or with what is picked.
};

} // namespace

void foldConstants(ModuleOp module, WeightStore &store) {
  WeightArithmetic arithmetic(module, store);
  int64_t operationsLeft = mostOperations, bytesLeft = 0;
  for (auto weight : module.getOps<WeightOp>())
    if (auto type = cast<RankedTensorType>(weight.getType()); !isa<RecipeAttr>(weight.getValue()))
      bytesLeft += type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
  bytesLeft /= partOfModel;
  for (auto function : module.getOps<FunctionOpInterface>())
    if (!function.isExternal() && function.getFunctionBody().hasOneBlock())
      ConstantFolder(function.getFunctionBody().front(), arithmetic, operationsLeft, bytesLeft).run();
}

} // namespace tenon
