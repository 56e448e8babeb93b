"""Linformer: keys and values projected along the sequence to a fixed count.

Wang et al. 2020, https://arxiv.org/abs/2006.04768, equation 7; 8 projected rows for at most N tokens.
"""

import numpy as np
from formulas import heads, normal, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "e": (normal(rng, 8, N) / N**0.5).astype(np.float32), "f": (normal(rng, 8, N) / N**0.5).astype(np.float32)}


def outputs(q, k, v, e, f):
    return {"y": product(softmax(scores(q, product(e, k)) * q.dtype.type(0.25)), product(f, v))}
