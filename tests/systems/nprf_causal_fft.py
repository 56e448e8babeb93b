"""NPRF, causal, by Fourier transforms: the rows that see few keys directly, the others by one convolution for each feature.

Luo et al. 2021, https://arxiv.org/abs/2106.12566, equation 6.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, total

SIZES = {"B": [1, 3]}


def inputs(rng, B):
    q, k, v = (heads(rng, B, 2, 120, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "w": normal(rng, 2, 16, 8), "bias": normal(rng, 2, 239)}


def outputs(q, k, v, w, bias):
    """exp(-|x|^2 / 2) of unit vectors is a constant and cancels."""
    i, j = positions(120)
    unit = lambda x: x / np.sqrt(total(x * x))
    feature = lambda x: np.exp(product(unit(x), w))
    y = scores(feature(q), feature(k)) * np.exp(bias)[:, j - i + 119]
    y = np.where(j <= i, y, 0).astype(y.dtype)
    return {"y": product(y / total(y), v)}
