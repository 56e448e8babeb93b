#!/usr/bin/env python3
"""Exact steps of `tenon compile --factorize`: the rewritten model computes what the formula says, as closely as the model as written.

Each case gives the formula in NumPy float64. Its native outputs with the recipe may be at most twice as far from that as those
without, which round as float32 does; and the program has as many products and norms as the rewriting leaves.

TENON_BUILD names the build folder.
"""

import math
import pathlib
import re
import subprocess
import sys
import unittest

import numpy as np
from onnx import helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from run_factorize import FactorizeCase, native  # noqa: E402

FOLD = [{"do": "fold"}]
EXPORTED = HERE.parent / "models" / "exported"


def relu(x):
    return np.maximum(x, 0)


def layer_norm(x, scale=1.0, shift=0.0, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * scale + shift


def batch_norm(x, scale, shift, mean, variance, epsilon=1e-5):
    along = (1, -1) + (1,) * (x.ndim - 2)
    scale, shift, mean, variance = (v.reshape(along) for v in (scale, shift, mean, variance))
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


class ExactCase(FactorizeCase):
    def weight(self, *shape):
        return (self.random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    def batch_norm_weights(self, channels):
        return {"scale": self.weight(channels) + 1, "shift": self.weight(channels), "mean": self.weight(channels),
                "variance": (self.random.random(channels) + 0.5).astype(np.float32)}

    def check(self, model, steps, inputs, formula, weights, counts=None):
        """`formula(inputs, weights)`, both in float64, is what the model means. `counts` are how often words stand in the program."""
        wide = lambda arrays: {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in arrays.items()}
        truth = formula(wide(inputs), wide(weights))
        status, text, _ = self.compile(model, None)
        self.assertEqual(status, 0, text)
        before = self.results(inputs)
        status, self.printed, _ = self.compile(model, steps)
        self.assertEqual(status, 0, self.printed)
        rounding = 4 * np.finfo(np.float32).eps * np.abs(truth).max()
        for old, new in zip(before, self.results(inputs)):
            self.assertEqual(new["y"].shape, truth.shape)
            error = np.abs(old["y"] - truth).max()
            self.assertLess(error, 1e-3 * np.abs(truth).max(), "the formula is not the model's")
            self.assertLessEqual(np.abs(new["y"] - truth).max(), 2 * max(error, rounding))
        program = self.program(model, steps)
        for word, count in (counts or {}).items():
            self.assertEqual(program.count(word), count, f"{word} in\n{program[-6000:]}")

    def input(self, *shape):
        return {"x": self.random.standard_normal(shape).astype(np.float32)}


class ScaleTest(ExactCase):
    def test_batch_norm_behind_a_product(self):
        weights = {"w": self.weight(33, 40), "b": self.weight(40), **self.batch_norm_weights(40)}
        nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
                 helper.make_node("BatchNormalization", ["h", "scale", "shift", "mean", "variance"], ["n"]),
                 helper.make_node("Relu", ["n"], ["y"])]
        self.check(self.write(nodes, weights, 33), FOLD, self.input(7, 33),
                   lambda i, w: relu(batch_norm(i["x"] @ w["w"] + w["b"], *(w[k] for k in ("scale", "shift", "mean", "variance")))),
                   weights, {"tenon.contract": 1, "math.sqrt": 0, "arith.divf": 0, "arith.mulf": 0})

    def test_batch_norm_behind_a_convolution(self):
        for groups in (1, 2):
            with self.subTest(groups=groups):
                weights = {"w": self.weight(6, 4 // groups, 3, 3), "b": self.weight(6), **self.batch_norm_weights(6)}
                nodes = [helper.make_node("Conv", ["x", "w", "b"], ["h"], pads=[1, 1, 1, 1], group=groups),
                         helper.make_node("BatchNormalization", ["h", "scale", "shift", "mean", "variance"], ["n"]),
                         helper.make_node("Relu", ["n"], ["y"])]

                def formula(i, w):
                    x = np.pad(i["x"], ((0, 0), (0, 0), (1, 1), (1, 1)))
                    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))  # [b, c, h, w, 3, 3]
                    parts = [np.einsum("bchwij,ncij->bnhw", c, f) for c, f in
                             zip(np.split(windows, groups, 1), np.split(w["w"], groups, 0))]
                    h = np.concatenate(parts, 1) + w["b"].reshape(1, -1, 1, 1)
                    return relu(batch_norm(h, *(w[k] for k in ("scale", "shift", "mean", "variance"))))

                self.check(self.write(nodes, weights, [4, 5, 7]), FOLD, self.input(2, 4, 5, 7), formula, weights,
                           {"math.sqrt": 0, "arith.divf": 0, "arith.mulf": 0})

    def test_re_parameterised_batch_norm_in_front_of_three_products(self):
        """SLAB's RepBN, BN(x) + a x, channels in the middle as BatchNorm wants them."""
        weights = {"a": np.float32([0.3]), **{k: self.weight(24, 24) for k in "qkv"}, **self.batch_norm_weights(24)}
        nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
                 helper.make_node("BatchNormalization", ["t", "scale", "shift", "mean", "variance"], ["n"]),
                 helper.make_node("Mul", ["t", "a"], ["s"]), helper.make_node("Add", ["n", "s"], ["r"]),
                 helper.make_node("Transpose", ["r"], ["h"], perm=[0, 2, 1]),
                 *(helper.make_node("MatMul", ["h", k], ["p" + k]) for k in "qkv"),
                 helper.make_node("Mul", ["pq", "pk"], ["qk"]), helper.make_node("Add", ["qk", "pv"], ["y"])]

        def formula(i, w):
            t = i["x"].transpose(0, 2, 1)
            h = (batch_norm(t, *(w[k] for k in ("scale", "shift", "mean", "variance"))) + w["a"] * t).transpose(0, 2, 1)
            return (h @ w["q"]) * (h @ w["k"]) + h @ w["v"]

        self.check(self.write(nodes, weights, [9, 24]), FOLD, self.input(3, 9, 24), formula, weights,
                   {"math.sqrt": 0, "arith.divf": 0, "arith.mulf": 1})

    def test_norm_in_front_of_products(self):
        weights = {"g": self.weight(24) + 1, "s": self.weight(24), "u": self.weight(24, 40), "v": self.weight(24, 40)}
        nodes = [helper.make_node("LayerNormalization", ["x", "g", "s"], ["n"]),
                 helper.make_node("MatMul", ["n", "u"], ["a"]), helper.make_node("MatMul", ["n", "v"], ["b"]),
                 helper.make_node("Relu", ["a"], ["r"]), helper.make_node("Mul", ["r", "b"], ["y"])]

        def formula(i, w):
            n = layer_norm(i["x"], w["g"], w["s"])
            return relu(n @ w["u"]) * (n @ w["v"])

        self.check(self.write(nodes, weights, 24), FOLD, self.input(5, 24), formula, weights, {"scale %": 0, "shift %": 0})

    def test_norm_that_is_read_otherwise_keeps_its_scale(self):
        weights = {"g": self.weight(24) + 1, "s": self.weight(24), "u": self.weight(24, 24)}
        nodes = [helper.make_node("LayerNormalization", ["x", "g", "s"], ["n"]),
                 helper.make_node("MatMul", ["n", "u"], ["a"]), helper.make_node("Add", ["n", "a"], ["y"])]
        self.check(self.write(nodes, weights, 24), FOLD, self.input(5, 24),
                   lambda i, w: layer_norm(i["x"], w["g"], w["s"]) @ (np.eye(24) + w["u"]), weights, {"scale %": 1, "shift %": 1})

    def test_macaron_half_step(self):
        """x + 1/2 FFN(LN x): the half goes into the second matrix and its bias."""
        weights = {"g": self.weight(16) + 1, "u": self.weight(16, 40), "p": self.weight(40), "v": self.weight(40, 16),
                   "q": self.weight(16), "half": np.float32(0.5)}
        nodes = [helper.make_node("LayerNormalization", ["x", "g"], ["n"]), helper.make_node("MatMul", ["n", "u"], ["a"]),
                 helper.make_node("Add", ["a", "p"], ["b"]), helper.make_node("Relu", ["b"], ["c"]),
                 helper.make_node("MatMul", ["c", "v"], ["d"]), helper.make_node("Add", ["d", "q"], ["e"]),
                 helper.make_node("Mul", ["e", "half"], ["f"]), helper.make_node("Add", ["x", "f"], ["y"])]
        self.check(self.write(nodes, weights, 16), FOLD, self.input(5, 16),
                   lambda i, w: i["x"] + 0.5 * (relu(layer_norm(i["x"], w["g"]) @ w["u"] + w["p"]) @ w["v"] + w["q"]), weights,
                   {"arith.mulf": 0})


class BranchTest(ExactCase):
    def test_lora(self):
        weights = {"w": self.weight(48, 40), "b": self.weight(40), "a": self.weight(48, 4), "c": self.weight(4, 40),
                   "s": np.float32(0.5)}
        nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["hb"]),
                 helper.make_node("MatMul", ["x", "a"], ["l"]), helper.make_node("MatMul", ["l", "c"], ["m"]),
                 helper.make_node("Mul", ["m", "s"], ["ms"]), helper.make_node("Add", ["hb", "ms"], ["t"]),
                 helper.make_node("Relu", ["t"], ["y"])]
        self.check(self.write(nodes, weights, 48), FOLD, self.input(7, 48),
                   lambda i, w: relu(i["x"] @ (w["w"] + 0.5 * w["a"] @ w["c"]) + w["b"]), weights, {"tenon.contract": 1})
        self.assertIn("one product where 3 were", self.printed)

    def test_linear_adapters(self):
        """ZeroI2V: x + s W2 W1 x in front of a product and behind it, no activation between."""
        weights = {"w": self.weight(40, 40), "b": self.weight(40), "a": self.weight(40, 4), "c": self.weight(4, 40),
                   "d": self.weight(40, 6), "e": self.weight(6, 40), "s": np.float32(0.25), "bd": self.weight(6)}
        nodes = [helper.make_node("MatMul", ["x", "a"], ["xa"]), helper.make_node("MatMul", ["xa", "c"], ["xac"]),
                 helper.make_node("Mul", ["xac", "s"], ["xs"]), helper.make_node("Add", ["x", "xs"], ["h"]),
                 helper.make_node("Gemm", ["h", "w", "b"], ["p"]), helper.make_node("Gemm", ["p", "d", "bd"], ["pd"]),
                 helper.make_node("MatMul", ["pd", "e"], ["pe"]), helper.make_node("Add", ["p", "pe"], ["t"]),
                 helper.make_node("Relu", ["t"], ["y"])]

        def formula(i, w):
            p = (i["x"] + 0.25 * i["x"] @ w["a"] @ w["c"]) @ w["w"] + w["b"]
            return relu(p + (p @ w["d"] + w["bd"]) @ w["e"])

        self.check(self.write(nodes, weights, 40), FOLD, self.input(9, 40), formula, weights, {"tenon.contract": 1})

    def test_products_in_a_row_where_one_is_smaller(self):
        for inner, products in ((96, 1), (16, 2)):
            with self.subTest(inner=inner):
                weights = {"u": self.weight(40, inner), "b": self.weight(inner), "v": self.weight(inner, 48)}
                nodes = [helper.make_node("Gemm", ["x", "u", "b"], ["h"]), helper.make_node("MatMul", ["h", "v"], ["y"])]
                self.check(self.write(nodes, weights, 40), FOLD, self.input(3, 40),
                           lambda i, w: (i["x"] @ w["u"] + w["b"]) @ w["v"], weights, {"tenon.contract": products})

    def test_what_is_not_linear_or_read_elsewhere_stays(self):
        weights = {"w": self.weight(40, 40), "a": self.weight(40, 4), "c": self.weight(4, 40)}
        start = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["x", "a"], ["l"])]
        active = [*start, helper.make_node("Relu", ["l"], ["r"]), helper.make_node("MatMul", ["r", "c"], ["m"]),
                  helper.make_node("Add", ["h", "m"], ["y"])]
        self.check(self.write(active, weights, 40), FOLD, self.input(3, 40),
                   lambda i, w: i["x"] @ w["w"] + relu(i["x"] @ w["a"]) @ w["c"], weights, {"tenon.contract": 3})
        twice = [*start, helper.make_node("MatMul", ["l", "c"], ["m"]), helper.make_node("Add", ["h", "m"], ["s"]),
                 helper.make_node("Relu", ["h"], ["r"]), helper.make_node("Mul", ["r", "s"], ["y"])]
        self.check(self.write(twice, weights, 40), FOLD, self.input(3, 40),
                   lambda i, w: relu(i["x"] @ w["w"]) * (i["x"] @ w["w"] + i["x"] @ w["a"] @ w["c"]), weights)

    def test_a_product_that_is_read_twice_stays_one(self):
        """GELU as exporters write it: one of its two readers of h is linear in it, and taking that in would double the product."""
        weights = {"w": self.weight(40, 48), "b": self.weight(48), "root": np.float32(np.sqrt(0.5)), "half": np.float32(0.5),
                   "one": np.float32(1)}
        nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["h"]), helper.make_node("Mul", ["h", "root"], ["s"]),
                 helper.make_node("Erf", ["s"], ["e"]), helper.make_node("Add", ["e", "one"], ["f"]),
                 helper.make_node("Mul", ["h", "half"], ["g"]), helper.make_node("Mul", ["g", "f"], ["y"])]
        erf = np.vectorize(math.erf)

        def formula(i, w):
            h = i["x"] @ w["w"] + w["b"]
            return h * (1 + erf(h * np.sqrt(0.5))) / 2

        self.check(self.write(nodes, weights, 40), FOLD, self.input(3, 40), formula, weights, {"tenon.contract": 1})

    def test_patterns(self):
        """Only what a step names is folded."""
        weights = {k: self.weight(24, 24) for k in ("u", "v")} | {"s": np.float32(2)}
        nodes = [helper.make_node("MatMul", ["x", "u"], ["a"]), helper.make_node("Mul", ["a", "s"], ["b"]),
                 helper.make_node("Relu", ["b"], ["c"]), helper.make_node("MatMul", ["c", "v"], ["d"]),
                 helper.make_node("Mul", ["d", "s"], ["e"]), helper.make_node("Relu", ["e"], ["y"])]
        self.check(self.write(nodes, weights, 24), [{"do": "fold", "weights": ["v"]}], self.input(3, 24),
                   lambda i, w: relu(2 * relu(2 * i["x"] @ w["u"]) @ w["v"]), weights)
        self.assertIn("v, 24 x 24: takes in", self.printed)
        self.assertNotIn("u, 24 x 24", self.printed)

    def test_refusals(self):
        weights = {"w": self.weight(24, 24), "s": np.float32(2)}
        nodes = [helper.make_node("MatMul", ["x", "w"], ["a"], name="layer"), helper.make_node("Mul", ["a", "s"], ["y"], name="twice")]
        self.refused(self.write(nodes, weights, 24), [{"do": "fold", "weights": ["z.*"]}],
                     "step 1, weights: no product has a weight or node called 'z.*'; there are: w")
        self.refused(self.write(nodes, weights, 24), [{"do": "fold", "rank": 3}], "step 1: no field of \"fold\" is called 'rank'")
        weights["w"][2, 3] = np.nan
        self.refused(self.write(nodes, weights, 24), FOLD, "step 1: weight 'w': wanted finite elements, found infinity or NaN")
        weights = {"w": self.weight(24, 24), "s": np.float32(np.inf)}
        self.refused(self.write(nodes, weights, 24), FOLD, "step 1: ", "twice", "wanted finite factors and offsets")


class ExpansionTest(ExactCase):
    """TLEG: all layers from two sets of weights, A + (l / L) B."""

    def layers(self, count):
        weights = {"a": self.weight(24, 24), "b": self.weight(24, 24), "p": self.weight(24), "q": self.weight(24)}
        nodes = []
        for l in range(1, count + 1):
            weights[f"c{l}"] = np.float32(l / count)
            nodes += [helper.make_node("Mul", ["b", f"c{l}"], [f"m{l}"]), helper.make_node("Add", ["a", f"m{l}"], [f"w{l}"]),
                      helper.make_node("Mul", ["q", f"c{l}"], [f"n{l}"]), helper.make_node("Add", ["p", f"n{l}"], [f"o{l}"]),
                      helper.make_node("MatMul", [f"h{l - 1}" if l > 1 else "x", f"w{l}"], [f"s{l}"], name=f"layer{l}"),
                      helper.make_node("Add", [f"s{l}", f"o{l}"], [f"t{l}"]), helper.make_node("Relu", [f"t{l}"], [f"h{l}" if l < count else "y"])]
        return nodes, weights

    @staticmethod
    def formula(i, w, count):
        h = i["x"]
        for l in range(1, count + 1):
            c = float(w[f"c{l}"])
            h = relu(h @ (w["a"] + c * w["b"]) + w["p"] + c * w["q"])
        return h

    def test_layers_are_expanded(self):
        nodes, weights = self.layers(3)
        self.check(self.write(nodes, weights, 24), FOLD, self.input(5, 24), lambda i, w: self.formula(i, w, 3), weights,
                   {"tenon.contract": 3, "tensor<24x24xf32>) -> tensor<24x24xf32>": 0})
        self.assertIn("24 x 24: computed from a, b", self.printed)

    def test_patterns(self):
        nodes, weights = self.layers(2)
        self.check(self.write(nodes, weights, 24), [{"do": "fold", "weights": ["layer2"]}], self.input(5, 24),
                   lambda i, w: self.formula(i, w, 2), weights, {"tensor<24x24xf32>) -> tensor<24x24xf32>": 1})

    def test_refusals(self):
        nodes, weights = self.layers(2)
        weights["b"][3, 4] = np.inf
        self.refused(self.write(nodes, weights, 24), FOLD, "step 1: weight 'a', as 'm1, w1' computes from it: wanted finite elements")


class ConstantNormTest(ExactCase):
    """LN-free GPT-2: LayerNorms with an epsilon that no variance reaches."""

    CONSTANT = [{"do": "constant_norms"}]
    SIGMA = 1.7

    def model(self, epsilon=1e12):
        weights = {"g": (self.weight(24) + 1) * np.float32(np.sqrt(epsilon) / self.SIGMA), "s": self.weight(24), "q": self.weight(24, 30),
                   "k": np.ascontiguousarray(self.weight(24, 30).T), "c": self.weight(30)}
        nodes = [helper.make_node("LayerNormalization", ["x", "g", "s"], ["n"], name="norm", epsilon=epsilon),
                 helper.make_node("MatMul", ["n", "q"], ["a"]), helper.make_node("Gemm", ["n", "k", "c"], ["b"], transB=1),
                 helper.make_node("Tanh", ["b"], ["bt"]), helper.make_node("Mul", ["a", "bt"], ["y"])]
        return nodes, weights

    def formula(self, i, w):
        x = i["x"]
        n = (x - x.mean(-1, keepdims=True)) / self.SIGMA * (w["g"] * self.SIGMA / 1e6) + w["s"]
        return (n @ w["q"]) * np.tanh(n @ w["k"].T + w["c"])

    def test_written_out(self):
        """(x - mean) / sigma, sigma a number or a weight, scaled and shifted or neither."""
        for scaled in (True, False):
            with self.subTest(scaled=scaled):
                weights = {"sigma": np.float32([self.SIGMA]), "g": self.weight(24) + 1, "s": self.weight(24), "q": self.weight(24, 30)}
                nodes = [helper.make_node("ReduceMean", ["x", "last"], ["m"], keepdims=1),
                         helper.make_node("Sub", ["x", "m"], ["c"]), helper.make_node("Div", ["c", "sigma"], ["d"], name="norm")]
                weights["last"] = np.array([-1])
                if scaled:
                    nodes += [helper.make_node("Mul", ["d", "g"], ["dg"]), helper.make_node("Add", ["dg", "s"], ["n"])]
                nodes += [helper.make_node("MatMul", ["n" if scaled else "d", "q"], ["y"])]

                def formula(i, w):
                    n = (i["x"] - i["x"].mean(-1, keepdims=True)) / w["sigma"]
                    return (n * w["g"] + w["s"] if scaled else n) @ w["q"]

                self.check(self.write(nodes, weights, 24), self.CONSTANT, self.input(7, 24), formula, weights,
                           {"tenon.reduce": 0, "tenon.contract": 1})

    def test_written_out_and_read_otherwise(self):
        weights = {"sigma": np.float32([self.SIGMA]), "q": self.weight(24, 24), "last": np.array([-1])}
        nodes = [helper.make_node("ReduceMean", ["x", "last"], ["m"], keepdims=1), helper.make_node("Sub", ["x", "m"], ["c"]),
                 helper.make_node("Div", ["c", "sigma"], ["d"], name="norm"), helper.make_node("MatMul", ["d", "q"], ["p"]),
                 helper.make_node("Add", ["p", "d"], ["y"], name="residual")]
        self.refused(self.write(nodes, weights, 24), self.CONSTANT, "step 1: LayerNorm ", "it is read by ", "which is no product with a weight")
        weights["sigma"] = np.float32([0])
        self.refused(self.write([*nodes[:3], helper.make_node("MatMul", ["d", "q"], ["y"])], weights, 24), self.CONSTANT,
                     "wanted a finite divisor, scale and shift, found infinity or NaN")

    def test_folded(self):
        nodes, weights = self.model()
        self.check(self.write(nodes, weights, 24), self.CONSTANT, self.input(7, 24), self.formula, weights, {"tenon.norm": 0, "tenon.contract": 2})
        self.assertIn("takes in a norm that divides by a constant", self.printed)

    def test_refusals(self):
        nodes, weights = self.model(1e-5)
        self.refused(self.write(nodes, weights, 24), self.CONSTANT, "step 1: the model has no LayerNorm over the last dim that divides by a constant, or whose epsilon is at least 1e+08")
        nodes, weights = self.model()
        read = [*nodes[:-1], helper.make_node("ReduceSum", ["n"], ["r"], name="total", keepdims=1), helper.make_node("Mul", ["a", "r"], ["y"])]
        self.refused(self.write(read, weights, 24), self.CONSTANT, "step 1: LayerNorm 'norm': it is read by 'total', which is no product with a weight")
        weights["k"][3, 4] = np.nan
        self.refused(self.write(nodes, weights, 24), self.CONSTANT, "step 1: weight 'k", "wanted finite elements")


class RmsNormTest(ExactCase):
    """Pre-LayerNorm transformers, their residual stream centred."""

    RMS = [{"do": "rms_norms"}]
    COMPRESS = [{"do": "rms_norms", "compress": True}]

    def block(self, name, source, width):
        """(nodes, weights, formula) of x + W2 relu(W1 LN(x) + b1) + b2."""
        keys = {k: f"{name}.{k}" for k in ("g", "s", "u", "p", "v", "q")}
        weights = {keys["g"]: self.weight(width) + 1, keys["s"]: self.weight(width), keys["u"]: self.weight(width, 40),
                   keys["p"]: self.weight(40), keys["v"]: self.weight(40, width), keys["q"]: self.weight(width)}
        t = [f"{name}.t{i}" for i in range(6)]
        nodes = [helper.make_node("LayerNormalization", [source, keys["g"], keys["s"]], [t[0]], name=f"{name}.norm"),
                 helper.make_node("MatMul", [t[0], keys["u"]], [t[1]]), helper.make_node("Add", [t[1], keys["p"]], [t[2]]),
                 helper.make_node("Relu", [t[2]], [t[3]]), helper.make_node("MatMul", [t[3], keys["v"]], [t[4]]),
                 helper.make_node("Add", [t[4], keys["q"]], [t[5]]), helper.make_node("Add", [source, t[5]], [name], name=name)]

        def formula(x, w):
            w = {k: w[v] for k, v in keys.items()}
            return x + relu(layer_norm(x, w["g"], w["s"]) @ w["u"] + w["p"]) @ w["v"] + w["q"]

        return nodes, weights, formula

    def stack(self, start, start_weights, width=24):
        """Two blocks on `h`, a last norm and a head: nodes, weights, formula of h."""
        first, second = self.block("one", "h", width), self.block("two", "one", width)
        weights = {**start_weights, **first[1], **second[1], "lg": self.weight(width), "head": self.weight(width, 10)}
        nodes = [*start, *first[0], *second[0], helper.make_node("LayerNormalization", ["two", "lg"], ["last"]),
                 helper.make_node("MatMul", ["last", "head"], ["y"])]
        return nodes, weights, lambda h, w: layer_norm(second[2](first[2](h, w), w), w["lg"]) @ w["head"]

    def test_embeddings_and_positions(self):
        """Tables are centred row by row; a class token in front as well."""
        start = [helper.make_node("Cast", ["x"], ["ids"], to=7), helper.make_node("Gather", ["table", "ids"], ["e"]),
                 helper.make_node("Add", ["e", "positions"], ["ep"]), helper.make_node("Shape", ["x"], ["n"], end=1),
                 helper.make_node("Concat", ["n", "one_one"], ["s"], axis=0), helper.make_node("Expand", ["class", "s"], ["c"]),
                 helper.make_node("Concat", ["c", "ep"], ["h"], axis=1)]
        nodes, weights, formula = self.stack(
            start, {"table": self.weight(50, 24) + 3, "positions": self.weight(6, 24), "class": self.weight(1, 1, 24) + 1,
                    "one_one": np.array([1, 24])})

        def whole(i, w):
            e = w["table"][i["x"].astype(int)] + w["positions"]
            return formula(np.concatenate([np.broadcast_to(w["class"], (len(e), 1, 24)), e], 1), w)

        self.check(self.write(nodes, weights, [6]), self.RMS, {"x": self.random.integers(0, 50, (3, 6)).astype(np.float32)},
                   whole, weights, {"tenon.norm  rms": 3, "tenon.norm  layer": 0})
        self.assertIn("table, 50 x 24: centred for 3 norms", self.printed)

    def test_patches(self):
        """A convolution that makes the tokens: its filters are centred over its output channels."""
        start = [helper.make_node("Conv", ["x", "w", "b"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
                 helper.make_node("Reshape", ["p", "flat"], ["f"]), helper.make_node("Transpose", ["f"], ["h"], perm=[0, 2, 1])]
        nodes, weights, formula = self.stack(start, {"w": self.weight(24, 3, 2, 2), "b": self.weight(24), "flat": np.array([0, 24, -1])})

        def whole(i, w):
            b, c, height, width = i["x"].shape
            patches = i["x"].reshape(b, c, height // 2, 2, width // 2, 2)
            h = np.einsum("bchiwj,ncij->bhwn", patches, w["w"]) + w["b"]
            return formula(h.reshape(b, -1, 24), w)

        for steps, norms in ((self.RMS, 3), (self.COMPRESS, 0)):
            with self.subTest(steps=steps):
                self.check(self.write(nodes, weights, [3, 6, 8]), steps, self.input(2, 3, 6, 8), whole, weights,
                           {"tenon.norm  rms": norms, "tenon.norm  layer": 0})

    def test_fold_then_centre(self):
        nodes, weights, formula = self.stack([helper.make_node("MatMul", ["x", "w"], ["h"])], {"w": self.weight(12, 24)})
        self.check(self.write(nodes, weights, [5, 12]), FOLD + self.RMS, self.input(2, 5, 12),
                   lambda i, w: formula(i["x"] @ w["w"], w), weights,
                   {"tenon.norm  rms": 3, "tenon.norm  layer": 0, "scale %": 0, "shift %": 0})

    def test_compressed(self):
        """Pre-CRMSNorm: one channel less in the stream, its weights, and in what reads the norms."""
        start = [helper.make_node("Cast", ["x"], ["ids"], to=7), helper.make_node("Gather", ["table", "ids"], ["e"]),
                 helper.make_node("Add", ["e", "positions"], ["h"])]
        nodes, weights, formula = self.stack(start, {"table": self.weight(50, 24) + 3, "positions": self.weight(6, 24)})
        self.check(self.write(nodes, weights, [6]), self.COMPRESS, {"x": self.random.integers(0, 50, (3, 6)).astype(np.float32)},
                   lambda i, w: formula(w["table"][i["x"].astype(int)] + w["positions"], w), weights,
                   {"tenon.norm": 0, "6, 24]": 0})
        self.assertIn("table, 50 x 23: centred for 3 norms", self.printed)
        self.assertIn("one.u, 23 x 40: reads the channels but the last", self.printed)
        self.assertIn("head, 23 x 10: reads the channels but the last", self.printed)

    def test_refusals_of_compression(self):
        nodes, weights, _ = self.stack([helper.make_node("MatMul", ["x", "w"], ["h"])], {"w": self.weight(12, 24)})
        read = [*nodes[:-1], helper.make_node("Tanh", ["last"], ["t"], name="active"), helper.make_node("MatMul", ["t", "head"], ["y"])]
        self.refused(self.write(read, weights, 12), self.COMPRESS, "needs the last channel: it is read by 'active'")
        self.refused(self.write(nodes, weights, 12), [{"do": "rms_norms", "compress": 1}], "step 1, compress: wanted true or false, found 1")
        weights["head"][3, 4] = np.inf
        self.refused(self.write(nodes, weights, 12), self.COMPRESS, "step 1: weight 'head': wanted finite elements")

    def test_refusals(self):
        product = [helper.make_node("MatMul", ["x", "w"], ["h"], name="embed")]
        weights = {"w": self.weight(12, 24)}
        # Of an input.
        self.refused(self.write([helper.make_node("LayerNormalization", ["x", "g"], ["y"], name="first")], {"g": self.weight(24)}, 24),
                     self.RMS, "step 1: LayerNorm 'first': it is made from an input")
        # An output, and behind a norm.
        nodes, more, _ = self.block("one", "h", 24)
        self.refused(self.write([*product, *nodes, helper.make_node("Identity", ["one"], ["y"])], weights | more, 12), self.RMS,
                     "step 1: LayerNorm 'one.norm': it is read by 'y'")
        post = [*product, helper.make_node("Relu", ["h"], ["r"], name="active"),
                helper.make_node("LayerNormalization", ["r", "g"], ["y"], name="post")]
        self.refused(self.write(post, weights | {"g": self.weight(24)}, 12), self.RMS, "LayerNorm 'post': ", "found 'active'")
        none = self.write([helper.make_node("MatMul", ["x", "w"], ["y"])], weights, 12)
        self.refused(none, self.RMS, "step 1: the model has no LayerNorm over the last dim")
        self.refused(none, [{"do": "rms_norms", "weights": ["w"]}], "step 1: no field of \"rms_norms\" is called 'weights'")
        nodes, weights, _ = self.stack(product, weights)
        weights["one.v"][3, 4] = np.inf
        self.refused(self.write(nodes, weights, 12), self.RMS, "step 1: weight 'one.v': wanted finite elements")


class AttentionCase(ExactCase):
    def attention(self, model=24, heads=2, width=20, biases="qkvo", groups=1, mask=False):
        """Nodes and weights of self-attention on x [n, s, model], as exporters write it; `groups` query heads share a key head."""
        inner = {"q": heads * width, "k": heads // groups * width, "v": heads // groups * width}
        weights = {c: self.weight(model, inner[c]) for c in "qkv"} | {"o": self.weight(heads * width, model)}
        weights |= {"b" + c: self.weight(inner.get(c, model)) for c in biases}
        weights |= {"as_heads": np.array([0, 0, -1, width]), "flat": np.array([0, 0, heads * width]), "root": np.float32(width**-0.5),
                    "repeats": np.array([1, 1, groups, 1, 1]), "all": np.array([0, heads, -1, width]), "two": np.array([2])}
        nodes = []
        for c in "qkv":
            nodes += self.product("x", c, "p" + c, biases)
            nodes += [helper.make_node("Reshape", ["p" + c, "as_heads"], ["s" + c]),
                      helper.make_node("Transpose", ["s" + c], ["t" + c], perm=[0, 2, 1, 3])]
            if c != "q" and groups > 1:
                nodes += [helper.make_node("Unsqueeze", ["t" + c, "two"], ["u" + c]), helper.make_node("Shape", ["u" + c], ["z" + c]),
                          helper.make_node("Mul", ["z" + c, "repeats"], ["m" + c]), helper.make_node("Expand", ["u" + c, "m" + c], ["e" + c]),
                          helper.make_node("Reshape", ["e" + c, "all"], ["r" + c])]
        keys, values = ("rk", "rv") if groups > 1 else ("tk", "tv")
        nodes += [helper.make_node("Transpose", [keys], ["kt"], perm=[0, 1, 3, 2]),
                  helper.make_node("MatMul", ["tq", "kt"], ["qk"], name="scores"), helper.make_node("Mul", ["qk", "root"], ["scaled"]),
                  helper.make_node("Softmax", ["scaled"], ["p"], axis=-1)]
        if mask:  # as PyTorch guards rows without a key
            weights["nothing"] = np.float32(0)
            nodes += [helper.make_node("IsNaN", ["p"], ["no"]), helper.make_node("Where", ["no", "nothing", "p"], ["g"])]
        nodes += [helper.make_node("MatMul", ["g" if mask else "p", values], ["h"]),
                  helper.make_node("Transpose", ["h"], ["ht"], perm=[0, 2, 1, 3]), helper.make_node("Reshape", ["ht", "flat"], ["c"]),
                  *self.product("c", "o", "y", biases)]
        return nodes, weights

    @staticmethod
    def product(source, weight, to, biases):
        if weight not in biases:
            return [helper.make_node("MatMul", [source, weight], [to])]
        return [helper.make_node("MatMul", [source, weight], [to + "_"]), helper.make_node("Add", [to + "_", "b" + weight], [to])]

    @staticmethod
    def formula(heads, width, groups=1):
        def whole(i, w):
            x = i["x"]
            project = lambda c: (x @ w[c] + w.get("b" + c, 0)).reshape(*x.shape[:2], -1, width).transpose(0, 2, 1, 3)
            q, k, v = project("q"), *(np.repeat(project(c), groups, 1) for c in "kv")
            e = np.exp(q @ k.swapaxes(-1, -2) * float(w["root"]))
            h = e / e.sum(-1, keepdims=True) @ v
            return h.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1) @ w["o"] + w.get("bo", 0)

        return whole


class MergeHeadsTest(AttentionCase):
    """Heads that are wide beside the model: query and key, value and output, as one product each."""

    MERGE = [{"do": "merge_heads"}]

    def test_merged(self):
        """Biases of keys, and of values behind guarded weights, are one more column of keys and values."""
        for biases, mask, heads, width in (("", False, 3, 13), ("qvo", False, 2, 20), ("qkvo", False, 1, 33), ("vo", True, 2, 20)):
            with self.subTest(biases=biases, guard=mask, heads=heads, width=width):
                nodes, weights = self.attention(heads=heads, width=width, biases=biases, mask=mask)
                self.check(self.write(nodes, weights, [7, 24]), self.MERGE, self.input(3, 7, 24), self.formula(heads, width), weights,
                           {"tenon.attention": 1, "tenon.contract": 2})

    def test_keys_shared_by_heads(self):
        nodes, weights = self.attention(heads=4, width=40, groups=2)
        self.check(self.write(nodes, weights, [5, 24]), self.MERGE, self.input(2, 5, 24), self.formula(4, 40, 2), weights,
                   {"tenon.attention": 1, "tenon.contract": 2})
        self.assertIn("one product for query and key of 4 heads", self.printed)

    def check_one(self, which, other, *what):
        self.check(*what)
        self.assertIn(f"one product for {which} of 2 heads", self.printed)
        self.assertNotIn(f"one product for {other}", self.printed)

    def test_rotary(self):
        """Positions between query and key: value and output alone, with biases of both and with a guard."""
        turned = lambda x, w: x * w["cos"] + np.concatenate([-x[..., 10:], x[..., :10]], -1) * w["sin"]
        for biases, mask in (("", False), ("qkvo", False), ("vo", True)):
            nodes, weights = self.attention(biases=biases, mask=mask)
            angles = np.outer(np.arange(7), 10.0 ** -np.arange(10)).astype(np.float32)
            weights |= {"cos": np.cos(np.tile(angles, 2)), "sin": np.sin(np.tile(angles, 2)), "first": np.array([0]), "half": np.array([10]),
                        "end": np.array([20]), "last": np.array([-1])}
            for c in "qk":
                t = "t" + c
                for node in nodes:
                    node.input[:] = ["rot" + c if name == t else name for name in node.input]
                nodes += [helper.make_node("Slice", [t, "first", "half", "last"], [t + "1"]),
                          helper.make_node("Slice", [t, "half", "end", "last"], [t + "2"]), helper.make_node("Neg", [t + "2"], [t + "n"]),
                          helper.make_node("Concat", [t + "n", t + "1"], [t + "t"], axis=-1), helper.make_node("Mul", [t, "cos"], [t + "c"]),
                          helper.make_node("Mul", [t + "t", "sin"], [t + "s"]), helper.make_node("Add", [t + "c", t + "s"], ["rot" + c])]

            def formula(i, w):
                project = lambda c: (i["x"] @ w[c] + w.get("b" + c, 0)).reshape(2, 7, 2, 20).transpose(0, 2, 1, 3)
                scores = np.exp(turned(project("q"), w) @ turned(project("k"), w).swapaxes(-1, -2) * float(w["root"]))
                heads = scores / scores.sum(-1, keepdims=True) @ project("v")
                return heads.transpose(0, 2, 1, 3).reshape(2, 7, 40) @ w["o"] + w.get("bo", 0)

            with self.subTest(biases=biases, guard=mask):
                model = self.write(self.sorted(nodes), weights, [7, 24])
                self.check_one("value and output", "query and key", model, self.MERGE, self.input(2, 7, 24), formula, weights)
                explained = subprocess.run([native.BUILD / "bin" / "tenon", "explain", model, "--factorize", self.recipe(self.MERGE)],
                                           capture_output=True, text=True)
                self.assertRegex(explained.stdout, r"missed .*merge_heads: attention 'scores': query and key stay: '.*' is no product with a weight")

    def test_no_output(self):
        """Heads that no product reads; keys with a bias are (z, 1), values are what they were."""
        for biases in ("", "qkv"):
            nodes, weights = self.attention(biases=biases)
            nodes = nodes[:-1] + [helper.make_node("Identity", ["c"], ["y"])]
            whole = self.formula(2, 20)
            formula = lambda i, w: whole(i, w | {"o": np.eye(40)})
            with self.subTest(biases=biases):
                self.check_one("query and key", "value and output", self.write(nodes, weights, [7, 24]), self.MERGE,
                               self.input(2, 7, 24), formula, weights)

    def test_narrow_values(self):
        """Values of 6 columns take fewer elements as they are."""
        nodes, weights = self.attention(biases="qkvo")
        weights |= {"v": self.weight(24, 12), "o": self.weight(12, 24), "bv": self.weight(12), "as_values": np.array([0, 0, -1, 6]),
                    "flat": np.array([0, 0, 12])}
        for node in nodes:
            if node.output[0] == "sv":
                node.input[1] = "as_values"

        def formula(i, w):
            project = lambda c, width: (i["x"] @ w[c] + w["b" + c]).reshape(2, 7, 2, width).transpose(0, 2, 1, 3)
            scores = np.exp(project("q", 20) @ project("k", 20).swapaxes(-1, -2) * float(w["root"]))
            heads = scores / scores.sum(-1, keepdims=True) @ project("v", 6)
            return heads.transpose(0, 2, 1, 3).reshape(2, 7, 12) @ w["o"] + w["bo"]

        self.check_one("query and key", "value and output", self.write(nodes, weights, [7, 24]), self.MERGE, self.input(2, 7, 24),
                       formula, weights)

    def test_patterns(self):
        nodes, weights = self.attention()
        model = self.write(nodes, weights, [7, 24])
        self.check(model, [{"do": "merge_heads", "weights": ["k"]}], self.input(2, 7, 24), self.formula(2, 20), weights, {"tenon.contract": 2})

    def test_exported(self):
        """T5 of wide heads by both exporters: the same in float64 to within the rounding of the merged weights, and natively."""
        cases = np.load(EXPORTED / "t5_wide.npz")
        case = sorted({key.split("/")[0] for key in cases.files})[0]
        arrays = {kind: {key.split("/", 2)[2]: cases[key] for key in cases.files if key.startswith(f"{case}/{kind}/")} for kind in ("in", "out")}
        for exporter in ("dynamo18", "trace17"):
            with self.subTest(exporter=exporter):
                model = EXPORTED / f"t5_wide.{exporter}.onnx"
                files = {name: f"{name}.npy" for name in arrays["in"]}
                for name, file in files.items():
                    np.save(self.folder / file, arrays["in"][name])
                errors = []
                for steps in (None, self.MERGE):
                    status, text, _ = self.compile(model, steps, files)
                    self.assertEqual(status, 0, text)
                    errors.append([max(np.abs(found[name] - truth).max() / np.abs(truth).max() for name, truth in arrays["out"].items())
                                   for found in self.results(arrays["in"])])
                self.assertEqual(text.count("one product for query and key of 2 heads"), 2, text)
                self.assertEqual(text.count("one product for value and output of 2 heads"), 2, text)
                distances = [float(d) for d in re.findall(r"output \S+: (\S+) off", text)]
                self.assertEqual(len(distances), len(arrays["out"]), text)
                self.assertLess(max(distances), 1e-6)
                for old, new in zip(*errors):
                    self.assertLess(new, 2 * max(old, 1e-6))

    def test_refusals(self):
        nodes, weights = self.attention(width=12)
        refused = lambda nodes, weights, *words: self.refused(self.write(nodes, weights, [7, 24]), self.MERGE, *words)
        refused(nodes, weights, "step 1: attention 'scores': merged products would take 2400 elements, and it has 2304 (heads 12 wide, models 24)")
        nodes, weights = self.attention(biases="")
        read = [*nodes, *(helper.make_node("ReduceSum", ["p" + c], ["total" + c], name="cache" + c) for c in "kv")]
        model = self.write(read, weights, [7, 24], outputs=("y", "totalk", "totalv"))
        self.refused(model, self.MERGE, "attention 'scores': 'k' stays: 'cachek' reads its product too")
        weights["o"][2, 3] = np.inf
        refused(nodes, weights, "step 1: weight 'o", "wanted finite elements, found infinity or NaN")
        plain = [helper.make_node("MatMul", ["x", "q"], ["y"])]
        refused(plain, {"q": weights["q"]}, "step 1: the model has no softmax between two products of tensors")

    @staticmethod
    def sorted(nodes):
        """In an order in which each node's inputs are known."""
        made, left, done = {output for n in nodes for output in n.output}, list(nodes), []
        while left:
            ready = next(n for n in left if not any(i in made and not any(i in d.output for d in done) for i in n.input))
            left.remove(ready)
            done.append(ready)
        return done


class HardwareAwareTest(AttentionCase):
    """HAT: sub-models of fewer heads, and of a narrower stream."""

    def compare(self, model, steps, inputs, truth):
        status, self.printed, _ = self.compile(model, steps)
        self.assertEqual(status, 0, self.printed)
        for found in self.results(inputs):
            np.testing.assert_allclose(found["y"], truth, atol=1e-5 * np.abs(truth).max())

    def test_heads(self):
        """The first heads: columns of queries, keys and values, rows of the output's matrix."""
        nodes, weights = self.attention(model=24, heads=4, width=8)
        weights |= {"as_heads": np.array([0, 0, 4, 8]), "flat": np.array([0, 0, 32])}
        model, x = self.write(nodes, weights, [7, 24]), self.input(2, 7, 24)
        wide = {k: v.astype(np.float64) for k, v in weights.items()}
        for heads in (1, 3):
            with self.subTest(heads=heads):
                size = heads * 8
                kept = {k: v[..., :size] if k in ("q", "k", "v", "bq", "bk", "bv") else v[:size] if k == "o" else v for k, v in wide.items()}
                self.compare(model, [{"do": "prefix", "weights": ["q"], "size": size}], x, self.formula(heads, 8)({"x": x["x"].astype(float)}, kept))
                self.assertIn(f"o, {size} x 24: the first rows", self.printed)
        self.artifact.unlink()
        self.refused(model, [{"do": "prefix", "weights": ["q"], "size": 12}], "weight 'q' (24 x 32): its columns cannot be left out: ",
                     "wanted a size that is a multiple of 8, found 12")

    def layers(self, count, width=24):
        """Pre-norm layers x + relu(LN(x) U) V on an embedding, a last norm and a head."""
        weights = {"e": self.weight(12, width), "lg": self.weight(width) + 1, "head": self.weight(width, 10)}
        nodes, stream = [helper.make_node("MatMul", ["x", "e"], ["s0"])], "s0"
        for n in range(count):
            k = {c: f"layer{n}.{c}" for c in ("g", "b", "u", "v", "norm", "wide", "active", "narrow")}
            weights |= {k["g"]: self.weight(width) + 1, k["b"]: self.weight(width), k["u"]: self.weight(width, 40), k["v"]: self.weight(40, width)}
            nodes += [helper.make_node("LayerNormalization", [stream, k["g"], k["b"]], [k["norm"]]),
                      helper.make_node("MatMul", [k["norm"], k["u"]], [k["wide"]]), helper.make_node("Relu", [k["wide"]], [k["active"]]),
                      helper.make_node("MatMul", [k["active"], k["v"]], [k["narrow"]]),
                      helper.make_node("Add", [stream, k["narrow"]], [f"s{n + 1}"], name=f"sum{n}")]
            stream = f"s{n + 1}"
        return [*nodes, helper.make_node("LayerNormalization", [stream, "lg"], ["last"]), helper.make_node("MatMul", ["last", "head"], ["y"])], weights

    @staticmethod
    def stacked(x, w, width):
        w = {k: v.astype(np.float64) for k, v in w.items()}
        s = x["x"].astype(np.float64) @ w["e"][:, :width]
        for n in range(2):
            g, b, u, v = (w[f"layer{n}.{c}"] for c in "gbuv")
            s = s + relu(layer_norm(s, g[:width], b[:width]) @ u[:width]) @ v[:, :width]
        return layer_norm(s, w["lg"][:width]) @ w["head"][:width]

    def test_width(self):
        """The first channels of the stream: embedding, norms, and all that adds to it or reads it."""
        nodes, weights = self.layers(2)
        model, x = self.write(nodes, weights, [5, 12]), self.input(2, 5, 12)
        for width in (16, 5):
            with self.subTest(width=width):
                self.compare(model, [{"do": "prefix", "weights": ["e"], "size": width}], x, self.stacked(x, weights, width))

    def test_decoder_that_attends_several_layers(self):
        """HAT's arbitrary attention: keys are the tokens of the last two layers, one behind the other, under one softmax. The
        encoder's width and the decoder's single head are sliced."""
        nodes, weights = self.layers(3)
        del weights["lg"], weights["head"]
        weights |= {"q": self.weight(12, 32), "k": self.weight(24, 32), "v": self.weight(24, 32), "o": self.weight(32, 10),
                    "scale": np.float32(0.2)}
        nodes = [*nodes[:-2], helper.make_node("Concat", ["s2", "s3"], ["memory"], axis=1, name="layers")]
        nodes += [helper.make_node("MatMul", [source, c], ["p" + c]) for c, source in (("q", "x"), ("k", "memory"), ("v", "memory"))]
        nodes += [helper.make_node("Transpose", ["pk"], ["turned"], perm=[0, 2, 1]), helper.make_node("MatMul", ["pq", "turned"], ["products"]),
                  helper.make_node("Mul", ["products", "scale"], ["scores"]), helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
                  helper.make_node("MatMul", ["shares", "pv"], ["found"]), helper.make_node("MatMul", ["found", "o"], ["y"])]
        model, x = self.write(nodes, weights, [5, 12]), self.input(2, 5, 12)
        w = {k: v.astype(np.float64) for k, v in weights.items()}

        def formula(width, values):
            streams = [x["x"].astype(np.float64) @ w["e"][:, :width]]
            for n in range(3):
                g, b, u, v = (w[f"layer{n}.{c}"] for c in "gbuv")
                streams.append(streams[-1] + relu(layer_norm(streams[-1], g[:width], b[:width]) @ u[:width]) @ v[:, :width])
            memory = np.concatenate(streams[-2:], 1)
            scores = 0.2 * (x["x"] @ w["q"]) @ (memory @ w["k"][:width]).swapaxes(1, 2)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            shares /= shares.sum(-1, keepdims=True)
            return shares @ (memory @ w["v"][:width, :values]) @ w["o"][:values]

        for width, values in ((24, 32), (16, 32), (5, 8)):
            with self.subTest(width=width, values=values):
                steps = [{"do": "prefix", "weights": ["e"], "size": width}, {"do": "prefix", "weights": ["v"], "size": values}]
                self.compare(model, steps, x, formula(width, values))


class DropLayersTest(AttentionCase):
    """HAT's depths: a model without some of its layers is, bit for bit, the model that never had them."""

    def layer(self, number, source, post):
        """Attention and a feed-forward block around a residual stream, norms in front or behind; its last tensor is layerN."""
        name = f"layer{number}"
        nodes, weights = self.attention(heads=2, width=12)
        rename = {value: f"{name}.{value}" for value in {*weights, *(v for n in nodes for v in (*n.input, *n.output) if v != "x")}}
        weights = {rename[k]: v for k, v in weights.items()}
        for part in "ab":
            weights |= {f"{name}.g{part}": self.weight(24) + 1, f"{name}.s{part}": self.weight(24)}
        weights |= {f"{name}.u": self.weight(24, 40), f"{name}.d": self.weight(40, 24)}
        norm = lambda part, of, to: helper.make_node("LayerNormalization", [of, f"{name}.g{part}", f"{name}.s{part}"], [to], name=to)
        first, middle = (source, f"{name}.m") if post else (f"{name}.n", f"{name}.mn")
        rename["x"] = first
        inner = [helper.make_node(n.op_type, [rename[i] for i in n.input], [rename[o] for o in n.output],
                                  name=f"{name}.{n.name}" if n.name else "") for n in nodes]
        for new, old in zip(inner, nodes):
            new.attribute.extend(old.attribute)
        end, sum1, sum2 = name, f"{name}.sum1", f"{name}.sum2"
        nodes = [] if post else [norm("a", source, first)]
        nodes += [*inner, helper.make_node("Add", [source, f"{name}.y"], [sum1])]
        nodes += [norm("a", sum1, middle) if post else norm("b", sum1, middle)]
        nodes += [helper.make_node("MatMul", [middle, f"{name}.u"], [f"{name}.wide"]), helper.make_node("Relu", [f"{name}.wide"], [f"{name}.active"]),
                  helper.make_node("MatMul", [f"{name}.active", f"{name}.d"], [f"{name}.narrow"], name=f"{name}.down"),
                  helper.make_node("Add", [middle if post else sum1, f"{name}.narrow"], [sum2 if post else end], name=f"{name}.add")]
        if post:
            nodes.append(norm("b", sum2, end))
        return nodes, weights

    def model(self, layers, post, seed=7):
        """Layers of these numbers, each with the weights it always has."""
        nodes, weights, source = [helper.make_node("MatMul", ["x", "e"], ["h"])], {}, "h"
        for number in range(4):
            self.random = np.random.default_rng(seed + number)
            more, theirs = self.layer(number, source, post)
            if number in layers:
                nodes, weights, source = nodes + more, weights | theirs, f"layer{number}"
        weights |= {"e": self.weight(12, 24), "head": self.weight(24, 10)}
        return nodes + [helper.make_node("MatMul", [source, "head"], ["y"])], weights

    def run_model(self, nodes, weights, steps, x):
        """y at each place tests run."""
        status, self.printed, _ = self.compile(self.write(nodes, weights, [5, 12]), steps)
        self.assertEqual(status, 0, self.printed)
        return [found["y"] for found in self.results(x)]

    def test_dropped(self):
        x = self.input(2, 5, 12)
        for post in (False, True):
            for left in ((0, 1), (1, 3)):
                gone = [n for n in range(4) if n not in left]
                steps = [{"do": "drop_layers", "weights": [f"layer{n}.*"]} for n in gone]
                with self.subTest(post=post, left=left):
                    wanted = self.run_model(*self.model(left, post), None, x)
                    np.testing.assert_array_equal(self.run_model(*self.model(range(4), post), steps, x), wanted)
                    self.assertIn(f"factorized {6 * len(gone)} of {6 * len(gone)} weights", self.printed)

    def test_several_at_once(self):
        """A span of neighbours is one step."""
        x = self.input(2, 5, 12)
        step = {"do": "drop_layers", "weights": ["layer1.*", "layer2.*"]}
        wanted = self.run_model(*self.model((0, 3), False), None, x)
        np.testing.assert_array_equal(self.run_model(*self.model(range(4), False), [step], x), wanted)

    def test_part_of_a_layer(self):
        """The feed-forward block by itself."""
        nodes, weights = self.model(range(2), False)
        step = {"do": "drop_layers", "weights": ["layer1.gb", "layer1.sb", "layer1.u", "layer1.d"]}
        without = [n for n in nodes if n.output[0] not in ("layer1.mn", "layer1.wide", "layer1.active", "layer1.narrow", "layer1")]
        for node in without:
            node.input[:] = ["layer1.sum1" if name == "layer1" else name for name in node.input]
        x = self.input(2, 5, 12)
        wanted = self.run_model(without, {k: v for k, v in weights.items() if k not in step["weights"]}, None, x)
        nodes, weights = self.model(range(2), False)
        np.testing.assert_array_equal(self.run_model(nodes, weights, [step], x), wanted)

    def test_refusals(self):
        nodes, weights = self.model(range(2), False)
        model = self.write(nodes, weights, [5, 12])
        drop = lambda *names: [{"do": "drop_layers", "weights": list(names)}]
        self.refused(model, drop("layer7.*"), "step 1, weights: no product has a weight or node called 'layer7.*'")
        self.refused(model, [{"do": "drop_layers"}], "step 1: wanted 'weights': a list of patterns")
        self.refused(model, drop("layer0.[gs]a", "layer0.q", "layer0.d"), "the layer cannot be left out: weight 'layer0.",
                     "stands between them and is not named")
        self.refused(model, drop("layer0.q", "layer0.d"), "the layer cannot be left out: more than one tensor like '")
        self.refused(model, drop("e"), "the layer cannot be left out: what they make does not come together")
        read = [*nodes, helper.make_node("ReduceSum", ["layer1.wide"], ["total"], name="probe")]
        self.refused(self.write(read, weights, [5, 12], outputs=("y", "total")), drop("layer1.*"), "the layer cannot be left out")


class PrefixTest(ExactCase):
    """MatFormer: the first hidden units of a layer are a layer."""

    def gated(self, hidden=64):
        weights = {"g": self.weight(24, hidden), "u": self.weight(24, hidden), "b": self.weight(hidden), "d": self.weight(hidden, 20)}
        nodes = [helper.make_node("MatMul", ["x", "g"], ["a"]), helper.make_node("Add", ["a", "b"], ["ab"], name="bias"),
                 helper.make_node("Sigmoid", ["ab"], ["s"]), helper.make_node("Mul", ["ab", "s"], ["act"]),
                 helper.make_node("MatMul", ["x", "u"], ["v"]), helper.make_node("Mul", ["act", "v"], ["h"]),
                 helper.make_node("MatMul", ["h", "d"], ["y"])]
        return nodes, weights

    @staticmethod
    def formula(m):
        def whole(i, w):
            a = i["x"] @ w["g"][:, :m] + w["b"][:m]
            return (a / (1 + np.exp(-a)) * (i["x"] @ w["u"][:, :m])) @ w["d"][:m]

        return whole

    def test_gated_layer(self):
        """Equal to the small model: gate, up and down are sliced together."""
        nodes, weights = self.gated()
        for size in (1, 17, 32, 64):
            with self.subTest(size=size):
                model, x = self.write(nodes, weights, 24), self.input(5, 24)
                status, text, _ = self.compile(model, [{"do": "prefix", "weights": ["g"], "size": size}])
                self.assertEqual(status, 0, text)
                results = self.results(x)
                small = {"g": weights["g"][:, :size], "u": weights["u"][:, :size], "b": weights["b"][:size], "d": weights["d"][:size]}
                status, text, _ = self.compile(self.write(nodes, {k: np.ascontiguousarray(v) for k, v in small.items()}, 24), None)
                self.assertEqual(status, 0, text)
                truth = self.formula(size)({"x": x["x"].astype(np.float64)}, {k: v.astype(np.float64) for k, v in weights.items()})
                for found, equal in zip(results, self.results(x)):
                    np.testing.assert_array_equal(found["y"], equal["y"])
                    np.testing.assert_allclose(found["y"], truth, atol=1e-5 * np.abs(truth).max() + 1e-7)

    def test_two_layers_of_different_sizes(self):
        weights = {"a.up": self.weight(24, 64), "a.down": self.weight(64, 24), "b.up": self.weight(24, 64), "b.down": self.weight(64, 24)}
        nodes = []
        for layer, source, to in (("a", "x", "m"), ("b", "m", "y")):
            nodes += [helper.make_node("MatMul", [source, f"{layer}.up"], [f"{layer}.h"]), helper.make_node("Relu", [f"{layer}.h"], [f"{layer}.r"]),
                      helper.make_node("MatMul", [f"{layer}.r", f"{layer}.down"], [to])]
        steps = [{"do": "prefix", "weights": ["a.up"], "size": 32}, {"do": "prefix", "weights": ["b.up"], "size": 8}]
        status, text, _ = self.compile(self.write(nodes, weights, 24), steps)
        self.assertEqual(status, 0, text)
        self.assertIn("factorized 4 of 4 weights: 0.01 to 0.00 million elements", text)
        x, w = self.input(3, 24), weights
        layer = lambda h, n, m: relu(h @ w[n + ".up"][:, :m]) @ w[n + ".down"][:m]
        truth = layer(layer(x["x"].astype(np.float64), "a", 32), "b", 8)
        for found in self.results(x):
            np.testing.assert_allclose(found["y"], truth, atol=1e-5 * np.abs(truth).max())

    def test_refusals(self):
        nodes, weights = self.gated()
        step = {"do": "prefix", "weights": ["g"], "size": 8}
        self.refused(self.write(nodes, weights, 24), [step | {"size": 65}],
                     "step 1: weight 'g' (24 x 64): wanted a size of at most 64, found 65")
        self.refused(self.write(nodes, weights, 24), [step | {"size": 0}], "step 1, size: wanted a number of at least 1, found 0")
        self.refused(self.write(nodes, weights, 24), [{"do": "prefix", "size": 4}], "step 1: wanted 'weights': a list of patterns")
        self.refused(self.write(nodes, weights, 24), [{"do": "prefix", "weights": ["g"]}], "step 1: wanted 'size'")
        shared = [helper.make_node("MatMul", ["x", "g"], ["a"]), helper.make_node("Softmax", ["a"], ["n"], name="shares", axis=-1),
                  helper.make_node("MatMul", ["n", "d"], ["y"])]
        self.refused(self.write(shared, {k: weights[k] for k in "gd"}, 24), [step],
                     "weight 'g' (24 x 64): its columns cannot be left out: all of them are read by 'shares'")
        self.refused(self.write([helper.make_node("MatMul", ["x", "g"], ["y"])], {"g": weights["g"]}, 24), [step],
                     "all of them are read by 'y'")


if __name__ == "__main__":
    unittest.main()
