#!/usr/bin/env python3
"""Batches of complex Fourier transforms beside FFTW, PyTorch (MKL) and SciPy: GFLOP/s of one thread, float32.

    benchmarks/fft.py [--build build/release] [--fftw libfftw3f.so.3] [--lengths 256,1000] [--json FILE]

An operation is one of 5 N log2 N. Everybody runs in turns, in the same process, in the layout that is best for it:
Tenon on [N, 2, batch]; FFTW (FFTW_MEASURE) on rows, on columns and on split columns, the best of them; PyTorch and SciPy
on rows. A peer that is not installed is left out. Of each the fastest of the rounds counts, for a machine others use.
"""

import argparse
import ctypes
import json
import math
import os
import pathlib
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from mlir_text import entry, tensor  # noqa: E402

LENGTHS = [64, 128, 256, 360, 512, 1000, 1009, 1024, 2048, 4096, 8192, 16384]


class TenonTransform:
    def __init__(self, length, batch):
        from native import Program, levels
        from tenon import InferenceSession
        kind = tensor(length, 2, batch)
        self.program = Program(entry({"x": kind}, {"y": kind}, f"  %y = tenon.fft %x length #tenon.dim<{length}> "
                                                               f"axis 0 parts 1 : {kind} -> {kind}", {}))
        self.session = InferenceSession(self.program.artifact, threads=1, level=levels()[-1])
        self.x = np.random.default_rng(1).standard_normal((length, 2, batch)).astype(np.float32)
        self.session.bind({"x": self.x})

    def run(self):
        self.session.execute()


class FFTW:
    """fftwf_plan_many_dft for rows or columns, fftwf_plan_guru_split_dft for split columns."""

    class Dim(ctypes.Structure):
        _fields_ = [("n", ctypes.c_int), ("is_", ctypes.c_int), ("os", ctypes.c_int)]

    def __init__(self, library, layout, length, batch):
        self.library = library
        self.x = np.zeros(2 * length * batch, np.float32)
        self.y = np.zeros_like(self.x)
        address = lambda array, offset=0: ctypes.c_void_p(array.ctypes.data + 4 * offset)
        measure = 0
        if layout == "split":
            dims, many = self.Dim(length, 2 * batch, 2 * batch), self.Dim(batch, 1, 1)
            library.fftwf_plan_guru_split_dft.restype = ctypes.c_void_p
            plan = library.fftwf_plan_guru_split_dft(1, ctypes.byref(dims), 1, ctypes.byref(many), address(self.x),
                                                     address(self.x, batch), address(self.y), address(self.y, batch), measure)
        else:
            stride, distance = (1, length) if layout == "rows" else (batch, 1)
            library.fftwf_plan_many_dft.restype = ctypes.c_void_p
            n = ctypes.c_int(length)
            plan = library.fftwf_plan_many_dft(1, ctypes.byref(n), batch, address(self.x), None, stride, distance,
                                               address(self.y), None, stride, distance, -1, measure)
        self.plan = ctypes.c_void_p(plan)
        self.x[:] = np.random.default_rng(1).standard_normal(self.x.shape)

    def run(self):
        self.library.fftwf_execute(self.plan)


class Torch:
    def __init__(self, length, batch):
        import torch
        torch.set_num_threads(1)
        self.torch, self.x = torch, torch.randn(batch, length, dtype=torch.complex64)
        self.y = torch.empty_like(self.x)

    def run(self):
        self.torch.fft.fft(self.x, out=self.y)


class SciPy:
    def __init__(self, length, batch):
        import scipy.fft
        self.fft = scipy.fft.fft
        rng = np.random.default_rng(1)
        self.x = (rng.standard_normal((batch, length)) + 1j * rng.standard_normal((batch, length))).astype(np.complex64)

    def run(self):
        self.fft(self.x, workers=1)


def contestants(library, length, batch):
    made = {"tenon": TenonTransform(length, batch)}
    if library:
        for layout in ("rows", "columns", "split"):
            made[f"fftw {layout}"] = FFTW(library, layout, length, batch)
    for name, kind in (("torch", Torch), ("scipy", SciPy)):
        try:
            made[name] = kind(length, batch)
        except ImportError:
            pass
    return made


def measure(length, rounds):
    batch = max(32, 131072 // length // 16 * 16)
    everybody = contestants(measure.library, length, batch)
    best = dict.fromkeys(everybody, math.inf)
    for who in everybody.values():
        who.run()
    for _ in range(rounds):
        for name, who in everybody.items():
            calls = 3
            start = time.perf_counter()
            for _ in range(calls):
                who.run()
            best[name] = min(best[name], (time.perf_counter() - start) / calls)
    operations = 5 * length * math.log2(length) * batch
    rates = {name: operations / seconds * 1e-9 for name, seconds in best.items()}
    fftw = [rate for name, rate in rates.items() if name.startswith("fftw")]
    row = {"N": length, "batch": batch, "tenon": rates["tenon"], "fftw": max(fftw, default=0.0),
           "torch": rates.get("torch", 0.0), "scipy": rates.get("scipy", 0.0)}
    row["ratio"] = row["tenon"] / max(row["fftw"], row["torch"], row["scipy"], 1e-9)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--fftw", default="libfftw3f.so.3")
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json")
    options = parser.parse_args()
    os.environ["TENON_BUILD"] = options.build
    try:
        measure.library = ctypes.CDLL(options.fftw)
    except OSError:
        measure.library = None
    rows = []
    print("|     N | batch | Tenon | FFTW | PyTorch | SciPy | against the best |\n|---|---|---|---|---|---|---|")
    for length in map(int, options.lengths.split(",")):
        rows.append(measure(length, options.rounds))
        print("| {N} | {batch} | {tenon:.1f} | {fftw:.1f} | {torch:.1f} | {scipy:.1f} | {ratio:.2f} |".format(**rows[-1]), flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
