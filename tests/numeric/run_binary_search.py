#!/usr/bin/env python3
"""`torch.bucketize` as PyTorch's newer exporter writes it: a binary search of choices, each of the one before, which all
become one map. Against NumPy.

TENON_BUILD names the build folder.
"""

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


class BinarySearch(unittest.TestCase):
    def test_places_among_bounds(self):
        bounds = np.sort(np.random.default_rng(1).standard_normal(37)).astype(np.float32)
        numbers = {"bounds": bounds, "zero": np.int64(0), "one": np.int64(1), "two": np.int64(2),
                   "size": np.int64(bounds.size), "last": np.int64(bounds.size - 1)}
        nodes, count = [], 0

        def node(op, *inputs, **attributes):
            nonlocal count
            count += 1
            nodes.append(helper.make_node(op, inputs, [f"t{count}"], **attributes))
            return f"t{count}"

        shape = node("Shape", "x")
        low, high = (node("Expand", number, shape) for number in ("zero", "size"))
        for _ in range(7):
            active = node("Less", low, high)
            middle = node("Div", node("Add", low, high), "two")
            value = node("Gather", "bounds", node("Min", middle, "last"))
            is_ahead = node("GreaterOrEqual", value, "x")
            high = node("Where", node("And", active, is_ahead), middle, high)
            low = node("Where", node("And", active, node("Not", is_ahead)), node("Add", middle, "one"), low)
        nodes.append(helper.make_node("Identity", [low], ["y"]))
        graph = helper.make_graph(nodes, "search", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", "N"])],
                                  [helper.make_tensor_value_info("y", TensorProto.INT64, None)],
                                  [numpy_helper.from_array(np.asarray(v), name) for name, v in numbers.items()])
        with tempfile.TemporaryDirectory(prefix="tenon-search-") as folder:
            file, artifact = pathlib.Path(folder) / "model.onnx", pathlib.Path(folder) / "model.tenon"
            onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
            native.tenon("compile", "--quiet", file, "-o", artifact, "--target=host")
            for b, n in ((1, 1), (2, 7), (3, 100), (0, 4)):
                x = np.random.default_rng(b).standard_normal((b, n)).astype(np.float32)
                x.flat[:1] = bounds[5]
                np.testing.assert_array_equal(native.outputs(artifact, {"x": x}, threads=1)["y"],
                                              np.searchsorted(bounds, x))


if __name__ == "__main__":
    unittest.main()
