#!/usr/bin/env python3
"""How much the Fourier forms compute and hold, counted on what is emitted and on what a session has.

Operations are counted in the lowered kernel: arithmetic on vectors, as often as the loops of constant bounds around it say,
an fma as two. One tile is `lanes` transforms.
"""

import math
import os
import pathlib
import re
import subprocess
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from mlir_text import entry, tensor  # noqa: E402
from native import BUILD, Program  # noqa: E402

TARGET = ('#tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, panel_tile = 2, l1 = 32768, '
          'l2 = 1048576>')
CONSTANT = re.compile(r"(%\S+) = arith\.constant (\d+) : index")
LOOP = re.compile(r"scf\.for %\S+ = (\S+) to (\S+) step (\S+) ")
WORK = re.compile(r"(arith\.addf|arith\.subf|arith\.mulf|math\.fma) .*: vector<")


def lowered(body, inputs, output):
    """The kernel's text after lowering."""
    arguments = ", ".join(f"%{name}: {kind}" for name, kind in inputs.items())
    text = (f"module attributes {{tenon.target = {TARGET}}} {{\ntenon.kernel @k({arguments}) -> {output} {{\n{body}\n"
            f"  tenon.return %y : {output}\n}}\n}}\n")
    done = subprocess.run([str(BUILD / "bin" / "tenon-opt"), "-", "--tenon-lower-kernels", "--canonicalize"], input=text,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def operations(text):
    """Of one tile."""
    constants, times, total = {}, [1], 0
    for line in text.splitlines():
        if match := CONSTANT.search(line):
            constants[match[1]] = int(match[2])
        elif match := LOOP.search(line):
            bounds = [constants.get(name) for name in match.groups()]
            times.append(times[-1] * (1 if None in bounds else math.ceil((bounds[1] - bounds[0]) / bounds[2])))
        elif line.rstrip().endswith("{"):
            times.append(times[-1])
        elif line.strip().startswith("}"):
            times.pop()
        elif match := WORK.search(line):
            total += times[-1] * (2 if match[1] == "math.fma" else 1)
    return total


def transform(length, given=None, wanted=None):
    x, y = tensor(given or length, 2, 16), tensor(wanted or length, 2, 16)
    return operations(lowered(f"  %y = tenon.fft %x length #tenon.dim<{length}> axis 0 parts 1 : {x} -> {y}", {"x": x}, y))


def circulant(rows, features):
    period = 2 * rows
    x, s, q = tensor(1, 1, rows, 32), tensor(1, 2, period), tensor(1, 1, rows, features)
    body = f"  %y = tenon.circulant %x spectrum %s features %q, %k : ({x}, {s}, {q}, {q}) -> {x}"
    return operations(lowered(body, {"x": x, "s": s, "q": q, "k": q}, x))


class FourierWork(unittest.TestCase):
    def test_transforms(self):
        """About 5 N log2 N, the usual count: none is quadratic, however it is taken apart."""
        for length in (64, 128, 256, 512, 1024, 4096, 8192, 16384):
            share = transform(length) / (5 * length * math.log2(length))
            self.assertTrue(0.6 <= share <= 1.05, f"{length}: {share:.2f} of 5 N log2 N")

    def test_padding(self):
        """Of half the points, half the frequencies: what is zero or not wanted is not computed."""
        for length in (256, 2048, 16384):
            whole = transform(length)
            self.assertLess(transform(length, given=length // 2), 0.99 * whole)
            self.assertLess(transform(length, given=length // 2, wanted=length // 2), 0.97 * whole)

    def test_convolutions(self):
        """A tile's work grows as n log n, and as the number of features."""
        work = {n: circulant(n, 3) for n in (64, 256, 1024, 4096, 16384)}
        shares = [count / (n * math.log2(2 * n)) for n, count in work.items()]
        self.assertLess(max(shares) / min(shares), 1.25, f"{work}")
        self.assertLess(work[16384], 64 * 2.2 * work[256])
        more = [circulant(256, features) for features in (3, 5)]
        zeroed = more[0] - 3 * (more[1] - more[0]) / 2
        self.assertGreaterEqual(zeroed, 0)
        self.assertLess(zeroed, 0.01 * more[0])


class FourierMemory(unittest.TestCase):
    def test_arena(self):
        """A session holds some tensors of N rows and two buffers of the period for each thread, never N x m x d."""
        heads, features, channels = 2, 32, 64
        for length in (1024, 4096):
            q, v = tensor(1, heads, length, features), tensor(1, heads, length, channels)
            c, layouts = tensor(heads, 2 * length - 1), ", ".join(['"b h n d"'] * 4)
            body = (f"  %y = tenon.attention %q, (%k), (%v) captures (%c) normalise sum empty zero layout [{layouts}] algorithm fft "
                    f": ({q}, {q}, {v}, {c}) -> {v}\n    score (%x, %b, %h, %i, %j, %c) = %x * %c[%h, %j - %i + {length - 1}]\n")
            inputs = {"q": q, "k": q, "v": v, "c": c}
            program = Program(entry(inputs, {"y": v}, body, {}))
            from tenon import InferenceSession
            session = InferenceSession(program.artifact, threads=2)
            shapes = {"q": (1, heads, length, features), "k": (1, heads, length, features), "v": (1, heads, length, channels),
                      "c": (heads, 2 * length - 1)}
            session.run(None, {name: np.ones(shape, np.float32) for name, shape in shapes.items()})
            product = 4 * heads * length * features * channels
            row_tensors = 4 * heads * length * (channels + 4 * features + 16)
            buffers = 2 * 2 * (2 * length + 256) * 128
            held = session.memory
            self.assertLess(held, row_tensors + buffers + 65536, f"{length}: {held} bytes")
            self.assertLess(held, product / 4, f"{length}: {held} bytes")


if __name__ == "__main__":
    unittest.main()
