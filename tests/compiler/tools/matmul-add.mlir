// One artifact with code for three kinds of machine: the same bytes whatever the
// folder and the number of threads, one command, results that agree.

// REQUIRES: x86-64-v4, qemu-aarch64
// RUN: rm -rf %t && mkdir -p %t/one %t/two
// RUN: cp %s %t/one/m.mlir && cp %s %t/two/m.mlir
// RUN: tenon compile %t/one/m.mlir --target=x86-64-v3,x86-64-v4,aarch64 --threads 1 --quiet -o %t/one/m.tenon
// RUN: cd %t/two && tenon compile m.mlir --target=x86-64-v3,x86-64-v4,aarch64 --threads 2 --quiet -o m.tenon
// RUN: cmp %t/one/m.tenon %t/two/m.tenon
// RUN: tenon inspect %t/one/m.tenon | FileCheck %s --check-prefix=INSPECT
// INSPECT: x86-64-v3 {{.*}} of code
// INSPECT: x86-64-v4 {{.*}} of code
// INSPECT: aarch64 {{.*}} of code
// INSPECT: 0 {{.*}}<N>(x, w.panels, b, y)
// INSPECT-NEXT: 1 kernels; 2 weights

// RUN: python -c "import numpy; numpy.save('%t/x.npy', numpy.random.default_rng(0).standard_normal((17, 96), 'float32'))"
// RUN: tenon run %t/one/m.tenon --input x=%t/x.npy --level x86-64-v3 --threads 1 --output-dir %t/v3 --quiet
// RUN: tenon run %t/one/m.tenon --input x=%t/x.npy --level x86-64-v3 --threads 2 --output-dir %t/v3-two --quiet
// RUN: tenon run %t/one/m.tenon --input x=%t/x.npy --level x86-64-v4 --output-dir %t/v4 --quiet
// RUN: qemu-aarch64 %build/aarch64/bin/tenon-run %t/one/m.tenon --input x=%t/x.npy --output-dir %t/arm --quiet
// RUN: cmp %t/v3/y.npy %t/v3-two/y.npy
// RUN: python -c "import numpy; a, b, c = (numpy.load('%t/' + d + '/y.npy') for d in ('v3', 'v4', 'arm')); assert a.shape == (17, 40) and abs(a).max() > 0.1; assert abs(a - b).max() < 1e-5 and abs(a - c).max() < 1e-5"

tenon.symbol @N in [1, 4096]
tenon.weight @w : tensor<96x40xf32> = #tenon.random<7, 5.0e-02>
tenon.weight @b : tensor<40xf32> = #tenon.random<8, 1.0>

func.func @main(%x: tensor<?x96xf32, #tenon.dims<[N, 96]>> {tenon.name = "x"})
    -> (tensor<?x40xf32, #tenon.dims<[N, 40]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %w = tenon.get @w : tensor<96x40xf32>
  %b = tenon.get @b : tensor<40xf32>
  %product = tenon.contract "n k, k m -> n m" %x, %w
     : (tensor<?x96xf32, #tenon.dims<[N, 96]>>, tensor<96x40xf32>) -> tensor<?x40xf32, #tenon.dims<[N, 40]>>
  %y = tenon.map %p = %product, %c = %b at %i, %j
     : (tensor<?x40xf32, #tenon.dims<[N, 40]>>, tensor<40xf32>) -> tensor<?x40xf32, #tenon.dims<[N, 40]>> {
    %left = tenon.load %p[%i, %j] : tensor<?x40xf32, #tenon.dims<[N, 40]>>
    %right = tenon.load %c[%j] : tensor<40xf32>
    %sum = arith.addf %left, %right : f32
    tenon.yield %sum : f32
  }
  return %y : tensor<?x40xf32, #tenon.dims<[N, 40]>>
}
