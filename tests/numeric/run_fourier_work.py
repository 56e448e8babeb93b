#!/usr/bin/env python3
"""How much the Fourier forms compute and hold, counted on what is emitted and on what a session has.

Operations are counted in the lowered kernel: arithmetic on vectors, as often as the loops of constant bounds around it say,
an fma as two. One tile is `lanes` transforms.
"""

import math
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import BUILD, Program, tenon  # noqa: E402

TARGET = ('#tenon.target<"x86-64-v4", vector_bits = 512, vector_registers = 32, row_tile = 14, l1 = 32768, '
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


def blocks(rows, count, causal, features=3):
    """A tile's work in `count` blocks."""
    block = rows // count
    x, q, s = tensor(1, 1, rows, 32), tensor(1, 1, rows, features), tensor(1, 2, 2 * block, count if causal else 2 * count - 1)
    body = f"  %y = tenon.circulant %x spectrum %s block {block} features %q, %k : ({x}, {s}, {q}, {q}) -> {x}"
    return operations(lowered(body, {"x": x, "s": s, "q": q, "k": q}, x))


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

    def test_blocks(self):
        """Transforms of each block, forwards and back, and for each pair of blocks a product of complex numbers a frequency."""
        for causal in (False, True):
            for count in (2, 4, 8):
                block = 8192 // count
                pairs = count * (count + 1) // 2 if causal else count * count
                transforms = 2 * count * 2 * block * 5 * math.log2(2 * block)
                share = blocks(8192, count, causal) / 3 / (transforms + 8 * pairs * 2 * block)
                self.assertTrue(0.7 <= share <= 1.05, f"{count} blocks, causal {causal}: {share:.2f} of the model's count")
        self.assertLess(blocks(8192, 4, True), blocks(8192, 4, False))

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


def random_weight(seed, scale, *shape):
    """The elements of #tenon.random: SplitMix64, in [-scale, scale)."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    unit = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2 ** 53
    return (scale * (2 * unit - 1)).astype(np.float32).reshape(shape)


class ConstantKernels(unittest.TestCase):
    """The spectrum of a kernel that follows from weights is computed by the compiler: no run transforms it."""

    def convolution(self, rows, channels, is_weight):
        """A causal long convolution whose kernel [rows, channels], a weight or an input, decays."""
        x, w, t = tensor("B", 1, rows, channels), tensor(rows, channels), tensor(1, 2 * rows - 1, channels)
        body = "  %w = tenon.get @w : " + w + "\n" if is_weight else ""
        body += (f"  %t = tenon.map %a = %w at %h, %p, %c : ({w}) -> {t} = %a[max({rows - 1} - %p, 0), %c] * 0.5\n"
                 f"  %y = tenon.toeplitz %x diagonals %t causal form fft : ({x}, {t}) -> {x}")
        text = entry({"x": x, **({} if is_weight else {"w": w})}, {"y": x}, body, {"B": (0, 4)})
        return f"tenon.weight @w : {w} = #tenon.random<5, 0.25>\n" * is_weight + text

    def transforms(self, text):
        """Transforms that a run computes beside those of the convolution itself."""
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "model.mlir")
            source.write_text(text)
            return tenon("compile", source, "--emit=mlir@kernels").count("tenon.fft")

    def test_fewer_transforms(self):
        self.assertEqual(self.transforms(self.convolution(96, 5, is_weight=False)), 1)
        self.assertEqual(self.transforms(self.convolution(96, 5, is_weight=True)), 0)

    def test_responses(self):
        """Those of a recurrence by weights: neither the recurrence nor a transform of it is left."""
        counts = {}
        for is_weight in (False, True):
            u, y, a, k = tensor("B", 64), tensor("B", 64, 6), tensor(6, 6), tensor(6)
            body = f"  %a = tenon.get @a : {a}\n  %k = tenon.get @k : {k}\n" if is_weight else ""
            body += (f'  %y = tenon.scan %a, %k, %u transition (%a : {a}) layout ["h d", "d", "b n", "b n h"] {{tenon.form = "fft"}}'
                     f" : {a}, {k}, {u} -> {y}")
            text = entry({"u": u, **({} if is_weight else {"a": a, "k": k})}, {"y": y}, body, {"B": (0, 4)})
            weights = f"tenon.weight @a : {a} = #tenon.random<1, 0.3>\ntenon.weight @k : {k} = #tenon.random<2, 1.0>\n"
            counts[is_weight] = self.transforms(weights * is_weight + text)
            if is_weight:
                self.check_responses(Program(weights + text))
        self.assertEqual(counts, {False: 1, True: 0})

    def check_responses(self, program):
        a, k = random_weight(1, 0.3, 6, 6), random_weight(2, 1.0, 6)
        given = np.random.default_rng(3).standard_normal((2, 64)).astype(np.float32)

        def oracle(kind):
            state, rows = np.zeros((2, 6), kind), []
            for step in given.astype(kind).T:
                state = state @ a.astype(kind).T + step[:, None] * k.astype(kind)
                rows.append(state @ a.astype(kind).T)
            return np.stack(rows, 1)

        for level, threads, outputs in program.run({"u": given}):
            compare(outputs["y"], oracle(np.float64), oracle(np.float32), f"{level} {threads} thread(s)")

    def kernels(self, text):
        """Convolutions that look at their kernels' range when they run."""
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "model.mlir")
            source.write_text(text)
            return len(re.findall(r"tenon\.circulant .* kernel %", tenon("compile", source, "--emit=mlir@kernels")))

    def growing(self, scale):
        u, y, a, k = tensor("B", 64), tensor("B", 64, 6), tensor(6, 6), tensor(6)
        body = (f"  %a = tenon.get @a : {a}\n  %k = tenon.get @k : {k}\n"
                f'  %y = tenon.scan %a, %k, %u transition (%a : {a}) layout ["h d", "d", "b n", "b n h"] {{tenon.form = "fft"}}'
                f" : {a}, {k}, {u} -> {y}")
        return (f"tenon.weight @a : {a} = #tenon.random<1, {scale}>\ntenon.weight @k : {k} = #tenon.random<2, 1.0>\n" +
                entry({"u": u}, {"y": y}, body, {"B": (0, 4)}))

    def test_ranges(self):
        """The compiler has seen the range of what follows from weights: only a kernel beyond it is kept, to be summed directly."""
        self.assertEqual(self.kernels(self.convolution(96, 5, is_weight=True)), 0)
        self.assertEqual(self.kernels(self.convolution(96, 5, is_weight=False)), 1)
        self.assertEqual(self.kernels(self.growing(0.3)), 0)
        self.assertEqual(self.kernels(self.growing(1.0)), 1)
        a, k = random_weight(1, 1.0, 6, 6).astype(np.float64), random_weight(2, 1.0, 6).astype(np.float64)
        given = np.random.default_rng(3).standard_normal((2, 64)).astype(np.float32)
        state, rows = np.zeros((2, 6)), []
        for step in given.astype(np.float64).T:
            state = state @ a.T + step[:, None] * k
            rows.append(state @ a.T)
        wanted = np.stack(rows, 1)
        self.assertGreater(np.abs(wanted[:, 63]).max(), 1e5 * np.abs(wanted[:, 0]).max())
        for level, threads, outputs in Program(self.growing(1.0)).run({"u": given}):
            error = np.linalg.norm(outputs["y"] - wanted, axis=-1) / np.linalg.norm(wanted, axis=-1)
            self.assertLessEqual(error.max(), 1e-5, f"{level} {threads} thread(s)")

    def test_results(self):
        """Powers of two and primes, one channel and more than a vector; no batch items."""
        for rows, channels in ((1, 1), (2, 3), (37, 5), (64, 17), (127, 33)):
            program, w = Program(self.convolution(rows, channels, is_weight=True)), random_weight(5, 0.25, rows, channels)
            for batch in (0, 2):
                x = np.random.default_rng(rows).standard_normal((batch, 1, rows, channels)).astype(np.float32)

                def oracle(kind):
                    y = np.zeros(x.shape, kind)
                    for i in range(rows):
                        for j in range(i + 1):
                            y[:, 0, i] += w[i - j].astype(kind) * kind(0.5) * x[:, 0, j].astype(kind)
                    return y

                for level, threads, outputs in program.run({"x": x}):
                    compare(outputs["y"], oracle(np.float64), oracle(np.float32), f"{rows} x {channels} {level} {threads} thread(s)")


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
