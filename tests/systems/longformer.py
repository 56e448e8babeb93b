"""Longformer: a band of keys and global ones; global queries see all, through projections of their own.

Beltagy et al. 2020, https://arxiv.org/abs/2004.05150, section 3; queries are scaled already, the band is 16 to each side.
"""

import numpy as np
from formulas import heads, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    tensors = {name: heads(rng, B, 4, N, 16) for name in ("q", "k", "v", "qg", "kg", "vg")}
    return {**tensors, "q": tensors["q"] / 4, "qg": tensors["qg"] / 4, "mark": (rng.random((B, N)) < 0.1).astype(np.int64)}


def outputs(q, k, v, qg, kg, vg, mark):
    i, j = positions(q.shape[2])
    keep = (abs(i - j) <= 16) | (mark[:, None, None, :] != 0)
    near, far = product(softmax(scores(q, k), keep), v), product(softmax(scores(qg, kg)), vg)
    return {"y": np.where(mark[:, None, :, None] != 0, far, near)}
