"""Another engine on the user's model, for `tenon bench --against`; told what to do on stdin.

    peer.py ENGINE MODEL INPUTS THREADS        INPUTS: a folder of NAME.npy

Says `ready VERSION`, or `error WHY`. Then, for each line: `run N` runs N times and answers
`times S S ...` in seconds; `save FOLDER` writes each output as NAME.npy and answers `saved`.
The engine's own call is timed and nothing else. What libraries print goes to stderr.
"""

import os
import pathlib
import sys
import time


def fail(why):
    print("error " + " ".join(str(why).split()), file=answers, flush=True)
    sys.exit(1)


def onnx_runtime(model, inputs, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    binding = session.io_binding()
    for each in session.get_inputs():
        binding.bind_cpu_input(each.name, inputs[each.name])
    for name in names:
        binding.bind_output(name)
    run = lambda: session.run_with_iobinding(binding)
    return onnxruntime.__version__, run, lambda: dict(zip(names, binding.copy_outputs_to_cpu()))


def openvino(model, inputs, threads):
    import openvino

    core = openvino.Core()
    graph = core.read_model(model)
    settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads),
                "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(graph, "CPU", settings)
    request = compiled.create_infer_request()
    for each in compiled.inputs:
        request.set_tensor(each.any_name, openvino.Tensor(inputs[each.any_name], shared_memory=True))
    names = [o.any_name for o in compiled.outputs]
    return openvino.__version__, request.infer, lambda: {n: request.get_tensor(n).data.copy() for n in names}


def timed(run, count):
    for _ in range(count):
        began = time.perf_counter()
        run()
        yield time.perf_counter() - began


answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
engine, model, folder, threads = sys.argv[1:]
try:
    import numpy

    folder = pathlib.Path(folder)
    arrays = {str(f.relative_to(folder))[: -len(".npy")]: numpy.load(f) for f in folder.rglob("*.npy")}
    version, run, outputs = {"ort": onnx_runtime, "openvino": openvino}[engine](model, arrays, int(threads))
    run()
except Exception as error:  # whatever it is, the user hears of it
    fail(error)
print("ready", version, file=answers, flush=True)
for line in sys.stdin:
    verb, argument = line.strip().split(" ", 1)
    if verb == "run":
        print("times", *(f"{s:.9f}" for s in timed(run, int(argument))), file=answers, flush=True)
    else:
        for name, value in outputs().items():
            path = pathlib.Path(argument) / (name + ".npy")
            path.parent.mkdir(parents=True, exist_ok=True)
            numpy.save(path, numpy.ascontiguousarray(value))
        print("saved", file=answers, flush=True)
