// Attention: its text, layouts, sizes and regions. One fault in each program.
// RUN: tenon-opt %s --verify-diagnostics --split-input-file

// A normaliser nobody wrote.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{unknown normaliser 'tanh'}}
  %o = tenon.attention %x, (%x), (%x) normalise tanh empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// A rule for empty rows nobody wrote.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{unknown empty 'one'}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty one layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// Two types for three operands.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{wants 3 operand types and a result type}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// A score without its indices.
func.func @f(%x: tensor<4x8xf32>) {
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error @+1 {{score takes 5 scalars and 0 captured tensors, found 1 arguments}}
    score (%s) {
      tenon.yield %s : f32
    }
  return
}

// -----
// Two keys, one value.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{wants one value tensor for each key tensor, found 2 keys and 1 values}}
  %o = tenon.attention %x, (%x, %x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// A layout missing.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{wants 4 layouts (query, keys, values, result), found 3}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// A letter that is no role.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{layout of the query: wanted each of b, h, n, d at most once, or numbers, found "n c"}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n c", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// Keys without rows.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{layout of the keys: wanted the rows n and the depth d among "h d"}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "h d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// A layout longer than the tensor.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{layout "b n d" of the values names 3 dimensions, the tensor is [4, 8]}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "b n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// The fourth of three slices.
func.func @f(%x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{layout of the keys selects slice 3 of a dimension of 3}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n 0 d", "n 3 d", "n 2 d", "n d"] : (tensor<4x3x8xf32>, tensor<4x3x8xf32>, tensor<4x3x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// A result with another number of queries.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{wants a result of queries 4, found 5}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<5x8xf32>
  return
}

// -----
// A result without the heads.
func.func @f(%x: tensor<4x2x8xf32>) {
  // expected-error @+1 {{wants a result of heads 2, found 1}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n d"] : (tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// A result without the batch.
func.func @f(%x: tensor<2x4x8xf32>) {
  // expected-error @+1 {{wants a result of batch 2, found 1}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["b n d", "b n d", "b n d", "n d"] : (tensor<2x4x8xf32>, tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// A result as deep as the keys, not as the values.
func.func @f(%x: tensor<4x8xf32>, %v: tensor<4x6xf32>) {
  // expected-error @+1 {{wants a result of depth 6, found 8}}
  %o = tenon.attention %x, (%x), (%v) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x6xf32>) -> tensor<4x8xf32>
  return
}

// -----
// Keys of another depth than the query.
func.func @f(%x: tensor<4x8xf32>, %k: tensor<4x6xf32>) {
  // expected-error @+1 {{wants keys of depth 8, found 6}}
  %o = tenon.attention %x, (%k), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x6xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// More values than keys.
func.func @f(%x: tensor<4x8xf32>, %v: tensor<5x8xf32>) {
  // expected-error @+1 {{wants as many values as keys, 4, found 5}}
  %o = tenon.attention %x, (%x), (%v) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<5x8xf32>) -> tensor<4x8xf32>
  return
}

// -----
// Keys of one batch.
func.func @f(%x: tensor<2x4x8xf32>, %k: tensor<4x8xf32>) {
  // expected-error @+1 {{wants keys of batch 2, found 1}}
  %o = tenon.attention %x, (%k), (%x) normalise softmax empty zero layout ["b n d", "n d", "b n d", "b n d"] : (tensor<2x4x8xf32>, tensor<4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return
}

// -----
// Values of one batch.
func.func @f(%x: tensor<2x4x8xf32>, %v: tensor<4x8xf32>) {
  // expected-error @+1 {{wants values of batch 2, found 1}}
  %o = tenon.attention %x, (%x), (%v) normalise softmax empty zero layout ["b n d", "b n d", "n d", "b n d"] : (tensor<2x4x8xf32>, tensor<2x4x8xf32>, tensor<4x8xf32>) -> tensor<2x4x8xf32>
  return
}

// -----
// Fewer value heads than key heads.
func.func @f(%x: tensor<4x2x8xf32>, %v: tensor<4x1x8xf32>) {
  // expected-error @+1 {{wants values with key heads 2, found 1}}
  %o = tenon.attention %x, (%x), (%v) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"] : (tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<4x1x8xf32>) -> tensor<4x2x8xf32>
  return
}

// -----
// Three query heads on two key heads.
func.func @f(%x: tensor<4x3x8xf32>, %k: tensor<4x2x8xf32>) {
  // expected-error @+1 {{wants the query heads to be a multiple of the key heads, found 3 on 2}}
  %o = tenon.attention %x, (%k), (%k) normalise softmax empty zero layout ["n h d", "n h d", "n h d", "n h d"] : (tensor<4x3x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>) -> tensor<4x3x8xf32>
  return
}

// -----
// A keep that is a number.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{wants region keep to yield one 'i1'}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    keep (%b, %h, %i, %j) {
      tenon.yield %j : index
    }
  return
}

// -----
// A weight that calls out.
func.func private @g(f32) -> f32
func.func @f(%x: tensor<4x8xf32>) {
  %o = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    weight (%p, %b, %h, %i, %j) {
      // expected-error @+1 {{has side effects: region weight of attention is pure arithmetic}}
      %w = func.call @g(%p) : (f32) -> f32
      tenon.yield %w : f32
    }
  return
}

// -----
// A score of another type; only the generic form can say it.
func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @+1 {{region score wants the arguments 'f32', 'index', 'index', 'index', 'index', found 'f64', 'index', 'index', 'index', 'index'}}
  %o = "tenon.attention"(%x, %x, %x) <{normaliser = #tenon<normaliser softmax>, empty = #tenon<empty_row zero>, layouts = ["n d", "n d", "n d", "n d"], operandSegmentSizes = array<i32: 1, 1, 1, 0>}> ({
  ^bb0(%s: f64, %b: index, %h: index, %i: index, %j: index):
    tenon.yield %s : f64
  }, {}, {}) : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @state_shape(%q: tensor<1x4xf32>, %k: tensor<9x4xf32>) -> tensor<1x1x1x1x6xf32> {
  // expected-error @+1 {{wants a state [parts, batch, heads, queries, value depth + 2] = [3, 1, 1, 1, 6], found [1, 1, 1, 1, 6]}}
  %s = tenon.attention_update %q, %k, %k normalise softmax layout ["n d", "n d", "n d"] parts_of 4
     : (tensor<1x4xf32>, tensor<9x4xf32>, tensor<9x4xf32>) -> tensor<1x1x1x1x6xf32>
  return %s : tensor<1x1x1x1x6xf32>
}

// -----

func.func @no_part(%q: tensor<1x4xf32>, %k: tensor<9x4xf32>) -> tensor<1x1x1x1x6xf32> {
  // expected-error @+1 {{wants parts of at least one key, found 0}}
  %s = tenon.attention_update %q, %k, %k normalise softmax layout ["n d", "n d", "n d"] parts_of 0
     : (tensor<1x4xf32>, tensor<9x4xf32>, tensor<9x4xf32>) -> tensor<1x1x1x1x6xf32>
  return %s : tensor<1x1x1x1x6xf32>
}

// -----

func.func @merged_states_differ(%a: tensor<2x1x1x1x6xf32>, %b: tensor<1x1x1x2x6xf32>) -> tensor<1x1x1x1x6xf32> {
  // expected-error @+1 {{wants states that differ in their parts only, found state 1 of [1, 1, 1, 2, 6] for a result of [1, 1, 1, 1, 6]}}
  %m = tenon.attention_merge %a, %b normalise softmax : (tensor<2x1x1x1x6xf32>, tensor<1x1x1x2x6xf32>) -> tensor<1x1x1x1x6xf32>
  return %m : tensor<1x1x1x1x6xf32>
}

// -----

func.func @unmerged(%a: tensor<2x1x1x1x6xf32>) -> tensor<1x4xf32> {
  // expected-error @+1 {{wants a state of one part, [1, batch, heads, queries, value depth + 2], found [2, 1, 1, 1, 6]}}
  %o = tenon.attention_finish %a normalise softmax empty zero layout "n d" : tensor<2x1x1x1x6xf32> -> tensor<1x4xf32>
  return %o : tensor<1x4xf32>
}

// -----

func.func @forgotten_keys(%a: tensor<1x1x1x1x6xf32>) -> tensor<1x4xf32> {
  // expected-error @+1 {{wants the rule zero or nan for rows without live keys, found uniform: a state has forgotten the dead keys}}
  %o = tenon.attention_finish %a normalise softmax empty uniform layout "n d" : tensor<1x1x1x1x6xf32> -> tensor<1x4xf32>
  return %o : tensor<1x4xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants a positive number behind topk_softmax, found none}}
  %o = tenon.attention %x, (%x), (%x) normalise topk_softmax empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants no number behind softmax, found 3}}
  %o = tenon.attention %x, (%x), (%x) normalise softmax 3 empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{normalises by softmax, sum or hard over queries, found sinkhorn}}
  %o = tenon.attention %x, (%x), (%x) normalise sinkhorn 3 over queries empty zero layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{gives zero for keys without live queries, found empty nan}}
  %o = tenon.attention %x, (%x), (%x) normalise hard over queries empty nan layout ["n d", "n d", "n d", "n d"] : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{has a log_sum_exp only with softmax over keys}}
  %o, %l = tenon.attention %x, (%x), (%x) normalise sum empty zero layout ["n d", "n d", "n d", "n d"] also log_sum_exp : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<1x1x4xf32>)
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{wants scores as 'tensor<1x1x4x4xf32>', found 'tensor<4x4xf32>'}}
  %o, %s = tenon.attention %x, (%x), (%x) normalise softmax empty zero layout ["n d", "n d", "n d", "n d"] also scores : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x4xf32>)
  return %o : tensor<4x8xf32>
}

// -----

func.func @f(%q: tensor<1x2xf32>, %k: tensor<3x2xf32>) -> tensor<1x1x1x1x4xf32> {
  // expected-error @+1 {{has a state for softmax, sum and none, found hard}}
  %s = tenon.attention_update %q, %k, %k normalise hard layout ["n d", "n d", "n d"] : (tensor<1x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<1x1x1x1x4xf32>
  return %s : tensor<1x1x1x1x4xf32>
}
