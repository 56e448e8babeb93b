#!/usr/bin/env python3
"""Attention as native code against NumPy: variants, odd sizes, rows without live keys.

A variant is its regions in the text form beside the same arithmetic in NumPy,
which is evaluated in float64 (the truth) and in float32 (the plain evaluation
the accuracy rule asks for). Adding one is adding an entry to VARIANTS.
"""

import pathlib
import sys
import unittest

import ml_dtypes
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import Program  # noqa: E402

SYMBOLS = {"B": (0, 64), "N": (0, 4096), "M": (0, 4096)}
SIZES = [(1, 1, 1), (2, 3, 7), (1, 17, 63), (3, 65, 64), (2, 129, 127), (1, 5, 200), (5, 2, 130), (2, 0, 5), (2, 3, 0),
         (1, 64, 300)]
# For a constant number of queries: parts of 512 keys, and what is left of them.
KEY_SIZES = [(1, 0, 1), (2, 0, 7), (3, 0, 64), (2, 0, 513), (1, 0, 1300), (0, 0, 5), (2, 0, 0)]

DTYPES = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16}
SCALED = "score (%x, %b, %h, %i, %j{c}) = %x * 0.25\n"
KEEP = "keep (%b, %h, %i, %j{c}) = "
SCORE = "score (%x, %b, %h, %i, %j{c}) = "


class Variant:
    """Regions as expressions, and score(x, i, j, t) and keep(i, j, t) in NumPy; x is [B, H, N, M], t the captured tensor."""

    def __init__(self, regions=SCALED, score=lambda x, i, j, t: x * 0.25, keep=None, capture=None, weight=None,
                 empty="zero", heads=(4, 4), depth=(24, 24), layout="b n h d", queries=None, batches=64, of=("f32", "f32")):
        self.regions, self.score, self.keep, self.capture, self.empty = regions, score, keep, capture, empty
        self.heads, self.depth, self.layout, self.weight = heads, depth, layout, weight
        self.queries = queries  # a constant, where not any number
        self.batches = batches  # at most
        self.of = of  # the elements of query and result, of keys and values


def masked(**options):
    return Variant(regions=SCALED + KEEP + "not (%t[%b, %j] == 0)", keep=lambda i, j, t: t[:, None, None, :] != 0,
                   capture=(("B", "M"), "i64"), **options)


VARIANTS = {
    "plain": Variant(),
    "no_score": Variant(regions="", score=lambda x, i, j, t: x),
    "depth64": Variant(depth=(64, 64)),
    "wide_values": Variant(depth=(192, 128), heads=(2, 2)),
    "odd_depths": Variant(depth=(7, 5), heads=(3, 3)),
    "one_wide": Variant(depth=(1, 1), heads=(2, 1)),
    "grouped": Variant(heads=(6, 2), layout="b h n d"),
    "multi_query": Variant(heads=(5, 1)),
    "causal": Variant(regions=SCALED + KEEP + "%j <= %i", keep=lambda i, j, t: j <= i),
    "window": Variant(regions=SCALED + KEEP + "%j > %i - 40 and %j <= %i",
                      keep=lambda i, j, t: (j > i - 40) & (j <= i)),
    "prefix_or_causal": Variant(regions=SCALED + KEEP + "%j < 70 or %j <= %i",
                                keep=lambda i, j, t: (j < 70) | (j <= i)),
    "blocks": Variant(regions=SCALED + KEEP + "%i / 48 == %j / 48", keep=lambda i, j, t: i // 48 == j // 48),
    "soft_cap": Variant(regions=SCORE + "tanh(%x * 0.02) * 50",
                        score=lambda x, i, j, t: np.tanh(x * x.dtype.type(0.02)) * x.dtype.type(50)),
    "bias": Variant(regions=SCORE + "%x + %t[%b, %h, %i, %j]", score=lambda x, i, j, t: x + t.astype(x.dtype),
                    capture=(("B", 4, "N", "M"), "f32")),
    "alibi": Variant(
        regions=SCORE + "%x + %t[%h] * (%j - %i)", capture=((4,), "f32"),
        score=lambda x, i, j, t: x + t.astype(x.dtype)[:, None, None] * (j - i).astype(x.dtype)),
    "clipped_distance": Variant(
        regions=SCORE + "%x + %t[%h, max(min(%j - %i, 8), -8) + 8]", capture=((4, 17), "f32"),
        score=lambda x, i, j, t: x + t.astype(x.dtype)[:, np.clip(j - i, -8, 8) + 8]),
    "factor_after": Variant(regions=SCALED + "weight (%p, %b, %h, %i, %j{c}) = %p * %t[%h, %i, %j]",
                            weight=lambda p, t: p * t.astype(p.dtype), capture=((4, "N", "M"), "f32")),
    **{f"mask_{rule}": masked(empty=rule) for rule in ("zero", "nan", "uniform", "ignore_keep")},
    "mask_grouped_heads_first": masked(heads=(6, 3), layout="b h n d"),
    "one_query": Variant(queries=1),
    "one_query_grouped": Variant(queries=1, heads=(8, 2), depth=(64, 64), layout="b h n d"),
    "one_query_deep": Variant(queries=1, heads=(3, 1), depth=(328, 272)),  # more than registers hold
    "one_query_deep_bf16": Variant(queries=1, heads=(5, 1), depth=(360, 328), of=("bf16", "bf16")),
    "few_queries_odd_depths": Variant(queries=3, heads=(6, 3), depth=(21, 5), regions="", score=lambda x, i, j, t: x),
    "few_queries_capped": Variant(queries=2, regions=SCORE + "tanh(%x * 0.02) * 50",
                                  score=lambda x, i, j, t: np.tanh(x * x.dtype.type(0.02)) * x.dtype.type(50)),
    **{f"{cache}_cache_{depth[0]}": Variant(heads=(6, 2), of=("f32", cache), depth=depth)
       for cache in ("bf16", "f16") for depth in ((24, 24), (21, 5))},
    **{f"{cache}_cache_one_query": Variant(queries=1, heads=(8, 2), of=("f32", cache), depth=(64, 64), layout="b h n d")
       for cache in ("bf16", "f16")},
    **{f"bf16_one_query_{heads[0]}_{depth[0]}": Variant(queries=1, heads=heads, of=("bf16", "bf16"), depth=depth)
       for heads, depth in (((8, 2), (128, 128)), ((2, 2), (64, 32)), ((6, 2), (40, 72)), ((3, 1), (21, 5)))},
    # So few blocks that a GPU splits the keys.
    "prompt": Variant(queries=20, heads=(6, 2), batches=3, regions=SCALED + KEEP + "%j <= %i + 500",
                      keep=lambda i, j, t: j <= i + 500),
    "prompt_deep": Variant(queries=3, heads=(8, 2), batches=3, depth=(256, 256), layout="b h n d",
                           regions=SCORE + "%x * 0.05", score=lambda x, i, j, t: x * x.dtype.type(0.05)),
    "bf16_causal": Variant(regions=SCALED + KEEP + "%j <= %i", keep=lambda i, j, t: j <= i, of=("bf16", "bf16")),
    "f16_grouped": Variant(heads=(6, 2), of=("f16", "f16"), depth=(64, 48)),
    **{f"one_query_mask_{rule}": masked(queries=1, empty=rule) for rule in ("zero", "nan", "uniform")},
}


def shaped(layout, rows, heads, depth):
    return tuple({"b": "B", "h": heads, "n": rows, "d": depth}[role] for role in layout.split())


def program(v):
    """The variant as an entry point."""
    heads, key_heads = v.heads
    queries = v.queries or "N"
    q = tensor(*shaped(v.layout, queries, heads, v.depth[0]), of=v.of[0])
    k = tensor(*shaped(v.layout, "M", key_heads, v.depth[0]), of=v.of[1])
    w = tensor(*shaped(v.layout, "M", key_heads, v.depth[1]), of=v.of[1])
    y = tensor(*shaped(v.layout, queries, heads, v.depth[1]), of=v.of[0])
    t = tensor(*v.capture[0], of=v.capture[1]) if v.capture else ""
    captures, argument, types = ("captures (%table) ", ", %t", f", {t}") if v.capture else ("", "", "")
    layouts = ", ".join([f'"{v.layout}"'] * 4)
    body = (f"  %y = tenon.attention %q, (%k), (%v) {captures}normalise softmax empty {v.empty} layout [{layouts}]\n"
            f"    : ({q}, {k}, {w}{types}) -> {y}\n    " + v.regions.format(c=argument))
    inputs = {"q": q, "k": k, "v": w, **({"table": t} if v.capture else {})}
    symbols = {name: bounds for name, bounds in SYMBOLS.items() if name != "N" or v.queries is None}
    symbols["B"] = (0, v.batches)
    return entry(inputs, {"y": y}, body, symbols)


def dot_left_to_right(a, b):
    """einsum of [..., n, d] and [..., m, d], one product after another as the plain evaluation adds them."""
    total = np.zeros(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) + (a.shape[-2], b.shape[-2]), a.dtype)
    for d in range(a.shape[-1]):
        total += a[..., :, None, d] * b[..., None, :, d]
    return total


def attention(v, q, k, w, t, dtype, narrow=lambda x: x):
    """The mathematics of tenon.attention on [B, H, rows, depth] arrays, all in `dtype`, weights `narrow`ed."""
    group = v.heads[0] // v.heads[1]
    q, k, w = (a.astype(dtype) for a in (q, np.repeat(k, group, 1), np.repeat(w, group, 1)))
    n, m = q.shape[2], k.shape[2]
    i, j = np.arange(n)[:, None], np.arange(m)[None, :]
    y = v.score(dot_left_to_right(q, k), i, j, t).astype(dtype)
    keep = np.broadcast_to(np.True_ if v.keep is None else v.keep(i, j, t), y.shape)
    empty = ~keep.any(-1, keepdims=True)
    if v.empty == "ignore_keep":
        keep = keep | empty
    y = np.where(keep, y, -np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.exp(y - y.max(-1, keepdims=True, initial=-np.inf))
        p = p / p.sum(-1, keepdims=True, dtype=dtype)
    if v.empty == "zero":
        p = np.where(empty, dtype(0), p)
    if v.empty == "uniform" and m:
        p = np.where(empty, dtype(1) / dtype(m), p)
    p = narrow(v.weight(p, t) if v.weight else p)
    return dot_left_to_right(p, np.swapaxes(w, 2, 3))


class AttentionTest(unittest.TestCase):
    def check(self, name, v):
        compiled = Program(program(v), bf16="bf16" in v.of)
        rng = np.random.default_rng(seed_of(name))
        for b, n, m in SIZES if v.queries is None else KEY_SIZES:
            n = v.queries or n
            sizes = {"B": b, "N": n, "M": m}
            draw = lambda heads, rows, depth, of: rng.standard_normal((b, heads, rows, depth)).astype(DTYPES[of])
            q, k, w = (draw(v.heads[0], n, v.depth[0], v.of[0]), draw(v.heads[1], m, v.depth[0], v.of[1]),
                       draw(v.heads[1], m, v.depth[1], v.of[1]))
            inputs = {"q": self.arranged(q, v), "k": self.arranged(k, v), "v": self.arranged(w, v)}
            t = None
            if v.capture:
                shape = [sizes.get(d, d) for d in v.capture[0]]
                t = (rng.random(shape) < 0.6).astype(np.int64) if v.capture[1] == "i64" else (
                    rng.standard_normal(shape).astype(np.float32))
                if v.capture[1] == "i64" and b > 1:
                    t[-1] = 0
                inputs["table"] = t
            wanted = attention(v, q, k, w, t, np.float64)
            # Narrow results are rounded, and so are the weights of their keys.
            narrow = lambda x: x.astype(DTYPES[v.of[0]]).astype(np.float32)
            plain = narrow(attention(v, q, k, w, t, np.float32, narrow))
            for level, threads, outputs in compiled.run(inputs):
                found = outputs["y"].astype(np.float32).transpose([v.layout.split().index(r) for r in "bhnd"])
                compare(found, wanted, plain, f"{name} B={b} N={n} M={m} {level} {threads} thread(s)")

    @staticmethod
    def arranged(array, v):
        return np.ascontiguousarray(array.transpose(["bhnd".index(r) for r in v.layout.split()]))


def seed_of(text):
    """A seed which, unlike hash(), is the same in every process."""
    return int.from_bytes(text.encode()[:8], "little")


for _name, _variant in VARIANTS.items():
    setattr(AttentionTest, f"test_{_name}", lambda self, n=_name, v=_variant: self.check(n, v))

if __name__ == "__main__":
    unittest.main()
