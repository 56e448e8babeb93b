"""BigBird: blocks of 16 that see the first and last block, their neighbours, and blocks drawn beforehand.

Zaheer et al. 2020, https://arxiv.org/abs/2007.14062, section 2; the drawn blocks are a table.
"""

from formulas import heads, positions, product, scores, softmax

SIZES = {"B": [1, 2, 1], "S": [1, 5, 12]}


def inputs(rng, B, S):
    q, k, v = (heads(rng, B, 4, 16 * S, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "drawn": rng.random((S, S)) < 0.2}


def outputs(q, k, v, drawn):
    i, j = positions(q.shape[2])
    p, r, last = i // 16, j // 16, len(drawn) - 1
    keep = (p == 0) | (p == last) | (r == 0) | (r == last) | (abs(p - r) <= 1) | drawn[p, r]
    return {"y": product(softmax(scores(q, k) * q.dtype.type(0.25), keep), v)}
