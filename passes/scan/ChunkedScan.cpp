//===- ChunkedScan.cpp - a recurrence that was written in chunks --------------------------------===//
#include "passes/scan/ChunkedScan.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace tenon {
namespace {

using Names = std::map<std::string, Dim, std::less<>>;
/// Expressions that are not negative where a masked value counts.
using Guards = SmallVector<Dim, 4>;
using Factors = SmallVector<StepTree, 4>;

Names renamed(const Dim &from, const Dim &to) { return {{std::string(*from.asSymbol()), to}}; }

bool isOf(StepTree tree, const Dim &symbol) { return symbol.asSymbol() && dependsOn(tree, symbol); }

//===----------------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------------===//

/// A matrix of bits that is true from one diagonal on, or up to one.
struct DiagonalMask {
  int64_t diagonal; ///< row - column
  bool isFrom;

  static std::optional<DiagonalMask> of(Value tensor) {
    auto get = tensor.getDefiningOp<GetOp>();
    auto weight = get ? SymbolTable::lookupNearestSymbolFrom<WeightOp>(get, get.getWeightAttr()) : WeightOp();
    auto bits = weight ? dyn_cast<DenseElementsAttr>(weight.getValue()) : DenseElementsAttr();
    if (!bits || bits.getType().getRank() != 2 || !bits.getElementType().isInteger(1))
      return std::nullopt;
    int64_t columns = bits.getType().getDimSize(1), least = INT64_MAX, greatest = INT64_MIN;
    for (auto [place, bit] : llvm::enumerate(bits.getValues<bool>()))
      if (bit) {
        int64_t here = int64_t(place) / columns - int64_t(place) % columns;
        least = std::min(least, here);
        greatest = std::max(greatest, here);
      }
    for (DiagonalMask mask : {DiagonalMask{least, true}, DiagonalMask{greatest, false}})
      if (llvm::all_of(llvm::enumerate(bits.getValues<bool>()), [&](auto it) {
            int64_t here = int64_t(it.index()) / columns - int64_t(it.index()) % columns;
            return it.value() == (mask.isFrom ? here >= mask.diagonal : here <= mask.diagonal);
          }))
        return mask;
    return std::nullopt;
  }
};

class MaskReader {
public:
  explicit MaskReader(const IndexDomain &domain) : domain(domain) {}

  /// Adds what holds where `condition` is `wanted`; false where that is no conjunction of comparisons.
  bool read(StepTree condition, bool wanted, Guards &guards) const {
    if (condition->is<arith::XOrIOp>() && isTrue(condition->operands[1]))
      return read(condition->operands[0], !wanted, guards);
    if (wanted ? condition->is<arith::AndIOp>() : condition->is<arith::OrIOp>())
      return read(condition->operands[0], wanted, guards) && read(condition->operands[1], wanted, guards);
    if (condition->kind == StepNode::Load)
      return readMask(condition, wanted, guards);
    return condition->is<arith::CmpIOp>() && readComparison(condition, wanted, guards);
  }

  /// `tree` where its selects do not choose what `isMasked` says is nothing; the guards of that are added.
  StepTree unmasked(StepTree tree, function_ref<bool(double)> isMasked, Guards &guards) const {
    while (tree->is<arith::SelectOp>()) {
      auto isNothing = [&](StepTree side) { return side->number() && isMasked(*side->number()); };
      bool wanted = isNothing(tree->operands[2]);
      if ((!wanted && !isNothing(tree->operands[1])) || !read(tree->operands[0], wanted, guards))
        return nullptr;
      tree = tree->operands[wanted ? 1 : 2];
    }
    return tree;
  }

private:
  static bool isTrue(StepTree tree) {
    auto constant = tree->kind == StepNode::Constant ? dyn_cast<IntegerAttr>(tree->constant) : IntegerAttr();
    return constant && constant.getType().isInteger(1) && constant.getValue().isOne();
  }

  void add(const Dim &guard, Guards &guards) const {
    if (!domain.isNonNegative(guard))
      guards.push_back(domain.simplify(guard));
  }

  bool readComparison(StepTree compare, bool wanted, Guards &guards) const {
    using P = arith::CmpIPredicate;
    StepTree left = compare->operands[0], right = compare->operands[1];
    if (left->kind != StepNode::Index || right->kind != StepNode::Index)
      return false;
    P predicate = cast<arith::CmpIPredicateAttr>(compare->attributes.get("predicate")).getValue();
    const Dim &a = left->at[0], &b = right->at[0];
    switch (wanted ? predicate : arith::invertPredicate(predicate)) {
    case P::slt:
      return add(b - a - Dim(1), guards), true;
    case P::sle:
      return add(b - a, guards), true;
    case P::sgt:
      return add(a - b - Dim(1), guards), true;
    case P::sge:
      return add(a - b, guards), true;
    default:
      return false;
    }
  }

  bool readMask(StepTree load, bool wanted, Guards &guards) const {
    std::optional<DiagonalMask> mask = DiagonalMask::of(load->tensor);
    if (!mask)
      return false;
    Dim over = load->at[0] - load->at[1] - Dim(mask->diagonal);
    if (mask->isFrom)
      add(wanted ? over : -over - Dim(1), guards);
    else
      add(wanted ? -over : over - Dim(1), guards);
    return true;
  }

  const IndexDomain &domain;
};

//===----------------------------------------------------------------------------===//
// Sums and products
//===----------------------------------------------------------------------------===//

void addFactors(StepTree tree, Factors &factors) {
  if (!tree->is<arith::MulFOp>())
    return factors.push_back(tree);
  addFactors(tree->operands[0], factors);
  addFactors(tree->operands[1], factors);
}

Factors factorsOf(StepTree tree) {
  Factors factors;
  addFactors(tree, factors);
  return factors;
}

/// The one factor that `is`, taken out; null where there is none, or several.
StepTree taken(Factors &factors, function_ref<bool(StepTree)> is) {
  auto it = llvm::find_if(factors, is);
  if (it == factors.end() || llvm::count_if(factors, is) != 1)
    return nullptr;
  StepTree found = *it;
  factors.erase(it);
  return found;
}

/// The same factors in any order.
bool areSame(Factors a, ArrayRef<StepTree> b) {
  if (a.size() != b.size())
    return false;
  for (StepTree factor : b) {
    auto it = llvm::find_if(a, [&](StepTree other) { return isEqual(factor, other); });
    if (it == a.end())
      return false;
    a.erase(it);
  }
  return true;
}

bool areSame(const Guards &a, ArrayRef<Dim> b) {
  return a.size() == b.size() && llvm::all_of(b, [&](const Dim &guard) { return llvm::is_contained(a, guard); });
}

bool isNothingInSums(double number) { return number == 0; }
bool isNothingInExponents(double number) { return number <= -1000; } ///< exp is 0, also in float64.

bool isSumOfOne(StepTree tree) { return tree->kind == StepNode::Sum && tree->at.size() == 1; }

/// Σ value over `index` where the guards hold.
struct MaskedSum {
  Dim index;
  Guards guards;
  StepTree value;

  static std::optional<MaskedSum> of(StepTree tree, const MaskReader &masks) {
    if (!isSumOfOne(tree))
      return std::nullopt;
    MaskedSum sum{tree->at[0], {}, nullptr};
    sum.value = masks.unmasked(tree->operands[0], isNothingInSums, sum.guards);
    return sum.value ? std::optional(sum) : std::nullopt;
  }
};

/// exp(sum) where `guards` hold, elsewhere 0.
struct DecayMatrix {
  Guards guards;
  MaskedSum sum;

  static std::optional<DecayMatrix> of(StepTree exponential, const MaskReader &masks) {
    Guards guards;
    StepTree exponent = masks.unmasked(exponential->operands[0], isNothingInExponents, guards);
    std::optional<MaskedSum> sum = exponent ? MaskedSum::of(exponent, masks) : std::nullopt;
    return sum ? std::optional(DecayMatrix{guards, *sum}) : std::nullopt;
  }
};

bool isExponential(StepTree tree) { return tree->is<math::ExpOp>(); }

//===----------------------------------------------------------------------------===//
// The parts of y
//===----------------------------------------------------------------------------===//

class ChunkReader {
public:
  ChunkReader(StepTracer &tracer, ArrayRef<Dim> at) : tracer(tracer), domain(tracer.domain), masks(domain) {
    found.at.assign(at.begin(), at.end());
  }

  std::optional<ChunkedScan> read(StepTree diagonal, StepTree carriedOver) {
    if (!readDiagonal(diagonal) || !readCarriedOver(carriedOver) || !giveRoles())
      return std::nullopt;
    auto at = [&](StepTree tree, const Dim &from) { return tracer.substituted(tree, renamed(from, found.step)); };
    Type type = diagonal->type;
    found.query = tracer.product(type, queries);
    found.key = at(tracer.product(type, keys), source);
    found.value = at(tracer.product(type, values), source);
    found.logDecay = at(decayed, place);
    return found;
  }

private:
  Dim extentOf(const Dim &symbol) const { return domain.extentOf(*symbol.asSymbol()); }
  bool haveExtent(ArrayRef<Dim> symbols, const Dim &extent) const {
    return llvm::all_of(symbols, [&](const Dim &symbol) { return extentOf(symbol) == extent; });
  }
  bool isIndexOfResult(const Dim &dim) const { return dim.asSymbol() && llvm::is_contained(found.at, dim); }

  /// The index i of y for which `guards` are i >= k and k > from, and `outer` says from <= i.
  std::optional<Dim> endOf(const DecayMatrix &decay, const Dim &from) const {
    const Dim &k = decay.sum.index;
    for (const Dim &guard : decay.sum.guards) {
      Dim end = guard + k;
      if (isIndexOfResult(end) && areSame(decay.sum.guards, {end - k, k - from - Dim(1)}) &&
          areSame(decay.guards, {end - from}))
        return end;
    }
    return std::nullopt;
  }

  /// Σ_s (Σ_n C B) exp(A(s, l]) X
  bool readDiagonal(StepTree tree) {
    if (!isSumOfOne(tree))
      return false;
    source = tree->at[0];
    Factors factors = factorsOf(tree->operands[0]);
    StepTree exponential = taken(factors, isExponential);
    std::optional<DecayMatrix> decay = exponential ? DecayMatrix::of(exponential, masks) : std::nullopt;
    std::optional<Dim> end = decay ? endOf(*decay, source) : std::nullopt;
    StepTree score = end ? taken(factors, isSumOfOne) : nullptr;
    if (!score)
      return false;
    found.step = *end;
    found.depth = score->at[0];
    place = decay->sum.index;
    decayed = decay->sum.value;
    if (!haveExtent({source, place}, extentOf(found.step)) || isOf(decayed, source) || isOf(decayed, found.step))
      return false;
    for (StepTree factor : factorsOf(score->operands[0])) {
      if (isOf(factor, found.step) == isOf(factor, source))
        return false;
      (isOf(factor, source) ? keys : queries).push_back(factor);
    }
    values = factors;
    return !queries.empty() && !keys.empty() && !values.empty() &&
           llvm::none_of(values, [&](StepTree factor) { return isOf(factor, found.step); });
  }

  /// (Σ_n C start) exp(A of all up to l)
  bool readCarriedOver(StepTree tree) {
    Factors factors = factorsOf(tree);
    StepTree exponential = taken(factors, isExponential), read = taken(factors, isSumOfOne);
    if (!exponential || !read || !factors.empty() || !isUpTo(exponential->operands[0], found.step))
      return false;
    const Dim &n = read->at[0];
    Factors inner = factorsOf(read->operands[0]);
    StepTree start = taken(inner, isSumOfOne);
    return start && extentOf(n) == extentOf(found.depth) &&
           areSame(substituted(inner, renamed(n, found.depth)), queries) &&
           readStart(tracer.substituted(start, renamed(n, found.depth)));
  }

  /// What `state` is behind number 0, which is what the first chunk finds; null where it does not say.
  StepTree behindFirst(StepTree state, const Dim &z) {
    for (bool wanted : {true, false}) {
      Guards guards;
      if (!state->is<arith::SelectOp>() || !masks.read(state->operands[0], wanted, guards) ||
          !areSame(guards, {z - Dim(1)}))
        continue;
      StepTree first = state->operands[wanted ? 2 : 1];
      if (isOf(first, z) || hasSum(first) || (first->number() && first->number() != 0.0))
        return nullptr;
      found.initial = first->number() ? nullptr : first;
      return state->operands[wanted ? 1 : 2];
    }
    return nullptr;
  }

  /// Σ_z exp(decays of the chunks between) state(z - 1), of which number 0 is given.
  bool readStart(StepTree start) {
    const Dim &z = start->at[0];
    Factors factors = factorsOf(start->operands[0]);
    StepTree exponential = taken(factors, isExponential);
    std::optional<DecayMatrix> decay = exponential ? DecayMatrix::of(exponential, masks) : std::nullopt;
    if (!decay || factors.size() != 1)
      return false;
    const Dim k = decay->sum.index;
    llvm::erase(decay->sum.guards, k - Dim(1)); // follows from k > z
    std::optional<Dim> end = endOf(*decay, z);
    StepTree state = end && *end != found.step ? behindFirst(factors[0], z) : nullptr;
    if (!state)
      return false;
    found.chunk = *end;
    Dim chunks = extentOf(found.chunk), before = domain.addIndex(chunks);
    bool isGiven = !found.initial || (!isOf(found.initial, found.chunk) && !isOf(found.initial, found.step));
    if (!haveExtent({z, k}, chunks + Dim(1)) || !isGiven)
      return false;
    StepTree all = tracer.substituted(decay->sum.value, renamed(k, before + Dim(1)));
    return isOfAll(all, before) && readState(tracer.substituted(state, renamed(z, before + Dim(1))), before);
  }

  /// Σ_m B exp(A of all - A of all up to m) X of chunk `chunk`
  bool readState(StepTree state, const Dim &chunk) {
    if (!isSumOfOne(state))
      return false;
    const Dim &m = state->at[0];
    Factors factors = factorsOf(state->operands[0]);
    StepTree exponential = taken(factors, isExponential);
    StepTree rest = exponential ? exponential->operands[0] : nullptr;
    if (!rest || !rest->is<arith::SubFOp>() || !isOfAll(rest->operands[0], chunk) ||
        !isUpTo(rest->operands[1], m, chunk))
      return false;
    Factors written = keys;
    llvm::append_range(written, values);
    Names names = renamed(found.chunk, chunk);
    names[std::string(*source.asSymbol())] = m;
    return extentOf(m) == extentOf(found.step) && areSame(factors, substituted(written, names));
  }

  /// The sum of the logarithms up to step `end` of a chunk, by default the one of y.
  bool isUpTo(StepTree tree, const Dim &end, std::optional<Dim> chunk = std::nullopt) {
    std::optional<MaskedSum> sum = MaskedSum::of(tree, masks);
    return sum && areSame(sum->guards, {end - sum->index}) && isDecay(*sum, chunk);
  }
  bool isOfAll(StepTree tree, const Dim &chunk) {
    std::optional<MaskedSum> sum = MaskedSum::of(tree, masks);
    return sum && sum->guards.empty() && isDecay(*sum, chunk);
  }
  bool isDecay(const MaskedSum &sum, std::optional<Dim> chunk) {
    Names names = renamed(place, sum.index);
    if (chunk)
      names[std::string(*found.chunk.asSymbol())] = *chunk;
    return extentOf(sum.index) == extentOf(found.step) && isEqual(tracer.substituted(decayed, names), sum.value);
  }

  Factors substituted(ArrayRef<StepTree> factors, const Names &names) {
    return llvm::map_to_vector<4>(factors, [&](StepTree factor) { return tracer.substituted(factor, names); });
  }

  /// The column is the index of y that the values alone know; what is left has states.
  bool giveRoles() {
    std::optional<Dim> column;
    for (const Dim &index : found.at) {
      if (index == Dim(0) || index == found.chunk || index == found.step)
        continue;
      auto knows = [&](ArrayRef<StepTree> factors) {
        return llvm::any_of(factors, [&](StepTree factor) { return isOf(factor, index); });
      };
      if (knows(queries) || knows(keys) || isOf(decayed, index) || !knows(values))
        found.states.push_back(index);
      else if (column)
        return false;
      else
        column = index;
    }
    found.column = column.value_or(Dim(0));
    return column && found.states.size() <= 2 && !found.states.empty();
  }

  StepTracer &tracer;
  IndexDomain &domain;
  MaskReader masks;
  ChunkedScan found;
  Factors queries, keys, values; ///< C at l, B and X at `source`.
  Dim source, place;             ///< s, and k of `decayed`.
  StepTree decayed = nullptr;    ///< a(c, k)
};

bool isFloat(StepTree tree) { return tree->type.isF32() || tree->type.isF64(); }

} // namespace

std::optional<ChunkedScan> ChunkedScan::match(MapOp sum, StepTracer &tracer) {
  SmallVector<Dim, 4> at = llvm::map_to_vector<4>(shapeOf(sum.getResult()), [&](const Dim &extent) {
    return extent == Dim(1) ? Dim(0) : tracer.domain.addIndex(extent);
  });
  auto isShared = [&](Value tensor) {
    Operation *op = tensor.getDefiningOp();
    bool isMask = elementOf(tensor).isInteger(1); // layers share masks
    return op != sum && !isMask && !isa<ContractOp, ReduceOp>(op) && !tensor.hasOneUse();
  };
  StepTree tree = tracer.element(sum.getResult(), at, {{}, isShared});
  if (!tree || !tree->is<arith::AddFOp>() || !isFloat(tree))
    return std::nullopt;
  StepTree a = tree->operands[0], b = tree->operands[1];
  if (std::optional<ChunkedScan> scan = ChunkReader(tracer, at).read(a, b))
    return scan;
  return ChunkReader(tracer, at).read(b, a);
}

} // namespace tenon
