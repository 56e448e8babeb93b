#!/usr/bin/env python3
"""Tensor operations as native code against NumPy, at odd sizes, on every level of this machine.

A case is a program (its result %y) beside a NumPy function of the same inputs,
which is evaluated in float64 (the truth) and in float32 (the plain evaluation
of the accuracy rule). Adding one is adding an entry to CASES.
"""

import math
import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import Program  # noqa: E402

SYMBOLS = {"B": (0, 64), "N": (0, 4096)}
SIZES = [(1, 1), (2, 3), (1, 7), (3, 17), (5, 63), (2, 65), (1, 127), (4, 129), (1, 0), (0, 5), (1, 300)]


def product(a, b):
    """a [..., k] times b [k, n], added from left to right."""
    total = np.zeros(a.shape[:-1] + b.shape[-1:], a.dtype)
    for k in range(a.shape[-1]):
        total += a[..., k, None] * b[k]
    return total


def running(function, a, axis):
    """A reduction from left to right in the array's own dtype."""
    return np.take(function.accumulate(a, axis), -1, axis) if a.shape[axis] else np.zeros(
        a.shape[:axis] + a.shape[axis:][1:], a.dtype)


def mean_over(a, count):
    """Mean of the last `count` dimensions, kept, added from left to right."""
    flat = a.reshape(a.shape[: a.ndim - count] + (math.prod(a.shape[a.ndim - count:]),))
    mean = np.add.accumulate(flat, -1)[..., -1] / a.dtype.type(flat.shape[-1])
    return mean.reshape(mean.shape + (1,) * count)


def layer_norm(x, scale, shift, count=1, epsilon=1e-5):
    centred = x - mean_over(x, count)
    return centred / np.sqrt(mean_over(centred * centred, count) + x.dtype.type(epsilon)) * scale + shift


def rms_norm(x, scale, epsilon=1e-6):
    return x / np.sqrt(mean_over(x * x, 1) + x.dtype.type(epsilon)) * scale


def group_norm(x, scale, shift, groups):
    b, c, n = x.shape
    plain = layer_norm(x.reshape(b, groups, c // groups, n), 1, 0, 2) if x.size else x
    return plain.reshape(x.shape) * scale[:, None] + shift[:, None]


def softmax(x, axis):
    if not x.size:
        return x
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / np.expand_dims(running(np.add, e, axis), axis)


def gelu(x):
    erf = np.vectorize(math.erf, otypes=[np.float64])(x.astype(np.float64) * math.sqrt(0.5)).astype(x.dtype) if x.size else x
    return x * x.dtype.type(0.5) * (1 + erf)


class Case:
    def __init__(self, inputs, output, body, oracle, draw=None):
        """inputs: NAME -> dims or (dims, element type); draw: NAME -> (rng, shape) -> array."""
        typed = {n: d if isinstance(d[0], tuple) else (d, "f32") for n, d in inputs.items()}
        self.dims, self.oracle, self.draw = typed, oracle, draw or {}
        types = {n: tensor(*d, of=t) for n, (d, t) in typed.items()}
        result = tensor(*output)
        self.text = entry(types, {"y": result}, body.format(y=result, **types), SYMBOLS)


def linear(k, n, more=""):
    return Case({"x": ("B", "N", k), "w": (k, n)}, ("B", "N", n),
                '%y = tenon.contract "b s k, k n -> b s n" %x, %w : ({x}, {w}) -> {y}', product)


def reduce(kind, axis, oracle, dims=("B", "N", 9)):
    return Case({"x": dims}, dims[:axis] + dims[axis + 1:], f"%y = tenon.reduce {kind} %x over [{axis}] : {{x}} -> {{y}}",
                oracle)


def running_sum(dims, axis, keeps, oracle):
    """The sum over t of x at t along `axis`, where `keeps` t and the result's own index i."""
    names = [f"%i{k}" for k in range(len(dims))]
    at = [*names[:axis], "%t", *names[axis + 1:]]
    triangle = tensor(*dims, dims[axis])
    body = (f"%m = tenon.map %a = %x at {', '.join(names)}, %t : ({{x}}) -> {triangle} {{{{\n"
            f"  %u = tenon.load %a[{', '.join(at)}] : {{x}}\n  %zero = arith.constant 0.0 : f32\n"
            f"  %c = arith.cmpi {keeps}, %t, {names[axis]} : index\n  %v = arith.select %c, %u, %zero : f32\n"
            f"  tenon.yield %v : f32\n}}}}\n%y = tenon.reduce sum %m over [{len(dims)}] : {triangle} -> {{y}}")
    return Case({"x": dims}, dims, body, oracle)


def shifted_sum(x, axis):
    """Of what stands before each element."""
    before = np.take(x, range(max(x.shape[axis] - 1, 0)), axis)
    return np.cumsum(np.concatenate([np.zeros_like(np.take(x, range(min(1, x.shape[axis])), axis)), before], axis), axis)


def unary(text, oracle, low, high):
    """One elementwise function on inputs in [low, high]."""
    body = ("%y = tenon.map %a = %x at %i, %j : ({x}) -> {y} {{\n  %u = tenon.load %a[%i, %j] : {x}\n  "
            + text + "\n  tenon.yield %v : f32\n}}")
    between = lambda rng, shape: rng.uniform(low, high, shape).astype(np.float32)
    return Case({"x": ("B", "N")}, ("B", "N"), body, oracle, {"x": between})


FUSED = """%p = tenon.contract "b s k, k n -> b s n" %x, %w : ({x}, {w}) -> {y}
  %y = tenon.map %a = %p, %c = %bias, %r = %residual at %i, %j, %k : ({y}, {bias}, {residual}) -> {y} {{
    %u = tenon.load %a[%i, %j, %k] : {y}
    %b = tenon.load %c[%k] : {bias}
    %s = arith.addf %u, %b : f32
    %half = arith.constant 0.5 : f32
    %one = arith.constant 1.0 : f32
    %root = arith.constant 0.70710678118654752 : f32
    %z = arith.mulf %s, %root : f32
    %e = math.erf %z : f32
    %f = arith.addf %e, %one : f32
    %g = arith.mulf %s, %half : f32
    %h = arith.mulf %g, %f : f32
    %t = tenon.load %r[%i, %j, %k] : {residual}
    %v = arith.addf %h, %t : f32
    tenon.yield %v : f32
  }}"""

GATHER = """%y = tenon.map %a = %table, %c = %ids at %i, %j, %k : ({table}, {ids}) -> {y} {{
    %id = tenon.load %c[%i, %j] : {ids}
    %row = arith.index_cast %id : i64 to index
    %v = tenon.load %a[%row, %k] : {table}
    tenon.yield %v : f32
  }}"""

FLIP = """%y = tenon.map %a = %x at %i, %j, %k : ({x}) -> {y} {{
    %last = tenon.size #tenon.dim<N - 1>
    %back = arith.subi %last, %j : index
    %v = tenon.load %a[%k, %back, %i] : {x}
    tenon.yield %v : f32
  }}"""

# The second half negated, then the first: two pieces of a row, between which every comparison is the same.
TURN = """%y = tenon.map %a = %x at %i, %j, %k : ({x}) -> {y} {{
    %zero = arith.constant 0 : index
    %h = arith.constant HALF : index
    %low = arith.cmpi slt, %k, %h : index
    %up = arith.addi %k, %h : index
    %behind = arith.select %low, %up, %zero : index
    %u = tenon.load %a[%i, %j, %behind] : {x}
    %n = arith.negf %u : f32
    %down = arith.subi %k, %h : index
    %high = arith.cmpi sge, %down, %zero : index
    %before = arith.select %high, %down, %zero : index
    %w = tenon.load %a[%i, %j, %before] : {x}
    %v = arith.select %low, %n, %w : f32
    tenon.yield %v : f32
  }}"""


def turn(half):
    return Case({"x": ("B", "N", 2 * half)}, ("B", "N", 2 * half), TURN.replace("HALF", str(half)),
                lambda x: np.concatenate([-x[..., half:], x[..., :half]], -1))


CASES = {
    "turned_halves": turn(35), "turned_halves_of_vectors": turn(32), "turned_short_halves": turn(3),
    "linear": linear(24, 40), "linear_one_column": linear(7, 1), "linear_depth_one": linear(1, 65),
    "linear_odd": linear(129, 63), "linear_wide": linear(65, 300), "linear_deep": linear(1500, 17),
    "linear_transposed": Case({"x": ("B", "N", 24), "w": (33, 24)}, ("B", "N", 33),
                              '%y = tenon.contract "b s k, n k -> b s n" %x, %w : ({x}, {w}) -> {y}',
                              lambda x, w: product(x, w.T)),
    "batched": Case({"x": ("B", "N", 7), "w": ("B", 7, "N")}, ("B", "N", "N"),
                    '%y = tenon.contract "b m k, b k n -> b m n" %x, %w : ({x}, {w}) -> {y}',
                    lambda x, w: np.stack([product(a, b) for a, b in zip(x, w)]) if len(x) else np.zeros(
                        (0, x.shape[1], x.shape[1]), x.dtype)),
    "outer": Case({"x": ("N",), "w": ("B",)}, ("N", "B"),
                  '%y = tenon.contract "n, b -> n b" %x, %w : ({x}, {w}) -> {y}', np.outer),
    "dynamic_depth": Case({"x": (5, "N"), "w": ("N", 18)}, (5, 18),
                          '%y = tenon.contract "m k, k n -> m n" %x, %w : ({x}, {w}) -> {y}', product),
    "fused_linear": Case({"x": ("B", "N", 33), "w": (33, 48), "bias": (48,), "residual": ("B", "N", 48)},
                         ("B", "N", 48), FUSED,
                         lambda x, w, bias, residual: gelu(product(x, w) + bias) + residual),
    "sum_last": reduce("sum", 2, lambda x: running(np.add, x, 2)),
    "sum_middle": reduce("sum", 1, lambda x: running(np.add, x, 1)),
    "sum_first": reduce("sum", 0, lambda x: running(np.add, x, 0)),
    "sum_dynamic_last": reduce("sum", 1, lambda x: running(np.add, x, 1), ("B", "N")),
    "product_last": reduce("product", 2, lambda x: np.multiply.reduce(x, 2)),
    "max_middle": reduce("max", 1, lambda x: x.max(1, initial=-np.inf)),
    "min_last": reduce("min", 2, lambda x: x.min(2)),
    "max_dynamic_last": reduce("max", 1, lambda x: x.max(1, initial=-np.inf), ("B", "N")),
    "sum_up_to": running_sum(("B", "N"), 1, "sle", lambda x: np.cumsum(x, 1)),
    "sum_before": running_sum(("B", "N", 21), 1, "slt", lambda x: shifted_sum(x, 1)),
    "sum_from": running_sum(("N", "B"), 0, "sge", lambda x: np.cumsum(x[::-1], 0)[::-1]),
    "sum_behind": running_sum((3, "N"), 1, "sgt", lambda x: shifted_sum(x[:, ::-1], 1)[:, ::-1]),
    "softmax_last": Case({"x": ("B", "N")}, ("B", "N"), "%y = tenon.softmax %x over 1 : {x}", lambda x: softmax(x, 1)),
    "softmax_middle": Case({"x": ("B", "N", 5)}, ("B", "N", 5), "%y = tenon.softmax %x over 1 : {x}",
                           lambda x: softmax(x, 1)),
    "softmax_constant": Case({"x": ("B", "N", 65)}, ("B", "N", 65), "%y = tenon.softmax %x over 2 : {x}",
                             lambda x: softmax(x, 2)),
    **{f"layer_norm_{n}": Case(
        {"x": ("B", "N", n), "g": (n,), "h": (n,)}, ("B", "N", n),
        "%y = tenon.norm layer %x scale %g : {g} shift %h : {h} over 1 epsilon 1.0e-5 : {x} -> {y}",
        lambda x, g, h: layer_norm(x, g, h)) for n in (1, 7, 64, 129)},
    "layer_norm_two_dims": Case(
        {"x": ("B", "N", 5, 9), "g": (5, 9), "h": (5, 9)}, ("B", "N", 5, 9),
        "%y = tenon.norm layer %x scale %g : {g} shift %h : {h} over 2 epsilon 1.0e-5 : {x} -> {y}",
        lambda x, g, h: layer_norm(x, g, h, 2)),
    "group_norm": Case({"x": ("B", 6, "N"), "g": (6,), "h": (6,)}, ("B", 6, "N"),
                       "%y = tenon.norm group %x scale %g : {g} shift %h : {h} over 3 epsilon 1.0e-5 : {x} -> {y}",
                       lambda x, g, h: group_norm(x, g, h, 3)),
    "rms_norm": Case({"x": ("B", "N", 65), "g": (65,)}, ("B", "N", 65),
                     "%y = tenon.norm rms %x scale %g : {g} over 1 epsilon 1.0e-6 : {x} -> {y}", rms_norm),
    "gather": Case({"table": (37, 19), "ids": (("B", "N"), "i64")}, ("B", "N", 19), GATHER,
                   lambda table, ids: table[ids], {"ids": lambda rng, shape: rng.integers(0, 37, shape)}),
    "flip_transposed": Case({"x": (5, "N", "B")}, ("B", "N", 5), FLIP, lambda x: x[:, ::-1].transpose(2, 1, 0)),
    "exp": unary("%v = math.exp %u : f32", np.exp, -80, 80),
    "log": unary("%v = math.log %u : f32", np.log, 1e-6, 1e6),
    "sqrt": unary("%v = math.sqrt %u : f32", np.sqrt, 0, 1e6),
    "tanh": unary("%v = math.tanh %u : f32", np.tanh, -12, 12),
    "sin": unary("%v = math.sin %u : f32", np.sin, -50, 50),
    "cos": unary("%v = math.cos %u : f32", np.cos, -50, 50),
    "erf": unary("%v = math.erf %u : f32", lambda x: np.vectorize(math.erf, otypes=[float])(x).astype(x.dtype), -5, 5),
    "floor": unary("%v = math.floor %u : f32", np.floor, -50, 50),
    "absolute": unary("%v = math.absf %u : f32", np.abs, -50, 50),
}


class TensorOpTest(unittest.TestCase):
    def check(self, name, case):
        compiled = Program(case.text)
        rng = np.random.default_rng(int.from_bytes(name.encode()[:8], "little"))
        for b, n in SIZES:
            inputs = {}
            for tensor_name, (dims, _) in case.dims.items():
                shape = [{"B": b, "N": n}.get(d, d) for d in dims]
                draw = case.draw.get(tensor_name, lambda g, s: g.standard_normal(s).astype(np.float32))
                inputs[tensor_name] = draw(rng, shape)
            widened = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in inputs.items()}
            wanted, plain = case.oracle(*widened.values()), case.oracle(*inputs.values())
            for level, threads, outputs in compiled.run(inputs):
                compare(outputs["y"], wanted, plain, f"{name} B={b} N={n} {level} {threads} thread(s)")


for _name, _case in CASES.items():
    setattr(TensorOpTest, f"test_{_name}", lambda self, n=_name, c=_case: self.check(n, c))

if __name__ == "__main__":
    unittest.main()
