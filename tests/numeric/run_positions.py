#!/usr/bin/env python3
"""Score terms that are products with rows chosen by distance, against NumPy: which of them flash attention computes
tile by tile, without a tensor of queries x distances, and what comes out of those and of their near misses.
"""

import json
import pathlib
import sys
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import Program, is_emulated, tenon  # noqa: E402
from run_attention import dot_left_to_right  # noqa: E402

HEADS, DEPTH = 3, 20
SYMBOLS = {"B": (0, 8), "N": (0, 4096), "M": (0, 4096), "P": (1, 4096)}
SIZES = [(1, 1, 1), (2, 3, 7), (1, 17, 63), (2, 65, 64), (2, 129, 127), (1, 5, 200), (3, 130, 2), (1, 64, 300), (2, 0, 5),
         (2, 3, 0)]
CAUSAL = "keep (%b, %h, %i, %j{0}) = %j <= %i + 7"


class Case:
    """Terms: (rows "q" or "k", contraction, index in MLIR, the same in NumPy, scale behind the product). `streams`: no tensor of
    the product remains."""

    def __init__(self, *terms, score="%x + {}", keep=None, table=("P", HEADS, DEPTH), streams=True, of="N + M"):
        self.terms, self.score, self.keep, self.table, self.streams, self.of = terms, score, keep, table, streams, of

    def rows(self, n, m):
        return {"N + M": n + m, "2 * N": 2 * n}.get(self.of, self.of)


QUERY, KEY = "b n h d, t h d -> b h n t", "b n h d, t h d -> b h n t"
shift = ("q", QUERY, "%j - %i + size(N)", lambda i, j, n, p: j - i + n, 1)
back = ("q", QUERY, "%i - %j + size(M)", lambda i, j, n, p: i - j + (p - n), 1)
clipped = ("q", QUERY, "max(min(%i - %j + 5, size(N) + size(M) - 1), 0)", lambda i, j, n, p: np.clip(i - j + 5, 0, p - 1), 1)
of_keys = ("k", KEY, "max(min(%j - %i + 9, size(N) + size(M) - 1), 0)", lambda i, j, n, p: np.clip(j - i + 9, 0, p - 1), 1)
bucketed = ("q", QUERY, "max(min((%j - %i) / 3 + 40, 80), 0) / 41", lambda i, j, n, p: np.clip((j - i) // 3 + 40, 0, 80) // 41, 1)
CASES = {
    "shift": Case(shift),
    "shift_causal": Case(shift, keep=CAUSAL),
    "backwards": Case(back),
    "clipped": Case(clipped),
    "of_keys": Case(of_keys),
    "of_keys_causal": Case(of_keys, keep=CAUSAL),
    "both": Case(clipped, of_keys, score="(%x + {} + {}) * 0.3"),
    "scaled_behind": Case((*shift[:4], 0.25), (*of_keys[:4], 0.5), score="%x + {} - {}"),
    "table_by_depth": Case(("q", "b n h d, h d t -> b h n t", *shift[2:]), ("k", "h d t, b n h d -> h t b n", *of_keys[2:]),
                           score="%x + {} + {}", table=(HEADS, DEPTH, "P")),
    # Near misses: the contraction stays a tensor of its own.
    "of_few_distances": Case(bucketed, table=("P", HEADS, DEPTH), of=2, streams=False),
    "not_of_the_distance": Case(("q", QUERY, "%j + %i", lambda i, j, n, p: j + i, 1), streams=False),
}


def loads(case, number):
    rows, spec, index, _, _ = case.terms[number]
    result = spec.split("-> ")[1].split()
    at = {"b": "%b", "h": "%h", "n": "%i" if rows == "q" else "%j", "t": index}
    return f"%t{number}[{', '.join(at[word] for word in result)}]"


def program(case):
    q, k = tensor("B", "N", HEADS, DEPTH), tensor("B", "M", HEADS, DEPTH)
    size = {"P": case.of}
    table = tensor(*(size.get(d, d) for d in case.table))
    lines, types, names = [], "", ""
    for number, (rows, spec, _, _, scale) in enumerate(case.terms):
        operands, result = spec.split(" -> ")
        a, b = (x.split() for x in operands.split(", "))
        extent = {"b": "B", "h": HEADS, "n": "N" if rows == "q" else "M", "t": case.of}
        kind = tensor(*(extent[word] for word in result.split()))
        left, right = (("%r", table), (f"%{rows}", q if rows == "q" else k))[:: 1 if a[0] == "h" else -1]
        lines.append(f'%p{number} = tenon.contract "{spec}" {left[0]}, {right[0]} : ({left[1]}, {right[1]}) -> {kind}')
        if scale != 1:
            at = ", ".join(f"%a{n}" for n in range(4))
            lines.append(f"%c{number} = tenon.map %x = %p{number} at {at} : ({kind}) -> {kind} {{\n"
                         f"    %e{number} = tenon.load %x[{at}] : {kind}\n    %s{number} = arith.constant {scale} : f32\n"
                         f"    %m{number} = arith.mulf %e{number}, %s{number} : f32\n    tenon.yield %m{number} : f32\n  }}")
        types += f", {kind}"
        names += f"{', ' if number else ''}%{'p' if scale == 1 else 'c'}{number}"
    arguments = "".join(f", %t{number}" for number in range(len(case.terms)))
    score = case.score.format(*(loads(case, number) for number in range(len(case.terms))))
    keep = case.keep.format(arguments) if case.keep else ""
    lines.append(f'%y = tenon.attention %q, (%k), (%v) captures ({names}) normalise softmax empty zero '
                 f'layout ["b n h d", "b n h d", "b n h d", "b n h d"] : ({q}, {k}, {k}{types}) -> {q} '
                 f"score (%x, %b, %h, %i, %j{arguments}) = {score} {keep}")
    symbols = {name: bounds for name, bounds in SYMBOLS.items() if name != "P"}
    return entry({"q": q, "k": k, "v": k, "r": table}, {"y": q}, "  " + "\n  ".join(lines), symbols)


def expected(case, q, k, v, r, dtype):
    q, k, v, r = (a.astype(dtype) for a in (q, k, v, r))
    n, m = q.shape[1], k.shape[1]
    i, j = np.arange(n)[:, None], np.arange(m)[None, :]
    by_head = lambda x: np.swapaxes(x, 1, 2)
    x = dot_left_to_right(by_head(q), by_head(k))
    terms = []
    for rows, spec, _, index, scale in case.terms:
        table = r.transpose(2, 0, 1) if case.table[-1] == "P" else r
        at = np.broadcast_to(index(i, j, n, table.shape[0]), (n, m))
        product = dot_left_to_right(by_head(q if rows == "q" else k), np.swapaxes(table, 0, 1))
        batch, head = np.ix_(range(q.shape[0]), range(HEADS))
        batch, head = batch[..., None, None], head[..., None, None]
        position = np.broadcast_to(i if rows == "q" else j, (n, m))
        terms.append(product[batch, head, position[None, None], at[None, None]] * dtype(scale))
    scope = {"x": x, "max": np.maximum}
    formula = case.score.replace("%x", "x").format(*(f"t{number}" for number in range(len(terms))))
    y = eval(formula, scope, {f"t{number}": term for number, term in enumerate(terms)}).astype(dtype)
    keep = j <= i + 7 if case.keep else np.True_
    y = np.where(keep, y, -np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        e = np.exp(y - y.max(-1, keepdims=True, initial=-np.inf))
        p = np.nan_to_num(e / e.sum(-1, keepdims=True))
    return by_head(dot_left_to_right(p, v.transpose(0, 2, 3, 1)))


class PositionsTest(unittest.TestCase):
    def check(self, name, case):
        compiled = Program(program(case))
        rng = np.random.default_rng(int.from_bytes(name.encode()[:8], "little"))
        for b, n, m in [size for size in SIZES if not is_emulated() or np.prod(size) < 5000]:
            draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)
            shape = [case.rows(n, m) if d == "P" else d for d in case.table]
            inputs = {"q": draw(b, n, HEADS, DEPTH), "k": draw(b, m, HEADS, DEPTH), "v": draw(b, m, HEADS, DEPTH),
                      "r": draw(*shape)}
            wanted, plain = (expected(case, *inputs.values(), dtype) for dtype in (np.float64, np.float32))
            for level, threads, outputs in compiled.run(inputs):
                compare(outputs["y"], wanted, plain, f"{name} B={b} N={n} M={m} {level} {threads} thread(s)")
        if compiled.artifact is None:
            return  # emulated alone: of a model, not of an artifact
        arena = [buffer["bytes"] for part in json.loads(tenon("inspect", compiled.artifact, "--json"))["entries"]
                 for buffer in part["buffers"]]
        self.assertEqual(not arena, case.streams, f"buffers: {arena}")


for _name, _case in CASES.items():
    setattr(PositionsTest, f"test_{_name}", lambda self, n=_name, c=_case: self.check(n, c))

if __name__ == "__main__":
    unittest.main()
