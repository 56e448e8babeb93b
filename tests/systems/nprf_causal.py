"""NPRF, causal: kernelised attention with a Toeplitz factor, exp(b[j - i]), over the keys up to the query.

Luo et al. 2021, https://arxiv.org/abs/2106.12566, equation 6; queries and keys normalised, positive random features.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "w": normal(rng, 4, 16, 32), "bias": normal(rng, 4, 2 * N - 1)}


def outputs(q, k, v, w, bias):
    """exp(-|x|^2 / 2) of unit vectors is a constant and cancels."""
    n = q.shape[2]
    i, j = positions(n)
    unit = lambda x: x / np.sqrt(total(x * x))
    feature = lambda x: np.exp(product(unit(x), w))
    y = scores(feature(q), feature(k)) * np.exp(bias)[:, j - i + n - 1]
    y = np.where(j <= i, y, 0).astype(y.dtype)
    return {"y": product(y / total(y), v)}
