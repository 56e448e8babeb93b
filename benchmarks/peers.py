#!/usr/bin/env python3
"""Tenon and its peers on the same model files, in the same minutes.

    build/venv/bin/pip install onnxruntime==1.31.1 openvino==2026.4.1
    build/venv/bin/python benchmarks/peers.py --models DIR [--with-torch PYTHON]

DIR is what benchmarks/export.py wrote; Tenon's artifacts are compiled from the
same ONNX files by build/release/bin/tenon. Each engine runs in a process of its
own and is stopped (SIGSTOP) while another has its turn, so nothing spins beside
a measurement. Turns go round in rotating order; the machine's FMA peak and read
rates are measured between them. Outputs are compared with PyTorch's float64
before anything is timed. Everything, raw times included, goes to
benchmarks/results/NAME.json, the table to NAME.md.

--dtype bf16 compares products in bf16 with OpenVINO's; ONNX Runtime has none on
CPUs. Outputs must then point the same way as PyTorch's: cosine 0.999.

A peer more than 20 % slower than it should be on such a machine (EXPECTED,
scaled by the FMA peak) makes the run invalid: the file says so, exit status 1.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
TENON = ROOT / "build" / "release" / "bin" / "tenon"
RATES = ROOT / "build" / "release" / "bin" / "tenon-machine-rates"
CASES = [
    ("minilm", "1x16"), ("minilm", "1x128"), ("minilm", "8x128"),
    ("bert-base", "1x128"), ("bert-base", "1x512"), ("vit-b16", "1x224"), ("gpt2", "1x512"), ("t5-small", "1x512"),
    ("swin-t", "1x224"), ("whisper-tiny", "1x3000"), ("llama-2048x8", "1x512"),
    ("resnet-50", "1x224"), ("mobilenet-v2", "1x224"), ("convnext-t", "1x224"),
    ("deberta-v3", "1x128"), ("segformer-b0", "1x256"), ("conformer", "1x200"),
    ("pvt-v2-b0", "1x224"), ("mobilevit-s", "1x256"), ("gpt2-step", "1x512"), ("beit-b16", "1x224"),
    ("swiftformer-xs", "1x224"), ("qwen3-moe", "1x1"), ("qwen3-moe", "1x64"),
]
# Milliseconds of the better of ONNX Runtime and OpenVINO on a machine whose
# FMA peak was EXPECTED_PEAK GFLOP/s a core: threads -> (model, case) -> ms.
EXPECTED_PEAK = 220.0
EXPECTED = {
    1: {("minilm", "1x128"): 22.3, ("bert-base", "1x128"): 157.0, ("vit-b16", "1x224"): 232.0},
    2: {("minilm", "1x128"): 12.5, ("bert-base", "1x128"): 83.0, ("vit-b16", "1x224"): 123.0},
}
FLAGS = "avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 amx_tile amx_bf16 amx_int8".split()
LARGEST_ERROR = 1e-4  # of a float32 engine against float64, relative to the largest output
LEAST_COSINE = 0.999  # of a bf16 engine


class Worker:
    """An engine's process, running only between `with` and its end."""

    def __init__(self, engine, model, case, threads, python):
        self.engine = engine
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            [python, HERE / "worker.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.seconds = []
        loaded = self.ask({"do": "load", "engine": engine, "model": str(model), "case": str(case), "threads": threads})
        self.version, self.load_seconds = loaded["version"], loaded["seconds"]
        self.pause()

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.engine}: the process ended at {request}")
        return json.loads(answer)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def __enter__(self):
        self.process.send_signal(signal.SIGCONT)
        return self

    def __exit__(self, *_):
        self.pause()

    def turn(self, seconds):
        """One untimed run, then as many as fit into `seconds`, two at least."""
        with self:
            first = self.ask({"do": "time", "count": 1})["seconds"][0]
            count = max(2, min(200, round(seconds / first)))
            self.seconds += self.ask({"do": "time", "count": count})["seconds"]

    def stop(self):
        self.process.kill()
        self.process.wait()


def gflop(model, case, options):
    """What `tenon explain` counts for these inputs: every operation of the model, masked ones too."""
    source = options.models / f"{model}.onnx"
    command = [TENON, "explain", "--json", source]
    inputs = {f.stem: np.load(f, mmap_mode="r").shape for f in (options.models / model / case / "inputs").glob("*.npy")}
    entry = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["entries"][0]
    sizes = {}
    for tensor in entry["inputs"]:
        dims = tensor["type"].partition("[")[2].rstrip("]").split(", ")
        sizes |= {d: n for d, n in zip(dims, inputs[tensor["name"]]) if not d.isdigit()}
    for name, size in sizes.items():
        command += ["--dim", f"{name}={size}"]
    entry = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["entries"][0]
    return sum(c["flop"]["value"] for c in entry["commands"] if "flop" in c) / 1e9


def measure_peak(threads, best, sizes=()):
    """The best of what tenon-machine-rates finds and has found; also of reading buffers of `sizes` bytes."""
    command = [RATES, *map(str, (threads, *sizes))]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for key, value in found.items():
        best[key] = max(best.get(key, 0), value)


def agrees(found, wanted, error):
    if os.environ.get("PEERS_DTYPE", "f32") == "f32":
        return error <= LARGEST_ERROR * np.abs(wanted).max()
    return (found * wanted).sum() >= LEAST_COSINE * np.linalg.norm(found) * np.linalg.norm(wanted)


def compare(worker, case, folder):
    """Largest error of each output against PyTorch's float64."""
    out = folder / worker.engine
    with worker:
        worker.ask({"do": "save", "folder": str(out)})
    errors = {}
    for file in sorted((case / "outputs").glob("*.npy")):
        wanted = np.load(file)
        if not (out / file.name).exists():
            raise SystemExit(f"{worker.engine}: {case}: no output {file.stem}")
        found = np.load(out / file.name)
        error = float(np.abs(found - wanted).max())
        if not agrees(found.astype(np.float64), wanted, error):
            raise SystemExit(f"{worker.engine}: {case}: output {file.stem} is off by {error:.3g}")
        errors[file.stem] = error
    return errors


def compiled(model, options):
    """The model's artifact, compiled again when the compiler or the model is newer."""
    suffix = "" if options.dtype == "f32" else f"-{options.dtype}"
    artifact, source = options.artifacts / f"{model}{suffix}.tenon", options.models / f"{model}.onnx"
    newest = max(f.stat().st_mtime for f in (TENON, source))
    if not artifact.exists() or artifact.stat().st_mtime < newest:
        options.artifacts.mkdir(parents=True, exist_ok=True)
        subprocess.run([TENON, "compile", source, "-o", artifact, f"--dtype={options.dtype}"], check=True)
    return artifact


def start(engine, model, case, threads, options):
    python = options.with_torch if engine == "torch.compile" else sys.executable
    file = compiled(model, options) if engine == "tenon" else options.models / f"{model}.onnx"
    return Worker(engine, file, case, threads, python)


def run_case(model, name, threads, options, peak, scratch):
    """All engines on one case, turn by turn; one record per engine."""
    case = options.models / model / name
    workers = [start(e, model, case, threads, options) for e in options.engines]
    records = []
    try:
        errors = [compare(w, case, scratch / f"{model}-{name}-{threads}") for w in workers]
        for r in range(options.rounds):
            if r % 5 == 0:
                measure_peak(threads, peak)
            for k in range(len(workers)):
                workers[(r + k) % len(workers)].turn(options.seconds)
    finally:
        for w in workers:
            w.stop()
    work = gflop(model, name, options)
    for w, error in zip(workers, errors):
        median = statistics.median(w.seconds)
        records.append({
            "model": model, "case": name, "threads": threads, "engine": w.engine, "version": w.version, "gflop": work,
            "median_ms": median * 1e3, "best_ms": min(w.seconds) * 1e3, "load_seconds": w.load_seconds,
            "error": error, "seconds": [round(s, 7) for s in w.seconds],
        })
        print(f"{model} {name} {threads} thread(s) {w.engine:18} {median * 1e3:9.3f} ms", file=sys.stderr, flush=True)
    return records


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    value = lambda key: next((l.split(":", 1)[1].strip() for l in info.splitlines() if l.startswith(key)), "")
    flags = set(value("flags").split())
    return {
        "cpu": value("model name") or platform.processor(), "family": value("cpu family"), "number": value("model\t"),
        "flags": [f for f in FLAGS if f in flags], "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True).stdout.strip()


def best_peer(records, key):
    peers = [r for r in records if (r["model"], r["case"], r["threads"]) == key
             and r["engine"].startswith(("onnxruntime", "openvino"))]
    return min(peers, key=lambda r: r["median_ms"], default=None)


def faults(records, peaks):
    """Why this run must not be believed: peers slower than they are elsewhere."""
    for threads, expected in EXPECTED.items():
        for (model, case), ms in expected.items():
            peer = best_peer(records, (model, case, threads))
            if peer is None:
                continue
            wanted = ms * EXPECTED_PEAK * threads / peaks[str(threads)]["fma"]
            if peer["median_ms"] > 1.2 * wanted:
                yield (f"{model} {case}, {threads} thread(s): {peer['engine']} took {peer['median_ms']:.1f} ms, "
                       f"wanted at most 1.2 x {wanted:.1f} ms")


def table(result):
    """The run as Markdown: medians, best peer and share of the FMA peak."""
    engines = list(dict.fromkeys(r["engine"] for r in result["runs"]))
    m = result["machine"]
    lines = [f"# {result['name']}", "",
             f"{m['cpu']}, {m['cores']} cores, {' '.join(m['flags'])}. Commit {result['commit'][:12]}"
             f"{' with changes' if result['dirty'] else ''}, {result['date']}.",
             "Versions: " + ", ".join(f"{k} {v}" for k, v in result["versions"].items()) + ".", ""]
    for threads, p in ((t, p) for t, p in result["peaks"].items() if p):
        lines.append(f"{threads} thread(s): FMA peak {p['fma']:.0f} GFLOP/s; reads: L2 {p['read_l2']:.0f}, "
                     f"32 MiB {p['read_32m']:.0f}, 512 MiB {p['read_512m']:.0f} GB/s.")
    lines += ["", "Medians in ms; in brackets the share of the FMA peak.", "",
              "| model | threads | " + " | ".join(engines) + " | tenon against the better peer |",
              "|---|---|" + "---|" * (len(engines) + 1)]
    keys = list(dict.fromkeys((r["model"], r["case"], r["threads"]) for r in result["runs"]))
    for key in keys:
        runs = [r for r in result["runs"] if (r["model"], r["case"], r["threads"]) == key]
        of = {r["engine"]: r["median_ms"] for r in runs}
        peak = result["peaks"][str(key[2])]["fma"]
        share = lambda ms: runs[0]["gflop"] / ms * 1e3 / peak * 100
        cells = [f"{of[e]:.2f} ({share(of[e]):.0f} %)" if e in of else "" for e in engines]
        peer = best_peer(result["runs"], key)
        ratio = f"{peer['median_ms'] / of['tenon']:.2f}x" if peer and "tenon" in of else ""
        lines.append(f"| {key[0]} {key[1]} | {key[2]} | " + " | ".join(cells) + f" | {ratio} |")
    lines += ["", *("**Invalid:** " + f for f in result["faults"])]
    return "\n".join(lines).rstrip() + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=pathlib.Path, required=True, help="what export.py wrote")
    parser.add_argument("--artifacts", type=pathlib.Path, default=ROOT / "build" / "artifacts",
                        help="where compiled models go (default: build/artifacts)")
    parser.add_argument("--with-torch", metavar="PYTHON", help="a Python with export.py's environment")
    parser.add_argument("--without", nargs="*", default=[], help="engines to leave out")
    parser.add_argument("--cases", nargs="*", help="such as minilm/1x128 (default: all)")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one turn")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "results")
    parser.add_argument("--name", default=datetime.date.today().isoformat())
    options = parser.parse_args()
    options.engines = ["tenon", "onnxruntime", "openvino", "openvino-reshaped"]
    options.engines += ["torch.compile"] if options.with_torch else []
    if options.dtype != "f32":
        options.engines = ["tenon", "openvino", "openvino-reshaped"]
    os.environ["PEERS_DTYPE"] = options.dtype  # the workers read it
    options.engines = [e for e in options.engines if e not in options.without]
    return options


def write(options, records, peaks):
    """What is measured so far, as JSON and as a table, each put in place whole."""
    result = {
        "name": options.name, "date": datetime.datetime.now().isoformat(timespec="seconds"), "machine": machine(),
        "commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain")), "peaks": peaks,
        "versions": {r["engine"]: r["version"] for r in records}, "faults": list(faults(records, peaks)),
        "runs": records,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("json", json.dumps(result) + "\n"), ("md", table(result))):
        half = options.out / f"{options.name}.{suffix}.part"
        half.write_text(text)
        half.replace(options.out / f"{options.name}.{suffix}")
    return result


def main():
    options = parse()
    cases = [tuple(c.split("/")) for c in options.cases] if options.cases else CASES
    for model in dict.fromkeys(model for model, _ in cases):
        if "tenon" in options.engines:
            compiled(model, options)  # what does not compile is known before anything is timed
    records, peaks = [], {str(t): {} for t in options.threads}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for model, case in cases:
            for threads in options.threads:
                records += run_case(model, case, threads, options, peaks[str(threads)], scratch)
                result = write(options, records, peaks)
    print(table(result))
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
