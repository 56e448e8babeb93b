// A map that turns what it reads, beside the same elements in place; one whose rows are whole quarters; one whose are not.
tenon.symbol @N in [1, 200]

func.func @main(%x: tensor<?x3x70xf32, #tenon.dims<[N, 3, 70]>> {tenon.name = "x"}, %b: tensor<3xf32> {tenon.name = "b"},
                %w: tensor<?x64xf32, #tenon.dims<[N, 64]>> {tenon.name = "w"})
    -> (tensor<3x70x?xf32, #tenon.dims<[3, 70, N]>> {tenon.name = "turned"},
        tensor<?x64xf32, #tenon.dims<[N, 64]>> {tenon.name = "quarters"},
        tensor<?x70xf32, #tenon.dims<[N, 70]>> {tenon.name = "single"}) attributes {tenon.entry} {
  %t = tenon.map %a = %x, %c = %b, %d = %x at %i, %j, %n
      : (tensor<?x3x70xf32, #tenon.dims<[N, 3, 70]>>, tensor<3xf32>, tensor<?x3x70xf32, #tenon.dims<[N, 3, 70]>>) -> tensor<3x70x?xf32, #tenon.dims<[3, 70, N]>> {
    %first = arith.constant 0 : index
    %u = tenon.load %a[%n, %i, %j] : tensor<?x3x70xf32, #tenon.dims<[N, 3, 70]>>
    %v = tenon.load %c[%i] : tensor<3xf32>
    %e = tenon.load %d[%n, %first, %j] : tensor<?x3x70xf32, #tenon.dims<[N, 3, 70]>>
    %p = arith.mulf %u, %e : f32
    %s = arith.addf %p, %v : f32
    tenon.yield %s : f32
  }
  %q = tenon.map %a = %w at %n, %j : (tensor<?x64xf32, #tenon.dims<[N, 64]>>) -> tensor<?x64xf32, #tenon.dims<[N, 64]>> {
    %u = tenon.load %a[%n, %j] : tensor<?x64xf32, #tenon.dims<[N, 64]>>
    %e = math.exp %u : f32
    tenon.yield %e : f32
  }
  %o = tenon.map %a = %x at %n, %j : (tensor<?x3x70xf32, #tenon.dims<[N, 3, 70]>>) -> tensor<?x70xf32, #tenon.dims<[N, 70]>> {
    %second = arith.constant 1 : index
    %u = tenon.load %a[%n, %second, %j] : tensor<?x3x70xf32, #tenon.dims<[N, 3, 70]>>
    %e = math.exp %u : f32
    tenon.yield %e : f32
  }
  return %t, %q, %o : tensor<3x70x?xf32, #tenon.dims<[3, 70, N]>>, tensor<?x64xf32, #tenon.dims<[N, 64]>>, tensor<?x70xf32, #tenon.dims<[N, 70]>>
}
