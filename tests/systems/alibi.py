"""ALiBi: causal softmax attention whose scores fall off linearly with distance.

Press et al. 2022, https://arxiv.org/abs/2108.12409, section 3.
"""

import numpy as np
from formulas import heads, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "slope": (2.0 ** -np.arange(2, 10, 2)).astype(np.float32)}


def outputs(q, k, v, slope):
    i, j = positions(q.shape[2])
    distance = (i - j).astype(q.dtype)
    y = scores(q, k) * q.dtype.type(0.25) - slope[:, None, None] * distance
    return {"y": product(softmax(y, j <= i), v)}
