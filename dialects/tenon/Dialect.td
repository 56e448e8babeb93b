//===- Dialect.td - the dialect itself and the op base classes ---*- tablegen -*-===//
#ifndef TENON_DIALECT_TD
#define TENON_DIALECT_TD
include "mlir/IR/OpBase.td"

def TenonDialect : Dialect {
  let name = "tenon";
  let cppNamespace = "::tenon";
  let summary = "What a transformer model means";
  let description = [{
    Tensors with symbolic dimensions and the few operations a pass must see as
    one thing. The dialect says what a value *is*, never how or where it is
    computed: no tiles, no machine, no order beyond data flow.

    Every op works on ranked tensors whose dynamic dimensions are named:
    `tensor<?x?x384xf32, #tenon.dims<[B, S, 384]>>`. A symbol is declared once
    on the module (`tenon.symbol @S in [0, 8192]`), and two dimensions are equal
    exactly when their expressions are.

    | op | what it is |
    |---|---|
    | `map` | every element-wise or index-moving operation: an index lambda |
    | `contract` | a sum of products over named indices (einsum) |
    | `reduce`, `softmax`, `norm` | what mixes the elements of a row |
    | `attention` | every attention variant, see its own description |
    | `reshape` | the same elements in the same order under other dimensions |
    | `weight`, `get`, `symbol` | what a module declares |
    | `kernel`, `dispatch` | a fused group outlined, and its use |
  }];
  let extraClassDeclaration = [{
    ::mlir::Attribute parseAttribute(::mlir::DialectAsmParser &parser, ::mlir::Type type) const override;
    void printAttribute(::mlir::Attribute attribute, ::mlir::DialectAsmPrinter &printer) const override;

   private:
    void registerAttributes();
   public:
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::func::FuncDialect"];
}

class Tenon_Op<string mnemonic, list<Trait> traits = []> : Op<TenonDialect, mnemonic, traits>;
#endif
