//===- PlaceChannelsLast.cpp - which activations of a convolutional network lie pixel by pixel --===//
//
// Decides for whole chains at once: activations that are read where they are written (residuals, activations, padding,
// pooling, one filter a channel) have one order. What an order costs is counted in elements that a kernel would read or
// write across their order; a chain whose channels stand last for less is rewritten, by exchanging indices alone.
//
#include "dialects/tenon/ContractSpec.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/lowering/WindowProduct.h"
#include "passes/simplify/View.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_PLACECHANNELSLAST
#include "passes/Passes.h.inc"

namespace {

constexpr unsigned channel = 1; ///< The dim that moves.

/// Windows that a contraction reads, seen from the map that gives them.
struct WindowReader {
  ContractOp product;
  /// Rows of windows that overlap, or do not: of one element or several.
  enum Kind { Overlapping, Apart, Pointwise, Grouped, Depthwise } kind;

  static std::optional<WindowReader> match(MapOp map);
};

std::optional<WindowReader> WindowReader::match(MapOp map) {
  Value rows = map.getResult();
  while (auto reshape = rows.hasOneUse() ? dyn_cast<ReshapeOp>(*rows.user_begin()) : ReshapeOp())
    rows = reshape.getResult();
  auto product = rows.hasOneUse() ? dyn_cast<ContractOp>(*rows.user_begin()) : ContractOp();
  Shape shape = shapeOf(rows);
  std::optional<int64_t> depth = shape.empty() ? std::nullopt : shape.back().constant();
  if (!product || !depth)
    return std::nullopt;
  if (std::optional<WindowProduct> windows = WindowProduct::match(product))
    return WindowReader{product, windows->kind == WindowProduct::Depthwise ? Depthwise : Grouped};
  std::optional<WindowRead> read = WindowRead::match(map, *depth, Dim(1));
  if (!read || !product.getRhs().getDefiningOp<GetOp>())
    return std::nullopt;
  return WindowReader{product, read->overlaps ? Overlapping : read->isPointwise() ? Pointwise : Apart};
}

/// [b, c, p…] as [b, p…, c].
template <typename T> void moveChannelBack(SmallVectorImpl<T> &list) {
  std::rotate(list.begin() + channel, list.begin() + channel + 1, list.end());
}

RankedTensorType withChannelsLast(Value tensor) {
  Shape shape = shapeOf(tensor);
  moveChannelBack(shape);
  return tensorOf(elementOf(tensor), shape);
}

/// [batch, channels, more than one position].
bool hasChannelPlanes(Value tensor) {
  Shape shape = shapeOf(tensor);
  return shape.size() > 2 && shape[channel] != Dim(1) && countOf(ArrayRef<Dim>(shape).drop_front(2)) != Dim(1);
}

/// It stands in the order a product with a weight gives, whose channels are last already.
bool hasRowsOfProduct(MapOp map) {
  return llvm::any_of(map.getBody().front().getOps<LoadOp>(), [&](LoadOp load) {
    Value from = map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
    while (auto reshape = from.getDefiningOp<ReshapeOp>())
      from = reshape.getInput();
    auto product = from.getDefiningOp<ContractOp>();
    return product && product.getRhs().getDefiningOp<GetOp>() && load.getIndices().back() == map.getIndices().back();
  });
}

bool isWholePlane(ReduceOp reduce) { return reduce.getOver().size() + 2 == shapeOf(reduce.getInput()).size(); }

/// A reduction over the last dims of planes: pooling.
bool isPooling(ReduceOp reduce) {
  size_t rank = shapeOf(reduce.getInput()).size(), first = rank - reduce.getOver().size();
  return first >= 2 && llvm::all_of(llvm::enumerate(reduce.getOver()),
                                    [&](auto over) { return over.value() == int64_t(first + over.index()); });
}

/// The planes that one filter a channel gives, one plane or several; null where there are none of their own.
Value planesOf(ContractOp depthwise) {
  Value sums = depthwise.getResult();
  auto reshape = sums.hasOneUse() ? dyn_cast<ReshapeOp>(*sums.user_begin()) : ReshapeOp();
  if (!reshape)
    return shapeOf(sums).size() == 3 ? sums : Value();
  Shape sumsShape = shapeOf(sums), shape = shapeOf(reshape.getResult());
  bool keepsPlanes =
      sumsShape.size() == 3 && shape.size() > 2 && sumsShape[0] == shape[0] && sumsShape[channel] == shape[channel];
  return keepsPlanes ? reshape.getResult() : Value();
}

//===----------------------------------------------------------------------------===//
// Chains and what they cost
//===----------------------------------------------------------------------------===//

/// Elements read or written across their order, with channels first and last.
struct Turned {
  double first = 0, last = 0;
};

class Chains {
public:
  explicit Chains(func::FuncOp function) : function(function) {
    function.walk([&](MapOp map) {
      if (std::optional<WindowReader> reader = WindowReader::match(map))
        readers.try_emplace(map, *reader);
      else if (hasChannelPlanes(map.getResult()) && !hasRowsOfProduct(map))
        chains.insert(map.getResult());
    });
    function.walk([&](Operation *op) { link(op); });
  }

  /// Of a chain that a convolution or pooling reads, or only maps do, each.
  void forEach(function_ref<void(ArrayRef<Value> tensors, const Turned &turned)> body) {
    for (const auto *leader : chains) {
      if (!leader->isLeader())
        continue;
      SmallVector<Value> tensors(chains.members(*leader));
      if (llvm::any_of(tensors, [&](Value tensor) { return isWindowed(tensor); }) ||
          llvm::all_of(tensors, isReadByMaps))
        body(tensors, costOf(tensors));
    }
  }

  const WindowReader *readerOf(MapOp map) const {
    auto it = readers.find(map);
    return it == readers.end() ? nullptr : &it->second;
  }

private:
  static double sizeOf(Value tensor) {
    constexpr double unknown = 1 << 16; // compared among tensors of one chain alone
    return double(countOf(shapeOf(tensor)).constant().value_or(unknown));
  }

  bool isMember(Value tensor) const { return chains.findLeader(tensor) != chains.member_end(); }

  void join(Value a, Value b) { chains.unionSets(a, b); }

  void link(Operation *op) {
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      if (isMember(reduce.getInput()) && isPooling(reduce) && !isWholePlane(reduce))
        join(reduce.getInput(), reduce.getResult());
      return;
    }
    auto map = dyn_cast<MapOp>(op);
    if (!map)
      return;
    const WindowReader *reader = readerOf(map);
    if (reader && reader->kind == WindowReader::Depthwise && isMember(map.getInputs()[0]))
      if (Value planes = planesOf(reader->product))
        return join(map.getInputs()[0], planes);
    if (reader || !isMember(map.getResult()))
      return;
    for (LoadOp load : map.getBody().front().getOps<LoadOp>())
      if (Value from = inputOf(map, load); isMember(from) && keepsChannels(map, load))
        join(map.getResult(), from);
  }

  static Value inputOf(MapOp map, LoadOp load) {
    return map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
  }

  /// The channel of an element is the channel of what it is made from.
  static bool keepsChannels(MapOp map, LoadOp load) {
    Value own = map.getIndices()[channel];
    return llvm::all_of(llvm::enumerate(load.getIndices()), [&](auto index) {
      return index.index() == channel ? index.value() == own : !dependsOnIndex(index.value(), own);
    });
  }

  bool isWindowed(Value tensor) const {
    return llvm::any_of(tensor.getUsers(), [&](Operation *user) {
      if (auto reduce = dyn_cast<ReduceOp>(user))
        return isPooling(reduce) && !isWholePlane(reduce);
      auto map = dyn_cast<MapOp>(user);
      const WindowReader *reader = map ? readerOf(map) : nullptr;
      return reader && reader->kind != WindowReader::Apart;
    });
  }

  static bool isReadByMaps(Value tensor) {
    return llvm::all_of(tensor.getUsers(), [](Operation *user) {
      auto reduce = dyn_cast<ReduceOp>(user);
      return isa<MapOp>(user) || (reduce && isPooling(reduce));
    });
  }

  Turned costOf(ArrayRef<Value> tensors) {
    llvm::DenseSet<Value> chain(tensors.begin(), tensors.end());
    Turned turned;
    auto add = [&](double first, double last) { turned.first += first, turned.last += last; };
    for (Value tensor : tensors) {
      if (auto map = tensor.getDefiningOp<MapOp>())
        for (LoadOp load : map.getBody().front().getOps<LoadOp>())
          if (Value from = inputOf(map, load); !chain.contains(from))
            add(costOfLoad(map, load, innermost(map), fastest(load), sizeOf(tensor)),
                costOfLoad(map, load, map.getIndices()[channel], fastest(load), sizeOf(tensor)));
      for (Operation *user : tensor.getUsers())
        addReader(tensor, user, chain, add);
    }
    return turned;
  }

  void addReader(Value tensor, Operation *user, const llvm::DenseSet<Value> &chain,
                 function_ref<void(double first, double last)> add) {
    if (isa<ReduceOp>(user) && isPooling(cast<ReduceOp>(user)))
      return;
    auto map = dyn_cast<MapOp>(user);
    // Products, norms, attention and recurrences that read planes have forms of their own for them.
    if (!map)
      return add(0, isa<func::ReturnOp, ReshapeOp>(user) ? sizeOf(tensor) : std::numeric_limits<double>::infinity());
    if (chain.contains(map.getResult()))
      return;
    if (const WindowReader *reader = readerOf(map); reader && reader->kind != WindowReader::Pointwise)
      return add(0, readsChannelsLast(*reader) ? 0 : std::numeric_limits<double>::infinity());
    for (LoadOp load : map.getBody().front().getOps<LoadOp>())
      if (inputOf(map, load) == tensor)
        add(costOfLoad(map, load, innermost(map), fastest(load), sizeOf(map.getResult())),
            costOfLoad(map, load, innermost(map), load.getIndices()[channel], sizeOf(map.getResult())));
  }

  /// Filters in panels read windows in either order, and so does one filter a channel.
  static bool readsChannelsLast(const WindowReader &reader) {
    if (reader.kind == WindowReader::Overlapping || reader.kind == WindowReader::Apart)
      return mayStandInPanels(*shapeOf(ContractOp(reader.product).getRhs()).back().constant());
    return reader.kind == WindowReader::Depthwise && bool(planesOf(reader.product));
  }

  /// The last of `indices` whose dim is more than one element.
  template <typename Range> static Value lastOf(Range indices, ArrayRef<Dim> shape) {
    for (size_t dim = shape.size(); dim-- > 0;)
      if (shape[dim] != Dim(1))
        return indices[dim];
    return Value();
  }
  static Value innermost(MapOp map) { return lastOf(map.getIndices(), shapeOf(map.getResult())); }
  static Value fastest(LoadOp load) { return lastOf(load.getIndices(), shapeOf(load.getTensor())); }

  /// The elements of a map read across their order, where its lanes are along `lanes` and its operand's neighbours
  /// along `along`.
  static double costOfLoad(MapOp map, LoadOp load, Value lanes, Value along, double size) {
    bool isUsed = lanes && llvm::any_of(load.getIndices(), [&](Value index) { return dependsOnIndex(index, lanes); });
    return isUsed && !(along && dependsOnIndex(along, lanes)) ? size : 0;
  }

  func::FuncOp function;
  llvm::MapVector<MapOp, WindowReader> readers;
  llvm::EquivalenceClasses<Value> chains;
};

//===----------------------------------------------------------------------------===//
// Moving a chain's channels
//===----------------------------------------------------------------------------===//

class ChannelMover {
public:
  explicit ChannelMover(ArrayRef<Value> tensors) : tensors(tensors) {}

  void move() {
    for (Value tensor : tensors)
      for (Operation *user : llvm::to_vector(llvm::SetVector<Operation *>(tensor.user_begin(), tensor.user_end())))
        moveReader(tensor, user);
    for (Value tensor : tensors)
      moveProducer(tensor);
  }

private:
  static void moveReader(Value tensor, Operation *user) {
    auto map = dyn_cast<MapOp>(user);
    auto reduce = dyn_cast<ReduceOp>(user);
    if (map)
      moveLoads(tensor, map);
    else if (reduce && isPooling(reduce))
      moveReduction(reduce);
    else
      turnBack(tensor, user);
  }

  static void moveLoads(Value tensor, MapOp map) {
    for (auto [argument, input] : llvm::zip(map.getOperandArgs(), map.getInputs())) {
      if (input != tensor)
        continue;
      argument.setType(withChannelsLast(tensor));
      for (Operation *load : argument.getUsers()) {
        SmallVector<Value> indices(cast<LoadOp>(load).getIndices());
        moveChannelBack(indices);
        cast<LoadOp>(load).getIndicesMutable().assign(indices);
      }
    }
  }

  static void moveReduction(ReduceOp reduce) {
    SmallVector<int64_t> over = llvm::map_to_vector(reduce.getOver(), [](int64_t dim) { return dim - 1; });
    reduce.setOver(over);
  }

  /// Others read what they read before.
  static void turnBack(Value tensor, Operation *user) {
    OpBuilder builder(user);
    auto type = cast<RankedTensorType>(tensor.getType());
    auto back = MapOp::create(builder, user->getLoc(), type, tensor,
                              [&](OpBuilder &b, Location at, ValueRange tensors, ValueRange indices) -> Value {
                                return LoadOp::create(b, at, tensors[0], indices);
                              });
    user->replaceUsesOfWith(tensor, back.getResult());
    moveLoads(tensor, back);
  }

  static void moveProducer(Value tensor) {
    Operation *op = tensor.getDefiningOp();
    RankedTensorType type = withChannelsLast(tensor);
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      moveDepthwise(reshape.getInput().getDefiningOp<ContractOp>());
    else if (auto product = dyn_cast<ContractOp>(op))
      moveDepthwise(product);
    else if (auto map = dyn_cast<MapOp>(op))
      moveIndices(map);
    tensor.setType(type);
  }

  static void moveIndices(MapOp map) {
    SmallVector<SmallVector<OpOperand *>> uses;
    for (Value index : map.getIndices())
      uses.push_back(llvm::map_to_vector(index.getUses(), [](OpOperand &use) { return &use; }));
    moveChannelBack(uses);
    for (auto [index, own] : llvm::zip(map.getIndices(), uses))
      for (OpOperand *use : own)
        use->set(index);
  }

  static void moveDepthwise(ContractOp product) {
    std::string error;
    ContractSpec spec = *ContractSpec::parse(product.getSpec(), error);
    std::string word = spec.result[spec.result.size() - 2].str();
    std::string text = product.getSpec().str();
    size_t at = text.rfind(' ' + word + ' ');
    text.erase(at, word.size() + 1);
    product.setSpec(text + ' ' + word);
    Shape shape = shapeOf(product.getResult());
    std::swap(shape.end()[-1], shape.end()[-2]);
    product.getResult().setType(tensorOf(elementOf(product.getResult()), shape));
  }

  ArrayRef<Value> tensors;
};

/// What stands in the order it is read in, as rows of a product do, is read under the map's own dims, but for those of
/// one element.
void readInPlace(MapOp map) {
  Shape shape = shapeOf(map.getResult());
  IndexDomain domain = domainOf(map);
  KnownIndices known;
  SmallVector<Dim> own;
  for (auto [index, extent] : llvm::zip(map.getIndices(), shape)) {
    own.push_back(domain.addIndex(extent));
    known[index] = own.back();
  }
  Dim to = linearise(own, shape);
  Shape dims; // a dim of one element would stand between those that products join
  SmallVector<Value> indices;
  for (auto [index, extent] : llvm::zip(map.getIndices(), shape))
    if (extent != Dim(1)) {
      dims.push_back(extent);
      indices.push_back(index);
    }
  for (auto [number, argument] : llvm::enumerate(map.getOperandArgs())) {
    Value input = map.getInputs()[number];
    auto isInPlace = [&](Operation *user) {
      SmallVector<Dim> at = llvm::map_to_vector(cast<LoadOp>(user).getIndices(), [&](Value index) {
        return domain.simplify(readIndex(index, known, domain));
      });
      return domain.isEqual(linearise(at, shapeOf(input)), to);
    };
    if (argument.use_empty() || shapeOf(input) == shape || shapeOf(input) == dims ||
        countOf(shapeOf(input)) != countOf(shape) || !llvm::all_of(argument.getUsers(), isInPlace))
      continue;
    OpBuilder builder(map);
    Value planes = reshapeTo(builder, map.getLoc(), input, dims);
    map.getInputsMutable()[number].assign(planes);
    argument.setType(planes.getType());
    for (Operation *user : argument.getUsers())
      cast<LoadOp>(user).getIndicesMutable().assign(indices);
  }
}

struct PlaceChannelsLast : impl::PlaceChannelsLastBase<PlaceChannelsLast> {
  void runOnOperation() override {
    auto options = remark::RemarkOpts::name("channels").category(getArgument());
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      Chains chains(function);
      chains.forEach([&](ArrayRef<Value> tensors, const Turned &turned) {
        Location loc = tensors.front().getLoc();
        if (turned.last < turned.first) {
          ChannelMover(tensors).move();
          remark::passed(loc, options) << remark::add(
              "channels last in {0} tensors: {1} elements are read across their order, with channels first {2}",
              tensors.size(), turned.last, turned.first);
        } else {
          remark::missed(loc, options) << remark::reason(
              "channels first in {0} tensors: {1} elements are read across their order, with channels last {2}",
              tensors.size(), turned.first, turned.last);
        }
      });
      function.walk([](MapOp map) { readInPlace(map); });
    }
  }
};

} // namespace
} // namespace tenon
