#!/usr/bin/env python3
"""Every normaliser of attention, its further results and several sources of keys, as native code against NumPy.

The oracle is each normaliser's definition over the whole matrix of scores, in float64 (the truth) and in float32 (the
plain evaluation the accuracy rule asks for). Causal masks leave every row a key; a mask by data leaves some rows and columns none.
"""

import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import Program  # noqa: E402

HEADS, DEPTH, EXTRA = 2, 8, 3
SIZES = [(1, 1, 1), (2, 3, 7), (1, 17, 63), (2, 65, 33), (1, 5, 130), (1, 2, 0)]


def softmax(y, live, axis=-1):
    y = np.where(live, y, -np.inf)
    with np.errstate(invalid="ignore"):
        top = y.max(axis, keepdims=True, initial=-np.inf)
        e = np.where(live, np.exp(y - np.where(np.isfinite(top), top, 0)), 0)
        total = e.sum(axis, keepdims=True)
        return np.where(total > 0, e / np.where(total > 0, total, 1), 0).astype(y.dtype)


def hard(y, live, axis=-1):
    masked = np.where(live, y, -np.inf)
    if masked.shape[axis] == 0:
        return masked
    best = np.expand_dims(masked.argmax(axis), axis)
    one = np.zeros_like(y)
    np.put_along_axis(one, best, 1, axis)
    return np.where(live.any(axis, keepdims=True), one, 0).astype(y.dtype)


def topk(k):
    def weights(y, live):
        masked = np.where(live, y, -np.inf)
        above = (masked[..., None, :] > masked[..., :, None]).sum(-1)
        return softmax(y, live & (above < k))

    return weights


def sinkhorn(steps):
    def weights(y, live):
        w = softmax(y, live)
        for step in range(1, steps):
            axis = -2 if step % 2 else -1
            share = y.dtype.type(y.shape[-2] / max(y.shape[-1], 1) if step % 2 else 1)
            total = w.sum(axis, keepdims=True)
            w = np.where(total > 0, w * share / np.where(total > 0, total, 1), w)
        return w

    return weights


def divided(axis):
    def weights(y, live):
        w = np.where(live, y, 0)
        return w / w.sum(axis, keepdims=True)

    return weights


def sigmoid(y, live):
    return np.where(live, 1 / (1 + np.exp(-y)), 0).astype(y.dtype)


CAUSAL = ("keep (%b, %h, %i, %j{c}) = %j <= %i\n", lambda i, j, t: (j <= i) & (i >= 0))
MASK = ("keep (%b, %h, %i, %j{c}) = not (%t[%i, %j] == 0)\n", lambda i, j, t: t != 0)
ALL = ("", lambda i, j, t: (i >= 0) & (j >= 0))
SCALE = "score (%x, %b, %h, %i, %j{c}) = %x * 0.25\n"


class Case:
    def __init__(self, normalise, weights, keep=ALL, score=SCALE, of=lambda y: y * y.dtype.type(0.25), also=()):
        self.normalise, self.weights, self.keep, self.score, self.of, self.also = normalise, weights, keep, score, of, also


FACTOR = ("weight (%p, %b, %h, %i, %j{c}) = %p * (1.5 + (%j - %i) * 0.01)\n",
          lambda w, i, j: w * (1.5 + (j - i) * 0.01).astype(w.dtype))

CASES = {
    **{f"hard_{n}": Case("hard", hard, keep) for n, keep in (("all", ALL), ("causal", CAUSAL), ("mask", MASK))},
    **{f"topk_{k}_{n}": Case(f"topk_softmax {k}", topk(k), keep)
       for k, n, keep in ((1, "all", ALL), (4, "causal", CAUSAL), (9, "mask", MASK))},
    **{f"sinkhorn_{s}_{n}": Case(f"sinkhorn {s}", sinkhorn(s), keep)
       for s, n, keep in ((1, "all", ALL), (2, "all", ALL), (3, "all", ALL), (5, "mask", MASK))},
    "sigmoid": Case("none", sigmoid, CAUSAL, "score (%x, %b, %h, %i, %j{c}) = 1 / (1 + exp(0 - %x * 0.25))\n"),
    "softmax_over_queries": Case("softmax over queries", lambda y, live: softmax(y, live, -2)),
    "softmax_over_queries_mask": Case("softmax over queries", lambda y, live: softmax(y, live, -2), MASK),
    "hard_over_queries": Case("hard over queries", lambda y, live: hard(y, live, -2)),
    "hard_over_queries_mask": Case("hard over queries", lambda y, live: hard(y, live, -2), MASK),
    "sum_over_queries": Case("sum over queries", divided(-2), ALL, "score (%x, %b, %h, %i, %j{c}) = exp(%x * 0.25)\n",
                             lambda y: np.exp(y * y.dtype.type(0.25))),
    "log_sum_exp": Case("softmax", softmax, CAUSAL, also=("log_sum_exp",)),
    "log_sum_exp_mask": Case("softmax", softmax, MASK, also=("log_sum_exp",)),
    "scores": Case("softmax", softmax, MASK, also=("scores",)),
    "both": Case("softmax", softmax, CAUSAL, also=("scores", "log_sum_exp")),
}


def also_of(name, y, live):
    y = np.where(live, y, -np.inf)
    if name == "scores":
        return y
    top = y.max(-1, initial=-np.inf)
    safe = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        return (safe + np.log(np.exp(y - safe[..., None]).sum(-1))).astype(y.dtype)


def text_of(case, factor=""):
    q, k = tensor("B", HEADS, "N", DEPTH), tensor("B", HEADS, "M", DEPTH)
    masked = case.keep is MASK
    t = tensor("N", "M", of="i64")
    more = {"scores": tensor("B", HEADS, "N", "M"), "log_sum_exp": tensor("B", HEADS, "N")}
    outputs = {"y": q, **{name: more[name] for name in case.also}}
    results = ", ".join(outputs.values())
    captures, names, types = ("captures (%t) ", ", %t", f", {t}") if masked else ("", "", "")
    regions = (case.score + case.keep[0] + factor).replace("{c}", names)
    also = f" also {', '.join(case.also)}" if case.also else ""
    body = (f"  %r:{len(outputs)} = tenon.attention %q, (%k), (%v) {captures}normalise {case.normalise} empty zero "
            f'layout ["b h n d", "b h n d", "b h n d", "b h n d"]{also}\n'
            f"    : ({q}, {k}, {k}{types}) -> ({results})\n    {regions}")
    return entry({"q": q, "k": k, "v": k, **({"t": t} if masked else {})}, outputs, body,
                 {"B": (0, 8), "N": (0, 256), "M": (0, 256)}, [f"%r#{n}" for n in range(len(outputs))])


class NormaliserTest(unittest.TestCase):
    def check(self, name, case, factor=("", lambda w, i, j: w), features=lambda x: x):
        program = Program(text_of(case, factor[0]))
        rng = np.random.default_rng(len(name))
        for b, n, m in SIZES:
            draw = lambda rows: rng.standard_normal((b, HEADS, rows, DEPTH)).astype(np.float32)
            inputs = {"q": features(draw(n)), "k": features(draw(m)), "v": draw(m)}
            t = rng.integers(0, 2, (n, m))
            t[: n // 3] = 0
            if case.keep is MASK:
                inputs["t"] = t
            i, j = np.arange(n)[:, None], np.arange(m)[None, :]
            live = np.broadcast_to(case.keep[1](i, j, t), (b, HEADS, n, m))

            def oracle(kind):
                q, k, v = (inputs[x].astype(kind) for x in "qkv")
                y = case.of(q @ k.transpose(0, 1, 3, 2))
                out = {"y": factor[1](case.weights(y, live).astype(kind), i, j) @ v}
                return {**out, **{a: also_of(a, y, live) for a in case.also}}

            wanted, plain = oracle(np.float64), oracle(np.float32)
            for level, threads, outputs in program.run(inputs):
                for output in wanted:
                    compare(outputs[output], wanted[output], plain[output],
                            f"{name} {output} B={b} N={n} M={m} {level} {threads} thread(s)")

    def test_factor_after_the_softmax(self):
        self.check("factor", Case("softmax", softmax, CAUSAL), FACTOR)
        self.check("factor_mask", Case("softmax", softmax, MASK), FACTOR)

    def test_linear(self):
        """Nothing between the products but factors of one side: keys times values come first."""
        score = "score (%x, %b, %h, %i, %j{c}) = %x * (1 + %i * 0.01) / (2 + %j * 0.5)\n"

        def factors(y):
            n, m = y.shape[-2:]
            return y * (1 + np.arange(n)[:, None] * y.dtype.type(0.01)) / (2 + np.arange(m) * y.dtype.type(0.5))

        self.check("linear_none", Case("none", lambda y, live: y, ALL, score, lambda y: factors(y).astype(y.dtype)))
        self.check("linear_sum", Case("sum", divided(-1), ALL, score, lambda y: factors(y).astype(y.dtype)), features=np.abs)

    def test_factor_of_a_sum(self):
        self.check("factor_sum", Case("sum", divided(-1), CAUSAL, "score (%x, %b, %h, %i, %j{c}) = exp(%x * 0.25)\n",
                                      lambda y: np.exp(y * y.dtype.type(0.25))), FACTOR)


class SourceTest(unittest.TestCase):
    """Two sources under one normaliser: `split` where it streams, materialised where not."""

    def check(self, normalise, weights, also=""):
        q, k, s = tensor("B", HEADS, "N", DEPTH), tensor("B", HEADS, "M", DEPTH), tensor("B", HEADS, EXTRA, DEPTH)
        sink = tensor(HEADS, EXTRA)
        body = (f"  %y = tenon.attention %q, (%k, %l), (%v, %w) captures (%t) normalise {normalise} empty zero layout ["
                + ", ".join(['"b h n d"'] * 6) + f"]\n    : ({q}, {k}, {s}, {k}, {s}, {sink}) -> {q}\n"
                "    score (%x, %b, %h, %i, %j, %t) = select(%j < size(M), %x * 0.25, %x + %t[%h, max(%j - size(M), 0)])\n"
                "    keep (%b, %h, %i, %j, %t) = %j >= size(M) or %j <= %i\n")
        program = Program(entry({"q": q, "k": k, "l": s, "v": k, "w": s, "t": sink}, {"y": q}, body,
                                {"B": (0, 8), "N": (0, 256), "M": (0, 256)}))
        rng = np.random.default_rng(3)
        for b, n, m in SIZES:
            draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
            inputs = {"q": draw(b, HEADS, n, DEPTH), "k": draw(b, HEADS, m, DEPTH), "l": draw(b, HEADS, EXTRA, DEPTH),
                      "v": draw(b, HEADS, m, DEPTH), "w": draw(b, HEADS, EXTRA, DEPTH), "t": draw(HEADS, EXTRA)}
            i, j = np.arange(n)[:, None], np.arange(m + EXTRA)[None, :]
            live = np.broadcast_to((j >= m) | (j <= i), (b, HEADS, n, m + EXTRA))

            def oracle(kind):
                x = {name: array.astype(kind) for name, array in inputs.items()}
                y = np.concatenate([x["q"] @ x["k"].transpose(0, 1, 3, 2) * kind(0.25),
                                    x["q"] @ x["l"].transpose(0, 1, 3, 2) + x["t"][None, :, None]], -1)
                return weights(y, live).astype(kind) @ np.concatenate([x["v"], x["w"]], 2)

            wanted, plain = oracle(np.float64), oracle(np.float32)
            for level, threads, outputs in program.run(inputs):
                compare(outputs["y"], wanted, plain, f"{normalise} B={b} N={n} M={m} {level} {threads} thread(s)")

    def test_softmax(self):
        self.check("softmax", softmax)

    def test_hard(self):
        self.check("hard", hard)

    def test_topk(self):
        self.check("topk_softmax 5", topk(5))


for _name, _case in CASES.items():
    setattr(NormaliserTest, f"test_{_name}", lambda self, n=_name, c=_case: self.check(n, c))

if __name__ == "__main__":
    unittest.main()
