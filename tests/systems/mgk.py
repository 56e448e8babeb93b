"""Transformer-MGK: two keys for each position, a mixture of Gaussians as one softmax over both.

Nguyen et al. 2022, https://arxiv.org/abs/2110.08678, section 2; variances as for language modelling, 1 / (2 s) and 1 / (6 s), s = 1 / 4.
"""

import numpy as np
from formulas import heads, product, total

SIZES = {"B": [1, 2, 1], "N": [1, 17, 65]}


def inputs(rng, B, N):
    q, a, c, v = (heads(rng, B, 4, N, 16) for _ in "qkkv")
    return {"q": q, "k0": a, "k1": c, "v": v, "prior": rng.uniform(0.1, 1, (2, 4)).astype(np.float32)}


def outputs(q, k0, k1, v, prior):
    """Gaussians of distances, which are summed over the keys of a position before they are normalised."""
    def exponent(k, coefficient, weight):
        distance = total((q[:, :, :, None] - k[:, :, None]) ** 2)[..., 0]
        return np.log(weight)[:, None, None] - q.dtype.type(coefficient) * distance

    a, c = exponent(k0, 0.125, prior[0]), exponent(k1, 0.375, prior[1])
    top = np.maximum(a, c).max(-1, keepdims=True)
    p = np.exp(a - top) + np.exp(c - top)
    return {"y": product(p / total(p), v)}
