//===- ProgramOps.cpp - symbols, weights, kernels and dispatches -----------------===//
#include "dialects/tenon/RecipeCheck.h"
#include "dialects/tenon/Tenon.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace tenon;

//===----------------------------------------------------------------------------===//
// tenon.symbol @S in [min, max] divisible by n kept
//===----------------------------------------------------------------------------===//

ParseResult SymbolOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  int64_t min = 0, max = 0, divisor = 1;
  if (parser.parseSymbolName(name, "sym_name", result.attributes) || parser.parseKeyword("in") ||
      parser.parseLSquare() || parser.parseInteger(min) || parser.parseComma() || parser.parseInteger(max) ||
      parser.parseRSquare())
    return failure();
  if (succeeded(parser.parseOptionalKeyword("divisible")))
    if (parser.parseKeyword("by") || parser.parseInteger(divisor))
      return failure();
  Builder &builder = parser.getBuilder();
  result.addAttribute("min", builder.getI64IntegerAttr(min));
  result.addAttribute("max", builder.getI64IntegerAttr(max));
  result.addAttribute("divisor", builder.getI64IntegerAttr(divisor));
  if (succeeded(parser.parseOptionalKeyword("kept")))
    result.addAttribute("kept", builder.getUnitAttr());
  return parser.parseOptionalAttrDict(result.attributes);
}

void SymbolOp::print(OpAsmPrinter &printer) {
  printer << " ";
  printer.printSymbolName(getSymName());
  printer << " in [" << getMin() << ", " << getMax() << "]";
  if (getDivisor() != 1)
    printer << " divisible by " << getDivisor();
  if (getKept())
    printer << " kept";
  printer.printOptionalAttrDict((*this)->getAttrs(), {"sym_name", "min", "max", "divisor", "kept"});
}

LogicalResult SymbolOp::verify() {
  // The generated accessors are unsigned.
  int64_t min = getMin(), max = getMax(), divisor = getDivisor();
  if (min < 0 || max < min)
    return emitOpError("wants bounds 0 <= min <= max, found [") << min << ", " << max << "]";
  if (divisor < 1)
    return emitOpError("wants a positive divisor, found ") << divisor;
  if (getKept() && min % divisor != 0)
    return emitOpError("is kept and starts at ") << min << ", which is not divisible by " << divisor;
  return success();
}

//===----------------------------------------------------------------------------===//
// tenon.weight, tenon.get
//===----------------------------------------------------------------------------===//

/// The largest constant that may stand in the IR, in bytes.
static constexpr int64_t maxInlineBytes = 1024;

LogicalResult WeightOp::verify() {
  if (isa<SourceAttr, RecipeAttr, RandomAttr>(getValue()))
    return success();
  auto elements = dyn_cast<DenseElementsAttr>(getValue());
  if (!elements)
    return emitOpError("wants a source, a recipe, a random or dense elements as its value, found ") << getValue();
  if (elements.getType() != getType())
    return emitOpError("is a ") << getType() << ", its elements are a " << elements.getType();
  if (!elements.isSplat() && int64_t(elements.getRawData().size()) > maxInlineBytes)
    return emitOpError("holds ") << elements.getRawData().size() << " bytes in the IR, at most " << maxInlineBytes
                                 << " may stand there: use #tenon.source";
  return success();
}

/// Whether `weight` is made, through recipes, from `part`.
static bool isMadeFrom(WeightOp weight, WeightOp part, SymbolTableCollection &symbols,
                       llvm::SmallPtrSetImpl<Operation *> &seen) {
  auto recipe = dyn_cast<RecipeAttr>(weight.getValue());
  if (!recipe || !seen.insert(weight).second)
    return false;
  return llvm::any_of(recipe.getInputs(), [&](FlatSymbolRefAttr name) {
    auto input = symbols.lookupNearestSymbolFrom<WeightOp>(weight, name);
    return input && (input == part || isMadeFrom(input, part, symbols, seen));
  });
}

LogicalResult WeightOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto recipe = dyn_cast<RecipeAttr>(getValue());
  auto result = dyn_cast<RankedTensorType>(getType());
  if (!recipe || !result)
    return success();
  SmallVector<RankedTensorType> inputs;
  for (FlatSymbolRefAttr name : recipe.getInputs()) {
    auto input = symbols.lookupNearestSymbolFrom<WeightOp>(*this, name);
    if (!input)
      return emitOpError("has a recipe that reads ") << name << ", which no tenon.weight declares";
    inputs.push_back(cast<RankedTensorType>(input.getType()));
  }
  if (std::string problem = problemOfRecipe(recipe, inputs, result); !problem.empty())
    return emitOpError("cannot be made: ") << problem;
  llvm::SmallPtrSet<Operation *, 8> seen;
  if (isMadeFrom(*this, *this, symbols, seen))
    return emitOpError("is made from itself");
  return success();
}

LogicalResult GetOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("reads ") << getWeightAttr() << ", which no tenon.weight declares";
  if (weight.getType() != getType())
    return emitOpError("reads ") << getWeightAttr() << " as " << getType() << ", it is declared as "
                                 << weight.getType();
  return success();
}

//===----------------------------------------------------------------------------===//
// tenon.kernel, tenon.dispatch
//===----------------------------------------------------------------------------===//

void KernelOp::build(OpBuilder &builder, OperationState &state, StringRef name, FunctionType type) {
  state.addAttribute(getSymNameAttrName(state.name), builder.getStringAttr(name));
  state.addAttribute(getFunctionTypeAttrName(state.name), TypeAttr::get(type));
  state.addRegion();
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildType = [](Builder &builder, ArrayRef<Type> arguments, ArrayRef<Type> results,
                      function_interface_impl::VariadicFlag, std::string &) {
    return builder.getFunctionType(arguments, results);
  };
  return function_interface_impl::parseFunctionOp(parser, result, /*allowVariadic=*/false,
                                                  getFunctionTypeAttrName(result.name), buildType,
                                                  getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
                                           getArgAttrsAttrName(), getResAttrsAttrName());
}

static void countKernelDims(const Dim &dim, unsigned &count) {
  for (const std::string &symbol : dim.symbols()) {
    unsigned index = 0;
    if (symbol.size() > 1 && symbol[0] == 'd' && !StringRef(symbol).drop_front().getAsInteger(10, index))
      count = std::max(count, index + 1);
  }
}

unsigned KernelOp::getNumDims() {
  unsigned count = 0;
  auto visitType = [&](Type type) {
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      for (const Dim &dim : shapeOf(tensor))
        countKernelDims(dim, count);
  };
  llvm::for_each(getArgumentTypes(), visitType);
  llvm::for_each(getResultTypes(), visitType);
  getBody().walk([&](Operation *op) {
    llvm::for_each(op->getResultTypes(), visitType);
    if (auto size = dyn_cast<SizeOp>(op))
      countKernelDims(size.getDim().getValue(), count);
  });
  return count;
}

/// The type with the kernel's dims replaced by what the dispatch passes for them.
static Type substituteDims(Type type, ArrayRef<Dim> dims) {
  std::map<std::string, Dim, std::less<>> map;
  for (auto [index, dim] : llvm::enumerate(dims))
    map.emplace("d" + std::to_string(index), dim);
  auto tensor = cast<RankedTensorType>(type);
  Shape shape = llvm::map_to_vector<4>(shapeOf(tensor), [&](const Dim &dim) { return dim.substitute(map); });
  return tensorOf(tensor.getElementType(), shape);
}

static LogicalResult verifyTypes(DispatchOp op, StringRef what, TypeRange found, ArrayRef<Type> declared) {
  if (found.size() != declared.size())
    return op.emitOpError("has ") << found.size() << " " << what << "s, the kernel has " << declared.size();
  for (auto [index, type, kernelType] : llvm::enumerate(found, declared)) {
    Type wanted = substituteDims(kernelType, op.getDims().getDims());
    if (type != wanted)
      return op.emitOpError() << what << " " << index << " is " << type << ", the kernel wants " << wanted;
  }
  return success();
}

LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError("runs ") << getKernelAttr() << ", which no tenon.kernel declares";
  if (kernel.getNumDims() > getDims().getDims().size())
    return emitOpError("passes ") << getDims().getDims().size() << " dims, the kernel reads " << kernel.getNumDims();
  if (failed(verifyTypes(*this, "operand", getInputs().getTypes(), kernel.getArgumentTypes())))
    return failure();
  return verifyTypes(*this, "result", getResultTypes(), kernel.getResultTypes());
}
