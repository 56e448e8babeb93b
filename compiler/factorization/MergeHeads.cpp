//===- MergeHeads.cpp - query and key, value and output, as one product each ----------------------------===//
#include "compiler/factorization/MergeHeads.h"
#include "compiler/factorization/HeadProjection.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/factorization/ProductNames.h"
#include "compiler/program/BuildProgram.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {
namespace {

constexpr StringRef width = "width_"; ///< The word of what keys and values now are; no front end writes it.

/// What a tensor reaches through maps, reshapes and softmaxes.
void collectReaders(Value tensor, llvm::SetVector<Operation *> &readers) {
  for (Operation *user : tensor.getUsers()) {
    if (isa<MapOp, ReshapeOp, SoftmaxOp>(user))
      collectReaders(user->getResult(0), readers);
    else
      readers.insert(user);
  }
}

/// The one operation a tensor is for; null if there are several.
Operation *readerOf(Value tensor) {
  llvm::SetVector<Operation *> readers;
  collectReaders(tensor, readers);
  return readers.size() == 1 ? readers.front() : nullptr;
}

/// Whether `tensor` is what maps make of `of`, or `of` itself.
bool comesFrom(Value tensor, llvm::function_ref<bool(Operation *)> isWanted) {
  Operation *op = tensor.getDefiningOp();
  return op && (isWanted(op) ||
                (isa<MapOp, ReshapeOp, SoftmaxOp>(op) &&
                 llvm::any_of(op->getOperands(), [&](Value operand) { return comesFrom(operand, isWanted); })));
}

/// The output product's input, as heads: which rows of its matrix a head's columns meet.
struct HeadOutput {
  std::optional<MatrixProduct> product;
  unsigned dim = 0;               ///< Of the matrix's rows, in its input.
  ContractSpec::Indices rowWords; ///< Of the dims of its input; "" for that one.
  SmallVector<int64_t> begins;    ///< By head.
  double scale = 1;
};

class Attention {
public:
  Attention(ContractOp scores, ContractOp mixed, ModelWeights &weights, LinearAnalysis &linear)
      : scores(scores), mixed(mixed), scoreWords(scores), mixedWords(mixed), weights(weights), linear(linear) {
    findScores();
    problemOfScores = std::exchange(problem, "");
    findMixed();
    if (problem.empty())
      findOutput();
    problemOfOutput = std::exchange(problem, "");
    choosePairs();
  }

  std::string problem; ///< Why neither of its pairs is merged, if so.
  std::string left;    ///< Why one of them is not, if so.

  SmallVector<MatrixProduct> products() const {
    SmallVector<MatrixProduct> found;
    for (const std::optional<HeadProjection> *each : {&query, &key, &value})
      if (*each && (*each)->product)
        found.push_back(*(*each)->product);
    if (output.product)
      found.push_back(*output.product);
    return found;
  }

  llvm::Error run(std::vector<FactorizedWeight> &reports) {
    if (merged.scores)
      if (llvm::Error error = mergeScores(reports))
        return error;
    if (merged.output)
      if (llvm::Error error = mergeOutput(reports))
        return error;
    if (merged.output)
      eraseUnread(output.product->op);
    if (merged.scores)
      eraseUnread(scores);
    return llvm::Error::success();
  }

private:
  /// Query with key, value with output.
  struct Pairs {
    bool scores = false, output = false;
  };

  //===--------------------------------------------------------------------------===//
  // What it is made of
  //===--------------------------------------------------------------------------===//

  void fail(const Twine &why) {
    if (problem.empty())
      problem = why.str();
  }

  /// Heads are the batch words that columns of one projection or the other depend on.
  bool takeHeads(HeadProjection &projection, const HeadWords &heads) {
    if (problem.empty() && (!projection.problem.empty() || !projection.findBegins(heads)))
      fail(projection.problem);
    return problem.empty();
  }

  /// Batch words that columns depend on, or that stand for no row: a single head's.
  HeadWords headsOfScores() const {
    HeadWords found;
    ContractSpec::Indices ofQuery = query->headWords(), ofKey = key->headWords();
    for (StringRef word : scoreWords.spec.batch()) {
      bool isRow = llvm::is_contained(query->rowWords, word) || llvm::is_contained(key->rowWords, word);
      if (llvm::is_contained(ofQuery, word) || llvm::is_contained(ofKey, word) || !isRow)
        found.add(word, scoreWords.sizeOf(word).value_or(0));
    }
    return found;
  }

  void findScores() {
    auto summed = scoreWords.spec.summed();
    if (summed.size() != 1 || !scoreWords.spec.lone().empty() || scoreWords.spec.rows().size() != 1 ||
        scoreWords.spec.columns().size() != 1)
      return fail("its scores do not sum over one index");
    query.emplace(scoreWords, scores, 0, summed[0], linear);
    key.emplace(scoreWords, scores, 1, summed[0], linear);
    for (const HeadProjection &each : {*query, *key})
      if (!each.problem.empty())
        return fail(each.problem);
    if (!llvm::is_contained(query->rowWords, scoreWords.spec.rows()[0]) ||
        !llvm::is_contained(key->rowWords, scoreWords.spec.columns()[0]))
      return fail("it has a single query or key");
    heads = headsOfScores();
    if (heads.count() == 0)
      return fail("its number of heads is not constant");
    if (takeHeads(*query, heads))
      takeHeads(*key, heads);
  }

  void findMixed() {
    weightsOperand = comesFrom(mixed.getLhs(), [&](Operation *op) { return op == scores; }) ? 0 : 1;
    auto columns = weightsOperand == 0 ? mixedWords.spec.columns() : mixedWords.spec.rows();
    if (columns.size() != 1 || mixedWords.spec.summed().size() != 1 || !mixedWords.spec.lone().empty())
      return fail("its values are not summed over one index");
    depth = columns[0];
    value.emplace(mixedWords, mixed, 1 - weightsOperand, depth, linear);
    if (!value->problem.empty())
      return fail(value->problem);
    if (!llvm::is_contained(value->rowWords, mixedWords.spec.summed()[0]))
      return fail("it has a single value");
    auto softmax = mixed->getOperand(weightsOperand).getDefiningOp<SoftmaxOp>();
    sumsToOne = softmax && int64_t(softmax.getOver()) == positionOf(mixedWords.spec.summed()[0], weightWords());
  }

  const ContractSpec::Indices &weightWords() const {
    return weightsOperand == 0 ? mixedWords.spec.lhs : mixedWords.spec.rhs;
  }

  /// The product that sums over all heads' columns.
  void findOutput() {
    auto contract = dyn_cast_or_null<ContractOp>(readerOf(mixed.getResult()));
    output.product = contract ? MatrixProduct::match(contract, weights) : std::nullopt;
    if (!output.product)
      return fail("its heads are read by no product with a weight");
    IndexDomain &domain = mixedWords.domain;
    SmallVector<Dim, 4> at;
    ProductRows rows(*output.product);
    output.dim = rows.dim;
    for (const Dim &extent : rows.shape)
      at.push_back(domain.addIndex(extent));
    View view = viewOf(output.product->input, reshapeIndices(at, rows.shape, shapeOf(output.product->input), domain),
                       domain, Through::MovementAndScale);
    if (view.base != mixed.getResult())
      return fail("between its heads and '" + output.product->weight.getSymName() + "' there is more than transposes");
    output.scale = view.scale;
    nameOutput(view, at);
  }

  void nameOutput(const View &view, ArrayRef<Dim> at) {
    std::string channel(*at[output.dim].asSymbol());
    output.rowWords.resize(at.size());
    mixedHeads = {};
    for (auto [word, index] : llvm::zip(mixedWords.spec.result, view.indices)) {
      bool isChannel = llvm::is_contained(index.symbols(), channel);
      auto *dim = llvm::find(at, index);
      if (!isChannel && dim != at.end())
        output.rowWords[size_t(dim - at.begin())] = word;
      else if (word != depth && (isChannel || mixedWords.sizeOf(word) == 1))
        mixedHeads.add(word, mixedWords.sizeOf(word).value_or(0));
      else if (word != depth)
        return fail("its heads are moved on the way to '" + output.product->weight.getSymName() + "'");
    }
    bool isSame = !problemOfScores.empty() || mixedHeads.count() == heads.count();
    if (mixedHeads.count() == 0 || !isSame || !takeHeads(*value, mixedHeads))
      return fail("its values have other heads than its scores");
    for (auto [d, word] : llvm::enumerate(output.rowWords))
      if (word.empty() && d != output.dim)
        return fail("its heads are moved on the way to '" + output.product->weight.getSymName() + "'");
    placeHeads(view, channel);
  }

  /// For each of the output's rows, the head and the column it meets: blocks in the columns' order.
  void placeHeads(const View &view, const std::string &channel) {
    output.begins.assign(size_t(mixedHeads.count()), -1);
    if (mixedHeads.count() * value->columns != output.product->k)
      return fail("its heads are not all that '" + output.product->weight.getSymName() + "' reads");
    for (int64_t row = 0; row < output.product->k; ++row) {
      std::map<std::string, int64_t, std::less<>> values{{channel, row}};
      int64_t head = 0, column = 0;
      for (auto [word, index] : llvm::zip(mixedWords.spec.result, view.indices)) {
        int64_t place = index.evaluate(values).value_or(0);
        if (word == depth)
          column = place;
        else if (llvm::is_contained(mixedHeads.words, word))
          head = head * *mixedWords.sizeOf(word) + place;
      }
      if (column == 0)
        output.begins[size_t(head)] = row;
      if (output.begins[size_t(head)] + column != row)
        return fail("the columns of a head are no neighbours in '" + output.product->weight.getSymName() + "'");
    }
  }

  //===--------------------------------------------------------------------------===//
  // What it costs
  //===--------------------------------------------------------------------------===//

  int64_t elementsOf(ArrayRef<MatrixProduct> list) const {
    int64_t sum = 0;
    llvm::SmallPtrSet<Operation *, 4> seen;
    for (const MatrixProduct &product : list)
      if (seen.insert(product.op).second)
        sum += product.k * product.n;
    return sum;
  }

  SmallVector<MatrixProduct> productsOf(Pairs pairs) const {
    SmallVector<MatrixProduct> found;
    if (pairs.scores)
      found.append({*query->product, *key->product});
    if (pairs.output)
      found.append({*value->product, *output.product});
    return found;
  }

  /// Keys and values that are the same tensor are both (z, 1) if one of them is.
  bool needsOnes(Pairs pairs) const {
    return (pairs.scores && key->hasBias()) || (pairs.output && value->hasBias() && !sumsToOne);
  }

  int64_t elementsAfter(Pairs pairs) const {
    int64_t ones = needsOnes(pairs), sum = 0;
    if (pairs.scores)
      sum += heads.count() * query->product->k * (key->product->k + ones);
    if (pairs.output)
      sum += mixedHeads.count() * (value->product->k + ones) * output.product->n;
    return sum;
  }

  /// Why these are not merged; "" if they are.
  std::string whyNot(Pairs pairs) const {
    for (const MatrixProduct &product : productsOf(pairs)) {
      if (pairs.output && product.op == output.product->op)
        continue;
      llvm::SetVector<Operation *> readers;
      collectReaders(ContractOp(product.op).getResult(), readers);
      for (Operation *reader : readers)
        if (!(pairs.scores && reader == scores) && !(pairs.output && reader == mixed))
          return llvm::formatv("'{0}' stays: '{1}' reads its product too", WeightOp(product.weight).getSymName(),
                               sourceOf(reader->getLoc()));
    }
    int64_t before = elementsOf(productsOf(pairs)), after = elementsAfter(pairs);
    if (after < before)
      return "";
    const HeadProjection &first = pairs.scores ? *query : *value;
    return llvm::formatv("merged products would take {0} elements, and it has {1} (heads {2} wide, models {3})", after,
                         before, first.columns, first.product->k);
  }

  int64_t savedBy(Pairs pairs) const { return elementsOf(productsOf(pairs)) - elementsAfter(pairs); }

  /// Those that leave the fewest elements: both, or one of them.
  void choosePairs() {
    bool hasScores = problemOfScores.empty(), hasOutput = problemOfOutput.empty();
    problem = !hasScores ? problemOfScores : !hasOutput ? problemOfOutput : whyNot({true, true});
    for (Pairs pairs : {Pairs{true, true}, Pairs{true, false}, Pairs{false, true}}) {
      bool isPossible = (hasScores || !pairs.scores) && (hasOutput || !pairs.output);
      if (isPossible && whyNot(pairs).empty() &&
          (!(merged.scores || merged.output) || savedBy(pairs) > savedBy(merged)))
        merged = pairs;
    }
    withOnes = needsOnes(merged);
    if (!merged.scores && !merged.output)
      return;
    problem.clear();
    if (!merged.scores)
      left = "query and key stay: " + (hasScores ? whyNot({true, false}) : problemOfScores);
    else if (!merged.output)
      left = "value and output stay: " + (hasOutput ? whyNot({false, true}) : problemOfOutput);
  }

  //===--------------------------------------------------------------------------===//
  // Queries and keys
  //===--------------------------------------------------------------------------===//

  /// One matrix, a chain of factors: for each head, side by side along `axis`.
  llvm::Expected<WeightOp> eachHead(int64_t count, int64_t axis, llvm::function_ref<Chain(int64_t)> chainOf) {
    SmallVector<WeightOp> parts;
    for (int64_t head = 0; head < count; ++head) {
      llvm::Expected<WeightOp> part = linear.matrixOf(LinearForm{{chainOf(head)}, {}});
      if (!part)
        return part;
      parts.push_back(*part);
    }
    return parts.size() == 1 ? parts[0] : weights.recipes.concat(parts, axis);
  }

  WeightOp keyTransposed(int64_t head) {
    return weights.recipes.transpose(key->matrix(head, withOnes, weights), {1, 0});
  }
  double scoreScale() const { return query->scale * key->scale; }

  /// x times a matrix whose columns are heads', as […, heads…, columns], and its words.
  Value multiplyHeads(OpBuilder &builder, WeightOp matrix, const Channels &offset, int64_t columns,
                      ContractSpec::Indices &words) {
    Location loc = scores.getLoc();
    unsigned dim = query->rows->dim;
    Value result =
        multiplyAlong(builder, loc, reshapeTo(builder, loc, query->product->input, query->rows->shape), matrix, dim);
    if (!isAll(offset, 0))
      result = addOffset(builder, loc, result, matrix, offset, dim, weights);
    Shape shape;
    for (auto [d, extent] : llvm::enumerate(shapeOf(result))) {
      if (d != dim) {
        shape.push_back(extent);
        words.push_back(query->rowWords[d]);
        continue;
      }
      shape.append(heads.sizes.begin(), heads.sizes.end());
      words.append(heads.words.begin(), heads.words.end());
      shape.push_back(Dim(columns));
      words.push_back(width);
    }
    return reshapeTo(builder, loc, result, shape);
  }

  static ContractSpec::Indices withChannels(ContractSpec::Indices words, StringRef channels) {
    for (StringRef &word : words)
      if (word.empty())
        word = channels;
    return words;
  }

  llvm::Error mergeScores(std::vector<FactorizedWeight> &reports) {
    llvm::Expected<WeightOp> matrix = eachHead(heads.count(), 1, [&](int64_t head) {
      return Chain{{{}, {scoreScale()}}, {query->matrix(head, false, weights), {}}, {keyTransposed(head), {}}};
    });
    llvm::Expected<Channels> offset = queryOffset();
    if (!matrix || !offset)
      return llvm::joinErrors(matrix ? llvm::Error::success() : matrix.takeError(),
                              offset ? llvm::Error::success() : offset.takeError());
    OpBuilder builder(scores);
    ContractSpec spec = scoreWords.spec;
    spec.lhs.clear();
    Value queries = multiplyHeads(builder, *matrix, *offset, key->product->k + withOnes, spec.lhs);
    spec.rhs = withChannels(key->rowWords, width);
    Value result = ContractOp::create(builder, scores.getLoc(), spec.str(), queries, inputOf(*key, builder));
    report(scores, query->product->weight, *matrix, {*query->product, *key->product}, "query and key", heads, reports);
    scores.getResult().replaceAllUsesWith(result);
    return llvm::Error::success();
  }

  /// What keys or values now are: the input z of their projection, or (z, 1).
  Value inputOf(HeadProjection &projection, OpBuilder &builder) {
    Location loc = projection.product->op.getLoc();
    Value input = reshapeTo(builder, loc, projection.product->input, projection.rows->shape);
    return withOnes ? appendOnes(builder, loc, input, projection.rows->dim) : input;
  }

  static Value appendOnes(OpBuilder &builder, Location loc, Value tensor, unsigned dim) {
    Shape shape = shapeOf(tensor);
    int64_t last = *shape[dim].constant() - 1;
    shape[dim] += Dim(1);
    return MapOp::create(builder, loc, tensorOf(elementOf(tensor), shape), tensor,
                         [&](OpBuilder &b, Location loc, ValueRange t, ValueRange at) -> Value {
                           SmallVector<Value> inside(at);
                           Value end = arith::ConstantIndexOp::create(b, loc, last);
                           inside[dim] = arith::MinSIOp::create(b, loc, at[dim], end);
                           Value isInside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, at[dim], end);
                           Value one = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1));
                           return arith::SelectOp::create(b, loc, isInside, LoadOp::create(b, loc, t[0], inside), one);
                         });
  }

  /// s bq Wkᵀ, all heads' side by side.
  llvm::Expected<Channels> queryOffset() {
    Channels all;
    for (int64_t head = 0; head < heads.count() && query->hasBias(); ++head) {
      LinearForm form{{}, {{product(query->bias(head), {scoreScale()}), {{keyTransposed(head), {}}}}}};
      llvm::Expected<Channels> part = linear.offsetOf(form);
      if (!part)
        return part;
      all.insert(all.end(), part->begin(), part->end());
    }
    return all.empty() ? Channels{0} : all;
  }

  //===--------------------------------------------------------------------------===//
  // Values and output
  //===--------------------------------------------------------------------------===//

  WeightOp outputRows(int64_t head) {
    const MatrixProduct &product = *output.product;
    WeightOp whole = product.isTransposed ? weights.recipes.transpose(product.weight, {1, 0}) : product.weight;
    return weights.recipes.slice(whole, 0, output.begins[size_t(head)], value->columns);
  }
  double valueScale() const { return value->scale * output.scale; }

  llvm::Error mergeOutput(std::vector<FactorizedWeight> &reports) {
    llvm::Expected<WeightOp> stacked = eachHead(mixedHeads.count(), 0, [&](int64_t head) {
      return Chain{{{}, {valueScale()}}, {value->matrix(head, withOnes, weights), {}}, {outputRows(head), {}}};
    });
    llvm::Expected<Channels> offset = outputOffset();
    if (!stacked || !offset)
      return llvm::joinErrors(stacked ? llvm::Error::success() : stacked.takeError(),
                              offset ? llvm::Error::success() : offset.takeError());
    ContractOp out = output.product->op;
    OpBuilder builder(out);
    SmallVector<int64_t> sizes(mixedHeads.sizes);
    sizes.append({value->product->k + withOnes, output.product->n});
    Value matrix = WeightRecipes::get(builder, out.getLoc(), weights.recipes.reshape(*stacked, sizes));
    ContractSpec sums = mixedWords.spec, product;
    ContractSpec::Indices values = withChannels(value->rowWords, width);
    (weightsOperand == 0 ? sums.rhs : sums.lhs) = values;
    sums.result.clear();
    for (StringRef word : output.rowWords)
      word.empty()                     ? void(sums.result.append(mixedHeads.words)),
          sums.result.push_back(width) : sums.result.push_back(word);
    SmallVector<Value> operands{mixed->getOperand(0), mixed->getOperand(1)};
    operands[1 - weightsOperand] = inputOf(*value, builder);
    Value heads = ContractOp::create(builder, mixed.getLoc(), sums.str(), operands[0], operands[1]);
    product.lhs = sums.result;
    product.rhs = mixedHeads.words;
    product.rhs.append({width, "out_"});
    product.result = withChannels(output.rowWords, "out_");
    Value result = ContractOp::create(builder, out.getLoc(), product.str(), heads, matrix);
    if (!isAll(*offset, 0))
      result = addOffset(builder, out.getLoc(), result, *stacked, *offset, output.dim, weights);
    result = reshapeTo(builder, out.getLoc(), result, shapeOf(out.getResult()));
    report(out, output.product->weight, *stacked, {*value->product, *output.product}, "value and output", mixedHeads,
           reports);
    out.getResult().replaceAllUsesWith(result);
    return llvm::Error::success();
  }

  /// Σ_h s bv Wo.
  llvm::Expected<Channels> outputOffset() {
    LinearForm form;
    for (int64_t head = 0; head < mixedHeads.count() && value->hasBias() && !withOnes; ++head)
      form.offsets.push_back({product(value->bias(head), {valueScale()}), {{outputRows(head), {}}}});
    return linear.offsetOf(form);
  }

  void report(ContractOp op, WeightOp weight, WeightOp merged, ArrayRef<MatrixProduct> of, const char *which,
              const HeadWords &headsOfPair, std::vector<FactorizedWeight> &reports) {
    FactorizedWeight report;
    report.weight = weight.getSymName().str();
    SmallVector<std::string> sources;
    for (MatrixProduct product : of)
      sources.push_back(sourceOf(product.op.getLoc()));
    report.sources = llvm::join(sources, ", ");
    report.rows = sizesOf(merged)[0];
    report.columns = sizesOf(merged)[1];
    report.before = elementsOf(of);
    report.change = llvm::formatv("one product for {0} of {1} {2}", which, headsOfPair.count(),
                                  headsOfPair.count() == 1 ? "head" : "heads");
    reportExact(op.getLoc(), StepKind::MergeHeads, report, reports);
  }

  ContractOp scores, mixed;
  ContractWords scoreWords, mixedWords;
  ModelWeights &weights;
  LinearAnalysis &linear;
  std::optional<HeadProjection> query, key, value;
  HeadWords heads, mixedHeads;
  HeadOutput output;
  StringRef depth;
  unsigned weightsOperand = 0;
  std::string problemOfScores, problemOfOutput;
  bool sumsToOne = false; ///< The weights of values do.
  Pairs merged;
  bool withOnes = false; ///< Keys and values are (z, 1).
};

/// The contraction that sums over what becomes of these scores; null if there is none.
ContractOp mixedBy(ContractOp scores) {
  auto mixed = dyn_cast_or_null<ContractOp>(readerOf(scores.getResult()));
  auto isSoftmax = [](Operation *op) { return isa<SoftmaxOp>(op); };
  bool isAttention = mixed && (comesFrom(mixed.getLhs(), isSoftmax) != comesFrom(mixed.getRhs(), isSoftmax));
  return isAttention ? mixed : ContractOp();
}

bool multipliesTensors(ContractOp op, const ModelWeights &weights) {
  return !op.getPanels() && !weights.of(op.getLhs()) && !weights.of(op.getRhs());
}

} // namespace

llvm::Error mergeHeads(ModuleOp module, ModelWeights &weights, llvm::function_ref<bool(ArrayRef<std::string>)> isWanted,
                       std::vector<FactorizedWeight> &reports) {
  LinearAnalysis linear(weights);
  SmallVector<std::pair<ContractOp, ContractOp>> attentions;
  module.walk([&](ContractOp scores) {
    if (ContractOp mixed = multipliesTensors(scores, weights) ? mixedBy(scores) : ContractOp())
      attentions.push_back({scores, mixed});
  });
  if (attentions.empty())
    return llvm::createStringError("the model has no softmax between two products of tensors");
  std::string problem;
  bool hasOne = false;
  for (auto [scores, mixed] : attentions) {
    Attention attention(scores, mixed, weights, linear);
    auto isNamed = [&](MatrixProduct product) { return isWanted(namesOf(product.op, product.weight)); };
    if (!isWanted({}) && llvm::none_of(attention.products(), isNamed))
      continue;
    std::string reason = attention.problem.empty() ? attention.left : attention.problem;
    std::string text = "attention '" + sourceOf(scores.getLoc()) + "': " + reason;
    if (attention.problem.empty()) {
      if (llvm::Error error = attention.run(reports))
        return error;
      hasOne = true;
      if (reason.empty())
        continue;
    }
    remark::missed(scores.getLoc(), remark::RemarkOpts::name("factorize").category(nameOf(StepKind::MergeHeads)))
        << remark::reason("{0}", text);
    problem = problem.empty() && !attention.problem.empty() ? text : problem;
  }
  if (!hasOne)
    return llvm::createStringError(problem.empty() ? "none of the products named is an attention's" : problem);
  return llvm::Error::success();
}

} // namespace tenon
