"""Landmark attention: a block's landmark gets the block's weight, which a softmax within the block shares out.

Mohtashami and Jaggi 2023, https://arxiv.org/abs/2305.16300, section 3; blocks of five tokens and their landmark.
"""

import numpy as np
from formulas import normal, product, scores, softmax

SIZES = {"B": [1, 2, 1], "G": [1, 3, 11]}


def inputs(rng, B, G):
    q, k, v = (normal(rng, B, 4, G, 6, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v}


def outputs(q, k, v):
    q, k, v = (x.reshape(*x.shape[:2], -1, 16) for x in (q, k, v))
    s = scores(q, k) * q.dtype.type(0.25)
    n = q.shape[2]
    w = np.zeros_like(s)
    for i in range(n):
        block = i // 6
        own = [j for j in range(block * 6, i + 1) if j % 6 != 5]
        marks = [g * 6 + 5 for g in range(block)]
        a = softmax(s[:, :, i, own + marks])
        w[:, :, i, own] = a[..., : len(own)]
        for g in range(block):
            tokens = slice(g * 6, g * 6 + 5)
            w[:, :, i, tokens] = a[..., len(own) + g, None] * softmax(s[:, :, i, tokens])
    return {"y": product(w, v)}
