"""CrossFormer: a small network of the row and column difference gives the bias, evaluated once per difference.

Wang et al. 2022, https://arxiv.org/abs/2108.00154, section 3.2.3; groups of 7 x 7, one hidden layer.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, softmax

SIZES = {"B": [1, 2, 9]}


def inputs(rng, B):
    q, k, v = (heads(rng, B, 3, 49, 32) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "w1": normal(rng, 2, 8), "b1": normal(rng, 8), "w2": normal(rng, 8, 3)}


def outputs(q, k, v, w1, b1, w2):
    i, j = positions(49)
    difference = np.stack([i // 7 - j // 7, i % 7 - j % 7], -1).astype(q.dtype)
    bias = product(np.maximum(product(difference, w1) + b1, 0), w2)
    y = scores(q, k) * q.dtype.type(32**-0.5) + np.moveaxis(bias, -1, 0)
    return {"y": product(softmax(y), v)}
