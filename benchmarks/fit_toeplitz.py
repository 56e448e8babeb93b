#!/usr/bin/env python3
"""Fit the cost model of Toeplitz products to measured times, and judge its choices on points it has not seen.

    benchmarks/fit_toeplitz.py benchmarks/results/toeplitz-zen4.json [--build build/release] [--write]
    benchmarks/fit_toeplitz.py benchmarks/results/toeplitz-zen5.json --beside

The grid that toeplitz.py measured is halved like a chess board over length, features and causality. On the white half each
rate of passes/fft_rpe/ToeplitzRates.def is corrected by the geometric mean of predicted over measured times; the other
half is judged: a choice is right where it is within 10 % of the best form. --write changes the file, which the compiler has in it.
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
REMARK = re.compile(r"([\d.]+) us a head by transforms of (\d+) points, ([\d.]+) us directly"
                    r"(?:, ([\d.]+) us in blocks of (\d+) rows by transforms of (\d+) points)?")
SPECTRA = "spectra"  # the rate of the products of blocks' spectra


def predict(build, run):
    """Adds the compiler's estimates in ms, the periods of transforms, and what of the estimate for blocks are products of spectra."""
    command = [str(pathlib.Path(build) / "bin" / "tenon-opt"), "-", "--tenon-choose-toeplitz-form", "--remark-format=emitRemark",
               "--remarks-filter-passed=.*", "--remarks-filter-missed=.*"]
    source = attention(run["n"], run["m"], CHANNELS, 1, run["causal"])
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    fft, period, direct, blocks, block, block_period = REMARK.search(done.stderr).groups()
    run["predicted"], run["period"] = {"fft": float(fft) / 1e3, "flash": float(direct) / 1e3}, {"fft": int(period)}
    if blocks:
        run["predicted"]["fft_blocks"], run["period"]["fft_blocks"] = float(blocks) / 1e3, int(block_period)
        run["products"] = products(run, -(-run["n"] // int(block)), int(block_period)) / 1e6 / rates()[SPECTRA]


def products(run, blocks, period):
    """Operations of the spectra's products, as ToeplitzCost.h counts them: two vectors of 16 channels a tile."""
    up = lambda count: -(-count // 32) * 32
    pairs = blocks * (blocks + 1) // 2 if run["causal"] else blocks ** 2
    return (up(CHANNELS) * run["m"] + up(run["m"])) / 2 * 8 * period * pairs


def rates():
    """By name, as the compiler has them."""
    return {match[2]: float(match[3]) for match in LINE.finditer(RATES.read_text())}


def with_predictions(build, grid):
    runs = json.loads(grid.read_text())["runs"]
    for run in runs:
        predict(build, run)
    return runs


def rate_of(form, run):
    """The line of the file that a prediction comes from; of blocks, that of their transforms."""
    if form == "flash":
        return "causal" if run["causal"] else "full"
    return str(max(512, 1 << (run["period"][form] - 1).bit_length()))


def corrected(form, run, factors):
    """A prediction by rates that are multiplied by factors."""
    by_rate = 1 / factors.get(rate_of(form, run), 1)
    if form != "fft_blocks":
        return run["predicted"][form] * by_rate
    return (run["predicted"][form] - run["products"]) * by_rate + run["products"] / factors.get(SPECTRA, 1)


def is_white(run):
    return (int(math.log2(run["n"])) + int(math.log2(run["m"])) + run["causal"]) % 2 == 0


def fitted(runs):
    """The rate's name -> predicted over measured, on the white half. That of the products of spectra is the one by which predictions
    for blocks are right in the mean, with the transforms' rates as they have been fitted."""
    logs = collections.defaultdict(list)
    white = [run for run in runs if is_white(run)]
    for run in white:
        for form in ("fft", "flash"):
            logs[rate_of(form, run)].append(math.log(run["predicted"][form] / run["ms"][form]))
    factors = {name: math.exp(sum(each) / len(each)) for name, each in logs.items()}
    inside = with_blocks(white)
    if not inside:
        return factors
    off = lambda factor: sum(math.log(corrected("fft_blocks", run, factors | {SPECTRA: factor}) / run["ms"]["fft_blocks"]) for run in inside)
    least, most = 0.01, 100.0
    for _ in range(60):
        middle = math.sqrt(least * most)
        least, most = (middle, most) if off(middle) > 0 else (least, middle)
    return factors | {SPECTRA: middle}


def with_blocks(runs):
    return [run for run in runs if "fft_blocks" in run["predicted"] and "fft_blocks" in run["ms"]]


def beside(runs, factors):
    """What a grid of another machine than that of the rates says of the products of spectra: how they stand to transforms there."""
    transforms = [math.log(factors[rate_of("fft_blocks", run)]) for run in with_blocks(runs) if is_white(run)]
    return {SPECTRA: factors[SPECTRA] / math.exp(sum(transforms) / len(transforms))}


def judge(runs, factors, what):
    """Prints and returns the share of choices within 10 % of the best form."""
    right, best = 0, collections.Counter()
    for run in runs:
        times = {form: corrected(form, run, factors) for form in run["predicted"] if form in run["ms"]}
        choice, better = min(times, key=times.get), min(run["ms"], key=run["ms"].get)
        best[better] += 1
        loss = run["ms"][choice] / run["ms"][better]
        right += loss <= 1.1
        if loss > 1.1:
            print(f"  n {run['n']}, m {run['m']}{', causal' * run['causal']}: takes {choice}, {loss:.2f} times {better}")
    print(f"{what}: {right} of {len(runs)} within 10 % of the best form; best are " +
          ", ".join(f"{form} {count}" for form, count in sorted(best.items())))
    return right / len(runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=pathlib.Path)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--beside", action="store_true", help="the grid is another machine's: fit the products of spectra beside transforms")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    runs = with_predictions(options.build, options.grid)
    black = [run for run in runs if not is_white(run)]
    judge(black, {}, "as the compiler is, the black half")
    factors = beside(runs, fitted(runs)) if options.beside else fitted(runs)
    share = judge(black, factors, "fitted on the white half, the black half")
    text = LINE.sub(lambda m: f"{m[1]}{m[2]}, {float(m[3]) * factors.get(m[2], 1):.1f})", RATES.read_text())
    print("\n".join(m[0] for m in LINE.finditer(text)))
    if options.write:
        RATES.write_text(text)
    return 0 if share >= 0.9 else 1


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
