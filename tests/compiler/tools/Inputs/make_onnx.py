"""make_onnx.py KIND FILE: small ONNX models, most of them wrong in one way."""
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save


def model(nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.acme", 1)])


def tensor(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name, shape):
    return numpy_helper.from_array(np.ones(shape, "f"), name)


def node(kind, inputs, output, name, **attributes):
    return helper.make_node(kind, inputs, [output], name=name, **attributes)


MODELS = {
    "good": lambda: model(
        [node("MatMul", ["x", "w"], "m", "dense/MatMul"), node("Relu", ["m"], "y", "dense/Relu")],
        [tensor("x", ["batch", 4])], [tensor("y", ["batch", 3])], [weight("w", (4, 3))]),
    "unsupported": lambda: model(
        [node("Frobnicate", ["x"], "a", "layer.0/frob", domain="com.acme"),
         node("Frobnicate", ["a"], "b", "layer.1/frob", domain="com.acme"),
         node("NonMaxSuppression", ["b", "b"], "y", "boxes/nms")],
        [tensor("x", ["batch", 4])], [tensor("y", ["n", 3], TensorProto.INT64)]),
    "contradiction": lambda: model(
        [node("MatMul", ["x", "w"], "y", "dense/MatMul")],
        [tensor("x", ["batch", 4])], [tensor("y", ["batch", 3])], [weight("w", (5, 3))]),
    "dangling": lambda: model(
        [node("Relu", ["nowhere"], "y", "dense/Relu")], [tensor("x", [4])], [tensor("y", [4])]),
}
save(MODELS[sys.argv[1]](), sys.argv[2])
