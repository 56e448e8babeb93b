"""Sinkformers: three half-steps of Sinkhorn's iteration instead of a softmax.

Sander et al. 2022, https://arxiv.org/abs/2110.11773, section 3, in the log domain.
"""

import numpy as np
from formulas import heads, product, scores, total

SIZES = {"B": [1, 2, 1], "N": [1, 17, 65]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v}


def outputs(q, k, v):
    """Potentials f, g with marginals 1 / N; the result is N exp(s + f + g) v."""
    def lse(x, axis):
        top = x.max(axis, keepdims=True)
        return top + np.log(total(np.exp(x - top), axis))

    s = scores(q, k) * q.dtype.type(0.25)
    uniform = -np.log(q.dtype.type(q.shape[2]))
    f = uniform - lse(s, 3)
    g = uniform - lse(s + f, 2)
    f = uniform - lse(s + g, 3)
    return {"y": product(np.exp(s + f + g - uniform), v)}
