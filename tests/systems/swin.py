"""Swin: attention in windows of 7 x 7 with a bias per difference of rows and columns; shifted windows are masked by region.

Liu et al. 2021, https://arxiv.org/abs/2103.14030, equation 4 and figure 4.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, softmax

SIZES = {"B": [1, 2, 9]}


def inputs(rng, B):
    q, k, v = (heads(rng, B, 3, 49, 32) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "table": normal(rng, 3, 169), "region": rng.integers(0, 4, (B, 49), np.int32)}


def outputs(q, k, v, table, region):
    i, j = positions(49)
    bias = table[:, (i // 7 - j // 7 + 6) * 13 + i % 7 - j % 7 + 6]
    y = scores(q, k) * q.dtype.type(32**-0.5) + bias
    return {"y": product(softmax(y, (region[:, :, None] == region[:, None, :])[:, None]), v)}
