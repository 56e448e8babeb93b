"""Sinkhorn Transformer: blocks of 8 mixed by three rounds of Sinkhorn's iteration; one softmax over the own block and the mixed one.

Tay et al. 2020, https://arxiv.org/abs/2002.11296, sections 3.1 to 3.3, without noise: the logarithms of the mixing
weights are the means of blocks times learned columns, and every round normalises rows, then columns.
"""

import numpy as np
from formulas import normal, product, scores, softmax, total

SIZES = {"B": [1, 2, 1, 3], "S": [1, 3, 17, 7]}


def inputs(rng, B, S):
    q, k, v = (normal(rng, B, 4, S, 8, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "sort": normal(rng, 4, S, 16)}


def outputs(q, k, v, sort):
    logits = scores(total(k, 3)[:, :, :, 0] / k.dtype.type(8), sort)
    for _ in range(3):
        for axis in (-1, -2):
            top = logits.max(axis, keepdims=True)
            logits = logits - (np.log(total(np.exp(logits - top), axis)) + top)
    mix = lambda x: product(np.exp(logits), x.reshape(*x.shape[:3], -1)).reshape(x.shape)
    both = lambda x: np.concatenate([x, mix(x)], 3)
    y = product(softmax(scores(q, both(k)) / q.dtype.type(4)), both(v))
    return {"y": y.reshape(*y.shape[:2], -1, 16)}
