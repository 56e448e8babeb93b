"""Combiner, fixed: one softmax over the keys of the own segment and summaries of the segments before it.

Ren et al. 2021, https://arxiv.org/abs/2107.05768, section 4; queries are scaled already, summaries are maxima, a segment has 8 keys.
"""

import numpy as np
from formulas import normal, product, scores, softmax

SIZES = {"B": [1, 2, 1], "S": [1, 3, 16]}


def inputs(rng, B, S):
    q, k, v = (normal(rng, B, 4, S, 8, 16) for _ in "qkv")
    return {"q": q / 4, "k": k, "v": v}


def outputs(q, k, v):
    q, k, v = (x.reshape(*x.shape[:2], -1, 16) for x in (q, k, v))
    b, h, n, d = q.shape
    cut = lambda x: x.reshape(b, h, n // 8, 8, d)
    rows = cut(q).max(3)
    summary = product(softmax(scores(rows[:, :, :, None], cut(k))), cut(v))[:, :, :, 0]
    y = np.empty_like(v)
    for i in range(n):
        own = slice(i // 8 * 8, i + 1)
        keys = np.concatenate([k[:, :, own], cut(k).max(3)[:, :, : i // 8]], 2)
        values = np.concatenate([v[:, :, own], summary[:, :, : i // 8]], 2)
        y[:, :, i] = product(softmax(scores(q[:, :, i:i + 1], keys)), values)[:, :, 0]
    return {"y": y}
