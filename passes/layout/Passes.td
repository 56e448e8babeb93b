//===- Passes.td - where elements and weights lie ----------------------*- tablegen -*-===//
#ifndef TENON_PASSES_LAYOUT_PASSES_TD
#define TENON_PASSES_LAYOUT_PASSES_TD
include "mlir/Pass/PassBase.td"

def FoldWeightMoves : Pass<"tenon-fold-weight-moves", "::mlir::ModuleOp"> {
  let summary = "Reshapes, transposes and slices of weights become recipes";
  let description = [{
    ```mlir
    %w = tenon.get @w : tensor<64x3x8x8xf32>
    %r = tenon.reshape %w : tensor<64x3x8x8xf32> -> tensor<64x192xf32>
    %t = tenon.map %x = %r at %k, %n : (tensor<64x192xf32>) -> tensor<192x64xf32> { load %x[%n, %k] }
    ```
    becomes
    ```mlir
    tenon.weight @w.reshape : tensor<64x192xf32> = #tenon.recipe<reshape [@w]>
    tenon.weight @w.reshape.transpose : tensor<192x64xf32> = #tenon.recipe<transpose [@w.reshape] {permutation = array<i64: 1, 0>}>
    %t = tenon.get @w.reshape.transpose : tensor<192x64xf32>
    ```
    Broadcasts stay in the program: a recipe would store every copy. Runs before contractions are flattened.
  }];
}

def FlattenContractions : Pass<"tenon-flatten-contractions", "::mlir::ModuleOp"> {
  let summary = "A product with a weight is a matrix product of rows";
  let description = [{
    ```mlir
    %y = tenon.contract "b s k, n k -> b s n" %x, %w : … -> tensor<?x?x96xf32, #tenon.dims<[B, S, 96]>>
    ```
    becomes
    ```mlir
    tenon.weight @w.transpose : tensor<384x96xf32> = #tenon.recipe<transpose [@w] {permutation = array<i64: 1, 0>}>
    %r = tenon.reshape %x : … -> tensor<?x384xf32, #tenon.dims<[B * S, 384]>>
    %m = tenon.contract "m k, k n -> m n" %r, %w.transpose
    %y = tenon.reshape %m : … -> tensor<?x?x96xf32, #tenon.dims<[B, S, 96]>>
    ```
    All dims the result shares with the activations are rows, all it shares with the weight columns, however
    many there are; the weight is put in order by a recipe. A weight on the left changes sides.

    Does not fire where activations would have to move: rows and summed dims interleaved, or columns
    before rows in the result. FuseContractionOperands runs before, SinkReshapes after.
  }];
}

def PlaceChannelsLast : Pass<"tenon-place-channels-last", "::mlir::ModuleOp"> {
  let summary = "Activations between convolutions lie pixel by pixel where that turns fewer elements";
  let description = [{
    A convolution gives rows of filters, `[position, filter]`; a pointwise one reads rows of channels. ONNX wants `[b, c, y, x]` between
    them:
    ```mlir
    %m = tenon.contract "b m k, k n -> b m n" %rows, %w : … -> tensor<1x3136x64xf32>
    %a = tenon.map %p = %m at %b, %c, %y, %x : … -> tensor<1x64x56x56xf32> { max(load %p[%b, %y * 56 + %x, %c], 0) }
    %v = tenon.map %q = %a at %b, %g, %y, %x, %c, %i, %j : … -> tensor<1x1x56x56x64x3x3xf32> { load %q[%b, %c, %y + %i - 1, %x + %j - 1], or 0 }
    ```
    becomes
    ```mlir
    %r = tenon.reshape %m : tensor<1x3136x64xf32> -> tensor<1x56x56x64xf32>
    %a = tenon.map %p = %r at %b, %y, %x, %c : … -> tensor<1x56x56x64xf32> { max(load %p[%b, %y, %x, %c], 0) }
    %v = tenon.map %q = %a at %b, %g, %y, %x, %c, %i, %j : … -> tensor<1x1x56x56x64x3x3xf32> { load %q[%b, %y + %i - 1, %x + %j - 1, %c], or 0 }
    ```
    A chain are all tensors whose element of a channel is made from the same channel of another: activations, residuals, padding,
    pooling, one filter a channel (`"g k, b g m k -> b g m"` becomes `"g k, b g m k -> b m g"`). Its channels move as one. The
    cost of either order is the number of elements of maps whose lanes would read across it, at the chain's ends; a reshape
    and the caller read a copy that is turned back. Decided by that count alone, so a chain that ends where it began, filter by filter, stays.

    Does not fire on tensors that neither a convolution nor pooling nor maps alone read (attention has dims of heads), nor where a grouped
    convolution reads one, nor a dense one of so few filters that they make no panels: those want rows of one channel; nor where a product, a
    norm, attention or a recurrence reads planes, which have forms of their own for them.
    Before FlattenContractions and MoveRows, which see what order is read; FormKernels finds convolutions in either order.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def PlaceBatchFirst : Pass<"tenon-place-batch-first", "::mlir::ModuleOp"> {
  let summary = "Products of matrices that lie in each other are computed one matrix after another";
  let description = [{
    ```mlir
    %g = tenon.contract "b l h n, b s h n -> b l s h" %c, %k : … -> tensor<2x64x64x8xf32>
    ```
    becomes
    ```mlir
    %p = tenon.contract "b l h n, b s h n -> b h l s" %c, %k : … -> tensor<2x8x64x64xf32>
    %g = tenon.map %t = %p at %b, %l, %s, %h { load %t[%b, %h, %l, %s] }
    ```
    The lanes of a register tile run along the columns of one matrix; where the result's last index is one of the batch,
    neighbours in memory are of different matrices, and each step of the sum is two loads for every element. The map goes into
    whatever reads %g.

    So do those of an operand whose last index is one of the batch, as in AlphaFold's `"i k c, j k c -> i j c"`: it is turned by a map
    as well, a copy by tiles, before a product gathers it element by element. Operands in another order stay: a product packs rows and
    columns that lie apart.

    Decided by the steps of the sum, and where both operands are turned by rows and columns too (`Least` in the file, with what was
    measured). A length that is not known counts as many.

    Does not fire where nothing is summed, nor where one side has no index of its own, as in a filter a channel (`"b m k g, k g ->
    b m g"`): lanes along the batch are then what vectors there are. Behind FuseContractionOperands, which puts a transpose
    of the result into the contraction.
  }];
}

def MoveRows : Pass<"tenon-move-rows", "::mlir::ModuleOp"> {
  let summary = "Rows are moved where a product with a weight reads them";
  let description = [{
    ```mlir
    %m = tenon.contract "m k, k n -> m n" %x, %w : … -> tensor<?x96xf32, #tenon.dims<[B * 4, 96]>>
    %y = tenon.reshape %m : … -> tensor<?x4x96xf32, #tenon.dims<[B, 4, 96]>>
    %z = tenon.map %a = %y, %r = %residual at %b, %s, %n { load %a[%b, (%s + 3) mod 4, %n] + load %r[%b, %s, %n] }
    ```
    becomes
    ```mlir
    %p = tenon.map %a = %x at %m, %k { load %a[%m floordiv 4 * 4 + (%m + 3) mod 4, %k] }
    %m = tenon.contract "m k, k n -> m n" %p, %w
    %y = tenon.reshape %m
    %z = tenon.map %a = %y, %r = %residual at %b, %s, %n { load %a[%b, %s, %n] + load %r[%b, %s, %n] }
    ```
    A row of the result is the same row of the operand times the weight, so the rows may be moved before; a bias that
    is added in between is added behind. Before a product, a chain of moves and reshapes that keeps rows whole becomes
    one map over the product's rows, from the furthest tensor on: FormKernels lets the product read through it while
    it copies its rows, and what reads the result in place finishes the product.

    Does not fire where others read the moved rows as well, where elements of a row part, or where rows would be
    computed more often than before.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def NormaliseRows : Pass<"tenon-normalise-rows", "::mlir::ModuleOp"> {
  let summary = "Softmax and norms are over the last dim alone";
  let description = [{
    ```mlir
    %p = tenon.softmax %x over 1 : tensor<2x8x5xf32>
    ```
    becomes
    ```mlir
    %m = tenon.reduce max %x over [1] : tensor<2x8x5xf32> -> tensor<2x5xf32>
    %e = tenon.map … { exp(x[b, j, c] - m[b, c]) }
    %s = tenon.reduce sum %e over [1] : tensor<2x8x5xf32> -> tensor<2x5xf32>
    %p = tenon.map … { e[b, j, c] / s[b, c] }
    ```
    Over the last dim a softmax is one kernel, which reads each row once. Over another the elements of a row
    lie apart, and reductions over that dim take neighbouring rows in the lanes of a vector. f16 and bf16 are
    computed in f32, as tenon.softmax says.

    A layer or RMS norm over several dims is one over their flattened row; a group norm of [B, C, H, W] is a
    layer norm of [B, groups, C / groups · H · W], then a map with each channel's scale and shift.
  }];
}

def SinkReshapes : Pass<"tenon-sink-reshapes", "::mlir::ModuleOp"> {
  let summary = "Move reshapes behind the maps and norms that follow them";
  let description = [{
    ```mlir
    %y = tenon.reshape %m : [B * S, 96] -> [B, S, 96]
    %z = tenon.map %a = %y, %t = %bias, %r = %residual at %b, %s, %n { load %a[%b, %s, %n] + load %t[%n] + load %r[%b, %s, %n] }
    ```
    becomes
    ```mlir
    %q = tenon.reshape %residual : [B, S, 96] -> [B * S, 96]
    %w = tenon.map %a = %m, %t = %bias, %r = %q at %m, %n { load %a[%m, %n] + load %t[%n] + load %r[%m, %n] }
    %z = tenon.reshape %w : [B * S, 96] -> [B, S, 96]
    ```
    The map then reads the contraction's result where it stands and becomes its epilogue. It fires when every load
    has the merged indices one after another or not at all; a table read by position alone (`load %p[%s, %n]`) keeps the
    map as it is, and so does a reshape whose operand others read too, unless all readers of the map want the merged dims. Norms over
    the last dimensions follow, and reductions of whole dims; dims of size 1 leave a map's result.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def NarrowProducts : Pass<"tenon-narrow-products", "::mlir::ModuleOp"> {
  let summary = "Matrix products with weights multiply bf16 and sum f32";
  let description = [{
    Runs where the module says `tenon.products = "bf16"`, which `--dtype=bf16` does.

    ```mlir
    %y = tenon.contract "m k, k n -> m n" %x, %w : (tensor<?x384xf32, …>, tensor<384x96xf32>) -> tensor<?x96xf32, …>
    ```
    becomes
    ```mlir
    tenon.weight @w.cast : tensor<384x96xbf16> = #tenon.recipe<cast [@w]>
    %r = tenon.map %a = %x at %i, %j : … { arith.truncf of %a[%i, %j] }
    %y = tenon.contract "m k, k n -> m n" %r, %w.cast : (tensor<?x384xbf16, …>, tensor<384x96xbf16>) -> tensor<?x96xf32, …>
    ```
    The rounding is done by whatever computes the activation, or on the way into the product, so activations between
    other operations stay f32: sums, softmax, norms and residuals keep their precision. Before maps are composed and
    weights are packed.
  }];
}

def GroupProducts : Pass<"tenon-group-products", "::mlir::ModuleOp"> {
  let summary = "Rows that each pick a matrix of a weight are multiplied matrix by matrix";
  let description = [{
    ```mlir
    %w = tenon.get @experts : tensor<8x1024x512xf32>                             // [expert, n, k]
    %g = tenon.map %t = %w, %e = %expert at %r, %n, %k : … -> tensor<?x1024x512xf32, …> { load %t[load %e[%r], %n, %k] }
    %y = tenon.contract "b m k, b k n -> b m n" %g, %x : … -> tensor<?x1024x1xf32, #tenon.dims<[R, 1024, 1]>>
    ```
    becomes
    ```mlir
    tenon.weight @experts.panels : tensor<512x512x16xf32> = #tenon.recipe<panels …>      // [expert * 64 + panel, k, column]
    %g = tenon.map %t = %experts.panels, %e = %expert at %r, %k, %n : … { load %t[load %e[%r] * 64 + %n floordiv 16, %k, %n mod 16] }
    %y = tenon.contract "m k, m k n -> m n" %x, %g : … -> tensor<?x1024xf32, #tenon.dims<[R, 1024]>>
    ```
    FormKernels makes the map part of the product's kernel, whose lowering (`lowering/GroupedProduct.h`) reads each picked matrix once
    and copies none. Does not fire where the matrix is not picked by data, where columns leave a panel part empty, or where a row's
    product is so small that finding the rows of each matrix would count; nor in a program for GPUs alone, whose tensor cores multiply
    gathered matrices.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let options = [Option<"width", "width", "int64_t", "16", "Columns of a panel">];
}

def PackWeights : Pass<"tenon-pack-weights", "::mlir::ModuleOp"> {
  let summary = "Weights of matrix products stand in column panels";
  let description = [{
    ```mlir
    %y = tenon.contract "m k, k n -> m n" %x, %w : (…, tensor<384x96xf32>) -> …
    ```
    becomes
    ```mlir
    tenon.weight @w.panels : tensor<6x384x16xf32> = #tenon.recipe<panels [@w] {width = 16}>
    %y = tenon.contract "m k, k n -> m n" %x, %w.panels panels 16 : (…, tensor<6x384x16xf32>) -> …
    ```
    A micro-kernel reads a panel from first to last byte. Columns are padded with zeros when the artifact is
    written, so the edge needs no mask. bf16 stands in pairs along `k`, `[ceil(N/16), ceil(K/2), 16 * 2]`, which is what
    dot-product instructions read. f32 and bf16 with f32 results; products of two activations stay.

    Filters times windows (`lowering/WindowProduct.h`) become windows times panels of filters, where no more than an eighth of the
    columns is padding: lanes along filters are always full, lanes along the positions of short rows are not. Windows of one element
    stay where they have fewer than 128 channels and their positions fill vectors: there turning the sums would cost more.
    One filter a channel is turned to `[tap, channel]`, which asks for lanes along channels, where those stand last, or rows have
    at most eight positions.
    ```mlir
    %y = tenon.contract "n k, b m k -> b n m" %filters, %windows
    %y = tenon.contract "b m k, k n -> b n m" %windows, %filters.panels panels 16
    ```
  }];
  let options = [Option<"width", "width", "int64_t", "16", "Columns of a panel">];
}

#endif
