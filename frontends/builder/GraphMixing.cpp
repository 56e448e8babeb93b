//===- GraphMixing.cpp - GraphBuilder's contractions, reductions, attention -------===//
#include "dialects/tenon/AttentionLayout.h"
#include "dialects/tenon/AttentionRegions.h"
#include "dialects/tenon/ContractSpec.h"
#include "frontends/builder/GraphBuilder.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tenon;

//===----------------------------------------------------------------------------===//
// Contractions
//===----------------------------------------------------------------------------===//

Value GraphBuilder::contract(StringRef text, Value a, Value b) {
  if (!a || !b || hasFailed())
    return {};
  std::string message;
  std::optional<ContractSpec> spec = ContractSpec::parse(text, message);
  if (!spec) {
    error() << "contraction \"" << text << "\": " << message;
    return {};
  }
  llvm::StringMap<Dim> sizes;
  // An index has one size; an operand that writes it in another form is the same memory under the first.
  auto bind = [&](ArrayRef<StringRef> indices, Value &operand, StringRef side) {
    Shape shape = shapeOf(operand);
    if (shape.size() != indices.size()) {
      error() << "contraction \"" << text << "\" wants a " << side << " operand of rank " << indices.size()
              << ", found " << toString(shape);
      return false;
    }
    for (auto [index, dim] : llvm::zip(indices, shape)) {
      auto [known, isNew] = sizes.try_emplace(index, dim);
      if (!isNew && !wantEqual(known->second, dim, "index '" + index + "' of \"" + text + "\""))
        return false;
      dim = known->second;
    }
    operand = reshape(operand, shape);
    return operand != nullptr;
  };
  if (!bind(spec->lhs, a, "left") || !bind(spec->rhs, b, "right") || !sameElements(a, b))
    return {};
  for (StringRef index : spec->result)
    if (!sizes.contains(index)) {
      error() << "contraction \"" << text << "\": no operand has the index '" << index << "' of the result";
      return {};
    }
  return ContractOp::create(builder, loc, text, a, b);
}

/// Drops the dims of size 1 among the first `count` along which the other operand is larger.
static Shape withoutOnes(ArrayRef<Dim> shape, ArrayRef<Dim> otherBatch, size_t count, SmallVectorImpl<bool> &kept) {
  Shape result;
  for (auto [i, dim] : llvm::enumerate(shape)) {
    size_t fromRight = count - 1 - i;
    bool drop = i < count && dim == Dim(1) && fromRight < otherBatch.size() &&
                otherBatch[otherBatch.size() - 1 - fromRight] != Dim(1);
    if (i < count)
      kept.push_back(!drop);
    if (!drop)
      result.push_back(dim);
  }
  return result;
}

Value GraphBuilder::matmul(Value a, Value b) {
  if (!a || !b || hasFailed())
    return {};
  Shape lhs = shapeOf(a), rhs = shapeOf(b);
  if (lhs.empty() || rhs.empty()) {
    error() << "wants two tensors of rank at least 1, found " << toString(lhs) << " and " << toString(rhs);
    return {};
  }
  size_t lhsBatch = lhs.size() < 2 ? 0 : lhs.size() - 2, rhsBatch = rhs.size() < 2 ? 0 : rhs.size() - 2;
  size_t batch = std::max(lhsBatch, rhsBatch);
  SmallVector<std::string> names;
  for (size_t i = 0; i < batch; ++i)
    names.push_back(i < 2 ? std::string(1, "bh"[i]) : "b" + std::to_string(i));

  SmallVector<bool> lhsKept, rhsKept;
  Dims lhsDims = Dims(lhs).take_front(lhsBatch), rhsDims = Dims(rhs).take_front(rhsBatch);
  Shape lhsShape = withoutOnes(lhs, rhsDims, lhsBatch, lhsKept),
        rhsShape = withoutOnes(rhs, lhsDims, rhsBatch, rhsKept);
  SmallVector<std::string> left, right, result;
  for (size_t i = 0; i < batch; ++i) {
    bool inLeft = i + lhsBatch >= batch && lhsKept[i + lhsBatch - batch];
    bool inRight = i + rhsBatch >= batch && rhsKept[i + rhsBatch - batch];
    if (inLeft)
      left.push_back(names[i]);
    if (inRight)
      right.push_back(names[i]);
    if (inLeft || inRight)
      result.push_back(names[i]);
  }
  Shape full;
  std::optional<Shape> common = broadcast(lhsDims, rhsDims);
  if (!common)
    return {};
  full = *common;
  if (lhs.size() > 1) {
    left.push_back("m");
    result.push_back("m");
    full.push_back(lhs[lhs.size() - 2]);
  }
  left.push_back("k");
  right.push_back("k");
  if (rhs.size() > 1) {
    right.push_back("n");
    result.push_back("n");
    full.push_back(rhs.back());
  }
  auto text = llvm::join(left, " ") + ", " + llvm::join(right, " ") + " -> " + llvm::join(result, " ");
  return reshape(contract(text, reshape(a, lhsShape), reshape(b, rhsShape)), full);
}

Value GraphBuilder::linear(Value x, Value w, Value bias) {
  Value product = matmul(x, w);
  return bias ? add(product, bias) : product;
}

//===----------------------------------------------------------------------------===//
// Reductions and normalisations
//===----------------------------------------------------------------------------===//

Value GraphBuilder::reduce(ReduceKind kind, Value x, Axes over, bool keepDims) {
  if (!x || hasFailed())
    return {};
  Shape shape = shapeOf(x);
  auto positions = axes(over, shape.size());
  if (!positions)
    return {};
  llvm::sort(*positions);
  Value result = positions->empty() ? x : ReduceOp::create(builder, loc, kind, x, *positions).getResult();
  if (!keepDims)
    return result;
  for (int64_t axis : *positions)
    shape[axis] = Dim(1);
  return reshape(result, shape);
}

Value GraphBuilder::mean(Value x, Axes over, bool keepDims) {
  Value sum = reduce(ReduceKind::Sum, x, over, keepDims);
  if (!sum)
    return {};
  Shape shape = shapeOf(x);
  Dim count(1);
  for (int64_t axis : over)
    count *= shape[axis < 0 ? axis + shape.size() : axis];
  return elementwise(elementOf(sum), sum, [&](ScalarBuilder &s, ArrayRef<Value> v) {
    return s.div(v[0], s.cast(s.size(count), v[0].getType()));
  });
}

Value GraphBuilder::scatter(Value updates, Value into, Value places, std::optional<ReduceKind> by) {
  if (!updates || !into || !places || hasFailed() || !sameElements(updates, into))
    return {};
  Shape target = shapeOf(into), tuples = shapeOf(places);
  int64_t size = tuples.size() == 2 && tuples[1].isConstant() ? *tuples[1].constant() : 0;
  if (size < 1 || size > int64_t(target.size()) || !isa<IntegerType>(elementOf(places))) {
    error() << "wants integer places [N, K] with K from 1 to " << target.size() << ", found " << toString(tuples);
    return {};
  }
  Shape wanted{tuples[0]}, given = shapeOf(updates);
  llvm::append_range(wanted, ArrayRef<Dim>(target).drop_front(size));
  if (given.size() != wanted.size()) {
    error() << "wants updates " << toString(wanted) << ", found " << toString(given);
    return {};
  }
  for (auto [number, pair] : llvm::enumerate(llvm::zip(wanted, given)))
    if (!wantEqual(std::get<0>(pair), std::get<1>(pair), "dimension " + Twine(number) + " of the updates"))
      return {};
  updates = reshape(updates, wanted);
  Value wrapped = map(i64(), tuples, places, [&](ScalarBuilder &s, ValueRange t, ValueRange at) {
    Value bound = s.size(target[size - 1]);
    for (int64_t k = size - 1; k-- > 0;)
      bound = s.select(s.compare(Comparison::Equal, at[1], s.index(k)), s.size(target[k]), bound);
    Value index = s.cast(s.load(t[0], at), s.builder.getIndexType());
    Value isNegative = s.compare(Comparison::Less, index, s.index(0));
    return s.cast(s.select(isNegative, s.add(index, bound), index), i64());
  });
  return ScatterOp::create(builder, loc, updates, into, wrapped, by);
}

Value GraphBuilder::order(Value x, int64_t axisGiven, const Dim &count, bool descending, Sign sign, bool records) {
  std::optional<int64_t> at = x ? axis(axisGiven, shapeOf(x).size()) : std::nullopt;
  if (!at || hasFailed())
    return {};
  Dim length = shapeOf(x)[*at];
  if (count.isConstant() && length.isConstant() && *count.constant() > *length.constant()) {
    error() << "wants at most " << length.str() << " elements of a row of so many, found " << count.str();
    return {};
  }
  return OrderOp::create(builder, loc, x, *at, count, descending, sign == Sign::Unsigned, records);
}

Value GraphBuilder::fft(Value x, int64_t axisGiven, const Dim &length, const Dim &frequencies, bool inverse,
                        int64_t parts) {
  if (!x || hasFailed())
    return {};
  int64_t last = int64_t(shapeOf(x).size()) - 1;
  std::optional<int64_t> at = axis(axisGiven, last + 1);
  if (!at)
    return {};
  Dim count = shapeOf(x)[last];
  if (*at == last || (count != Dim(1) && count != Dim(2))) {
    error() << "a Fourier transform along dim " << *at << " wants real and imaginary parts in the last of "
            << toString(shapeOf(x));
    return {};
  }
  return FFTOp::create(builder, loc, inverse, x, *at, last, length, frequencies, parts);
}

Value GraphBuilder::toeplitz(Value x, Value diagonals, const Dim &positions) {
  if (!x || !diagonals || hasFailed())
    return {};
  Shape shape = shapeOf(x);
  shape[2] = positions;
  return ToeplitzOp::create(builder, loc, tensorOf(elementOf(x), shape), x, diagonals, ValueRange(), /*causal=*/false,
                            ToeplitzFormAttr());
}

Value GraphBuilder::softmax(Value x, int64_t over) {
  if (!x || hasFailed())
    return {};
  std::optional<int64_t> position = axis(over, shapeOf(x).size());
  if (!position)
    return {};
  return SoftmaxOp::create(builder, loc, x.getType(), x, builder.getI64IntegerAttr(*position));
}

Value GraphBuilder::norm(NormKind kind, Value x, Value scale, Value shift, int64_t over, double epsilon) {
  if (!x || hasFailed())
    return {};
  return NormOp::create(builder, loc, x.getType(), NormKindAttr::get(builder.getContext(), kind), x, scale, shift,
                        builder.getI64IntegerAttr(over), builder.getF64FloatAttr(epsilon));
}

Value GraphBuilder::layerNorm(Value x, Value scale, Value shift, int64_t over, double epsilon) {
  return norm(NormKind::Layer, x, scale, shift, over, epsilon);
}

//===----------------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------------===//

Value GraphBuilder::attention(Value query, Value key, Value value, ValueRange captures, const Attention &what) {
  if (!query || !key || !value || llvm::is_contained(captures, Value()) || hasFailed())
    return {};
  SmallVector<AttentionLayout> layouts;
  for (StringRef text : {what.query, what.value, what.result}) {
    std::string message;
    std::optional<AttentionLayout> layout = AttentionLayout::parse(text, message);
    if (!layout) {
      error() << "layout: " << message;
      return {};
    }
    layouts.push_back(*layout);
  }
  Shape shape;
  for (char role : layouts[2].roles)
    shape.push_back(role == 'd' ? layouts[1].sizeOf('d', shapeOf(value)) : layouts[0].sizeOf(role, shapeOf(query)));
  std::optional<RankedTensorType> type = typeOf(elementOf(query), shape);
  if (!type)
    return {};
  auto op = AttentionOp::create(builder, loc, *type, query, key, value, captures,
                                what.normaliser, what.empty,
                                builder.getStrArrayAttr({what.query, what.key, what.value, what.result}));
  OpBuilder::InsertionGuard guard(builder);
  ScalarBuilder scalars(builder, loc);
  Type score = op.getScoreType();
  auto addScored = [&](Region &region, const auto &body) {
    ValueRange all = addRegionBlock(builder, region, score, captures, loc)->getArguments();
    YieldOp::create(builder, loc, body(scalars, all[0], all.slice(1, 4), all.drop_front(5)));
  };
  if (what.score)
    addScored(op.getScore(), what.score);
  if (what.weight)
    addScored(op.getWeight(), what.weight);
  if (what.keep) {
    ValueRange all = addRegionBlock(builder, op.getKeep(), Type(), captures, loc)->getArguments();
    YieldOp::create(builder, loc, what.keep(scalars, all.take_front(4), all.drop_front(4)));
  }
  return op.getResult();
}

//===----------------------------------------------------------------------------===//
// Recurrences
//===----------------------------------------------------------------------------===//

std::pair<Value, Value> GraphBuilder::scan(Value query, Value key, Value value, const Scan &what) {
  if (!query || !key || !value || hasFailed())
    return {};
  std::string message;
  std::optional<AttentionLayout> rows = AttentionLayout::parse(what.rows, message);
  if (!rows) {
    error() << "layout: " << message;
    return {};
  }
  auto heads = [&](Value x) { return rows->sizeOf('h', shapeOf(x)); };
  auto most = [](const Dim &a, const Dim &b) {
    return a.constant() && b.constant() && *b.constant() > *a.constant() ? b : a;
  };
  Dim states = most(heads(key), heads(value));
  Shape result = shapeOf(value);
  for (auto [role, dim] : llvm::zip(rows->roles, result))
    if (role == 'h')
      dim = most(states, heads(query));
  Shape state{rows->sizeOf('b', result), states, rows->sizeOf('d', shapeOf(key)), rows->sizeOf('d', result)};
  std::optional<RankedTensorType> type = typeOf(elementOf(value), result), final = typeOf(what.state, state);
  if (!type || !final)
    return {};
  SmallVector<StringRef> layouts{what.rows, what.rows, what.rows};
  if (what.decay)
    layouts.push_back(what.decays);
  if (what.rate)
    layouts.push_back(what.rates);
  layouts.push_back(what.rows);
  auto op = ScanOp::create(builder, loc, *type, *final, query, key, value, what.decay, what.rate,
                           /*transition=*/Value(), what.initial, builder.getStrArrayAttr(layouts));
  return {op.getResult(), op.getFinal()};
}
