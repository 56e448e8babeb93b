#!/usr/bin/env python3
"""Tenon on an NVIDIA GPU beside PyTorch (cuBLAS, SDPA, FlexAttention), Triton and FlashAttention, in one run.

    PYTHON benchmarks/gpu.py --json FILE [--only NAME...] [--models DIR]     # PYTHON has torch, and flash_attn if you like
    benchmarks/gpu.py --compile-only DIR [--level nvptx-sm_90a]             # artifacts, and what each kernel is
    benchmarks/gpu.py --table FILE                                          # the table of a run again

Where there is no GPU that Tenon's code is for, it says so, measures nothing and ends well: nothing here is estimated.

    gemm       C = A B in bf16, square
    attention  forward in bf16, 16 heads of 64 and 128, plain and causal; ALiBi, window, documents and T5's bias of 64 at 4096
    decode     one query of 32 heads of 128 over a cache of 8 heads, in bf16
    nprf       kernelised attention with a Toeplitz factor, 8 heads of 64 features and channels, f32
    models     MiniLM and BERT-base of one sentence: what export.py wrote to DIR

Two times of each engine, medians of turns that all engines of a case take one after another:

    whole    from arrays in the host's memory to arrays there; Tenon's sessions work so, and so all are compared
    device   by CUDA events, operands and results on the GPU; peers alone, since a session says no such time

Every result is compared with PyTorch's in float32 on the GPU first (of models: with Tenon's).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks" / "nvptx"), str(ROOT / "benchmarks"), str(ROOT / "tests" / "support"), str(ROOT / "python")]
import assembled  # noqa: E402
import toeplitz  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402

TURNS = 20
LARGEST_ERROR = {"bf16": 2e-2, "f32": 1e-3}  # of the largest element
MODELS = {"minilm": "1x16", "bert-base": "1x128"}


#===----------------------------------------------------------------------------===#
# Cases
#===----------------------------------------------------------------------------===#


class Gemm:
    dtype = "bf16"

    def __init__(self, size):
        self.name, self.size = f"gemm {size}", size

    def text(self):
        square = tensor(self.size, self.size, of="bf16")
        body = f'  %y = tenon.contract "m k, k n -> m n" %a, %b : ({square}, {square}) -> {square}\n'
        return entry({"a": square, "b": square}, {"y": square}, body, {})

    def shapes(self):
        return {"a": (self.size, self.size), "b": (self.size, self.size)}


class Attention:
    """`variant` as attention_torch.py calls it; `table` is what its score or keep region reads."""

    dtype = "bf16"
    REGIONS = {
        "plain": ("score (%x, %b, %h, %i, %j) = %x * {scale}", None),
        "causal": ("score (%x, %b, %h, %i, %j) = %x * {scale} keep (%b, %h, %i, %j) = %j <= %i", None),
        "window": ("score (%x, %b, %h, %i, %j) = %x * {scale} keep (%b, %h, %i, %j) = %j <= %i and %i - %j < 256", None),
        "alibi": ("score (%x, %b, %h, %i, %j, %t) = %x * {scale} + %t[%h] * (%j - %i) keep (%b, %h, %i, %j, %t) = %j <= %i", "slopes"),
        "t5": ("score (%x, %b, %h, %i, %j, %t) = %x * {scale} + %t[%h, %j - %i + {last}]", "distances"),
        "documents": ("score (%x, %b, %h, %i, %j, %t) = %x * {scale} keep (%b, %h, %i, %j, %t) = %t[%i] == %t[%j]", "numbers"),
    }

    def __init__(self, variant, length, depth, queries=None, heads=16, key_heads=None):
        self.variant, self.length, self.depth = variant, length, depth
        self.queries, self.heads, self.key_heads = queries or length, heads, key_heads or heads
        self.name = f"decode {length}" if queries == 1 else f"attention {variant} {length} x {depth}"

    def table_type(self):
        return {"slopes": f"tensor<{self.heads}xf32>", "distances": f"tensor<{self.heads}x{2 * self.length - 1}xf32>",
                "numbers": f"tensor<{self.length}xi64>"}.get(self.REGIONS[self.variant][1])

    def shapes(self):
        rows = (1, self.key_heads, self.length, self.depth)
        return {"q": (1, self.heads, self.queries, self.depth), "k": rows, "v": rows}

    def text(self):
        q, k, v = (tensor(*shape, of="bf16") for shape in self.shapes().values())
        table, layouts = self.table_type(), ", ".join(['"b h n d"'] * 4)
        regions = self.REGIONS[self.variant][0].format(scale=self.depth**-0.5, last=self.length - 1)
        body = (f"  %y = tenon.attention %q, (%k), (%v){' captures (%t)' if table else ''} normalise softmax empty zero layout [{layouts}] : "
                f"({q}, {k}, {v}{f', {table}' if table else ''}) -> {q}\n  {regions}\n")
        return entry({"q": q, "k": k, "v": v, **({"t": table} if table else {})}, {"y": q}, body, {})


class Nprf:
    dtype = "f32"
    heads, features, channels = 8, 64, 64

    def __init__(self, length):
        self.name, self.length = f"nprf {length}", length

    def text(self):
        return toeplitz.attention(self.length, self.features, self.channels, self.heads, False)

    def shapes(self):
        rows = (1, self.heads, self.length, self.features)
        return {"q": rows, "k": rows, "v": (1, self.heads, self.length, self.channels), "c": (self.heads, 2 * self.length - 1)}


class Model:
    dtype = "f32"

    def __init__(self, name, shape, folder):
        self.model, self.name, self.file = name, f"{name} {shape}", folder / f"{name}.onnx"
        self.inputs = folder / name / shape / "inputs"


def cases(models):
    yield from (Gemm(size) for size in (4096, 8192))
    for depth in (64, 128):
        for length in (4096, 8192, 16384):
            yield from (Attention(variant, length, depth) for variant in ("plain", "causal"))
    yield from (Attention(variant, 4096, 64) for variant in ("alibi", "window", "documents", "t5"))
    yield from (Attention("plain", length, 128, queries=1, heads=32, key_heads=8) for length in (4096, 32768))
    yield Nprf(16384)
    if models:
        yield from (Model(name, shape, models) for name, shape in MODELS.items())


#===----------------------------------------------------------------------------===#
# Tenon
#===----------------------------------------------------------------------------===#


def source(case, folder):
    """The file Tenon compiles."""
    if isinstance(case, Model):
        return case.file
    file = folder / (case.name.replace(" ", "-") + ".mlir")
    file.write_text(case.text())
    return file


def compiled(case, folder, options):
    file = source(case, folder)
    artifact = folder / file.with_suffix(".tenon").name
    subprocess.run([options.build / "bin" / "tenon", "compile", file, f"--target={options.level}", "-o", artifact, "--quiet"], check=True)
    return artifact


def compile_all(chosen, options):
    """Artifacts, and a table of their kernels. No GPU has part in it."""
    folder = options.compile_only
    folder.mkdir(parents=True, exist_ok=True)
    print("| case | kernel | form | threads |\n|---|---|---|---|")
    for case in chosen:
        artifact = compiled(case, folder, options)
        lowered = assembled.compiled(options.build / "bin" / "tenon", source(case, folder), options.level, "mlir@lower")
        for kernel in assembled.kernels_of(lowered).values():
            print(f"| {case.name} | {kernel.name} | {kernel.form} | {kernel.threads} |")
        print(f"{artifact.name}: {artifact.stat().st_size} bytes", file=sys.stderr)


class Tenon:
    name = "tenon"

    def __init__(self, case, arrays, folder, options):
        from tenon import InferenceSession

        self.session = InferenceSession(compiled(case, folder, options), level=options.level)
        self.session.bind(arrays)
        self.session.execute()

    def whole(self):
        started = time.perf_counter()
        self.session.execute()
        return time.perf_counter() - started

    def device(self):
        return None

    def outputs(self):
        return self.session.outputs()


#===----------------------------------------------------------------------------===#
# Measuring
#===----------------------------------------------------------------------------===#


def lacking(options):
    """What this machine lacks for the level; empty if it has it."""
    done = subprocess.run([options.build / "bin" / "tenon", "doctor", "--json"], capture_output=True, text=True, check=True)
    return next(each["lacks"] for each in json.loads(done.stdout)["levels"] if each["name"] == options.level)


def measure(case, options, folder):
    import gpu_peers

    problem = gpu_peers.Problem(case)
    engines, notes = [Tenon(case, problem.arrays, folder, options)], []
    for make in gpu_peers.engines(case):
        try:
            engines.append(make(problem))
        except (ImportError, RuntimeError, NotImplementedError) as error:
            notes.append(f"{make.name}: {str(error).splitlines()[0]}")
    for engine in engines:
        error = problem.error(engine.outputs())
        if not error <= LARGEST_ERROR[case.dtype]:
            raise SystemExit(f"{case.name}: {engine.name} differs by {error:.1e}, wanted at most {LARGEST_ERROR[case.dtype]:.0e}")
    times = {engine.name: {"whole": [], "device": []} for engine in engines}
    for _ in range(TURNS):
        for engine in engines:
            times[engine.name]["whole"].append(engine.whole())
            times[engine.name]["device"].append(engine.device())
    median = lambda values: None if None in values else 1e3 * statistics.median(values)
    return {"case": case.name, "notes": notes,
            "milliseconds": {name: {kind: median(values) for kind, values in both.items()} for name, both in times.items()}}


def table(result):
    """A run as Markdown: whole milliseconds, those on the device in brackets, and Tenon against the best peer."""
    engines = list(dict.fromkeys(name for run in result["runs"] for name in run["milliseconds"]))
    lines = [f"{result['gpu']}, {result['level']}, commit {result['commit']}. Milliseconds from host to host; in brackets on the GPU alone.", "",
             "| case | " + " | ".join(engines) + " | tenon against the best peer |", "|---|" + "---|" * (len(engines) + 1)]
    for run in result["runs"]:
        times = run["milliseconds"]
        cells = []
        for name in engines:
            whole, device = (times[name]["whole"], times[name]["device"]) if name in times else (None, None)
            cells.append("" if whole is None else f"{whole:.3g}" + ("" if device is None else f" ({device:.3g})"))
        others = [each["whole"] for name, each in times.items() if name != "tenon"]
        ratio = f"{min(others) / times['tenon']['whole']:.2f}x" if others and "tenon" in times else ""
        lines.append(f"| {run['case']} | " + " | ".join(cells) + f" | {ratio} |")
    lines += ["", *(f"{run['case']}: {note}" for run in result["runs"] for note in run["notes"])]
    return "\n".join(lines).rstrip() + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build" / "release", type=pathlib.Path)
    parser.add_argument("--level", default="nvptx-sm_90a", choices=list(assembled.MULTIPROCESSORS))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases whose names begin so")
    parser.add_argument("--models", type=pathlib.Path, help="what export.py wrote; without it no models")
    parser.add_argument("--json", type=pathlib.Path, help="where the times go")
    parser.add_argument("--compile-only", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--table", type=pathlib.Path, metavar="FILE")
    return parser.parse_args()


def run(chosen, options):
    import gpu_peers

    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    result = {"gpu": gpu_peers.gpu_name(), "level": options.level, "commit": commit, "runs": []}
    with tempfile.TemporaryDirectory() as folder:
        for case in chosen:
            result["runs"].append(measure(case, options, pathlib.Path(folder)))
            print(json.dumps(result["runs"][-1]), file=sys.stderr, flush=True)
            if options.json:
                options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result), end="")


def main():
    options = parse()
    os.environ.setdefault("TENON_RUNTIME", str(options.build / "lib" / "libtenon_rt.so.0"))
    if options.table:
        print(table(json.loads(options.table.read_text())), end="")
        return
    chosen = [case for case in cases(options.models) if not options.only or case.name.startswith(tuple(options.only))]
    if not chosen:
        sys.exit(f"no case begins with {' or '.join(options.only)}; there are: {', '.join(case.name for case in cases(options.models))}")
    if options.compile_only:
        compile_all(chosen, options)
    elif missing := lacking(options):
        print(f"no GPU: nothing was measured; this machine lacks {missing}")
    else:
        run(chosen, options)


if __name__ == "__main__":
    main()
