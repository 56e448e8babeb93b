#!/usr/bin/env python3
"""Batches of complex Fourier transforms beside FFTW, PyTorch (MKL) and SciPy: GFLOP/s of one thread, float32.

    benchmarks/fft.py [--build build/release] [--fftw libfftw3f.so.3] [--lengths 256,1000] [--json FILE]

An operation is one of 5 N log2 N. Everybody runs in turns, in the same process, in the layout that is best for it, of

    rows      [batch, N, 2]              Tenon, FFTW, PyTorch, SciPy
    columns   [N, 2, batch]              Tenon, FFTW (also with the pair innermost)
    blocks    [batch / 16, N, 2, 16]     Tenon, FFTW

FFTW plans with FFTW_MEASURE. A peer that is not installed is left out. A turn is one call to have the numbers in the cache
again and five that count; of the rounds the fastest counts, for a machine others use.
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
from tables import FFT_HEADER, fft_cells  # noqa: E402

LENGTHS = [64, 128, 256, 360, 512, 1000, 1009, 1024, 2048, 4096, 8192, 16384]


LANES = 16


def drawn(*dims):
    """Numbers at an address that is a multiple of 64, as everybody likes it."""
    count = math.prod(dims)
    memory = np.empty(count + 16, np.float32)
    first = -memory.ctypes.data % 64 // 4
    array = memory[first:first + count].reshape(dims)
    array[:] = np.random.default_rng(1).standard_normal(dims)
    return array


class TenonTransform:
    """Dims of the operand and which of them is transformed, which the pair."""
    LAYOUTS = {"rows": lambda n, batch: ((batch, n, 2), 1, 2), "columns": lambda n, batch: ((n, 2, batch), 0, 1),
               "blocks": lambda n, batch: ((batch // LANES, n, 2, LANES), 1, 2)}

    def __init__(self, layout, length, batch):
        from native import Program, levels
        from tenon import InferenceSession
        dims, axis, parts = self.LAYOUTS[layout](length, batch)
        kind = tensor(*dims)
        self.program = Program(entry({"x": kind}, {"y": kind}, f"  %y = tenon.fft %x length #tenon.dim<{length}> "
                                                               f"axis {axis} parts {parts} : {kind} -> {kind}", {}))
        self.session = InferenceSession(self.program.artifact, threads=1, level=levels()[-1])
        self.x = drawn(*dims)
        self.session.bind({"x": self.x})

    def run(self):
        self.session.execute()


class FFTW:
    """fftwf_plan_many_dft for rows and pairs of columns, fftwf_plan_guru_split_dft for split columns and blocks."""

    class Dim(ctypes.Structure):
        _fields_ = [("n", ctypes.c_int), ("is_", ctypes.c_int), ("os", ctypes.c_int)]

    def __init__(self, library, layout, length, batch):
        self.library = library
        self.x, self.y = drawn(2 * length * batch), drawn(2 * length * batch)
        self.plan = ctypes.c_void_p(self.many(layout, length, batch) if layout in ("rows", "pairs") else
                                    self.split(layout, length, batch))
        self.x[:] = drawn(2 * length * batch)  # planning wrote to it

    def address(self, array, offset=0):
        return ctypes.c_void_p(array.ctypes.data + 4 * offset)

    def many(self, layout, length, batch):
        stride, distance = (1, length) if layout == "rows" else (batch, 1)
        plan = self.library.fftwf_plan_many_dft
        plan.restype = ctypes.c_void_p
        n = ctypes.c_int(length)
        return plan(1, ctypes.byref(n), batch, self.address(self.x), None, stride, distance, self.address(self.y), None,
                    stride, distance, -1, 0)

    def split(self, layout, length, batch):
        width = batch if layout == "columns" else LANES
        dims = self.Dim(length, 2 * width, 2 * width)
        many = (self.Dim * 2)(self.Dim(width, 1, 1), self.Dim(batch // width, 2 * width * length, 2 * width * length))
        plan = self.library.fftwf_plan_guru_split_dft
        plan.restype = ctypes.c_void_p
        return plan(1, ctypes.byref(dims), 2, ctypes.byref(many), self.address(self.x), self.address(self.x, width),
                    self.address(self.y), self.address(self.y, width), 0)

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
    made = {("tenon", layout): TenonTransform(layout, length, batch) for layout in TenonTransform.LAYOUTS}
    if library:
        made.update({("fftw", layout): FFTW(library, layout, length, batch) for layout in ("rows", "pairs", "columns", "blocks")})
    for name, kind in (("torch", Torch), ("scipy", SciPy)):
        try:
            made[name, "rows"] = kind(length, batch)
        except ImportError:
            pass
    return made


def measure(library, length, rounds):
    """GFLOP/s of everybody by layout."""
    batch = max(32, 131072 // length // LANES * LANES)
    everybody = contestants(library, length, batch)
    best = dict.fromkeys(everybody, math.inf)
    for _ in range(rounds):
        for name, who in everybody.items():
            calls = 5
            who.run()  # the one before had the cache
            start = time.perf_counter()
            for _ in range(calls):
                who.run()
            best[name] = min(best[name], (time.perf_counter() - start) / calls)
    operations = 5 * length * math.log2(length) * batch
    row = {"N": length, "batch": batch, "tenon": {}, "fftw": {}, "torch": {}, "scipy": {}}
    for (name, layout), seconds in best.items():
        row[name][layout] = round(operations / seconds * 1e-9, 2)
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
        library = ctypes.CDLL(options.fftw)
    except OSError:
        library = None
    rows = []
    print("| " + " | ".join(FFT_HEADER) + " |\n" + "|---" * len(FFT_HEADER) + "|")
    for length in map(int, options.lengths.split(",")):
        rows.append(measure(library, length, options.rounds))
        print("| " + " | ".join(fft_cells(rows[-1])) + " |", flush=True)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps({"runs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
