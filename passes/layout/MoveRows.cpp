//===- MoveRows.cpp - rows are moved where a product reads them ------------------------===//
//
// A product with a weight copies its rows into scratch anyway; there a gather of rows costs some index
// arithmetic a row, where a map of its own costs a pass over memory. Window partitions and rolls, patches,
// slices and permutations of positions are such gathers, before a product and behind it:
//
//     move(x) W = x W, moved        so rows moved behind a product are rows moved before it
//
// A product whose rows are windows of x (a convolution) is turned: filters times windows, which reads x itself
// (WindowProduct.h) and gives each filter's positions side by side, if that is how they are read.
//
#include "passes/Passes.h"
#include "passes/layout/MatrixProduct.h"
#include "passes/layout/WeightRecipes.h"
#include "passes/lowering/WindowProduct.h"
#include "passes/simplify/View.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_MOVEROWS
#include "passes/Passes.h.inc"

namespace {

/// A product with a weight: rows of its result are its rows times the weight, one by one.
bool isRowProduct(ContractOp op) {
  return op && !op.getPanels() && op.getRhs().getDefiningOp<GetOp>() && isMatrixProduct(op);
}

bool hasSymbol(const Dim &dim, const Dim &symbol) {
  return llvm::is_contained(dim.symbols(), std::string(*symbol.asSymbol()));
}

/// The symbols of a tensor's indices, and what writes expressions over them.
struct Position {
  IndexDomain domain;
  SmallVector<Dim, 4> at;

  Position(Operation *place, ArrayRef<Dim> shape) : domain(domainOf(place)) {
    for (const Dim &extent : shape)
      at.push_back(domain.addIndex(extent));
  }

  KnownIndices knownIn(MapOp map) const {
    KnownIndices known;
    for (auto [index, dim] : llvm::zip(map.getIndices(), at))
      known[index] = dim;
    return known;
  }

  SmallVector<Value> emit(OpBuilder &builder, Location loc, ArrayRef<Dim> dims, ValueRange values) const {
    return llvm::map_to_vector(dims, [&](const Dim &dim) -> Value {
      return emitIndex(builder, loc, dim, domain, [&](StringRef symbol) {
        auto it = llvm::find_if(at, [&](const Dim &index) { return StringRef(*index.asSymbol()) == symbol; });
        return values[it - at.begin()];
      });
    });
  }
};

/// Nobody but `reader` reads what lies between `from` and `reader`: reshapes and maps of one reader each.
bool isReadOnlyThrough(Value from, Operation *reader) {
  while (from.hasOneUse()) {
    Operation *user = *from.user_begin();
    if (user == reader)
      return true;
    if (!isa<ReshapeOp, MapOp>(user))
      return false;
    from = user->getResult(0);
  }
  return false;
}

//===----------------------------------------------------------------------------===//
// Products of windows
//===----------------------------------------------------------------------------===//

/// A batch of one is no dim of the product: maps behind it have none either, once SinkReshapes dropped it.
Value withoutUnitBatch(ContractOp op) {
  std::optional<WindowProduct> windows = WindowProduct::match(op);
  Shape shape = shapeOf(op.getResult());
  if (!windows || !windows->hasBatch || shape.front() != Dim(1))
    return op;
  OpBuilder builder(op);
  Value operand = reshapeTo(builder, op.getLoc(), windows->map.getResult(),
                            ArrayRef<Dim>(shapeOf(op.getRhs())).drop_front());
  std::string text = op.getSpec().str(), error;
  text.erase(std::remove(text.begin(), text.end(), 'b'), text.end());
  std::string spec = ContractSpec::parse(text, error)->str();
  Value result = ContractOp::create(builder, op.getLoc(),
                                    tensorOf(elementOf(op.getResult()), ArrayRef<Dim>(shape).drop_front()),
                                    builder.getStringAttr(spec), op.getLhs(), operand, IntegerAttr(),
                                    op.getAccumulateAttr());
  Value back = reshapeTo(builder, op.getLoc(), result, shape);
  op.getResult().replaceAllUsesWith(back);
  Operation *reshape = op.getRhs().getDefiningOp();
  op.erase();
  if (reshape->use_empty())
    reshape->erase();
  return back;
}

/// [batch, filters, positions].
Value turnedProduct(OpBuilder &builder, ContractOp product, const WindowRead &read, WeightRecipes &recipes) {
  Location loc = product.getLoc();
  Dim batch = read.shape.front(), depth = shapeOf(product.getLhs()).back();
  WeightOp filters = recipes.transpose(recipes.lookup(product.getRhs().getDefiningOp<GetOp>()), {1, 0});
  Value windows = reshapeTo(builder, loc, mapOfRows(product).getResult(), {batch, read.positions(), depth});
  auto turned = ContractOp::create(
      builder, loc,
      tensorOf(elementOf(product.getResult()), {batch, shapeOf(product.getResult()).back(), read.positions()}),
      builder.getStringAttr("n k, b m k -> b n m"), WeightRecipes::get(builder, loc, filters), windows, IntegerAttr(),
      product.getAccumulateAttr());
  return withoutUnitBatch(turned);
}

/// Filters in panels give the rows themselves.
bool isBestAsRows(ContractOp product) { return mayStandInPanels(*shapeOf(product.getResult()).back().constant()); }

/// A product of windows that overlap, for readers that want its rows.
void turn(ContractOp product, const WindowRead &read, WeightRecipes &recipes) {
  OpBuilder builder(product);
  Value turned = turnedProduct(builder, product, read, recipes);
  Shape shape = shapeOf(turned);
  Value back = MapOp::create(builder, product.getLoc(), tensorOf(elementOf(turned), {shape[0], shape[2], shape[1]}),
                             turned, [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
                               return LoadOp::create(b, at, tensors[0],
                                                     ValueRange{indices[0], indices[2], indices[1]});
                             });
  product.getResult().replaceAllUsesWith(
      reshapeTo(builder, product.getLoc(), back, shapeOf(product.getResult())));
  Operation *reshape = product.getLhs().getDefiningOp();
  product.erase();
  while (reshape && reshape->use_empty()) {
    Operation *next = reshape->getOperand(0).getDefiningOp();
    reshape->erase();
    reshape = next;
  }
}

//===----------------------------------------------------------------------------===//
// Behind a product
//===----------------------------------------------------------------------------===//

/// A load of a map, traced to where its elements come from.
struct TracedLoad {
  LoadOp load;
  View view;
  bool moves; ///< Not only under other dims.
};

class ResultMoves {
public:
  ResultMoves(MapOp map, WeightRecipes &recipes, llvm::DenseSet<Operation *> &erased)
      : map(map), recipes(recipes), erased(erased), position(map, shapeOf(map.getResult())) {}

  /// Takes one step towards a product whose rows the map reads moved.
  bool step() {
    for (LoadOp load : map.getBody().front().getOps<LoadOp>()) {
      std::optional<TracedLoad> traced = trace(load);
      if (!traced || !traced->moves || !readsOnlyOnce(*traced))
        continue;
      Operation *source = traced->view.base.getDefiningOp();
      if (auto product = dyn_cast_or_null<ContractOp>(source); isRowProduct(product) && movesItsRows(*traced)) {
        pull(*traced, product);
        return true;
      }
      if (auto product = dyn_cast_or_null<ContractOp>(source); isRowProduct(product))
        if (std::optional<WindowRead> read = windowsOfRows(product); read && readsFilterByFilter(*traced, *read)) {
          OpBuilder builder(map);
          Value turned = turnedProduct(builder, product, *read, recipes);
          replaceInput(load, reshapeTo(builder, product.getLoc(), turned, shapeOf(map.getResult())));
          return true;
        }
      if (auto producer = dyn_cast_or_null<MapOp>(source); producer && finishesProduct(producer)) {
        compose(*traced, producer);
        return true;
      }
    }
    return false;
  }

private:
  std::optional<TracedLoad> trace(LoadOp load) {
    KnownIndices known = position.knownIn(map);
    SmallVector<Dim> indices;
    for (Value index : load.getIndices()) {
      indices.push_back(position.domain.simplify(readIndex(index, known, position.domain)));
      if (position.domain.hasOpaque(indices.back()))
        return std::nullopt;
    }
    View view = viewOf(inputOf(load), indices, position.domain, Through::Movement);
    Dim from = linearise(view.indices, shapeOf(view.base)), to = linearise(position.at, shapeOf(map.getResult()));
    return TracedLoad{load, view, !position.domain.isEqual(from, to)};
  }

  Value inputOf(LoadOp load) { return map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()]; }

  /// Nothing else wants the elements where they were, and none of them is computed more often than before.
  bool readsOnlyOnce(TracedLoad &traced) {
    Dim before = countOf(shapeOf(traced.view.base)), after = countOf(shapeOf(map.getResult()));
    return traced.load.getTensor().hasOneUse() && isReadOnlyThrough(traced.view.base, map) &&
           Dim::isKnownLessEqual(after, before, boundsOf(map->getParentOfType<ModuleOp>())) == true;
  }

  bool movesItsRows(TracedLoad &traced) {
    const View &view = traced.view;
    return view.indices.back() == position.at.back() && !hasSymbol(view.indices.front(), position.at.back()) &&
           shapeOf(view.base).back() == shapeOf(map.getResult()).back();
  }

  /// [batch, filter, position…] of rows [batch · position] of filters.
  bool readsFilterByFilter(TracedLoad &traced, const WindowRead &read) {
    Shape shape = shapeOf(map.getResult());
    if (shape.size() < 3)
      return false;
    Dim place = linearise(ArrayRef<Dim>(position.at).drop_front(2), ArrayRef<Dim>(shape).drop_front(2));
    Dim row = position.at[0] * read.positions() + place;
    return traced.view.indices.back() == position.at[1] &&
           position.domain.isEqual(traced.view.indices.front(), position.domain.simplify(row)) &&
           countOf(ArrayRef<Dim>(shape).drop_front(2)) == read.positions() &&
           shape[1] == shapeOf(traced.view.base).back();
  }

  /// A map behind a product, that it would finish.
  static bool finishesProduct(MapOp producer) {
    return llvm::any_of(producer.getInputs(), [](Value input) {
      while (auto reshape = input.getDefiningOp<ReshapeOp>())
        input = reshape.getInput();
      return input.hasOneUse() && isRowProduct(input.getDefiningOp<ContractOp>());
    });
  }

  void pull(TracedLoad &traced, ContractOp product) {
    OpBuilder builder(map);
    Location loc = product.getLoc();
    Shape shape = shapeOf(map.getResult()), rowsShape(shape);
    Value rows = product.getLhs();
    rowsShape.back() = shapeOf(rows).back();
    Value moved = MapOp::create(builder, loc, tensorOf(elementOf(rows), rowsShape), rows,
                                [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
                                  SmallVector<Value> source =
                                      position.emit(b, at, traced.view.indices.front(), indices);
                                  source.push_back(indices.back());
                                  return LoadOp::create(b, at, tensors[0], source);
                                });
    Dim count = countOf(ArrayRef<Dim>(shape).drop_back());
    Value flat = reshapeTo(builder, loc, moved, {count, rowsShape.back()});
    Value result = ContractOp::create(builder, loc, tensorOf(elementOf(product.getResult()), {count, shape.back()}),
                                      product.getSpecAttr(), flat, product.getRhs(), IntegerAttr(),
                                      product.getAccumulateAttr());
    replaceInput(traced.load, reshapeTo(builder, loc, result, shape));
  }

  void compose(TracedLoad &traced, MapOp producer) {
    IRMapping mapping;
    Block &body = map.getBody().front();
    for (auto [inner, input] : llvm::zip(producer.getOperandArgs(), producer.getInputs())) {
      mapping.map(inner, body.insertArgument(map.getInputs().size(), input.getType(), producer.getLoc()));
      map.getInputsMutable().append(input);
    }
    OpBuilder builder(traced.load);
    SmallVector<Value> indices = position.emit(builder, traced.load.getLoc(), traced.view.indices, map.getIndices());
    for (auto [index, value] : llvm::zip(producer.getIndices(), indices))
      mapping.map(index, value);
    for (Operation &op : producer.getBody().front().without_terminator())
      builder.clone(op, mapping);
    traced.load.replaceAllUsesWith(mapping.lookupOrDefault(producer.getYielded()));
    dropLoad(traced.load);
  }

  void replaceInput(LoadOp load, Value tensor) {
    BlockArgument added =
        map.getBody().front().insertArgument(map.getInputs().size(), tensor.getType(), tensor.getLoc());
    map.getInputsMutable().append(tensor);
    OpBuilder builder(load);
    load.replaceAllUsesWith(LoadOp::create(builder, load.getLoc(), added, map.getIndices()).getResult());
    dropLoad(load);
  }

  void dropLoad(LoadOp load) {
    auto argument = cast<BlockArgument>(load.getTensor());
    load.erase();
    Operation *source = map.getInputs()[argument.getArgNumber()].getDefiningOp();
    map.getInputsMutable().erase(argument.getArgNumber());
    map.getBody().front().eraseArgument(argument.getArgNumber());
    eraseDead(source);
  }

  /// What nobody reads any more would count as a reader of what it reads.
  void eraseDead(Operation *op) {
    if (!op || !op->use_empty() || !isa<MapOp, ReshapeOp, ContractOp>(op))
      return;
    auto operands = llvm::to_vector(op->getOperands());
    erased.insert(op);
    op->erase();
    for (Value operand : operands)
      eraseDead(operand.getDefiningOp());
  }

  MapOp map;
  WeightRecipes &recipes;
  llvm::DenseSet<Operation *> &erased;
  Position position;
};

//===----------------------------------------------------------------------------===//
// Before a product
//===----------------------------------------------------------------------------===//

/// Every stop between `base` and the product has no other reader.
bool isReadOnlyByMoves(Value base, ContractOp product) {
  Value value = product.getLhs();
  while (value != base && value.hasOneUse() && value.getDefiningOp()->getNumOperands() == 1)
    value = value.getDefiningOp()->getOperand(0);
  return value == base;
}

/// The furthest tensor whose rows are the product's, moved.
void readRowsBehind(ContractOp product) {
  Value rows = product.getLhs();
  Position position(product, shapeOf(rows));
  const Dim &row = position.at[0], &column = position.at[1];
  Shape shape = shapeOf(rows);
  SmallVector<View> views = viewsOf(rows, position.at, position.domain, Through::Movement);
  for (const View &view : llvm::reverse(views)) {
    Shape from = shapeOf(view.base);
    bool keepsRows = !from.empty() && from.back() == shape.back() && view.indices.back() == column &&
                     llvm::none_of(ArrayRef<Dim>(view.indices).drop_back(),
                                   [&](const Dim &index) { return hasSymbol(index, column); });
    if (!keepsRows)
      continue;
    Dim number = linearise(ArrayRef<Dim>(view.indices).drop_back(), ArrayRef<Dim>(from).drop_back());
    if (view.base == rows || position.domain.isEqual(number, row) || !isReadOnlyByMoves(view.base, product))
      return;
    OpBuilder builder(product);
    Value moved = MapOp::create(builder, product.getLoc(), tensorOf(elementOf(rows), shape), view.base,
                                [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
                                  SmallVector<Value> source = position.emit(b, at, view.indices, indices);
                                  return LoadOp::create(b, at, tensors[0], source);
                                });
    product.getLhsMutable().assign(moved);
    return;
  }
}

struct MoveRows : impl::MoveRowsBase<MoveRows> {
  void runOnOperation() override {
    SmallVector<MapOp> maps;
    getOperation().walk([&](MapOp map) { maps.push_back(map); });
    WeightRecipes recipes(getOperation());
    llvm::DenseSet<Operation *> erased;
    for (MapOp map : llvm::reverse(maps))
      while (!erased.contains(map) && ResultMoves(map, recipes, erased).step()) {
      }
    SmallVector<ContractOp> products, others;
    getOperation().walk([&](ContractOp op) { (isRowProduct(op) ? products : others).push_back(op); });
    for (ContractOp product : others)
      withoutUnitBatch(product);
    for (ContractOp product : products)
      if (std::optional<WindowRead> read = windowsOfRows(product); read && read->overlaps) {
        if (!isBestAsRows(product))
          turn(product, *read, recipes);
      } else
        readRowsBehind(product);
  }
};

} // namespace
} // namespace tenon
