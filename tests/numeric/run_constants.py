#!/usr/bin/env python3
"""Sums over weights alone, and what weights pick of weights: computed when a model is compiled, in float64, and not in every
run. Against NumPy in float64.

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

    def check_picked(self, nodes, weights, want, folded, columns):
        """As `check`; `folded` is whether a run picks nothing."""
        model = OnnxModel(nodes, {"x": ["B", "S", columns]}, weights=weights)
        program = model.program(after="simplify")
        self.assertEqual(".computed" in program, folded, program)
        self.assertEqual("tenon.scatter" in program or "index_cast" in program, not folded, program)
        x = normal(2, 3, columns)
        for outputs in model.run({"x": x}):
            np.testing.assert_allclose(outputs["y"], want(x.astype(np.float64)), rtol=2e-5, atol=2e-4)

    def test_biases_picked_by_positions(self):
        """BEiT's: the distance of two patches is a sum of two numbers, put between those of a class token."""
        n, heads = 12, 3
        across = random.integers(0, 20, (n, n, 2))
        padded = np.full((n + 1, n), 40)
        padded[1:] = across.sum(-1)
        index = np.full((n + 1, n + 1), 41)
        index[:, 1:] = padded
        weights = {"table": normal(42, heads), "across": across, "axis": np.array([2]), "rows": np.full((n + 1, n), 40),
                   "columns": np.full((n + 1, n + 1), 41).T, "at": np.arange(1, n + 1)[:, None], "flat": np.array([13, 39]),
                   "all": np.array([-1])}
        nodes = [("ReduceSum", "across axis", "distance", {"keepdims": 0}), ("ScatterND", "rows at distance", "padded"),
                 ("Transpose", "padded", "turned", {"perm": [1, 0]}), ("ScatterND", "columns at turned", "across2"),
                 ("Transpose", "across2", "index", {"perm": [1, 0]}), ("Reshape", "index all", "each"),
                 ("Gather", "table each", "bias"), ("Reshape", "bias flat", "matrix"), ("MatMul", "x matrix", "y")]
        matrix = weights["table"].astype(np.float64)[index.reshape(-1)].reshape(13, 39)
        self.check_picked(nodes, weights, lambda x: x @ matrix, folded=True, columns=13)

    def test_rows_picked_without_a_sum(self):
        """Twice as many bytes as the weights they follow from, and less than an eighth of the model."""
        weights = {"table": normal(40, 160), "rows": random.integers(-40, 40, 600), "other": normal(160, 5000)}
        picked = weights["table"].astype(np.float64)[weights["rows"]]
        want = lambda x: np.concatenate([x @ picked.T, x @ weights["other"].astype(np.float64)], -1)
        self.check_picked([("Gather", "table rows", "w"), ("Transpose", "w", "t", {"perm": [1, 0]}),
                           ("MatMul", "x t", "p"), ("MatMul", "x other", "q"), ("Concat", "p q", "y", {"axis": -1})],
                          weights, want, folded=True, columns=160)

    def test_rows_that_would_be_most_of_the_model_are_picked_in_a_run(self):
        weights = {"table": normal(40, 160), "rows": random.integers(-40, 40, 600)}
        picked = weights["table"].astype(np.float64)[weights["rows"]]
        self.check_picked([("Gather", "table rows", "w"), ("Transpose", "w", "t", {"perm": [1, 0]}), ("MatMul", "x t", "y")],
                          weights, lambda x: x @ picked.T, folded=False, columns=160)

    def test_a_sum_that_is_picked_from_is_computed_though_its_rows_stay(self):
        """The product of the table is 8 rows; what is picked of it would be most of the model."""
        weights = {"a": normal(8, 16), "b": normal(16, 160), "rows": random.integers(0, 8, 600)}
        table = weights["a"].astype(np.float64) @ weights["b"]
        model = OnnxModel([("MatMul", "a b", "table"), ("Gather", "table rows", "w"), ("Transpose", "w", "t", {"perm": [1, 0]}),
                           ("MatMul", "x t", "y")], {"x": ["B", 160]}, weights=weights)
        self.assertEqual(model.program(after="simplify").count("= tenon.contract "), 1)
        x = normal(3, 160)
        for outputs in model.run({"x": x}):
            np.testing.assert_allclose(outputs["y"], x @ table[weights["rows"]].T, rtol=2e-5, atol=5e-4)


if __name__ == "__main__":
    unittest.main()
