//===- SinkInterpolations.cpp - channels are mixed before a map makes rows more ----------------------===//
//
// Worked example, the head of SegFormer, and of pyramids that are resized, joined and mixed:
//
//     u_i = resize(x_i P_i + p_i)                    four tensors of 256 channels, each of 64 x 64 pixels
//     y = concat(u_0, u_1, u_2, u_3) W               4096 rows of 1024 channels by 256
//
// A resize is a sum of pixels with factors that no channel changes, so it commutes with what mixes channels, and the
// product of parts side by side is the sum of the parts' products with slices of the matrix:
//
//     y = Σ_i resize(x_i (P_i W_i) + p_i W_i)        products at the resolution of each x_i, P_i W_i a weight
//
// Rule. Of an operand, a dim is summed with a weight [k, n]. The operand is a map of one reader that is a sum along
// that dim (`SumsAlongDim.h`). Its terms' tensors that are products with a weight of the same dim take the matrix as a
// product of weights, small tables are multiplied by it for good, a reshape hands it on where the dim stays one.
//
// Costs a walk from each product to where it meets something else. It is done where at most three quarters of the work
// remain, of products alone and with the maps between them. Equal in real arithmetic. In float32 the bound of the error
// is that of the products in turn, Σ |x| |P| |W| times a multiple of the rounding unit: products of weights are summed
// in float64 and rounded once.
//
// Limits. Constant summands (a padding that is not zero), weights that are not float32, a part of a tensor's channels.
//
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Passes.h"
#include "passes/fusion/SumsAlongDim.h"
#include "passes/layout/WeightRecipes.h"
#include <map>

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_SINKINTERPOLATIONS
#include "passes/Passes.h.inc"

namespace {

/// What remains of the work, at most.
constexpr double worthwhile = 0.75;
constexpr double never = std::numeric_limits<double>::infinity();

/// Elements, where what a run brings is a number like any other; 0 where that is too small.
double sizeOf(ArrayRef<Dim> shape) {
  constexpr int64_t assumed = 1024;
  Dim count = countOf(shape);
  std::map<std::string, int64_t, std::less<>> values;
  for (const std::string &symbol : count.symbols())
    values[symbol] = assumed;
  std::optional<int64_t> size = count.evaluate(values);
  return size ? std::max(double(*size), 0.0) : never;
}

bool isFloat32(ContractOp op) {
  return elementOf(op.getLhs()).isF32() && elementOf(op.getRhs()).isF32() && elementOf(op.getResult()).isF32();
}

//===----------------------------------------------------------------------------===//
// A tensor times a matrix along one dim, wherever that is least work
//===----------------------------------------------------------------------------===//

struct Work {
  double multiplications = 0; ///< Of products.
  double terms = 0;           ///< Summands of maps.

  /// A summand takes as long as so many multiplications: SegFormer-B0's resizes have 4 a ns, its products 116 (Zen 5,
  /// one thread).
  static constexpr double multiplicationsOfTerm = 24;
  double total() const { return multiplications + multiplicationsOfTerm * terms; }

  Work &operator+=(const Work &other) {
    multiplications += other.multiplications;
    terms += other.terms;
    return *this;
  }
};

struct Cost {
  Work multiplied{never}; ///< The tensor times the matrix.
  Work alone;             ///< The tensor, as far as it need not be once the matrix is further in front.
  bool isSunk = false;    ///< Whether `multiplied` is with the matrix further in front.
};

class Multiplier {
public:
  Multiplier(ContractOp op, WeightOp matrix, WeightRecipes &recipes)
      : op(op), matrix(matrix), recipes(recipes), builder(op), columns(sizesOf(matrix)[1]) {}

  /// Where the product stands now.
  Work workBefore(unsigned dim) {
    Work work{sizeOf(shapeOf(op.getLhs())) * columns};
    return work += costOf(op.getLhs(), dim).alone;
  }

  /// The same whenever it is asked.
  const Cost &costOf(Value tensor, unsigned dim) {
    auto [cost, isNew] = costs.try_emplace({tensor.getAsOpaquePointer(), dim});
    if (isNew) {
      ++depth;
      cost->second = computeCost(tensor, dim);
      --depth;
    }
    return cost->second;
  }

  Value multiply(unsigned dim) { return multiply(op.getLhs(), dim, matrix); }

private:
  /// Maps and reshapes one behind the other, each a call within a call.
  static constexpr unsigned mostNested = 64;
  /// Elements of a table times the matrix, which is another table in the artifact.
  static constexpr double mostTableElements = 1 << 16;
  /// Multiplications to compute a product of two weights: seconds of one core.
  static constexpr double mostWeightMultiplications = 1LL << 33;

  Cost computeCost(Value tensor, unsigned dim) {
    if (auto get = tensor.getDefiningOp<GetOp>())
      return {{isSmallTable(get, dim) ? 0 : never}, {}, false};
    double size = sizeOf(shapeOf(tensor)), extent = double(*shapeOf(tensor)[dim].constant());
    Cost further = costFurther(tensor, dim);
    Work here{size * columns};
    here += further.alone;
    if (dim + 1 != shapeOf(tensor).size())
      here.terms += size + size / extent * columns; // turned, and back
    bool isSunk = further.multiplied.total() < here.total();
    return {isSunk ? further.multiplied : here, further.alone, isSunk};
  }

  /// With the matrix in front of what the tensor is made by; `never` where that cannot be.
  Cost costFurther(Value tensor, unsigned dim) {
    Operation *maker = tensor.getDefiningOp();
    if (!maker || depth > mostNested || maker->getBlock() != op->getBlock()) // a loop would do again what was done once
      return {};
    bool isOnlyReader = tensor.hasOneUse();
    if (auto product = dyn_cast<ContractOp>(maker); product && givesRows(product, dim)) {
      double size = sizeOf(shapeOf(product.getLhs()));
      return {{size * columns}, {isOnlyReader ? size * double(sizesOf(weightOf(product))[1]) : 0}, true};
    }
    if (auto reshape = dyn_cast<ReshapeOp>(maker); reshape && isOnlyReader)
      if (std::optional<unsigned> before = dimBefore(reshape, dim))
        return costOf(reshape.getInput(), *before);
    if (auto map = dyn_cast<MapOp>(maker); map && isOnlyReader)
      return costOfMap(map, dim);
    return {};
  }

  Cost costOfMap(MapOp map, unsigned dim) {
    Cost cost{{}, {}, true};
    Shape shape = shapeOf(map.getResult());
    double rows = sizeOf(shape) / double(*shape[dim].constant());
    std::vector<SumAlongDim> pieces = piecesOf(map, dim);
    if (pieces.empty())
      return {};
    for (const SumAlongDim &piece : pieces) {
      double terms = rows * piece.countTerms();
      cost.multiplied.terms += terms * columns;
      cost.alone.terms += terms * double(piece.getEnd() - piece.getBegin());
      for (auto [tensor, at] : piece.getTensors()) {
        const Cost &input = costOf(inputOf(map, tensor), at);
        cost.multiplied += input.multiplied;
        cost.alone += input.alone;
      }
    }
    return cost;
  }

  /// The tensor with `dim` multiplied by a part of the matrix, [k, n]: n stands where k stood.
  Value multiply(Value tensor, unsigned dim, WeightOp part) {
    if (auto get = tensor.getDefiningOp<GetOp>())
      return multiplyTable(get, dim, part);
    if (!costOf(tensor, dim).isSunk)
      return multiplyHere(tensor, dim, part, op.getLoc());
    Operation *maker = tensor.getDefiningOp();
    Location loc = builder.getFusedLoc({maker->getLoc(), op.getLoc()});
    if (auto reshape = dyn_cast<ReshapeOp>(maker))
      return reshapeTo(builder, loc, multiply(reshape.getInput(), *dimBefore(reshape, dim), part),
                       withColumns(shapeOf(tensor), dim));
    if (auto product = dyn_cast<ContractOp>(maker))
      return multiplyHere(product.getLhs(), shapeOf(product.getLhs()).size() - 1,
                          recipes.product(weightOf(product), part), loc);
    return multiplyMap(cast<MapOp>(maker), dim, part, loc);
  }

  /// Those that are not zero.
  static std::vector<SumAlongDim> piecesOf(MapOp map, unsigned dim) {
    std::vector<SumAlongDim> pieces = sumsAlongDim(map, dim);
    llvm::erase_if(pieces, [](const SumAlongDim &piece) { return piece.getTensors().empty(); });
    return pieces;
  }

  Value multiplyMap(MapOp map, unsigned dim, WeightOp part, Location loc) {
    std::vector<SumAlongDim> pieces = piecesOf(map, dim);
    SmallVector<Value> inputs(map.getInputs());
    SmallVector<llvm::DenseMap<Value, unsigned>> places; // of each piece's tensors, multiplied, among the inputs
    for (const SumAlongDim &piece : pieces) {
      WeightOp rows = recipes.slice(part, 0, piece.getBegin(), piece.getEnd() - piece.getBegin());
      auto &place = places.emplace_back();
      for (auto [tensor, at] : piece.getTensors()) {
        place[tensor] = inputs.size();
        inputs.push_back(multiply(inputOf(map, tensor), at, rows));
      }
    }
    auto type = tensorOf(elementOf(map.getResult()), withColumns(shapeOf(map.getResult()), dim));
    return MapOp::create(
        builder, loc, type, inputs, [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
          Value sum;
          for (auto [piece, place] : llvm::zip(pieces, places)) {
            llvm::DenseMap<Value, Value> multiplied;
            for (auto [tensor, number] : place)
              multiplied[tensor] = tensors[number];
            Value element = piece.emit(b, tensors.take_front(map.getInputs().size()), indices, multiplied);
            sum = sum ? arith::AddFOp::create(b, at, sum, element).getResult() : element;
          }
          return sum;
        });
  }

  /// A weight of any dims, as one more weight.
  Value multiplyTable(GetOp get, unsigned dim, WeightOp part) {
    WeightOp table = recipes.lookup(get);
    ArrayRef<int64_t> sizes = sizesOf(table);
    SmallVector<unsigned> order = lastOf(sizes.size(), dim);
    SmallVector<unsigned> inverse = inverseOf(order);
    SmallVector<int64_t> last(order.begin(), order.end()), back(inverse.begin(), inverse.end()), turned;
    for (int64_t d : last)
      turned.push_back(d == int64_t(dim) ? columns : sizes[d]);
    WeightOp flat = recipes.reshape(recipes.transpose(table, last), {llvm::product_of(sizes) / sizes[dim], sizes[dim]});
    WeightOp product = recipes.reshape(recipes.product(flat, part), turned);
    return WeightRecipes::get(builder, op.getLoc(), recipes.transpose(product, back));
  }

  /// A product whose columns are last, of a tensor whose channels are.
  Value multiplyHere(Value tensor, unsigned dim, WeightOp part, Location loc) {
    Shape shape = shapeOf(tensor);
    SmallVector<unsigned> order = lastOf(shape.size(), dim);
    bool isLast = dim + 1 == shape.size();
    Value rows = isLast ? tensor : turn(tensor, order, loc);
    std::string words;
    for (unsigned d = 0; d + 1 < shape.size(); ++d)
      words += "m" + std::to_string(d) + " ";
    Value product =
        ContractOp::create(builder, loc, tensorOf(elementOf(tensor), withColumns(shapeOf(rows), shape.size() - 1)),
                           builder.getStringAttr(words + "k, k n -> " + words + "n"), rows,
                           WeightRecipes::get(builder, loc, part), IntegerAttr(), op.getAccumulateAttr());
    return isLast ? product : turn(product, inverseOf(order), loc);
  }

  /// The tensor whose dim number i is this one's dim number order[i].
  Value turn(Value tensor, ArrayRef<unsigned> order, Location loc) {
    Shape from = shapeOf(tensor), to;
    for (unsigned d : order)
      to.push_back(from[d]);
    return MapOp::create(builder, loc, tensorOf(elementOf(tensor), to), tensor,
                         [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
                           SmallVector<Value> place(order.size());
                           for (auto [n, d] : llvm::enumerate(order))
                             place[d] = indices[n];
                           return LoadOp::create(b, at, tensors[0], place);
                         });
  }

  static Value inputOf(MapOp map, Value argument) {
    return map.getInputs()[cast<BlockArgument>(argument).getArgNumber()];
  }

  static ArrayRef<int64_t> sizesOf(WeightOp weight) { return cast<RankedTensorType>(weight.getType()).getShape(); }
  WeightOp weightOf(ContractOp product) { return recipes.lookup(product.getRhs().getDefiningOp<GetOp>()); }

  Shape withColumns(Shape shape, unsigned dim) const {
    shape[dim] = Dim(columns);
    return shape;
  }

  /// The dims in order but for one, which is last.
  static SmallVector<unsigned> lastOf(size_t rank, unsigned dim) {
    SmallVector<unsigned> order;
    for (unsigned d = 0; d < rank; ++d)
      if (d != dim)
        order.push_back(d);
    order.push_back(dim);
    return order;
  }

  static SmallVector<unsigned> inverseOf(ArrayRef<unsigned> order) {
    SmallVector<unsigned> inverse(order.size());
    for (auto [at, d] : llvm::enumerate(order))
      inverse[d] = at;
    return inverse;
  }

  /// The dim of a reshape's operand that is dim `dim` of its result, where it is one.
  static std::optional<unsigned> dimBefore(ReshapeOp reshape, unsigned dim) {
    Shape from = shapeOf(reshape.getInput()), to = shapeOf(reshape.getResult());
    Dim before = countOf(ArrayRef<Dim>(to).take_front(dim));
    for (unsigned d = 0; d < from.size(); ++d)
      if (from[d] == to[dim] && countOf(ArrayRef<Dim>(from).take_front(d)) == before)
        return d;
    return std::nullopt;
  }

  bool isSmallTable(GetOp get, unsigned dim) {
    ArrayRef<int64_t> sizes = sizesOf(recipes.lookup(get));
    double multiplications = double(llvm::product_of(sizes)) * columns;
    return multiplications <= mostWeightMultiplications && multiplications / double(sizes[dim]) <= mostTableElements;
  }

  /// "… k, k n -> … n" of float32 with a weight, n the dim that is asked for.
  bool givesRows(ContractOp product, unsigned dim) {
    std::string error;
    std::optional<ContractSpec> spec = ContractSpec::parse(product.getSpec(), error);
    if (!spec || product.getPanels() || !product.getRhs().getDefiningOp<GetOp>() || !isFloat32(product) ||
        product.getAccumulateAttr() != op.getAccumulateAttr() || spec->rhs.size() != 2 || spec->lhs.empty() ||
        dim + 1 != spec->result.size() || spec->lhs.size() != spec->result.size())
      return false;
    ArrayRef<int64_t> sizes = sizesOf(weightOf(product));
    return ArrayRef(spec->lhs).drop_back() == ArrayRef(spec->result).drop_back() && spec->lhs.back() == spec->rhs[0] &&
           spec->result.back() == spec->rhs[1] && !llvm::is_contained(ArrayRef(spec->lhs).drop_back(), spec->rhs[1]) &&
           double(sizes[0]) * double(sizes[1]) * columns <= mostWeightMultiplications;
  }

  ContractOp op;
  WeightOp matrix;
  WeightRecipes &recipes;
  OpBuilder builder;
  double columns;
  unsigned depth = 0;
  std::map<std::pair<void *, unsigned>, Cost> costs;
};

//===----------------------------------------------------------------------------===//
// The products of a function
//===----------------------------------------------------------------------------===//

/// The dim of a product's left operand that is summed with a weight [k, n], n in its place in the result.
std::optional<unsigned> summedDim(ContractOp op) {
  std::string error;
  std::optional<ContractSpec> spec = ContractSpec::parse(op.getSpec(), error);
  if (!spec || op.getPanels() || !op.getRhs().getDefiningOp<GetOp>() || !isFloat32(op) || spec->rhs.size() != 2 ||
      !spec->batch().empty() || !spec->lone().empty() || spec->summed().size() != 1 || spec->columns().size() != 1 ||
      spec->rhs[0] != spec->summed()[0])
    return std::nullopt;
  int dim = positionOf(spec->rhs[0], spec->lhs);
  ContractSpec::Indices inPlace = spec->lhs;
  inPlace[dim] = spec->rhs[1];
  if (inPlace != spec->result || shapeOf(op.getLhs())[dim].constant().value_or(0) == 0)
    return std::nullopt;
  return dim;
}

struct SinkInterpolations : impl::SinkInterpolationsBase<SinkInterpolations> {
  void runOnOperation() override {
    WeightRecipes recipes(getOperation());
    SmallVector<ContractOp> products;
    getOperation().walk([&](ContractOp op) { products.push_back(op); });
    bool hasSunk = false;
    for (ContractOp op : products)
      if (std::optional<unsigned> dim = summedDim(op))
        hasSunk |= sink(op, *dim, recipes);
    if (!hasSunk)
      return;
    RewritePatternSet dropUnused(&getContext());
    MapOp::getCanonicalizationPatterns(dropUnused, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(dropUnused))))
      signalPassFailure();
  }

  bool sink(ContractOp op, unsigned dim, WeightRecipes &recipes) {
    Multiplier multiplier(op, recipes.lookup(op.getRhs().getDefiningOp<GetOp>()), recipes);
    Work before = multiplier.workBefore(dim), after = multiplier.costOf(op.getLhs(), dim).multiplied;
    double share = after.total() / before.total();
    // Terms alone are no reason: a product takes in a map of as many elements as it reads.
    if (!(share < worthwhile && after.multiplications < worthwhile * before.multiplications))
      return false;
    auto options = remark::RemarkOpts::name("interpolation").category(getArgument());
    remark::passed(op.getLoc(), options) << remark::add("the matrix is multiplied further in front: {0} % of the work",
                                                        unsigned(100 * share));
    op.getResult().replaceAllUsesWith(multiplier.multiply(dim));
    op.erase();
    return true;
  }
};

} // namespace
} // namespace tenon
