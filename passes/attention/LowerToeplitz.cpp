//===- LowerToeplitz.cpp - Toeplitz products as circular convolutions, or directly ---------===//
#include "dialects/tenon/AttentionRegions.h"
#include "passes/Passes.h"
#include "passes/attention/LinearScore.h"
#include "passes/attention/ToeplitzAttention.h"
#include "passes/fft_rpe/FourierPlan.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_LOWERTOEPLITZ
#include "passes/Passes.h.inc"

namespace {

/// Index arithmetic in a region.
struct Indices {
  OpBuilder &b;
  Location loc;
  Value constant(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value size(const Dim &dim) { return b.createOrFold<SizeOp>(loc, DimAttr::get(b.getContext(), dim)); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value atMost(Value x, Value y) { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, x, y); }
  Value select(Value condition, Value yes, Value no) { return arith::SelectOp::create(b, loc, condition, yes, no); }
  Value zero(Type type) { return arith::ConstantOp::create(b, loc, b.getZeroAttr(type)); }
};

/// A product's diagonals, causal or not, of M rows and N columns.
struct Diagonals {
  Value values; ///< [H or 1, M + N - 1] or with channels.
  Dim heads;
  int64_t rows, columns;
  bool causal;
  int64_t block = 0; ///< Rows of a block; 0: all are transformed at once.
};

/// A kernel g and its spectrum.
struct Circulant {
  Value kernel, spectrum;
  IntegerAttr block;
};

/// That of an op whose form is `fft_blocks`, else 0.
int64_t blockOf(Operation *op, bool isInBlocks) {
  return isInBlocks ? op->getAttrOfType<IntegerAttr>(toeplitzBlockName).getInt() : 0;
}

/// The kernel g of the period that holds all diagonals: g[n] is that of j - i = -n, g[period - n] that of n.
Circulant circulantOf(OpBuilder &builder, Location loc, const Diagonals &diagonals) {
  int64_t period = convolutionLength(diagonals.rows + diagonals.columns - 1);
  Shape from = shapeOf(diagonals.values), shape{diagonals.heads, Dim(1), Dim(period)};
  if (from.size() == 3)
    shape.push_back(from[2]);
  auto element = [&](OpBuilder &b, Location at, ValueRange inputs, ValueRange place) -> Value {
    Indices index{b, at};
    Value n = place[2], zero = index.zero(elementOf(diagonals.values)), last = index.constant(diagonals.rows - 1);
    Value isBehind = index.atMost(n, last);
    Value distance = index.sub(index.constant(period), n);
    Value isAhead = index.atMost(distance, index.constant(diagonals.causal ? 0 : diagonals.columns - 1));
    Value ahead = index.add(last, index.select(isAhead, distance, index.constant(0)));
    Value position = index.select(isBehind, index.sub(last, n), ahead);
    SmallVector<Value> where{from[0] == Dim(1) ? index.constant(0) : place[0], position};
    llvm::append_range(where, place.drop_front(3));
    Value value = LoadOp::create(b, at, inputs[0], where);
    return index.select(arith::OrIOp::create(b, at, isBehind, isAhead), value, zero);
  };
  Value kernel = MapOp::create(builder, loc, tensorOf(elementOf(diagonals.values), shape), diagonals.values, element);
  Value spectrum =
      FFTOp::create(builder, loc, /*inverse=*/false, kernel, /*axis=*/2, /*parts=*/1, Dim(period), Dim(period),
                    /*resultParts=*/2);
  return {kernel, spectrum, {}};
}

/// The kernels of blocks whose rows lie d blocks behind their columns, of a period that holds 2 · block - 1 diagonals:
/// that of i - j = d · block + n at n, or at period + n where n < 0. The last index is d, from the least there is.
Circulant blocksOf(OpBuilder &builder, Location loc, const Diagonals &diagonals) {
  int64_t block = diagonals.block, period = convolutionLength(2 * block - 1);
  auto count = [&](int64_t rows) { return (rows + block - 1) / block; };
  int64_t ahead = diagonals.causal ? 0 : count(diagonals.columns) - 1;
  Shape from = shapeOf(diagonals.values),
        shape{diagonals.heads, Dim(1), Dim(period), Dim(count(diagonals.rows) + ahead)};
  auto element = [&](OpBuilder &b, Location at, ValueRange inputs, ValueRange place) -> Value {
    Indices index{b, at};
    Value n = place[2], zero = index.constant(0);
    Value turned = index.sub(index.constant(period), n), isBehind = index.atMost(n, index.constant(block - 1));
    Value isAhead = index.atMost(turned, index.constant(block - 1));
    Value within = index.select(isBehind, n, index.sub(zero, turned));
    Value start = arith::MulIOp::create(b, at, index.sub(place[3], index.constant(ahead)), index.constant(block));
    Value position = index.sub(index.constant(diagonals.rows - 1), index.add(start, within));
    Value last = index.constant(diagonals.causal ? diagonals.rows - 1 : diagonals.rows + diagonals.columns - 2);
    Value isThere = arith::AndIOp::create(b, at, index.atMost(zero, position), index.atMost(position, last));
    Value inside = arith::MinSIOp::create(b, at, arith::MaxSIOp::create(b, at, position, zero), last);
    Value value = LoadOp::create(b, at, inputs[0], ValueRange{from[0] == Dim(1) ? zero : place[0], inside});
    Value isOne = arith::AndIOp::create(b, at, isThere, arith::OrIOp::create(b, at, isBehind, isAhead));
    return index.select(isOne, value, index.zero(elementOf(diagonals.values)));
  };
  Value kernel = MapOp::create(builder, loc, tensorOf(elementOf(diagonals.values), shape), diagonals.values, element);
  Value spectrum =
      FFTOp::create(builder, loc, /*inverse=*/false, kernel, /*axis=*/2, /*parts=*/1, Dim(period), Dim(period),
                    /*resultParts=*/2);
  return {kernel, spectrum, builder.getI64IntegerAttr(block)};
}

/// Of kernels of their own all channels of an input that knows nothing of them are made of one.
Value ofOneChannel(OpBuilder &builder, Value input) {
  auto map = input.getDefiningOp<MapOp>();
  if (!map || dependsOnIndex(map.getYielded(), map.getIndices().back()))
    return input;
  Shape shape = shapeOf(input);
  shape.back() = Dim(1);
  auto one = cast<MapOp>(builder.clone(*map));
  one.getResult().setType(tensorOf(elementOf(input), shape));
  return one.getResult();
}

Value multiplied(OpBuilder &builder, Location loc, Value input, const Circulant &by, ValueRange features,
                 const Dim &rows) {
  Shape shape = shapeOf(input);
  shape[2] = rows;
  if (!by.block && shapeOf(by.spectrum).size() == 4)
    input = ofOneChannel(builder, input);
  return CirculantOp::create(builder, loc, tensorOf(elementOf(input), shape), input, by.spectrum, by.kernel, features,
                             by.block);
}

//===----------------------------------------------------------------------------===//
// tenon.toeplitz
//===----------------------------------------------------------------------------===//

class ToeplitzRewriter {
public:
  explicit ToeplitzRewriter(ToeplitzOp op)
      : op(op), builder(op), loc(op.getLoc()), from(shapeOf(op.getInput())), to(shapeOf(op.getResult())),
        element(elementOf(op.getInput())), isPerChannel(shapeOf(op.getDiagonals()).size() == 3) {}

  Value lower() {
    if (op.getForm() != ToeplitzForm::Direct)
      return multiplied(builder, loc, op.getInput(), circulant(), op.getFeatures(), to[2]);
    if (!op.getFeatures().empty())
      return attended();
    return isPerChannel ? summed() : product();
  }

private:
  Circulant circulant() {
    Diagonals diagonals{op.getDiagonals(),   from[1],        *to[2].constant(),
                        *from[2].constant(), op.getCausal(), blockOf(op, op.getForm() == ToeplitzForm::FFTBlocks)};
    return diagonals.block ? blocksOf(builder, loc, diagonals) : circulantOf(builder, loc, diagonals);
  }

  /// The matrix's element of head h at (i, j), of channel c where each has its own.
  Value matrixElement(OpBuilder &b, Location at, Value diagonals, Value h, Value i, Value j, Value c) {
    Indices index{b, at};
    Value last = index.size(to[2] - Dim(1));
    SmallVector<Value> where{h, index.add(index.sub(j, i), last)};
    if (isPerChannel)
      where.push_back(c);
    Value value = LoadOp::create(b, at, diagonals, where);
    return op.getCausal() ? index.select(index.atMost(j, i), value, index.zero(element)) : value;
  }

  /// Attention with scores (q · k) t: a tile of them at a time.
  Value attended() {
    SmallVector<StringRef> layouts(4, "b h n d");
    auto attention =
        AttentionOp::create(builder, loc, op.getType(), op.getQuery(), op.getKey(), op.getInput(), op.getDiagonals(),
                            Normaliser::None, EmptyRow::Zero, builder.getStrArrayAttr(layouts));
    OpBuilder::InsertionGuard guard(builder);
    ValueRange all = addRegionBlock(builder, attention.getScore(), element, op.getDiagonals(), loc)->getArguments();
    Indices index{builder, loc};
    Value place = index.add(index.sub(all[4], all[3]), index.size(to[2] - Dim(1)));
    Value factor = LoadOp::create(builder, loc, all[5], ValueRange{all[2], place});
    YieldOp::create(builder, loc, ValueRange(arith::MulFOp::create(builder, loc, all[0], factor)));
    if (op.getCausal()) {
      ValueRange kept = addRegionBlock(builder, attention.getKeep(), Type(), op.getDiagonals(), loc)->getArguments();
      YieldOp::create(builder, loc, index.atMost(kept[3], kept[2]));
    }
    return attention.getResult();
  }

  /// One matrix for all batch items.
  Value product() {
    Shape shape{from[1], to[2], from[2]};
    Value matrix = MapOp::create(builder, loc, tensorOf(element, shape), op.getDiagonals(),
                                 [&](OpBuilder &b, Location at, ValueRange inputs, ValueRange place) {
                                   return matrixElement(b, at, inputs[0], place[0], place[1], place[2], {});
                                 });
    return ContractOp::create(builder, loc, "h i j, b h j c -> b h i c", matrix, op.getInput());
  }

  /// A sum over j of products computed where they are added: no tensor over i, j and channels.
  Value summed() {
    Shape shape{from[0], from[1], to[2], from[2], from[3]};
    Value products =
        MapOp::create(builder, loc, tensorOf(element, shape), ValueRange{op.getInput(), op.getDiagonals()},
                      [&](OpBuilder &b, Location at, ValueRange inputs, ValueRange place) -> Value {
                        Value x = LoadOp::create(b, at, inputs[0], ValueRange{place[0], place[1], place[3], place[4]});
                        Value t = matrixElement(b, at, inputs[1], place[1], place[2], place[3], place[4]);
                        return arith::MulFOp::create(b, at, x, t);
                      });
    return ReduceOp::create(builder, loc, ReduceKind::Sum, products, ArrayRef<int64_t>{3});
  }

  ToeplitzOp op;
  OpBuilder builder;
  Location loc;
  Shape from, to;
  Type element;
  bool isPerChannel;
};

//===----------------------------------------------------------------------------===//
// tenon.attention with algorithm fft or fft_blocks
//===----------------------------------------------------------------------------===//

class AttentionByFourier : LinearAttentionRewriter {
public:
  explicit AttentionByFourier(AttentionOp op) : LinearAttentionRewriter(op) {}

  Value lower() {
    Worded query = this->query(), key = this->key(), value = this->value();
    scale(query, factors.ofQuery, "i");
    scale(key, factors.ofKey, "j");
    Value rows = ordered(query, "i", sizes.queries, sizes.depth), columns = ordered(key, "j", sizes.keys, sizes.depth);
    Diagonals diagonals{tabulated(),
                        sizes.heads,
                        *sizes.queries.constant(),
                        *sizes.keys.constant(),
                        op.hasKeep(),
                        blockOf(op, op.getAlgorithm() == AttentionAlgorithm::FFTBlocks)};
    Circulant weights = diagonals.block ? blocksOf(builder, loc, diagonals) : circulantOf(builder, loc, diagonals);
    Value values = ordered(value, "j", sizes.keys, sizes.valueDepth);
    bool isShare = op.getNormaliser() == Normaliser::Sum;
    Value sums; // first: what they are made of is gone when the rows are there
    if (isShare)
      sums = sumsOfRows(rows, multiplied(builder, loc, columns, weights, {}, sizes.queries));
    SmallVector<Value> parts{multiplied(builder, loc, values, weights, {rows, columns}, sizes.queries)};
    if (isShare)
      parts.push_back(sums);
    bool hasShortRows = op.hasKeep() && diagonals.rows > shortRows;
    if (hasShortRows)
      parts.push_back(summed(rows, columns, values, diagonals));
    return place(parts, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      Value element = LoadOp::create(b, loc, inputs[0], at);
      Value sum = isShare ? Value(LoadOp::create(b, loc, inputs[1], at.take_front(3))) : Value();
      if (hasShortRows) {
        Indices index{b, loc};
        Value last = index.constant(shortRows - 1), isShort = index.atMost(at[2], last);
        Value row = arith::MinSIOp::create(b, loc, at[2], last);
        auto exact = [&](Value column) {
          return LoadOp::create(b, loc, inputs.back(), ValueRange{at[0], at[1], row, column});
        };
        element = index.select(isShort, exact(at[3]), element);
        if (isShare)
          sum = index.select(isShort, exact(index.size(sizes.valueDepth)), sum);
      }
      return isShare ? Value(arith::DivFOp::create(b, loc, element, sum)) : element;
    });
  }

private:
  /// A causal row sees few keys at first and is then smaller than what a transform over all rows loses.
  static constexpr int64_t shortRows = 64;

  /// The first rows of a causal product, directly, and behind their channels the sum of their weights.
  Value summed(Value rows, Value columns, Value values, const Diagonals &diagonals) {
    auto first = [&](Value tensor, const Dim &columns, Body body) {
      return map(type, {sizes.batch, sizes.heads, Dim(shortRows), columns}, tensor, body);
    };
    auto same = [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      return LoadOp::create(b, loc, inputs[0], at);
    };
    Value query = first(rows, sizes.depth, same), key = first(columns, sizes.depth, same);
    Value value =
        first(values, sizes.valueDepth + Dim(1), [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
          Indices index{b, loc};
          Value last = index.size(sizes.valueDepth - Dim(1)), column = arith::MinSIOp::create(b, loc, at[3], last);
          Value element = LoadOp::create(b, loc, inputs[0], ValueRange{at[0], at[1], at[2], column});
          return index.select(index.atMost(at[3], last), element, number(b, 1));
        });
    Value near =
        map(type, {sizes.heads, Dim(2 * shortRows - 1)}, diagonals.values,
            [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
              Indices index{b, loc};
              return LoadOp::create(b, loc, inputs[0],
                                    ValueRange{at[0], index.add(at[1], index.constant(diagonals.rows - shortRows))});
            });
    auto form = ToeplitzFormAttr::get(builder.getContext(), ToeplitzForm::Direct);
    auto product = ToeplitzOp::create(builder, loc, value.getType(), value, near, ValueRange{query, key},
                                      builder.getUnitAttr(), form);
    Value result = ToeplitzRewriter(product).lower();
    product.erase();
    return result;
  }

  /// [batch, heads, rows, depth] in this order, whatever the operand's is.
  Value ordered(const Worded &operand, StringRef row, const Dim &rows, const Dim &depth) {
    Shape shape{sizes.batch, sizes.heads, rows, depth};
    return map(type, shape, operand.tensor, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
      SmallVector<Value> place;
      for (StringRef word : operand.words)
        place.push_back(word == "b" ? at[0] : word == "h" ? at[1] : word == row ? at[2] : at[3]);
      return LoadOp::create(b, loc, inputs[0], place);
    });
  }

  /// The factors of the distance, [heads, queries + keys - 1].
  Value tabulated() {
    Shape shape{sizes.heads, sizes.queries + sizes.keys - Dim(1)};
    SmallVector<Value> captures(op.getCaptures());
    return map(type, shape, captures, [&](OpBuilder &b, ValueRange inputs, ValueRange at) {
      Indices index{b, loc};
      Value zero = index.constant(0), last = index.size(sizes.queries - Dim(1));
      Value i = arith::MaxSIOp::create(b, loc, index.sub(last, at[1]), zero);
      Value j = arith::MaxSIOp::create(b, loc, index.sub(at[1], last), zero);
      return scaled(b, number(b, 1), factors.ofBoth, {zero, at[0], i, j}, inputs);
    });
  }

  /// Σ_r q[i, r] k'[i, r].
  Value sumsOfRows(Value query, Value mixed) {
    Value products =
        map(type, shapeOf(query), {query, mixed}, [&](OpBuilder &b, ValueRange inputs, ValueRange at) -> Value {
          return arith::MulFOp::create(b, loc, LoadOp::create(b, loc, inputs[0], at),
                                       LoadOp::create(b, loc, inputs[1], at));
        });
    return ReduceOp::create(builder, loc, ReduceKind::Sum, products, ArrayRef<int64_t>{3});
  }
};

struct LowerToeplitz : impl::LowerToeplitzBase<LowerToeplitz> {
  void runOnOperation() override {
    SmallVector<Operation *> found;
    getOperation().walk([&](Operation *op) {
      auto attention = dyn_cast<AttentionOp>(op);
      if (isa<ToeplitzOp>(op) || (attention && isByTransforms(attention)))
        found.push_back(op);
    });
    for (Operation *op : found) {
      auto attention = dyn_cast<AttentionOp>(op);
      Value result = attention ? AttentionByFourier(attention).lower() : ToeplitzRewriter(cast<ToeplitzOp>(op)).lower();
      op->getResult(0).replaceAllUsesWith(result);
      op->erase();
    }
  }
};

} // namespace
} // namespace tenon
