"""Transformer-MGK, hard: the nearer of two keys of a position gives its score.

Nguyen et al. 2022, https://arxiv.org/abs/2110.08678, hard assignment with one variance, sqrt(D) = 4; |q|^2 cancels in a row.
"""

import numpy as np
from formulas import heads, product, softmax, total

SIZES = {"B": [1, 2, 1], "N": [1, 17, 65]}


def inputs(rng, B, N):
    q, a, c, v = (heads(rng, B, 4, N, 16) for _ in "qkkv")
    return {"q": q, "k0": a, "k1": c, "v": v}


def outputs(q, k0, k1, v):
    score = lambda k: -total((q[:, :, :, None] - k[:, :, None]) ** 2)[..., 0] * q.dtype.type(0.125)
    return {"y": product(softmax(np.maximum(score(k0), score(k1))), v)}
