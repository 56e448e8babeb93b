// RUN: tenon-opt %s --tenon-scan-attention | FileCheck %s
// RUN: tenon-opt %s --tenon-scan-attention --remark-format=emitRemark --remarks-filter-passed='.*' --remarks-filter-missed='.*' 2>&1 | FileCheck %s --check-prefix=REMARK
tenon.symbol @N in [0, 4096]

// A factor for each step: the state is multiplied once a chunk.
// REMARK: in chunks: a state of 64 x 64: {{[0-9]+}} multiply-adds' time a step in chunks, {{[0-9]+}} by steps"
// CHECK-LABEL: func.func @decay(
// CHECK: tenon.scan {{.*}} {tenon.form = "chunks"}
func.func @decay(%x: tensor<?x64xf32, #tenon.dims<[N, 64]>>, %a: tensor<?xf32, #tenon.dims<[N]>>) -> tensor<?x64xf32, #tenon.dims<[N, 64]>> {
  %o = tenon.scan %x, %x, %x decay (%a : tensor<?xf32, #tenon.dims<[N]>>) layout ["n d", "n d", "n d", "n", "n d"]
    : tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>> -> tensor<?x64xf32, #tenon.dims<[N, 64]>>
  return %o : tensor<?x64xf32, #tenon.dims<[N, 64]>>
}

// A sum: nothing is multiplied that chunks would save.
// REMARK: by steps: a state of 64 x 64: {{[0-9]+}} multiply-adds' time a step in chunks, {{[0-9]+}} by steps"
// CHECK-LABEL: func.func @sum(
// CHECK: tenon.scan {{.*}} {tenon.form = "steps"}
func.func @sum(%x: tensor<?x64xf32, #tenon.dims<[N, 64]>>) -> tensor<?x64xf32, #tenon.dims<[N, 64]>> {
  %o = tenon.scan %x, %x, %x layout ["n d", "n d", "n d", "n d"]
    : tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>> -> tensor<?x64xf32, #tenon.dims<[N, 64]>>
  return %o : tensor<?x64xf32, #tenon.dims<[N, 64]>>
}

// It is asked for.
// REMARK: in chunks: a state of 64 x 64: {{[0-9]+}} multiply-adds' time a step in chunks, {{[0-9]+}} by steps, asked for"
// CHECK-LABEL: func.func @asked(
// CHECK: tenon.scan {{.*}} {tenon.form = "chunks"}
func.func @asked(%x: tensor<?x64xf32, #tenon.dims<[N, 64]>>) -> tensor<?x64xf32, #tenon.dims<[N, 64]>> {
  %o = tenon.scan %x, %x, %x layout ["n d", "n d", "n d", "n d"] {tenon.form = "chunks"}
    : tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>> -> tensor<?x64xf32, #tenon.dims<[N, 64]>>
  return %o : tensor<?x64xf32, #tenon.dims<[N, 64]>>
}

// A factor for each row of the state.
// REMARK: by steps: rows of the state have factors of their own
// CHECK-LABEL: func.func @rows(
// CHECK: tenon.scan {{.*}} {tenon.form = "steps"}
func.func @rows(%x: tensor<?x64xf32, #tenon.dims<[N, 64]>>) -> tensor<?x64xf32, #tenon.dims<[N, 64]>> {
  %o = tenon.scan %x, %x, %x decay (%x : tensor<?x64xf32, #tenon.dims<[N, 64]>>) layout ["n d", "n d", "n d", "n d", "n d"]
    : tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>> -> tensor<?x64xf32, #tenon.dims<[N, 64]>>
  return %o : tensor<?x64xf32, #tenon.dims<[N, 64]>>
}

// Few columns, which would pay for all the scores; few steps.
// REMARK: by steps: a state of 64 x 4: {{[0-9]+}} multiply-adds' time a step in chunks, {{[0-9]+}} by steps
// CHECK-LABEL: func.func @narrow(
// CHECK: tenon.scan {{.*}} {tenon.form = "steps"}
func.func @narrow(%x: tensor<64x64xf32>, %v: tensor<64x4xf32>, %a: tensor<64xf32>) -> tensor<64x4xf32> {
  %o = tenon.scan %x, %x, %v decay (%a : tensor<64xf32>) layout ["n d", "n d", "n d", "n", "n d"]
    : tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x4xf32> -> tensor<64x4xf32>
  return %o : tensor<64x4xf32>
}
// REMARK: by steps: fewer steps than a chunk
// CHECK-LABEL: func.func @short(
// CHECK: tenon.scan {{.*}} {tenon.form = "steps"}
func.func @short(%x: tensor<15x64xf32>, %a: tensor<15xf32>) -> tensor<15x64xf32> {
  %o = tenon.scan %x, %x, %x decay (%a : tensor<15xf32>) layout ["n d", "n d", "n d", "n", "n d"]
    : tensor<15x64xf32>, tensor<15x64xf32>, tensor<15x64xf32> -> tensor<15x64xf32>
  return %o : tensor<15x64xf32>
}
