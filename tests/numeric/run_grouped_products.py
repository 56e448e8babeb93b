#!/usr/bin/env python3
"""Rows that each pick a matrix of a weight, as mixtures of experts are exported: products in native code against NumPy.

The model gathers a gate, a bias and two matrices for each pair of a token and an expert. Rows for which a matrix is picked
by none, by one, by all; negative numbers of experts; more rows than a block; an expert that is not there.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import unittest

import numpy as np
from onnx import TensorProto

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from accuracy import compare  # noqa: E402
from onnx_model import OnnxModel  # noqa: E402
from tenon import Error  # noqa: E402

EXPERTS, WIDTH, INNER = 5, 40, 208  # 13 panels, more than a kernel takes at once

NODES = [
    ("Gather", "up e", "u", {"axis": 0}),        # [R, k, n]
    ("Gather", "down e", "d", {"axis": 0}),      # [R, n, k]
    ("Gather", "bias e", "c", {"axis": 0}),
    ("Unsqueeze", "x one", "rows"),
    ("MatMul", "rows u", "wide"),
    ("Squeeze", "wide one", "flat"),
    ("Add", "flat c", "biased"),
    ("Relu", "biased", "active"),
    ("Unsqueeze", "active two", "columns"),
    ("MatMul", "d columns", "narrow"),
    ("Squeeze", "narrow two", "y"),
]


class GroupedProducts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        random = np.random.default_rng(0)
        cls.weights = {"up": random.standard_normal((EXPERTS, WIDTH, INNER)), "bias": random.standard_normal((EXPERTS, INNER)),
                       "down": random.standard_normal((EXPERTS, 48, INNER))}
        cls.weights = {name: (w / 8).astype(np.float32) for name, w in cls.weights.items()}
        cls.model = OnnxModel(NODES, {"x": ["R", WIDTH], "e": (TensorProto.INT64, ["R"])},
                              weights={**cls.weights, "one": [1], "two": [2]})

    def wanted(self, x, e, dtype):
        up, down, bias = (self.weights[name].astype(dtype)[e] for name in ("up", "down", "bias"))
        active = np.maximum(np.einsum("rk,rkn->rn", x.astype(dtype), up) + bias, 0)
        return np.einsum("rn,rkn->rk", active, down)

    def check(self, e):
        x = np.random.default_rng(1).standard_normal((len(e), WIDTH)).astype(np.float32)
        outputs = self.model.run({"x": x, "e": np.asarray(e, np.int64)}, threads=(1, 2))
        for each in outputs:
            compare(each["y"], self.wanted(x, e, np.float64), self.wanted(x, e, np.float32), f"{len(e)} rows")
        for level in range(0, len(outputs), 2):
            self.assertEqual(outputs[level]["y"].tobytes(), outputs[level + 1]["y"].tobytes(), "one thread and two")

    def test_rows(self):
        random = np.random.default_rng(2)
        for rows in (1, 2, 3, 17, 64, 401):
            self.check(random.integers(0, EXPERTS, rows))

    def test_one_expert_for_all(self):
        self.check(np.full(150, 3))

    def test_experts_nobody_picks(self):
        self.check(np.array([4, 0, 4, 4, 0]))

    def test_from_the_end(self):
        self.check(np.array([-1, 2, -5, 4, -3]))

    def test_no_rows(self):
        for outputs in self.model.run({"x": np.zeros((0, WIDTH), np.float32), "e": np.zeros(0, np.int64)}):
            self.assertEqual(outputs["y"].shape, (0, 48))

    def test_row_does_not_depend_on_others(self):
        """Its sum is the same whichever rows picked its matrix."""
        x = np.random.default_rng(3).standard_normal((90, WIDTH)).astype(np.float32)
        e = np.random.default_rng(4).integers(0, EXPERTS, 90)
        for all_rows, one in zip(self.model.run({"x": x, "e": e}), self.model.run({"x": x[70:71], "e": e[70:71]})):
            self.assertEqual(all_rows["y"][70].tobytes(), one["y"][0].tobytes())

    def test_no_such_expert(self):
        for bad in (EXPERTS, -EXPERTS - 1):
            with self.assertRaisesRegex(Error, "an index in its input is out of range"):
                self.model.run({"x": np.zeros((3, WIDTH), np.float32), "e": np.array([0, bad, 1])})

    def test_pairs(self):
        """bf16, an odd number of steps: numbers that it holds exactly, so that only sums round."""
        random = np.random.default_rng(5)
        whole = lambda *shape: random.integers(-8, 9, shape).astype(np.float32) / 8
        w, x, e = whole(EXPERTS, 37, 48), whole(90, 37), random.integers(0, EXPERTS, 90)
        model = OnnxModel([("Gather", "w e", "g", {"axis": 0}), ("Unsqueeze", "x one", "rows"), ("MatMul", "rows g", "r"),
                           ("Squeeze", "r one", "y")], {"x": ["R", 37], "e": (TensorProto.INT64, ["R"])},
                          weights={"w": w, "one": [1]}, options=["--dtype=bf16"])
        self.assertIn("tensor<15x32x32xbf16>", model.program("layout"))
        wanted, plain = (np.einsum("rk,rkn->rn", x.astype(t), w.astype(t)[e]) for t in (np.float64, np.float32))
        for outputs in model.run({"x": x, "e": e}, threads=(1, 2)):
            compare(outputs["y"], wanted, plain, "bf16")

    def test_no_matrix_is_copied(self):
        """No map of its own gives matrices: the program holds no tensor of rows x 40 x 208 elements."""
        program = self.model.program("kernels")
        self.assertEqual(program.count('"m k, m k n -> m n"'), 2)
        main = program[program.index("func.func"):program.index("tenon.kernel")]
        self.assertNotRegex(main, rf"tensor<\?x(?:{WIDTH}x{INNER}|{INNER}x{WIDTH}|48x{INNER}|{INNER}x48)xf32")


if __name__ == "__main__":
    unittest.main()
