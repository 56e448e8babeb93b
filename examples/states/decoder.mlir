// A decoder layer that remembers: the keys and values of the tokens it has seen, up to 48, and the running sum of what
// it was given. `prefill` takes in any number of tokens, `step` one more; both read the same weights and states.
tenon.symbol @S in [1, 48]
tenon.symbol @P in [0, 48] kept

tenon.weight @query : tensor<24x24xf32> = #tenon.random<1, 0.3>
tenon.weight @key : tensor<24x24xf32> = #tenon.random<2, 0.3>
tenon.weight @value : tensor<24x24xf32> = #tenon.random<3, 0.3>
tenon.weight @output : tensor<24x24xf32> = #tenon.random<4, 0.3>

tenon.state @keys : tensor<48x2x12xf32>
tenon.state @values : tensor<48x2x12xf32>
tenon.state @total : tensor<24xf32>

func.func @prefill(%x: tensor<?x24xf32, #tenon.dims<[S, 24]>> {tenon.name = "x"})
    -> (tensor<?x24xf32, #tenon.dims<[S, 24]>> {tenon.name = "y"}, tensor<24xf32> {tenon.name = "total"})
    attributes {tenon.entry} {
  %wq = tenon.get @query : tensor<24x24xf32>
  %wk = tenon.get @key : tensor<24x24xf32>
  %wv = tenon.get @value : tensor<24x24xf32>
  %wo = tenon.get @output : tensor<24x24xf32>
  %q0 = tenon.contract "s k, k n -> s n" %x, %wq : (tensor<?x24xf32, #tenon.dims<[S, 24]>>, tensor<24x24xf32>) -> tensor<?x24xf32, #tenon.dims<[S, 24]>>
  %k0 = tenon.contract "s k, k n -> s n" %x, %wk : (tensor<?x24xf32, #tenon.dims<[S, 24]>>, tensor<24x24xf32>) -> tensor<?x24xf32, #tenon.dims<[S, 24]>>
  %v0 = tenon.contract "s k, k n -> s n" %x, %wv : (tensor<?x24xf32, #tenon.dims<[S, 24]>>, tensor<24x24xf32>) -> tensor<?x24xf32, #tenon.dims<[S, 24]>>
  %q = tenon.reshape %q0 : tensor<?x24xf32, #tenon.dims<[S, 24]>> -> tensor<?x2x12xf32, #tenon.dims<[S, 2, 12]>>
  %k = tenon.reshape %k0 : tensor<?x24xf32, #tenon.dims<[S, 24]>> -> tensor<?x2x12xf32, #tenon.dims<[S, 2, 12]>>
  %v = tenon.reshape %v0 : tensor<?x24xf32, #tenon.dims<[S, 24]>> -> tensor<?x2x12xf32, #tenon.dims<[S, 2, 12]>>

  %oldk = tenon.state_get @keys : tensor<?x2x12xf32, #tenon.dims<[P, 2, 12]>>
  %oldv = tenon.state_get @values : tensor<?x2x12xf32, #tenon.dims<[P, 2, 12]>>
  %ks = tenon.append %k to %oldk : tensor<?x2x12xf32, #tenon.dims<[S, 2, 12]>> to tensor<?x2x12xf32, #tenon.dims<[P, 2, 12]>> -> tensor<?x2x12xf32, #tenon.dims<[P + S, 2, 12]>>
  %vs = tenon.append %v to %oldv : tensor<?x2x12xf32, #tenon.dims<[S, 2, 12]>> to tensor<?x2x12xf32, #tenon.dims<[P, 2, 12]>> -> tensor<?x2x12xf32, #tenon.dims<[P + S, 2, 12]>>
  tenon.state_set @keys, %ks : tensor<?x2x12xf32, #tenon.dims<[P + S, 2, 12]>>
  tenon.state_set @values, %vs : tensor<?x2x12xf32, #tenon.dims<[P + S, 2, 12]>>
  tenon.advance @P to #tenon.dim<P + S>

  %o = tenon.attention %q, (%ks), (%vs) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<?x2x12xf32, #tenon.dims<[S, 2, 12]>>, tensor<?x2x12xf32, #tenon.dims<[P + S, 2, 12]>>, tensor<?x2x12xf32, #tenon.dims<[P + S, 2, 12]>>) -> tensor<?x2x12xf32, #tenon.dims<[S, 2, 12]>>
    score (%s, %b, %h, %i, %j) = %s * 0.288675
    keep (%b, %h, %i, %j) = %j <= %i + size(P)
  %o0 = tenon.reshape %o : tensor<?x2x12xf32, #tenon.dims<[S, 2, 12]>> -> tensor<?x24xf32, #tenon.dims<[S, 24]>>
  %p = tenon.contract "s k, k n -> s n" %o0, %wo : (tensor<?x24xf32, #tenon.dims<[S, 24]>>, tensor<24x24xf32>) -> tensor<?x24xf32, #tenon.dims<[S, 24]>>
  %y = tenon.map %a = %p, %c = %x at %i, %n : (tensor<?x24xf32, #tenon.dims<[S, 24]>>, tensor<?x24xf32, #tenon.dims<[S, 24]>>) -> tensor<?x24xf32, #tenon.dims<[S, 24]>> = %a[%i, %n] + %c[%i, %n]

  %before = tenon.state_get @total : tensor<24xf32>
  %sum = tenon.reduce sum %x over [0] : tensor<?x24xf32, #tenon.dims<[S, 24]>> -> tensor<24xf32>
  %after = tenon.map %a = %before, %c = %sum at %n : (tensor<24xf32>, tensor<24xf32>) -> tensor<24xf32> = %a[%n] + %c[%n]
  tenon.state_set @total, %after : tensor<24xf32>
  return %y, %after : tensor<?x24xf32, #tenon.dims<[S, 24]>>, tensor<24xf32>
}

func.func @step(%x: tensor<1x24xf32> {tenon.name = "x"}) -> (tensor<1x24xf32> {tenon.name = "y"}) attributes {tenon.entry} {
  %wq = tenon.get @query : tensor<24x24xf32>
  %wk = tenon.get @key : tensor<24x24xf32>
  %wv = tenon.get @value : tensor<24x24xf32>
  %wo = tenon.get @output : tensor<24x24xf32>
  %q0 = tenon.contract "s k, k n -> s n" %x, %wq : (tensor<1x24xf32>, tensor<24x24xf32>) -> tensor<1x24xf32>
  %k0 = tenon.contract "s k, k n -> s n" %x, %wk : (tensor<1x24xf32>, tensor<24x24xf32>) -> tensor<1x24xf32>
  %v0 = tenon.contract "s k, k n -> s n" %x, %wv : (tensor<1x24xf32>, tensor<24x24xf32>) -> tensor<1x24xf32>
  %q = tenon.reshape %q0 : tensor<1x24xf32> -> tensor<1x2x12xf32>
  %k = tenon.reshape %k0 : tensor<1x24xf32> -> tensor<1x2x12xf32>
  %v = tenon.reshape %v0 : tensor<1x24xf32> -> tensor<1x2x12xf32>

  %oldk = tenon.state_get @keys : tensor<?x2x12xf32, #tenon.dims<[P, 2, 12]>>
  %oldv = tenon.state_get @values : tensor<?x2x12xf32, #tenon.dims<[P, 2, 12]>>
  %ks = tenon.append %k to %oldk : tensor<1x2x12xf32> to tensor<?x2x12xf32, #tenon.dims<[P, 2, 12]>> -> tensor<?x2x12xf32, #tenon.dims<[P + 1, 2, 12]>>
  %vs = tenon.append %v to %oldv : tensor<1x2x12xf32> to tensor<?x2x12xf32, #tenon.dims<[P, 2, 12]>> -> tensor<?x2x12xf32, #tenon.dims<[P + 1, 2, 12]>>
  tenon.state_set @keys, %ks : tensor<?x2x12xf32, #tenon.dims<[P + 1, 2, 12]>>
  tenon.state_set @values, %vs : tensor<?x2x12xf32, #tenon.dims<[P + 1, 2, 12]>>
  tenon.advance @P to #tenon.dim<P + 1>

  %o = tenon.attention %q, (%ks), (%vs) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"]
    : (tensor<1x2x12xf32>, tensor<?x2x12xf32, #tenon.dims<[P + 1, 2, 12]>>, tensor<?x2x12xf32, #tenon.dims<[P + 1, 2, 12]>>) -> tensor<1x2x12xf32>
    score (%s, %b, %h, %i, %j) = %s * 0.288675
  %o0 = tenon.reshape %o : tensor<1x2x12xf32> -> tensor<1x24xf32>
  %p = tenon.contract "s k, k n -> s n" %o0, %wo : (tensor<1x24xf32>, tensor<24x24xf32>) -> tensor<1x24xf32>
  %y = tenon.map %a = %p, %c = %x at %i, %n : (tensor<1x24xf32>, tensor<1x24xf32>) -> tensor<1x24xf32> = %a[%i, %n] + %c[%i, %n]
  return %y : tensor<1x24xf32>
}
