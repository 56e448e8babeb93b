#!/usr/bin/env python3
"""Element-wise arithmetic over tensors that are read along one dimension and written along another: squares of lanes, and
what is left at their edges. Against NumPy, for sizes below, at and above multiples of the lanes.

TENON_BUILD names the build folder.
"""

import itertools
import pathlib
import sys
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from onnx_model import OnnxModel  # noqa: E402

random = np.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


class TurnedMaps(unittest.TestCase):
    def test_a_matrix(self):
        model = OnnxModel([("Transpose", "x", "y", {"perm": [1, 0]})], {"x": ["M", "N"]})
        for m, n in itertools.product((0, 1, 7, 8, 15, 16, 17, 40), (1, 3, 16, 33, 64)):
            x = normal(m, n)
            for outputs in model.run({"x": x}, threads=(2,)):
                np.testing.assert_array_equal(outputs["y"], x.T)

    def test_planes_to_channels_with_arithmetic(self):
        """Pixels of several channels, a scale for each channel, and a residual that stands as the result does."""
        weights = {"scale": normal(20)}
        model = OnnxModel([("Transpose", "x", "pixels", {"perm": [0, 2, 3, 1]}), ("Mul", "pixels scale", "scaled"),
                           ("Add", "scaled r", "sum"), ("Tanh", "sum", "y")],
                          {"x": ["B", 20, "H", "W"], "r": ["B", "H", "W", 20]}, weights=weights)
        for b, h, w in ((1, 1, 1), (2, 3, 5), (1, 4, 16), (3, 2, 19), (0, 4, 4)):
            x, r = normal(b, 20, h, w), normal(b, h, w, 20)
            want = np.tanh(x.transpose(0, 2, 3, 1).astype(np.float64) * weights["scale"] + r)
            for outputs in model.run({"x": x, "r": r}, threads=(2,)):
                np.testing.assert_allclose(outputs["y"], want, rtol=1e-5, atol=1e-6)

    def test_two_turned_operands(self):
        model = OnnxModel([("Mul", "a b", "product"), ("Transpose", "product", "turned", {"perm": [0, 2, 1]}),
                           ("Max", "turned c", "y")],
                          {"a": ["B", "M", "N"], "b": ["B", "M", "N"], "c": ["B", "N", "M"]})
        for b, m, n in ((1, 16, 16), (2, 17, 9), (3, 5, 50)):
            x, z, c = normal(b, m, n), normal(b, m, n), normal(b, n, m)
            for outputs in model.run({"a": x, "b": z, "c": c}, threads=(2,)):
                np.testing.assert_array_equal(outputs["y"], np.maximum((x * z).transpose(0, 2, 1), c))

    def test_operands_turned_along_different_dims(self):
        """No square holds both."""
        model = OnnxModel([("Transpose", "a", "first", {"perm": [1, 2, 0]}),
                           ("Transpose", "b", "second", {"perm": [0, 2, 1]}), ("Add", "first second", "y")],
                          {"a": ["K", "M", "N"], "b": ["M", "K", "N"]})
        for k, m, n in ((16, 16, 16), (5, 18, 33)):
            x, z = normal(k, m, n), normal(m, k, n)
            for outputs in model.run({"a": x, "b": z}, threads=(2,)):
                np.testing.assert_array_equal(outputs["y"], x.transpose(1, 2, 0) + z.transpose(0, 2, 1))


if __name__ == "__main__":
    unittest.main()
