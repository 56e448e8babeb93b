//===- NativeMap.cpp - element-wise kernels on a GPU --------------------------------===//
//
// A thread computes one element of the result, or four side by side where all of its reads and its write are then one
// access each (MapReads.h); a warp's lie together.
//
// A map that turns what it reads is computed in tiles of 32 x 32 by a block, in two steps. First neighbouring threads
// have neighbours along the index that the turned loads run along, evaluate the region as far as these loads, and leave
// what they read in shared memory; then they have neighbours of the result and take it from there. Rows of the tile lie
// 33 words apart, so that neither step meets a bank twice.
//
#include "compiler/codegen/nvptx/MapReads.h"
#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/lowering/IndexMath.h"

using namespace mlir;

namespace tenon {

void emitElements(DeviceLowering &native, const Dim &count, function_ref<void(Value)> body) {
  KernelLowering &lowering = native.kernel;
  KernelScope &scope = lowering.scope;
  Location loc = lowering.loc;
  Value start = scope.mul(native.function.block, scope.index(native.function.blockThreads, loc), loc);
  Value element = scope.add(start, native.function.thread, loc);
  Value exists =
      arith::CmpIOp::create(lowering.builder, loc, arith::CmpIPredicate::ult, element, scope.dim(count, loc));
  emitIf(scope, loc, exists, [&] { body(element); });
}

DeviceForm elementForm(const std::string &name, const Dim &count) {
  DeviceForm form;
  form.name = name;
  form.blockThreads = elementBlockThreads;
  form.tiles = count.ceilDiv(Dim(int64_t(elementBlockThreads)));
  return form;
}

//===----------------------------------------------------------------------------===//
// In tiles
//===----------------------------------------------------------------------------===//

namespace {

class TurnedMap {
public:
  static constexpr int64_t tile = 32, pitch = tile + 1;

  TurnedMap(DeviceLowering &native, MapOp map, const MapReads::Turned &turned)
      : native(native), map(map), along(turned.along), shape(shapeOf(map.getResult())) {
    for (LoadOp load : turned.loads) {
      Type element = elementOf(load.getTensor());
      slots.push_back({load, native.function.shared(builder, loc, element, tile * pitch)});
    }
  }

  /// Blocks: for each point of the other indices, tiles along both.
  static Dim blocks(ArrayRef<Dim> shape, unsigned along) {
    return countOf(others(shape, along)) * shape[along].ceilDiv(Dim(tile)) * shape.back().ceilDiv(Dim(tile));
  }

  void emit() {
    locate();
    forEachElement(/*alongLast=*/false, [&](Value inTile) { evaluate(inTile, /*brings=*/true); });
    native.function.barrier(builder, loc);
    forEachElement(/*alongLast=*/true, [&](Value inTile) {
      LaneValue value = evaluate(inTile, /*brings=*/false);
      Value offset = scope.index(0, loc);
      for (auto [at, stride] : llvm::zip(point, scope.strides(shape, loc)))
        offset = scope.add(offset, scope.mul(at.value, stride, loc), loc);
      emitter.store(value, lowering.resultMemory(), offset);
    });
  }

private:
  struct Slot {
    LoadOp load;
    Value memory;
  };

  static Shape others(ArrayRef<Dim> shape, unsigned along) {
    Shape rest(shape.drop_back());
    rest.erase(rest.begin() + along);
    return rest;
  }

  void locate() {
    Value across = scope.dim(shape.back().ceilDiv(Dim(tile)), loc),
          down = scope.dim(shape[along].ceilDiv(Dim(tile)), loc);
    Value number = index.div(native.function.block, across);
    firstOfLast = index.mul(index.rem(native.function.block, across), tile);
    firstAlong = index.mul(index.rem(number, down), tile);
    outer = lowering.delinearise(index.div(number, down), others(shape, along));
  }

  /// body(place in shared memory) for this thread's elements, `point` being where they stand.
  void forEachElement(bool alongLast, function_ref<void(Value inTile)> body) {
    Value near = index.rem(native.function.thread, tile), far = index.div(native.function.thread, tile);
    for (int64_t first = 0; first < tile; first += elementBlockThreads / tile) {
      Value other = index.add(far, first);
      Value last = alongLast ? near : other, line = alongLast ? other : near;
      Value atLast = index.add(firstOfLast, last), atAlong = index.add(firstAlong, line);
      auto isBelow = [&](Value at, const Dim &size) -> Value {
        return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, scope.dim(size, loc));
      };
      Value exists = arith::AndIOp::create(builder, loc, isBelow(atLast, shape.back()), isBelow(atAlong, shape[along]));
      point = outer;
      point.insert(point.begin() + along, LaneValue::uniform(atAlong));
      point.push_back(LaneValue::uniform(atLast));
      emitIf(scope, loc, exists, [&] { body(index.add(index.mul(last, pitch), line)); });
    }
  }

  /// The element at `point`. Either what the turned loads read is brought to shared memory, or they find it there.
  LaneValue evaluate(Value inTile, bool brings) {
    SmallVector<TensorReader> readers;
    for (auto [input, argument] : llvm::zip(map.getInputs(), map.getOperandArgs()))
      readers.push_back(readerOf(input, argument, inTile, brings));
    return emitter.evaluate(map.getBody(), point, readers);
  }

  /// Loads of one tensor come in the order they have in the region.
  TensorReader readerOf(Value input, BlockArgument argument, Value inTile, bool brings) {
    SmallVector<Value> memories;
    for (LoadOp load : map.getBody().front().getOps<LoadOp>())
      if (load.getTensor() == argument) {
        auto *slot = llvm::find_if(slots, [&](const Slot &slot) { return slot.load == load; });
        memories.push_back(slot == slots.end() ? Value() : slot->memory);
      }
    return [=, this, direct = lowering.reader(input, emitter),
            next = 0](ArrayRef<LaneValue> indices) mutable -> LaneValue {
      Value memory = memories[next++];
      if (memory && !brings)
        return LaneValue::uniform(memref::LoadOp::create(builder, loc, memory, inTile), true);
      LaneValue read = direct(indices);
      if (memory)
        memref::StoreOp::create(builder, loc, read.value, memory, inTile);
      return read;
    };
  }

  DeviceLowering &native;
  MapOp map;
  unsigned along;
  Shape shape;
  KernelLowering &lowering = native.kernel;
  KernelScope &scope = lowering.scope;
  OpBuilder &builder = lowering.builder;
  Location loc = lowering.loc;
  IndexMath index{builder, loc};
  RegionEmitter emitter{scope, 1, loc};
  SmallVector<Slot> slots;
  SmallVector<LaneValue> outer, point;
  Value firstOfLast, firstAlong;
};

DeviceForm turnedForm(MapOp map, const MapReads::Turned &turned) {
  DeviceForm form;
  form.name = "map, turned in tiles";
  form.blockThreads = elementBlockThreads;
  form.tiles = TurnedMap::blocks(shapeOf(map.getResult()), turned.along);
  form.emit = [map, turned](DeviceLowering &native) {
    TurnedMap(native, map, turned).emit();
    return success();
  };
  return form;
}

} // namespace

//===----------------------------------------------------------------------------===//
// Element by element
//===----------------------------------------------------------------------------===//

/// `lanes` elements a thread.
static DeviceForm rowForm(MapOp map, int64_t lanes) {
  Dim count = countOf(shapeOf(map.getResult())).ceilDiv(Dim(lanes));
  DeviceForm form = elementForm(lanes == 1 ? "map" : "map, four elements a thread", count);
  form.emit = [map, count, lanes](DeviceLowering &native) mutable {
    KernelLowering &lowering = native.kernel;
    emitElements(native, count, [&](Value number) {
      RegionEmitter emitter(lowering.scope, lanes, lowering.loc);
      Value element = lowering.scope.mul(number, lowering.scope.index(lanes, lowering.loc), lowering.loc);
      SmallVector<LaneValue> point = lowering.delinearise(element, shapeOf(map.getResult()));
      if (lanes > 1)
        point.back() = LaneValue::linear(point.back().value);
      emitter.store(lowering.reader(map.getResult(), emitter)(point), lowering.resultMemory(), element);
    });
    alignVectors(lowering.scope.function.function());
    return success();
  };
  return form;
}

std::optional<DeviceForm> nativeMap(MapOp map) {
  MapReads reads(map);
  if (std::optional<MapReads::Turned> turned = reads.turned())
    return turnedForm(map, *turned);
  return rowForm(map, reads.mayTakeFour() ? MapReads::four : 1);
}

} // namespace tenon
