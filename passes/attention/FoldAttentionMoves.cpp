//===- FoldAttentionMoves.cpp - attention reads through slices, transposes and reshapes -----===//
#include "dialects/tenon/AttentionLayout.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "passes/simplify/View.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_FOLDATTENTIONMOVES
#include "passes/Passes.h.inc"

namespace {

/// A tensor and the layout it is read by.
struct Placed {
  Value tensor;
  Shape shape;
  std::string layout;

  bool hasConstantRows() const {
    std::string error;
    return AttentionLayout::parse(layout, error)->hasConstantRows(shape);
  }
};

class OperandMover {
public:
  OperandMover(AttentionOp op, unsigned number) : op(op), number(number), domain(domainOf(op)) {}

  /// The furthest tensor behind the operand whose elements it reads in place. Rows a constant distance apart stay so:
  /// attention streams them.
  std::optional<Placed> find() {
    std::string error;
    Value tensor = op->getOperand(number);
    AttentionLayout layout = *AttentionLayout::parse(op.getLayout(number), error);
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
    SmallVector<View> views = viewsOf(tensor, at, domain, Through::Movement);
    for (const View &view : llvm::reverse(views))
      if (view.base != tensor)
        if (auto placed = place(view); placed && (!streams || placed->hasConstantRows()))
          return placed;
    return std::nullopt;
  }

private:
  std::optional<Placed> place(const View &view) {
    auto dims = splitDims(view.indices, shapeOf(view.base), domain);
    if (!dims)
      return std::nullopt;
    Placed placed{view.base, {}, ""};
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

  AttentionOp op;
  unsigned number;
  IndexDomain domain;
  llvm::StringMap<char> roleOf;
  std::map<char, Dim> extentOf;
};

struct FoldAttentionMoves : impl::FoldAttentionMovesBase<FoldAttentionMoves> {
  void runOnOperation() override {
    getOperation().walk([](AttentionOp op) { fold(op); });
  }

  static void fold(AttentionOp op) {
    SmallVector<Attribute> layouts(op.getLayouts().begin(), op.getLayouts().end());
    OpBuilder builder(op);
    unsigned moved = 0;
    for (unsigned number = 0; number < 1 + 2 * op.getKeys().size(); ++number) {
      std::optional<Placed> placed = OperandMover(op, number).find();
      if (!placed)
        continue;
      op->setOperand(number, reshapeTo(builder, op.getLoc(), placed->tensor, placed->shape));
      layouts[number] = builder.getStringAttr(placed->layout);
      op.setLayoutsAttr(builder.getArrayAttr(layouts));
      ++moved;
    }
    auto options = remark::RemarkOpts::name("moves").category("tenon-fold-attention-moves");
    if (moved)
      remark::passed(op.getLoc(), options) << remark::add("{0} operands are read where they were before being moved", moved);
  }
};

} // namespace
} // namespace tenon
