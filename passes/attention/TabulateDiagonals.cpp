//===- TabulateDiagonals.cpp - what depends on j - i only becomes a table -----------------===//
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/RegionAnalysis.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_TABULATEDIAGONALS
#include "passes/Passes.h.inc"

namespace {

/// One region of an attention: its scalars come before its captures.
class Tabulator {
public:
  Tabulator(AttentionOp op, Region &region, bool hasScore)
      : op(op), region(region), first(hasScore ? 1 : 0), analysis(region, hasScore) {}

  /// Values to replace, each as large as it can be.
  SmallVector<Value> find() {
    SmallVector<Value> found;
    for (Operation &inner : region.front().without_terminator())
      for (Value value : inner.getResults())
        if (isDiagonal(value) &&
            llvm::any_of(value.getUsers(), [&](Operation *user) { return !isDiagonalResult(user); }) &&
            !isFromATable(value) && isWorthATable(value))
          found.push_back(value);
    return found;
  }

  void replace(Value value) {
    OpBuilder builder(op);
    Value table = tabulate(builder, value);
    appendCapture(table);
    BlockArgument capture = region.front().getArguments().back();
    builder.setInsertionPointAfterValue(value);
    Location loc = value.getLoc();
    Value distance = arith::SubIOp::create(builder, loc, argument(3), argument(2));
    Value position = arith::AddIOp::create(builder, loc, distance, sizeOf(builder, loc, queries() - Dim(1)));
    Value head = perHead(value) ? Value(argument(1)) : Value(arith::ConstantIndexOp::create(builder, loc, 0));
    Value load = LoadOp::create(builder, loc, capture, ValueRange{head, position});
    value.replaceAllUsesExcept(load, load.getDefiningOp());
  }

private:
  BlockArgument argument(unsigned role) { return region.getArgument(first + role); }
  Dim queries() { return op.getSizes().queries; }
  bool perHead(Value value) { return analysis.dependenceOf(value).head; }

  bool isDiagonal(Value value) {
    Dependence depends = analysis.dependenceOf(value);
    return isa<FloatType>(value.getType()) && depends.query && depends.key && !depends.score && !depends.batch &&
           analysis.isShiftInvariant(value);
  }
  bool isDiagonalResult(Operation *user) {
    return user->getNumResults() == 1 && isDiagonal(user->getResult(0));
  }

  void collect(Value value, llvm::SetVector<Operation *> &slice) {
    Operation *definition = value.getDefiningOp();
    if (!definition || slice.contains(definition))
      return;
    for (Value operand : definition->getOperands())
      collect(operand, slice);
    slice.insert(definition);
  }

  /// A load from neighbours by distance, as one of the table would be.
  bool isFromATable(Value value) {
    auto load = value.getDefiningOp<LoadOp>();
    if (!load || load.getIndices().empty() || !analysis.isDistance(load.getIndices().back()))
      return false;
    return llvm::all_of(load.getIndices().drop_back(), [&](Value index) {
      Dependence depends = analysis.dependenceOf(index);
      return !depends.query && !depends.key;
    });
  }

  /// A load of the table is a vector turned around: arithmetic on two or three positions costs as much.
  bool isWorthATable(Value value) {
    llvm::SetVector<Operation *> slice;
    collect(value, slice);
    unsigned operations = 0;
    for (Operation *inner : slice) {
      if (isa<LoadOp>(inner) || isa<math::MathDialect>(inner->getDialect()))
        operations += 4;
      operations += !isa<arith::ConstantOp, SizeOp>(inner);
    }
    return operations >= 4;
  }

  static Value sizeOf(OpBuilder &builder, Location loc, const Dim &size) {
    if (std::optional<int64_t> constant = size.constant())
      return arith::ConstantIndexOp::create(builder, loc, *constant);
    return SizeOp::create(builder, loc, builder.getIndexType(), DimAttr::get(builder.getContext(), size));
  }

  /// [heads or 1, queries + keys - 1]: position t is the distance t - (queries - 1).
  Value tabulate(OpBuilder &builder, Value value) {
    AttentionOp::Sizes sizes = op.getSizes();
    SmallVector<Dim, 4> shape{perHead(value) ? sizes.heads : Dim(1), sizes.queries + sizes.keys - Dim(1)};
    llvm::SetVector<Operation *> slice;
    collect(value, slice);
    Location loc = value.getLoc();
    return MapOp::create(
        builder, loc, tensorOf(value.getType(), shape), op.getCaptures(),
        [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) -> Value {
          Value zero = arith::ConstantIndexOp::create(b, loc, 0);
          Value distance = arith::SubIOp::create(b, loc, at[1], sizeOf(b, loc, queries() - Dim(1)));
          Value back = arith::SubIOp::create(b, loc, zero, distance);
          IRMapping mapping;
          mapping.map(argument(0), zero);
          mapping.map(argument(1), at[0]);
          mapping.map(argument(2), arith::MaxSIOp::create(b, loc, back, zero).getResult());
          mapping.map(argument(3), arith::MaxSIOp::create(b, loc, distance, zero).getResult());
          for (auto [capture, tensor] : llvm::zip(region.getArguments().drop_front(first + 4), tensors))
            mapping.map(capture, tensor);
          for (Operation *inner : slice)
            b.clone(*inner, mapping);
          return mapping.lookup(value);
        });
  }

  /// The table as the last capture of the op, and an argument of each region.
  void appendCapture(Value table) {
    op.getCapturesMutable().append(table);
    for (Region *other : {&op.getScore(), &op.getKeep(), &op.getWeight()})
      if (!other->empty())
        other->front().addArgument(table.getType(), table.getLoc());
  }

  AttentionOp op;
  Region &region;
  unsigned first;
  RegionAnalysis analysis;
};

void dropDeadOps(Region &region) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(region.front())))
    if (op.use_empty() && !op.hasTrait<OpTrait::IsTerminator>())
      op.erase();
}

struct TabulateDiagonals : impl::TabulateDiagonalsBase<TabulateDiagonals> {
  void runOnOperation() override {
    SmallVector<AttentionOp> found;
    getOperation().walk([&](AttentionOp op) {
      if (op.getKeys().size() == 1)
        found.push_back(op);
    });
    for (AttentionOp op : found)
      tabulate(op);
  }

  static void tabulate(AttentionOp op) {
    unsigned tables = 0;
    for (auto [region, hasScore] : {std::pair(&op.getScore(), true), {&op.getWeight(), true}}) {
      if (region->empty())
        continue;
      Tabulator tabulator(op, *region, hasScore);
      for (Value value : tabulator.find()) {
        tabulator.replace(value);
        ++tables;
      }
      dropDeadOps(*region);
    }
    auto options = remark::RemarkOpts::name("diagonals").category("tenon-tabulate-diagonals");
    if (tables)
      remark::passed(op.getLoc(), options)
          << remark::add("{0} terms of j - i only are tables of queries + keys - 1 elements a head", tables);
  }
};

} // namespace
} // namespace tenon
