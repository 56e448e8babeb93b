//===- FoldConstants.cpp - sums over weights alone, computed once ----------------------------===//
#include "compiler/constants/FoldConstants.h"
#include "compiler/constants/WeightArithmetic.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {
namespace {

/// Tensors of fewer elements are worth no thought.
constexpr int64_t fewElements = 1 << 16;
/// Operations a byte of the result from which on a weight is worth being larger than those it follows from.
constexpr int64_t worthwhileIntensity = 16;
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

/// What a value is computed from.
struct Origin {
  explicit Origin(Operation *op) { add(op); }

  int64_t weightBytes = 0, operations = 0;
  bool hasSum = false;

private:
  void add(Operation *op) {
    if (!seen.insert(op).second)
      return;
    operations += operationsOf(op);
    hasSum |= isSum(op);
    if (isa<GetOp>(op))
      weightBytes += *countOf(op->getResult(0)) * ((elementOf(op->getResult(0)).getIntOrFloatBitWidth() + 7) / 8);
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
  ConstantFolder(Block &block, WeightArithmetic &arithmetic, int64_t &operationsLeft)
      : block(block), arithmetic(arithmetic), operationsLeft(operationsLeft) {}

  void run() {
    for (Operation &op : block)
      if (isKnown(&op))
        known.insert(&op);
    // In order: what one of them gave is a weight to those behind it.
    SmallVector<Operation *> found = llvm::filter_to_vector(known, [&](Operation *op) { return isReadByOthers(op); });
    for (Operation *op : found)
      if (isWorthwhile(op))
        fold(op);
    for (Operation *op : llvm::reverse(known))
      if (op->use_empty())
        op->erase();
  }

private:
  bool isKnown(Operation *op) const {
    if (isa<GetOp>(op))
      return true;
    if (!isSum(op) && !isa<MapOp, ReshapeOp>(op))
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
    if (!isa<MapOp>(op))
      return false;
    int64_t read = fewElements;
    for (Value operand : op->getOperands())
      read += *countOf(operand);
    return *countOf(op->getResult(0)) > read;
  }

  bool isReadByOthers(Operation *op) const {
    return llvm::any_of(op->getUsers(), [&](Operation *user) { return !known.contains(user); });
  }

  static bool isWorthwhile(Operation *op) {
    if (isa<GetOp>(op) || !elementOf(op->getResult(0)).isF32() || !WeightArithmetic::nearestWeight(op))
      return false;
    Origin origin(op);
    int64_t count = *countOf(op->getResult(0)), bytes = count * int64_t(sizeof(float));
    return origin.hasSum &&
           (count <= fewElements || bytes <= origin.weightBytes || origin.operations >= worthwhileIntensity * bytes);
  }

  void fold(Operation *op) {
    int64_t operations = Origin(op).operations;
    if (operations > operationsLeft)
      return leave(op, llvm::formatv("{0} operations are left to each run: the compiler does up to {1} for a model",
                                     operations, mostOperations));
    llvm::Expected<Array> value = arithmetic.evaluate(op);
    if (!value)
      return leave(op, "left to each run, which fails: " + llvm::toString(value.takeError()));
    operationsLeft -= operations;
    known.remove(op);
    arithmetic.replace(op->getResult(0), *value, "computed", "a sum");
  }

  static void leave(Operation *op, const Twine &reason) {
    auto options = remark::RemarkOpts::name("constant").category("compute-constants");
    remark::missed(op->getLoc(), options) << remark::reason("{0}", reason.str());
  }

  Block &block;
  WeightArithmetic &arithmetic;
  int64_t &operationsLeft; ///< Of the model.
  llvm::SetVector<Operation *> known; ///< Follow from weights alone.
};

} // namespace

void foldConstants(ModuleOp module, WeightStore &store) {
  WeightArithmetic arithmetic(module, store);
  int64_t operationsLeft = mostOperations;
  for (auto function : module.getOps<FunctionOpInterface>())
    if (!function.isExternal() && function.getFunctionBody().hasOneBlock())
      ConstantFolder(function.getFunctionBody().front(), arithmetic, operationsLeft).run();
}

} // namespace tenon
