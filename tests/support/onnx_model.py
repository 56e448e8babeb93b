"""Small ONNX models, written as rows of text, for tests of what the front end makes of them.

    model = OnnxModel([("MatMul", "x w", "h"), ("Softmax", "h", "y", {"axis": -1})], {"x": ["B", 8]}, weights={"w": array})
    for outputs in model.run({"x": array}): ...
"""

import pathlib
import shutil
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import native


def _node(op, operands, results, attributes=None):
    domain, _, op = op.rpartition(".")
    results = results.split(" ")
    return helper.make_node(op, operands.split(" "), results, name=results[0], domain=domain, **(attributes or {}))


def _info(name, kind):
    element, dims = kind if isinstance(kind, tuple) else (TensorProto.FLOAT, kind)
    return helper.make_tensor_value_info(name, element, dims)


def model_of(nodes, inputs, outputs=None, weights=None, opset=18):
    """A ModelProto.

    nodes     (operator, operands, results, attributes): names with a space between them, none for an operand or a result
              that is left out; attributes may be left out. DOMAIN.operator, where it is not ONNX's own. A node has the
              name of its first result.
    inputs    NAME -> dims of float32, or (element type, dims)
    outputs   alike, None where dims are not declared; y alone, of float32, where left out
    weights   NAME -> array
    """
    graph = helper.make_graph([_node(*row) for row in nodes], "model", [_info(*each) for each in inputs.items()],
                              [_info(*each) for each in (outputs or {"y": None}).items()],
                              [numpy_helper.from_array(np.asarray(w), name) for name, w in (weights or {}).items()])
    sets = {"": opset} | {node.domain: 1 for node in graph.node if node.domain}
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*each) for each in sets.items()], ir_version=10)


class OnnxModel:
    """A model in a file of its own, which goes with it; compiled once, for every level of this machine."""

    def __init__(self, nodes, inputs, outputs=None, weights=None, opset=18, options=()):
        """`options` are those of `tenon compile`."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-onnx-"))
        self.file = self.folder / "model.onnx"
        self.options = options
        onnx.save(model_of(nodes, inputs, outputs, weights, opset), self.file)
        self.artifact = native.compile_for(native.levels(), self.file, self.folder / "model.tenon", *options)

    def __del__(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def program(self, after):
        """Its text behind the pass or stage `after`."""
        return native.tenon("compile", "--quiet", self.file, "-o", "-", f"--emit=mlir@{after}", *self.options)

    def run(self, inputs, threads=(1,)):
        """NAME -> output for each level, the lowest first, and each number of threads."""
        return [native.outputs(self.artifact, inputs, count, level, model=[self.file, *self.options])
                for level in native.levels() for count in threads]
