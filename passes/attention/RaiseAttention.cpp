//===- RaiseAttention.cpp - softmax between two contractions is attention --------------===//
//
// From the softmax outward, by what the operations mean and never by their names or order:
// back to the product of query and key, forward to the product with the values.
//
#include "dialects/tenon/AttentionLayout.h"
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/attention/ElementTrace.h"
#include "passes/attention/RowShift.h"
#include "passes/attention/SinkKeys.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/Passes.h.inc"

namespace {

//===----------------------------------------------------------------------------===//
// What reaches what
//===----------------------------------------------------------------------------===//

/// The contractions a tensor is computed from by maps and reshapes alone, nearest first.
void collectContractions(Value tensor, llvm::SetVector<ContractOp> &found) {
  Operation *op = tensor.getDefiningOp();
  if (auto contract = dyn_cast_or_null<ContractOp>(op))
    found.insert(contract);
  else if (isa_and_nonnull<MapOp, ReshapeOp>(op))
    for (Value operand : op->getOperands())
      collectContractions(operand, found);
}

/// The ops other than maps and reshapes that a tensor reaches through maps and reshapes.
void collectReaders(Value tensor, llvm::SetVector<Operation *> &readers) {
  for (Operation *user : tensor.getUsers()) {
    if (isa<MapOp, ReshapeOp>(user))
      collectReaders(user->getResult(0), readers);
    else
      readers.insert(user);
  }
}

/// All that a tensor is used for is to compute `reader`.
bool isOnlyFor(Value tensor, Operation *reader) {
  llvm::SetVector<Operation *> readers;
  collectReaders(tensor, readers);
  return readers.size() == 1 && readers.front() == reader;
}

/// Replaces `%h floordiv c` by a new index of the quotient's range: the key head of query head h.
Dim withKeyHead(const Dim &dim, const Dim &h, const Dim &groups, const Dim &keyHead) {
  Dim sum(0);
  for (const Dim::Term &term : dim.terms()) {
    Dim product(term.coefficient);
    for (const Dim::AtomPtr &factor : term.factors) {
      bool isKeyHead =
          factor->kind == Dim::AtomKind::FloorDiv && factor->operands[0] == h && factor->operands[1] == groups;
      Dim copy = factor->kind == Dim::AtomKind::Symbol ? Dim::symbol(factor->name) : Dim();
      if (!isKeyHead && factor->kind != Dim::AtomKind::Symbol)
        return dim;
      product = product * (isKeyHead ? keyHead : copy);
    }
    sum = sum + product;
  }
  return sum;
}

/// The c of the first `%h floordiv c` in an expression.
std::optional<Dim> groupSizeIn(const Dim &dim, const Dim &h) {
  for (const Dim::Term &term : dim.terms())
    for (const Dim::AtomPtr &factor : term.factors)
      if (factor->kind == Dim::AtomKind::FloorDiv && factor->operands[0] == h)
        return factor->operands[1];
  return std::nullopt;
}

/// A tensor, the dims it is read under, and their order.
struct AttentionOperand {
  Value tensor;
  Shape shape;
  std::string layout;
  double scale = 1.0;
  bool wantsCopy = false; ///< No tensor behind it has rows a constant distance apart.
  bool isMoved = false;   ///< Nor is it the furthest of them: elements are moved first.
};

//===----------------------------------------------------------------------------===//
// Which dimension is what
//===----------------------------------------------------------------------------===//

/// The softmax's dimensions other than the keys. Several that are one role are numbered row by row.
struct Naming {
  SmallVector<unsigned> batch, heads, queries;
};

/// What the dimensions may be, by queries; of those with the same, the one that moves fewest operands is taken.
///
/// | softmax over j of | is tried as |
/// |---|---|
/// | [b, h, i, j], [b, g, r, i, j] | the first is the batch, the last the queries, between them heads |
/// | [b, w, h, i, j], in windows | then the first two are the batch, … |
/// | [b, h, y, i, j], along an axis | then one of the others is the heads |
/// | [b, i, h, j], keys without heads | the last two are queries, where there are more of the first than known |
/// | [i, j, b, h] | then any other one is the queries |
SmallVector<SmallVector<Naming>> namingsOf(SoftmaxOp softmax) {
  Shape shape = shapeOf(softmax.getResult());
  unsigned rank = shape.size(), keys = softmax.getOver();
  SmallVector<SmallVector<unsigned>> queries;
  auto add = [&](ArrayRef<unsigned> dims) {
    if (!llvm::is_contained(queries, dims))
      queries.emplace_back(dims);
  };
  bool hasRowsOfHeads = keys + 1 == rank && rank >= 3;
  if (hasRowsOfHeads && shape[keys - 1].isConstant() && !shape[keys - 2].isConstant())
    add({keys - 2, keys - 1});
  add({keys + 1 == rank ? keys - 1 : rank - 1});
  if (hasRowsOfHeads)
    add({keys - 2, keys - 1});
  for (unsigned d = 0; d < rank; ++d)
    if (d != keys)
      add({d});
  SmallVector<SmallVector<Naming>> namings;
  for (ArrayRef<unsigned> rows : queries) {
    SmallVector<unsigned> others;
    for (unsigned d = 0; d < rank; ++d)
      if (d != keys && !llvm::is_contained(rows, d))
        others.push_back(d);
    namings.emplace_back();
    auto take = [&](ArrayRef<unsigned> batch, ArrayRef<unsigned> heads) {
      namings.back().push_back({SmallVector<unsigned>(batch), SmallVector<unsigned>(heads), SmallVector<unsigned>(rows)});
    };
    for (unsigned lead = std::min<unsigned>(1, others.size()); lead <= others.size(); ++lead)
      take(ArrayRef(others).take_front(lead), ArrayRef(others).drop_front(lead));
    for (unsigned heads = 1; heads + 1 < others.size(); ++heads) {
      SmallVector<unsigned> batch(others);
      batch.erase(batch.begin() + heads);
      take(batch, others[heads]);
    }
  }
  return namings;
}

//===----------------------------------------------------------------------------===//
// One attention
//===----------------------------------------------------------------------------===//

class Raiser {
public:
  Raiser(SoftmaxOp softmax, ContractOp scores, ContractOp product, Naming naming)
      : softmax(softmax), scores(scores), product(product), naming(std::move(naming)), roles(domainOf(softmax)),
        builder(product),
        loc(FusedLoc::get(softmax.getContext(), {scores.getLoc(), softmax.getLoc(), product.getLoc()})) {}

  /// False if this is no attention; `reason` then says why.
  bool match() {
    nameRoles();
    if (!matchScores() || !matchProduct())
      return false;
    Type type = scoreType();
    ElementTrace trace(roles, captures, loc);
    double scale = query.scale * key.scale;
    return (trace.build(score, type, softmax.getInput(), at, scores.getResult(), scale) &&
            trace.build(weight, type, weights, weightsAt, softmax.getResult(), 1.0, elementOf(weights))) ||
           fail("what stands between the contractions is not arithmetic");
  }

  /// How many operands have to be moved in memory first.
  unsigned movedOperands() const {
    return llvm::count_if(ArrayRef{&query, &key, &value},
                          [](const AttentionOperand *operand) { return operand->isMoved || operand->wantsCopy; });
  }

  StringRef getReason() const { return reason; }

private:
  bool fail(StringRef why) {
    reason = why;
    return false;
  }

  Type scoreType() const {
    Type element = elementOf(query.tensor);
    return element.isF64() ? element : Float32Type::get(element.getContext());
  }

  void nameRoles() {
    at.resize(shapeOf(softmax.getResult()).size());
    roles.hasBatch = !naming.batch.empty();
    roles.hasHeads = !naming.heads.empty();
    if (roles.hasBatch)
      roles.b = nameRole(naming.batch);
    if (roles.hasHeads)
      roles.h = nameRole(naming.heads);
    roles.i = nameRole(naming.queries);
    at[softmax.getOver()] = roles.j = roles.domain.addIndex(shapeOf(softmax.getResult())[softmax.getOver()]);
    addDigits(roles.b, naming.batch);
    addDigits(roles.i, naming.queries);
  }

  /// Several dimensions of a role (a group of query heads per key head) are one index, split.
  Dim nameRole(ArrayRef<unsigned> dims) {
    Shape shape = shapeOf(softmax.getResult());
    Dim count(1);
    for (unsigned d : dims)
      count *= shape[d];
    Dim role = roles.domain.addIndex(count);
    for (unsigned k = 0; k < dims.size(); ++k) {
      Dim below(1);
      for (unsigned d : dims.drop_front(k + 1))
        below *= shape[d];
      Dim digit = role.floorDiv(below);
      at[dims[k]] = roles.domain.simplify(k == 0 ? digit : digit.mod(shape[dims[k]]));
    }
    return role;
  }

  /// Operands are split by an index for each dimension; where those stand side by side they are the role again.
  void addDigits(const Dim &role, ArrayRef<unsigned> dims) {
    if (dims.size() < 2)
      return;
    Digits digits{role, {}};
    Dim number(0);
    for (unsigned d : dims) {
      Dim extent = shapeOf(softmax.getResult())[d];
      digits.symbols.push_back(roles.domain.addIndex(extent));
      number = number * extent + digits.symbols.back();
    }
    numberOf.emplace(*role.asSymbol(), number);
    digitsOf.push_back(std::move(digits));
  }

  //===--------------------------------------------------------------------------===//
  // The product of query and key
  //===--------------------------------------------------------------------------===//

  bool matchScores() {
    auto access = accessOf(softmax.getInput(), at, scores.getResult(), roles.domain);
    if (!access)
      return fail("the scores are not read at one place each");
    std::string error;
    ContractSpec spec = *ContractSpec::parse(scores.getSpec(), error);
    auto summed = spec.summed();
    if (summed.size() != 1 || !spec.lone().empty() || scores.getPanels() || !isa<FloatType>(elementOf(scores.getLhs())))
      return fail("the scores do not sum over one index of queries and keys");
    llvm::StringMap<Dim> indexOf;
    for (auto [word, dim] : llvm::zip(spec.result, *access))
      indexOf[word] = dim;
    Dim depth = shapeOf(scores.getLhs())[positionOf(summed[0], spec.lhs)];
    depthSymbol = roles.domain.addIndex(depth);
    indexOf[summed[0]] = depthSymbol;
    StringRef queryWord = wordOf(roles.i, spec, indexOf, ""), keyWord = wordOf(roles.j, spec, indexOf, queryWord);
    bool queryIsLeft = positionOf(queryWord, spec.lhs) >= 0 && positionOf(queryWord, spec.rhs) < 0 &&
                       positionOf(keyWord, spec.rhs) >= 0 && positionOf(keyWord, spec.lhs) < 0;
    bool queryIsRight = positionOf(queryWord, spec.rhs) >= 0 && positionOf(queryWord, spec.lhs) < 0 &&
                        positionOf(keyWord, spec.lhs) >= 0 && positionOf(keyWord, spec.rhs) < 0;
    if (!queryIsLeft && !queryIsRight)
      return fail("queries and keys do not come from different operands");
    Value q = queryIsLeft ? scores.getLhs() : scores.getRhs(), k = queryIsLeft ? scores.getRhs() : scores.getLhs();
    auto &qWords = queryIsLeft ? spec.lhs : spec.rhs, &kWords = queryIsLeft ? spec.rhs : spec.lhs;
    placeKey = [this, k, words = kWords, indexOf, keyDepth = depthSymbol] {
      llvm::SaveAndRestore<Dim> depth(depthSymbol, keyDepth);
      return place(k, words, indexOf, Through::MovementAndScale, /*isQuery=*/false, key);
    };
    return place(q, qWords, indexOf, Through::MovementAndScale, /*isQuery=*/true, query) && placeKey();
  }

  Dim extentOf(const Dim &role) const { return roles.domain.extentOf(*role.asSymbol()); }

  /// The word of the scores that is a role. One of extent 1 is always 0: then the word is one that only
  /// one operand has, other than the one `taken`.
  StringRef wordOf(const Dim &role, const ContractSpec &spec, const llvm::StringMap<Dim> &indexOf,
                   StringRef taken) const {
    for (StringRef word : spec.result)
      if (indexOf.lookup(word) == role)
        return word;
    if (extentOf(role) == Dim(1))
      for (StringRef word : spec.result)
        if (word != taken && indexOf.lookup(word) == Dim(0) &&
            (positionOf(word, spec.lhs) < 0) != (positionOf(word, spec.rhs) < 0))
          return word;
    return "?";
  }

  /// Finds the furthest tensor behind an operand that has a layout, preferring those whose rows are a constant distance
  /// apart: of [rows, batch, …] a copy is read instead, which costs less than scores that do not stream.
  bool place(Value tensor, ArrayRef<StringRef> words, const llvm::StringMap<Dim> &indexOf, Through through,
             bool isQuery, AttentionOperand &result) {
    auto indices = llvm::map_to_vector<4>(words, [&](StringRef word) { return indexOf.lookup(word); });
    SmallVector<View> views = viewsOf(tensor, indices, roles.domain, through);
    std::optional<AttentionOperand> scattered;
    for (const View &view : llvm::reverse(views)) {
      if (!layOut(view, isQuery, result))
        continue;
      result.isMoved = view.base != views.back().base;
      if (hasConstantRows(result))
        return true;
      if (!scattered)
        scattered = result;
    }
    if (scattered) {
      result = *scattered;
      result.wantsCopy = true;
      return true;
    }
    return fail(isQuery ? "the queries have no layout of batch, heads, rows and depth"
                        : "the keys or values have no layout of batch, heads, rows and depth");
  }

  static bool hasConstantRows(const AttentionOperand &operand) {
    std::string error;
    std::optional<AttentionLayout> layout = AttentionLayout::parse(operand.layout, error);
    return layout && layout->hasConstantRows(operand.shape);
  }

  bool layOut(View view, bool isQuery, AttentionOperand &result) {
    Shape shape = shapeOf(view.base);
    mergeHeadDims(view.indices, shape);
    std::string keyHead;
    if (!isQuery && roles.hasHeads)
      keyHead = nameKeyHead(view.indices);
    for (Dim &index : view.indices)
      index = roles.domain.simplify(index.substitute(numberOf));
    auto dims = splitDims(view.indices, shape, roles.domain);
    if (!dims || !llvm::all_of(digitsOf, [&](const Digits &digits) { return mergeDigits(digits, *dims); }))
      return false;
    std::string layout;
    Shape split;
    for (const SplitDim &dim : *dims) {
      bool isKeyHead = !keyHead.empty() && dim.symbol == keyHead;
      char role = isKeyHead ? 'h' : letterOf(dim.symbol, isQuery);
      if (!role || (role == 'h' && !keyHead.empty() && !isKeyHead))
        return false;
      layout +=
          (layout.empty() ? "" : " ") + (dim.symbol.empty() ? std::to_string(dim.position) : std::string(1, role));
      split.push_back(dim.size);
    }
    if (!addMissingRoles(layout, split, isQuery) || (!isQuery && !hasWantedHeads(layout, split)))
      return false;
    result = {view.base, split, layout, view.scale};
    return true;
  }

  static Dim headsOf(StringRef layout, ArrayRef<Dim> split) {
    SmallVector<StringRef> names;
    layout.split(names, ' ');
    auto *head = llvm::find(names, "h");
    return head == names.end() ? Dim(1) : split[head - names.begin()];
  }

  bool hasWantedHeads(StringRef layout, ArrayRef<Dim> split) const {
    return !wantedHeads || headsOf(layout, split) == *wantedHeads;
  }

  char letterOf(StringRef symbol, bool isQuery) {
    if (symbol.empty())
      return '#';
    if (symbol == StringRef(*depthSymbol.asSymbol()))
      return 'd';
    char letter = roles.letterOf(symbol);
    if (letter == (isQuery ? 'i' : 'j'))
      return 'n';
    return letter == 'b' || letter == 'h' ? letter : 0;
  }

  /// Rows and depth of size 1 get a dimension; batch and query heads may be missing only where they are 1.
  bool addMissingRoles(std::string &layout, Shape &split, bool isQuery) {
    auto has = [&](char letter) { return StringRef(layout).contains(letter); };
    auto isOne = [&](const Dim &symbol) {
      return !symbol.asSymbol() || extentOf(symbol) == Dim(1);
    };
    if (!has('b') && !isOne(roles.b))
      return false;
    if (!has('h') && isQuery && !isOne(roles.h))
      return false;
    for (auto [letter, symbol] : {std::pair('n', isQuery ? roles.i : roles.j), {'d', depthSymbol}})
      if (!has(letter)) {
        if (!isOne(symbol))
          return false;
        layout += std::string(layout.empty() ? "" : " ") + letter;
        split.push_back(Dim(1));
      }
    return true;
  }

  /// Neighbouring dims at `h floordiv r` and `h mod r` are one dim at h.
  void mergeHeadDims(SmallVectorImpl<Dim> &indices, Shape &shape) const {
    for (unsigned d = 0; d + 1 < shape.size();) {
      Dim merged = roles.domain.simplify(indices[d] * shape[d + 1] + indices[d + 1]);
      bool isSplit = merged == roles.h && roles.hasHeads && indices[d] != Dim(0);
      if (!isSplit) {
        ++d;
        continue;
      }
      indices[d] = merged;
      indices.erase(indices.begin() + d + 1);
      shape[d] = shape[d] * shape[d + 1];
      shape.erase(shape.begin() + d + 1);
    }
  }

  struct Digits {
    Dim role;
    SmallVector<Dim> symbols; ///< One for each dimension of the softmax that is of this role.
  };

  /// The dims of a role's digits as one; false if they do not stand side by side in their order.
  bool mergeDigits(const Digits &digits, SmallVectorImpl<SplitDim> &dims) const {
    SmallVector<StringRef> wanted;
    for (const Dim &symbol : digits.symbols)
      if (extentOf(symbol) != Dim(1))
        wanted.push_back(StringRef(*symbol.asSymbol()));
    auto isDigit = [&](const SplitDim &dim) { return llvm::is_contained(wanted, StringRef(dim.symbol)); };
    auto *first = llvm::find_if(dims, isDigit);
    if (first == dims.end())
      return true;
    if (size_t(dims.end() - first) < wanted.size() ||
        !llvm::equal(llvm::map_range(ArrayRef(first, wanted.size()), [](const SplitDim &dim) { return StringRef(dim.symbol); }),
                     wanted))
      return false;
    first->symbol = std::string(*digits.role.asSymbol());
    first->size = extentOf(digits.role);
    dims.erase(first + 1, first + wanted.size());
    return llvm::none_of(dims, isDigit);
  }

  /// Key heads shared by groups of query heads are read at `h floordiv group`.
  std::string nameKeyHead(SmallVectorImpl<Dim> &indices) {
    for (const Dim &index : indices) {
      std::optional<Dim> groups = groupSizeIn(index, roles.h);
      std::optional<Dim> heads = groups ? extentOf(roles.h).exactDiv(*groups) : std::nullopt;
      if (!heads)
        continue;
      Dim keyHead = roles.domain.addIndex(*heads);
      for (Dim &other : indices)
        other = withKeyHead(other, roles.h, *groups, keyHead);
      return std::string(*keyHead.asSymbol());
    }
    return "";
  }

  //===--------------------------------------------------------------------------===//
  // The product with the values
  //===--------------------------------------------------------------------------===//

  bool matchProduct() {
    std::string error;
    ContractSpec spec = *ContractSpec::parse(product.getSpec(), error);
    bool left = dependsOn(product.getLhs(), softmax.getResult());
    if (left == dependsOn(product.getRhs(), softmax.getResult()) || product.getPanels())
      return fail("the weights are not one operand of the second contraction");
    weights = left ? product.getLhs() : product.getRhs();
    Value values = left ? product.getRhs() : product.getLhs();
    auto &weightWords = left ? spec.lhs : spec.rhs, &valueWords = left ? spec.rhs : spec.lhs;
    if (!traceWeights(weightWords))
      return false;
    llvm::StringMap<Dim> indexOf;
    for (auto [word, dim] : llvm::zip(weightWords, weightsAt))
      indexOf[word] = dim;
    auto summed = spec.summed();
    auto columns = left ? spec.columns() : spec.rows();
    auto isKey = [&](const Dim &index) { return index == roles.j || (index == Dim(0) && extentOf(roles.j) == Dim(1)); };
    if (summed.size() != 1 || !isKey(indexOf.lookup(summed[0])) || columns.size() != 1 || !spec.lone().empty())
      return fail("the second contraction does not sum over the keys alone");
    for (StringRef word : valueWords)
      if (indexOf.contains(word) && indexOf.lookup(word) == roles.i)
        return fail("the values depend on the query");
    depthSymbol = roles.domain.addIndex(shapeOf(values)[positionOf(columns[0], valueWords)]);
    indexOf[columns[0]] = depthSymbol;
    resultWords.assign(spec.result.begin(), spec.result.end());
    valueDepthWord = columns[0].str();
    auto placeValue = [&] {
      return place(values, valueWords, indexOf, Through::Movement, /*isQuery=*/false, value) && matchHeads();
    };
    wantedHeads = headsOf(key.layout, key.shape);
    if (placeValue())
      return true;
    // Heads repeated for the queries before arithmetic (a rotation) stay repeated, on one side or on both.
    wantedHeads = roles.hasHeads ? extentOf(roles.h) : Dim(1);
    return placeKey() && placeValue();
  }

  bool matchHeads() {
    bool keyHas = StringRef(key.layout).contains('h'), valueHas = StringRef(value.layout).contains('h');
    if (keyHas != valueHas)
      return fail("keys and values have different heads");
    return true;
  }

  /// The weights' own indices as functions of the roles, and the softmax's as functions of the weights'.
  bool traceWeights(ArrayRef<StringRef> words) {
    Shape shape = shapeOf(weights);
    IndexDomain domain = domainOf(softmax);
    SmallVector<Dim, 4> symbols;
    for (auto [word, extent] : llvm::zip(words, shape)) {
      symbols.push_back(domain.addIndex(extent));
      weightWordOf[std::string(*symbols.back().asSymbol())] = word.str();
    }
    auto access = accessOf(weights, symbols, softmax.getResult(), domain);
    if (!access)
      return fail("the weights are not read at one place each");
    softmaxAt = *access;
    weightDomain.emplace(domain);
    for (auto [symbol, extent] : llvm::zip(symbols, shape)) {
      auto it = llvm::find(*access, symbol);
      weightsAt.push_back(it != access->end() ? at[it - access->begin()] : extent == Dim(1) ? Dim(0) : Dim(-1));
    }
    return fillMergedIndex(shape);
  }

  /// One index that stands for all batch dims (`[B * H, N, N]`) is their row-major number.
  bool fillMergedIndex(ArrayRef<Dim> shape) {
    auto missing = llvm::find(weightsAt, Dim(-1));
    if (missing == weightsAt.end())
      return true;
    Shape softmaxShape = shapeOf(softmax.getResult());
    Dim number(0);
    for (unsigned d = 0; d < at.size(); ++d)
      if (!llvm::is_contained(weightsAt, at[d]))
        number = number * softmaxShape[d] + at[d];
    *missing = roles.domain.simplify(number);
    if (llvm::is_contained(weightsAt, Dim(-1)))
      return fail("the weights are rearranged in a way that is no permutation");
    auto access = accessOf(weights, weightsAt, softmax.getResult(), roles.domain);
    bool inverse = access && llvm::all_of(llvm::zip(*access, at), [&](auto pair) {
                     return roles.domain.isEqual(std::get<0>(pair), std::get<1>(pair));
                   });
    return inverse || fail("the weights are rearranged in a way that is no permutation");
  }

  //===--------------------------------------------------------------------------===//
  // The op
  //===--------------------------------------------------------------------------===//

  Value reshaped(const AttentionOperand &operand) { return reshapeTo(builder, loc, operand.tensor, operand.shape); }

  /// The operand as [batch, heads, rows, depth].
  void copyInOrder(AttentionOperand &operand) {
    SmallVector<StringRef> names;
    StringRef(operand.layout).split(names, ' ');
    auto find = [&](StringRef name) { return llvm::find(names, name) - names.begin(); };
    SmallVector<StringRef> order;
    Shape shape;
    for (StringRef name : {"b", "h", "n", "d"})
      if (llvm::is_contained(names, name)) {
        order.push_back(name);
        shape.push_back(operand.shape[find(name)]);
      }
    if (!shape.back().isConstant()) // Rows stay of a size that is not constant.
      return;
    Value copy = MapOp::create(builder, loc, tensorOf(elementOf(operand.tensor), shape), reshaped(operand),
                               [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange indices) -> Value {
                                 auto at = llvm::map_to_vector(names, [&](StringRef name) -> Value {
                                   int64_t position = 0;
                                   if (!name.getAsInteger(10, position))
                                     return arith::ConstantIndexOp::create(b, loc, position);
                                   return indices[llvm::find(order, name) - order.begin()];
                                 });
                                 return LoadOp::create(b, loc, tensors[0], at);
                               });
    operand = {copy, shape, llvm::join(order, " "), operand.scale};
  }

public:
  Value create() {
    for (AttentionOperand *operand : {&query, &key, &value})
      if (operand->wantsCopy)
        copyInOrder(*operand);
    SmallVector<Dim, 4> shape;
    std::string layout;
    auto append = [&](char letter, const Dim &symbol) {
      shape.push_back(extentOf(symbol));
      layout += (layout.empty() ? "" : " ") + std::string(1, letter);
    };
    if (roles.hasBatch)
      append('b', roles.b);
    bool hasConstantHeads = roles.hasHeads && extentOf(roles.h).isConstant();
    if (roles.hasHeads && !hasConstantHeads) // Rows stay a constant distance apart.
      append('h', roles.h);
    append('n', roles.i);
    if (hasConstantHeads)
      append('h', roles.h);
    append('d', depthSymbol);
    for (auto [region, scalars] : {std::pair(&score, 5), {&weight, 5}})
      ElementTrace::addMissingCaptures(*region, scalars, captures.getArrayRef());
    Builder attributes(softmax.getContext());
    auto op = AttentionOp::create(
        builder, loc, tensorOf(elementOf(product.getResult()), shape), reshaped(query), ValueRange(reshaped(key)),
        ValueRange(reshaped(value)), captures.getArrayRef(), Normaliser::Softmax, EmptyRow::Zero,
        attributes.getStrArrayAttr({query.layout, key.layout, value.layout, layout}));
    if (!ElementTrace::isIdentity(score))
      op.getScore().takeBody(score);
    if (!ElementTrace::isIdentity(weight))
      op.getWeight().takeBody(weight);
    return inOrderOfProduct(op.getResult(), layout);
  }

private:
  /// The result in the order the second contraction gave it.
  Value inOrderOfProduct(Value result, StringRef layout) {
    auto type = cast<RankedTensorType>(product.getType());
    return MapOp::create(builder, loc, type, result,
                         [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange indices) -> Value {
                           return LoadOp::create(b, loc, tensors[0], resultIndices(b, loc, indices, layout));
                         });
  }

  SmallVector<Value> resultIndices(OpBuilder &b, Location loc, ValueRange indices, StringRef layout) {
    auto indexOf = [&](StringRef word) { return indices[llvm::find(resultWords, word) - resultWords.begin()]; };
    auto leaf = [&](StringRef symbol) { return indexOf(weightWordOf.lookup(symbol)); };
    Shape shape = shapeOf(softmax.getResult());
    SmallVector<Value> result;
    for (StringRef role : llvm::split(layout.drop_back(2), ' ')) {
      ArrayRef<unsigned> dims = role == "b" ? naming.batch : role == "h" ? naming.heads : naming.queries;
      Dim number(0);
      for (unsigned d : dims)
        number = number * shape[d] + softmaxAt[d];
      result.push_back(emitIndex(b, loc, weightDomain->simplify(number), *weightDomain, leaf));
    }
    result.push_back(indexOf(valueDepthWord));
    return result;
  }

  SoftmaxOp softmax;
  ContractOp scores, product;
  Naming naming;
  Roles roles;
  std::map<std::string, Dim, std::less<>> numberOf; ///< Roles of several dimensions by their digits.
  SmallVector<Digits> digitsOf;
  OpBuilder builder;
  Location loc;
  StringRef reason;

  SmallVector<Dim, 4> at; ///< The softmax's indices in roles.
  Dim depthSymbol;
  AttentionOperand query, key, value;
  std::function<bool()> placeKey; ///< Once more, under other `wantedHeads`.
  std::optional<Dim> wantedHeads; ///< Of keys and values; any number if none.
  Value weights;
  SmallVector<Dim, 4> weightsAt; ///< The second contraction's weights' indices in roles.
  SmallVector<Dim, 4> softmaxAt; ///< The softmax's indices in those of the weights.
  std::optional<IndexDomain> weightDomain;
  llvm::StringMap<std::string> weightWordOf;
  SmallVector<std::string> resultWords;
  std::string valueDepthWord;
  llvm::SetVector<Value> captures;
  Region score, weight;
};

//===----------------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------------===//

/// The one contraction everything made from the softmax goes into.
ContractOp productOf(SoftmaxOp softmax) {
  llvm::SetVector<Operation *> readers;
  collectReaders(softmax.getResult(), readers);
  return readers.size() == 1 ? dyn_cast<ContractOp>(readers.front()) : ContractOp();
}

struct RaiseAttention : impl::RaiseAttentionBase<RaiseAttention> {
  void runOnOperation() override {
    SmallVector<SoftmaxOp> found;
    getOperation().walk([&](SoftmaxOp op) { found.push_back(op); });
    for (SoftmaxOp softmax : found)
      raise(softmax);
  }

  /// Null and no change to the module if this is no attention; `reason` then says why, under the usual names.
  static Value raise(SoftmaxOp softmax, ContractOp scores, ContractOp product, std::string &reason) {
    std::string usual;
    for (ArrayRef<Naming> namings : namingsOf(softmax)) {
      std::unique_ptr<Raiser> found;
      for (const Naming &naming : namings) {
        auto raiser = std::make_unique<Raiser>(softmax, scores, product, naming);
        bool isOne = raiser->match();
        if (!isOne && usual.empty())
          usual = raiser->getReason();
        if (isOne && (!found || raiser->movedOperands() < found->movedOperands()))
          found = std::move(raiser);
        if (found && found->movedOperands() == 0)
          break;
      }
      if (found)
        return found->create();
    }
    reason = usual;
    return {};
  }

  static void raise(SoftmaxOp softmax) {
    Location loc = softmax.getLoc();
    auto options = remark::RemarkOpts::name("attention").category("tenon-raise-attention");
    while (dropRowShift(softmax)) {
    }
    ContractOp product = productOf(softmax);
    if (!product) {
      remark::missed(loc, options) << remark::reason("the softmax is read by more than one contraction of values");
      return;
    }
    if (ContractOp extended = withKeysForSinks(softmax, product))
      product = extended;
    llvm::SetVector<ContractOp> candidates;
    collectContractions(softmax.getInput(), candidates);
    std::string reason = "the softmax's operand is no product of queries and keys";
    for (ContractOp scores : candidates) {
      if (!isOnlyFor(scores.getResult(), softmax)) {
        reason = "the scores are read by more than the softmax";
        continue;
      }
      if (Value result = raise(softmax, scores, product, reason)) {
        product.getResult().replaceAllUsesWith(result);
        eraseDeadOps(product);
        remark::passed(loc, options) << remark::add("softmax between two contractions is attention");
        return;
      }
    }
    remark::missed(loc, options) << remark::reason("{0}", reason);
  }
};

} // namespace
} // namespace tenon
