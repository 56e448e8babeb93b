//===- ScanKernel.h - what both lowerings of a recurrence share -----------------------===//
//
// Operands seen through their layouts and brought into scratch in the type of the state, with whatever maps compute
// them; the words both are written in.
//
#ifndef TENON_PASSES_SCAN_SCANKERNEL_H
#define TENON_PASSES_SCAN_SCANKERNEL_H

#include "dialects/tenon/AttentionLayout.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/KernelLowering.h"

namespace tenon {

class ScanKernel {
protected:
  using Value = mlir::Value;
  using LaneValues = llvm::SmallVector<LaneValue>;

  /// One operand seen through its layout.
  struct Track {
    Value tensor;
    AttentionLayout layout;
    Value head;       ///< Of the tile, once set.
    Value start;      ///< Of the tile, in the memory its rows come from; null where that is not known.
    int64_t at = 0;   ///< Where a block's rows stand in scratch.
    int64_t row = 0;  ///< Elements of a row there.
    int64_t size = 0; ///< Those that come from the operand.

    Dim heads() const { return layout.sizeOf('h', shapeOf(tensor)); }
    bool has(char role) const { return llvm::is_contained(layout.roles, role); }
  };

  ScanKernel(KernelLowering &lowering, ScanOp op)
      : lowering(lowering), op(op), scope(lowering.scope), builder(lowering.builder), loc(lowering.loc),
        sizes(op.getSizes()), real(op.getStateType()), lanes(lowering.lanesOf(real)) {
    Track *tracks[] = {&query, &key, &value, op.getDecay() ? &decay : &rate, &rate};
    for (auto [number, input] : llvm::enumerate(op.getInputs())) {
      tracks[number]->tensor = input;
      tracks[number]->layout = parsed(op.getLayout(number));
    }
  }

  static AttentionLayout parsed(llvm::StringRef text) {
    std::string error;
    return *AttentionLayout::parse(text, error, "");
  }

  //===--------------------------------------------------------------------------===//
  // Small words
  //===--------------------------------------------------------------------------===//

  Value index(int64_t value) { return scope.index(value, loc); }
  Value plus(Value a, Value b) { return scope.add(a, b, loc); }
  Value plus(int64_t a, Value b) { return scope.add(index(a), b, loc); }
  Value times(Value a, int64_t b) { return scope.mul(a, index(b), loc); }
  mlir::VectorType vectorType(int64_t width) { return mlir::VectorType::get({width}, real); }
  mlir::VectorType vectorType() { return vectorType(lanes); }
  Value load(Value at, int64_t width) {
    return mlir::vector::LoadOp::create(builder, loc, vectorType(width), scratch, at);
  }
  Value load(Value at) { return load(at, lanes); }
  void store(Value vector, Value at) { mlir::vector::StoreOp::create(builder, loc, vector, scratch, at); }
  Value loadScalar(Value at) { return mlir::memref::LoadOp::create(builder, loc, scratch, at); }
  /// The element at `at` of scratch, in every lane.
  Value broadcast(Value at, int64_t width) {
    return mlir::vector::BroadcastOp::create(builder, loc, vectorType(width), loadScalar(at));
  }
  Value broadcast(Value at) { return broadcast(at, lanes); }
  Value zero(int64_t width) {
    return mlir::arith::ConstantOp::create(builder, loc, builder.getZeroAttr(vectorType(width)));
  }
  Value zero() { return zero(lanes); }
  Value fma(Value a, Value b, Value c) { return mlir::math::FmaOp::create(builder, loc, a, b, c); }
  Value product(Value a, Value b) { return mlir::arith::MulFOp::create(builder, loc, a, b); }
  /// S = a S + k w, for one vector.
  Value advance(Value old, Value factor, Value key, Value w) {
    return fma(key, w, factor ? product(factor, old) : old);
  }
  /// Where element `column` of row `step` of the block stands.
  Value placeOf(const Track &track, Value step, Value column) {
    return plus(plus(track.at, times(step, track.row)), column);
  }
  llvm::SmallVector<Value>
  carry(Value begin, Value end, int64_t step, llvm::ArrayRef<Value> start,
        llvm::function_ref<llvm::SmallVector<Value>(Value, mlir::ValueRange)> body) {
    return emitCarryingLoop(scope, loc, begin, end, step, start, body);
  }
  /// `body(first, count)` for every block of `size` steps.
  void forEachBlock(int64_t size, llvm::function_ref<void(Value first, Value count)> body) {
    Value steps = scope.dim(sizes.steps, loc);
    carry(index(0), steps, size, {}, [&](Value first, mlir::ValueRange) {
      body(first, scope.minimum(index(size), scope.sub(steps, first, loc), loc));
      return llvm::SmallVector<Value>();
    });
  }

  //===--------------------------------------------------------------------------===//
  // Scratch
  //===--------------------------------------------------------------------------===//

  int64_t carve(int64_t elements) {
    int64_t at = scratchElements;
    scratchElements += llvm::alignTo(elements, 16);
    return at;
  }
  void carveRows(Track &track, int64_t row, int64_t size, int64_t count) {
    track.at = carve(row * count);
    track.row = row;
    track.size = size;
  }
  Dim scratchBytes() { return Dim(scratchElements * int64_t(real.getIntOrFloatBitWidth() / 8)); }

  //===--------------------------------------------------------------------------===//
  // Between memory and scratch
  //===--------------------------------------------------------------------------===//

  /// The head of an operand with `own` heads that serves head `head` of `all`.
  Value shared(Value head, const Dim &all, const Dim &own) {
    if (own == Dim(1))
      return index(0);
    if (own == all)
      return head;
    return builder.createOrFold<mlir::arith::DivUIOp>(loc, head, scope.dim(all.floorDiv(own), loc));
  }

  static LaneValue lanesOf(RegionEmitter &emitter, Value value) {
    return emitter.getLanes() == 1 ? LaneValue::uniform(value, true) : LaneValue::varying(value);
  }

  /// An element of a tensor as one of the state's type.
  Value read(RegionEmitter &emitter, Value tensor, llvm::ArrayRef<LaneValue> at) {
    return convertFloat(builder, loc, emitter.materialise(lowering.reader(tensor, emitter)(at)), real);
  }

  /// The operand's element of this tile's batch.
  Value read(RegionEmitter &emitter, const Track &track, const LaneValue &h, Value n, const LaneValue &d) {
    LaneValues at;
    for (auto [role, fixed] : llvm::zip(track.layout.roles, track.layout.fixed))
      at.push_back(role == 'b'   ? LaneValue::uniform(batch)
                   : role == 'h' ? h
                   : role == 'n' ? LaneValue::uniform(n)
                   : role == 'd' ? d
                                 : LaneValue::uniform(index(fixed)));
    return read(emitter, track.tensor, at);
  }

  /// Stores `sum` as the element of the result at h, n, d of this tile's batch.
  void finish(RegionEmitter &emitter, const LaneValue &h, Value n, const LaneValue &d, Value sum) {
    LaneValues at;
    Value offset = index(0);
    for (auto [role, stride] :
         llvm::zip(parsed(op.getLayoutOfResult()).roles, scope.strides(shapeOf(op.getResult()), loc))) {
      at.push_back(role == 'b' ? LaneValue::uniform(batch) : role == 'h' ? h : role == 'n' ? LaneValue::uniform(n) : d);
      offset = plus(offset, scope.mul(at.back().value, stride, loc));
    }
    lowering.finish(emitter, at, offset, lanesOf(emitter, convertFloat(builder, loc, sum, elementOf(op.getResult()))));
  }

  /// An element of the final state.
  void finishState(RegionEmitter &emitter, llvm::ArrayRef<LaneValue> at, Value element) {
    Value offset = index(0);
    for (auto [place, stride] : llvm::zip(at, scope.strides(shapeOf(op.getFinal()), loc)))
      offset = plus(offset, scope.mul(place.value, stride, loc));
    Value stored = convertFloat(builder, loc, element, elementOf(op.getFinal()));
    emitter.store(lanesOf(emitter, stored), lowering.resultMemory(1), offset);
  }

  KernelLowering &lowering;
  ScanOp op;
  KernelScope &scope;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  ScanOp::Sizes sizes;
  mlir::Type real;
  unsigned lanes;
  Track query, key, value, decay, rate;
  int64_t scratchElements = 0;
  Value scratch;
  Value batch; ///< Of the tile being emitted.
};

/// Recurrences of many heads with one column each, lanes along the heads; nothing where it is no such.
std::optional<KernelGrid> lowerChannelScan(KernelLowering &lowering, ScanOp op);
/// Recurrences with a transition, lanes along the rows.
mlir::FailureOr<KernelGrid> lowerTransitionScan(KernelLowering &lowering, ScanOp op);

} // namespace tenon
#endif
