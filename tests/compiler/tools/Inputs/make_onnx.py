"""make_onnx.py KIND FILE, make_onnx.py all FOLDER: small ONNX models, most of them wrong in one way."""
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save


def model(nodes, inputs, outputs, initializers=(), opset=18):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    versions = {"": opset, "com.acme": 1, "com.microsoft": 1, "ai.onnx.ml": 1}
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*version) for version in versions.items()])


def tensor(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name, shape):
    return numpy_helper.from_array(np.ones(shape, "f"), name)


def node(kind, inputs, output, name, **attributes):
    return helper.make_node(kind, inputs, [output], name=name, **attributes)


def integers(name, values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def branch(name, output, dims, *nodes):
    return helper.make_graph(nodes, name, [], [tensor(output, dims)])


def unknown(name, kind=TensorProto.FLOAT):
    return tensor(name, None, kind)


X, Y = tensor("x", ["batch", 4]), tensor("y", ["batch", 4])
FLAG = tensor("c", [], TensorProto.BOOL)
LSTM = node("LSTM", ["steps", "w", "r"], "a", "cell", hidden_size=4)
CELL_WEIGHTS = [weight("w", (1, 16, 4)), weight("r", (1, 16, 4))]
COUNTED = helper.make_graph(
    [node("Identity", ["more"], "goes", "go"), node("Relu", ["state"], "next", "step")], "body",
    [tensor("i", [], TensorProto.INT64), tensor("more", [], TensorProto.BOOL), tensor("state", ["batch", 4])],
    [tensor("goes", [], TensorProto.BOOL), tensor("next", ["batch", 4])])


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
    # What is refused, and what to do about it.
    "recurrent": lambda: model(
        [node("If", ["c"], "y", "choose",
              then_branch=branch("t", "a", ["steps", 1, "batch", 4], LSTM),
              else_branch=branch("e", "b", ["steps", 1, "batch", 4], node("Relu", ["other"], "b", "plain")))],
        [tensor("steps", ["steps", "batch", 4]), tensor("other", ["steps", 1, "batch", 4]), FLAG], [unknown("y")],
        CELL_WEIGHTS),
    "random": lambda: model(
        [node("RandomNormalLike", ["x"], "a", "noise"), node("Bernoulli", ["a"], "y", "coin")], [X], [Y]),
    "optimised": lambda: model([node("NGramRepeatBlock", ["x"], "y", "block", domain="com.microsoft")], [X], [Y]),
    "trees": lambda: model([node("TreeEnsemble", ["x"], "y", "forest", domain="ai.onnx.ml")], [X], [Y]),
    "misspelt": lambda: model([node("Reluu", ["x"], "y", "act")], [X], [Y]),
    "too-new": lambda: model([node("Relu", ["x"], "y", "act")], [X], [Y], opset=99),
    "too-old": lambda: model([node("LayerNormalization", ["x", "w"], "y", "norm")], [X], [Y], [weight("w", 4)], 13),
    "text": lambda: model([node("Identity", ["x"], "y", "same")],
                          [tensor("x", [4], TensorProto.STRING)], [tensor("y", [4], TensorProto.STRING)]),
    "complex": lambda: model([node("Abs", ["x"], "y", "size")], [tensor("x", [4], TensorProto.COMPLEX64)], [Y]),
    "rankless": lambda: model([node("Relu", ["x"], "y", "act")], [unknown("x")], [unknown("y")]),
    "reshape-to-input": lambda: model(
        [node("Reshape", ["x", "shape"], "y", "view")],
        [X, tensor("shape", [2], TensorProto.INT64)], [unknown("y")]),
    "sliced-by-data": lambda: model(
        [node("Slice", ["x", "begin", "end"], "y", "cut")],
        [tensor("x", ["n"]), tensor("end", [1], TensorProto.INT64)], [unknown("y")], [integers("begin", [0])]),
    "non-zero": lambda: model(
        [node("NonZero", ["x"], "y", "where")], [X], [tensor("y", [2, "found"], TensorProto.INT64)]),
    "branches": lambda: model(
        [node("If", ["c"], "y", "choose",
              then_branch=branch("t", "a", ["batch", 8], node("Concat", ["x", "x"], "a", "twice", axis=1)),
              else_branch=branch("e", "b", ["batch", 4], node("Relu", ["x"], "b", "once")))],
        [X, FLAG], [unknown("y")]),
    "counted-by-data": lambda: model(
        [node("Loop", ["n", "", "x"], "y", "steps", body=COUNTED)], [X, tensor("n", [], TensorProto.INT64)], [Y]),
    "counted-by-size": lambda: model(
        [node("Shape", ["x"], "s", "shape"), node("Gather", ["s", "zero"], "n", "rows"),
         node("Loop", ["n", "", "x"], "y", "steps", body=COUNTED)], [X], [Y], [integers("zero", 0)]),
    # Up to what is more than 4 beyond a multiple of 8, or before the end where it is less.
    "either-end": lambda: model(
        [node("Shape", ["x"], "s", "shape"), node("Mod", ["s", "eight"], "over", "over"),
         node("Sub", ["over", "four"], "end", "end"), node("Slice", ["x", "begin", "end"], "y", "cut")],
        [tensor("x", ["sequence"])], [unknown("y")],
        [integers("begin", [0]), integers("four", [4]), integers("eight", [8])]),
    "one-size": lambda: model(
        [node("Reshape", ["x", "shape"], "r", "view"), node("Add", ["r", "w"], "y", "add")],
        [tensor("x", ["batch", "sequence"])], [unknown("y")], [integers("shape", [-1]), weight("w", 6)]),
    "axis-of-size": lambda: model(
        [node("Shape", ["x"], "s", "shape"), node("Unsqueeze", ["x", "s"], "y", "view")],
        [tensor("x", ["rows"])], [unknown("y")]),
    "external": lambda: model([node("MatMul", ["x", "w"], "y", "dense")], [X], [Y], [weight("w", (4, 4))]),
}


def write(kind, path):
    options = {"save_as_external_data": True, "location": "weights.data", "size_threshold": 0}
    save(MODELS[kind](), path, **(options if kind == "external" else {}))


if sys.argv[1] == "all":
    for kind in MODELS:
        write(kind, f"{sys.argv[2]}/{kind}.onnx")
else:
    write(*sys.argv[1:])
