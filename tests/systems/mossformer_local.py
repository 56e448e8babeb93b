"""MossFormer: squared ReLU scores within groups, no normaliser.

Zhao and Ma 2023, https://arxiv.org/abs/2302.11824, section 2.2; groups of 32.
"""

import numpy as np
from formulas import heads, positions, product, scores

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v}


def outputs(q, k, v):
    i, j = positions(q.shape[2])
    relu = np.maximum(scores(q, k) / q.dtype.type(32), 0)
    return {"y": product(np.where(i // 32 == j // 32, relu * relu, 0), v)}
