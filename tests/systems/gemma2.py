"""Gemma-2: soft-capped scores, a sliding window, two query heads on each key head, normalised queries and keys.

Gemma Team 2024, https://arxiv.org/abs/2408.00118, section 2; the normalisation is Gemma-3's.
"""

import numpy as np
from formulas import heads, normal, positions, product, rms, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    k, v = (heads(rng, B, 2, N, 16) for _ in "kv")
    return {"q": heads(rng, B, 4, N, 16), "k": k, "v": v, "g": 1 + normal(rng, 16) / 4}


def outputs(q, k, v, g):
    one = q.dtype.type
    i, j = positions(q.shape[2])
    q, k, v = rms(q, 1e-6) * g, np.repeat(rms(k, 1e-6) * g, 2, 1), np.repeat(v, 2, 1)
    y = np.tanh(scores(q, k) * one(0.25) / one(50)) * one(50)
    return {"y": product(softmax(y, (j <= i) & (i - j < 40)), v)}
