"""RetNet: scores times gamma^(i - j), causal, without a normaliser.

Sun et al. 2023, https://arxiv.org/abs/2307.08621, equation 5, the parallel form; gamma = 1 - 2^(-5 - h).
"""

import numpy as np
from formulas import heads, positions, product, scores

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "gamma": (1 - 2.0 ** (-5.0 - np.arange(4))).astype(np.float32)}


def outputs(q, k, v, gamma):
    i, j = positions(q.shape[2])
    decay = np.where(j <= i, gamma[:, None, None] ** np.maximum(i - j, 0).astype(q.dtype), 0)
    return {"y": product(scores(q, k) * q.dtype.type(0.25) * decay, v)}
