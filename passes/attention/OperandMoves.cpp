//===- OperandMoves.cpp - operands read through slices, transposes and reshapes ---------===//
#include "passes/attention/OperandMoves.h"

using namespace mlir;

namespace tenon {

static AttentionLayout parsed(StringRef text) {
  std::string error;
  return *AttentionLayout::parse(text, error, "");
}

bool PlacedOperand::hasConstantRows() const { return parsed(layout).hasConstantRows(shape); }

namespace {
class OperandMover {
public:
  OperandMover(Operation *op, Value tensor, StringRef layout, Through through)
      : tensor(tensor), layout(parsed(layout)), through(through), domain(domainOf(op)) {}

  std::optional<PlacedOperand> find() {
    SmallVector<Dim, 4> at;
    for (auto [role, fixed, extent] : llvm::zip(layout.roles, layout.fixed, shapeOf(tensor))) {
      if (role == '#') {
        at.push_back(Dim(fixed));
        continue;
      }
      at.push_back(domain.addIndex(extent));
      roleOf[std::string(*at.back().asSymbol())] = role;
      extentOf[role] = extent;
    }
    bool streams = layout.hasConstantRows(shapeOf(tensor));
    SmallVector<View> views = viewsOf(tensor, at, domain, through);
    for (const View &view : llvm::reverse(views))
      if (view.base != tensor)
        if (auto placed = place(view); placed && (!streams || placed->hasConstantRows()))
          return placed;
    return std::nullopt;
  }

private:
  std::optional<PlacedOperand> place(const View &view) {
    auto dims = splitDims(view.indices, shapeOf(view.base), domain);
    if (!dims)
      return std::nullopt;
    PlacedOperand placed{view.base, {}, ""};
    auto append = [&](const std::string &word, const Dim &size) {
      placed.layout += (placed.layout.empty() ? "" : " ") + word;
      placed.shape.push_back(size);
    };
    for (const SplitDim &dim : *dims)
      append(dim.symbol.empty() ? std::to_string(dim.position) : std::string(1, roleOf.lookup(dim.symbol)), dim.size);
    // An index that does not occur is one value throughout: a dimension of 1, or a broadcast.
    for (auto [role, extent] : extentOf) {
      if (StringRef(placed.layout).contains(role))
        continue;
      if (extent != Dim(1))
        return std::nullopt;
      if (role == 'n' || role == 'd')
        append(std::string(1, role), Dim(1));
    }
    return placed;
  }

  Value tensor;
  AttentionLayout layout;
  Through through;
  IndexDomain domain;
  llvm::StringMap<char> roleOf;
  std::map<char, Dim> extentOf;
};

} // namespace

std::optional<PlacedOperand> operandBehindMoves(Operation *op, Value tensor, StringRef layout, Through through) {
  return OperandMover(op, tensor, layout, through).find();
}

} // namespace tenon
