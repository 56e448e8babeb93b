//===- FoldWeights.cpp - what is linear between two tensors is one product ----------------===//
#include "compiler/factorization/FoldWeights.h"
#include "compiler/factorization/ChannelProduct.h"
#include "compiler/factorization/ComputedWeights.h"
#include "compiler/factorization/LinearForm.h"
#include "compiler/factorization/MapEditing.h"
#include "compiler/factorization/ProductNames.h"
#include "compiler/program/BuildProgram.h"
#include "passes/simplify/ComposeProducer.h"
#include "passes/simplify/View.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {
namespace {

/// A sum of tensors a linear form may replace: in a map, or what a product yields.
struct Site {
  Operation *op;
  Value scalar; ///< In a map.
  unsigned dim;
  SmallVector<AffineTerm> terms;
  Channels offset{0};
};

/// What replaces some of a site's terms.
struct Choice {
  Value base;
  SmallVector<AffineTerm> taken, left;
  LinearForm form;
  int64_t before = 0, after = 0; ///< Elements.
};

class Folder {
public:
  using Wanted = llvm::function_ref<bool(ArrayRef<std::string>)>;
  Folder(ModuleOp module, ModelWeights &weights, Wanted isWanted, std::vector<FactorizedWeight> &reports)
      : module(module), weights(weights), linear(weights), isWanted(isWanted), reports(reports) {}

  llvm::Error run() {
    composeMoved();
    erased.clear(); // an address may serve again
    separateNorms();
    SmallVector<Operation *> operations;
    module.walk([&](Operation *op) {
      if (isa<ContractOp, MapOp>(op))
        operations.push_back(op);
    });
    for (Operation *op : operations) {
      if (erased.contains(op))
        continue;
      llvm::Error error = isa<MapOp>(op) ? foldMap(cast<MapOp>(op)) : foldProduct(cast<ContractOp>(op));
      if (error)
        return error;
    }
    joinNorms();
    return llvm::Error::success();
  }

private:
  /// A sum that only reaches products through a transpose (BatchNorm has its channels in the middle) is evaluated behind that.
  void composeMoved() {
    SmallVector<MapOp> moves;
    module.walk([&](MapOp map) {
      if (map.getInputs().size() == 1 && movesElements(map))
        moves.push_back(map);
    });
    IRRewriter rewriter(module.getContext());
    for (MapOp move : moves) {
      auto sum = move.getInputs()[0].getDefiningOp<MapOp>();
      auto isSumAlong = [&](unsigned dim) { return linear.affine.find(sum, dim).has_value(); };
      auto isReadAlong = [&](unsigned dim) { return isReadByProducts(move.getResult(), dim); };
      if (sum && llvm::any_of(llvm::seq(unsigned(sum.getIndices().size())), isSumAlong) &&
          llvm::any_of(llvm::seq(unsigned(move.getIndices().size())), isReadAlong)) {
        composeProducer(sum, move, move.getBody().getArgument(0), rewriter);
        eraseProducers(dropUnreadInputs(move));
      }
    }
  }

  //===--------------------------------------------------------------------------===//
  // Norms: their scale and shift as a map, and back where nothing took it in
  //===--------------------------------------------------------------------------===//

  bool isReadByProducts(Value value, unsigned dim) {
    return !value.use_empty() && llvm::all_of(value.getUsers(), [&](Operation *user) {
      auto contract = dyn_cast<ContractOp>(user);
      std::optional<MatrixProduct> product = contract ? MatrixProduct::match(contract, weights) : std::nullopt;
      return product && product->dim == dim && product->input == value && wants(product->op, product->weight);
    });
  }

  void separateNorms() {
    SmallVector<NormOp> norms;
    module.walk([&](NormOp norm) {
      unsigned last = unsigned(shapeOf(norm.getResult()).size()) - 1;
      bool hasParameters = norm.getScale() || norm.getShift();
      bool areWeights =
          (!norm.getScale() || weights.of(norm.getScale())) && (!norm.getShift() || weights.of(norm.getShift()));
      if (norm.getKind() != NormKind::Group && norm.getOver() == 1 && hasParameters && areWeights &&
          elementOf(norm.getResult()).isF32() && isReadByProducts(norm.getResult(), last))
        norms.push_back(norm);
    });
    for (NormOp norm : norms) {
      OpBuilder builder(norm->getContext());
      builder.setInsertionPointAfter(norm);
      SmallVector<Value> inputs{norm.getResult()};
      for (Value parameter : {norm.getScale(), norm.getShift()})
        if (parameter)
          inputs.push_back(parameter);
      bool hasScale = bool(norm.getScale()), hasShift = bool(norm.getShift());
      auto map = MapOp::create(builder, norm.getLoc(), cast<RankedTensorType>(norm.getType()), inputs,
                               [&](OpBuilder &b, Location loc, ValueRange t, ValueRange at) -> Value {
                                 Value element = LoadOp::create(b, loc, t[0], at);
                                 if (hasScale)
                                   element =
                                       arith::MulFOp::create(b, loc, element, LoadOp::create(b, loc, t[1], at.back()));
                                 if (hasShift)
                                   element = arith::AddFOp::create(b, loc, element,
                                                                   LoadOp::create(b, loc, t.back(), at.back()));
                                 return element;
                               });
      norm.getResult().replaceAllUsesExcept(map.getResult(), map);
      separated.push_back({norm, map, norm.getScale(), norm.getShift()});
      norm.getScaleMutable().clear();
      norm.getShiftMutable().clear();
    }
  }

  void joinNorms() {
    for (SeparatedNorm &parts : separated) {
      if (erased.contains(parts.map))
        continue;
      if (parts.scale)
        parts.norm.getScaleMutable().assign(parts.scale);
      if (parts.shift)
        parts.norm.getShiftMutable().assign(parts.shift);
      parts.map.getResult().replaceAllUsesWith(parts.norm.getResult());
      erase(parts.map);
    }
  }

  //===--------------------------------------------------------------------------===//
  // Sites
  //===--------------------------------------------------------------------------===//

  llvm::Error foldProduct(ContractOp op) {
    std::optional<MatrixProduct> product = MatrixProduct::match(op.getResult(), weights);
    if (!product)
      return llvm::Error::success();
    Site site{op, {}, product->dim, {{op.getResult(), {1}}}};
    std::optional<Choice> choice = choose(site);
    return choice ? apply(site, *choice) : llvm::Error::success();
  }

  llvm::Error foldMap(MapOp map) {
    while (true) {
      std::optional<Site> site;
      std::optional<Choice> choice;
      for (unsigned dim : dimsOf(map)) {
        for (Operation &op : llvm::reverse(map.getBody().front().without_terminator())) {
          if (choice || op.getNumResults() != 1 || !op.getResult(0).getType().isF32() ||
              isInsideSum(op.getResult(0), map, dim))
            continue;
          std::optional<Affine> affine = linear.affine.find(op.getResult(0), map, dim);
          if (!affine || affine->terms.empty())
            continue;
          site = Site{map, op.getResult(0), dim, affine->terms, affine->offset};
          choice = choose(*site);
        }
      }
      if (!choice)
        return scaleChannels(map);
      if (llvm::Error error = apply(*site, *choice))
        return error;
    }
  }

  /// Factors of convolutions, and of other contractions with a weight that has the channels.
  llvm::Error scaleChannels(MapOp map) {
    for (LoadOp load : llvm::to_vector(map.getBody().front().getOps<LoadOp>())) {
      Value tensor = tensorOf(load);
      std::optional<ChannelProduct> product = ChannelProduct::match(tensor, weights);
      auto channel = product ? dyn_cast<BlockArgument>(load.getIndices()[product->dim]) : BlockArgument();
      unsigned inputs = unsigned(map.getInputs().size());
      if (!channel || channel.getArgNumber() < inputs || !wants(product->op, product->weight) || !tensor.hasOneUse())
        continue;
      std::optional<Site> site = siteOf(map, channel.getArgNumber() - inputs, tensor);
      if (!site)
        continue;
      llvm::Error error = scaleChannels(*site, *product, tensor);
      return error ? std::move(error) : scaleChannels(map); // its factor is 1 now
    }
    return llvm::Error::success();
  }

  /// The sum with a factor other than 1 for `tensor`, which nothing else in the map loads.
  std::optional<Site> siteOf(MapOp map, unsigned dim, Value tensor) {
    for (Operation &op : llvm::reverse(map.getBody().front().without_terminator())) {
      if (op.getNumResults() != 1 || !op.getResult(0).getType().isF32() || isInsideSum(op.getResult(0), map, dim))
        continue;
      std::optional<Affine> affine = linear.affine.find(op.getResult(0), map, dim);
      if (!affine)
        continue;
      for (const AffineTerm &term : affine->terms)
        if (term.tensor == tensor)
          return isAll(term.factor, 1) || !isReadBySumOnly(map, op.getResult(0), tensor)
                     ? std::nullopt
                     : std::optional(Site{map, op.getResult(0), dim, affine->terms, affine->offset});
    }
    return std::nullopt;
  }

  static void collect(Operation *op, llvm::SetVector<Operation *> &sum) {
    if (op && sum.insert(op))
      for (Value operand : op->getOperands())
        collect(operand.getDefiningOp(), sum);
  }

  /// Nothing but the sum that `scalar` is loads the tensor, or uses what is computed from it on the way.
  static bool isReadBySumOnly(MapOp map, Value scalar, Value tensor) {
    llvm::SetVector<Operation *> sum;
    collect(scalar.getDefiningOp(), sum);
    SmallVector<Operation *> readers;
    for (LoadOp load : map.getBody().front().getOps<LoadOp>())
      if (tensorOf(load) == tensor)
        readers.push_back(load);
    while (!readers.empty()) {
      Operation *reader = readers.pop_back_val();
      if (!sum.contains(reader))
        return false;
      if (reader != scalar.getDefiningOp())
        llvm::append_range(readers, reader->getUsers());
    }
    return true;
  }

  llvm::Error scaleChannels(const Site &site, ChannelProduct product, Value tensor) {
    SmallVector<AffineTerm> terms = site.terms;
    auto term = llvm::find_if(terms, [&](const AffineTerm &each) { return each.tensor == tensor; });
    LinearForm form{{Chain{{Factor{{}, term->factor}}}}, {{site.offset, {}}}};
    std::vector<float> elements;
    if (llvm::Error error = checkFinite(site, form))
      return error;
    if (std::string error = weights.read(product.weight, elements); !error.empty())
      return llvm::createStringError(error);
    term->tensor = product.scaledBy(term->factor, weights);
    term->factor = {1};
    FactorizedWeight report;
    report.weight = product.weight.getSymName().str();
    report.sources = sourceOf(product.op.getLoc()) + ", " + sourceOf(site.op->getLoc());
    report.rows = int64_t(elements.size()) / product.channels;
    report.columns = product.channels;
    report.before = int64_t(elements.size());
    report.change = "takes in a scale or shift";
    reportExact(site.op->getLoc(), StepKind::Fold, report, reports);
    replaceSum(site, terms, site.offset, product.weight);
    return llvm::Error::success();
  }

  /// The dims along which operands of the map, or what those add up, are products.
  SmallVector<unsigned> dimsOf(MapOp map) {
    llvm::SmallSetVector<unsigned, 2> dims;
    auto addDim = [&](Value input) {
      if (auto product = MatrixProduct::match(input, weights); product && product->dim < map.getIndices().size())
        dims.insert(product->dim);
    };
    for (Value input : map.getInputs()) {
      addDim(input);
      if (auto sum = input.getDefiningOp<MapOp>(); sum && sum.getIndices().size() == map.getIndices().size())
        llvm::for_each(sum.getInputs(), addDim);
    }
    return dims.takeVector();
  }

  bool isInsideSum(Value scalar, MapOp map, unsigned dim) {
    return llvm::any_of(scalar.getUsers(), [&](Operation *user) {
      return user->getNumResults() == 1 && !isa<LoadOp>(user) && linear.affine.find(user->getResult(0), map, dim);
    });
  }

  //===--------------------------------------------------------------------------===//
  // Choices
  //===--------------------------------------------------------------------------===//

  std::optional<Choice> choose(const Site &site) {
    llvm::SetVector<Value> bases;
    for (const AffineTerm &term : site.terms)
      bases.insert_range(linear.ancestorsOf(term.tensor, site.dim));
    std::optional<Choice> best;
    for (Value base : bases) {
      std::optional<Choice> choice = choiceFor(site, base);
      if (choice && (!best || choice->before - choice->after > best->before - best->after))
        best = choice;
    }
    return best;
  }

  std::optional<Choice> choiceFor(const Site &site, Value base) {
    Choice choice{base, {}, {}, {}};
    SmallVector<Value> values;
    for (const AffineTerm &term : site.terms) {
      if (!linear.formOf(term, {0}, base, site.dim)) {
        choice.left.push_back(term);
        continue;
      }
      choice.taken.push_back(term);
      values.push_back(term.tensor);
    }
    if (choice.taken.empty())
      return std::nullopt;
    choice.form = *linear.formOf(choice.taken, {0}, base, site.dim);
    bool hasIdentity = llvm::any_of(choice.form.matrix, [](const Chain &chain) {
      return llvm::none_of(chain, [](const Factor &factor) { return factor.matrix; });
    });
    if (hasIdentity)
      return std::nullopt;
    Shape from = shapeOf(base), to = shapeOf(site.terms[0].tensor);
    choice.after = *from[site.dim].constant() * *to[site.dim].constant();
    return isWorthIt(site, choice, linear.cone(values, base, site.dim)) ? std::optional(choice) : std::nullopt;
  }

  /// Fewer elements are multiplied with, or as many and something else between vanishes.
  bool isWorthIt(const Site &site, Choice &choice, const llvm::SetVector<Operation *> &cone) {
    bool hasArithmetic = llvm::any_of(choice.taken, [](const AffineTerm &term) { return !isAll(term.factor, 1); });
    for (const AffineTerm &term : choice.taken)
      if (site.scalar && !isReadBySumOnly(cast<MapOp>(site.op), site.scalar, term.tensor))
        return false;
    for (Operation *op : cone) {
      bool isRead =
          llvm::any_of(op->getUsers(), [&](Operation *user) { return user != site.op && !cone.contains(user); });
      std::optional<MatrixProduct> product = MatrixProduct::match(op->getResult(0), weights);
      if (product) {
        if (!wants(product->op, product->weight))
          return false;
        if (!isRead || op == site.op)
          choice.before += product->k * product->n;
        continue;
      }
      if (isRead && !isReadByProducts(op->getResult(0), site.dim))
        return false;
      hasArithmetic = true;
    }
    return choice.before > choice.after || (choice.before == choice.after && hasArithmetic);
  }

  bool wants(ContractOp op, WeightOp weight) { return isWanted(namesOf(op, weight)); }

  //===--------------------------------------------------------------------------===//
  // Rewriting
  //===--------------------------------------------------------------------------===//

  llvm::Error apply(const Site &site, const Choice &choice) {
    if (llvm::Error error = checkFinite(site, choice.form))
      return error;
    llvm::Expected<WeightOp> matrix = linear.matrixOf(choice.form);
    if (!matrix)
      return matrix.takeError();
    llvm::Expected<Channels> offset = linear.offsetOf(choice.form);
    if (!offset)
      return offset.takeError();
    SmallVector<Value> values = llvm::map_to_vector(choice.taken, [](const AffineTerm &term) { return term.tensor; });
    report(site, choice, *matrix, linear.cone(values, choice.base, site.dim));
    OpBuilder builder(site.op);
    Value result = multiplyAlong(builder, site.op->getLoc(), choice.base, *matrix, site.dim);
    if (!site.scalar) {
      if (!isAll(*offset, 0))
        result = addOffset(builder, site.op->getLoc(), result, *matrix, *offset, site.dim, weights);
      site.op->getResult(0).replaceAllUsesWith(result);
      erase(site.op);
      return llvm::Error::success();
    }
    SmallVector<AffineTerm> terms{{result, {1}}};
    terms.append(choice.left);
    replaceSum(site, terms, sum(site.offset, *offset), *matrix);
    return llvm::Error::success();
  }

  void replaceSum(const Site &site, ArrayRef<AffineTerm> terms, const Channels &offset, WeightOp near) {
    auto map = cast<MapOp>(site.op);
    replaceBySum(map, site.scalar, terms, offset, site.dim, near, weights);
    eraseProducers(dropUnreadInputs(map));
  }

  static llvm::Error checkFinite(const Site &site, const LinearForm &form) {
    bool isFinite = form.isFinite() && llvm::all_of(site.offset, [](double value) { return std::isfinite(value); });
    return isFinite ? llvm::Error::success()
                    : llvm::createStringError("'%s': wanted finite factors and offsets, found infinity or NaN",
                                              sourceOf(site.op->getLoc()).c_str());
  }

  void erase(Operation *op) { erased.insert_range(tenon::eraseUnread(op)); }
  void eraseProducers(ArrayRef<Value> values) {
    SmallVector<Operation *> producers;
    for (Value value : values)
      if (Operation *op = value.getDefiningOp())
        producers.push_back(op);
    DenseSet<Operation *> seen;
    for (Operation *op : producers)
      if (seen.insert(op).second && !erased.contains(op))
        erase(op);
  }

  void report(const Site &site, const Choice &choice, WeightOp matrix, const llvm::SetVector<Operation *> &cone) {
    FactorizedWeight of;
    unsigned products = 0;
    SmallVector<std::string> sources;
    for (Operation *op : cone) {
      if (auto product = MatrixProduct::match(op->getResult(0), weights)) {
        // Named by the product that stays: the largest.
        if (of.weight.empty() || product->k * product->n > of.rows * of.columns) {
          of.weight = product->weight.getSymName().str();
          of.rows = product->k;
          of.columns = product->n;
        }
        ++products;
      }
      sources.push_back(sourceOf(op->getLoc()));
    }
    of.rows = sizesOf(matrix)[0];
    of.columns = sizesOf(matrix)[1];
    of.sources = llvm::join(sources, ", ");
    of.before = choice.before;
    of.change = products > 1 ? "one product where " + std::to_string(products) + " were" : "takes in a scale or shift";
    reportExact(site.op->getLoc(), StepKind::Fold, of, reports);
  }

  struct SeparatedNorm {
    NormOp norm;
    MapOp map;
    Value scale, shift;
  };

  ModuleOp module;
  ModelWeights &weights;
  LinearAnalysis linear;
  Wanted isWanted;
  std::vector<FactorizedWeight> &reports;
  std::vector<SeparatedNorm> separated;
  DenseSet<Operation *> erased;
};

} // namespace

llvm::Error foldWeights(ModuleOp module, ModelWeights &weights,
                        llvm::function_ref<bool(ArrayRef<std::string>)> isWanted,
                        std::vector<FactorizedWeight> &reports) {
  if (llvm::Error error = computeWeights(module, weights, isWanted, reports))
    return error;
  return Folder(module, weights, isWanted, reports).run();
}

} // namespace tenon
