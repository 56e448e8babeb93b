"""What the model scripts of this folder share: a model as named tensors in and out,
PyTorch's two ONNX exporters, and float64 outputs.

A model is an `Exportable`: `run` takes a dict of tensors by ONNX input name and gives the
outputs in the order of `output_names`. A name with dots (`past_key_values.0.key`) is kept in
the file and becomes an identifier only in the signature of `forward`.
"""

import contextlib
import copy
import io
import pathlib
import sys
import warnings

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "benchmarks"))
import export as plain  # noqa: E402


class Exportable(torch.nn.Module):
    """`run(model, tensors by name)` -> tuple; `dynamic` maps an input to {axis: symbol}."""

    def __init__(self, model, run, inputs, outputs, dynamic):
        super().__init__()
        self.model = model
        self.run = run
        self.input_names = list(inputs)
        self.output_names = list(outputs)
        self.dynamic = dynamic
        parameters = ", ".join(self.parameter_name(n) for n in self.input_names)
        scope = {}
        exec(f"def forward(self, {parameters}):\n  return self.call(({parameters},))", scope)
        self.forward = scope["forward"].__get__(self)

    def __deepcopy__(self, memo):
        """The bound `forward` would keep this model's weights."""
        model = copy.deepcopy(self.model, memo)
        return Exportable(model, self.run, self.input_names, self.output_names, self.dynamic)

    @staticmethod
    def parameter_name(name):
        return name.replace(".", "_")

    def call(self, tensors):
        out = self.run(self.model, dict(zip(self.input_names, tensors)))
        return out if isinstance(out, tuple) else (out,)


#===----------------------------------------------------------------------------===#
# The two exporters
#===----------------------------------------------------------------------------===#


def strip(program):
    """Stack traces of this machine are most of a small file."""
    for node in program.model.graph:
        node.metadata_props.clear()
    for function in program.model.functions.values():
        for node in function:
            node.metadata_props.clear()
    for value in program.model.graph.initializers.values():
        value.metadata_props.clear()


def by_dynamo(model, example, path, opset):
    """torch.export, then its graph translated."""
    shapes = {model.parameter_name(n): model.dynamic.get(n, {}) for n in model.input_names}
    program = torch.onnx.export(
        model,
        tuple(torch.from_numpy(example[n]) for n in model.input_names),
        dynamo=True,
        opset_version=opset,
        input_names=model.input_names,
        output_names=model.output_names,
        dynamic_shapes=shapes,
        verbose=False,
    )
    strip(program)
    program.save(str(path), external_data=False)


def by_tracing(model, example, path, opset=17):
    """One run recorded; dims it computes with become Shape and Gather nodes."""
    torch.onnx.export(
        model,
        tuple(torch.from_numpy(example[n]) for n in model.input_names),
        str(path),
        dynamo=False,
        opset_version=opset,
        input_names=model.input_names,
        output_names=model.output_names,
        dynamic_axes={n: axes for n, axes in model.dynamic.items() if axes},
    )


def write_onnx(model, example, path, exporter):
    """`exporter` is dynamo18, dynamo20, dynamo23 or trace17: kind and opset."""
    model = model.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    opset = int(exporter[-2:])
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        (by_dynamo if exporter.startswith("dynamo") else by_tracing)(model, example, path, opset)


#===----------------------------------------------------------------------------===#
# float64
#===----------------------------------------------------------------------------===#


class Widest(TorchDispatchMode):
    """float32 asked for by name inside a model (norms, rotary tables, softmax) is float64."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        keywords = dict(keywords or {})
        if keywords.get("dtype") == torch.float32:
            keywords["dtype"] = torch.float64
        return function(*arguments, **keywords)


def exactly(model, inputs):
    with Widest():
        return plain.evaluate(copy.deepcopy(model).double().eval(), inputs, torch.float64)


def reference(model, inputs):
    """(outputs in float64, {name: [maximum, RMS error of the plain float32 evaluation]})."""
    exact = exactly(model, inputs)
    rounded = plain.evaluate_plainly(model, inputs)
    error = {}
    for name, want in exact.items():
        if want.dtype == np.float64:
            d = rounded[name].astype(np.float64) - want
            error[name] = [float(np.abs(d).max()), float(np.sqrt((d * d).mean()))]
    return exact, error


def write_cases(model, cases, path):
    """One compressed file: CASE/in/NAME, CASE/out/NAME, CASE/plain/NAME."""
    arrays = {}
    for case, inputs in cases.items():
        exact, error = reference(model, inputs)
        arrays |= {f"{case}/in/{n}": v for n, v in inputs.items()}
        arrays |= {f"{case}/out/{n}": v for n, v in exact.items()}
        arrays |= {f"{case}/plain/{n}": np.array(v) for n, v in error.items()}
    np.savez_compressed(path, **arrays)
