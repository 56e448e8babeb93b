// Builds kernel functions: signature, argument block, operand views.

#include "passes/lowering/KernelFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace tenon {

namespace {
/// Fields of tenon_kernel_args, in order; each is eight bytes.
enum ArgsField { OperandsField, DimsField, ScratchField, FaultsField, HintsField };
} // namespace

/// Loads entry `index` of the table of `type` at `table`. The argument block does
/// not change during a call, which is what `invariant` tells LLVM.
static Value loadEntry(OpBuilder &builder, Location loc, Value table, Type type, unsigned index) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Value address = LLVM::GEPOp::create(builder, loc, pointer, type, table, ArrayRef<LLVM::GEPArg>{int32_t(index)});
  return LLVM::LoadOp::create(builder, loc, type, address, /*alignment=*/8, /*isVolatile=*/false,
                              /*isNonTemporal=*/false, /*isInvariant=*/true);
}

Value viewOfPointer(OpBuilder &builder, Location loc, Value pointer, Type element) {
  MLIRContext *context = builder.getContext();
  auto word = builder.getI64Type();
  auto extents = LLVM::LLVMArrayType::get(word, 1);
  auto descriptorType =
      LLVM::LLVMStructType::getLiteral(context, {pointer.getType(), pointer.getType(), word, extents, extents});
  auto constant = [&](int64_t value) { return LLVM::ConstantOp::create(builder, loc, word, value); };
  Value descriptor = LLVM::PoisonOp::create(builder, loc, descriptorType);
  auto insert = [&](Value value, ArrayRef<int64_t> position) {
    descriptor = LLVM::InsertValueOp::create(builder, loc, descriptor, value, position);
  };
  insert(pointer, {0});
  insert(pointer, {1});
  insert(constant(0), {2});
  insert(constant(std::numeric_limits<int64_t>::max()), {3, 0});
  insert(constant(1), {4, 0});
  unsigned space = cast<LLVM::LLVMPointerType>(pointer.getType()).getAddressSpace();
  auto view = MemRefType::get({ShapedType::kDynamic}, element, MemRefLayoutAttrInterface(),
                              space ? builder.getI64IntegerAttr(space) : Attribute());
  return UnrealizedConversionCastOp::create(builder, loc, view, descriptor).getResult(0);
}

KernelFunction KernelFunction::over(OpBuilder &builder, Location loc, func::FuncOp function,
                                    ArrayRef<Type> operandElements, Values values) {
  KernelFunction kernel;
  kernel.func = function;
  for (auto [pointer, element] : llvm::zip_equal(values.operands, operandElements))
    kernel.operandViews.push_back(viewOfPointer(builder, loc, pointer, element));
  kernel.operandPointers = std::move(values.operands);
  kernel.dimValues = std::move(values.dims);
  kernel.first = values.first;
  kernel.last = values.last;
  kernel.scratchPointer = values.scratch;
  kernel.faultsPointer = values.faults;
  kernel.hints = values.hints;
  return kernel;
}

KernelFunction KernelFunction::create(OpBuilder &builder, Location loc, ModuleOp module, StringRef name,
                                      ArrayRef<Type> operandElements, unsigned dims) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Type i32 = builder.getI32Type();
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType({pointer, i32, i32}, {}));
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);

  Type index = builder.getIndexType();
  Value args = body->getArgument(0);
  Values values;
  values.first = arith::IndexCastUIOp::create(builder, loc, index, body->getArgument(1));
  values.last = arith::IndexCastUIOp::create(builder, loc, index, body->getArgument(2));
  Value operands = loadEntry(builder, loc, args, pointer, OperandsField);
  for (unsigned k = 0; k < operandElements.size(); ++k)
    values.operands.push_back(loadEntry(builder, loc, operands, pointer, k));
  Value table = loadEntry(builder, loc, args, pointer, DimsField);
  for (unsigned k = 0; k < dims; ++k)
    values.dims.push_back(arith::IndexCastOp::create(builder, loc, index,
                                                     loadEntry(builder, loc, table, builder.getI64Type(), k)));
  values.scratch = loadEntry(builder, loc, args, pointer, ScratchField);
  values.faults = loadEntry(builder, loc, args, pointer, FaultsField);
  values.hints = loadEntry(builder, loc, args, builder.getI64Type(), HintsField);
  KernelFunction kernel = over(builder, loc, function, operandElements, std::move(values));
  builder.setInsertionPoint(func::ReturnOp::create(builder, loc));
  return kernel;
}

Value KernelFunction::operandAs(OpBuilder &builder, Location loc, unsigned k, Type element) const {
  return viewOfPointer(builder, loc, operandPointers[k], element);
}

Value KernelFunction::scratch(OpBuilder &builder, Location loc, Type element, Value byteOffset) const {
  Value offset = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), byteOffset);
  Value pointer = LLVM::GEPOp::create(builder, loc, scratchPointer.getType(), builder.getI8Type(), scratchPointer,
                                      ValueRange{offset});
  return viewOfPointer(builder, loc, pointer, element);
}

Value KernelFunction::hasHints(OpBuilder &builder, Location loc, int64_t bits) const {
  if (!hints)
    return arith::ConstantIntOp::create(builder, loc, 0, 1);
  Value wanted = arith::ConstantIntOp::create(builder, loc, bits, 64);
  Value found = arith::AndIOp::create(builder, loc, hints, wanted);
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, found, wanted);
}

void KernelFunction::raiseFaults(OpBuilder &builder, Location loc, Value bits) const {
  LLVM::AtomicRMWOp::create(builder, loc, LLVM::AtomicBinOp::_or, faultsPointer, bits,
                            LLVM::AtomicOrdering::monotonic);
}

} // namespace tenon
