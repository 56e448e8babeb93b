#!/usr/bin/env python3
"""Write the tables of README.md and benchmarks/README.md from benchmarks/results.

    benchmarks/tables.py            # writes the pages again
    benchmarks/tables.py --check    # exit status 1, and their names, where pages are not what the results say

A table stands between two comments; the first names its kind and the results it
is made of (files of benchmarks/results, without .json):

    <!-- table models zen4-idle zen4-idle-earlier -->
    ...
    <!-- end of table -->

A row missing from the first file is taken from the next that has it.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PAGES = [ROOT / "README.md", HERE / "README.md"]
SECTION = re.compile(r"(<!-- table (\S+) ([^>]*?) -->\n).*?(<!-- end of table -->)", re.DOTALL)

MODELS = {
    "minilm": "MiniLM", "bert-base": "BERT-base", "vit-b16": "ViT-B/16", "gpt2": "GPT-2",
    "t5-small": "T5-small encoder", "swin-t": "Swin-T", "resnet-50": "ResNet-50",
    "mobilenet-v2": "MobileNet-V2", "convnext-t": "ConvNeXt-T", "whisper-tiny": "Whisper-tiny encoder",
    "llama-2048x8": "Llama stack, 2048 wide, 8 layers", "deberta-v3": "DeBERTa-v3-base",
    "qwen3-moe": "Qwen3-MoE, 2 layers", "segformer-b0": "SegFormer-B0", "conformer": "Conformer (wav2vec2-BERT), 4 layers",
    "pvt-v2-b0": "PVT-v2-B0", "mobilevit-s": "MobileViT-S", "gpt2-step": "GPT-2, 4 layers, a step behind",
    "beit-b16": "BEiT-B/16", "swiftformer-xs": "SwiftFormer-XS",
}


def read(name):
    return json.loads((HERE / "results" / f"{name}.json").read_text())


def three_digits(value):
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def rows(header, body):
    lines = [header, ["---"] * len(header), *body]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines).replace("| --- ", "|---").replace("--- |", "---|")


class Models:
    """Median milliseconds of whole models, by (model, case) and threads, as peers.py measured them."""

    def __init__(self, names):
        self.runs = {}  # (model, case) -> threads -> engine -> median in ms
        for result in map(read, names):
            here = {}
            for run in result["runs"]:
                case, engine = (run["model"], run["case"]), run["engine"].removesuffix("-reshaped")
                times = here.setdefault(case, {}).setdefault(run["threads"], {})
                times[engine] = min(times.get(engine, run["median_ms"]), run["median_ms"])
            self.runs = here | self.runs
        size = lambda shape: [int(dim) for dim in shape.split("x")]
        self.cases = sorted(self.runs, key=lambda case: (list(MODELS).index(case[0]), size(case[1])))

    def threads(self):
        return sorted({threads for case in self.runs.values() for threads in case})

    def ratio(self, case, threads):
        times = self.runs[case][threads]
        return min(times["onnxruntime"], times["openvino"]) / times["tenon"]

    def time(self, case, threads, engine):
        return three_digits(self.runs[case][threads][engine]) if engine in self.runs[case][threads] else ""

    def means(self):
        means = {t: statistics.geometric_mean(self.ratio(c, t) for c in self.cases) for t in self.threads()}
        return "Geometric mean of the ratios: " + ", ".join(
            f"{mean:.2f}x on {threads} thread{'s' * (threads > 1)}" for threads, mean in means.items()) + ".\n"


def model_name(case):
    return f"{MODELS[case[0]]} {case[1]}"


def models(names):
    """A row for each model and number of threads."""
    found = Models(names)
    body = [[model_name(case), str(threads), *(found.time(case, threads, e) for e in ("tenon", "onnxruntime", "openvino")),
             f"{found.ratio(case, threads):.2f}x"]
            for case in found.cases for threads in sorted(found.runs[case])]
    header = ["model", "threads", "Tenon", "ONNX Runtime", "OpenVINO, the better of dynamic and reshaped", "against the better peer"]
    return rows(header, body) + "\n" + found.means()


def summary(names):
    """A row for each model: one thread beside the peers, then two."""
    found = Models(names)
    body = [[model_name(case), *(found.time(case, 1, e) for e in ("tenon", "onnxruntime", "openvino")),
             f"{found.ratio(case, 1):.2f}x", found.time(case, 2, "tenon"), f"{found.ratio(case, 2):.2f}x"]
            for case in found.cases]
    header = ["model", "Tenon", "ONNX Runtime", "OpenVINO", "against the better", "Tenon, 2 threads", "against the better"]
    return rows(header, body) + "\n" + found.means()


def ratios(names):
    """A row for each model and number of threads: the ratio to the better peer in each run, and their median."""
    found = {name: Models([name]) for name in names}
    cases = list(dict.fromkeys(case for models in found.values() for case in models.cases))
    body = []
    for case in sorted(cases, key=lambda case: list(MODELS).index(case[0])):
        for threads in (1, 2):
            of = [m.ratio(case, threads) if threads in m.runs.get(case, {}) else None for m in found.values()]
            body.append([model_name(case), str(threads), *(f"{r:.2f}" if r else "" for r in of),
                         f"{statistics.median(r for r in of if r):.2f}"])
    times = [read(name)["date"].replace("T", " ")[5:16] for name in names]
    return rows(["model", "threads", *times, "median"], body)


def beside_torch(names):
    """Tenon beside torch.compile."""
    found = Models(names)
    body = [[model_name(case), str(threads), found.time(case, threads, "tenon"), found.time(case, threads, "torch.compile"),
             f"{times['torch.compile'] / times['tenon']:.2f}x"]
            for case in found.cases for threads, times in sorted(found.runs[case].items()) if "torch.compile" in times]
    return rows(["model", "threads", "Tenon", "torch.compile", "against it"], body)


def scans(names):
    """A row for each recurrence and length: Tenon, and the best of PyTorch's forms, eager and compiled."""
    body = []
    for case in (case for name in names for case in read(name)["cases"]):
        medians = {engine: statistics.median(times) for engine, times in case["milliseconds"].items()}
        ours = medians["tenon"]
        best = [min((ms for e, ms in medians.items() if e.startswith(kind)), default=None) for kind in ("eager", "compiled")]
        shown = [f"{three_digits(ms)} ({ms / ours:.1f}x)" if ms else "" for ms in best]
        body.append([case["case"], str(case["steps"]), str(case["threads"]), three_digits(ours), *shown])
    return rows(["recurrence", "steps", "threads", "Tenon", "PyTorch, eager", "torch.compile"], body)


ATTENTION = {"tenon": "Tenon", "torch.sdpa": "PyTorch SDPA", "torch.flex": "FlexAttention, compiled",
             "onnxruntime": "ONNX Runtime Attention", "onnxruntime-mha": "ONNX Runtime MultiHeadAttention", "openvino": "OpenVINO"}


def share_of_machine(run, peaks):
    """Of the FMA peak, or for decode of the rate at which a buffer of the cache's bytes is read."""
    peak = peaks[str(run["threads"])]
    if run["cache"]:
        return run["cache"] / run["best_ms"] / 1e6 / peak[f"read_{run['cache']}"]
    return run["flop"] / run["best_ms"] / 1e6 / peak["fma"]


def attention(names):
    """Least milliseconds of attention alone, as attention.py measured them."""
    body = []
    for result in map(read, names):
        cases = {}
        for run in result["runs"]:
            if run["right"]:
                case = (run["dtype"], run["case"], run["n"], run["sequences"])
                cases.setdefault(case, {})[run["engine"], run["threads"]] = run
        for (dtype, case, n, sequences), runs in cases.items():
            times = {engine: run["best_ms"] for (engine, threads), run in runs.items() if threads == 1}
            if "tenon" not in times:
                continue
            best = min((time for engine, time in times.items() if engine != "tenon"), default=None)
            share, two = share_of_machine(runs["tenon", 1], result["peaks"]), runs.get(("tenon", 2))
            body.append([f"{case} {n}" + f" x {sequences}" * (sequences > 1) + f" {dtype}" * (dtype != "f32"),
                         *(three_digits(times[e]) if e in times else "" for e in ATTENTION),
                         f"{share:.0%}" if dtype == "f32" or case == "decode" else "",
                         f"{best / times['tenon']:.2f}x" if best else "", three_digits(two["best_ms"]) if two else "",
                         f"{share_of_machine(two, result['peaks']) / share:.0%}" if two else ""])
    return rows(["", *ATTENTION.values(), "Tenon's share of the FMA peak, or of the read rate", "against the best peer",
                 "Tenon, 2 threads", "of the machine's scaling"], body)


def ragged(names):
    """Sentences of different lengths, as ragged.py measured them."""
    body = []
    for result in map(read, names):
        median = {run["way"]: run["median_ms"] for run in result["runs"]}
        body += [[way, three_digits(ms), f"{ms / median['tenon packed']:.2f}x"] for way, ms in median.items()]
    return rows(["", "ms", "against packed"], body)


FFT_HEADER = ["N", "batch", "Tenon", "Tenon, rows", "FFTW", "PyTorch (MKL)", "SciPy", "against the best", "rows against rows"]


def fft_cells(row):
    """Cells of a row: Tenon in its best layout and in rows, the best of each peer, the ratios."""
    best = {name: max(row[name].values(), default=0.0) for name in ("tenon", "fftw", "torch", "scipy")}
    peer = max(best["fftw"], best["torch"], best["scipy"], 1e-9)
    by_rows = max([row[name].get("rows", 0.0) for name in ("fftw", "torch", "scipy")] + [1e-9])
    cell = lambda name: f"{best[name]:.1f}" if best[name] else ""
    return [str(row["N"]), str(row["batch"]), cell("tenon"), f"{row['tenon']['rows']:.1f}", cell("fftw"), cell("torch"),
            cell("scipy"), f"{best['tenon'] / peer:.2f}x", f"{row['tenon']['rows'] / by_rows:.2f}x"]


def fft(names):
    """A row for each length, as fft.py prints them."""
    return rows(FFT_HEADER, [fft_cells(run) for name in names for run in read(name)["runs"]])


def nprf(names):
    """A row for each length, as nprf.py measured them."""
    peers = {"torch quadratic": "PyTorch, quadratic", "torch fft": "PyTorch, FFT", "jax fft": "JAX, FFT"}
    body = []
    for run in (run for name in names for run in read(name)["runs"]):
        times = run["milliseconds"]
        body.append([f"{run['n']}{', causal' * run['causal']}", run["form"], three_digits(times["tenon"]),
                     *(three_digits(times[peer]) if peer in times else "" for peer in peers),
                     f"{min(times[peer] for peer in peers if peer in times) / times['tenon']:.2f}x", f"{run['extra_mib']:.1f}"])
    return rows(["n", "Tenon takes", "Tenon", *peers.values(), "against the best peer", "Tenon's extra MiB"], body)


def arena(names):
    """A row for each attention and length: medians and memory, as long_range_arena.py measured them."""
    body = []
    for run in (run for name in names for run in read(name)["runs"]):
        ms = {who: statistics.median(times) for who, times in run["milliseconds"].items()}
        body.append([run["case"], str(run["tokens"]), three_digits(ms["tenon"]), three_digits(ms["torch"]),
                     f"{ms['torch'] / ms['tenon']:.2f}x", *(three_digits(run["mebibytes"][who]) for who in ("tenon", "torch"))])
    return rows(["attention", "tokens", "Tenon", "PyTorch", "against it", "Tenon, MiB", "PyTorch, MiB"], body)


def toeplitz(names):
    """The forms over lengths and features, as toeplitz.py measured them, in ms."""
    runs = {(run["n"], run["causal"], run["m"]): run["ms"] for name in names for run in read(name)["runs"]}
    features = sorted({m for _, _, m in runs})
    forms = {"flash": "flash", "fft": "fft", "fft_blocks": "blocks"}
    measured = [form for form in forms if all(form in ms for ms in runs.values())]
    cell = lambda ms: "" if ms is None else ", ".join(three_digits(ms[form]) for form in measured)
    body = [[f"{n}{', causal' * causal}", *(cell(runs.get((n, causal, m))) for m in features)]
            for n, causal in sorted({(n, causal) for n, causal, _ in runs})]
    return rows(["n", *(f"{m} features: {', '.join(forms[form] for form in measured)}" for m in features)], body)


KINDS = {"arena": arena, "fft": fft, "nprf": nprf, "toeplitz": toeplitz, "ragged": ragged, "attention": attention, "scans": scans, "models": models, "summary": summary, "beside-torch": beside_torch,
         "ratios": ratios}


def written(text):
    return SECTION.sub(lambda m: m[1] + KINDS[m[2]](m[3].split()) + m[4], text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    stale = [page for page in PAGES if written(page.read_text()) != page.read_text()]
    for page in stale:
        if options.check:
            print(f"{page.relative_to(ROOT)}: its tables are not what benchmarks/results says; run benchmarks/tables.py")
        else:
            page.write_text(written(page.read_text()))
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
