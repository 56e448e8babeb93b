//===- AttentionStateOps.cpp - text and verification of attention's states --------===//
#include "dialects/tenon/AttentionRegions.h"

using namespace mlir;
using namespace tenon;

//===----------------------------------------------------------------------------===//
// Update: text
//===----------------------------------------------------------------------------===//

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
  Type score = scoreTypeOf(type.getInput(0));
  SmallVector<Type> arguments = regionArguments(builder.getContext(), score, type.getInputs().take_back(captured));
  Region *scoreRegion = result.addRegion(), *keepRegion = result.addRegion();
  if (parseOptionalRegion(parser, "score", arguments, score, *scoreRegion))
    return failure();
  return parseOptionalRegion(parser, "keep", ArrayRef<Type>(arguments).drop_front(), builder.getI1Type(), *keepRegion);
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
  printOptionalRegion(printer, "score", getScore());
  printOptionalRegion(printer, "keep", getKeep());
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

/// Others need all scores of a row at once, which no state holds.
static LogicalResult verifyStreams(Operation *op, Normaliser normaliser) {
  if (llvm::is_contained({Normaliser::Softmax, Normaliser::Sum, Normaliser::None}, normaliser))
    return success();
  return op->emitOpError("has a state for softmax, sum and none, found ") << stringifyNormaliser(normaliser);
}

LogicalResult AttentionUpdateOp::verify() {
  if (getLayouts().size() != 3)
    return emitOpError("wants 3 layouts (query, keys, values), found ") << getLayouts().size();
  if (failed(verifyStreams(*this, getNormaliser())) ||
      failed(verifyLayout(*this, getLayout(0), "query", getQuery())) ||
      failed(verifyLayout(*this, getLayout(1), "keys", getKey())) ||
      failed(verifyLayout(*this, getLayout(2), "values", getValue())))
    return failure();
  if (std::optional<int64_t> keys = getPartsOf(); keys && *keys <= 0)
    return emitOpError("wants parts of at least one key, found ") << *keys;
  AttentionOp::Sizes sizes = getSizes();
  if (failed(verifySource(*this, sizes, layoutOf(*this, 1), getKey(), layoutOf(*this, 2), getValue())) ||
      failed(verifyHeads(*this, sizes)))
    return failure();
  // A kernel has a name of its own for every expression: there the number of parts is one of its dims.
  Shape state = shapeOf(getState());
  bool inKernel = (*this)->getParentOfType<KernelOp>() && !state.empty();
  Shape wanted{inKernel ? state[0] : getParts(), sizes.batch, sizes.heads, sizes.queries, sizes.valueDepth + Dim(2)};
  if (state != ArrayRef<Dim>(wanted))
    return emitOpError("wants a state [parts, batch, heads, queries, value depth + 2] = ")
           << toString(wanted) << ", found " << toString(state);
  if (elementOf(getState()) != getScoreType())
    return emitOpError("wants a state of ") << getScoreType() << ", found " << elementOf(getState());
  SmallVector<Type> arguments = regionArguments(getContext(), getScoreType(), getCaptures().getTypes());
  if (failed(verifyRegion(*this, "score", getScore(), arguments, getScoreType())))
    return failure();
  return verifyRegion(*this, "keep", getKeep(), ArrayRef<Type>(arguments).drop_front(),
                      IntegerType::get(getContext(), 1));
}

//===----------------------------------------------------------------------------===//
// Merge and finish
//===----------------------------------------------------------------------------===//

LogicalResult AttentionMergeOp::verify() {
  if (getStates().empty())
    return emitOpError("wants at least one state");
  if (failed(verifyStreams(*this, getNormaliser())))
    return failure();
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
  if (failed(verifyStreams(*this, getNormaliser())))
    return failure();
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
