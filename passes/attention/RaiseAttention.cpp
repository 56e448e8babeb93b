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
};

//===----------------------------------------------------------------------------===//
// One attention
//===----------------------------------------------------------------------------===//

class Raiser {
public:
  Raiser(SoftmaxOp softmax, ContractOp scores, ContractOp product)
      : softmax(softmax), scores(scores), product(product), roles(domainOf(softmax)), builder(product),
        loc(FusedLoc::get(softmax.getContext(), {scores.getLoc(), softmax.getLoc(), product.getLoc()})) {}

  /// Null and no change to the module if this is no attention; `reason` then says why.
  Value raise() {
    if (!nameRoles() || !matchScores() || !matchProduct())
      return {};
    Type type = scoreType();
    ElementTrace trace(roles, captures, loc);
    double scale = query.scale * key.scale;
    if (!trace.build(score, type, softmax.getInput(), at, scores.getResult(), scale) ||
        !trace.build(weight, type, weights, weightsAt, softmax.getResult(), 1.0,
                     elementOf(weights))) {
      fail("what stands between the contractions is not arithmetic");
      return {};
    }
    return create();
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

  /// The softmax's dims are [batch, heads…, queries, keys] but for the place of the last two.
  bool nameRoles() {
    Shape shape = shapeOf(softmax.getResult());
    unsigned keys = softmax.getOver(), queries = keys + 1 == shape.size() ? keys - 1 : shape.size() - 1;
    if (shape.size() < 2 || keys + 2 < shape.size())
      return fail("the softmax is not over one of the last two dimensions");
    at.resize(shape.size());
    SmallVector<unsigned> batch;
    for (unsigned d = 0; d < shape.size(); ++d)
      if (d != keys && d != queries)
        batch.push_back(d);
    if (!batch.empty()) {
      roles.hasBatch = true;
      at[batch[0]] = roles.b = roles.domain.addIndex(shape[batch[0]]);
    }
    nameHeads(shape, ArrayRef<unsigned>(batch).drop_front(!batch.empty()));
    at[queries] = roles.i = roles.domain.addIndex(shape[queries]);
    at[keys] = roles.j = roles.domain.addIndex(shape[keys]);
    return true;
  }

  /// Several head dimensions (a group of query heads per key head) are one index, split.
  void nameHeads(ArrayRef<Dim> shape, ArrayRef<unsigned> heads) {
    if (heads.empty())
      return;
    Dim count(1);
    for (unsigned d : heads)
      count *= shape[d];
    roles.hasHeads = true;
    roles.h = roles.domain.addIndex(count);
    for (unsigned k = 0; k < heads.size(); ++k) {
      Dim below(1);
      for (unsigned d : heads.drop_front(k + 1))
        below *= shape[d];
      Dim digit = roles.h.floorDiv(below);
      at[heads[k]] = roles.domain.simplify(k == 0 ? digit : digit.mod(shape[heads[k]]));
    }
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
    auto dims = splitDims(view.indices, shape, roles.domain);
    if (!dims)
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
    *missing = number;
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
    append('n', roles.i);
    if (roles.hasHeads)
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
    return inOrderOfProduct(op.getResult());
  }

  /// The result in the order the second contraction gave it.
  Value inOrderOfProduct(Value result) {
    auto type = cast<RankedTensorType>(product.getType());
    return MapOp::create(builder, loc, type, result,
                         [&](OpBuilder &b, Location loc, ValueRange tensors, ValueRange indices) -> Value {
                           return LoadOp::create(b, loc, tensors[0], resultIndices(b, loc, indices));
                         });
  }

  SmallVector<Value> resultIndices(OpBuilder &b, Location loc, ValueRange indices) {
    auto indexOf = [&](StringRef word) { return indices[llvm::find(resultWords, word) - resultWords.begin()]; };
    auto leaf = [&](StringRef symbol) { return indexOf(weightWordOf.lookup(symbol)); };
    Shape shape = shapeOf(softmax.getResult());
    SmallVector<Value> result;
    Dim head(0), query;
    bool isFirst = true;
    for (unsigned d = 0; d < at.size(); ++d) {
      if (at[d] == roles.j)
        continue;
      if (at[d] == roles.i)
        query = softmaxAt[d];
      else if (isFirst)
        result.push_back(emitIndex(b, loc, softmaxAt[d], *weightDomain, leaf)), isFirst = false;
      else
        head = head * shape[d] + softmaxAt[d];
    }
    result.push_back(emitIndex(b, loc, query, *weightDomain, leaf));
    if (roles.hasHeads)
      result.push_back(emitIndex(b, loc, weightDomain->simplify(head), *weightDomain, leaf));
    result.push_back(indexOf(valueDepthWord));
    return result;
  }

  SoftmaxOp softmax;
  ContractOp scores, product;
  Roles roles;
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
      Raiser raiser(softmax, scores, product);
      if (Value result = raiser.raise()) {
        product.getResult().replaceAllUsesWith(result);
        eraseDeadOps(product);
        remark::passed(loc, options) << remark::add("softmax between two contractions is attention");
        return;
      }
      reason = raiser.getReason();
    }
    remark::missed(loc, options) << remark::reason("{0}", reason);
  }
};

} // namespace
} // namespace tenon
