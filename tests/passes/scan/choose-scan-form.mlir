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

// A memory of 128 over 1024 steps: transforms do least. Its A, B and C are weights, so the responses cost nothing.
tenon.weight @A : tensor<128x128xf32> = #tenon.random<1, 0.1>
tenon.weight @K : tensor<128xf32> = #tenon.random<2, 0.1>
// REMARK: by transforms: 1024 steps of a matrix of 128 x 128, 128 heads of 1 columns: {{.*}} us by transforms, {{.*}} us as a Toeplitz product, {{.*}} us by steps
// CHECK-LABEL: func.func @memory(
// CHECK: tenon.scan {{.*}} {tenon.form = "fft"}
func.func @memory(%u: tensor<1024xf32>) -> tensor<1024x128xf32> {
  %a = tenon.get @A : tensor<128x128xf32>
  %k = tenon.get @K : tensor<128xf32>
  %o = tenon.scan %a, %k, %u transition (%a : tensor<128x128xf32>) layout ["h d", "d", "n", "n h"] : tensor<128x128xf32>, tensor<128xf32>, tensor<1024xf32> -> tensor<1024x128xf32>
  return %o : tensor<1024x128xf32>
}

// Few steps of a large matrix: all shifts.
tenon.weight @large : tensor<256x256xf32> = #tenon.random<1, 0.1>
tenon.weight @wide : tensor<256xf32> = #tenon.random<2, 0.1>
// REMARK: as a Toeplitz product: 16 steps of a matrix of 256 x 256
// CHECK-LABEL: func.func @few(
// CHECK: tenon.scan {{.*}} {tenon.form = "toeplitz"}
func.func @few(%u: tensor<16xf32>) -> tensor<16x256xf32> {
  %a = tenon.get @large : tensor<256x256xf32>
  %k = tenon.get @wide : tensor<256xf32>
  %o = tenon.scan %a, %k, %u transition (%a : tensor<256x256xf32>) layout ["h d", "d", "n", "n h"] : tensor<256x256xf32>, tensor<256xf32>, tensor<16xf32> -> tensor<16x256xf32>
  return %o : tensor<16x256xf32>
}

// One column whose matrix is data: the responses would cost what the steps do. Keys that change, a state that is wanted: no convolution.
// REMARK: by steps: 1024 steps of a matrix of 64 x 64
// REMARK: by steps: no convolution: keys change with the step or the batch item
// REMARK: by steps: no convolution: a state is given or wanted
// CHECK-LABEL: func.func @steps(
// CHECK-COUNT-3: tenon.scan {{.*}} {tenon.form = "steps"}
func.func @steps(%u: tensor<1024xf32>, %a: tensor<64x64xf32>, %k: tensor<64xf32>, %x: tensor<1024x64xf32>) -> (tensor<1024x64xf32>, tensor<1024x64xf32>, tensor<1024x64xf32>, tensor<1x1x64x1xf32>) {
  %o = tenon.scan %a, %k, %u transition (%a : tensor<64x64xf32>) layout ["h d", "d", "n", "n h"] : tensor<64x64xf32>, tensor<64xf32>, tensor<1024xf32> -> tensor<1024x64xf32>
  %p = tenon.scan %a, %x, %u transition (%a : tensor<64x64xf32>) layout ["h d", "n d", "n", "n h"] : tensor<64x64xf32>, tensor<1024x64xf32>, tensor<1024xf32> -> tensor<1024x64xf32>
  %q, %s = tenon.scan %a, %k, %u transition (%a : tensor<64x64xf32>) layout ["h d", "d", "n", "n h"] : tensor<64x64xf32>, tensor<64xf32>, tensor<1024xf32> -> tensor<1024x64xf32>, tensor<1x1x64x1xf32>
  return %o, %p, %q, %s : tensor<1024x64xf32>, tensor<1024x64xf32>, tensor<1024x64xf32>, tensor<1x1x64x1xf32>
}
