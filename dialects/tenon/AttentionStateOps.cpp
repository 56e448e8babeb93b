//===- AttentionStateOps.cpp - text and verification of attention's states --------===//
#include "dialects/tenon/AttentionLayout.h"
#include "dialects/tenon/InfixParser.h"
#include "dialects/tenon/Tenon.h"

using namespace mlir;
using namespace tenon;

//===----------------------------------------------------------------------------===//
// Update: text
//===----------------------------------------------------------------------------===//

static Type scoreTypeOf(Type queryType) {
  Type element = cast<RankedTensorType>(queryType).getElementType();
  return element.isF64() ? element : Float32Type::get(element.getContext());
}

static ParseResult parseOptionalRegion(OpAsmParser &parser, StringRef keyword, ArrayRef<Type> types, Type yielded,
                                       Region &region) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  SmallVector<OpAsmParser::Argument> arguments;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren))
    return failure();
  if (arguments.size() != types.size())
    return parser.emitError(loc) << keyword << " takes " << types.size() << " arguments, found " << arguments.size();
  for (auto [argument, type] : llvm::zip(arguments, types))
    argument.type = type;
  return parseElementRegion(parser, arguments, yielded, region);
}

ParseResult AttentionUpdateOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::UnresolvedOperand> operands(3), captures;
  StringRef word;
  ArrayAttr layouts;
  FunctionType type;
  if (parser.parseOperand(operands[0]) || parser.parseComma() || parser.parseOperand(operands[1]) ||
      parser.parseComma() || parser.parseOperand(operands[2]))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("captures")) &&
      parser.parseOperandList(captures, OpAsmParser::Delimiter::Paren))
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword("normalise") || parser.parseKeyword(&word))
    return failure();
  std::optional<Normaliser> normaliser = symbolizeNormaliser(word);
  if (!normaliser)
    return parser.emitError(loc, "unknown normaliser '") << word << "'";
  result.addAttribute("normaliser", NormaliserAttr::get(parser.getContext(), *normaliser));
  if (parser.parseKeyword("layout") || parser.parseAttribute(layouts, "layouts", result.attributes))
    return failure();
  Builder &builder = parser.getBuilder();
  if (succeeded(parser.parseOptionalKeyword("parts_of"))) {
    int64_t keys;
    if (parser.parseInteger(keys))
      return failure();
    result.addAttribute("parts_of", builder.getI64IntegerAttr(keys));
  }
  loc = parser.getCurrentLocation();
  if (parser.parseOptionalAttrDict(result.attributes) || parser.parseColonType(type))
    return failure();
  int32_t captured = captures.size();
  operands.append(captures.begin(), captures.end());
  if (type.getNumInputs() != operands.size() || type.getNumResults() != 1)
    return parser.emitError(loc, "wants ") << operands.size() << " operand types and one result type";
  if (parser.resolveOperands(operands, type.getInputs(), loc, result.operands))
    return failure();
  result.addTypes(type.getResults());
  SmallVector<Type> types{scoreTypeOf(type.getInput(0))};
  types.append(4, builder.getIndexType());
  llvm::append_range(types, type.getInputs().take_back(captured));
  Region *score = result.addRegion(), *keep = result.addRegion();
  if (parseOptionalRegion(parser, "score", types, types.front(), *score))
    return failure();
  return parseOptionalRegion(parser, "keep", ArrayRef<Type>(types).drop_front(), builder.getI1Type(), *keep);
}

void AttentionUpdateOp::print(OpAsmPrinter &printer) {
  printer << " " << getQuery() << ", " << getKey() << ", " << getValue();
  if (!getCaptures().empty())
    printer << " captures (" << getCaptures() << ")";
  printer << " normalise " << stringifyNormaliser(getNormaliser()) << " layout " << getLayouts();
  if (std::optional<int64_t> keys = getPartsOf())
    printer << " parts_of " << *keys;
  printer.printOptionalAttrDict((*this)->getAttrs(),
                                {"normaliser", "layouts", "parts_of"});
  printer << " : ";
  printer.printFunctionalType(*this);
  for (auto [keyword, region] : {std::pair("score", &getScore()), {"keep", &getKeep()}}) {
    if (region->empty())
      continue;
    printer << " " << keyword << " (";
    llvm::interleaveComma(region->getArguments(), printer);
    printer << ") ";
    printer.printRegion(*region, /*printEntryBlockArgs=*/false);
  }
}

//===----------------------------------------------------------------------------===//
// Update: verification
//===----------------------------------------------------------------------------===//

Type AttentionUpdateOp::getScoreType() { return scoreTypeOf(getQuery().getType()); }

static AttentionLayout layoutOf(AttentionUpdateOp op, unsigned operand) {
  std::string error;
  return *AttentionLayout::parse(op.getLayout(operand), error);
}

AttentionOp::Sizes AttentionUpdateOp::getSizes() {
  Shape query = shapeOf(getQuery()), key = shapeOf(getKey()), value = shapeOf(getValue());
  AttentionLayout q = layoutOf(*this, 0), k = layoutOf(*this, 1), v = layoutOf(*this, 2);
  return {q.sizeOf('b', query), q.sizeOf('h', query), k.sizeOf('h', key),  q.sizeOf('n', query),
          k.sizeOf('n', key),   q.sizeOf('d', query), v.sizeOf('d', value)};
}

Dim AttentionUpdateOp::getParts() {
  std::optional<int64_t> keys = getPartsOf();
  return keys ? getSizes().keys.ceilDiv(Dim(*keys)) : Dim(1);
}

static LogicalResult verifyLayouts(AttentionUpdateOp op) {
  StringRef names[] = {"query", "keys", "values"};
  if (op.getLayouts().size() != 3)
    return op.emitOpError("wants 3 layouts (query, keys, values), found ") << op.getLayouts().size();
  for (unsigned operand = 0; operand < 3; ++operand) {
    std::string error;
    std::optional<AttentionLayout> layout = AttentionLayout::parse(op.getLayout(operand), error);
    if (!layout)
      return op.emitOpError("layout of the ") << names[operand] << ": " << error;
    Shape shape = shapeOf(op->getOperand(operand));
    if (layout->roles.size() != shape.size())
      return op.emitOpError("layout \"") << op.getLayout(operand) << "\" of the " << names[operand] << " names "
                                         << layout->roles.size() << " dimensions, the tensor is " << toString(shape);
    for (auto [role, index, dim] : llvm::zip(layout->roles, layout->fixed, shape))
      if (role == '#' && dim.constant() && index >= *dim.constant())
        return op.emitOpError("layout of the ") << names[operand] << " selects slice " << index
                                                << " of a dimension of " << dim.str();
  }
  return success();
}

static LogicalResult verifyRegion(AttentionUpdateOp op, StringRef name, Region &region, bool takesScore, Type yielded) {
  if (region.empty())
    return success();
  SmallVector<Type> wanted(takesScore ? 1 : 0, op.getScoreType());
  wanted.append(4, IndexType::get(op.getContext()));
  llvm::append_range(wanted, op.getCaptures().getTypes());
  if (!region.hasOneBlock() || !llvm::equal(region.getArgumentTypes(), wanted))
    return op.emitOpError("region ") << name << " wants the arguments " << TypeRange(wanted) << ", found "
                                     << region.getArgumentTypes();
  for (Operation &inner : region.front())
    if (!isMemoryEffectFree(&inner))
      return inner.emitOpError("has side effects: region ") << name << " of attention is pure arithmetic";
  auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
  if (!yield || yield.getNumOperands() != 1 || yield.getOperand(0).getType() != yielded)
    return op.emitOpError("wants region ") << name << " to yield one " << yielded;
  return success();
}

LogicalResult AttentionUpdateOp::verify() {
  if (failed(verifyLayouts(*this)))
    return failure();
  if (std::optional<int64_t> keys = getPartsOf(); keys && *keys <= 0)
    return emitOpError("wants parts of at least one key, found ") << *keys;
  AttentionOp::Sizes sizes = getSizes();
  AttentionLayout k = layoutOf(*this, 1), v = layoutOf(*this, 2);
  Shape key = shapeOf(getKey()), value = shapeOf(getValue());
  auto want = [&](StringRef what, const Dim &wanted, const Dim &found) -> LogicalResult {
    return wanted == found ? success() : LogicalResult(emitOpError("wants ") << what << " " << wanted.str() << ", found " << found.str());
  };
  if (failed(want("keys of depth", sizes.depth, k.sizeOf('d', key))) ||
      failed(want("as many values as keys,", sizes.keys, v.sizeOf('n', value))) ||
      failed(want("keys of batch", sizes.batch, k.sizeOf('b', key))) ||
      failed(want("values of batch", sizes.batch, v.sizeOf('b', value))) ||
      failed(want("values with key heads", sizes.keyHeads, v.sizeOf('h', value))))
    return failure();
  std::optional<int64_t> heads = sizes.heads.constant(), keyHeads = sizes.keyHeads.constant();
  if (heads && keyHeads && (*keyHeads == 0 || *heads % *keyHeads != 0))
    return emitOpError("wants the query heads to be a multiple of the key heads, found ") << *heads << " on " << *keyHeads;
  // A kernel has a name of its own for every expression: there the number of parts is one of its dims.
  Shape state = shapeOf(getState());
  bool inKernel = (*this)->getParentOfType<KernelOp>() && !state.empty();
  Shape wanted{inKernel ? state[0] : getParts(), sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth + Dim(2)};
  if (state != ArrayRef<Dim>(wanted))
    return emitOpError("wants a state [parts, batch, heads, queries, value depth + 2] = ")
           << toString(wanted) << ", found " << toString(state);
  if (elementOf(getState()) != getScoreType())
    return emitOpError("wants a state of ") << getScoreType() << ", found " << elementOf(getState());
  if (failed(verifyRegion(*this, "score", getScore(), true, getScoreType())))
    return failure();
  return verifyRegion(*this, "keep", getKeep(), false, IntegerType::get(getContext(), 1));
}

//===----------------------------------------------------------------------------===//
// Merge and finish
//===----------------------------------------------------------------------------===//

LogicalResult AttentionMergeOp::verify() {
  if (getStates().empty())
    return emitOpError("wants at least one state");
  Shape result = shapeOf(getState());
  if (result.size() != 5 || result[0] != Dim(1))
    return emitOpError("wants a state of one part, [1, batch, heads, queries, value depth + 2], found ")
           << toString(result);
  for (auto [number, state] : llvm::enumerate(getStates())) {
    Shape shape = shapeOf(state);
    if (shape.size() != 5 || ArrayRef<Dim>(shape).drop_front() != ArrayRef<Dim>(result).drop_front())
      return emitOpError("wants states that differ in their parts only, found state ")
             << number << " of " << toString(shape) << " for a result of " << toString(result);
    if (elementOf(state) != elementOf(getState()))
      return emitOpError("wants states of ") << elementOf(getState()) << ", found state " << number << " of "
                                             << elementOf(state);
  }
  return success();
}

LogicalResult AttentionFinishOp::verify() {
  Shape state = shapeOf(getState()), result = shapeOf(getResult());
  if (state.size() != 5 || state[0] != Dim(1))
    return emitOpError("wants a state of one part, [1, batch, heads, queries, value depth + 2], found ")
           << toString(state);
  if (getEmpty() != EmptyRow::Zero && getEmpty() != EmptyRow::NaN)
    return emitOpError("wants the rule zero or nan for rows without live keys, found ")
           << stringifyEmptyRow(getEmpty()) << ": a state has forgotten the dead keys";
  std::string error;
  std::optional<AttentionLayout> layout = AttentionLayout::parse(getLayout(), error);
  if (!layout)
    return emitOpError("layout of the result: ") << error;
  if (layout->roles.size() != result.size() || llvm::is_contained(layout->roles, '#'))
    return emitOpError("wants a layout that names every dimension of the result ")
           << toString(result) << ", found \"" << getLayout() << "\"";
  Dim sizes[] = {state[1], state[2], state[3], state[4] - Dim(2)};
  for (auto [role, size] : llvm::zip(StringRef("bhnd"), sizes))
    if (layout->sizeOf(role, result) != size)
      return emitOpError("wants a result with ") << size.str() << " for '" << std::string(1, role) << "', found "
                                                  << layout->sizeOf(role, result).str();
  return success();
}
