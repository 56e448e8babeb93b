"""each_place.py FILE [sum]: y[token] += x[token] @ w, for the choices and tokens where a mask is true; or, of no use,
all these products added up."""
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), name=outputs, **attributes)


def tensor(name, dims, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


put = [node("ScatterND", "kept indices product", "y", reduction="add")]
if sys.argv[2:] == ["sum"]:
    put = [node("ReduceSum", "product zeros", "sum", keepdims=0), node("Add", "kept sum", "y")]
graph = helper.make_graph(
    [node("NonZero", "mask", "found"), node("Transpose", "found", "places", perm=[1, 0]),
     node("Split", "places", "choice token", axis=1, num_outputs=2), node("Squeeze", "token one", "tokens"),
     node("Gather", "x tokens", "rows"), node("MatMul", "rows w", "product"),
     node("Unsqueeze", "tokens one", "indices"), *put], "each",
    [tensor("mask", [2, "tokens"], TensorProto.BOOL), tensor("x", ["tokens", 8]), tensor("w", [8, 16]),
     tensor("kept", ["tokens", 16])], [tensor("y", ["tokens", 16])],
    [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in {"zeros": [0], "one": [1]}.items()])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), sys.argv[1])
