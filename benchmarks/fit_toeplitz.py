#!/usr/bin/env python3
"""Fit the cost model of Toeplitz products to measured times, and judge its choices on points it has not seen.

    benchmarks/fit_toeplitz.py benchmarks/results/toeplitz-zen4.json [--build build/release] [--write]

The grid that toeplitz.py measured is halved like a chess board over length, features and causality. On the white half each
rate of passes/fft_rpe/ToeplitzRates.def is corrected by the geometric mean of predicted over measured times; the other
half is judged: a choice is right where it is within 10 % of the better form. --write changes the file, which the compiler has in it.
The predictions are the compiler's own, read from the remarks of ChooseToeplitzForm.
"""

import argparse
import collections
import json
import math
import os
import pathlib
import re
import subprocess
import sys

from toeplitz import CHANNELS, ROOT, attention

RATES = ROOT / "passes" / "fft_rpe" / "ToeplitzRates.def"
LINE = re.compile(r"^(TENON_\w+_RATE\()(\w+), ([\d.]+)\)$", re.MULTILINE)
REMARK = re.compile(r"([\d.]+) us a head by transforms of (\d+) points, ([\d.]+) us directly")


def predicted(build, run):
    """The compiler's estimates in ms, and the period of the transforms."""
    command = [str(pathlib.Path(build) / "bin" / "tenon-opt"), "-", "--tenon-choose-toeplitz-form", "--remark-format=emitRemark",
               "--remarks-filter-passed=.*", "--remarks-filter-missed=.*"]
    source = attention(run["n"], run["m"], CHANNELS, 1, run["causal"])
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    fft, period, direct = REMARK.search(done.stderr).groups()
    return {"fft": float(fft) / 1e3, "flash": float(direct) / 1e3}, int(period)


def with_predictions(build, grid):
    runs = json.loads(grid.read_text())["runs"]
    for run in runs:
        run["predicted"], run["period"] = predicted(build, run)
    return runs


def rate_of(form, run, period):
    """The line of the file that a prediction comes from."""
    if form == "flash":
        return "causal" if run["causal"] else "full"
    return str(1 << (period - 1).bit_length())


def is_white(run):
    return (int(math.log2(run["n"])) + int(math.log2(run["m"])) + run["causal"]) % 2 == 0


def fitted(runs):
    """The rate's name -> predicted over measured, on the white half."""
    logs = collections.defaultdict(list)
    for run in filter(is_white, runs):
        for form in ("fft", "flash"):
            logs[rate_of(form, run, run["period"])].append(math.log(run["predicted"][form] / run["ms"][form]))
    return {name: math.exp(sum(each) / len(each)) for name, each in logs.items()}


def judge(runs, factors, what):
    """Prints and returns the share of choices within 10 % of the better form."""
    right, best = 0, collections.Counter()
    for run in runs:
        times = {form: run["predicted"][form] / factors.get(rate_of(form, run, run["period"]), 1) for form in ("fft", "flash")}
        choice, better = min(times, key=times.get), min(run["ms"], key=run["ms"].get)
        best[better] += 1
        loss = run["ms"][choice] / run["ms"][better]
        right += loss <= 1.1
        if loss > 1.1:
            print(f"  n {run['n']}, m {run['m']}{', causal' * run['causal']}: takes {choice}, {loss:.2f} times the better")
    print(f"{what}: {right} of {len(runs)} within 10 % of the better form; best are " +
          ", ".join(f"{form} {count}" for form, count in sorted(best.items())))
    return right / len(runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=pathlib.Path)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    runs = with_predictions(options.build, options.grid)
    black = [run for run in runs if not is_white(run)]
    judge(black, {}, "as the compiler is, the black half")
    factors = fitted(runs)
    share = judge(black, factors, "fitted on the white half, the black half")
    text = LINE.sub(lambda m: f"{m[1]}{m[2]}, {float(m[3]) * factors.get(m[2], 1):.1f})", RATES.read_text())
    print("\n".join(m[0] for m in LINE.finditer(text)))
    if options.write:
        RATES.write_text(text)
    return 0 if share >= 0.9 else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
