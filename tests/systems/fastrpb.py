"""FastRPB: linear attention, and added to it a bias of the row and the column difference times the values.

Zubkov and Gavrilov 2022, https://arxiv.org/abs/2202.11364, the two-dimensional form: a bias r[y' - y] + c[x' - x] on a
grid of 16 rows and 20 columns.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, total

SIZES = {"B": [1, 2]}


def inputs(rng, B):
    q, k, v = (heads(rng, B, 2, 320, 8) for _ in "qkv")
    return {"q": q * np.float32(0.3), "k": k * np.float32(0.3), "v": v, "wr": normal(rng, 2, 31), "wc": normal(rng, 2, 39)}


def outputs(q, k, v, wr, wc):
    y = scores(np.exp(q), np.exp(k))
    i, j = positions(320)
    bias = wr[:, j // 20 - i // 20 + 15] + wc[:, j % 20 - i % 20 + 19]
    return {"y": product(y / total(y), v) + product(bias[None].astype(v.dtype), v)}
