#!/usr/bin/env python3
"""One engine in a process of its own, told what to do by peers.py.

Reads one JSON request a line from stdin, answers one JSON line on stdout:

    {"do": "load", "engine", "model", "case", "threads"}  -> {"version", "seconds"}
    {"do": "save", "folder"}     run once, NAME.npy per output -> {}
    {"do": "time", "count"}      run count times               -> {"seconds": [...]}

An engine binds inputs and outputs once; a timed run is the engine's own call
and nothing else. What a library prints goes to stderr.
"""

import json
import os
import pathlib
import sys
import time

import numpy as np


def read_inputs(case):
    return {f.stem: np.load(f) for f in sorted((pathlib.Path(case) / "inputs").glob("*.npy"))}


class OnnxRuntime:
    """All graph optimisations, its own defaults otherwise, buffers bound."""

    def __init__(self, model, inputs, threads, spins=True):
        import onnxruntime

        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        if not spins:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [o.name for o in self.session.get_outputs()]
        self.binding = self.session.io_binding()
        for i in self.session.get_inputs():
            self.binding.bind_cpu_input(i.name, inputs[i.name])
        for name in self.names:
            self.binding.bind_output(name)

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def outputs(self):
        return dict(zip(self.names, self.binding.copy_outputs_to_cpu()))


class OpenVino:
    """Latency hint, one stream, float32 or what PEERS_DTYPE says; `reshaped` fixes the shapes first."""

    reshaped = False

    def __init__(self, model, inputs, threads):
        import openvino

        self.version = openvino.__version__
        core = openvino.Core()
        graph = core.read_model(model)
        names = [i.any_name for i in graph.inputs]
        if self.reshaped:
            graph.reshape({n: list(inputs[n].shape) for n in names})
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
            "INFERENCE_PRECISION_HINT": os.environ.get("PEERS_DTYPE", "f32"),
        }
        compiled = core.compile_model(graph, "CPU", settings)
        self.names = [o.any_name for o in compiled.outputs]
        self.request = compiled.create_infer_request()
        self.inputs = inputs
        for n in names:
            self.request.set_tensor(n, openvino.Tensor(inputs[n], shared_memory=True))

    def run(self):
        self.request.infer()

    def outputs(self):
        return {n: self.request.get_tensor(n).data.copy() for n in self.names}


class OpenVinoReshaped(OpenVino):
    reshaped = True


class TorchCompile:
    """torch.compile of the PyTorch model itself, shapes fixed. Needs the
    environment of export.py; MiniLM's weights are those of build/deps/minilm."""

    def __init__(self, model, inputs, threads):
        import torch

        import export

        torch.set_num_threads(threads)
        self.torch = torch
        self.version = torch.__version__
        root = pathlib.Path(__file__).resolve().parent.parent
        net = export.build(pathlib.Path(model).stem, root / "build" / "deps" / "minilm").eval()
        self.names = net.output_names
        known = ("pixel_values", "input_features", "input_ids", "attention_mask", "token_type_ids")  # as forward takes them
        self.inputs = [torch.from_numpy(inputs[n]) for n in known if n in inputs]
        self.compiled = torch.compile(net, dynamic=False)
        self.run()

    def run(self):
        with self.torch.inference_mode():
            self.result = self.compiled(*self.inputs)

    def outputs(self):
        result = self.result if isinstance(self.result, tuple) else (self.result,)
        return {n: r.numpy().copy() for n, r in zip(self.names, result)}


class Tenon:
    """An artifact through the C library, as a C program would use it."""

    def __init__(self, model, inputs, threads):
        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
        import tenon

        self.version = tenon.library_version()
        self.session = tenon.InferenceSession(model, threads=threads)
        self.session.bind(inputs)

    def run(self):
        self.session.execute()

    def outputs(self):
        return self.session.outputs()


def torch_attention(name):
    """An engine of attention_torch.py, whose packages only its process needs."""

    def make(*arguments):
        import attention_torch

        return getattr(attention_torch, name)(*arguments)

    return make


ENGINES = {
    "tenon": Tenon,
    "torch.sdpa": torch_attention("Sdpa"),
    "torch.flex": torch_attention("Flex"),
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "openvino-reshaped": OpenVinoReshaped,
    "torch.compile": TorchCompile,
}


def timed(run, count):
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return seconds


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = None
    for line in sys.stdin:
        request = json.loads(line)
        answer = {}
        if request["do"] == "load":
            began = time.perf_counter()
            engine = ENGINES[request["engine"]](request["model"], read_inputs(request["case"]), request["threads"])
            answer = {"version": engine.version, "seconds": time.perf_counter() - began}
        elif request["do"] == "save":
            engine.run()
            for name, value in engine.outputs().items():
                path = pathlib.Path(request["folder"]) / f"{name}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, value)
        elif request["do"] == "time":
            answer = {"seconds": timed(engine.run, request["count"])}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
