// RUN: tenon-opt %s --tenon-choose-attention-algorithm --tenon-split-attention --split-input-file | FileCheck %s
// RUN: tenon-opt %s --tenon-choose-attention-algorithm --split-input-file --remark-format=emitRemark --remarks-filter-passed='.*' 2>&1 | FileCheck %s --check-prefix=REMARK

// A GPU of 108 multiprocessors. One token of 8 heads on 2, of one to 16 sequences: for one, 216 blocks would be 108 parts, of
// which none has fewer than 128 keys.
// CHECK-LABEL: func.func @decode
// CHECK: tenon.attention_update {{.*}} parts_of 128
// REMARK: split: few queries
module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {
tenon.symbol @S in [1, 4096]
tenon.symbol @B in [1, 16]
func.func @decode(%q: tensor<?x8x1x16xf32, #tenon.dims<[B, 8, 1, 16]>>, %k: tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>)
    -> tensor<?x8x1x16xf32, #tenon.dims<[B, 8, 1, 16]>> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<?x8x1x16xf32, #tenon.dims<[B, 8, 1, 16]>>, tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>, tensor<?x2x?x16xf32, #tenon.dims<[B, 2, S, 16]>>) -> tensor<?x8x1x16xf32, #tenon.dims<[B, 8, 1, 16]>>
  return %o : tensor<?x8x1x16xf32, #tenon.dims<[B, 8, 1, 16]>>
}
}

// -----

// A prompt of at most 128 tokens of 8 heads on 2: 8 blocks a key head, of 108 multiprocessors. 14 parts each, of 8192 keys: of 640.
// CHECK-LABEL: func.func @prompt
// CHECK: tenon.attention_update {{.*}} parts_of 640
// CHECK: tenon.attention_merge
// REMARK: split: few blocks of queries for a GPU
module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {
tenon.symbol @N in [1, 128]
tenon.symbol @S in [1, 8192]
func.func @prompt(%q: tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>, %k: tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>)
    -> tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>) -> tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>
  return %o : tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>
}
}

// -----

// As many as may be 4096 fill it; so would parts of 200 keys not be worth another kernel.
// CHECK-LABEL: func.func @long_prompt
// CHECK-NOT: attention_update
// CHECK: algorithm flash
// CHECK-LABEL: func.func @short_cache
// CHECK-NOT: attention_update
// CHECK: algorithm flash
module attributes {tenon.target = #tenon.target<"nvptx-sm_80", vector_bits = 128, vector_registers = 32, row_tile = 5, l1 = 131072, l2 = 41943040>} {
tenon.symbol @N in [1, 4096]
tenon.symbol @S in [1, 8192]
tenon.symbol @C in [1, 200]
func.func @long_prompt(%q: tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>, %k: tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>)
    -> tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>) -> tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>
  return %o : tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>
}
func.func @short_cache(%q: tensor<1x8x16x16xf32>, %k: tensor<1x2x?x16xf32, #tenon.dims<[1, 2, C, 16]>>) -> tensor<1x8x16x16xf32> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x8x16x16xf32>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, C, 16]>>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, C, 16]>>) -> tensor<1x8x16x16xf32>
  return %o : tensor<1x8x16x16xf32>
}
}

// -----

// The same prompt for a CPU.
// CHECK-LABEL: func.func @on_a_cpu
// CHECK-NOT: attention_update
// CHECK: algorithm flash
tenon.symbol @N in [1, 128]
tenon.symbol @S in [1, 8192]
func.func @on_a_cpu(%q: tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>, %k: tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>)
    -> tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>> {
  %o = tenon.attention %q, (%k), (%k) normalise softmax empty zero layout ["b h n d", "b h n d", "b h n d", "b h n d"]
     : (tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>, tensor<1x2x?x16xf32, #tenon.dims<[1, 2, S, 16]>>) -> tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>
  return %o : tensor<1x8x?x16xf32, #tenon.dims<[1, 8, N, 16]>>
}
