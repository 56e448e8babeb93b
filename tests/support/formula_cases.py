"""Operators of one domain, each as a model of one node, against formulas in NumPy.

    CASES = FormulaCases("com.microsoft")
    CASES.add("gelu", "Gelu", [x], gelu)
    Operators = CASES.tests()

A formula gives the outputs in the dtype of its arguments: in float64 it is the oracle, in float32 the plain
evaluation of the accuracy rule. None stands for an operand or an output that is left out.
"""

import pathlib
import tempfile
import unittest

import numpy as np
import onnx
from onnx import helper

import native
from accuracy import compare
from onnx_model import model_of


def _kind(array, dims):
    return helper.np_dtype_to_tensor_dtype(array.dtype), dims


class FormulaCases:
    def __init__(self, domain, constant=None):
        """`constant`: OPERATOR -> its operands that are read as the file is compiled."""
        self.domain, self.constant, self.cases = domain, constant or {}, {}

    def add(self, name, operator, inputs, formula, **attributes):
        self.cases[name] = operator, inputs, formula, attributes

    def evaluate(self, name, dtype):
        _, inputs, formula, _ = self.cases[name]
        results = formula(*(x.astype(dtype) if x is not None and x.dtype == np.float32 else x for x in inputs))
        return results if isinstance(results, tuple) else (results,)

    def model(self, name):
        """The file, and what its inputs are."""
        operator, inputs, _, attributes = self.cases[name]
        given = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
        constant = {f"x{i}": given.pop(f"x{i}") for i in self.constant.get(operator, ()) if f"x{i}" in given}
        results = {f"y{i}": y for i, y in enumerate(self.evaluate(name, np.float32)) if y is not None}
        operands = " ".join("" if x is None else f"x{i}" for i, x in enumerate(inputs))
        outputs = " ".join(f"y{i}" if f"y{i}" in results else "" for i in range(int(max(results)[1:]) + 1))
        model = model_of([(f"{self.domain}.{operator}", operands, outputs, attributes)],
                         {n: _kind(x, x.shape) for n, x in given.items()},
                         {n: _kind(np.asarray(y), None) for n, y in results.items()}, constant)
        return model, given

    def check(self, name):
        model, given = self.model(name)
        with tempfile.TemporaryDirectory(prefix="tenon-formula-") as folder:
            file, artifact = pathlib.Path(folder) / "model.onnx", pathlib.Path(folder) / "model.tenon"
            onnx.save(model, file)
            native.tenon("compile", "--quiet", file, "-o", artifact, "--target=host")
            found = native.outputs(artifact, given, threads=1)
        for i, (wanted, plain) in enumerate(zip(self.evaluate(name, np.float64), self.evaluate(name, np.float32))):
            if wanted is not None:
                compare(found[f"y{i}"], wanted, plain, f"output {i}")

    def tests(self):
        """A unittest.TestCase with a test for each."""
        methods = {f"test_{name}": lambda test, name=name: self.check(name) for name in self.cases}
        return type("Operators", (unittest.TestCase,), methods)
