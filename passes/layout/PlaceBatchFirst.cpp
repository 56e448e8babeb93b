//===- PlaceBatchFirst.cpp - products of matrices whose results lie side by side -------------===//
//
// Elements of neighbouring matrices that alternate in memory make no vectors of a row. What is added are maps that turn
// the result, mostly into the map that reads it, and operands; what is saved is a product without register tiles.
//
#include "dialects/tenon/ContractSpec.h"
#include "passes/Passes.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_PLACEBATCHFIRST
#include "passes/Passes.h.inc"

namespace {

using Words = ContractSpec::Indices;

/// From how many steps of the sum, rows and columns on copies are less than what lanes along the batch lose. They lose
/// more the more operands do not end in the batch, for these are read element by element.
struct Least {
  int64_t steps, places;
};
/// By how many of the operands end in it. Zen 5, times as fast in all: with none 1.2 at 4 x 4 x 4 and 18 at
/// 256 x 64 x 256, with one 2.3 at 2 x 64 x 2 and 8.6 at 32 x 32 x 32 (0.8 at 8 x 8 x 8), with both 1.0 to 3 at 16 to
/// 64 steps and 17 at 256 x 256 x 256 (0.2 at 8 x 8 x 8).
constexpr Least leastOf[] = {{4, 2}, {16, 2}, {16, 8}};

/// The last index with more than one place.
std::optional<StringRef> lastOf(const Words &words, ArrayRef<Dim> shape) {
  for (auto [word, extent] : llvm::reverse(llvm::zip_equal(words, shape)))
    if (extent != Dim(1))
      return word;
  return std::nullopt;
}

bool isIn(const Words &words, std::optional<StringRef> word) { return word && llvm::is_contained(words, *word); }

/// Whether the places of `some` of an operand's words are `least` or more; a length that is not known counts as many.
bool areMany(const Words &some, const Words &words, ArrayRef<Dim> shape, int64_t least) {
  Dim places = 1;
  for (StringRef word : some)
    places = places * shape[positionOf(word, words)];
  return places.constant().value_or(least) >= least;
}

/// One matrix after another is quicker; the lanes would run along the batch otherwise.
bool areMatrices(ContractOp op, const ContractSpec &spec) {
  Words batch = spec.batch(), rows = spec.rows(), columns = spec.columns(), summed = spec.summed();
  Shape result = shapeOf(op.getResult()), lhs = shapeOf(op.getLhs()), rhs = shapeOf(op.getRhs());
  if (!isIn(batch, lastOf(spec.result, result)) || summed.empty() || !spec.lone().empty())
    return false;
  Least least = leastOf[isIn(batch, lastOf(spec.lhs, lhs)) + isIn(batch, lastOf(spec.rhs, rhs))];
  return areMany(summed, spec.lhs, lhs, least.steps) && areMany(rows, spec.lhs, lhs, least.places) &&
         areMany(columns, spec.rhs, rhs, least.places);
}

/// The same words, those of the batch first.
Words batchFirst(const Words &words, const Words &batch) {
  Words order;
  for (bool isOfBatch : {true, false})
    llvm::copy_if(words, std::back_inserter(order),
                  [&](StringRef word) { return llvm::is_contained(batch, word) == isOfBatch; });
  return order;
}

/// A map of `tensor` whose indices, now `words`, stand in another order.
Value turned(OpBuilder &builder, Location loc, Value tensor, const Words &words, const Words &order) {
  auto extents = llvm::map_range(order, [&](StringRef word) { return shapeOf(tensor)[positionOf(word, words)]; });
  return MapOp::create(builder, loc, tensorOf(elementOf(tensor), Shape(extents)), tensor,
                       [&](OpBuilder &inner, Location at, ValueRange tensors, ValueRange indices) -> Value {
                         auto places = llvm::map_to_vector<4>(
                             words, [&](StringRef word) { return indices[positionOf(word, order)]; });
                         return LoadOp::create(inner, at, tensors[0], places);
                       });
}

void placeBatchFirst(ContractOp op, const ContractSpec &spec) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Words batch = spec.batch();
  ContractSpec other{spec.lhs, spec.rhs, batchFirst(spec.result, batch)};
  Value sides[] = {op.getLhs(), op.getRhs()};
  for (auto [side, words] : llvm::zip(sides, std::array{&other.lhs, &other.rhs}))
    if (isIn(batch, lastOf(*words, shapeOf(side)))) {
      Words order = batchFirst(*words, batch);
      side = turned(builder, loc, side, *words, order);
      *words = order;
    }
  auto extents = llvm::map_range(
      other.result, [&](StringRef word) { return shapeOf(op.getResult())[positionOf(word, spec.result)]; });
  Value product =
      ContractOp::create(builder, loc, tensorOf(elementOf(op.getResult()), Shape(extents)),
                         builder.getStringAttr(other.str()), sides[0], sides[1], IntegerAttr(), op.getAccumulateAttr());
  op.getResult().replaceAllUsesWith(turned(builder, loc, product, other.result, spec.result));
  op.erase();
}

struct PlaceBatchFirst : impl::PlaceBatchFirstBase<PlaceBatchFirst> {
  void runOnOperation() override {
    SmallVector<ContractOp> contractions;
    getOperation().walk([&](ContractOp op) { contractions.push_back(op); });
    for (ContractOp op : contractions) {
      std::string error;
      ContractSpec spec = *ContractSpec::parse(op.getSpec(), error);
      if (!op.getPanels() && areMatrices(op, spec))
        placeBatchFirst(op, spec);
    }
  }
};

} // namespace
} // namespace tenon
