//===- AttentionRaiser.cpp - two contractions and what is between them, as attention -----===//
#include "passes/attention/AttentionRaiser.h"
#include "dialects/tenon/AttentionLayout.h"
#include "dialects/tenon/ContractSpec.h"
#include "passes/attention/ElementTrace.h"
#include "passes/attention/RegionAnalysis.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace tenon {

//===----------------------------------------------------------------------------===//
// What reaches what
//===----------------------------------------------------------------------------===//

// Each op once: maps that read each other twice are as many paths as powers of two.

static void collectContractions(Value tensor, llvm::SetVector<ContractOp> &found,
                                llvm::SmallPtrSetImpl<Operation *> &seen) {
  Operation *op = tensor.getDefiningOp();
  if (!op || !seen.insert(op).second)
    return;
  if (auto contract = dyn_cast<ContractOp>(op))
    found.insert(contract);
  else if (isa<MapOp, ReshapeOp>(op))
    for (Value operand : op->getOperands())
      collectContractions(operand, found, seen);
}

void collectContractions(Value tensor, llvm::SetVector<ContractOp> &found) {
  llvm::SmallPtrSet<Operation *, 16> seen;
  collectContractions(tensor, found, seen);
}

static void collectReaders(Value tensor, llvm::SetVector<Operation *> &readers,
                           llvm::SmallPtrSetImpl<Operation *> &seen) {
  for (Operation *user : tensor.getUsers()) {
    if (!seen.insert(user).second)
      continue;
    if (isa<MapOp, ReshapeOp>(user))
      collectReaders(user->getResult(0), readers, seen);
    else
      readers.insert(user);
  }
}

void collectReaders(Value tensor, llvm::SetVector<Operation *> &readers) {
  llvm::SmallPtrSet<Operation *, 16> seen;
  collectReaders(tensor, readers, seen);
}

bool isOnlyFor(Value tensor, Operation *reader) {
  llvm::SetVector<Operation *> readers;
  collectReaders(tensor, readers);
  return readers.size() == 1 && readers.front() == reader;
}

static bool isData(Value tensor, llvm::SmallPtrSetImpl<Operation *> &seen) {
  Operation *op = tensor.getDefiningOp();
  if (!op)
    return true;
  return seen.insert(op).second &&
         llvm::any_of(op->getOperands(), [&](Value operand) { return isData(operand, seen); });
}

bool isData(Value tensor) {
  llvm::SmallPtrSet<Operation *, 16> seen;
  return isData(tensor, seen);
}

namespace {

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

/// The weights' dimensions other than the keys. Several that are one role are numbered row by row.
struct Naming {
  SmallVector<unsigned> batch, heads, queries;
};

/// What the dimensions may be, by queries; of those with the same, the one that moves fewest operands is taken.
///
/// | weights over j of | is tried as |
/// |---|---|
/// | [b, h, i, j], [b, g, r, i, j] | the first is the batch, the last the queries, between them heads |
/// | [b, w, h, i, j], in windows | then the first two are the batch, … |
/// | [b, h, y, i, j], along an axis | then one of the others is the heads |
/// | [b, i, h, j], keys without heads | the last two are queries, where there are more of the first than known |
/// | [i, j, b, h] | then any other one is the queries |
SmallVector<SmallVector<Naming>> namingsOf(const AttentionGraph &graph) {
  Shape shape = shapeOf(graph.normalised);
  unsigned rank = shape.size(), keys = graph.over;
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
      namings.back().push_back(
          {SmallVector<unsigned>(batch), SmallVector<unsigned>(heads), SmallVector<unsigned>(rows)});
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
  Raiser(const AttentionGraph &graph, Naming naming)
      : graph(graph), scores(graph.scores), product(graph.product), naming(std::move(naming)),
        roles(domainOf(graph.product)), builder(graph.product), loc(locationOf(graph)) {}

  /// False if this is no attention; `reason` then says why.
  bool match() {
    nameRoles();
    if ((scores && !matchScores()) || !matchProduct())
      return false;
    Type type = scoreType();
    ElementTrace trace(roles, captures, loc);
    double scale = query.scale * key.scale;
    Type readAs = graph.normaliser == Normaliser::None ? elementOf(graph.input) : Type();
    if (!trace.build(score, type, graph.input, at, scores ? scores.getResult() : Value(), scale, readAs) ||
        !trace.build(weight, type, weights, weightsAt, graph.normalised, 1.0, elementOf(weights)))
      return fail("what stands between the contractions is not arithmetic");
    return scores || hasBothSides() || fail("the softmax's operand is no product of queries and keys");
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

  static Location locationOf(const AttentionGraph &graph) {
    SmallVector<Location> all{graph.normalised.getLoc(), ContractOp(graph.product).getLoc()};
    if (graph.scores)
      all.insert(all.begin(), ContractOp(graph.scores).getLoc());
    return FusedLoc::get(graph.normalised.getContext(), all);
  }

  Type scoreType() const {
    Type element = elementOf(scores ? query.tensor : graph.input);
    return element.isF64() ? element : Float32Type::get(element.getContext());
  }

  void nameRoles() {
    at.resize(shapeOf(graph.normalised).size());
    roles.hasBatch = !naming.batch.empty();
    roles.hasHeads = !naming.heads.empty();
    if (roles.hasBatch)
      roles.b = nameRole(naming.batch);
    if (roles.hasHeads)
      roles.h = nameRole(naming.heads);
    roles.i = nameRole(naming.queries);
    at[graph.over] = roles.j = roles.domain.addIndex(shapeOf(graph.normalised)[graph.over]);
    addDigits(roles.b, naming.batch);
    addDigits(roles.i, naming.queries);
  }

  /// Several dimensions of a role (a group of query heads per key head) are one index, split.
  Dim nameRole(ArrayRef<unsigned> dims) {
    Shape shape = shapeOf(graph.normalised);
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
      Dim extent = shapeOf(graph.normalised)[d];
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
    auto access = accessOf(graph.input, at, scores.getResult(), roles.domain);
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
    if (queryWord == "?" || keyWord == "?")
      return fail("the softmax's operand is no product of queries and keys");
    for (auto [operand, words] : {std::pair(scores.getLhs(), spec.lhs), {scores.getRhs(), spec.rhs}})
      if (positionOf(queryWord, words) >= 0 && positionOf(keyWord, words) >= 0)
        return fail(whyOfOneOperand(operand, words, indexOf));
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

  /// One operand of the scores is of query and key already.
  StringRef whyOfOneOperand(Value operand, ArrayRef<StringRef> words, const llvm::StringMap<Dim> &indexOf) {
    auto indices = llvm::map_to_vector<4>(words, [&](StringRef word) { return indexOf.lookup(word); });
    bool isProduct = viewOf(operand, indices, roles.domain, Through::MovementAndScale).base.getDefiningOp<ContractOp>();
    return isProduct ? "the scores of several heads are mixed before the softmax, so all are in memory"
                     : "each score is a sum of a function of query and key, no product of theirs";
  }

  //===--------------------------------------------------------------------------===//
  // Scores that are no product
  //===--------------------------------------------------------------------------===//

  /// The score adds up, or takes otherwise together, what is of the query alone and what is of the key alone; what is
  /// of both is given, a mask or a table. Scores that are computed are in memory before the softmax, and best read as
  /// they stand.
  bool hasBothSides() {
    RegionAnalysis analysis(score, /*hasScore=*/true);
    bool ofQuery = false, ofKey = false;
    for (LoadOp load : score.front().getOps<LoadOp>()) {
      Dependence on = analysis.dependenceOf(load.getResult());
      bool isNumber = isa<FloatType>(load.getType());
      unsigned capture = cast<BlockArgument>(load.getTensor()).getArgNumber() - 5;
      if (isNumber && on.query && on.key && !isGiven(captures[capture]))
        return false;
      ofQuery |= isNumber && on.query && !on.key;
      ofKey |= isNumber && on.key && !on.query;
    }
    return ofQuery && ofKey;
  }

  static bool isGiven(Value tensor) { return !tensor.getDefiningOp() || isa<GetOp>(tensor.getDefiningOp()); }

  /// Queries and keys of one zero each: what the op wants, the score does not read their product.
  AttentionOperand zeros(const Dim &heads, const Dim &rows) {
    AttentionOperand operand;
    auto append = [&](StringRef name, const Dim &size) {
      operand.layout += (operand.layout.empty() ? "" : " ") + name.str();
      operand.shape.push_back(size);
    };
    if (roles.hasBatch)
      append("b", extentOf(roles.b));
    append("n", rows);
    if (roles.hasHeads)
      append("h", heads);
    append("d", Dim(1));
    Type element = scoreType();
    operand.tensor = MapOp::create(builder, loc, tensorOf(element, operand.shape), ValueRange(),
                                   [&](OpBuilder &b, Location, ValueRange, ValueRange) -> Value {
                                     return arith::ConstantOp::create(b, loc, b.getFloatAttr(element, 0));
                                   });
    return operand;
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
    auto isOne = [&](const Dim &symbol) { return !symbol.asSymbol() || extentOf(symbol) == Dim(1); };
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
    SmallVector<Dim> symbols; ///< One for each dimension of the weights that is of this role.
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
        !llvm::equal(
            llvm::map_range(ArrayRef(first, wanted.size()), [](const SplitDim &dim) { return StringRef(dim.symbol); }),
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
    bool left = dependsOn(product.getLhs(), graph.normalised);
    if (left == dependsOn(product.getRhs(), graph.normalised) || product.getPanels())
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
    if (llvm::any_of(spec.result, [&](StringRef word) { return indexOf.contains(word) && indexOf[word] == roles.j; }))
      return fail(summed.size() == 1 && indexOf.lookup(summed[0]) == roles.i
                      ? "the softmax is over the queries, so the scores of all are in memory"
                      : "the weights of several heads are mixed behind the softmax, so all are in memory");
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
    if (scores)
      wantedHeads = headsOf(key.layout, key.shape);
    if (placeValue())
      return true;
    if (!scores)
      return false;
    // Heads repeated for the queries before arithmetic (a rotation) stay repeated, on one side or on both.
    wantedHeads = roles.hasHeads ? extentOf(roles.h) : Dim(1);
    return placeKey() && placeValue();
  }

  bool matchHeads() {
    if (!scores)
      return true;
    bool keyHas = StringRef(key.layout).contains('h'), valueHas = StringRef(value.layout).contains('h');
    if (keyHas != valueHas)
      return fail("keys and values have different heads");
    return true;
  }

  /// The weights' own indices as functions of the roles, and those of what the normaliser gives as functions of the
  /// weights'.
  bool traceWeights(ArrayRef<StringRef> words) {
    Shape shape = shapeOf(weights);
    IndexDomain domain = domainOf(product);
    SmallVector<Dim, 4> symbols;
    for (auto [word, extent] : llvm::zip(words, shape)) {
      symbols.push_back(domain.addIndex(extent));
      weightWordOf[std::string(*symbols.back().asSymbol())] = word.str();
    }
    auto access = accessOf(weights, symbols, graph.normalised, domain);
    if (!access)
      return fail("the weights are not read at one place each");
    normalisedAt = *access;
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
    Shape normalisedShape = shapeOf(graph.normalised);
    Dim number(0);
    for (unsigned d = 0; d < at.size(); ++d)
      if (!llvm::is_contained(weightsAt, at[d]))
        number = number * normalisedShape[d] + at[d];
    *missing = roles.domain.simplify(number);
    if (llvm::is_contained(weightsAt, Dim(-1)))
      return fail("the weights are rearranged in a way that is no permutation");
    auto access = accessOf(weights, weightsAt, graph.normalised, roles.domain);
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
  RaisedAttention create() {
    for (AttentionOperand *operand : {&query, &key, &value})
      if (operand->wantsCopy)
        copyInOrder(*operand);
    if (!scores) {
      query = zeros(roles.hasHeads ? extentOf(roles.h) : Dim(1), extentOf(roles.i));
      key = zeros(headsOf(value.layout, value.shape), extentOf(roles.j));
    }
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
    Builder attributes(product.getContext());
    auto op = AttentionOp::create(builder, loc, tensorOf(elementOf(product.getResult()), shape), reshaped(query),
                                  ValueRange(reshaped(key)), ValueRange(reshaped(value)), captures.getArrayRef(),
                                  graph.normaliser, EmptyRow::Zero,
                                  attributes.getStrArrayAttr({query.layout, key.layout, value.layout, layout}));
    if (!ElementTrace::isIdentity(score))
      op.getScore().takeBody(score);
    if (!ElementTrace::isIdentity(weight))
      op.getWeight().takeBody(weight);
    return {op, inOrderOfProduct(op.getResult(), layout)};
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
    Shape shape = shapeOf(graph.normalised);
    SmallVector<Value> result;
    for (StringRef role : llvm::split(layout.drop_back(2), ' ')) {
      ArrayRef<unsigned> dims = role == "b" ? naming.batch : role == "h" ? naming.heads : naming.queries;
      Dim number(0);
      for (unsigned d : dims)
        number = number * shape[d] + normalisedAt[d];
      result.push_back(emitIndex(b, loc, weightDomain->simplify(number), *weightDomain, leaf));
    }
    result.push_back(indexOf(valueDepthWord));
    return result;
  }

  const AttentionGraph &graph;
  ContractOp scores, product;
  Naming naming;
  Roles roles;
  std::map<std::string, Dim, std::less<>> numberOf; ///< Roles of several dimensions by their digits.
  SmallVector<Digits> digitsOf;
  OpBuilder builder;
  Location loc;
  StringRef reason;

  SmallVector<Dim, 4> at; ///< What the normaliser gives, its indices in roles.
  Dim depthSymbol;
  AttentionOperand query, key, value;
  std::function<bool()> placeKey; ///< Once more, under other `wantedHeads`.
  std::optional<Dim> wantedHeads; ///< Of keys and values; any number if none.
  Value weights;
  SmallVector<Dim, 4> weightsAt;    ///< The second contraction's weights' indices in roles.
  SmallVector<Dim, 4> normalisedAt; ///< The same in those of the weights.
  std::optional<IndexDomain> weightDomain;
  llvm::StringMap<std::string> weightWordOf;
  SmallVector<std::string> resultWords;
  std::string valueDepthWord;
  llvm::SetVector<Value> captures;
  Region score, weight;
};

} // namespace

std::optional<RaisedAttention> raiseAttention(const AttentionGraph &graph, std::string &reason) {
  std::string usual;
  for (ArrayRef<Naming> namings : namingsOf(graph)) {
    std::unique_ptr<Raiser> found;
    for (const Naming &naming : namings) {
      auto raiser = std::make_unique<Raiser>(graph, naming);
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
  return std::nullopt;
}

} // namespace tenon
