//===- DeviceFunction.cpp - the entry of a kernel on a GPU --------------------------===//
#include "compiler/codegen/nvptx/DeviceFunction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "runtime/src/format.h"

using namespace mlir;

namespace tenon {

namespace {

/// Fields of the parameter, in order.
enum ParameterField { OperandsField, DimsField, ScratchField, ScratchBytesField, FaultsField, TilesField };

/// Reads the parameter and the thread's place into values.
class EntryBuilder {
public:
  EntryBuilder(OpBuilder &builder, Location loc, Value parameter, LLVM::LLVMStructType type)
      : builder(builder), loc(loc), parameter(parameter), type(type) {}

  Value load(ArrayRef<int32_t> field, Type result) {
    SmallVector<LLVM::GEPArg> path{0};
    path.append(field.begin(), field.end());
    Value address = LLVM::GEPOp::create(builder, loc, parameter.getType(), type, parameter, path);
    return LLVM::LoadOp::create(builder, loc, result, address, /*alignment=*/result.isInteger(32) ? 4 : 8,
                                /*isVolatile=*/false, /*isNonTemporal=*/false, /*isInvariant=*/true);
  }

  template <typename Register> Value read() {
    Value number = Register::create(builder, loc, builder.getI32Type());
    return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), number);
  }

  Value add(Value a, Value b) { return arith::AddIOp::create(builder, loc, a, b); }
  Value mul(Value a, Value b) { return arith::MulIOp::create(builder, loc, a, b); }
  Value one() { return arith::ConstantIndexOp::create(builder, loc, 1); }

  /// Operands, dims and faults; the rest depends on the form.
  KernelFunction::Values arguments(unsigned operands, unsigned dims);
  /// The scratch of worker or block `number`.
  Value scratchOf(Value number);
  Value tiles() {
    return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), load({TilesField}, builder.getI32Type()));
  }

private:
  OpBuilder &builder;
  Location loc;
  Value parameter;
  LLVM::LLVMStructType type;
};

} // namespace

static LLVM::LLVMStructType parameterType(MLIRContext *context, unsigned operands, unsigned dims) {
  auto pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = IntegerType::get(context, 64), i32 = IntegerType::get(context, 32);
  return LLVM::LLVMStructType::getLiteral(context,
                                          {LLVM::LLVMArrayType::get(pointer, operands),
                                           LLVM::LLVMArrayType::get(i64, dims), pointer, i64, pointer, i32, i32});
}

KernelFunction::Values EntryBuilder::arguments(unsigned operands, unsigned dims) {
  KernelFunction::Values values;
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  for (unsigned k = 0; k < operands; ++k)
    values.operands.push_back(load({OperandsField, int32_t(k)}, pointer));
  for (unsigned k = 0; k < dims; ++k)
    values.dims.push_back(arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                                     load({DimsField, int32_t(k)}, builder.getI64Type())));
  values.faults = load({FaultsField}, pointer);
  return values;
}

Value EntryBuilder::scratchOf(Value number) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Value bytes = load({ScratchBytesField}, builder.getI64Type());
  Value offset = mul(arith::IndexCastOp::create(builder, loc, builder.getI64Type(), number), bytes);
  return LLVM::GEPOp::create(builder, loc, pointer, builder.getI8Type(), load({ScratchField}, pointer),
                             ValueRange{offset});
}

/// The function around the parameter; `builder` is left before its return.
static func::FuncOp createEntry(OpBuilder &builder, Location loc, ModuleOp module, StringRef name,
                                LLVM::LLVMStructType parameter, unsigned blockThreads) {
  builder.setInsertionPointToEnd(module.getBody());
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType({pointer}, {}));
  if (blockThreads > 1)
    function->setAttr("passthrough", builder.getArrayAttr({builder.getStrArrayAttr(
                                         {NVVM::NVVMDialect::getReqntidAttrName(), std::to_string(blockThreads)})}));
  function.setArgAttr(0, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(parameter));
  function.setArgAttr(0, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(8));
  builder.setInsertionPointToStart(function.addEntryBlock());
  builder.setInsertionPoint(func::ReturnOp::create(builder, loc));
  return function;
}

/// Thread t of T does tiles [t*tiles/T, (t+1)*tiles/T). Leaves `builder` where there are such tiles.
static void shareTiles(EntryBuilder &entry, OpBuilder &builder, Location loc, const DeviceFunction &function,
                       KernelFunction::Values &values) {
  Value size = entry.read<NVVM::BlockDimXOp>();
  Value worker = entry.add(entry.mul(function.block, size), function.thread);
  Value workers = entry.mul(entry.read<NVVM::GridDimXOp>(), size), tiles = entry.tiles();
  auto shareStart = [&](Value number) {
    return Value(arith::DivUIOp::create(builder, loc, entry.mul(number, tiles), workers));
  };
  values.first = shareStart(worker);
  values.last = shareStart(entry.add(worker, entry.one()));
  values.scratch = entry.scratchOf(worker);
  Value hasTiles = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, values.first, values.last);
  auto guard = scf::IfOp::create(builder, loc, hasTiles, /*withElseRegion=*/false);
  builder.setInsertionPointToStart(guard.thenBlock());
}

FailureOr<DeviceFunction> DeviceFunction::create(OpBuilder &builder, Location loc, ModuleOp module, StringRef name,
                                                 ArrayRef<Type> operandElements, unsigned dims, unsigned blockThreads) {
  unsigned operands = operandElements.size();
  format::KernelRecord record{{}, operands, 0, dims, 0};
  if (format::deviceParameterBytes(record) > format::maxDeviceParameterBytes)
    return emitError(loc) << "kernel " << name << ": a launch takes " << format::maxDeviceParameterBytes
                          << " bytes of arguments, found " << operands << " operands and " << dims
                          << " dims, which take " << format::deviceParameterBytes(record);
  LLVM::LLVMStructType type = parameterType(builder.getContext(), operands, dims);
  func::FuncOp entryPoint = createEntry(builder, loc, module, name, type, blockThreads);
  EntryBuilder entry(builder, loc, entryPoint.getArgument(0), type);
  DeviceFunction function;
  function.blockThreads = blockThreads;
  function.block = entry.read<NVVM::BlockIdXOp>();
  function.thread = entry.read<NVVM::ThreadIdXOp>();
  KernelFunction::Values values = entry.arguments(operands, dims);
  if (blockThreads == 1) {
    shareTiles(entry, builder, loc, function, values);
  } else {
    values.first = function.block;
    values.last = entry.add(function.block, entry.one());
    values.scratch = entry.scratchOf(function.block);
  }
  function.kernel = KernelFunction::over(builder, loc, entryPoint, operandElements, std::move(values));
  return function;
}

/// A variable in shared memory, as a view.
static Value declareShared(OpBuilder &builder, Location loc, ModuleOp module, StringRef name, LLVM::LLVMArrayType type,
                           LLVM::Linkage linkage) {
  OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
  auto global = LLVM::GlobalOp::create(top, loc, type, /*isConstant=*/false, linkage, name, Attribute(),
                                       /*alignment=*/16, sharedMemory);
  Value pointer = LLVM::AddressOfOp::create(builder, loc, global);
  return viewOfPointer(builder, loc, pointer, type.getElementType());
}

Value DeviceFunction::shared(OpBuilder &builder, Location loc, Type element, int64_t count) const {
  auto module = kernel.function()->getParentOfType<ModuleOp>();
  unsigned number = 0;
  std::string name;
  do
    name = (kernel.function().getSymName() + ".shared" + Twine(number++)).str();
  while (module.lookupSymbol(name));
  return declareShared(builder, loc, module, name, LLVM::LLVMArrayType::get(element, count), LLVM::Linkage::Internal);
}

Value DeviceFunction::launchedShared(OpBuilder &builder, Location loc, Type element) const {
  std::string name = (kernel.function().getSymName() + "_launched").str();
  return declareShared(builder, loc, kernel.function()->getParentOfType<ModuleOp>(), name,
                       LLVM::LLVMArrayType::get(element, 0), LLVM::Linkage::External);
}

void DeviceFunction::barrier(OpBuilder &builder, Location loc) const { NVVM::Barrier0Op::create(builder, loc); }

} // namespace tenon
