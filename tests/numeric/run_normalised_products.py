#!/usr/bin/env python3
"""Products whose rows are normalised, and moved, while they are copied: native code against NumPy.

Rows are a few vectors and a remainder, or come in several slabs; the number of rows is a symbol.
"""

import pathlib
import sys
import tempfile
import unittest

import numpy as np
import onnx
from onnx import helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import native  # noqa: E402
from accuracy import compare  # noqa: E402

EPSILON = 1e-5
LENGTHS = [(5, 33), (200, 112), (1100, 48)]  # of a row, and of the product's
ROWS = [(1, 1), (1, 7), (3, 20), (2, 131)]


def layer_norm(x, scale, shift):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + x.dtype.type(EPSILON)) * scale + shift


def rms_norm(x, scale, _):
    return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + x.dtype.type(EPSILON)) * scale


def product(rows, w):
    """Added up one by one in the arrays' own dtype."""
    y = np.zeros((*rows.shape[:-1], w.shape[1]), rows.dtype)
    for k in range(w.shape[0]):
        y += rows[..., k, None] * w[k]
    return y


# Name -> (operator, opset, formula, the rows are moved, the rows normalised are a sum that is read again).
CASES = {
    "layer": ("LayerNormalization", 18, layer_norm, False, False),
    "layer_moved": ("LayerNormalization", 18, layer_norm, True, False),
    "rms_of_a_sum": ("RMSNormalization", 23, rms_norm, False, True),
}


def evaluate(case, x, w):
    _, _, formula, moved, summed = case
    w = {name: value.astype(x.dtype) for name, value in w.items()}
    x = x + w["shift"] if summed else x
    rows = formula(x, w["scale"], w["shift"])
    found = {"y": product(rows.swapaxes(0, 1) if moved else rows, w["w"])}
    return found | ({"z": x * x} if summed else {})


def model_of(case, k, n, w):
    operator, opset, _, moved, summed = case
    source, parameters = ("s" if summed else "x"), ["scale"] + ["shift"] * (operator == "LayerNormalization")
    nodes = [helper.make_node("Add", ["x", "shift"], ["s"]), helper.make_node("Mul", ["s", "s"], ["z"])] * summed
    nodes.append(helper.make_node(operator, [source, *parameters], ["rows"], axis=-1, epsilon=EPSILON))
    if moved:
        nodes.append(helper.make_node("Transpose", ["rows"], ["moved"], perm=[1, 0, 2]))
    nodes.append(helper.make_node("MatMul", ["moved" if moved else "rows", "w"], ["y"]))
    shape = ("S", "B") if moved else ("B", "S")
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [*shape, n])]
    outputs += [helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["B", "S", k])] * summed
    graph = helper.make_graph(nodes, "rows", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["B", "S", k])],
                              outputs, [numpy_helper.from_array(value, name) for name, value in w.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


class NormalisedProducts(unittest.TestCase):
    def check(self, name):
        random = np.random.default_rng(1)
        for k, n in LENGTHS:
            w = {"w": random.standard_normal((k, n)).astype(np.float32),
                 "scale": random.standard_normal(k).astype(np.float32),
                 "shift": random.standard_normal(k).astype(np.float32)}
            with tempfile.TemporaryDirectory() as folder:
                source, artifact = pathlib.Path(folder) / "model.onnx", pathlib.Path(folder) / "model.tenon"
                onnx.save(model_of(CASES[name], k, n, w), source)
                native.tenon("compile", "--quiet", source, "--target", ",".join(native.levels()), "-o", artifact)
                for rows in ROWS:
                    self.compare(name, artifact, random.standard_normal((*rows, k)).astype(np.float32) * 3 + 1, w)

    def compare(self, name, artifact, x, w):
        wanted, plain = (evaluate(CASES[name], x.astype(t), w) for t in (np.float64, np.float32))
        for level in native.levels():
            for threads in (1, 2):
                found = native.outputs(artifact, {"x": x}, threads, level)
                for output, value in found.items():
                    compare(value, wanted[output], plain[output], f"{name} {output} {x.shape} {level} {threads} threads")


for _name in CASES:
    setattr(NormalisedProducts, f"test_{_name}", lambda self, name=_name: self.check(name))

if __name__ == "__main__":
    unittest.main()
