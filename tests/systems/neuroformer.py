"""Neuroformer: softmax over the six greatest scores of a row, equal ones kept, causal.

Antoniades et al. 2023, https://arxiv.org/abs/2311.00136, explicit sparse attention; the k-th greatest by sorting.
"""

import numpy as np
from formulas import heads, positions, product, scores, softmax

SIZES = {"B": [1, 2, 1], "N": [1, 17, 65]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v}


def outputs(q, k, v):
    i, j = positions(q.shape[2])
    s = np.where(j <= i, scores(q, k) * q.dtype.type(0.25), -np.inf)
    threshold = np.sort(s, -1)[..., -min(6, s.shape[-1]), None]
    return {"y": product(softmax(s, (s >= threshold) & (j <= i)), v)}
