#!/usr/bin/env python3
"""NPRF attention in each of its forms: milliseconds of one thread, float32, and what ChooseToeplitzForm takes.

    benchmarks/toeplitz.py --json FILE [--build build/release] [--lengths 512,2048] [--features 16,64] [--minutes 10]

One head of 64 channels, bidirectional and causal; forms: flash attention, transforms of all rows, transforms of blocks. Forms run in turns in one process; of each the fastest round counts.
Points that FILE has are not measured again, each is written when it is done, and after --minutes the rest waits for another
call. fit_toeplitz.py fits the cost model to FILE and judges it.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from mlir_text import entry, tensor  # noqa: E402


def attention(length, features, channels, heads, causal, algorithm=""):
    q, v, c = tensor(1, heads, length, features), tensor(1, heads, length, channels), tensor(heads, 2 * length - 1)
    layouts = ", ".join(['"b h n d"'] * 4)
    body = (f"  %y = tenon.attention %q, (%k), (%v) captures (%c) normalise sum empty zero layout [{layouts}] "
            f"{f'algorithm {algorithm}' if algorithm else ''} : ({q}, {q}, {v}, {c}) -> {v}\n"
            f"    score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + {length - 1}]\n"
            + ("    keep (%b, %h, %i, %j, %c) = %j <= %i\n" if causal else ""))
    return entry({"q": q, "k": q, "v": v, "c": c}, {"y": v}, body, {})


CHANNELS = 64
FORMS = ("flash", "fft", "fft_blocks")


class Form:
    def __init__(self, algorithm, inputs, *what):
        from native import Program, levels
        from tenon import InferenceSession
        self.program = Program(attention(*what, algorithm))
        self.session = InferenceSession(self.program.artifact, threads=1, level=levels()[-1])
        self.session.bind(inputs)

    def seconds(self):
        start = time.perf_counter()
        self.session.execute()
        return time.perf_counter() - start


def chosen(*what):
    """One of FORMS, as the pass writes it."""
    from native import BUILD
    source = attention(*what)
    done = subprocess.run([str(BUILD / "bin" / "tenon-opt"), "-", "--tenon-choose-toeplitz-form"], input=source,
                          capture_output=True, text=True, check=True)
    return next((name for name in reversed(FORMS) if f"algorithm {name}" in done.stdout), "flash")


def measure(rounds, longest, *what):
    length, features, channels, heads, _ = what
    rng = np.random.default_rng(1)
    draw = lambda *shape: rng.uniform(0.5, 1, shape).astype(np.float32)
    inputs = {"q": draw(1, heads, length, features), "k": draw(1, heads, length, features),
              "v": draw(1, heads, length, channels), "c": draw(heads, 2 * length - 1)}
    forms = {name: Form(name, inputs, *what) for name in FORMS}
    best, spent = dict.fromkeys(forms, math.inf), dict.fromkeys(forms, 0.0)
    for number in range(rounds):
        for name, form in forms.items():
            if number and spent[name] > longest:
                continue
            seconds = form.seconds()
            spent[name] += seconds
            best[name] = min(best[name], seconds)
    return best


def points(lengths, features):
    return [(n, m, causal) for n in lengths for m in features for causal in (False, True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--lengths", default="256,512,1024,2048,4096,8192,16384,32768")
    parser.add_argument("--features", default="16,32,64,128")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longest", type=float, default=60, help="seconds of a form after which it takes no further turn")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", type=pathlib.Path, required=True)
    options = parser.parse_args()
    os.environ["TENON_BUILD"] = options.build
    runs = json.loads(options.json.read_text())["runs"] if options.json.exists() else []
    done = {(run["n"], run["m"], run["causal"]) for run in runs}
    wanted = points(map(int, options.lengths.split(",")), [int(m) for m in options.features.split(",")])
    left = [point for point in wanted if point not in done]
    end = time.monotonic() + 60 * options.minutes
    for number, (n, m, causal) in enumerate(left):
        if time.monotonic() > end:
            print(f"{len(left) - number} of {len(wanted)} points are left: call again")
            return
        best = measure(options.rounds, options.longest, n, m, CHANNELS, 1, causal)
        runs.append({"n": n, "m": m, "causal": causal, "ms": {form: round(1e3 * s, 4) for form, s in best.items()}})
        options.json.write_text(json.dumps({"runs": runs}, indent=1) + "\n")
        print(f"[{len(wanted) - len(left) + number + 1}/{len(wanted)}] n {n}, m {m}{', causal' * causal}: "
              + ", ".join(f"{form} {1e3 * s:.2f} ms" for form, s in best.items()), flush=True)


if __name__ == "__main__":
    main()
