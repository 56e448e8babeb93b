"""Combiner, axial by rows: one softmax over the keys of the own row and, in the own column, what the rows before it attend to.

Ren et al. 2021, https://arxiv.org/abs/2107.05768, section 4.3; queries are scaled already, a row has 8 positions, and what a position
attends to in its row, without a mask, is its column's key and value for the rows below.
"""

import numpy as np
from formulas import normal, product, scores, softmax

SIZES = {"B": [1, 2, 1], "S": [1, 3, 16]}


def inputs(rng, B, S):
    q, k, v = (normal(rng, B, 4, S, 8, 16) for _ in "qkv")
    return {"q": q / 4, "k": k, "v": v}


def outputs(q, k, v):
    q, k, v = (x.reshape(*x.shape[:2], -1, 16) for x in (q, k, v))
    attended, y = np.empty_like(v), np.empty_like(v)
    for begin in range(0, q.shape[2], 8):
        row = slice(begin, begin + 8)
        attended[:, :, row] = product(softmax(scores(q[:, :, row], k[:, :, row])), v[:, :, row])
    for i in range(q.shape[2]):
        own, above = slice(i // 8 * 8, i + 1), slice(i % 8, i // 8 * 8, 8)
        keys = np.concatenate([k[:, :, own], attended[:, :, above]], 2)
        values = np.concatenate([v[:, :, own], attended[:, :, above]], 2)
        y[:, :, i] = product(softmax(scores(q[:, :, i : i + 1], keys)), values)[:, :, 0]
    return {"y": y}
