#!/usr/bin/env python3
"""The ten attentions of the Long Range Arena: Tenon beside PyTorch, time and memory, float32.

    pip install torch
    benchmarks/long_range_arena.py [--threads 1] [--lengths 1024 4096 16384] [--only NAME ...] [--json FILE]

Tenon runs the programs of tests/systems with other sizes: one sequence, 4 heads of 64, blocks and bands as the arena has
them. PyTorch runs what its documentation or the arena's own code would: fused attention where it can be used,
blocks by reshaping, and a mask of all pairs (made before the clock starts) where the pattern is not one of blocks.

Each case has a process of its own. Both results are compared, then both run in turns. PyTorch's memory is by
how much the process grew in its first run, results and masks included; Tenon's is what its session holds, result included.
"""

import argparse
import ctypes
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention as fused

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import worker  # noqa: E402

HEADS, DEPTH, LONGEST = 4, 64, 16384
BLOCK, SUMMARY, BAND, PROJECTED, RANK, FEATURES, BUCKETS, CHUNK, SORTED = 128, 32, 256, 32, 32, 256, 8, 64, 64
LARGEST_ERROR = 1e-4
ROUNDS = {1024: 9, 4096: 5, 16384: 3}


# ---------------------------------------------------------------------------------
# PyTorch: inputs -> a call; what is done before the call is not timed
# ---------------------------------------------------------------------------------

def vanilla(q, k, v):
    return lambda: fused(q, k, v)


def local(q, k, v):
    cut = lambda x: x.unflatten(2, (-1, BLOCK))
    return lambda: fused(cut(q), cut(k), cut(v)).flatten(2, 3)


def sparse(q, k, v):
    i, j = torch.arange(q.shape[2])[:, None], torch.arange(q.shape[2])[None]
    strided = (j <= i) & ((i - j < BLOCK) | ((i - j) % BLOCK == 0))
    fixed = (j <= i) & ((i // BLOCK == j // BLOCK) | (j % BLOCK >= BLOCK - SUMMARY))
    return lambda: torch.stack([fused(q, k, v, attn_mask=mask) for mask in (strided, fixed)])


def longformer(q, k, v, qg, kg, vg, mark):
    i, j = torch.arange(q.shape[2])[:, None], torch.arange(q.shape[2])[None]
    band = ((i - j).abs() <= BAND) | (mark[0] != 0)
    (chosen,) = torch.nonzero(mark[0], as_tuple=True)

    def call():
        y = fused(q, k, v, attn_mask=band, scale=1.0)
        y[:, :, chosen] = fused(qg[:, :, chosen], kg, vg, scale=1.0)
        return y

    return call


def linear(q, k, v):
    feature = lambda x: torch.nn.functional.elu(x) + 1

    def call():
        a, b = feature(q), feature(k)
        return a @ (b.mT @ v) / (a @ b.sum(2)[..., None])

    return call


def linformer(q, k, v, e, f):
    return lambda: fused(q, e @ k, f @ v)


def performer(q, k, v, w):
    def feature(x):
        x = x * DEPTH**-0.25
        return torch.exp(x @ w.mT - (x * x).sum(-1, keepdim=True) / 2)

    def call():
        a, b = feature(q), feature(k)
        return a @ (b.mT @ v) / (a @ b.sum(2)[..., None])

    return call


def synthesizer(r, s, v):
    return lambda: torch.softmax(r @ s.mT, -1) @ v


def sinkhorn(q, k, v, sort):
    def call():
        weights = k.mean(3) @ sort.mT
        for _ in range(3):
            weights = weights - weights.logsumexp(-1, keepdim=True)
            weights = weights - weights.logsumexp(-2, keepdim=True)
        weights = weights.exp()
        both = lambda x: torch.cat([x, (weights @ x.flatten(3)).view_as(x)], 3)
        return fused(q, both(k), both(v)).flatten(2, 3)

    return call


def reformer(q, v, turn):
    first = (torch.arange(q.shape[2] // CHUNK) == 0)[:, None, None] & (torch.arange(2 * CHUNK) < CHUNK)
    itself = torch.arange(CHUNK)[:, None] + CHUNK == torch.arange(2 * CHUNK)

    def call():
        turned = q @ turn
        bucket = torch.cat([turned, -turned], -1).argmax(-1)
        order = bucket.argsort(stable=True, dim=-1)
        by_place = lambda x: x.gather(2, order[..., None].expand_as(x)).unflatten(2, (-1, CHUNK))
        with_last = lambda x: torch.cat([x.roll(1, 2), x], 3)
        queries, values, buckets = by_place(q), by_place(v), by_place(bucket[..., None])[..., 0]
        scores = queries @ with_last(torch.nn.functional.normalize(queries, dim=-1)).mT * DEPTH**-0.5
        scores.masked_fill_(itself, -1e5)
        scores.masked_fill_(first | (buckets[..., None] != with_last(buckets)[..., None, :]), -torch.inf)
        y = (torch.softmax(scores, -1) @ with_last(values)).flatten(2, 3)
        return torch.empty_like(y).scatter_(2, order[..., None].expand_as(y), y)

    return call


# ---------------------------------------------------------------------------------
# Tenon: programs of tests/systems with other sizes, and inputs for both
# ---------------------------------------------------------------------------------

WIDER = (("x16xf32", f"x{DEPTH}xf32"), (", 16]>", f", {DEPTH}]>"))
SCALED = (*WIDER, ("* 0.25", f"* {DEPTH ** -0.5}"))
ROWS = {name: (1, HEADS, "n", DEPTH) for name in "qkv"}
BLOCKS = {name: (1, HEADS, "s", SORTED, DEPTH) for name in "qkv"}

# Name -> PyTorch's form, the program, what is replaced in its text, the shapes of the inputs.
CASES = {
    "vanilla": (vanilla, "vanilla", SCALED, ROWS),
    "local": (local, "local_attention", (*SCALED, ("/ 32", f"/ {BLOCK}")), ROWS),
    "sparse": (sparse, "sparse_transformer", (*SCALED, ("- %j < 16", f"- %j < {BLOCK}"), ("%j, 16)", f"%j, {BLOCK})"),
                                              ("/ 16", f"/ {BLOCK}"), (">= 12", f">= {BLOCK - SUMMARY}")), ROWS),
    "longformer": (longformer, "longformer", (*WIDER, ("<= 16", f"<= {BAND}")),
                   {**ROWS, "qg": ROWS["q"], "kg": ROWS["k"], "vg": ROWS["v"], "mark": (1, "n")}),
    "linear": (linear, "linear_transformer", (*WIDER, ("    keep (%b, %h, %i, %j) = %j <= %i\n", "")), ROWS),
    "linformer": (linformer, "linformer", (*SCALED, ("<8x?", f"<{PROJECTED}x?"), ("[8, N]", f"[{PROJECTED}, N]"), ("x8x", f"x{PROJECTED}x"),
                                           ("4, 8,", f"4, {PROJECTED},")), {**ROWS, "e": (PROJECTED, "n"), "f": (PROJECTED, "n")}),
    "performer": (performer, "performer", (*WIDER, ("<24x", f"<{FEATURES}x"), ("x24x", f"x{FEATURES}x"), (", 24", f", {FEATURES}"),
                                           ("* 0.5 -", f"* {DEPTH ** -0.25} -"), ("* 0.125", f"* {DEPTH ** -0.5 / 2}")),
                  {**ROWS, "w": (FEATURES, DEPTH)}),
    "synthesizer": (synthesizer, "synthesizer", (*WIDER, ("x8xf32", f"x{RANK}xf32"), (", 8]>", f", {RANK}]>")),
                    {"r": (HEADS, "n", RANK), "s": (HEADS, "n", RANK), "v": ROWS["v"]}),
    "sinkhorn": (sinkhorn, "sinkhorn_transformer",
                 (*SCALED, ("x128xf32", f"x{SORTED * DEPTH}xf32"), (", 128]>", f", {SORTED * DEPTH}]>"), ("x8x", f"x{SORTED}x"),
                  ("S, 8,", f"S, {SORTED},"), ("8 * S", f"{SORTED} * S"), ("/ 8", f"/ {SORTED}")), {**BLOCKS, "sort": (HEADS, "s", DEPTH)}),
    "reformer": (reformer, "reformer", (*SCALED, ("4x16x4", f"4x{DEPTH}x4"), ("/ 16", f"/ {CHUNK}")),
                 {"q": ROWS["q"], "v": ROWS["v"], "turn": (HEADS, DEPTH, BUCKETS // 2)}),
}
LONGEST_OF = {"synthesizer": 4096}  # Its N x N weights are an operand of both, and take gigabytes beyond.


def program(stem, replaced):
    """The text of a system, up to the longest length; every replacement must find something."""
    text = (ROOT / "tests" / "systems" / f"{stem}.mlir").read_text()
    for old, new in replaced:
        if old not in text:
            raise SystemExit(f"tests/systems/{stem}.mlir: wanted '{old}' to replace, found none")
        text = text.replace(old, new)
    return re.sub(r"(@N in \[1), \d+\]", rf"\1, {LONGEST}]", text)


def drawn(shapes, length):
    """Standard normal elements; of a projection along the sequence, divided by the root of its length. The first token is global."""
    rng = np.random.default_rng(0)
    sizes = {"n": length, "s": length // SORTED}
    made = {name: rng.standard_normal([sizes.get(d, d) for d in shape]).astype(np.float32) for name, shape in shapes.items()}
    for name in {"e", "f"} & set(made):
        made[name] /= length**0.5
    for name in {"qg"} & set(made):
        made["q"] /= DEPTH**0.5
        made["qg"] /= DEPTH**0.5
        made["mark"] = np.eye(1, length, dtype=np.int64)
    if "w" in made:
        made["w"] /= 2
    return made


# ---------------------------------------------------------------------------------
# Measuring
# ---------------------------------------------------------------------------------

def resident(peak):
    """What this process holds, with nothing freed among it, or the most since this was last asked without `peak`; in MiB."""
    if not peak:
        ctypes.CDLL(None).malloc_trim(0)
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+)", status)[1]) / 1024


def measure(name, length, threads, compiler):
    torch.set_num_threads(threads)
    form, stem, replaced, shapes = CASES[name]
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        form(*(torch.from_numpy(x) for x in drawn(shapes, 2 * BLOCK).values()))()  # What a first call makes for good.
        inputs = drawn(shapes, length)
        before = resident(peak=False)
        peer = form(*(torch.from_numpy(x) for x in inputs.values()))
        wanted = peer().numpy()
        grown = resident(peak=True) - before
        source, artifact = pathlib.Path(folder, "program.mlir"), pathlib.Path(folder, "program.tenon")
        source.write_text(program(stem, replaced))
        subprocess.run([compiler, "compile", source, "-o", artifact, "--quiet", "--target", "host"], check=True)
        ours = worker.Tenon(str(artifact), inputs, threads)
        ours.run()
        results = list(ours.outputs().values())
        found = np.stack(results) if len(results) > 1 else results[0]
        error = float(np.abs(found - wanted).max() / np.abs(wanted).max())
        if not error <= LARGEST_ERROR:
            raise SystemExit(f"{name}, {length} tokens: the results differ by {error:.1e}, wanted at most {LARGEST_ERROR:.0e}")
        calls, times = {"tenon": ours.run, "torch": peer}, {"tenon": [], "torch": []}
        for number in range(ROUNDS.get(length, 3)):
            for who in list(calls)[:: 1 if number % 2 else -1]:
                began = time.perf_counter()
                calls[who]()
                times[who].append(round(1e3 * (time.perf_counter() - began), 3))
    held = ours.session.memory / 2**20 + sum(x.nbytes for x in results) / 2**20
    return {"case": name, "tokens": length, "threads": threads, "milliseconds": times, "error": error,
            "mebibytes": {"tenon": round(held, 1), "torch": round(grown, 1)}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096, LONGEST])
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--compiler", default=ROOT / "build" / "release" / "bin" / "tenon")
    parser.add_argument("--json", type=pathlib.Path, help="where raw times go")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        return print(json.dumps(measure(options.only[0], options.lengths[0], options.threads, options.compiler)))
    runs = []
    for name in options.only:
        for length in options.lengths:
            if length > LONGEST_OF.get(name, LONGEST):
                continue
            alone = [sys.executable, __file__, "--alone", "--only", name, "--lengths", str(length), "--threads", str(options.threads),
                     "--compiler", options.compiler]
            runs.append(json.loads(subprocess.run(alone, stdout=subprocess.PIPE, text=True, check=True).stdout))
            ms, mib = ({who: statistics.median(x) if isinstance(x, list) else x for who, x in runs[-1][key].items()}
                       for key in ("milliseconds", "mebibytes"))
            print(f"{name}, {length}: {ms['tenon']:.2f} ms, PyTorch {ms['torch']:.2f} ({ms['torch'] / ms['tenon']:.1f}x); "
                  f"{mib['tenon']:.1f} MiB, PyTorch {mib['torch']:.1f}", flush=True)
            if options.json:
                options.json.write_text(json.dumps({"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
