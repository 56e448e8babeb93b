"""TokenFormer's Pattention: GELU of scores over parameter tokens, scaled by sqrt(n) over their norm.

Wang et al. 2024, https://arxiv.org/abs/2410.23168, equation 4; 48 parameter tokens.
"""

import math

import numpy as np
from formulas import normal, product, scores, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}
erf = np.vectorize(math.erf, otypes=[float])


def inputs(rng, B, N):
    return {"x": normal(rng, B, N, 32), "k": normal(rng, 48, 32), "v": normal(rng, 48, 24)}


def outputs(x, k, v):
    one = x.dtype.type
    a = scores(x, k)
    u = a * np.sqrt(one(48)) / np.sqrt(total(a * a))
    gelu = u * one(0.5) * (1 + erf(u * one(0.5) ** one(0.5)).astype(x.dtype))
    return {"y": product(gelu, v)}
