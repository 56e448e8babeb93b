"""mask_buffer.py FILE KIND [--random]: attention over x [batch, 4, sequence, 8] whose mask is a buffer of 64 x 64, sliced to the length.

KIND: tril (ones that are compared with zero, as minGPT), additive (-inf added, as llama2), window (bool), eye (no mask: a unit
matrix), other (ones below the diagonal but for one), or small (no buffer: a triangle of ones for a sequence of 12, made by
nodes from numbers).
"""
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

N = 64
file, kind = sys.argv[1:3]
lower = np.tril(np.ones((N, N), np.float32))


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def sliced(table):
    """The first rows and columns, and the table they are of."""
    return [node("Slice", "table zeros ends axes", "mask")], [numpy_helper.from_array(table.reshape(1, 1, N, N), "table")]


if kind in ("tril", "other"):
    lower[40, 3] = kind == "tril"
    nodes, tables = sliced(lower)
    nodes += [node("Equal", "mask nothing", "dead"), node("Where", "dead minus scaled", "masked")]
elif kind == "additive":
    nodes, tables = sliced(np.triu(np.full((N, N), -np.inf, np.float32), 1))
    nodes += [node("Add", "scaled mask", "masked")]
elif kind == "window":
    nodes, tables = sliced(np.tril(np.triu(np.ones((N, N), bool), -4), 2))
    nodes += [node("Where", "mask scaled minus", "masked")]
elif kind == "small":
    size = helper.make_tensor("size", TensorProto.INT64, [2], [12, 12])
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    nodes, tables = [node("ConstantOfShape", "size", "ones", value=one), node("Trilu", "ones", "lower", upper=0),
                     node("Cast", "lower", "mask", to=TensorProto.BOOL), node("Where", "mask scaled minus", "masked")], [size]
else:
    nodes, tables = sliced(np.eye(N, dtype=np.float32))
    nodes += [node("Add", "scaled mask", "masked")]
length = 12 if kind == "small" else "sequence"
graph = helper.make_graph(
    [node("Shape", "x", "dims"), node("Gather", "dims two", "n"), node("Concat", "n n", "ends", axis=0),
     node("Transpose", "x", "keys", perm=[0, 1, 3, 2]), node("MatMul", "x keys", "scores"),
     node("Mul", "scores scale", "scaled"), *nodes, node("Softmax", "masked", "weights", axis=-1),
     node("MatMul", "weights x", "y")], "mask",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, length, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4, length, 8])],
    [*tables, numpy_helper.from_array(np.array([0, 0]), "zeros"), numpy_helper.from_array(np.array([2, 3]), "axes"),
     numpy_helper.from_array(np.array([2]), "two"), numpy_helper.from_array(np.float32(0), "nothing"),
     numpy_helper.from_array(np.float32(-np.inf), "minus"), numpy_helper.from_array(np.float32(8**-0.5), "scale")])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
