//===- View.cpp - a tensor seen as another tensor's elements in another place ---------===//
#include "passes/simplify/View.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace tenon {

IndexDomain domainOf(Operation *op) {
  auto module = isa<ModuleOp>(op) ? cast<ModuleOp>(op) : op->getParentOfType<ModuleOp>();
  return IndexDomain(module ? boundsOf(module) : Bounds());
}

//===----------------------------------------------------------------------------===//
// Following a chain
//===----------------------------------------------------------------------------===//

static std::optional<double> constantFactor(Value value) {
  FloatAttr attribute;
  if (!matchPattern(value, m_Constant(&attribute)))
    return std::nullopt;
  return attribute.getValueAsDouble();
}

/// Strips multiplications by and divisions through constants.
static Value stripScale(Value value, double &scale) {
  while (Operation *op = value.getDefiningOp()) {
    std::optional<double> factor;
    if (isa<arith::MulFOp>(op) && (factor = constantFactor(op->getOperand(1)))) {
      scale *= *factor;
      value = op->getOperand(0);
    } else if (isa<arith::MulFOp>(op) && (factor = constantFactor(op->getOperand(0)))) {
      scale *= *factor;
      value = op->getOperand(1);
    } else if (isa<arith::DivFOp>(op) && (factor = constantFactor(op->getOperand(1))) && *factor != 0) {
      scale /= *factor;
      value = op->getOperand(0);
    } else if (isa<arith::NegFOp>(op)) {
      scale = -scale;
      value = op->getOperand(0);
    } else {
      break;
    }
  }
  return value;
}

std::optional<View> movementOf(MapOp map, ArrayRef<Dim> at, IndexDomain &domain, Through through) {
  View view;
  Value yielded = map.getYielded();
  if (through == Through::MovementAndScale)
    yielded = stripScale(yielded, view.scale);
  if (auto widened = yielded.getDefiningOp<arith::ExtFOp>(); widened && through == Through::MovementAndWidening)
    yielded = widened.getIn();
  auto load = yielded.getDefiningOp<LoadOp>();
  if (!load)
    return std::nullopt;
  KnownIndices known;
  for (auto [index, dim] : llvm::zip(map.getIndices(), at))
    known[index] = dim;
  for (Value index : load.getIndices()) {
    Dim dim = domain.simplify(readIndex(index, known, domain));
    if (domain.hasOpaque(dim))
      return std::nullopt;
    view.indices.push_back(dim);
  }
  view.base = map.getInputs()[cast<BlockArgument>(load.getTensor()).getArgNumber()];
  return view;
}

static SmallVector<Dim, 4> addIndices(Value tensor, IndexDomain &domain) {
  return llvm::map_to_vector<4>(shapeOf(tensor), [&](const Dim &extent) { return domain.addIndex(extent); });
}

bool movesElements(MapOp map) {
  IndexDomain domain = domainOf(map);
  SmallVector<Dim, 4> at = addIndices(map.getResult(), domain);
  std::optional<View> view = movementOf(map, at, domain, Through::MovementAndScale);
  return view && view->indices != at;
}

SmallVector<View> viewsOf(Value tensor, ArrayRef<Dim> at, IndexDomain &domain, Through through) {
  SmallVector<View> views{View{tensor, SmallVector<Dim, 4>(at)}};
  while (Operation *op = views.back().base.getDefiningOp()) {
    View view = views.back();
    if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      Shape from = shapeOf(reshape.getResult()), to = shapeOf(reshape.getInput());
      view.indices = reshapeIndices(view.indices, from, to, domain);
      view.base = reshape.getInput();
      views.push_back(view);
      continue;
    }
    auto map = dyn_cast<MapOp>(op);
    std::optional<View> step = map ? movementOf(map, view.indices, domain, through) : std::nullopt;
    if (!step)
      break;
    step->scale *= view.scale;
    views.push_back(*step);
  }
  return views;
}

View viewOf(Value tensor, ArrayRef<Dim> at, IndexDomain &domain, Through through) {
  return viewsOf(tensor, at, domain, through).back();
}

//===----------------------------------------------------------------------------===//
// Giving every index a dimension
//===----------------------------------------------------------------------------===//

namespace {
/// One index expression `offset + Σ stride · symbol`.
struct LinearIndex {
  struct Part {
    std::string symbol;
    Dim stride;
  };
  int64_t offset = 0;
  SmallVector<Part, 4> parts;

  static std::optional<LinearIndex> read(const Dim &dim, const IndexDomain &domain) {
    LinearIndex linear;
    for (const Dim::Term &term : dim.terms()) {
      Dim stride(term.coefficient);
      std::string symbol;
      for (const Dim::AtomPtr &factor : term.factors) {
        bool isSymbol = factor->kind == Dim::AtomKind::Symbol;
        if (!isSymbol || (domain.isIndex(factor->name) && !symbol.empty()))
          return std::nullopt;
        if (domain.isIndex(factor->name))
          symbol = factor->name;
        else
          stride = stride * Dim::symbol(factor->name);
      }
      if (!symbol.empty())
        linear.parts.push_back({symbol, stride});
      else if (std::optional<int64_t> constant = stride.constant())
        linear.offset = *constant;
      else
        return std::nullopt;
    }
    return linear;
  }
};

/// Splits one dim of the base, innermost part first.
class DimSplitter {
public:
  DimSplitter(LinearIndex linear, const Dim &size, const IndexDomain &domain)
      : linear(std::move(linear)), size(size), domain(domain) {}

  std::optional<SmallVector<SplitDim>> split() {
    while (!linear.parts.empty())
      if (!takePart() && !takeGap())
        return std::nullopt;
    std::optional<Dim> rest = size.exactDiv(stride);
    if (!rest || (*rest != Dim(1) && !pushFixed(*rest)) || linear.offset != 0)
      return std::nullopt;
    std::reverse(dims.begin(), dims.end());
    return dims;
  }

private:
  /// The index whose neighbours stand exactly one of what is split off so far apart.
  bool takePart() {
    auto it = llvm::find_if(linear.parts, [&](const LinearIndex::Part &part) { return part.stride == stride; });
    if (it == linear.parts.end())
      return false;
    Dim extent = domain.extentOf(it->symbol);
    dims.push_back({it->symbol, 0, extent});
    stride = stride * extent;
    linear.parts.erase(it);
    return true;
  }

  /// A part of the dimension no index runs over, between two that some do.
  bool takeGap() {
    std::optional<int64_t> gap;
    for (const LinearIndex::Part &part : linear.parts) {
      std::optional<Dim> quotient = part.stride.exactDiv(stride);
      std::optional<int64_t> constant = quotient ? quotient->constant() : std::nullopt;
      if (constant && *constant > 1 && (!gap || *constant < *gap))
        gap = constant;
    }
    return gap && pushFixed(Dim(*gap));
  }

  bool pushFixed(const Dim &extent) {
    int64_t position = 0;
    if (linear.offset != 0) {
      std::optional<int64_t> step = stride.constant(), count = extent.constant();
      if (!step || !count || linear.offset < 0 || linear.offset % *step != 0)
        return false;
      position = (linear.offset / *step) % *count;
      linear.offset -= position * *step;
    }
    dims.push_back({"", position, extent});
    stride = stride * extent;
    return true;
  }

  LinearIndex linear;
  Dim size, stride = Dim(1);
  const IndexDomain &domain;
  SmallVector<SplitDim> dims;
};
} // namespace

std::optional<SmallVector<SplitDim>> splitDims(ArrayRef<Dim> indices, ArrayRef<Dim> shape, const IndexDomain &domain) {
  SmallVector<SplitDim> all;
  for (auto [index, size] : llvm::zip(indices, shape)) {
    if (size == Dim(1))
      continue;
    std::optional<LinearIndex> linear = LinearIndex::read(index, domain);
    if (!linear)
      return std::nullopt;
    std::optional<SmallVector<SplitDim>> dims = DimSplitter(*linear, size, domain).split();
    if (!dims)
      return std::nullopt;
    for (SplitDim &dim : *dims) {
      if (!dim.symbol.empty() && llvm::any_of(all, [&](const SplitDim &seen) { return seen.symbol == dim.symbol; }))
        return std::nullopt;
      all.push_back(dim);
    }
  }
  return all;
}

Value reshapeTo(OpBuilder &builder, Location loc, Value tensor, ArrayRef<Dim> shape) {
  RankedTensorType type = tensorOf(elementOf(tensor), shape);
  return type == tensor.getType() ? tensor : Value(ReshapeOp::create(builder, loc, type, tensor));
}

} // namespace tenon
