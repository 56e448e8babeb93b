"""ComplexFormer: magnitudes times the cosine of adapted phases, as a dot product of transformed halves.

The exact rewrite of complex multi-head attention: cos(alpha - beta) = cos cos + sin sin; causal.
"""

import numpy as np
from formulas import heads, normal, positions, product, softmax

SIZES = {"B": [1, 2, 1], "N": [1, 17, 70]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "delta": normal(rng, 4, 8), "bias": normal(rng, 4, 8)}


def outputs(q, k, v, delta, bias):
    """The definition: a cosine for every pair and frequency."""
    one, n = q.dtype.type, q.shape[2]
    i, j = positions(n)
    polar = lambda x: (np.sqrt(x[..., :8] ** 2 + x[..., 8:] ** 2 + one(1e-9)), np.arctan2(x[..., 8:], x[..., :8]))
    (rq, pq), (rk, pk) = polar(q), polar(k)
    y = np.zeros(q.shape[:3] + (n,), q.dtype)
    for c in range(8):
        w = one(10000) ** (-one(c + 1) / one(8))
        angle = delta[:, c, None, None] * (pq[..., :, None, c] - pk[..., None, :, c]) + bias[:, c, None, None]
        y += rq[..., :, None, c] * rk[..., None, :, c] * np.cos(angle + (i - j).astype(q.dtype) * w)
    return {"y": product(softmax(y, j <= i), v)}
