#!/usr/bin/env python3
"""`torch.bucketize` as PyTorch's newer exporter writes it: a binary search of choices, each of the one before, which all
become one map. Against NumPy.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import unittest

import numpy as np
from onnx import TensorProto

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from onnx_model import OnnxModel  # noqa: E402


class BinarySearch(unittest.TestCase):
    def test_places_among_bounds(self):
        bounds = np.sort(np.random.default_rng(1).standard_normal(37)).astype(np.float32)
        numbers = {"bounds": bounds, "zero": np.int64(0), "one": np.int64(1), "two": np.int64(2),
                   "size": np.int64(bounds.size), "last": np.int64(bounds.size - 1)}
        nodes = []

        def node(op, *operands):
            nodes.append((op, " ".join(operands), f"t{len(nodes)}"))
            return nodes[-1][2]

        shape = node("Shape", "x")
        low, high = (node("Expand", number, shape) for number in ("zero", "size"))
        for _ in range(7):
            active = node("Less", low, high)
            middle = node("Div", node("Add", low, high), "two")
            value = node("Gather", "bounds", node("Min", middle, "last"))
            is_ahead = node("GreaterOrEqual", value, "x")
            high = node("Where", node("And", active, is_ahead), middle, high)
            low = node("Where", node("And", active, node("Not", is_ahead)), node("Add", middle, "one"), low)
        nodes.append(("Identity", low, "y"))
        model = OnnxModel(nodes, {"x": ["B", "N"]}, {"y": (TensorProto.INT64, None)}, numbers)
        for b, n in ((1, 1), (2, 7), (3, 100), (0, 4)):
            x = np.random.default_rng(b).standard_normal((b, n)).astype(np.float32)
            x.flat[:1] = bounds[5]
            for outputs in model.run({"x": x}):
                np.testing.assert_array_equal(outputs["y"], np.searchsorted(bounds, x))


if __name__ == "__main__":
    unittest.main()
