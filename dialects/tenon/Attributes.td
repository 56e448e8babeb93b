//===- Attributes.td - dim expressions, weight sources, the target ----*- tablegen -*-===//
#ifndef TENON_ATTRIBUTES_TD
#define TENON_ATTRIBUTES_TD
include "dialects/tenon/Dialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/TensorEncoding.td"
include "mlir/IR/EnumAttr.td"

class Tenon_Attr<string name, string attrMnemonic, list<Trait> traits = []> : AttrDef<TenonDialect, name, traits> {
  let mnemonic = attrMnemonic;
}

// `dims` and `dim` have no mnemonic here: their text is read whole by the dialect's
// parseAttribute, because an expression like `S - P` is not a sequence of tokens
// that AsmParser offers.
def Tenon_DimsAttr : AttrDef<TenonDialect, "Dims", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let attrName = "tenon.dims";
  let summary = "The dimensions of a tensor, as expressions of the module's symbols";
  let description = [{
    The encoding of a ranked tensor type: one expression per dimension, constant
    exactly where the type is static.

    ```mlir
    tensor<?x?x64xf32, #tenon.dims<[B, S + P, 64]>>
    ```

    Expressions are integer polynomials with `floordiv`, `mod`, `min` and `max`
    in the normal form of `dialects/tenon/Dim.h`; two are equal exactly when they
    print alike.
  }];
  let parameters = (ins ArrayRefParameter<"::tenon::Dim">:$dims);
}

def Tenon_DimAttr : AttrDef<TenonDialect, "Dim"> {
  let attrName = "tenon.dim";
  let summary = "One dim expression";
  let parameters = (ins "::tenon::Dim":$value);
}

def Tenon_SourceAttr : Tenon_Attr<"Source", "source"> {
  let summary = "Bytes of a mapped file";
  let description = [{
    `#tenon.source<"model.safetensors", 1024>`: the weight's elements stand,
    little-endian and row-major, at this byte offset of the named file. The file
    is mapped by whoever imported the model (`dialects/tenon/WeightStore.h`); the IR
    never holds the bytes.
  }];
  let parameters = (ins StringRefParameter<>:$file, "int64_t":$offset);
  let assemblyFormat = "`<` $file `,` $offset `>`";
}

def Tenon_RandomAttr : Tenon_Attr<"Random", "random"> {
  let summary = "Reproducible pseudo-random elements, for tests and benchmarks";
  let description = [{
    `#tenon.random<7, 0.05>`: element n is uniform in [-scale, scale). The upper 53 bits
    of the n-th output of SplitMix64 seeded with the first parameter are a number u in
    [0, 1); the element is scale · (2u - 1), rounded to the element type.
  }];
  let parameters = (ins "uint64_t":$seed, "::mlir::FloatAttr":$scale);
  let hasCustomAssemblyFormat = 1;
}

def Tenon_RecipeAttr : Tenon_Attr<"Recipe", "recipe"> {
  let summary = "How a weight is made from others when the artifact is written";
  let description = [{
    `#tenon.recipe<concat [@q, @k, @v] {axis = 1}>`. Evaluated tensor by tensor,
    streaming and in parallel, by `compiler/weights/Recipe.h`; nothing is
    evaluated while passes run. Equal recipes are stored once.

    | recipe | parameters | result |
    |---|---|---|
    | `concat` | `axis` | the inputs one after another along `axis` |
    | `transpose` | `permutation`, as `array<i64: 1, 0>` | result dim i is input dim permutation[i] |
    | `reshape` |  | same elements, other dims |
    | `slice` | `axis`, `begin` | from `begin` along `axis` |
    | `cast` |  | to the result's element type: to a float rounding to nearest even, to an integer towards zero, saturating |
    | `scale` | `factor` | every element times a constant |
    | `multiply`, `add` |  | element-wise, NumPy broadcast |
    | `product` |  | of matrices of floats, `[M, K]` and `[K, N]`, summed over K in order |
    | `panels` | `width` | `[K, N]` to `[ceil(N / width), K, width]`, missing columns zero |

    Arithmetic is done in float64 and rounded once to the declared type of each weight; integers wrap.
    Only `cast` changes the element type.
  }];
  let parameters = (ins StringRefParameter<>:$kind, ArrayRefParameter<"::mlir::FlatSymbolRefAttr">:$inputs,
                        "::mlir::DictionaryAttr":$params);
  let hasCustomAssemblyFormat = 1;
}

def Tenon_TargetAttr : Tenon_Attr<"Target", "target"> {
  let summary = "The machine level the kernels are made for";
  let description = [{
    What passes may know about a machine, and all they may know: they never name
    one. Filled from `compiler/levels/Targets.def`.

    `vector_bits` and `vector_registers` describe one core's vector unit,
    `row_tile` is the most rows of a matrix product's register tile; how wide the tile is follows from
    them. Caches are in bytes, of one core.
  }];
  let parameters = (ins StringRefParameter<>:$level, "int64_t":$vectorBits, "int64_t":$vectorRegisters,
                        "int64_t":$rowTile, "int64_t":$l1Bytes, "int64_t":$l2Bytes);
  let assemblyFormat = [{
    `<` $level `,` `vector_bits` `=` $vectorBits `,` `vector_registers` `=` $vectorRegisters `,`
    `row_tile` `=` $rowTile `,` `l1` `=` $l1Bytes `,` `l2` `=` $l2Bytes `>`
  }];
}

//===------------------------------------------------------------------------------===//
// Enumerations
//===------------------------------------------------------------------------------===//

class Tenon_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::tenon";
  let genSpecializedAttr = 0;
}
class Tenon_EnumAttr<EnumAttrInfo info, string mnemonic> : EnumAttr<TenonDialect, info, mnemonic>;

def Tenon_ReduceKind : Tenon_Enum<"ReduceKind", "what a reduction computes", [
  I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Product", 1, "product">,
  I32EnumAttrCase<"Max", 2, "max">, I32EnumAttrCase<"Min", 3, "min">]>;
def Tenon_ReduceKindAttr : Tenon_EnumAttr<Tenon_ReduceKind, "reduce_kind">;

def Tenon_NormKind : Tenon_Enum<"NormKind", "what a normalisation subtracts and divides by", [
  I32EnumAttrCase<"Layer", 0, "layer">, I32EnumAttrCase<"RMS", 1, "rms">, I32EnumAttrCase<"Group", 2, "group">]>;
def Tenon_NormKindAttr : Tenon_EnumAttr<Tenon_NormKind, "norm_kind">;

def Tenon_Normaliser : Tenon_Enum<"Normaliser", "how attention scores become weights", [
  I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"Sum", 1, "sum">, I32EnumAttrCase<"Softmax", 2, "softmax">,
  I32EnumAttrCase<"Hard", 3, "hard">, I32EnumAttrCase<"TopKSoftmax", 4, "topk_softmax">,
  I32EnumAttrCase<"Sinkhorn", 5, "sinkhorn">]>;
def Tenon_NormaliserAttr : Tenon_EnumAttr<Tenon_Normaliser, "normaliser">;

def Tenon_EmptyRow : Tenon_Enum<"EmptyRow", "what a row with no live key gives", [
  I32EnumAttrCase<"Zero", 0, "zero">, I32EnumAttrCase<"NaN", 1, "nan">,
  I32EnumAttrCase<"Uniform", 2, "uniform">, I32EnumAttrCase<"IgnoreKeep", 3, "ignore_keep">]>;
def Tenon_EmptyRowAttr : Tenon_EnumAttr<Tenon_EmptyRow, "empty_row">;

def Tenon_AttentionAlgorithm : Tenon_Enum<"AttentionAlgorithm", "how an attention is computed", [
  I32EnumAttrCase<"Materialised", 0, "materialised">, I32EnumAttrCase<"Flash", 1, "flash">,
  I32EnumAttrCase<"Split", 2, "split">, I32EnumAttrCase<"FFT", 3, "fft">, I32EnumAttrCase<"FFTBlocks", 4, "fft_blocks">]>;
def Tenon_AttentionAlgorithmAttr : Tenon_EnumAttr<Tenon_AttentionAlgorithm, "attention_algorithm">;

def Tenon_ToeplitzForm : Tenon_Enum<"ToeplitzForm", "how a product with a Toeplitz matrix is computed", [
  I32EnumAttrCase<"Direct", 0, "direct">, I32EnumAttrCase<"FFT", 1, "fft">, I32EnumAttrCase<"FFTBlocks", 2, "fft_blocks">]>;
def Tenon_ToeplitzFormAttr : Tenon_EnumAttr<Tenon_ToeplitzForm, "toeplitz_form">;
#endif
