//===- AttentionOps.cpp - text and verification of attention ---------------------===//
#include "dialects/tenon/AttentionRegions.h"

using namespace mlir;
using namespace tenon;

//===----------------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------------===//

std::optional<AttentionLayout> AttentionLayout::parse(StringRef text, std::string &error, StringRef required) {
  AttentionLayout layout;
  SmallVector<StringRef> words;
  text.split(words, ' ', -1, /*KeepEmpty=*/false);
  for (StringRef word : words) {
    int64_t index = 0;
    bool isNumber = !word.getAsInteger(10, index);
    char role = isNumber ? '#' : word[0];
    if (!isNumber &&
        (word.size() != 1 || !StringRef("bhnd").contains(role) || llvm::is_contained(layout.roles, role))) {
      error = "wanted each of b, h, n, d at most once, or numbers, found \"" + text.str() + "\"";
      return std::nullopt;
    }
    layout.roles.push_back(role);
    layout.fixed.push_back(isNumber ? index : 0);
  }
  if (!llvm::all_of(required, [&](char role) { return llvm::is_contained(layout.roles, role); })) {
    error = std::string("wanted the rows n") + (required.contains('d') ? " and the depth d" : "") + " among \"" +
            text.str() + "\"";
    return std::nullopt;
  }
  return layout;
}

Dim AttentionLayout::sizeOf(char role, ArrayRef<Dim> shape) const {
  auto it = llvm::find(roles, role);
  return it == roles.end() ? Dim(1) : shape[it - roles.begin()];
}

Dim AttentionLayout::strideOf(char role, ArrayRef<Dim> shape) const {
  auto it = llvm::find(roles, role);
  return it == roles.end() ? Dim(0) : countOf(shape.drop_front(it - roles.begin() + 1));
}

bool AttentionLayout::hasConstantRows(ArrayRef<Dim> shape) const {
  return strideOf('n', shape).isConstant() && strideOf('d', shape) == Dim(1) && sizeOf('d', shape).isConstant();
}

Dim AttentionLayout::offset(ArrayRef<Dim> shape) const {
  Dim offset(0);
  for (auto [position, index] : llvm::enumerate(fixed))
    offset += Dim(index) * countOf(shape.drop_front(position + 1));
  return offset;
}

//===----------------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------------===//

namespace {
struct Operands {
  SmallVector<OpAsmParser::UnresolvedOperand> query, keys, values, captures;
};
} // namespace

static ParseResult parseOperands(OpAsmParser &parser, Operands &operands) {
  auto delimiter = OpAsmParser::Delimiter::Paren;
  if (parser.parseOperand(operands.query.emplace_back()) || parser.parseComma() ||
      parser.parseOperandList(operands.keys, delimiter) || parser.parseComma() ||
      parser.parseOperandList(operands.values, delimiter))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("captures")))
    return parser.parseOperandList(operands.captures, delimiter);
  return success();
}

template <typename AttrType, typename Symbolize>
static ParseResult parseEnum(OpAsmParser &parser, OperationState &result, StringRef name, Symbolize symbolize) {
  StringRef word;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  auto value = symbolize(word);
  if (!value)
    return parser.emitError(loc, "unknown ") << name << " '" << word << "'";
  result.addAttribute(name, AttrType::get(parser.getContext(), *value));
  return success();
}

/// `softmax`, `topk_softmax 8`, `hard over queries`
static ParseResult parseNormaliser(OpAsmParser &parser, OperationState &result) {
  int64_t count;
  if (parseEnum<NormaliserAttr>(parser, result, "normaliser", [](StringRef word) { return symbolizeNormaliser(word); }))
    return failure();
  OptionalParseResult hasCount = parser.parseOptionalInteger(count);
  if (hasCount.has_value() && failed(*hasCount))
    return failure();
  if (hasCount.has_value())
    result.addAttribute("count", parser.getBuilder().getI64IntegerAttr(count));
  if (failed(parser.parseOptionalKeyword("over")))
    return success();
  result.addAttribute("over_queries", parser.getBuilder().getUnitAttr());
  return parser.parseKeyword("queries");
}

/// `also log_sum_exp, scores`
static ParseResult parseAlso(OpAsmParser &parser, OperationState &result) {
  if (failed(parser.parseOptionalKeyword("also")))
    return success();
  SmallVector<StringRef> names;
  do {
    if (parser.parseKeyword(&names.emplace_back()))
      return failure();
  } while (succeeded(parser.parseOptionalComma()));
  result.addAttribute("also", parser.getBuilder().getStrArrayAttr(names));
  return success();
}

void AttentionOp::build(OpBuilder &builder, OperationState &state, Type type, Value query, ValueRange keys,
                        ValueRange values, ValueRange captures, Normaliser normaliser, EmptyRow empty,
                        ArrayAttr layouts) {
  MLIRContext *context = builder.getContext();
  build(builder, state, type, TypeRange(), query, keys, values, captures, NormaliserAttr::get(context, normaliser),
        IntegerAttr(), UnitAttr(), EmptyRowAttr::get(context, empty), layouts, AttentionAlgorithmAttr(), ArrayAttr());
}

ParseResult AttentionOp::parse(OpAsmParser &parser, OperationState &result) {
  Operands operands;
  ArrayAttr layouts;
  FunctionType type;
  if (parseOperands(parser, operands) || parser.parseKeyword("normalise") || parseNormaliser(parser, result) ||
      parser.parseKeyword("empty") ||
      parseEnum<EmptyRowAttr>(parser, result, "empty", [](StringRef word) { return symbolizeEmptyRow(word); }) ||
      parser.parseKeyword("layout") || parser.parseAttribute(layouts, "layouts", result.attributes) ||
      parseAlso(parser, result))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("algorithm")) &&
      parseEnum<AttentionAlgorithmAttr>(parser, result, "algorithm",
                                        [](StringRef word) { return symbolizeAttentionAlgorithm(word); }))
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalAttrDict(result.attributes) || parser.parseColonType(type))
    return failure();
  SmallVector<OpAsmParser::UnresolvedOperand> all;
  for (auto *group : {&operands.query, &operands.keys, &operands.values, &operands.captures})
    llvm::append_range(all, *group);
  if (type.getNumInputs() != all.size() || type.getNumResults() == 0)
    return parser.emitError(loc, "wants ") << all.size() << " operand types and a result type";
  if (parser.resolveOperands(all, type.getInputs(), loc, result.operands))
    return failure();
  Builder &builder = parser.getBuilder();
  result.addAttribute(getOperandSegmentSizesAttrName(result.name),
                      builder.getDenseI32ArrayAttr({1, int32_t(operands.keys.size()), int32_t(operands.values.size()),
                                                    int32_t(operands.captures.size())}));
  result.addTypes(type.getResults());

  Type score = scoreTypeOf(type.getInput(0));
  ArrayRef<Type> captures = type.getInputs().take_back(operands.captures.size());
  SmallVector<Type> arguments = regionArguments(parser.getContext(), score, captures);
  Region *scoreRegion = result.addRegion(), *keepRegion = result.addRegion(), *weightRegion = result.addRegion();
  if (parseOptionalRegion(parser, "score", arguments, score, *scoreRegion) ||
      parseOptionalRegion(parser, "keep", ArrayRef<Type>(arguments).drop_front(), builder.getI1Type(), *keepRegion) ||
      parseOptionalRegion(parser, "weight", arguments, score, *weightRegion))
    return failure();
  return success();
}

void AttentionOp::print(OpAsmPrinter &printer) {
  printer << " " << getQuery() << ", (" << getKeys() << "), (" << getValues() << ")";
  if (!getCaptures().empty())
    printer << " captures (" << getCaptures() << ")";
  printer << " normalise " << stringifyNormaliser(getNormaliser());
  if (std::optional<int64_t> count = getCount())
    printer << " " << *count;
  if (getOverQueries())
    printer << " over queries";
  printer << " empty " << stringifyEmptyRow(getEmpty()) << " layout " << getLayouts();
  if (ArrayAttr also = getAlsoAttr()) {
    printer << " also ";
    llvm::interleaveComma(also.getAsValueRange<StringAttr>(), printer);
  }
  if (auto algorithm = getAlgorithm())
    printer << " algorithm " << stringifyAttentionAlgorithm(*algorithm);
  printer.printOptionalAttrDict((*this)->getAttrs(),
                                {"normaliser", "count", "over_queries", "empty", "layouts", "algorithm", "also",
                                 getOperandSegmentSizesAttrName()});
  printer << " : ";
  printer.printFunctionalType(*this);
  printOptionalRegion(printer, "score", getScore());
  printOptionalRegion(printer, "keep", getKeep());
  printOptionalRegion(printer, "weight", getWeight());
}

//===----------------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------------===//

Type AttentionOp::getScoreType() { return scoreTypeOf(getQuery().getType()); }

static AttentionLayout layoutOf(AttentionOp op, unsigned operand) {
  std::string error;
  return *AttentionLayout::parse(op.getLayout(operand), error);
}

AttentionOp::Sizes AttentionOp::getSizes() {
  Shape query = shapeOf(getQuery()), key = shapeOf(getKeys()[0]), value = shapeOf(getValues()[0]);
  AttentionLayout q = layoutOf(*this, 0), k = layoutOf(*this, 1), v = layoutOf(*this, 1 + getKeys().size());
  return {q.sizeOf('b', query), q.sizeOf('h', query), k.sizeOf('h', key),  q.sizeOf('n', query),
          k.sizeOf('n', key),   q.sizeOf('d', query), v.sizeOf('d', value)};
}

Dim AttentionOp::getKeysOf(unsigned source) {
  return layoutOf(*this, 1 + source).sizeOf('n', shapeOf(getKeys()[source]));
}

Dim AttentionOp::getAllKeys() {
  Dim keys(0);
  for (unsigned source = 0; source < getKeys().size(); ++source)
    keys += getKeysOf(source);
  return keys;
}

Value AttentionOp::getAlso(StringRef name) {
  if (ArrayAttr also = getAlsoAttr())
    for (auto [asked, result] : llvm::zip(also.getAsValueRange<StringAttr>(), getMore()))
      if (asked == name)
        return result;
  return {};
}

static LogicalResult verifySizes(AttentionOp op) {
  AttentionOp::Sizes sizes = op.getSizes();
  Shape result = shapeOf(op.getResult());
  AttentionLayout out = layoutOf(op, 1 + 2 * op.getKeys().size());
  if (failed(wantEqual(op, "a result of queries", sizes.queries, out.sizeOf('n', result))) ||
      failed(wantEqual(op, "a result of heads", sizes.heads, out.sizeOf('h', result))) ||
      failed(wantEqual(op, "a result of batch", sizes.batch, out.sizeOf('b', result))) ||
      failed(wantEqual(op, "a result of depth", sizes.valueDepth, out.sizeOf('d', result))))
    return failure();
  unsigned sources = op.getKeys().size();
  for (unsigned s = 0; s < sources; ++s) {
    if (failed(verifySource(op, sizes, layoutOf(op, 1 + s), op.getKeys()[s], layoutOf(op, 1 + sources + s),
                            op.getValues()[s])))
      return failure();
  }
  return verifyHeads(op, sizes);
}

/// The number behind the normaliser, the axis, and the rule for what is empty along it.
static LogicalResult verifyNormaliser(AttentionOp op) {
  StringRef name = stringifyNormaliser(op.getNormaliser());
  bool counts = llvm::is_contained({Normaliser::TopKSoftmax, Normaliser::Sinkhorn}, op.getNormaliser());
  std::optional<uint64_t> count = op.getCount();
  if (counts != count.has_value() || (counts && int64_t(*count) < 1))
    return op.emitOpError("wants ") << (counts ? "a positive number" : "no number") << " behind " << name << ", found "
                                    << (count ? std::to_string(int64_t(*count)) : "none");
  if (!op.getOverQueries())
    return success();
  if (!llvm::is_contained({Normaliser::Softmax, Normaliser::Sum, Normaliser::Hard}, op.getNormaliser()))
    return op.emitOpError("normalises by softmax, sum or hard over queries, found ") << name;
  if (op.getEmpty() != EmptyRow::Zero)
    return op.emitOpError("gives zero for keys without live queries, found empty ") << stringifyEmptyRow(op.getEmpty());
  return success();
}

static LogicalResult verifyAlso(AttentionOp op) {
  ArrayAttr also = op.getAlsoAttr();
  size_t count = also ? also.size() : 0;
  if (count != op.getMore().size())
    return op.emitOpError("has ") << 1 + op.getMore().size() << " results, wanted one and " << count << " by also";
  AttentionOp::Sizes sizes = op.getSizes();
  for (auto [number, name] : llvm::enumerate(also ? also.getValue() : ArrayRef<Attribute>())) {
    StringRef text = cast<StringAttr>(name).getValue();
    Shape wanted{sizes.batch, sizes.heads, sizes.queries};
    if (text == "scores")
      wanted.push_back(op.getAllKeys());
    else if (text != "log_sum_exp")
      return op.emitOpError("wants log_sum_exp or scores behind also, found ") << text;
    else if (op.getNormaliser() != Normaliser::Softmax || op.getOverQueries())
      return op.emitOpError("has a log_sum_exp only with softmax over keys");
    if (op.getMore()[number].getType() != tensorOf(op.getScoreType(), wanted))
      return op.emitOpError("wants ") << text << " as " << tensorOf(op.getScoreType(), wanted) << ", found "
                                      << op.getMore()[number].getType();
  }
  return success();
}

LogicalResult AttentionOp::verify() {
  unsigned sources = getKeys().size();
  if (sources == 0 || getValues().size() != sources)
    return emitOpError("wants one value tensor for each key tensor, found ")
           << sources << " keys and " << getValues().size() << " values";
  if (getLayouts().size() != 2 + 2 * sources)
    return emitOpError("wants ") << 2 + 2 * sources << " layouts (query, keys, values, result), found "
                                 << getLayouts().size();
  if (failed(verifyLayout(*this, getLayout(0), "query", getQuery())) ||
      failed(verifyLayout(*this, getLayout(1 + 2 * sources), "result", getResult())))
    return failure();
  for (unsigned s = 0; s < sources; ++s)
    if (failed(verifyLayout(*this, getLayout(1 + s), "keys", getKeys()[s])) ||
        failed(verifyLayout(*this, getLayout(1 + sources + s), "values", getValues()[s])))
      return failure();
  if (failed(verifySizes(*this)) || failed(verifyNormaliser(*this)) || failed(verifyAlso(*this)))
    return failure();
  SmallVector<Type> arguments = regionArguments(getContext(), getScoreType(), getCaptures().getTypes());
  if (failed(verifyRegion(*this, "score", getScore(), arguments, getScoreType())) ||
      failed(verifyRegion(*this, "keep", getKeep(), ArrayRef<Type>(arguments).drop_front(),
                          IntegerType::get(getContext(), 1))))
    return failure();
  return verifyRegion(*this, "weight", getWeight(), arguments, getScoreType());
}
