//===- TensorOps.cpp - maps, contractions, reductions, normalisations ------------===//
#include "dialects/tenon/ContractSpec.h"
#include "dialects/tenon/InfixParser.h"
#include "dialects/tenon/Tenon.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tenon;

//===----------------------------------------------------------------------------===//
// tenon.map %x = %a, %t = %b at %i, %j : (types) -> type { region }
//===----------------------------------------------------------------------------===//

void MapOp::build(OpBuilder &builder, OperationState &state, RankedTensorType type, ValueRange inputs,
                  function_ref<Value(OpBuilder &, Location, ValueRange, ValueRange)> body) {
  state.addOperands(inputs);
  state.addTypes(type);
  Region *region = state.addRegion();
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(region);
  for (Value input : inputs)
    block->addArgument(input.getType(), state.location);
  for (int64_t i = 0; i < type.getRank(); ++i)
    block->addArgument(builder.getIndexType(), state.location);
  ValueRange arguments = block->getArguments();
  Value element = body(builder, state.location, arguments.take_front(inputs.size()),
                       arguments.drop_front(inputs.size()));
  YieldOp::create(builder, state.location, element);
}

ParseResult MapOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::Argument> arguments, indices;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  while (true) {
    OpAsmParser::Argument argument;
    OptionalParseResult parsed = parser.parseOptionalArgument(argument);
    if (!parsed.has_value())
      break;
    OpAsmParser::UnresolvedOperand operand;
    if (failed(*parsed) || parser.parseEqual() || parser.parseOperand(operand))
      return failure();
    arguments.push_back(argument);
    operands.push_back(operand);
    if (failed(parser.parseOptionalComma()))
      break;
  }
  if (parser.parseKeyword("at"))
    return failure();
  if (succeeded(parser.parseOptionalLParen()) ? parser.parseRParen() : parser.parseArgumentList(indices))
    return failure();
  FunctionType type;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalAttrDict(result.attributes) || parser.parseColon() || parser.parseType(type))
    return failure();
  if (type.getNumInputs() != operands.size() || type.getNumResults() != 1)
    return parser.emitError(loc, "wants ") << operands.size() << " operand types and one result type";
  if (parser.resolveOperands(operands, type.getInputs(), loc, result.operands))
    return failure();
  for (auto [argument, inputType] : llvm::zip(arguments, type.getInputs()))
    argument.type = inputType;
  for (OpAsmParser::Argument &index : indices) {
    index.type = parser.getBuilder().getIndexType();
    arguments.push_back(index);
  }
  result.addTypes(type.getResults());
  auto element = cast<RankedTensorType>(type.getResult(0)).getElementType();
  return parseElementRegion(parser, arguments, element, *result.addRegion());
}

void MapOp::print(OpAsmPrinter &printer) {
  if (!getInputs().empty())
    printer << " ";
  llvm::interleaveComma(llvm::zip(getOperandArgs(), getInputs()), printer,
                        [&](auto pair) { printer << std::get<0>(pair) << " = " << std::get<1>(pair); });
  printer << " at ";
  if (getIndices().empty())
    printer << "()";
  else
    llvm::interleaveComma(getIndices(), printer);
  printer.printOptionalAttrDict((*this)->getAttrs());
  printer << " : ";
  printer.printFunctionalType(*this);
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

/// A region of pure scalar arithmetic that ends in one yield of the given type.
static LogicalResult verifyScalarRegion(Operation *op, Region &region, Type yielded) {
  for (Operation &inner : region.front())
    if (!isMemoryEffectFree(&inner))
      return inner.emitOpError("has side effects: a region of ") << op->getName() << " is pure arithmetic";
  auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
  if (!yield || yield.getNumOperands() != 1 || yield.getOperand(0).getType() != yielded)
    return op->emitOpError("wants its region to yield one ") << yielded;
  return success();
}

LogicalResult MapOp::verify() {
  Block &block = getBody().front();
  unsigned rank = getType().getRank();
  if (block.getNumArguments() != getInputs().size() + rank)
    return emitOpError("has ") << block.getNumArguments() - getInputs().size() << " indices for a result of rank "
                               << rank;
  for (auto [argument, input] : llvm::zip(getOperandArgs(), getInputs()))
    if (argument.getType() != input.getType())
      return emitOpError("passes ") << input.getType() << " to a region argument of type " << argument.getType();
  return verifyScalarRegion(*this, getBody(), getType().getElementType());
}

//===----------------------------------------------------------------------------===//
// tenon.load, tenon.size
//===----------------------------------------------------------------------------===//

void LoadOp::build(OpBuilder &builder, OperationState &state, Value tensor, ValueRange indices) {
  state.addOperands(tensor);
  state.addOperands(indices);
  state.addTypes(elementOf(tensor));
}

LogicalResult LoadOp::verify() {
  auto type = cast<RankedTensorType>(getTensor().getType());
  if (int64_t(getIndices().size()) != type.getRank())
    return emitOpError("has ") << getIndices().size() << " indices for a tensor of rank " << type.getRank();
  auto argument = dyn_cast<BlockArgument>(getTensor());
  if (!argument || argument.getOwner() != (*this)->getBlock())
    return emitOpError("loads a tensor that is not an argument of its region");
  return success();
}

OpFoldResult SizeOp::fold(FoldAdaptor) {
  if (std::optional<int64_t> value = getDim().getValue().constant())
    return IntegerAttr::get(IndexType::get(getContext()), *value);
  return {};
}

//===----------------------------------------------------------------------------===//
// tenon.contract
//===----------------------------------------------------------------------------===//

/// The dims of each operand in the order of its indices; a packed right operand is
/// seen as the matrix it stands for.
static FailureOr<std::pair<Shape, Shape>> logicalShapes(ContractOp op, const ContractSpec &spec) {
  Shape lhs = shapeOf(op.getLhs()), rhs = shapeOf(op.getRhs());
  if (!op.getPanels())
    return std::make_pair(lhs, rhs);
  Shape result = shapeOf(op.getResult());
  int column = spec.rhs.size() == 2 ? positionOf(spec.rhs[1], spec.result) : -1;
  if (column < 0 || rhs.size() != 3 || column >= int(result.size()))
    return op.emitOpError("with panels wants a right operand \"k n\" of shape [ceil(N / W), K, W], found ")
           << toString(rhs);
  Dim columns = result[column];
  // Elements of 16 bits stand in pairs along k.
  int64_t pair = elementOf(op.getRhs()).getIntOrFloatBitWidth() == 16 ? 2 : 1;
  if (rhs[0] != columns.ceilDiv(Dim(*op.getPanels())) || rhs[2] != Dim(*op.getPanels() * pair))
    return op.emitOpError("wants ") << columns.str() << " columns in panels of " << *op.getPanels() << ", found "
                                    << toString(rhs);
  int summed = positionOf(spec.rhs[0], spec.lhs);
  bool isPaired = pair == 2 && summed >= 0 && summed < int(lhs.size()) &&
                  rhs[1] == pairWords(lhs[summed]);
  return std::make_pair(lhs, Shape{isPaired ? lhs[summed] : rhs[1], columns});
}

/// Collects the size of every index, or says which two disagree.
static LogicalResult bindSizes(ContractOp op, ArrayRef<StringRef> indices, ArrayRef<Dim> shape, StringRef what,
                               llvm::StringMap<Dim> &sizes) {
  if (indices.size() != shape.size())
    return op.emitOpError("names ") << indices.size() << " indices of the " << what << ", which has dims "
                                    << toString(shape);
  for (auto [index, dim] : llvm::zip(indices, shape)) {
    auto [it, inserted] = sizes.try_emplace(index, dim);
    if (!inserted && it->second != dim)
      return op.emitOpError("index '") << index << "' is " << it->second.str() << ", but " << dim.str() << " in the "
                                       << what;
  }
  return success();
}

LogicalResult ContractOp::verify() {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(getSpec(), error);
  if (!spec)
    return emitOpError() << error;
  FailureOr<std::pair<Shape, Shape>> shapes = logicalShapes(*this, *spec);
  if (failed(shapes))
    return failure();
  llvm::StringMap<Dim> sizes;
  if (failed(bindSizes(*this, spec->lhs, shapes->first, "left operand", sizes)) ||
      failed(bindSizes(*this, spec->rhs, shapes->second, "right operand", sizes)) ||
      failed(bindSizes(*this, spec->result, shapeOf(getResult()), "result", sizes)))
    return failure();
  if (elementOf(getLhs()) != elementOf(getRhs()))
    return emitOpError("multiplies ") << elementOf(getLhs()) << " with " << elementOf(getRhs());
  return success();
}

Type ContractOp::getAccumulateType() {
  if (std::optional<Type> type = getAccumulate())
    return *type;
  Type element = elementOf(getLhs());
  return isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32 ? Float32Type::get(getContext()) : element;
}

void ContractOp::build(OpBuilder &builder, OperationState &state, StringRef text, Value lhs, Value rhs) {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(text, error);
  assert(spec && "the builder is given a literal specification");
  llvm::StringMap<Dim> sizes;
  for (auto [index, dim] : llvm::zip(spec->lhs, shapeOf(lhs)))
    sizes[index] = dim;
  for (auto [index, dim] : llvm::zip(spec->rhs, shapeOf(rhs)))
    sizes[index] = dim;
  Shape shape = llvm::map_to_vector<4>(spec->result, [&](StringRef index) { return sizes.lookup(index); });
  state.addOperands({lhs, rhs});
  state.addAttribute("spec", builder.getStringAttr(text));
  state.addTypes(tensorOf(elementOf(lhs), shape));
}

//===----------------------------------------------------------------------------===//
// tenon.reduce, tenon.softmax, tenon.norm, tenon.reshape
//===----------------------------------------------------------------------------===//

static Shape withoutDims(ArrayRef<Dim> shape, ArrayRef<int64_t> over) {
  Shape kept;
  for (auto [index, dim] : llvm::enumerate(shape))
    if (!llvm::is_contained(over, int64_t(index)))
      kept.push_back(dim);
  return kept;
}

void ReduceOp::build(OpBuilder &builder, OperationState &state, ReduceKind kind, Value input, ArrayRef<int64_t> over) {
  Type type = tensorOf(elementOf(input), withoutDims(shapeOf(input), over));
  build(builder, state, type, ReduceKindAttr::get(builder.getContext(), kind), input,
        builder.getDenseI64ArrayAttr(over));
}

LogicalResult ReduceOp::verify() {
  Shape input = shapeOf(getInput());
  for (auto [position, dim] : llvm::enumerate(getOver()))
    if (dim < 0 || dim >= int64_t(input.size()) || llvm::is_contained(getOver().take_front(position), dim))
      return emitOpError("reduces over dimension ") << dim << ", wanted distinct dimensions of " << toString(input);
  Type wanted = tensorOf(elementOf(getInput()), withoutDims(input, getOver()));
  if (getType() != wanted)
    return emitOpError("gives ") << wanted << ", its result is declared as " << getType();
  return success();
}

void ScatterOp::build(OpBuilder &builder, OperationState &state, Value updates, Value into, Value places,
                      std::optional<ReduceKind> by) {
  build(builder, state, into.getType(), updates, into, places,
        by ? ReduceKindAttr::get(builder.getContext(), *by) : ReduceKindAttr());
}

int64_t ScatterOp::getTupleSize() { return *shapeOf(getPlaces())[1].constant(); }

LogicalResult ScatterOp::verify() {
  Shape into = shapeOf(getInto()), updates = shapeOf(getUpdates()), places = shapeOf(getPlaces());
  if (places.size() != 2 || !places[1].isConstant() || *places[1].constant() < 1 ||
      *places[1].constant() > int64_t(into.size()) || !isa<IntegerType>(elementOf(getPlaces())))
    return emitOpError("wants integer places of shape [N, K] with K from 1 to ")
           << into.size() << ", found " << getPlaces().getType();
  Shape wanted{places[0]};
  llvm::append_range(wanted, ArrayRef<Dim>(into).drop_front(getTupleSize()));
  if (updates != wanted)
    return emitOpError("wants updates of shape ") << toString(wanted) << ", found " << toString(updates);
  if (elementOf(getUpdates()) != elementOf(getInto()))
    return emitOpError("puts ") << elementOf(getUpdates()) << " into a tensor of " << elementOf(getInto());
  if (getBy() && elementOf(getInto()).isInteger(1))
    return emitOpError("combines elements of i1, wanted numbers");
  return success();
}

/// What stands along `over`, dims of a record left out.
static Shape shapeOfOrder(Value input, int64_t over, const Dim &count, bool records) {
  Shape shape = shapeOf(input);
  shape[over] = count;
  if (records)
    shape.truncate(over + 1);
  return shape;
}

void OrderOp::build(OpBuilder &builder, OperationState &state, Value input, int64_t over, const Dim &count,
                    bool descending, bool isUnsigned, bool records) {
  Type type = tensorOf(builder.getI64Type(), shapeOfOrder(input, over, count, records));
  build(builder, state, type, input, over, descending, isUnsigned, records);
}

LogicalResult OrderOp::verify() {
  Shape input = shapeOf(getInput()), result = shapeOf(getResult());
  int64_t over = getOver();
  if (over < 0 || over >= int64_t(input.size()))
    return emitOpError("orders along dimension ") << over << ", wanted one of " << toString(input);
  if (getIsUnsigned() && !isa<IntegerType>(elementOf(getInput())))
    return emitOpError("compares ") << elementOf(getInput()) << " as unsigned, wanted integers";
  Dim count = over < int64_t(result.size()) ? result[over] : input[over];
  Type wanted = tensorOf(IntegerType::get(getContext(), 64), shapeOfOrder(getInput(), over, count, getRecords()));
  if (getType() != wanted)
    return emitOpError("gives ") << wanted << ", its result is declared as " << getType();
  if (count.isConstant() && input[over].isConstant() && *count.constant() > *input[over].constant())
    return emitOpError("gives ") << *count.constant() << " places of " << *input[over].constant();
  return success();
}

LogicalResult SoftmaxOp::verify() {
  int64_t rank = cast<RankedTensorType>(getInput().getType()).getRank();
  int64_t over = getOver();
  if (over < 0 || over >= rank)
    return emitOpError("is over dimension ") << over << " of a tensor of rank " << rank;
  if (!isa<FloatType>(elementOf(getInput())))
    return emitOpError("wants floating-point elements, found ") << elementOf(getInput());
  return success();
}

static LogicalResult verifyParameter(NormOp op, StringRef what, Value parameter, ArrayRef<Dim> wanted) {
  if (!parameter || ArrayRef<Dim>(shapeOf(parameter)) == wanted)
    return success();
  return op.emitOpError("wants ") << what << " of shape " << toString(wanted) << ", found "
                                  << toString(shapeOf(parameter));
}

LogicalResult NormOp::verify() {
  Shape input = shapeOf(getInput());
  int64_t over = getOver();
  if (getType() != getInput().getType())
    return emitOpError("turns ") << getInput().getType() << " into " << getType() << ", wanted the same type";
  Shape parameters;
  if (getKind() == NormKind::Group) {
    if (input.size() < 2 || over < 1 || (input[1].constant() && *input[1].constant() % over != 0))
      return emitOpError("wants ") << over << " groups to divide dimension 1 of " << toString(input);
    parameters = {input[1]};
  } else {
    if (over < 1 || over > int64_t(input.size()))
      return emitOpError("normalises the last ") << over << " dimensions of " << toString(input);
    parameters = Shape(ArrayRef<Dim>(input).take_back(over));
  }
  if (failed(verifyParameter(*this, "a scale", getScale(), parameters)))
    return failure();
  return verifyParameter(*this, "a shift", getShift(), parameters);
}

LogicalResult ReshapeOp::verify() {
  Dim from = countOf(shapeOf(getInput())), to = countOf(shapeOf(getResult()));
  auto isSameCount = [&] {
    auto module = (*this)->getParentOfType<ModuleOp>();
    return module && Dim::isKnownEqual(from, to, boundsOf(module)) == true;
  };
  if (from != to && !isSameCount())
    return emitOpError("turns ") << from.str() << " elements " << toString(shapeOf(getInput())) << " into "
                                 << to.str() << " " << toString(shapeOf(getResult()));
  if (elementOf(getInput()) != elementOf(getResult()))
    return emitOpError("changes the element type from ") << elementOf(getInput()) << " to " << elementOf(getResult());
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (auto inner = getInput().getDefiningOp<ReshapeOp>()) {
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

//===----------------------------------------------------------------------------===//
// Canonical maps
//===----------------------------------------------------------------------------===//

namespace {
/// Drops operands that the region does not load, and passes a tensor given twice once.
struct DropUnusedMapOperands : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MapOp op, PatternRewriter &rewriter) const override {
    Block &block = op.getBody().front();
    for (unsigned i = 0; i < op.getInputs().size(); ++i) {
      BlockArgument argument = block.getArgument(i);
      auto first = llvm::find(op.getInputs(), op.getInputs()[i]).getIndex();
      if (!argument.use_empty() && first == i)
        continue;
      rewriter.modifyOpInPlace(op, [&] {
        argument.replaceAllUsesWith(block.getArgument(first));
        block.eraseArgument(i);
        op.getInputsMutable().erase(i);
      });
      return success();
    }
    return failure();
  }
};
} // namespace

void MapOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropUnusedMapOperands>(context);
}
