"""masked_places.py FILE: features [batch, 4, 64] put in the place of the tokens that are 3, as PyTorch's masked_scatter."""
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], name=output, **attributes)


def tensor(name, dims, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


graph = helper.make_graph(
    [node("Equal", "ids image", "tokens"), node("Unsqueeze", "tokens last", "column"), node("Shape", "x", "dims"),
     node("Expand", "column dims", "mask"), node("NonZero", "mask", "found"),
     node("Transpose", "found", "places", perm=[1, 0]), node("Reshape", "features all", "flat"),
     node("Shape", "places", "extent"), node("Gather", "extent zeros", "count"),
     node("Slice", "flat zeros count zeros", "chosen"), node("ScatterND", "x places chosen", "y")], "masked",
    [tensor("ids", ["batch", "sequence"], TensorProto.INT64), tensor("x", ["batch", "sequence", 64]),
     tensor("features", ["batch", 4, 64])], [tensor("y", ["batch", "sequence", 64])],
    [numpy_helper.from_array(np.array(value, np.int64), name)
     for name, value in {"image": 3, "last": [2], "zeros": [0], "all": [-1]}.items()])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), sys.argv[1])
