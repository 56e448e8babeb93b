"""TransNormer's DiagAttention: ReLU scores within chunks, no normaliser, then an RMS norm.

Qin et al. 2022, https://arxiv.org/abs/2210.10340, section 4.1; chunks of 64.
"""

import numpy as np
from formulas import heads, positions, product, rms, scores

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v}


def outputs(q, k, v):
    i, j = positions(q.shape[2])
    y = np.where(i // 64 == j // 64, np.maximum(scores(q, k) * q.dtype.type(0.25), 0), 0)
    return {"y": rms(product(y, v), 1e-8)}
