//===- RegionProgram.cpp - a region's arithmetic as a list of register steps -------===//
#include "interpreter/RegionProgram.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// Steps that are not arithmetic
//===----------------------------------------------------------------------------===//

static void load(RegionProgram::Frame &frame, const RegionProgram::Step &step) {
  const RegionProgram::Tensor &tensor = frame.tensors[step.tensor];
  int64_t offset = 0;
  for (size_t d = 0; d < step.sources.size(); ++d) {
    int64_t index = frame.registers[step.sources[d]].i;
    if (index < 0 || index >= tensor.array->shape[d]) {
      frame.faulty = true;
      return;
    }
    offset += index * tensor.strides[d];
  }
  if (tensor.array->isFloat())
    frame.registers[step.target].f = tensor.array->floats[offset];
  else
    frame.registers[step.target].i = tensor.array->integers[offset];
}

static void round(RegionProgram::Frame &frame, const RegionProgram::Step &step) {
  double &value = frame.registers[step.target].f;
  value = roundTo(step.type, value);
}

//===----------------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------------===//

class RegionCompiler {
public:
  RegionCompiler(const Evaluation &evaluation) : evaluation(evaluation) {}

  llvm::Expected<RegionProgram> compile(Region &region, ArrayRef<const Array *> tensors) {
    addArguments(region.front(), tensors);
    for (Operation &op : region.front())
      if (llvm::Error error = addOperation(op))
        return error;
    return std::move(program);
  }

private:
  unsigned newRegister(Register value = {.i = 0}) {
    program.registers.push_back(value);
    return program.registers.size() - 1;
  }

  void addArguments(Block &block, ArrayRef<const Array *> tensors) {
    for (auto [argument, array] : llvm::zip_equal(block.getArguments(), tensors)) {
      if (array) {
        tensorOf[argument] = program.tensors.size();
        program.tensors.push_back({array, stridesOf(array->shape)});
      } else {
        registerOf[argument] = newRegister();
      }
    }
  }

  llvm::Error addOperation(Operation &op) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return addConstant(constant);
    if (auto size = dyn_cast<SizeOp>(op))
      return addSize(size);
    if (auto load = dyn_cast<LoadOp>(op))
      return addLoad(load);
    if (isa<YieldOp>(op)) {
      program.resultRegister = registerOf.lookup(op.getOperand(0));
      return llvm::Error::success();
    }
    return addArithmetic(op);
  }

  llvm::Error addConstant(arith::ConstantOp op) {
    llvm::Expected<DType> type = dtypeOf(op.getType(), op);
    if (!type)
      return type.takeError();
    Register value;
    if (auto number = dyn_cast<FloatAttr>(op.getValue()))
      value.f = number.getValueAsDouble();
    else
      value.i = wrapTo(*type, cast<IntegerAttr>(op.getValue()).getValue().getSExtValue());
    registerOf[op.getResult()] = newRegister(value);
    return llvm::Error::success();
  }

  llvm::Error addSize(SizeOp op) {
    Dim dim = op.getDim().getValue();
    std::optional<int64_t> value = dim.evaluate(evaluation.dims);
    if (!value)
      return errorAt(op, "the size " + dim.str() + " has no value: a symbol of it is not bound by an input");
    registerOf[op.getResult()] = newRegister({.i = *value});
    return llvm::Error::success();
  }

  llvm::Error addLoad(LoadOp op) {
    RegionProgram::Step step = newStep(op, tenon::load, op.getIndices());
    step.tensor = tensorOf.lookup(op.getTensor());
    program.steps.push_back(step);
    return llvm::Error::success();
  }

  llvm::Error addArithmetic(Operation &op) {
    RegionProgram::Function function = op.getNumResults() == 1 ? scalarFunction(&op) : nullptr;
    if (!function)
      return errorAt(&op, "the interpreter does not know this operation");
    llvm::Expected<DType> type = dtypeOf(op.getResult(0).getType(), &op);
    if (!type)
      return type.takeError();
    RegionProgram::Step step = newStep(&op, function, op.getOperands());
    step.type = *type;
    // The integer operand whose width matters is the last: of select and fpowi too.
    if (Type operand = op.getOperands().back().getType(); isa<IntegerType>(operand))
      step.width = operand.getIntOrFloatBitWidth();
    program.steps.push_back(step);
    if (evaluation.arithmetic == Arithmetic::Plain && isFloat(*type) && *type != DType::F64) {
      step.function = tenon::round;
      program.steps.push_back(step);
    }
    return llvm::Error::success();
  }

  RegionProgram::Step newStep(Operation *op, RegionProgram::Function function, ValueRange operands) {
    RegionProgram::Step step;
    step.function = function;
    step.op = op;
    for (Value operand : operands)
      step.sources.push_back(registerOf.lookup(operand));
    step.target = registerOf[op->getResult(0)] = newRegister();
    return step;
  }

  const Evaluation &evaluation;
  RegionProgram program;
  llvm::DenseMap<Value, unsigned> registerOf, tensorOf;
};

llvm::Expected<RegionProgram> RegionProgram::compile(Region &region, ArrayRef<const Array *> tensors,
                                                     const Evaluation &evaluation) {
  return RegionCompiler(evaluation).compile(region, tensors);
}

//===----------------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------------===//

bool RegionProgram::run() {
  Frame frame{registers.data(), tensors.data(), false};
  for (const Step &step : steps) {
    step.function(frame, step);
    if (frame.faulty) {
      stopped = &step;
      return false;
    }
  }
  return true;
}

llvm::Error RegionProgram::fault() const {
  Operation *parent = stopped->op->getParentOp();
  std::string of = " (in " + parent->getName().getStringRef().str() + ")";
  if (!isa<LoadOp>(stopped->op))
    return errorAt(stopped->op, "division of an integer by zero, or of the least integer by -1" + of);
  std::vector<int64_t> index;
  for (unsigned source : stopped->sources)
    index.push_back(registers[source].i);
  return errorAt(stopped->op, "loads element " + toString(index) + " of a tensor of " +
                                  toString(tensors[stopped->tensor].array->shape) + of);
}

} // namespace tenon
