//===- RaiseChunkedScan.cpp - a recurrence that was written in chunks, as one ---------------------===//
//
// What is saved: the products and decays of all pairs of steps of a chunk, and those of all pairs of chunks.
//
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/scan/ChunkedScan.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISECHUNKEDSCAN
#include "passes/Passes.h.inc"

namespace {

class ScanWriter {
public:
  ScanWriter(MapOp sum, const ChunkedScan &scan, StepTracer &tracer)
      : sum(sum), scan(scan), tracer(tracer), builder(sum), loc(sum.getLoc()), type(elementOf(sum.getResult())) {}

  Value write() {
    StepTree decay = tracer.apply(math::ExpOp::getOperationName(), type, {scan.logDecay});
    Value query = operand(scan.query, scan.depth), key = operand(scan.key, scan.depth),
          value = operand(scan.value, scan.column), factor = operand(decay, std::nullopt);
    SmallVector<Dim, 4> at = indices(std::nullopt, scan.column);
    layouts.push_back(layoutOf(at));
    SmallVector<StringRef> texts(layouts.begin(), layouts.end());
    auto result = ScanOp::create(builder, loc, tensorOf(type, merged(at)), Type(), query, key, value, factor, Value(),
                                 Value(), initial(), builder.getStrArrayAttr(texts));
    return inOrderOfSum(result.getResult(), at);
  }

private:
  Dim extentOf(const Dim &symbol) const { return tracer.domain.extentOf(*symbol.asSymbol()); }
  Shape extentsOf(ArrayRef<Dim> at) const {
    return llvm::map_to_vector(at, [&](const Dim &symbol) { return extentOf(symbol); });
  }
  bool isBatch(const Dim &state) const { return scan.states.size() == 2 && state == scan.states[0]; }

  /// Batch, chunk, step, head, and `last`: of the first and the heads those that `tree` knows, or all.
  SmallVector<Dim, 4> indices(std::optional<StepTree> tree, std::optional<Dim> last) const {
    auto isThere = [&](const Dim &state) { return !tree || dependsOn(*tree, state); };
    SmallVector<Dim, 4> at;
    if (scan.states.size() == 2 && isThere(scan.states[0]))
      at.push_back(scan.states[0]);
    at.append({scan.chunk, scan.step});
    if (isThere(scan.states.back()))
      at.push_back(scan.states.back());
    if (last)
      at.push_back(*last);
    return at;
  }

  std::string layoutOf(ArrayRef<Dim> at) const {
    SmallVector<StringRef> letters;
    for (const Dim &index : at)
      if (index != scan.step)
        letters.push_back(index == scan.chunk                           ? "n"
                          : index == scan.depth || index == scan.column ? "d"
                          : isBatch(index)                              ? "b"
                                                                        : "h");
    return llvm::join(letters, " ");
  }

  /// Chunks and steps as one dim.
  Shape merged(ArrayRef<Dim> at) const {
    Shape shape;
    for (const Dim &index : at)
      if (index == scan.step)
        shape.back() = shape.back() * extentOf(index);
      else
        shape.push_back(extentOf(index));
    return shape;
  }

  Value operand(StepTree tree, std::optional<Dim> last) {
    SmallVector<Dim, 4> at = indices(tree, last);
    layouts.push_back(layoutOf(at));
    return reshapeTo(builder, loc, elements(tree, at), merged(at));
  }

  /// [batch, heads, depth, columns]; null for zeros.
  Value initial() {
    if (!scan.initial)
      return {};
    SmallVector<Dim, 4> at(scan.states.begin(), scan.states.end());
    at.append({scan.depth, scan.column});
    Shape shape = extentsOf(at);
    if (scan.states.size() == 1)
      shape.insert(shape.begin(), Dim(1));
    return reshapeTo(builder, loc, elements(scan.initial, at), shape);
  }

  Value elements(StepTree tree, ArrayRef<Dim> at) {
    llvm::SetVector<Value> tensors;
    collectTensors(tree, tensors);
    return MapOp::create(builder, loc, tensorOf(type, extentsOf(at)), tensors.getArrayRef(),
                         [&](OpBuilder &b, Location, ValueRange inputs, ValueRange places) {
                           llvm::StringMap<Value> symbols;
                           for (auto [symbol, place] : llvm::zip(at, places))
                             symbols[*symbol.asSymbol()] = place;
                           return tracer.emit(b, loc, tree, tensors.getArrayRef(), inputs, symbols);
                         });
  }

  Value inOrderOfSum(Value result, ArrayRef<Dim> at) {
    Value chunked = reshapeTo(builder, loc, result, extentsOf(at));
    return MapOp::create(builder, loc, cast<RankedTensorType>(sum.getResult().getType()), chunked,
                         [&](OpBuilder &b, Location, ValueRange inputs, ValueRange places) -> Value {
                           auto placeOf = [&](const Dim &index) -> Value {
                             return places[llvm::find(scan.at, index) - scan.at.begin()];
                           };
                           return LoadOp::create(b, loc, inputs[0], llvm::map_to_vector(at, placeOf));
                         });
  }

  MapOp sum;
  const ChunkedScan &scan;
  StepTracer &tracer;
  OpBuilder builder;
  Location loc;
  Type type;
  SmallVector<std::string, 5> layouts;
};

/// Whether two elements are added, behind sums enough: what a trace costs is then worth it.
bool mayBeChunked(MapOp map) {
  if (!map.getYielded().getDefiningOp<arith::AddFOp>() || map.getInputs().size() != 2)
    return false;
  llvm::SetVector<Operation *> seen;
  seen.insert(map);
  unsigned sums = 0;
  for (size_t next = 0; next < seen.size() && sums < 8; ++next)
    for (Value operand : seen[next]->getOperands()) {
      Operation *op = operand.getDefiningOp();
      bool isSum = isa_and_present<ContractOp, ReduceOp>(op);
      if (isSum || (isa_and_present<MapOp, ReshapeOp>(op) && operand.hasOneUse()))
        sums += seen.insert(op) && isSum;
    }
  return sums == 8;
}

struct RaiseChunkedScan : impl::RaiseChunkedScanBase<RaiseChunkedScan> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      for (MapOp map : llvm::to_vector(function.getOps<MapOp>()))
        if (mayBeChunked(map))
          raise(map);
  }

  void raise(MapOp map) {
    auto options = remark::RemarkOpts::name("scan").category(getArgument());
    StepTracer tracer(map);
    std::optional<ChunkedScan> scan = ChunkedScan::match(map, tracer);
    if (!scan)
      return;
    remark::passed(map.getLoc(), options)
        << remark::add("chunks, and what goes from one to the next, are one recurrence");
    map.getResult().replaceAllUsesWith(ScanWriter(map, *scan, tracer).write());
  }
};

} // namespace
} // namespace tenon
