"""Learned sinks: a key source of one key for each head, whose score is a weight and whose value is zero.

Causal attention of eight query heads on two key heads, whose softmax has exp(sink) more under the line.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, total

SIZES = {"B": [1, 2, 1], "N": [1, 17, 65]}


def inputs(rng, B, N):
    return {"q": heads(rng, B, 8, N, 16), "k": heads(rng, B, 2, N, 16), "v": heads(rng, B, 2, N, 16), "sinks": normal(rng, 8)}


def outputs(q, k, v, sinks):
    i, j = positions(q.shape[2])
    s = np.where(j <= i, scores(q, np.repeat(k, 4, 1)) * q.dtype.type(0.25), -np.inf)
    sink = sinks[:, None, None]
    top = np.maximum(s.max(-1, keepdims=True), sink)
    e = np.exp(s - top)
    return {"y": product(e / (total(e) + np.exp(sink - top)), np.repeat(v, 4, 1))}
