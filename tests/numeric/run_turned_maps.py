#!/usr/bin/env python3
"""Element-wise arithmetic over tensors that are read along one dimension and written along another: squares of lanes, and
what is left at their edges. Against NumPy, for sizes below, at and above multiples of the lanes.

TENON_BUILD names the build folder.
"""

import itertools
import pathlib
import sys
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import native  # noqa: E402

random = np.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


class TurnedMaps(unittest.TestCase):
    def compile(self, nodes, inputs, weights=()):
        """A model of these inputs (name: dims) and the output y, for every level that this machine runs."""
        folder = tempfile.TemporaryDirectory(prefix="tenon-turned-")
        self.addCleanup(folder.cleanup)
        file, artifact = pathlib.Path(folder.name) / "model.onnx", pathlib.Path(folder.name) / "model.tenon"
        graph = helper.make_graph(
            [helper.make_node(op, operands.split(), [output], name=output, **attributes)
             for op, operands, output, attributes in nodes], "turned",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in dict(weights).items()])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
        levels = native.levels()
        native.compile_for(levels, file, artifact)
        return lambda x: [native.outputs(artifact, x, threads=2, level=level, model=[file])["y"] for level in levels]

    def test_a_matrix(self):
        run = self.compile([("Transpose", "x", "y", {"perm": [1, 0]})], {"x": ["M", "N"]})
        for m, n in itertools.product((0, 1, 7, 8, 15, 16, 17, 40), (1, 3, 16, 33, 64)):
            x = normal(m, n)
            for y in run({"x": x}):
                np.testing.assert_array_equal(y, x.T)

    def test_planes_to_channels_with_arithmetic(self):
        """Pixels of several channels, a scale for each channel, and a residual that stands as the result does."""
        weights = {"scale": normal(20)}
        run = self.compile([("Transpose", "x", "pixels", {"perm": [0, 2, 3, 1]}), ("Mul", "pixels scale", "scaled", {}),
                            ("Add", "scaled r", "sum", {}), ("Tanh", "sum", "y", {})],
                           {"x": ["B", 20, "H", "W"], "r": ["B", "H", "W", 20]}, weights)
        for b, h, w in ((1, 1, 1), (2, 3, 5), (1, 4, 16), (3, 2, 19), (0, 4, 4)):
            x, r = normal(b, 20, h, w), normal(b, h, w, 20)
            want = np.tanh(x.transpose(0, 2, 3, 1).astype(np.float64) * weights["scale"] + r)
            for y in run({"x": x, "r": r}):
                np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)

    def test_two_turned_operands(self):
        run = self.compile([("Mul", "a b", "product", {}), ("Transpose", "product", "turned", {"perm": [0, 2, 1]}),
                            ("Max", "turned c", "y", {})],
                           {"a": ["B", "M", "N"], "b": ["B", "M", "N"], "c": ["B", "N", "M"]})
        for b, m, n in ((1, 16, 16), (2, 17, 9), (3, 5, 50)):
            x, z, c = normal(b, m, n), normal(b, m, n), normal(b, n, m)
            for y in run({"a": x, "b": z, "c": c}):
                np.testing.assert_array_equal(y, np.maximum((x * z).transpose(0, 2, 1), c))

    def test_operands_turned_along_different_dims(self):
        """No square holds both."""
        run = self.compile([("Transpose", "a", "first", {"perm": [1, 2, 0]}),
                            ("Transpose", "b", "second", {"perm": [0, 2, 1]}), ("Add", "first second", "y", {})],
                           {"a": ["K", "M", "N"], "b": ["M", "K", "N"]})
        for k, m, n in ((16, 16, 16), (5, 18, 33)):
            x, z = normal(k, m, n), normal(m, k, n)
            for y in run({"a": x, "b": z}):
                np.testing.assert_array_equal(y, x.transpose(1, 2, 0) + z.transpose(0, 2, 1))


if __name__ == "__main__":
    unittest.main()
