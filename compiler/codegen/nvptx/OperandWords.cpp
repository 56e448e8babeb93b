//===- OperandWords.cpp - an operand of a kernel as tensor cores take it ------------===//
#include "compiler/codegen/nvptx/OperandWords.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/lowering/IndexMath.h"

using namespace mlir;

namespace tenon {

OperandWords::OperandWords(DeviceLowering &device, Value tensor, WordKind kind)
    : device(device), builder(device.kernel.builder), loc(device.kernel.loc), tensor(tensor), kind(kind),
      isWhole(wordKindOf(elementOf(tensor)) == kind) {}

Value OperandWords::address(Value at) const {
  DeviceMath math{builder, loc};
  unsigned number = cast<BlockArgument>(tensor).getArgNumber();
  Value view = device.kernel.scope.function.operandAs(builder, loc, number, builder.getI32Type());
  return math.address(math.pointerOf(view), IndexMath{builder, loc}.div(at, elementsOf(kind)));
}

void OperandWords::copy(Value at, Value shared, Value to, Value exists) const {
  DeviceMath{builder, loc}.copyAsync(address(at), shared, to, exists);
}

Value OperandWords::stepOf(Value word) const { return IndexMath{builder, loc}.mul(word, elementsOf(kind)); }

/// As f32, or the 16 bits of half a word.
Value OperandWords::element(Value step, Value count, function_ref<Value(Value)> at) const {
  IndexMath index{builder, loc};
  unsigned number = cast<BlockArgument>(tensor).getArgNumber();
  bool isHalf = kind != WordKind::F32;
  Type type = isHalf ? Type(builder.getI16Type()) : elementOf(tensor);
  Value memory = device.kernel.scope.function.operandAs(builder, loc, number, type);
  Value existing = index.min(step, index.sub(count, index.constant(1)));
  Value loaded = memref::LoadOp::create(builder, loc, memory, at(existing));
  if (!isHalf)
    loaded = convertFloat(builder, loc, loaded, builder.getF32Type());
  Value exists = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, step, count);
  Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(loaded.getType()));
  return arith::SelectOp::create(builder, loc, exists, loaded, zero);
}

Value OperandWords::word(Value k, Value count, function_ref<Value(Value)> at) const {
  if (kind == WordKind::F32)
    return element(k, count, at);
  Type i32 = builder.getI32Type();
  Value low = arith::ExtUIOp::create(builder, loc, i32, element(k, count, at));
  Value next = IndexMath{builder, loc}.add(k, 1);
  Value high = arith::ExtUIOp::create(builder, loc, i32, element(next, count, at));
  Value bits = arith::ConstantIntOp::create(builder, loc, 16, 32);
  return arith::OrIOp::create(builder, loc, low, arith::ShLIOp::create(builder, loc, high, bits));
}

} // namespace tenon
