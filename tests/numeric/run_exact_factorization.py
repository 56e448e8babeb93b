#!/usr/bin/env python3
"""Exact steps of `tenon compile --factorize`: the rewritten model computes what the formula says, as closely as the model as written.

Each case gives the formula in NumPy float64. Its native outputs with the recipe may be at most twice as far from that as those
without, which round as float32 does; and the program has as many products and norms as the rewriting leaves.

TENON_BUILD names the build folder.
"""

import subprocess
import sys
import pathlib
import unittest

import numpy as np
from onnx import helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from run_factorize import FactorizeCase, native  # noqa: E402

FOLD = [{"do": "fold"}]


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

    def program(self, model, steps):
        """The program after the phase `fuse`, with the recipe."""
        recipe = self.recipe(steps)
        done = subprocess.run([native.BUILD / "bin" / "tenon", "compile", model, "--emit=mlir@fuse", "--factorize", recipe],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def check(self, model, steps, inputs, formula, weights, counts=None):
        """`formula(inputs, weights)`, both in float64, is what the model means. `counts` are how often words stand in the program."""
        wide = lambda arrays: {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in arrays.items()}
        truth = formula(wide(inputs), wide(weights))
        status, text, _ = self.compile(model, None)
        self.assertEqual(status, 0, text)
        before = native.outputs(self.artifact, inputs, threads=1)["y"]
        status, self.printed, _ = self.compile(model, steps)
        self.assertEqual(status, 0, self.printed)
        after = native.outputs(self.artifact, inputs, threads=1)["y"]
        self.assertEqual(after.shape, truth.shape)
        rounding = 4 * np.finfo(np.float32).eps * np.abs(truth).max()
        self.assertLess(np.abs(before - truth).max(), 1e-3 * np.abs(truth).max(), "the formula is not the model's")
        self.assertLessEqual(np.abs(after - truth).max(), 2 * max(np.abs(before - truth).max(), rounding))
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


if __name__ == "__main__":
    unittest.main()
