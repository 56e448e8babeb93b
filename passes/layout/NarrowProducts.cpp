//===- NarrowProducts.cpp - products with weights in bf16 ------------------------------===//
#include "passes/Passes.h"
#include "passes/layout/MatrixProduct.h"
#include "passes/layout/WeightRecipes.h"
#include "passes/lowering/WindowProduct.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_NARROWPRODUCTS
#include "passes/Passes.h.inc"

namespace {

/// A map that rounds every element of `tensor` to `element`.
Value rounded(OpBuilder &builder, Location loc, Value tensor, Type element) {
  return MapOp::create(builder, loc, tensorOf(element, shapeOf(tensor)), tensor,
                       [&](OpBuilder &inner, Location at, ValueRange arguments, ValueRange indices) -> Value {
                         Value loaded = LoadOp::create(inner, at, arguments[0], indices);
                         return arith::TruncFOp::create(inner, at, element, loaded);
                       });
}

/// A convolution, which reads windows from a tensor of its own in f32.
bool readsOverlappingWindows(ContractOp op) {
  std::optional<WindowRead> read = windowsOfRows(op);
  return read && read->overlaps;
}

struct NarrowProducts : impl::NarrowProductsBase<NarrowProducts> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto wanted = module->getAttrOfType<StringAttr>("tenon.products");
    if (!wanted)
      return;
    if (wanted.getValue() != "bf16") {
      module.emitError("tenon.products wants \"bf16\", found \"") << wanted.getValue() << '"';
      return signalPassFailure();
    }
    WeightRecipes recipes(module);
    module.walk([&](ContractOp op) {
      auto get = op.getRhs().getDefiningOp<GetOp>();
      if (get && !op.getPanels() && !readsOverlappingWindows(op) && elementOf(get.getResult()).isF32() &&
          isMatrixProduct(op))
        narrow(op, get, recipes);
    });
  }

  void narrow(ContractOp op, GetOp get, WeightRecipes &recipes) {
    OpBuilder builder(op);
    Type bf16 = builder.getBF16Type();
    WeightOp weight = recipes.cast(recipes.lookup(get), bf16);
    op.getLhsMutable().assign(rounded(builder, op.getLoc(), op.getLhs(), bf16));
    op.getRhsMutable().assign(WeightRecipes::get(builder, get.getLoc(), weight).getResult());
    if (get->use_empty())
      get.erase();
  }
};

} // namespace
} // namespace tenon
