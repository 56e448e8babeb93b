//===- InfixParser.cpp - a region written as one arithmetic expression --------------===//
#include "dialects/tenon/InfixParser.h"
#include "dialects/tenon/Tenon.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace tenon {
namespace {

class InfixParser {
public:
  InfixParser(OpAsmParser &parser, OpBuilder &builder, Type yielded) : parser(parser), builder(builder) {
    number = yielded.isF64() ? yielded : Type(builder.getF32Type());
  }

  void name(StringRef ssaName, Value value) { names[ssaName] = value; }

  ParseResult expression(Value &result) { return disjunction(result); }

  /// A value as another scalar type; null after an error if that is no conversion of numbers.
  Value converted(Value value, Type wanted, SMLoc loc);

private:
  using Rule = ParseResult (InfixParser::*)(Value &);

  /// operand (word operand)*, both of type i1.
  ParseResult joined(Value &result, StringRef word, Rule operand, function_ref<Value(Value, Value)> join);
  ParseResult disjunction(Value &result);
  ParseResult conjunction(Value &result);
  ParseResult negation(Value &result);
  ParseResult comparison(Value &result);
  ParseResult sum(Value &result);
  ParseResult product(Value &result);
  ParseResult signedAtom(Value &result);
  ParseResult atom(Value &result);
  ParseResult named(Value &result);
  ParseResult element(Value &result, Value tensor, SMLoc loc);
  ParseResult literal(Value &result);
  ParseResult letting(Value &result);
  ParseResult size(Value &result, SMLoc loc);
  ParseResult call(Value &result, StringRef function, SMLoc loc);
  ParseResult arguments(SmallVectorImpl<Value> &results, AsmParser::Delimiter delimiter);

  bool isFloat(Value value) const { return isa<FloatType>(value.getType()); }
  /// Two numbers as one type: index if both are integers, else the wider float.
  ParseResult matched(Value &a, Value &b, SMLoc loc);

  // Each of these replaces the first operand by its result.
  using Apply = ParseResult (InfixParser::*)(MutableArrayRef<Value> operands, SMLoc loc);
  struct Function {
    StringRef name;
    size_t arity;
    Apply apply;
  };
  static ArrayRef<Function> functions();
  /// The float or the integer form, on matched operands.
  template <typename FloatOp, typename IntegerOp> ParseResult binary(MutableArrayRef<Value> operands, SMLoc loc) {
    if (matched(operands[0], operands[1], loc))
      return failure();
    auto form = [&]<typename Op>(Op *) { return Op::create(builder, at(loc), operands[0], operands[1]).getResult(); };
    operands[0] = isFloat(operands[0]) ? form((FloatOp *)nullptr) : form((IntegerOp *)nullptr);
    return success();
  }
  template <typename Op> ParseResult unary(MutableArrayRef<Value> operands, SMLoc loc) {
    if (!isFloat(operands[0]) && !(operands[0] = converted(operands[0], number, loc)))
      return failure();
    operands[0] = Op::create(builder, at(loc), operands[0]).getResult();
    return success();
  }
  ParseResult absolute(MutableArrayRef<Value> operands, SMLoc loc) {
    if (isFloat(operands[0]))
      return unary<math::AbsFOp>(operands, loc);
    Value zero = index(0, loc), value = operands[0];
    SmallVector<Value> negated{zero, value};
    if (binary<arith::SubFOp, arith::SubIOp>(negated, loc))
      return failure();
    operands[0] = arith::MaxSIOp::create(builder, at(loc), negated[0], converted(value, zero.getType(), loc));
    return success();
  }
  /// A float without its fraction, as an index.
  ParseResult truncation(MutableArrayRef<Value> operands, SMLoc loc) {
    if (isFloat(operands[0]))
      operands[0] = arith::FPToSIOp::create(builder, at(loc), builder.getI64Type(), operands[0]);
    operands[0] = converted(operands[0], builder.getIndexType(), loc);
    return success(bool(operands[0]));
  }
  /// A function of two floats; integers become floats.
  template <typename Op> ParseResult floats(MutableArrayRef<Value> operands, SMLoc loc) {
    for (Value &operand : operands)
      if (!isFloat(operand) && !(operand = converted(operand, number, loc)))
        return failure();
    if (matched(operands[0], operands[1], loc))
      return failure();
    operands[0] = Op::create(builder, at(loc), operands[0], operands[1]).getResult();
    return success();
  }
  ParseResult select(MutableArrayRef<Value> operands, SMLoc loc);
  ParseResult modulo(MutableArrayRef<Value> operands, SMLoc loc);

  Location at(SMLoc loc) { return parser.getEncodedSourceLoc(loc); }
  Value index(int64_t value, SMLoc loc) { return arith::ConstantIndexOp::create(builder, at(loc), value); }

  OpAsmParser &parser;
  OpBuilder &builder;
  Type number; ///< What literals and converted integers are.
  llvm::StringMap<Value> names;
};

//===--------------------------------------------------------------------------===//
// Types
//===--------------------------------------------------------------------------===//

Value InfixParser::converted(Value value, Type wanted, SMLoc loc) {
  Type found = value.getType();
  if (found == wanted)
    return value;
  auto isNumber = [](Type type) { return type.isIndex() || isa<IntegerType, FloatType>(type); };
  if (!isNumber(found) || !isNumber(wanted) || found.isInteger(1) != wanted.isInteger(1)) {
    parser.emitError(loc) << "wanted " << wanted << ", found " << found;
    return Value();
  }
  if (auto constant = value.getDefiningOp<arith::ConstantIndexOp>(); constant && isa<FloatType>(wanted))
    return arith::ConstantOp::create(builder, at(loc), builder.getFloatAttr(wanted, double(constant.value())));
  if (isa<FloatType>(found) && isa<FloatType>(wanted))
    return found.getIntOrFloatBitWidth() < wanted.getIntOrFloatBitWidth()
               ? arith::ExtFOp::create(builder, at(loc), wanted, value).getResult()
               : arith::TruncFOp::create(builder, at(loc), wanted, value).getResult();
  if (isa<FloatType>(wanted)) {
    Value integer = found.isIndex() ? arith::IndexCastOp::create(builder, at(loc), builder.getI64Type(), value) : value;
    return arith::SIToFPOp::create(builder, at(loc), wanted, integer);
  }
  if (isa<FloatType>(found)) {
    parser.emitError(loc) << "wanted " << wanted << ", found " << found;
    return Value();
  }
  if (found.isIndex() || wanted.isIndex())
    return arith::IndexCastOp::create(builder, at(loc), wanted, value);
  Value wide = arith::IndexCastOp::create(builder, at(loc), builder.getIndexType(), value);
  return arith::IndexCastOp::create(builder, at(loc), wanted, wide);
}

ParseResult InfixParser::matched(Value &a, Value &b, SMLoc loc) {
  Type type = builder.getIndexType();
  for (Value value : {a, b})
    if (isFloat(value) &&
        (!isa<FloatType>(type) || type.getIntOrFloatBitWidth() < value.getType().getIntOrFloatBitWidth()))
      type = value.getType();
  if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() < number.getIntOrFloatBitWidth())
    type = number;
  a = converted(a, type, loc);
  b = a ? converted(b, type, loc) : Value();
  return success(bool(b));
}

//===--------------------------------------------------------------------------===//
// Operators, weakest first
//===--------------------------------------------------------------------------===//

ParseResult InfixParser::joined(Value &result, StringRef word, Rule operand, function_ref<Value(Value, Value)> join) {
  if ((this->*operand)(result))
    return failure();
  while (true) {
    SMLoc loc = parser.getCurrentLocation();
    if (failed(parser.parseOptionalKeyword(word)))
      return success();
    Value right;
    if ((this->*operand)(right))
      return failure();
    for (Value value : {result, right})
      if (!value.getType().isInteger(1))
        return parser.emitError(loc) << "'" << word << "' joins conditions, found " << value.getType();
    result = join(result, right);
  }
}

ParseResult InfixParser::disjunction(Value &result) {
  return joined(result, "or", &InfixParser::conjunction, [&](Value a, Value b) -> Value {
    return arith::OrIOp::create(builder, a.getLoc(), a, b);
  });
}

ParseResult InfixParser::conjunction(Value &result) {
  return joined(result, "and", &InfixParser::negation, [&](Value a, Value b) -> Value {
    return arith::AndIOp::create(builder, a.getLoc(), a, b);
  });
}

ParseResult InfixParser::negation(Value &result) {
  SMLoc loc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalKeyword("not")))
    return comparison(result);
  if (negation(result))
    return failure();
  if (!result.getType().isInteger(1))
    return parser.emitError(loc) << "'not' takes a condition, found " << result.getType();
  Value one = arith::ConstantOp::create(builder, at(loc), builder.getBoolAttr(true));
  result = arith::XOrIOp::create(builder, at(loc), result, one);
  return success();
}

ParseResult InfixParser::comparison(Value &result) {
  if (sum(result))
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  bool less = succeeded(parser.parseOptionalLess()), greater = !less && succeeded(parser.parseOptionalGreater());
  bool equal = succeeded(parser.parseOptionalEqual());
  if (!less && !greater && !equal)
    return success();
  if (!less && !greater && parser.parseEqual())
    return failure();
  Value right;
  if (sum(right) || matched(result, right, loc))
    return failure();
  using arith::CmpFPredicate, arith::CmpIPredicate;
  CmpFPredicate ordered = less ? (equal ? CmpFPredicate::OLE : CmpFPredicate::OLT)
                          : greater ? (equal ? CmpFPredicate::OGE : CmpFPredicate::OGT)
                                    : CmpFPredicate::OEQ;
  CmpIPredicate exact = less ? (equal ? CmpIPredicate::sle : CmpIPredicate::slt)
                        : greater ? (equal ? CmpIPredicate::sge : CmpIPredicate::sgt)
                                  : CmpIPredicate::eq;
  result = isFloat(result) ? arith::CmpFOp::create(builder, at(loc), ordered, result, right).getResult()
                           : arith::CmpIOp::create(builder, at(loc), exact, result, right).getResult();
  return success();
}

ParseResult InfixParser::sum(Value &result) {
  if (product(result))
    return failure();
  while (true) {
    SMLoc loc = parser.getCurrentLocation();
    bool plus = succeeded(parser.parseOptionalPlus());
    if (!plus && failed(parser.parseOptionalMinus()))
      return success();
    Value sides[] = {result, Value()};
    if (product(sides[1]) || (plus ? binary<arith::AddFOp, arith::AddIOp>(sides, loc)
                                   : binary<arith::SubFOp, arith::SubIOp>(sides, loc)))
      return failure();
    result = sides[0];
  }
}

ParseResult InfixParser::product(Value &result) {
  if (signedAtom(result))
    return failure();
  while (true) {
    SMLoc loc = parser.getCurrentLocation();
    bool times = succeeded(parser.parseOptionalStar());
    if (!times && failed(parser.parseOptionalSlash()))
      return success();
    Value sides[] = {result, Value()};
    if (signedAtom(sides[1]) || (times ? binary<arith::MulFOp, arith::MulIOp>(sides, loc)
                                       : binary<arith::DivFOp, arith::FloorDivSIOp>(sides, loc)))
      return failure();
    result = sides[0];
  }
}

ParseResult InfixParser::signedAtom(Value &result) {
  SMLoc loc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalMinus()))
    return atom(result);
  Value value;
  if (signedAtom(value))
    return failure();
  if (FloatAttr constant; matchPattern(value, m_Constant(&constant))) {
    result = arith::ConstantOp::create(builder, at(loc), builder.getFloatAttr(value.getType(), -constant.getValue()));
    return success();
  }
  if (isFloat(value)) {
    result = arith::NegFOp::create(builder, at(loc), value);
    return success();
  }
  Value sides[] = {index(0, loc), value};
  if (binary<arith::SubFOp, arith::SubIOp>(sides, loc))
    return failure();
  result = sides[0];
  return success();
}

//===--------------------------------------------------------------------------===//
// Atoms
//===--------------------------------------------------------------------------===//

ParseResult InfixParser::atom(Value &result) {
  if (succeeded(parser.parseOptionalLParen()))
    return failure(expression(result) || parser.parseRParen());
  SMLoc loc = parser.getCurrentLocation();
  StringRef word;
  if (failed(parser.parseOptionalKeyword(&word)))
    return named(result);
  if (word == "let")
    return letting(result);
  if (word == "size")
    return size(result, loc);
  if (word == "true" || word == "false") {
    result = arith::ConstantOp::create(builder, at(loc), builder.getBoolAttr(word == "true"));
    return success();
  }
  return call(result, word, loc);
}

ParseResult InfixParser::named(Value &result) {
  OpAsmParser::UnresolvedOperand operand;
  OptionalParseResult parsed = parser.parseOptionalOperand(operand);
  if (!parsed.has_value())
    return literal(result);
  if (failed(*parsed))
    return failure();
  auto found = names.find(operand.name);
  if (found == names.end())
    return parser.emitError(operand.location) << operand.name << " is no argument of this region";
  if (isa<RankedTensorType>(found->second.getType()))
    return element(result, found->second, operand.location);
  result = found->second;
  return success();
}

ParseResult InfixParser::element(Value &result, Value tensor, SMLoc loc) {
  SmallVector<Value> indices;
  if (arguments(indices, AsmParser::Delimiter::OptionalSquare))
    return failure();
  int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  if (int64_t(indices.size()) != rank)
    return parser.emitError(loc) << "an element of " << tensor.getType() << " takes " << rank << " indices, found "
                                 << indices.size();
  for (Value &position : indices)
    if (!(position = converted(position, builder.getIndexType(), loc)))
      return failure();
  result = LoadOp::create(builder, at(loc), tensor, indices);
  return success();
}

ParseResult InfixParser::literal(Value &result) {
  SMLoc loc = parser.getCurrentLocation();
  int64_t integer;
  OptionalParseResult parsed = parser.parseOptionalInteger(integer);
  if (parsed.has_value()) {
    result = failed(*parsed) ? Value() : index(integer, loc);
    return *parsed;
  }
  double value;
  if (failed(parser.parseFloat(value)))
    return failure();
  result = arith::ConstantOp::create(builder, at(loc), builder.getFloatAttr(number, value));
  return success();
}

/// let %n = value in expression
ParseResult InfixParser::letting(Value &result) {
  OpAsmParser::UnresolvedOperand operand;
  Value value;
  if (parser.parseOperand(operand) || parser.parseEqual() || expression(value) || parser.parseKeyword("in"))
    return failure();
  if (!names.try_emplace(operand.name, value).second)
    return parser.emitError(operand.location) << operand.name << " has a value already";
  return expression(result);
}

/// size(N), of a symbol
ParseResult InfixParser::size(Value &result, SMLoc loc) {
  std::string symbol;
  if (parser.parseLParen() || parser.parseKeywordOrString(&symbol) || parser.parseRParen())
    return failure();
  result = SizeOp::create(builder, at(loc), DimAttr::get(builder.getContext(), Dim::symbol(symbol)));
  return success();
}

ParseResult InfixParser::arguments(SmallVectorImpl<Value> &results, AsmParser::Delimiter delimiter) {
  return parser.parseCommaSeparatedList(delimiter, [&] { return expression(results.emplace_back()); });
}

ParseResult InfixParser::call(Value &result, StringRef name, SMLoc loc) {
  const Function *function = llvm::find_if(functions(), [&](const Function &f) { return f.name == name; });
  if (function == functions().end()) {
    InFlightDiagnostic error = parser.emitError(loc) << "unknown function '" << name << "', wanted ";
    for (const Function &known : functions())
      error << known.name << ", ";
    return error << "or `let %n = … in …`";
  }
  SmallVector<Value> operands;
  if (arguments(operands, AsmParser::Delimiter::Paren))
    return failure();
  if (operands.size() != function->arity)
    return parser.emitError(loc) << name << " takes " << function->arity << " values, found " << operands.size();
  if ((this->*function->apply)(operands, loc))
    return failure();
  result = operands[0];
  return success();
}

ParseResult InfixParser::select(MutableArrayRef<Value> operands, SMLoc loc) {
  if (!operands[0].getType().isInteger(1))
    return parser.emitError(loc) << "select wants a condition first, found " << operands[0].getType();
  if (matched(operands[1], operands[2], loc))
    return failure();
  operands[0] = arith::SelectOp::create(builder, at(loc), operands[0], operands[1], operands[2]);
  return success();
}

/// a - floor(a / b) · b, of integers.
ParseResult InfixParser::modulo(MutableArrayRef<Value> operands, SMLoc loc) {
  if (matched(operands[0], operands[1], loc))
    return failure();
  if (isFloat(operands[0]))
    return parser.emitError(loc) << "mod takes integers, found " << operands[0].getType();
  Value whole = arith::FloorDivSIOp::create(builder, at(loc), operands[0], operands[1]);
  whole = arith::MulIOp::create(builder, at(loc), whole, operands[1]);
  operands[0] = arith::SubIOp::create(builder, at(loc), operands[0], whole);
  return success();
}


ArrayRef<InfixParser::Function> InfixParser::functions() {
  static const Function table[] = {
      {"exp", 1, &InfixParser::unary<math::ExpOp>},
      {"log", 1, &InfixParser::unary<math::LogOp>},
      {"sqrt", 1, &InfixParser::unary<math::SqrtOp>},
      {"rsqrt", 1, &InfixParser::unary<math::RsqrtOp>},
      {"tanh", 1, &InfixParser::unary<math::TanhOp>},
      {"erf", 1, &InfixParser::unary<math::ErfOp>},
      {"sin", 1, &InfixParser::unary<math::SinOp>},
      {"cos", 1, &InfixParser::unary<math::CosOp>},
      {"floor", 1, &InfixParser::unary<math::FloorOp>},
      {"ceil", 1, &InfixParser::unary<math::CeilOp>},
      {"abs", 1, &InfixParser::absolute},
      {"int", 1, &InfixParser::truncation},
      {"max", 2, &InfixParser::binary<arith::MaximumFOp, arith::MaxSIOp>},
      {"min", 2, &InfixParser::binary<arith::MinimumFOp, arith::MinSIOp>},
      {"pow", 2, &InfixParser::floats<math::PowFOp>},
      {"atan2", 2, &InfixParser::floats<math::Atan2Op>},
      {"mod", 2, &InfixParser::modulo},
      {"select", 3, &InfixParser::select},
  };
  return table;
}

} // namespace

ParseResult parseInfixRegion(OpAsmParser &parser, ArrayRef<OpAsmParser::Argument> arguments, Type yielded,
                             Region &region) {
  OpBuilder builder(parser.getContext());
  Block *block = builder.createBlock(&region);
  InfixParser infix(parser, builder, yielded);
  for (const OpAsmParser::Argument &argument : arguments) {
    Location loc = parser.getEncodedSourceLoc(argument.ssaName.location);
    infix.name(argument.ssaName.name, block->addArgument(argument.type, loc));
  }
  SMLoc loc = parser.getCurrentLocation();
  Value value;
  if (infix.expression(value) || !(value = infix.converted(value, yielded, loc)))
    return failure();
  YieldOp::create(builder, parser.getEncodedSourceLoc(loc), value);
  return success();
}

ParseResult parseElementRegion(OpAsmParser &parser, ArrayRef<OpAsmParser::Argument> arguments, Type yielded,
                               Region &region) {
  if (succeeded(parser.parseOptionalEqual()))
    return parseInfixRegion(parser, arguments, yielded, region);
  return parser.parseRegion(region, arguments);
}

} // namespace tenon
