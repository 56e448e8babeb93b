//===- AttentionRegions.cpp - what attention and its states share -----------------===//
#include "dialects/tenon/AttentionRegions.h"
#include "dialects/tenon/InfixParser.h"

using namespace mlir;
using namespace tenon;

Type tenon::scoreTypeOf(Type queryType) {
  Type element = cast<RankedTensorType>(queryType).getElementType();
  return element.isF64() ? element : Float32Type::get(element.getContext());
}

SmallVector<Type> tenon::regionArguments(MLIRContext *context, Type score, TypeRange captures) {
  SmallVector<Type> arguments;
  if (score)
    arguments.push_back(score);
  arguments.append(4, IndexType::get(context));
  llvm::append_range(arguments, captures);
  return arguments;
}

Block *tenon::addRegionBlock(OpBuilder &builder, Region &region, Type score, ValueRange captures, Location loc) {
  Block *block = builder.createBlock(&region);
  for (Type type : regionArguments(builder.getContext(), score, captures.getTypes()))
    block->addArgument(type, loc);
  return block;
}

//===----------------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------------===//

ParseResult tenon::parseOptionalRegion(OpAsmParser &parser, StringRef keyword, ArrayRef<Type> types, Type yielded,
                                       Region &region) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  SmallVector<OpAsmParser::Argument> arguments;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren))
    return failure();
  if (arguments.size() != types.size()) {
    unsigned scalars = llvm::count_if(types, [](Type type) { return !isa<ShapedType>(type); });
    return parser.emitError(loc) << keyword << " takes " << scalars << " scalars and " << types.size() - scalars
                                 << " captured tensors, found " << arguments.size() << " arguments";
  }
  for (auto [argument, type] : llvm::zip(arguments, types))
    argument.type = type;
  return parseElementRegion(parser, arguments, yielded, region);
}

void tenon::printOptionalRegion(OpAsmPrinter &printer, StringRef keyword, Region &region) {
  if (region.empty())
    return;
  printer << " " << keyword << " (";
  llvm::interleaveComma(region.getArguments(), printer);
  printer << ") ";
  printer.printRegion(region, /*printEntryBlockArgs=*/false);
}

//===----------------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------------===//

LogicalResult tenon::verifyLayout(Operation *op, StringRef text, StringRef what, Value tensor, StringRef required) {
  std::string error;
  std::optional<AttentionLayout> layout = AttentionLayout::parse(text, error, required);
  if (!layout)
    return op->emitOpError("layout of the ") << what << ": " << error;
  Shape shape = shapeOf(tensor);
  if (layout->roles.size() != shape.size())
    return op->emitOpError("layout \"") << text << "\" of the " << what << " names " << layout->roles.size()
                                        << " dimensions, the tensor is " << toString(shape);
  for (auto [role, index, dim] : llvm::zip(layout->roles, layout->fixed, shape))
    if (role == '#' && dim.constant() && index >= *dim.constant())
      return op->emitOpError("layout of the ") << what << " selects slice " << index << " of a dimension of "
                                               << dim.str();
  return success();
}

LogicalResult tenon::wantEqual(Operation *op, StringRef what, const Dim &wanted, const Dim &found) {
  if (wanted == found)
    return success();
  return op->emitOpError("wants ") << what << " " << wanted.str() << ", found " << found.str();
}

LogicalResult tenon::verifyHeads(Operation *op, const AttentionOp::Sizes &sizes) {
  std::optional<int64_t> heads = sizes.heads.constant(), keyHeads = sizes.keyHeads.constant();
  if (heads && keyHeads && (*keyHeads == 0 || *heads % *keyHeads != 0))
    return op->emitOpError("wants the query heads to be a multiple of the key heads, found ")
           << *heads << " on " << *keyHeads;
  return success();
}

LogicalResult tenon::verifySource(Operation *op, const AttentionOp::Sizes &sizes, const AttentionLayout &k, Value key,
                                  const AttentionLayout &v, Value value) {
  Shape keys = shapeOf(key), values = shapeOf(value);
  return success(succeeded(wantEqual(op, "keys of depth", sizes.depth, k.sizeOf('d', keys))) &&
                 succeeded(wantEqual(op, "as many values as keys,", k.sizeOf('n', keys), v.sizeOf('n', values))) &&
                 succeeded(wantEqual(op, "keys of batch", sizes.batch, k.sizeOf('b', keys))) &&
                 succeeded(wantEqual(op, "values of batch", sizes.batch, v.sizeOf('b', values))) &&
                 succeeded(wantEqual(op, "values with key heads", k.sizeOf('h', keys), v.sizeOf('h', values))));
}

LogicalResult tenon::verifyRegion(Operation *op, StringRef name, Region &region, ArrayRef<Type> arguments,
                                  Type yielded) {
  if (region.empty())
    return success();
  if (!region.hasOneBlock() || !llvm::equal(region.getArgumentTypes(), arguments))
    return op->emitOpError("region ") << name << " wants the arguments " << TypeRange(arguments) << ", found "
                                      << region.getArgumentTypes();
  for (Operation &inner : region.front())
    if (!isMemoryEffectFree(&inner))
      return inner.emitOpError("has side effects: region ") << name << " of attention is pure arithmetic";
  auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
  if (!yield || yield.getNumOperands() != 1 || yield.getOperand(0).getType() != yielded)
    return op->emitOpError("wants region ") << name << " to yield one " << yielded;
  return success();
}
