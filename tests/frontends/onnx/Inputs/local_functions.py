"""local_functions.py FOLDER: model.onnx with local functions, its input x.npy and the
y.npy NumPy gives; endless.onnx, whose function calls itself."""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

FOLDER = pathlib.Path(sys.argv[1])
OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]


def function(name, inputs, outputs, nodes, attributes=(), defaults=()):
    return helper.make_function("local", name, inputs, outputs, nodes, OPSETS, attributes, defaults)


def refers(node, name, to, kind):
    """`node` takes its attribute `name` from the function's attribute `to`."""
    attribute = node.attribute.add()
    attribute.name, attribute.ref_attr_name, attribute.type = name, to, kind
    return node


def save(name, functions, nodes):
    value = lambda n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph(nodes, "g", [value("x")], [value("y")])
    model = helper.make_model(graph, opset_imports=OPSETS, functions=functions, ir_version=9)
    onnx.save(model, FOLDER / name)
    return model


kinds = onnx.AttributeProto
activate = function(
    "Activate", ["v"], ["r"],
    [refers(helper.make_node("LeakyRelu", ["v"], ["r"]), "alpha", "slope", kinds.FLOAT)],
    defaults=[helper.make_attribute("slope", 0.25)],
)
block = function(
    "Block", ["a"], ["sum", "unused"],
    [
        refers(helper.make_node("Softmax", ["a"], ["p"]), "axis", "axis", kinds.INT),
        helper.make_node("Activate", ["a"], ["n"], domain="local", slope=0.5),
        helper.make_node("Activate", ["n"], ["m"], domain="local"),
        helper.make_node("Add", ["p", "m"], ["sum"]),
        helper.make_node("Neg", ["a"], ["unused"]),
    ],
    attributes=["axis"],
)
save("model.onnx", [activate, block], [
    helper.make_node("Block", ["x"], ["h", ""], domain="local", name="first", axis=0),
    helper.make_node("Block", ["h"], ["y"], domain="local", name="second", axis=1),
])
x = np.random.default_rng(5).standard_normal((3, 4)).astype(np.float32)
np.save(FOLDER / "x.npy", x)


# ONNX's own evaluator and inliner drop attributes that stand for a function's, and defaults.
def leaky(v, slope):
    return np.where(v < 0, slope * v, v)


def evaluate_block(v, axis):
    e = np.exp(v - v.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True) + leaky(leaky(v, 0.5), 0.25)


np.save(FOLDER / "y.npy", evaluate_block(evaluate_block(x.astype(np.float64), 0), 1))

endless = function("Endless", ["a"], ["b"], [helper.make_node("Endless", ["a"], ["b"], domain="local")])
save("endless.onnx", [endless], [helper.make_node("Endless", ["x"], ["y"], domain="local", name="again")])
