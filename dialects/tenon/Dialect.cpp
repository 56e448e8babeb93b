//===- Dialect.cpp - registration, and the text of attributes --------------------===//
#include "dialects/tenon/Tenon.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;

#include "dialects/tenon/Dialect.cpp.inc"
#include "dialects/tenon/Enums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tenon/Attributes.cpp.inc"

// The directives of the ops' assembly formats.
static ParseResult parseDimExpr(OpAsmParser &parser, tenon::DimAttr &dim) { return parser.parseAttribute(dim); }
static void printDimExpr(OpAsmPrinter &printer, Operation *, tenon::DimAttr dim) { printer.printAttribute(dim); }
static ParseResult parseDimList(OpAsmParser &parser, tenon::DimsAttr &dims) { return parser.parseAttribute(dims); }
static void printDimList(OpAsmPrinter &printer, Operation *, tenon::DimsAttr dims) { printer.printAttribute(dims); }

#define GET_OP_CLASSES
#include "dialects/tenon/Ops.cpp.inc"

namespace tenon {

void TenonDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/tenon/Ops.cpp.inc"
      >();
}

void TenonDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/tenon/Attributes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------------===//
// #tenon.dims<[...]> and #tenon.dim<...>
//===----------------------------------------------------------------------------===//

static FailureOr<Dim> parseDim(StringRef text, DialectAsmParser &parser) {
  std::string error;
  std::optional<Dim> dim = Dim::parse(std::string_view(text.data(), text.size()), &error);
  if (!dim || !dim->isValid())
    return parser.emitError(parser.getNameLoc(), "in dim expression '") << text.trim() << "': " << error;
  return *dim;
}

/// Splits at the commas outside parentheses and quotes.
static SmallVector<StringRef> splitDims(StringRef list) {
  SmallVector<StringRef> parts;
  size_t begin = 0, depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < list.size(); ++i) {
    char c = list[i];
    if (quoted && c == '\\')
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && c == '(')
      ++depth;
    else if (!quoted && c == ')')
      --depth;
    else if (!quoted && c == ',' && depth == 0) {
      parts.push_back(list.slice(begin, i));
      begin = i + 1;
    }
  }
  if (!list.trim().empty())
    parts.push_back(list.substr(begin));
  return parts;
}

static Attribute parseDims(StringRef body, DialectAsmParser &parser) {
  body = body.trim();
  if (!body.consume_front("[") || !body.consume_back("]")) {
    parser.emitError(parser.getNameLoc(), "wanted #tenon.dims<[expression, ...]>, found '") << body << "'";
    return {};
  }
  Shape dims;
  for (StringRef part : splitDims(body)) {
    FailureOr<Dim> dim = parseDim(part, parser);
    if (failed(dim))
      return {};
    dims.push_back(*dim);
  }
  return DimsAttr::get(parser.getContext(), dims);
}

Attribute TenonDialect::parseAttribute(DialectAsmParser &parser, Type type) const {
  StringRef text = parser.getFullSymbolSpec();
  if (text.consume_front("dims<") && text.consume_back(">"))
    return parseDims(text, parser);
  if (text.consume_front("dim<") && text.consume_back(">")) {
    FailureOr<Dim> dim = parseDim(text, parser);
    return succeeded(dim) ? Attribute(DimAttr::get(getContext(), *dim)) : Attribute();
  }
  StringRef mnemonic;
  Attribute attribute;
  if (generatedAttributeParser(parser, &mnemonic, type, attribute).has_value())
    return attribute;
  parser.emitError(parser.getNameLoc(), "unknown tenon attribute '") << mnemonic << "'";
  return {};
}

void TenonDialect::printAttribute(Attribute attribute, DialectAsmPrinter &printer) const {
  if (auto dims = dyn_cast<DimsAttr>(attribute))
    printer << "dims<" << toString(dims.getDims()) << ">";
  else if (auto dim = dyn_cast<DimAttr>(attribute))
    printer << "dim<" << dim.getValue().str() << ">";
  else
    (void)generatedAttributePrinter(attribute, printer);
}

LogicalResult DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                       function_ref<InFlightDiagnostic()> emitError) const {
  ArrayRef<Dim> dims = getDims();
  if (dims.size() != shape.size())
    return emitError() << "the type has " << shape.size() << " dimensions, its dims " << toString(dims) << " are "
                       << dims.size();
  for (auto [index, size, dim] : llvm::enumerate(shape, dims)) {
    std::optional<int64_t> constant = dim.constant();
    if (ShapedType::isDynamic(size) ? !constant : constant == size)
      continue;
    InFlightDiagnostic diagnostic = emitError();
    diagnostic << "dimension " << index << " is ";
    if (ShapedType::isDynamic(size))
      return diagnostic << "dynamic, its dim expression is the constant " << dim.str();
    return diagnostic << size << ", its dim expression is " << dim.str();
  }
  return success();
}

//===----------------------------------------------------------------------------===//
// #tenon.random and #tenon.recipe
//===----------------------------------------------------------------------------===//

Attribute RandomAttr::parse(AsmParser &parser, Type) {
  uint64_t seed = 0;
  double scale = 0;
  if (parser.parseLess() || parser.parseInteger(seed) || parser.parseComma() || parser.parseFloat(scale) ||
      parser.parseGreater())
    return {};
  return RandomAttr::get(parser.getContext(), seed, parser.getBuilder().getF64FloatAttr(scale));
}

void RandomAttr::print(AsmPrinter &printer) const {
  printer << "<" << getSeed() << ", ";
  printer.printFloat(getScale().getValue());
  printer << ">";
}

Attribute RecipeAttr::parse(AsmParser &parser, Type) {
  std::string kind;
  SmallVector<FlatSymbolRefAttr> inputs;
  NamedAttrList params;
  auto parseInput = [&] {
    FlatSymbolRefAttr input;
    if (parser.parseAttribute(input))
      return failure();
    inputs.push_back(input);
    return success();
  };
  if (parser.parseLess() || parser.parseKeywordOrString(&kind) ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseInput) ||
      parser.parseOptionalAttrDict(params) || parser.parseGreater())
    return {};
  return RecipeAttr::get(parser.getContext(), kind, inputs, params.getDictionary(parser.getContext()));
}

void RecipeAttr::print(AsmPrinter &printer) const {
  printer << "<" << getKind() << " [";
  llvm::interleaveComma(getInputs(), printer);
  printer << "]";
  if (!getParams().empty())
    printer << " " << getParams();
  printer << ">";
}

} // namespace tenon
