#!/usr/bin/env python3
"""NPRF attention in each of its forms: milliseconds of one thread, float32, and what ChooseToeplitzForm takes.

    benchmarks/toeplitz.py [--build build/release] [--lengths 512,2048] [--features 16,64] [--channels 64] [--heads 1]

Forms run in turns in one process; of each the fastest round counts.
"""

import argparse
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
    """"fft" or "flash", as the pass writes it."""
    from native import BUILD
    source = attention(*what)
    done = subprocess.run([str(BUILD / "bin" / "tenon-opt"), "-", "--tenon-choose-toeplitz-form"], input=source,
                          capture_output=True, text=True, check=True)
    return "fft" if "algorithm fft" in done.stdout else "flash"


def measure(rounds, *what):
    length, features, channels, heads, _ = what
    rng = np.random.default_rng(1)
    draw = lambda *shape: rng.uniform(0.5, 1, shape).astype(np.float32)
    inputs = {"q": draw(1, heads, length, features), "k": draw(1, heads, length, features),
              "v": draw(1, heads, length, channels), "c": draw(heads, 2 * length - 1)}
    forms = {name: Form(name, inputs, *what) for name in ("flash", "fft")}
    best = dict.fromkeys(forms, math.inf)
    for _ in range(rounds):
        for name, form in forms.items():
            best[name] = min(best[name], form.seconds())
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--lengths", default="256,512,1024,2048,4096,8192")
    parser.add_argument("--features", default="16,64")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--heads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ["TENON_BUILD"] = options.build
    print("| n | features | causal | flash ms | fft ms | chosen | of the best |\n|---|---|---|---|---|---|---|")
    for features in map(int, options.features.split(",")):
        for length in map(int, options.lengths.split(",")):
            for causal in (False, True):
                what = length, features, options.channels, options.heads, causal
                best, choice = measure(options.rounds, *what), chosen(*what)
                print(f"| {length} | {features} | {'yes' if causal else 'no'} | {best['flash'] * 1e3:.2f} | {best['fft'] * 1e3:.2f} "
                      f"| {choice} | {best[choice] / min(best.values()):.2f} |", flush=True)


if __name__ == "__main__":
    main()
