#!/usr/bin/env python3
"""Attention alone: Tenon beside PyTorch's SDPA and FlexAttention, ONNX Runtime and OpenVINO.

    PYTHON benchmarks/attention.py [--only CASE...] [--lengths N...] [--dtypes f32 bf16] [--threads 1 2] [--name NAME]

PYTHON has torch, onnx, onnxruntime and openvino. 12 heads of 64 over N positions, [1, heads, N, 64] for every engine
(ONNX Runtime's fused MultiHeadAttention: [1, N, 768]); and one query of 32 heads of 128 over a cache of 8 heads, of one sequence
and of eight. Each engine and number of threads runs in a process of its own, stopped while another has its turn, as in
peers.py: all engines, on one thread and on two, take turns on a case. A peer gets masks and biases in the form
it is fastest with: a flag, functions (FlexAttention), or a tensor made beforehand, whose making is not timed; none is made above
MOST_BIAS. Caches above MOST_SHARED leave room for Tenon and SDPA alone. In bf16 operands and result are bf16 (OpenVINO: float32
outside, its hint inside; ONNX Runtime has none).

FLOPs are those of the two products over live pairs of query and key. Between the turns the machine's FMA peak and the rate of
reading a buffer of exactly the cache's bytes are measured, on as many threads. Errors are those of some rows, against float64. The
whole takes about three hours; progress is printed case by case, and results/attention-NAME.json written after each;
tables.py makes the table.
"""

import argparse
import datetime
import json
import os
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
SEQUENCES = {"decode": [1, 8]}
LENGTHS = {"decode": [512, 4096, 32768]}
LARGEST_ERROR = {"f32": peers.LARGEST_ERROR, "bf16": 2e-2}
MOST_BIAS, MOST_SHARED = 2 << 30, 600 << 20  # bytes
CHECKED_ROWS = 256
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
    """(live pairs [n, n] or None, some rows of a head's bias or None)."""
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    keeps = {"causal": lambda: j <= i, "window": lambda: (j <= i) & (i - j < 256), "alibi": lambda: j <= i,
             "documents": lambda: table[:, None] == table[None, :]}
    biases = {"alibi": lambda h, rows: table[h] * (j - i[rows]), "t5": lambda h, rows: table[h][j - i[rows] + n - 1]}
    return keeps[case]() if case in keeps else None, biases.get(case)


def reference(case, q, k, v, keep, bias, rows):
    """Those rows of the result, in float64."""
    group = q.shape[1] // k.shape[1]
    out = np.empty((*q.shape[:2], len(rows), q.shape[3]))
    for b, h in np.ndindex(*q.shape[:2]):
        x = q[b, h, rows].astype(np.float64) @ k[b, h // group].T.astype(np.float64) / np.sqrt(q.shape[3])
        x = np.tanh(x / 20) * 20 if case == "softcap" else x
        x = x if bias is None else x + bias(h, rows)
        x = x if keep is None else np.where(keep[rows], x, -np.inf)
        p = np.exp(x - x.max(-1, keepdims=True))
        out[b, h] = p / p.sum(-1, keepdims=True) @ v[b, h // group]
    return out


def to_bf16(array):
    """The bits, rounded to nearest even."""
    bits = array.view(np.uint32)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


#===----------------------------------------------------------------------------===#
# The same attention for each engine
#===----------------------------------------------------------------------------===#


def tenon_text(case, sequences, dtype):
    regions, table = CASES[case]
    heads, key_heads, depth = (32, 8, 128) if case == "decode" else (HEADS, HEADS, DEPTH)
    rows = lambda heads: f"tensor<{sequences}x{heads}x?x{depth}x{dtype}, #tenon.dims<[{sequences}, {heads}, N, {depth}]>>"
    q, k = f"tensor<{sequences}x{heads}x1x{depth}x{dtype}>" if case == "decode" else rows(heads), rows(key_heads)
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
        number("grouped", [-1, 8, 4, 128], np.int64)
        number("flat", [-1, 32, 1, 128], np.int64)
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


def draw_inputs(case, n, sequences, dtype, rng):
    decode = case == "decode"
    heads, key_heads, depth = (32, 8, 128) if decode else (HEADS, HEADS, DEPTH)
    shapes = {"q": (sequences, heads, 1 if decode else n, depth), "k": (sequences, key_heads, n, depth),
              "v": (sequences, key_heads, n, depth)}
    inputs = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    return {name: from_bf16(to_bf16(x)) for name, x in inputs.items()} if dtype == "bf16" else inputs


def peers_inputs(case, n, inputs, keep, bias):
    """Further tensors that peers take: masks and biases in one, rows of heads side by side."""
    made = {}
    if bias is not None and 4 * HEADS * n * n <= MOST_BIAS:
        made["bias"] = np.stack([bias(h, slice(None)) for h in range(HEADS)])[None].astype(np.float32)
    elif bias is None and keep is not None:
        made["bias"] = np.zeros((1, 1, n, n), np.float32)
    if "bias" in made and keep is not None:
        made["bias"] = np.where(keep, made["bias"], np.float32(-np.inf))
    for name in "qkv" if case != "decode" else "":
        made[name + "m"] = np.ascontiguousarray(inputs[name].transpose(0, 2, 1, 3)).reshape(1, n, HEADS * DEPTH)
    return made


class Case:
    """One attention at one size: its models and inputs for every engine in `folder`."""

    def __init__(self, name, n, sequences, dtype, folder):
        self.name, self.n, self.sequences, self.dtype, self.folder = name, n, sequences, dtype, folder
        rng = np.random.default_rng(7)
        inputs = draw_inputs(name, n, sequences, dtype, rng)
        table = table_of(name, n, rng)
        keep, bias = keep_and_bias(name, n, table)
        extra = {} if table is None else {"t": table}
        self.made = peers_inputs(name, n, inputs, keep, bias)
        theirs = {**inputs, **extra, **self.made}
        bits = {x: to_bf16(array) for x, array in inputs.items()} if dtype == "bf16" else inputs
        for kind, arrays in (("tenon", {**bits, **extra}), ("peers", theirs)):
            (folder / kind / "inputs").mkdir(parents=True)
            for x, array in arrays.items():
                np.save(folder / kind / "inputs" / f"{x}.npy", array)
        self.write_models(theirs)
        count = inputs["q"].shape[2]
        self.rows = np.unique(np.linspace(0, count - 1, CHECKED_ROWS).astype(int))
        self.wanted = reference(name, *inputs.values(), keep, bias, self.rows)
        heads, depth = inputs["q"].shape[1], inputs["q"].shape[3]
        self.live = sequences * (n if name == "decode" else n * n if keep is None else int(keep.sum()))
        self.flop = 4 * depth * heads * self.live
        self.cache = 2 * inputs["k"].size * (2 if dtype == "bf16" else 4) if name == "decode" else 0
        self.needs_bias = bias is not None and "bias" not in self.made

    def __str__(self):
        return f"{self.name} {self.n}" + f" x {self.sequences}" * (self.sequences > 1) + f" {self.dtype}"

    def write_models(self, theirs):
        folder = self.folder
        (folder / "tenon.mlir").write_text(tenon_text(self.name, self.sequences, self.dtype))
        subprocess.run([peers.TENON, "compile", "--quiet", folder / "tenon.mlir", "--target", "host", "-o", folder / "tenon.tenon"],
                       check=True)
        shape = {"heads": theirs["q"].shape[1], "key_heads": theirs["k"].shape[1]}
        (folder / "torch.json").write_text(json.dumps({"variant": self.name, "dtype": self.dtype, **shape}))
        onnx.save(onnx_attention(self.name, theirs), folder / "onnxruntime.onnx")
        onnx.save(onnx_products(self.name, theirs), folder / "openvino.onnx")
        if self.name not in ("decode", "softcap"):
            onnx.save(onnx_multi_head(self.name, theirs), folder / "onnxruntime-mha.onnx")

    def engines(self):
        left_out = WITHOUT.get(self.name, [])
        if self.dtype == "bf16":
            left_out = left_out + ["onnxruntime", "onnxruntime-mha"]
        if self.needs_bias:
            left_out = [e for e in ENGINES if e not in ("tenon", "torch.flex")]
        if self.cache > MOST_SHARED:
            left_out = [e for e in ENGINES if e not in ("tenon", "torch.sdpa")]
        return [e for e in ENGINES if e not in left_out]


#===----------------------------------------------------------------------------===#
# Measuring
#===----------------------------------------------------------------------------===#


def start(engine, case, threads):
    file = {"tenon": "tenon.tenon", "torch.sdpa": "torch.json", "torch.flex": "torch.json"}.get(engine, f"{engine}.onnx")
    if not (case.folder / file).exists():
        return None
    os.environ["PEERS_DTYPE"] = case.dtype  # the workers read it
    try:
        worker = peers.Worker(engine.removesuffix("-mha"), case.folder / file,
                              case.folder / ("tenon" if engine == "tenon" else "peers"), threads, sys.executable)
    except SystemExit as reason:
        print(f"  {reason}", file=sys.stderr)
        return None
    worker.name, worker.threads = engine, threads
    return worker


def error_of(worker, case):
    with worker:
        worker.ask({"do": "save", "folder": str(case.folder / worker.name)})
    found = np.load(case.folder / worker.name / "y.npy")
    if found.dtype.itemsize == 2:
        found = from_bf16(found)
    if found.ndim == 3:
        found = found.reshape(1, -1, HEADS, DEPTH).transpose(0, 2, 1, 3)
    return float(np.abs(found[:, :, case.rows] - case.wanted).max() / np.abs(case.wanted).max())


def record(case, worker, error):
    median = statistics.median(worker.seconds)
    right = error <= LARGEST_ERROR[case.dtype]
    print(f"{case} {worker.threads} thread(s) {worker.name:16} {median * 1e3:9.3f} ms, best {min(worker.seconds) * 1e3:9.3f}, "
          f"{case.flop / median / 1e9:7.1f} GFLOP/s{f', cache at {case.cache / median / 1e9:.1f} GB/s' if case.cache else ''}"
          f"{'' if right else f', off by {error:.2g}'}", flush=True)
    return {"case": case.name, "n": case.n, "sequences": case.sequences, "dtype": case.dtype, "threads": worker.threads,
            "engine": worker.name, "version": worker.version, "live": case.live, "flop": case.flop, "cache": case.cache,
            "median_ms": median * 1e3, "best_ms": min(worker.seconds) * 1e3, "error": error, "right": right}


def run_case(case, options, peaks):
    workers = [start(e, case, t) for e in case.engines() if e not in options.without for t in options.threads]
    workers = [w for w in workers if w]
    try:
        errors = [error_of(w, case) for w in workers]
        for number in range(options.rounds):
            if number % 3 == 0:
                for threads in options.threads:
                    peers.measure_peak(threads, peaks[str(threads)], [case.cache] if case.cache else [])
            for k in range(len(workers)):
                workers[(number + k) % len(workers)].turn(options.seconds)
    finally:
        for w in workers:
            w.stop()
    return [record(case, w, error) for w, error in zip(workers, errors)]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--lengths", nargs="+", type=int, help="instead of each case's own")
    parser.add_argument("--sequences", nargs="+", type=int, help="of decode")
    parser.add_argument("--dtypes", nargs="+", choices=["f32", "bf16"], help="f32, and bf16 where the machine multiplies it")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one turn")
    parser.add_argument("--without", nargs="*", default=[], help="engines to leave out")
    parser.add_argument("--name", default=datetime.date.today().isoformat())
    options = parser.parse_args()
    if not options.dtypes:
        options.dtypes = ["f32"] + ["bf16"] * any(f in peers.machine()["flags"] for f in ("avx512_bf16", "amx_bf16"))
    return options


def main():
    options = parse()
    peaks, records = {str(threads): {} for threads in options.threads}, []
    cases = [(name, n, sequences, dtype) for dtype in options.dtypes for name in options.only
             for sequences in (options.sequences or SEQUENCES[name] if name in SEQUENCES else [1])
             for n in options.lengths or LENGTHS.get(name, [512, 2048, 8192])]
    for number, (name, n, sequences, dtype) in enumerate(cases, 1):
        print(f"[{number}/{len(cases)}, {datetime.datetime.now():%H:%M}]", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            records += run_case(Case(name, n, sequences, dtype, pathlib.Path(folder)), options, peaks)
        result = {"name": options.name, "date": datetime.datetime.now().isoformat(timespec="seconds"), "machine": peers.machine(),
                  "commit": peers.git("rev-parse", "HEAD"), "peaks": peaks, "runs": records}
        (peers.HERE / "results" / f"attention-{options.name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
