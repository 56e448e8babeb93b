"""LieTransformer: a small network of the difference of two group elements is added to the product of features.

Hutchinson et al. 2021, https://arxiv.org/abs/2012.10885, section 4, for translations of the plane: log(g_i^-1 g_j) is their difference.
"""

import numpy as np
from formulas import heads, normal, product, scores, softmax

SIZES = {"B": [1, 2, 1], "N": [1, 17, 65]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "places": normal(rng, B, N, 2), "network": normal(rng, 4, 4, 4)}


def outputs(q, k, v, places, network):
    """network[h, n]: two weights and the bias of hidden unit n, and its weight in the score."""
    s = scores(q, k) * q.dtype.type(0.25)
    difference = places[:, :, None] - places[:, None]
    for n in range(4):
        w = network[:, n, :, None, None]
        u = w[:, 0] * difference[:, None, ..., 0] + w[:, 1] * difference[:, None, ..., 1] + w[:, 2]
        s = s + w[:, 3] * u / (1 + np.exp(-u))
    return {"y": product(softmax(s), v)}
