//===- NativeMap.cpp - element-wise kernels on a GPU --------------------------------===//
//
// A thread computes one element of the result; a warp's 32 lie together.
//
#include "compiler/codegen/nvptx/NativeLowerings.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace tenon {

void emitGuarded(KernelLowering &lowering, Value condition, function_ref<void()> body) {
  OpBuilder &builder = lowering.builder;
  auto guard = scf::IfOp::create(builder, lowering.loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard insertion(builder);
  builder.setInsertionPointToStart(guard.thenBlock());
  body();
}

void emitElements(DeviceLowering &native, const Dim &count, function_ref<void(Value)> body) {
  KernelLowering &lowering = native.kernel;
  KernelScope &scope = lowering.scope;
  Location loc = lowering.loc;
  Value start = scope.mul(native.function.block, scope.index(native.function.blockThreads, loc), loc);
  Value element = scope.add(start, native.function.thread, loc);
  Value exists = arith::CmpIOp::create(lowering.builder, loc, arith::CmpIPredicate::ult, element, scope.dim(count, loc));
  emitGuarded(lowering, exists, [&] { body(element); });
}

DeviceForm elementForm(const std::string &name, const Dim &count) {
  DeviceForm form;
  form.name = name;
  form.blockThreads = elementBlockThreads;
  form.tiles = count.ceilDiv(Dim(int64_t(elementBlockThreads)));
  return form;
}

std::optional<DeviceForm> nativeMap(MapOp map) {
  Dim count = countOf(shapeOf(map.getResult()));
  DeviceForm form = elementForm("map", count);
  form.emit = [map, count](DeviceLowering &native) mutable {
    KernelLowering &lowering = native.kernel;
    emitElements(native, count, [&](Value element) {
      RegionEmitter emitter(lowering.scope, 1, lowering.loc);
      SmallVector<LaneValue> point = lowering.delinearise(element, shapeOf(map.getResult()));
      emitter.store(lowering.reader(map.getResult(), emitter)(point), lowering.resultMemory(), element);
    });
    return success();
  };
  return form;
}

} // namespace tenon
