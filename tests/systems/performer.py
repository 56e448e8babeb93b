"""Performer: positive random features, exp(w x - x^2 / 2), in their linear order of products.

Choromanski et al. 2021, https://arxiv.org/abs/2009.14794, equation 10; 24 features.
"""

import numpy as np
from formulas import heads, normal, product, scores, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "w": normal(rng, 24, 16)}


def outputs(q, k, v, w):
    """Queries and keys are divided by the fourth root of the depth; sqrt(m) cancels."""
    one = q.dtype.type

    def feature(x):
        x = x * one(0.5)
        return np.exp(scores(x, w) - total(x * x) * one(0.5))

    qf, kf = feature(q), feature(k)
    return {"y": product(qf, product(np.swapaxes(kf, 2, 3), v)) / scores(qf, total(kf, 2))}
