#!/usr/bin/env python3
"""Attention alone: Tenon beside PyTorch's SDPA and FlexAttention, ONNX Runtime and OpenVINO.

    PYTHON benchmarks/attention.py [--only CASE...] [--rounds N] [--name NAME]

PYTHON has torch, onnx, onnxruntime and openvino. 12 heads of 64 over N positions, [1, heads, N, 64] for every engine
(ONNX Runtime's fused MultiHeadAttention: [1, N, 768]); and one query of 32 heads of 128 over a cache of 8. Each engine runs in
a process of its own, stopped while another has its turn, as in peers.py. A peer gets masks and biases in the form
it is fastest with: a flag, functions (FlexAttention), or a tensor made beforehand, whose making is not timed.

FLOPs are those of the two products over live pairs of query and key. Results: benchmarks/results/attention-NAME.json;
tables.py makes the table.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper

import peers

HEADS, DEPTH = 12, 64
SCORE = "score (%x, %b, %h, %i, %j{c}) = "
CASES = {
    # Name: (score and keep in Tenon's text, type of the captured table)
    "plain": (SCORE + "%x * 0.125", None),
    "causal": (SCORE + "%x * 0.125 keep (%b, %h, %i, %j) = %j <= %i", None),
    "window": (SCORE + "%x * 0.125 keep (%b, %h, %i, %j) = %j <= %i and %i - %j < 256", None),
    "alibi": (SCORE + "%x * 0.125 + %t[%h] * (%j - %i) keep (%b, %h, %i, %j{c}) = %j <= %i", "tensor<12xf32>"),
    "t5": (SCORE + "%x * 0.125 + %t[%h, %j - %i + size(N) - 1]", "tensor<12x?xf32, #tenon.dims<[12, 2 * N - 1]>>"),
    "softcap": (SCORE + "tanh(%x * 0.00625) * 20", None),
    "documents": (SCORE + "%x * 0.125 keep (%b, %h, %i, %j{c}) = %t[%i] == %t[%j]", "tensor<?xi64, #tenon.dims<[N]>>"),
    "decode": (SCORE + "%x * 0.08838834764831845", None),
}
LENGTHS = {"decode": [512, 4096, 32768]}
ENGINES = ["tenon", "torch.sdpa", "torch.flex", "onnxruntime", "onnxruntime-mha", "openvino"]
WITHOUT = {"softcap": ["torch.sdpa"]}  # it has none


def table_of(case, n, rng):
    if case == "alibi":
        return (2.0 ** (-8 * (np.arange(HEADS) + 1) / HEADS)).astype(np.float32)
    if case == "t5":
        return rng.standard_normal((HEADS, 2 * n - 1)).astype(np.float32)
    if case == "documents":
        ends = np.sort(rng.choice(np.arange(1, n), 7, replace=False))
        return np.searchsorted(ends, np.arange(n), side="right").astype(np.int64)
    return None


def keep_and_bias(case, n, table):
    """(live pairs or None, bias or None), broadcast to [1, heads, n, n]."""
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    keeps = {"causal": lambda: j <= i, "window": lambda: (j <= i) & (i - j < 256), "alibi": lambda: j <= i,
             "documents": lambda: table[:, None] == table[None, :]}
    biases = {"alibi": lambda: table[:, None, None] * (j - i), "t5": lambda: table[:, j - i + n - 1]}
    return keeps[case]() if case in keeps else None, biases[case]() if case in biases else None


def reference(case, q, k, v, keep, bias):
    group = q.shape[1] // k.shape[1]
    out = np.empty(q.shape)
    for h in range(q.shape[1]):
        x = q[0, h].astype(np.float64) @ k[0, h // group].T.astype(np.float64) / np.sqrt(q.shape[3])
        x = np.tanh(x / 20) * 20 if case == "softcap" else x
        x = x if bias is None else x + bias[h]
        x = x if keep is None else np.where(keep, x, -np.inf)
        p = np.exp(x - x.max(-1, keepdims=True))
        out[0, h] = p / p.sum(-1, keepdims=True) @ v[0, h // group]
    return out


#===----------------------------------------------------------------------------===#
# The same attention for each engine
#===----------------------------------------------------------------------------===#


def tenon_text(case):
    regions, table = CASES[case]
    heads, key_heads, depth = (32, 8, 128) if case == "decode" else (HEADS, HEADS, DEPTH)
    rows = lambda heads: f"tensor<1x{heads}x?x{depth}xf32, #tenon.dims<[1, {heads}, N, {depth}]>>"
    q, k = f"tensor<1x{heads}x1x{depth}xf32>" if case == "decode" else rows(heads), rows(key_heads)
    capture, types = (" captures (%t)", f", {table}") if table else ("", "")
    extra = f', %t: {table} {{tenon.name = "t"}}' if table else ""
    layout = ", ".join(['"b h n d"'] * 4)
    return (f'tenon.symbol @N in [1, 65536]\nfunc.func @main(%q: {q} {{tenon.name = "q"}}, %k: {k} {{tenon.name = "k"}}, '
            f'%v: {k} {{tenon.name = "v"}}{extra}) -> ({q} {{tenon.name = "y"}}) attributes {{tenon.entry}} {{\n'
            f"%o = tenon.attention %q, (%k), (%v){capture} normalise softmax empty zero layout [{layout}] : "
            f"({q}, {k}, {k}{types}) -> {q}\n{regions.format(c=', %t' if table else '')}\nreturn %o : {q}\n}}\n")


def model_of(nodes, inputs, opset, domain=""):
    floats = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in inputs.items()}
    graph = helper.make_graph(nodes, "attention",
                              [helper.make_tensor_value_info(n, floats[n], a.shape) for n, a in inputs.items()],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def onnx_attention(case, inputs):
    """The operator of opset 23."""
    names = ["q", "k", "v"] + (["bias"] if "bias" in inputs and case != "causal" else [])
    attributes = {"is_causal": 1} if case == "causal" else {"softcap": 20.0} if case == "softcap" else {}
    node = helper.make_node("Attention", names, ["y"], **attributes)
    return model_of([node], {n: inputs[n] for n in names}, 23)


def onnx_multi_head(case, inputs):
    names = ["qm", "km", "vm"] + (["", "", "bias"] if "bias" in inputs and case != "causal" else [])
    node = helper.make_node("MultiHeadAttention", names, ["y"], domain="com.microsoft", num_heads=HEADS,
                            unidirectional=int(case == "causal"))
    return model_of([node], {n: inputs[n] for n in names if n}, 20, "com.microsoft")


def onnx_products(case, inputs):
    """Two products, a softmax and what stands between them, as exporters write it."""
    nodes, used, q = [], {n: inputs[n] for n in "qkv"}, "q"
    number = lambda name, value, kind=np.float32: nodes.append(
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(np.array(value, kind), name)))
    add = lambda kind, operands, result, **attributes: nodes.append(helper.make_node(kind, operands, [result], **attributes))
    if case == "decode":
        number("grouped", [1, 8, 4, 128], np.int64)
        number("flat", [1, 32, 1, 128], np.int64)
        add("Reshape", ["q", "grouped"], "qg")
        q = "qg"
    number("scale", 1 / np.sqrt(inputs["q"].shape[3]))
    add("Transpose", ["k"], "kt", perm=[0, 1, 3, 2])
    add("MatMul", [q, "kt"], "x")
    add("Mul", ["x", "scale"], "s")
    last = "s"
    if case == "softcap":
        number("cap", 20)
        add("Div", [last, "cap"], "c0")
        add("Tanh", ["c0"], "c1")
        add("Mul", ["c1", "cap"], "c2")
        last = "c2"
    if "bias" in inputs:
        add("Add", [last, "bias"], "masked")
        used["bias"], last = inputs["bias"], "masked"
    add("Softmax", [last], "p", axis=-1)
    add("MatMul", ["p", "v"], "o" if case == "decode" else "y")
    if case == "decode":
        add("Reshape", ["o", "flat"], "y")
    return model_of(nodes, used, 20)


def write_case(case, n, folder):
    """Models and inputs of every engine; (reference, live pairs a head)."""
    rng = np.random.default_rng(7)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    decode = case == "decode"
    heads, key_heads, depth = (32, 8, 128) if decode else (HEADS, HEADS, DEPTH)
    inputs = {"q": draw(1, heads, 1 if decode else n, depth), "k": draw(1, key_heads, n, depth), "v": draw(1, key_heads, n, depth)}
    table = table_of(case, n, rng)
    keep, bias = keep_and_bias(case, n, table)
    own = {**inputs, **({"t": table} if table is not None else {})}
    theirs = dict(own)
    if keep is not None or bias is not None:
        total = np.zeros((1, 1, n, n), np.float32) if bias is None else bias[None].astype(np.float32)
        theirs["bias"] = total if keep is None else np.where(keep, total, np.float32(-np.inf)).astype(np.float32)
    for name in "qkv" if not decode else "":
        theirs[name + "m"] = np.ascontiguousarray(inputs[name].transpose(0, 2, 1, 3)).reshape(1, n, HEADS * DEPTH)
    for kind, arrays in (("tenon", own), ("peers", theirs)):
        (folder / kind / "inputs").mkdir(parents=True)
        for name, array in arrays.items():
            np.save(folder / kind / "inputs" / f"{name}.npy", array)
    (folder / "tenon.mlir").write_text(tenon_text(case))
    subprocess.run([peers.TENON, "compile", "--quiet", folder / "tenon.mlir", "--target", "host", "-o", folder / "tenon.tenon"],
                   check=True)
    (folder / "torch.json").write_text(json.dumps({"variant": case, "heads": heads, "key_heads": key_heads}))
    onnx.save(onnx_attention(case, theirs), folder / "onnxruntime.onnx")
    onnx.save(onnx_products(case, theirs), folder / "openvino.onnx")
    if not decode and case != "softcap":
        onnx.save(onnx_multi_head(case, theirs), folder / "onnxruntime-mha.onnx")
    live = n if decode else n * n if keep is None else int(keep.sum())
    return reference(case, *inputs.values(), keep, bias), live, 4 * depth * heads * live


#===----------------------------------------------------------------------------===#
# Measuring
#===----------------------------------------------------------------------------===#


def start(engine, folder, threads):
    file = {"tenon": "tenon.tenon", "torch.sdpa": "torch.json", "torch.flex": "torch.json"}.get(engine, f"{engine}.onnx")
    if not (folder / file).exists():
        return None
    try:
        worker = peers.Worker(engine.removesuffix("-mha"), folder / file, folder / ("tenon" if engine == "tenon" else "peers"),
                              threads, sys.executable)
    except SystemExit as reason:
        print(f"  {reason}", file=sys.stderr)
        return None
    worker.name = engine
    return worker


def error_of(worker, wanted, folder):
    with worker:
        worker.ask({"do": "save", "folder": str(folder / worker.name)})
    found = np.load(folder / worker.name / "y.npy")
    if found.ndim == 3:
        found = found.reshape(1, -1, HEADS, DEPTH).transpose(0, 2, 1, 3)
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def run_case(case, n, options, peak):
    records = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        wanted, live, flop = write_case(case, n, folder)
        workers = [start(e, folder, options.threads) for e in ENGINES if e not in WITHOUT.get(case, []) + options.without]
        workers = [w for w in workers if w]
        try:
            errors = {w.name: error_of(w, wanted, folder) for w in workers}
            for number in range(options.rounds):
                if number % 3 == 0:
                    peers.measure_peak(options.threads, peak)
                for k in range(len(workers)):
                    workers[(number + k) % len(workers)].turn(options.seconds)
        finally:
            for w in workers:
                w.stop()
        for w in workers:
            median = statistics.median(w.seconds)
            right = errors[w.name] <= peers.LARGEST_ERROR
            records.append({"case": case, "n": n, "threads": options.threads, "engine": w.name, "version": w.version,
                            "live": live, "flop": flop, "median_ms": median * 1e3, "best_ms": min(w.seconds) * 1e3,
                            "error": errors[w.name], "right": right})
            print(f"{case} {n} {w.name:16} {median * 1e3:9.3f} ms, best {min(w.seconds) * 1e3:9.3f}, {flop / median / 1e9:7.1f} GFLOP/s"
                  f"{'' if right else f', off by {errors[w.name]:.2g}'}", flush=True)
    return records


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--lengths", nargs="+", type=int, default=[512, 2048])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one turn")
    parser.add_argument("--without", nargs="*", default=[], help="engines to leave out")
    parser.add_argument("--name", default=datetime.date.today().isoformat())
    options = parser.parse_args()
    peak, records = {}, []
    for case in options.only:
        for n in LENGTHS.get(case, options.lengths):
            records += run_case(case, n, options, peak)
            result = {"name": options.name, "date": datetime.datetime.now().isoformat(timespec="seconds"),
                      "machine": peers.machine(), "commit": peers.git("rev-parse", "HEAD"), "peak": peak, "runs": records}
            (peers.HERE / "results" / f"attention-{options.name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
