#!/usr/bin/env python3
"""Sums over weights alone: computed when a model is compiled, in float64, and not in every run. Against NumPy in float64.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import native  # noqa: E402
from onnx_model import OnnxModel, model_of  # noqa: E402
from tenon import Error  # noqa: E402

random = np.random.default_rng(0)
SUMS = ("tenon.contract", "tenon.reduce", "tenon.norm", "tenon.softmax")


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class SumsOverWeights(unittest.TestCase):
    def check(self, nodes, weights, want, sums, columns=8):
        """`want(x, weights)` in float64; `sums` is how many are left to a run."""
        model = OnnxModel(nodes, {"x": ["B", "S", columns]}, weights=weights)
        program = model.program(after="simplify")
        self.assertEqual(sum(program.count(f"= {op} ") for op in SUMS), sums, program)
        exact = {name: value.astype(np.float64) for name, value in weights.items() if value.dtype == np.float32}
        for b, s in ((1, 1), (2, 7), (0, 3)):
            x = normal(b, s, columns)
            expected = want(x.astype(np.float64), exact)
            for outputs in model.run({"x": x}):
                self.assertEqual(outputs["y"].shape, expected.shape)
                np.testing.assert_allclose(outputs["y"], expected, rtol=2e-5, atol=2e-5)

    def test_a_normed_table_times_matrices_of_two_layers(self):
        """DeBERTa's relative positions: the norm and both products are the same in every run."""
        def want(x, w):
            centred = w["table"] - w["table"].mean(-1, keepdims=True)
            table = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * w["scale"] + w["shift"]
            return (x @ (table @ w["first"] + w["bias"]).T) @ (table @ w["second"])

        self.check([("LayerNormalization", "table scale shift", "t", {"epsilon": 1e-5}),
                    ("MatMul", "t first", "k"), ("Add", "k bias", "keys"),
                    ("Transpose", "keys", "turned", {"perm": [1, 0]}), ("MatMul", "t second", "values"),
                    ("MatMul", "x turned", "scores"), ("MatMul", "scores values", "y")],
                   {"table": normal(12, 8), "scale": normal(8), "shift": normal(8), "first": normal(8, 8),
                    "second": normal(8, 8), "bias": normal(8)}, want, sums=2)

    def test_weights_divided_by_their_norm(self):
        """`weight_norm`: g v / |v|."""
        def want(x, w):
            return x @ (w["g"] * w["v"] / np.sqrt((w["v"] ** 2).sum(0, keepdims=True)))

        self.check([("ReduceL2", "v axis", "n", {"keepdims": 1}), ("Div", "v n", "direction"),
                    ("Mul", "direction g", "w"), ("MatMul", "x w", "y")],
                   {"v": normal(8, 5), "g": normal(1, 5), "axis": np.array([0])}, want, sums=1)

    def test_a_matrix_and_its_low_rank_update(self):
        self.check([("MatMul", "a b", "update"), ("Add", "w update", "sum"), ("MatMul", "x sum", "y")],
                   {"w": normal(8, 6), "a": normal(8, 2), "b": normal(2, 6)},
                   lambda x, w: x @ (w["w"] + w["a"] @ w["b"]), sums=1)

    def test_mixtures_of_weights(self):
        """A softmax of weights, over another product of weights."""
        self.check([("MatMul", "q k", "scores"), ("Softmax", "scores", "mixture", {"axis": -1}),
                    ("MatMul", "mixture v", "w"), ("MatMul", "x w", "y")],
                   {"q": normal(8, 4), "k": normal(4, 9), "v": normal(9, 3)},
                   lambda x, w: x @ (softmax(w["q"] @ w["k"]) @ w["v"]), sums=1)

    def test_infinite_weights_are_no_error(self):
        """They give in every run what they gave here."""
        a = normal(8, 2)
        a[3, 1] = np.inf
        self.check([("MatMul", "a b", "w"), ("Clip", "w low high", "bounded"), ("MatMul", "x bounded", "y")],
                   {"a": a, "b": np.abs(normal(2, 6)), "low": np.float32(-2), "high": np.float32(2)},
                   lambda x, w: x @ np.clip(w["a"] @ w["b"], -2, 2), sums=1)

    def test_what_would_be_larger_than_its_weights_stays(self):
        """An outer product of 400 and 400 weights is 200 times as many bytes as they are, for one product each."""
        self.check([("MatMul", "column row", "w"), ("MatMul", "x w", "y")],
                   {"column": normal(400, 1), "row": normal(1, 400)},
                   lambda x, w: x @ (w["column"] @ w["row"]), sums=2, columns=400)

    def test_what_would_take_the_compiler_minutes_stays(self):
        """A product of 144 thousand million operations."""
        n = 4160
        weights = {"a": np.ones((n, n), np.float32), "b": np.ones((n, n), np.float32)}
        with tempfile.TemporaryDirectory(prefix="tenon-constants-") as folder:
            file = pathlib.Path(folder) / "model.onnx"
            onnx.save(model_of([("MatMul", "a b", "w"), ("MatMul", "x w", "y")], {"x": ["B", n]}, weights=weights), file)
            program = native.tenon("compile", "--quiet", file, "-o", "-", "--emit=mlir@simplify")
        self.assertEqual(program.count("= tenon.contract "), 2, program)

    def test_what_fails_fails_in_a_run(self):
        """Rows of weights chosen by weights, one of which there is not."""
        model = OnnxModel([("Gather", "table rows", "chosen"), ("MatMul", "chosen m", "w"), ("MatMul", "x w", "y")],
                          {"x": ["B", 3]}, weights={"table": normal(4, 5), "rows": np.array([0, 4, 1]), "m": normal(5, 6)})
        with self.assertRaisesRegex(Error, "an index in its input is out of range"):
            model.run({"x": normal(2, 3)})

    def test_what_a_run_has_a_part_in_stays(self):
        """The sum of x and a weight is no weight; neither is a mean whose divisor is the length of x."""
        self.check([("ReduceSum", "w axis", "total", {"keepdims": 0}), ("Shape", "x", "dims", {"start": 1, "end": 2}),
                    ("Cast", "dims", "length", {"to": TensorProto.FLOAT}), ("Div", "total length", "share"),
                    ("Add", "x share", "sum"), ("MatMul", "sum m", "y")],
                   {"w": normal(9, 8), "m": normal(8, 3), "axis": np.array([0])},
                   lambda x, w: (x + w["w"].sum(0) / max(x.shape[1], 1)) @ w["m"], sums=1)


if __name__ == "__main__":
    unittest.main()
