"""ONNX's own node tests: which of them are in scope, as files, and how they are judged.

The cases are those of the `onnx` package. Out of scope are operators on what is no
tensor of numbers (strings, sequences, optionals), image decoding, detection boxes,
RNN cells, trees, training and random numbers.

Elements NumPy has no type for travel as their bit patterns: bfloat16 as uint16,
float8 and everything below 8 bits as uint8, one element to a byte.
"""

import re
import warnings

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

OUT_OF_SCOPE = {
    "strings": "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer",
    "sequences": "ConcatFromSequence SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert "
    "SequenceLength SequenceMap SplitToSequence",
    "optionals": "Optional OptionalGetElement OptionalHasElement",
    "images": "ImageDecoder",
    "detection boxes": "MaxRoiPool NonMaxSuppression RoiAlign",
    "RNN cells": "GRU LSTM RNN",
    "training": "Adagrad Adam Gradient Momentum NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss",
    "random numbers": "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike",
}
FOREIGN_OPERATORS = {name for names in OUT_OF_SCOPE.values() for name in names.split()}
DOMAINS = {"", "ai.onnx", "ai.onnx.preview"}
_cases = None


def value_types(graph):
    return [value.type for value in (*graph.input, *graph.output)]


def is_number(type):
    """A tensor of numbers or booleans; complex ones are no elements of ours."""
    foreign = (onnx.TensorProto.STRING, onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128)
    return type.HasField("tensor_type") and type.tensor_type.elem_type not in foreign


def graphs_of(graph):
    """The graph and all within it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from graphs_of(inner)


def nodes_of(model):
    return [node for graph in graphs_of(model.graph) for node in graph.node]


def in_scope(case, operators):
    """`operators` are those of the case and of what it expands."""
    if not case.model or not all(map(is_number, value_types(case.model.graph))):
        return False
    return not operators & FOREIGN_OPERATORS and all(n.domain in DOMAINS for n in nodes_of(case.model))


def operator_of(case, cases):
    """The operator a case is about: an expanded case is about the one it expands."""
    original = cases.get(re.sub(r"_expanded(_ver\d+)?$", "", case.name), case)
    return original.model.graph.node[0].op_type if original.model else ""


def collect():
    """NAME -> case, of all cases in scope. Read once a process."""
    global _cases
    if _cases is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cases = {case.name: case for case in collect_testcases(None)}
        operators = {name: operator_of(case, cases) for name, case in cases.items()}
        _cases = {}
        for name, case in cases.items():
            used = {operators[name], *(n.op_type for n in nodes_of(case.model))} if case.model else set()
            if in_scope(case, used):
                case.operator = operators[name]
                _cases[name] = case
    return _cases


def as_bits(array):
    """The array as NumPy can save it."""
    array = np.asarray(array, order="C")
    if array.dtype.kind != "V" and array.dtype.isbuiltin == 1:
        return array
    return array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8)


def array_of(value):
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def write(case, folder):
    folder.mkdir(parents=True)
    onnx.save(case.model, folder / "model.onnx")
    for i, value in enumerate(case.data_sets[0][0]):
        np.save(folder / f"input_{i}.npy", as_bits(array_of(value)))


def difference(found, wanted, rtol, atol):
    """What is wrong with an output, empty if nothing, by the suite's own rule."""
    wanted = array_of(wanted)
    bits = as_bits(wanted)
    if found.dtype != bits.dtype or found.shape != bits.shape:
        return f"wanted {bits.dtype} {list(bits.shape)}, found {found.dtype} {list(found.shape)}"
    found = found.view(wanted.dtype)
    if wanted.dtype.isbuiltin != 1:
        if wanted.dtype.name == "bfloat16":
            rtol = max(rtol, 2**-6)
        found, wanted = found.astype(np.float32), wanted.astype(np.float32)
    try:
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)
    except AssertionError as error:
        return " ".join(line.strip() for line in str(error).splitlines() if line.strip())[:300]
    return ""


def judge(case, folder):
    """What is wrong with the outputs in the folder, empty if nothing."""
    for i, wanted in enumerate(case.data_sets[0][1]):
        file = folder / f"output_{i}.npy"
        if not file.exists():
            return f"output {i} is missing"
        wrong = difference(np.load(file), wanted, case.rtol, case.atol)
        if wrong:
            return f"output {i}: {wrong}"
    return ""
