// The loop around one function of VectorMath.h.

#include "ElementwiseKernel.h"

#include "UlpSweep.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/KernelFunction.h"

using namespace mlir;

namespace tenon {

void addElementwiseKernel(ModuleOp module, const MathFunctionInfo &info, Type element, ArrayRef<int64_t> shape,
                          StringRef name) {
  OpBuilder builder(module.getContext());
  Location loc = builder.getUnknownLoc();
  SmallVector<Type> operands(info.arity + 1, element);
  KernelFunction kernel = KernelFunction::create(builder, loc, module, name, operands, 0);
  int64_t elements = ShapedType::getNumElements(shape);
  Value step = arith::ConstantIndexOp::create(builder, loc, elements);
  Value lanes = arith::ConstantIndexOp::create(builder, loc, kernelLanes);
  Value begin = arith::MulIOp::create(builder, loc, kernel.firstTile(), lanes);
  Value end = arith::MulIOp::create(builder, loc, kernel.lastTile(), lanes);
  auto body = [&](OpBuilder &b, Location, Value i, ValueRange) {
    auto flat = VectorType::get(elements, element);
    SmallVector<Value> args;
    for (unsigned k = 0; k < info.arity; ++k) {
      Value x = shape.empty() ? Value(memref::LoadOp::create(b, loc, kernel.operand(k), i))
                              : Value(vector::LoadOp::create(b, loc, flat, kernel.operand(k), i));
      if (shape.size() > 1)
        x = vector::ShapeCastOp::create(b, loc, VectorType::get(shape, element), x);
      args.push_back(x);
    }
    Value y = emitMath(b, loc, info.function, args);
    if (shape.size() > 1)
      y = vector::ShapeCastOp::create(b, loc, flat, y);
    if (shape.empty())
      memref::StoreOp::create(b, loc, y, kernel.operand(info.arity), i);
    else
      vector::StoreOp::create(b, loc, y, kernel.operand(info.arity), i);
    scf::YieldOp::create(b, loc);
  };
  scf::ForOp::create(builder, loc, begin, end, step, ValueRange(), body);
}

} // namespace tenon
