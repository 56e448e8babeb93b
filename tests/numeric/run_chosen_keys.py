#!/usr/bin/env python3
"""`hard` and `topk_softmax` by flash attention, against NumPy: ties, infinite and NaN scores, rows with fewer live keys than are
chosen, rows without any by every rule, and that no tensor of queries x keys remains.

The oracle is each row by itself, by the rules of `tenon.attention`. Where ties are the subject queries and keys are
small integers: scores are then exact, and equal ones equal in every precision.
"""

import json
import pathlib
import sys
import unittest

import ml_dtypes
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import Program, tenon  # noqa: E402

HEADS, KEY_HEADS, DEPTH = 4, 2, 12
SYMBOLS = {"B": (0, 4), "N": (0, 4096), "M": (0, 4096)}
SIZES = [(2, 3, 7), (1, 34, 130), (1, 49, 64), (2, 0, 5), (2, 3, 0)]
LAYOUT = 'layout ["b n h d", "b n 0 h d", "b n 1 h d", "b n h d"]'


def hard(y, live):
    """One for the first of the greatest; nothing where a score is NaN."""
    w = np.zeros_like(y)
    at = np.flatnonzero(live)
    if len(at) and not np.isnan(y[at]).any():
        w[at[np.argmax(y[at])]] = 1
    return w


def topk(k):
    def weights(y, live):
        """NaN is exceeded by none and exceeds none, so that it stays, and fills what stays."""
        w = np.zeros_like(y)
        at = np.flatnonzero(live)
        stay = at[[np.sum(y[at] > y[j]) < k for j in at]] if len(at) else at
        with np.errstate(invalid="ignore"):
            e = np.exp(y[stay] - (y[stay].max() if len(stay) else 0))
            w[stay] = e / e.sum()
        return w

    return weights


def attend(weights, y, live, v, empty, factor):
    """[rows, keys] scores and [keys, d] values to [rows, d]."""
    out = np.zeros((y.shape[0], v.shape[1]), y.dtype)
    for i, (row, alive) in enumerate(zip(y, live)):
        if len(row) and not alive.any():
            if empty == "nan":
                out[i] = np.nan
                continue
            if empty == "uniform":
                out[i] = v.mean(0)
                continue
            alive = alive | (empty == "ignore_keep")
        w = weights(row, alive) * factor[i]
        out[i] = w[w != 0] @ v[w != 0]
    return out


MASK = "keep (%b, %h, %i, %j, %t) = not (%t[%i, %j] == 0)\n"
FACTOR = "weight (%p, %b, %h, %i, %j, %t) = %p * (1.5 + (%j - %i) * 0.01)\n"
SCALE = "score (%x, %b, %h, %i, %j, %t) = %x * 0.25\n"


class Case:
    def __init__(self, normalise, weights, keep="", empty="zero", factor="", ties=False, of="f32", streams=True):
        self.normalise, self.weights, self.keep, self.empty, self.factor = normalise, weights, keep, empty, factor
        self.ties, self.of, self.streams = ties, of, streams

    def text(self):
        q, t = tensor("B", "N", HEADS, DEPTH), tensor("N", "M", of="i64")
        kv = tensor("B", "M", 2, KEY_HEADS, DEPTH, of=self.of)
        body = (f"  %y = tenon.attention %q, (%kv), (%kv) captures (%t) normalise {self.normalise} empty {self.empty} {LAYOUT}\n"
                f"    : ({q}, {kv}, {kv}, {t}) -> {q}\n    {SCALE}{self.keep}{self.factor}")
        return entry({"q": q, "kv": kv, "t": t}, {"y": q}, body, SYMBOLS)


KINDS = {"hard": ("hard", hard), "topk_5": ("topk_softmax 5", topk(5)), "topk_70": ("topk_softmax 70", topk(70))}
CASES = {
    **{f"{name}_ties": Case(*kind, MASK, ties=True) for name, kind in KINDS.items()},
    **{f"hard_{empty}": Case(*KINDS["hard"], MASK, empty) for empty in ("nan", "ignore_keep")},
    **{f"topk_5_{empty}": Case(*KINDS["topk_5"], MASK, empty) for empty in ("uniform", "ignore_keep")},
    "topk_5_factor": Case(*KINDS["topk_5"], factor=FACTOR),
    "hard_bf16": Case(*KINDS["hard"], of="bf16", ties=True),
    # Near miss: rows without live keys read all values.
    "hard_uniform": Case(*KINDS["hard"], MASK, "uniform", streams=False),
}


def inputs_of(case, rng, b, n, m):
    def draw(*shape):
        values = rng.integers(-1, 2, shape) if case.ties else rng.standard_normal(shape)
        return values.astype(np.float32)

    t = rng.integers(0, 2, (n, m))
    t[: n // 3] = 0
    kv = draw(b, m, 2, KEY_HEADS, DEPTH)
    return {"q": draw(b, n, HEADS, DEPTH), "kv": kv.astype(ml_dtypes.bfloat16) if case.of == "bf16" else kv, "t": t}


def extreme(inputs):
    """Rows whose scores are infinite or NaN among ordinary ones, and a key that is for every row: each row by itself."""
    q, kv = inputs["q"], inputs["kv"]
    kv[:, :, 0] = np.abs(kv[:, :, 0])
    kv[:, 11, 0] = -np.inf
    q[:, 3], q[:, 9], q[:, 15] = -np.inf, np.nan, np.inf
    q[:, 10:14] = np.abs(q[:, 10:14]) + 1
    inputs["t"][17:, 11] = 0
    return inputs


def expected(case, inputs, kind):
    q, kv, t = inputs["q"].astype(kind), inputs["kv"].astype(kind), inputs["t"]
    b, n, m = q.shape[0], q.shape[1], kv.shape[1]
    i, j = np.arange(n)[:, None], np.arange(m)[None, :]
    live = t != 0 if case.keep else np.ones((n, m), bool)
    factor = (1.5 + (j - i) * kind(0.01)).astype(kind) if case.factor else np.ones((n, m), kind)
    out = np.zeros(q.shape, kind)
    for batch in range(b):
        for head in range(HEADS):
            k, v = kv[batch, :, :, head * KEY_HEADS // HEADS].transpose(1, 0, 2)
            with np.errstate(invalid="ignore"):
                y = q[batch, :, head] @ k.T * kind(0.25)
            out[batch, :, head] = attend(case.weights, y, live, v, case.empty, factor)
    return out


class ChosenKeysTest(unittest.TestCase):
    def check(self, name, case):
        program = Program(case.text())
        rng = np.random.default_rng(int.from_bytes(name.encode()[:8], "little"))
        for b, n, m in SIZES:
            inputs = inputs_of(case, rng, b, n, m)
            self.compare(program, case, inputs, f"{name} B={b} N={n} M={m}")
        if case.ties:
            self.compare(program, case, extreme(inputs_of(case, rng, 1, 21, 70)), f"{name} extreme")
        arena = [buffer["bytes"] for part in json.loads(tenon("inspect", program.artifact, "--json"))["entries"]
                 for buffer in part["buffers"]]
        self.assertEqual(not any("M * N" in size or "N * M" in size for size in arena), case.streams, f"buffers: {arena}")

    def compare(self, program, case, inputs, what):
        wanted, plain = (expected(case, inputs, kind) for kind in (np.float64, np.float32))
        for level, threads, outputs in program.run(inputs):
            compare(outputs["y"], wanted, plain, f"{what} {level} {threads} thread(s)")

for _name, _case in CASES.items():
    setattr(ChosenKeysTest, f"test_{_name}", lambda self, n=_name, c=_case: self.check(n, c))

if __name__ == "__main__":
    unittest.main()
