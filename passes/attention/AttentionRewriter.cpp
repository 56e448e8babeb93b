//===- AttentionRewriter.cpp - an attention as contractions and maps --------------------===//
#include "passes/attention/AttentionRewriter.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {

AttentionRewriter::AttentionRewriter(AttentionOp op)
    : op(op), builder(op), loc(op.getLoc()), sizes(op.getSizes()), type(op.getScoreType()) {}

//===----------------------------------------------------------------------------===//
// Operands under words
//===----------------------------------------------------------------------------===//

Worded AttentionRewriter::query() {
  Worded query = operand(op.getQuery(), op.getLayout(0), "i");
  splitHeads(query);
  return query;
}

Worded AttentionRewriter::key() { return withKeyHeads(sourcesOf(op.getKeys(), 1)); }
Worded AttentionRewriter::value() { return withKeyHeads(sourcesOf(op.getValues(), 1 + op.getKeys().size())); }

/// The keys or the values of all sources, one after another; `first` is the layout of the first.
Worded AttentionRewriter::sourcesOf(ValueRange tensors, unsigned first) {
  if (tensors.size() == 1)
    return operand(tensors[0], op.getLayout(first), "j");
  Value joined;
  for (auto [source, tensor] : llvm::enumerate(tensors)) {
    Value rows = keysFirst(tensor, op.getLayout(first + source));
    if (!joined) {
      joined = rows;
      continue;
    }
    Shape shape = shapeOf(joined);
    shape[0] += shapeOf(rows)[0];
    joined = AppendOp::create(builder, loc, tensorOf(type, shape), rows, joined);
  }
  return {joined, {"j", "b", "h", "d"}};
}

/// The tensor as `n b h d`, in the score's type.
Value AttentionRewriter::keysFirst(Value tensor, StringRef text) {
  std::string error;
  AttentionLayout layout = *AttentionLayout::parse(text, error);
  Shape shape =
      llvm::map_to_vector<4>(StringRef("nbhd"), [&](char role) { return layout.sizeOf(role, shapeOf(tensor)); });
  return map(type, shape, tensor, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
    SmallVector<Value> indices;
    for (auto [role, position] : llvm::zip(layout.roles, layout.fixed))
      indices.push_back(role == '#' ? Value(arith::ConstantIndexOp::create(b, loc, position))
                                    : at[StringRef("nbhd").find(role)]);
    return cast(b, LoadOp::create(b, loc, inputs[0], indices), type);
  });
}

Worded AttentionRewriter::operand(Value tensor, StringRef text, StringRef rows) {
  std::string error;
  AttentionLayout layout = *AttentionLayout::parse(text, error);
  Shape shape = shapeOf(tensor), kept;
  Worded result;
  for (auto [role, dim] : llvm::zip(layout.roles, shape)) {
    if (role == '#')
      continue;
    kept.push_back(dim);
    result.words.push_back(role == 'n' ? rows.str() : std::string(1, role));
  }
  result.tensor = kept.size() == shape.size() && elementOf(tensor) == type ? tensor : converted(tensor, layout, kept);
  return result;
}

Value AttentionRewriter::converted(Value tensor, const AttentionLayout &layout, const Shape &kept) {
  return map(type, kept, tensor, [&](OpBuilder &b, ValueRange tensors, ValueRange at) -> Value {
    SmallVector<Value> indices;
    unsigned next = 0;
    for (auto [role, position] : llvm::zip(layout.roles, layout.fixed))
      indices.push_back(role == '#' ? arith::ConstantIndexOp::create(b, loc, position) : at[next++]);
    return cast(b, LoadOp::create(b, loc, tensors[0], indices), type);
  });
}

/// Query heads as (key head, member of its group), where groups share a key head.
void AttentionRewriter::splitHeads(Worded &query) {
  auto it = llvm::find(query.words, "h");
  if (!isGrouped() || it == query.words.end())
    return;
  unsigned position = it - query.words.begin();
  Shape shape = shapeOf(query.tensor);
  shape[position] = sizes.keyHeads;
  shape.insert(shape.begin() + position + 1, sizes.heads.floorDiv(sizes.keyHeads));
  query.words[position] = "g";
  query.words.insert(query.words.begin() + position + 1, "r");
  query.tensor = reshapeTo(builder, loc, query.tensor, shape);
}

/// One key head for all query heads has a word of its own, summed as a lone dim of size 1.
Worded AttentionRewriter::withKeyHeads(Worded operand) const {
  for (std::string &word : operand.words)
    if (word == "h" && sizes.keyHeads != sizes.heads)
      word = isGrouped() ? "g" : "one";
  return operand;
}

SmallVector<std::string> AttentionRewriter::headWords(const Worded &query) {
  SmallVector<std::string> heads;
  for (StringRef word : {"h", "g", "r"})
    if (query.has(word))
      heads.push_back(word.str());
  return heads;
}

SmallVector<std::string> AttentionRewriter::words(const Worded &a, const Worded &b, ArrayRef<std::string> heads,
                                                  StringRef last) {
  SmallVector<std::string> result;
  if (a.has("b") || b.has("b"))
    result.push_back("b");
  llvm::append_range(result, heads);
  result.push_back("i");
  if (!last.empty())
    result.push_back(last.str());
  return result;
}

Value AttentionRewriter::contract(const Worded &a, const Worded &b, ArrayRef<std::string> result, ArrayRef<Dim> shape) {
  std::string text = llvm::join(a.words, " ") + ", " + llvm::join(b.words, " ") + " -> " + llvm::join(result, " ");
  Value product = ContractOp::create(builder, loc, text, a.tensor, b.tensor);
  return reshapeTo(builder, loc, product, shape);
}

//===----------------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------------===//

Value AttentionRewriter::map(Type element, ArrayRef<Dim> shape, ValueRange inputs, Body body) {
  return MapOp::create(builder, loc, tensorOf(element, shape), inputs,
                       [&](OpBuilder &b, Location, ValueRange tensors, ValueRange at) { return body(b, tensors, at); });
}

Value AttentionRewriter::cast(OpBuilder &b, Value scalar, Type wanted) {
  Type found = scalar.getType();
  if (found == wanted)
    return scalar;
  if (found.getIntOrFloatBitWidth() < wanted.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(b, loc, wanted, scalar);
  return arith::TruncFOp::create(b, loc, wanted, scalar);
}

Value AttentionRewriter::number(OpBuilder &b, double value) {
  return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
}

Value AttentionRewriter::inlined(OpBuilder &b, Region &region, Value scalar, ValueRange at, ValueRange captures,
                                 Value inner) {
  IRMapping mapping;
  SmallVector<Value> arguments(scalar ? 1 : 0, scalar);
  llvm::append_range(arguments, at);
  llvm::append_range(arguments, captures);
  mapping.map(region.getArguments(), arguments);
  if (!inner)
    inner = region.front().getTerminator()->getOperand(0);
  // Only what the value needs: a load for another part may have no place here.
  llvm::SmallPtrSet<Operation *, 16> needed;
  SmallVector<Value> work{inner};
  while (!work.empty())
    if (Operation *operation = work.pop_back_val().getDefiningOp(); operation && needed.insert(operation).second)
      llvm::append_range(work, operation->getOperands());
  for (Operation &operation : region.front())
    if (needed.contains(&operation))
      b.clone(operation, mapping);
  return mapping.lookupOrDefault(inner);
}

Value AttentionRewriter::size(OpBuilder &b, const Dim &dim) {
  return SizeOp::create(b, loc, b.getIndexType(), DimAttr::get(b.getContext(), dim));
}

SmallVector<Value> AttentionRewriter::withCaptures(ArrayRef<Value> tensors) {
  SmallVector<Value> inputs(tensors);
  llvm::append_range(inputs, op.getCaptures());
  return inputs;
}

Value AttentionRewriter::place(ValueRange tensors, Body body) {
  std::string error;
  AttentionLayout layout = *AttentionLayout::parse(op.getLayout(1 + 2 * op.getKeys().size()), error);
  Type element = elementOf(op.getResult());
  return map(element, shapeOf(op.getResult()), tensors, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
    SmallVector<Value> indices;
    for (char role : StringRef("bhnd")) {
      auto it = llvm::find(layout.roles, role);
      indices.push_back(it == layout.roles.end() ? Value(arith::ConstantIndexOp::create(b, loc, 0))
                                                 : at[it - layout.roles.begin()]);
    }
    return cast(b, body(b, inputs, indices), element);
  });
}

} // namespace tenon
