#!/usr/bin/env python3
"""Operators in float16, bfloat16 and float64, as native code against NumPy's float64.

ONNX's node tests are float32 with few exceptions; a kernel that works in one type only would
pass them. Each operator here is compiled once for each type. The error, relative to the
largest element, may be 2 units in the last place of the type, for float64 2^-40: there the
formulas' own error shows.

TENON_BUILD names the build folder.
"""

import atexit
import functools
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import warnings

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build" / "release")).resolve()
TYPES = {
    "float16": (TensorProto.FLOAT16, np.float16, 2**-9),
    "bfloat16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16, 2**-6),
    "float64": (TensorProto.DOUBLE, np.float64, 2**-40),
}

_random = np.random.default_rng(0)
_x, _w = _random.uniform(-1, 1, (2, 3, 8)), _random.uniform(-1, 1, (8, 5))
_image, _filters = _random.uniform(-1, 1, (1, 2, 6, 6)), _random.uniform(-1, 1, (3, 2, 3, 3))
_positive, _scale = np.abs(_x) + 0.1, _random.uniform(0.5, 1, 8)
OPERATORS = {
    **{name: ([_x], {}) for name in """Abs Acos Asin Asinh Atan Cos Elu Erf Exp Floor Gelu LogSoftmax Mish Neg ReduceMax
       ReduceMean ReduceLogSumExp Relu Round Sigmoid Sign Sin Softmax Softplus Softsign Tan Tanh Trilu""".split()},
    **{name: ([_positive], {}) for name in "Log Sqrt Reciprocal".split()},
    **{name: ([_x, _x * 0.5 + 0.7], {}) for name in "Add Sub Mul Div Max Min".split()},
    "Pow": ([_positive, _x], {}),
    "Mod": ([_x, _positive], {"fmod": 1}),
    "MatMul": ([_x, _w], {}),
    "Gemm": ([_x[0], _w], {}),
    "Einsum": ([_x, _w], {"equation": "bsk,kn->bsn"}),
    "Conv": ([_image, _filters], {}),
    "ConvTranspose": ([_image, _filters.transpose(1, 0, 2, 3)], {}),
    "MaxPool": ([_image], {"kernel_shape": [2, 2]}),
    "AveragePool": ([_image], {"kernel_shape": [2, 2]}),
    "GlobalAveragePool": ([_image], {}),
    "LayerNormalization": ([_x, _scale, _scale], {}),
    "RMSNormalization": ([_x, _scale], {}),
    "InstanceNormalization": ([_image, np.ones(2), np.zeros(2)], {}),
}


def model_of(name, element, arrays, attributes):
    inputs = [helper.make_tensor_value_info(f"i{k}", element, a.shape) for k, a in enumerate(arrays)]
    node = helper.make_node(name, [i.name for i in inputs], ["y"], **attributes)
    graph = helper.make_graph([node], name, inputs, [helper.make_tensor_value_info("y", element, None)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)


_erf = np.vectorize(math.erf)
# Of which onnx's own evaluator knows 24 bits.
IN_FLOAT64 = {"Erf": _erf, "Gelu": lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2}


def reference(name, arrays, attributes):
    """In float64, of the arguments as the type holds them."""
    if name in IN_FLOAT64:
        return IN_FLOAT64[name](*arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = ReferenceEvaluator(model_of(name, TensorProto.DOUBLE, arrays, attributes))
        return evaluator.run(None, {f"i{k}": a for k, a in enumerate(arrays)})[0]


@functools.cache
def run_all():
    """(operator, type) -> folder, and the program's line for each."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="tenon-element-types-"))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    folders = {}
    for name, (arrays, attributes) in OPERATORS.items():
        for label, (element, dtype, _) in TYPES.items():
            folder = folders[name, label] = work / f"{name}-{label}"
            folder.mkdir()
            onnx.save(model_of(name, element, arrays, attributes), folder / "model.onnx")
            for k, array in enumerate(arrays):
                typed = array.astype(dtype)
                np.save(folder / f"input_{k}.npy", typed.view(np.uint16) if label == "bfloat16" else typed)
    listing = "".join(f"{folder}\n" for folder in folders.values())
    done = subprocess.run([BUILD / "bin" / "tenon-run-node-cases"], input=listing, capture_output=True, text=True)
    return folders, dict(zip(folders, done.stdout.splitlines()))


class ElementTypes(unittest.TestCase):
    """A method for each operator and type."""


def operator_test(name, label):
    def test(self):
        folders, lines = run_all()
        line = lines.get((name, label), "the program ended")
        self.assertTrue(line.startswith("ok "), line)
        arrays, attributes = OPERATORS[name]
        _, dtype, bound = TYPES[label]
        wanted = reference(name, [a.astype(dtype).astype(np.float64) for a in arrays], attributes)
        found = np.load(folders[name, label] / "output_0.npy").view(dtype).astype(np.float64)
        self.assertEqual(found.shape, wanted.shape)
        self.assertLessEqual(np.abs(found - wanted).max() / np.abs(wanted).max(), bound)

    return test


for _name in OPERATORS:
    for _label in TYPES:
        setattr(ElementTypes, f"test_{_name}_{_label}", operator_test(_name, _label))

if __name__ == "__main__":
    unittest.main()
