"""Single operators: Tenon and its peers in one process, call by call in turns.

What convolutions.py, products.py and sorting.py share. A case is an ONNX model and its inputs; each engine binds them once, and
a timed call is the engine's own. ONNX Runtime's threads do not spin, since they would do so while Tenon has its turn.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import worker  # noqa: E402

TENON = HERE.parent / "build" / "release" / "bin" / "tenon"
ROUNDS, CALLS = 9, 6
LARGEST_ERROR = 1e-4  # between engines, relative to the largest element


def parser(description):
    """The options of both scripts."""
    options = argparse.ArgumentParser(description=description.splitlines()[0])
    options.add_argument("--threads", type=int, nargs="+", default=[1])
    options.add_argument("--only", nargs="+", metavar="CASE", help="cases to measure, by name")
    options.add_argument("--compiler", type=pathlib.Path, default=TENON, help="the tenon command")
    options.add_argument("--json", type=pathlib.Path, help="where raw times go")
    return options


def single(node, inputs, output, weights=(), shape=None):
    """A model of one node; `inputs` are arrays by name, `weights` initialisers, `shape` that of the output if it is data."""
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in inputs.items()}
    graph = onnx.helper.make_graph(
        [node], "operator",
        [onnx.helper.make_tensor_value_info(n, kinds[n], a.shape) for n, a in inputs.items()],
        [onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(a, n) for n, a in weights])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)


def turns(engines):
    """Milliseconds of every call, by engine: rounds in rotating order, each begun by a call that is not timed."""
    names, times = list(engines), {name: [] for name in engines}
    for number in range(ROUNDS):
        for name in names[number % len(names):] + names[:number % len(names)]:
            engines[name]()
            for _ in range(CALLS):
                began = time.perf_counter()
                engines[name]()
                times[name].append(1e3 * (time.perf_counter() - began))
    return times


def engines_of(model, inputs, threads, compiler, folder):
    file = pathlib.Path(folder) / "operator.onnx"
    onnx.save(model, file)
    artifact = file.with_suffix(".tenon")
    subprocess.run([compiler, "compile", file, "-o", artifact, "--quiet", "--target", "host"], check=True)
    return {"tenon": worker.Tenon(artifact, inputs, threads),
            "onnxruntime": worker.OnnxRuntime(str(file), inputs, threads, spins=False)}


def compare(name, model, inputs, work, options, others=lambda: {}, unit="GFLOP/s"):
    """Measures one case with each number of threads, prints a line for each. `work` is what is done, in 10^-9 of the unit;
    `others` makes further engines, callables by name, for one thread."""
    found = []
    for threads in options.threads:
        with tempfile.TemporaryDirectory() as folder:
            engines = engines_of(model, inputs, threads, options.compiler, folder)
            for engine in engines.values():
                engine.run()
            (ours,), (theirs,) = (engine.outputs().values() for engine in engines.values())
            error = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
            if not error <= LARGEST_ERROR:
                raise SystemExit(f"{name}: the engines differ by {error:.1e}, wanted at most {LARGEST_ERROR:.0e}")
            calls = {key: engine.run for key, engine in engines.items()}
            times = turns({**calls, **(others() if threads == 1 else {})})
        medians = {engine: statistics.median(each) for engine, each in times.items()}
        shown = ", ".join(f"{engine} {ms:.3f}" for engine, ms in medians.items())
        print(f"{name}, {threads} thread{'s' * (threads > 1)}: {shown} ms; {work / medians['tenon'] * 1e-6:.3g} {unit}, "
              f"{medians['onnxruntime'] / medians['tenon']:.2f}x ONNX Runtime", flush=True)
        found.append({"case": name, "threads": threads, "work": work, "milliseconds": times, "error": error})
    return found


def save(found, options):
    if options.json:
        options.json.write_text(json.dumps({"machine": platform.processor() or platform.machine(), "cases": found}))


def run(cases, options):
    """`cases`: name -> callable that measures it, and gives what compare() gives."""
    unknown = set(options.only or ()) - set(cases)
    if unknown:
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; there are: {', '.join(cases)}")
    save([entry for name, case in cases.items() if not options.only or name in options.only for entry in case()], options)
