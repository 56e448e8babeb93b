"""Transformer-XL: content scores plus relative position scores, read by the shift instead of moved.

Dai et al. 2019, https://arxiv.org/abs/1901.02860, section 3.3; M keys of memory in front.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3], "N": [1, 17, 65], "T": [1, 22, 95]}


def inputs(rng, B, N, T):
    k, v = (heads(rng, B, 4, T, 16) for _ in "kv")
    return {"q": heads(rng, B, 4, N, 16), "k": k, "v": v, "r": normal(rng, T, 4, 16), "u": normal(rng, 4, 16),
            "w": normal(rng, 4, 16)}


def outputs(q, k, v, r, u, w):
    """r[t] is the embedding of distance t."""
    n, m = q.shape[2], k.shape[2]
    i, j = positions(n, m)
    distance = i + m - n - j
    position = scores(q + w[:, None], np.swapaxes(r, 0, 1))
    moved = np.take_along_axis(position, np.broadcast_to(np.clip(distance, 0, m - 1), position.shape), -1)
    y = (scores(q + u[:, None], k) + moved) * q.dtype.type(0.25)
    return {"y": product(softmax(y, distance >= 0), v)}
