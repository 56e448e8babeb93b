"""Vanilla Transformer: softmax over all keys.

Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, equation 1.
"""

from formulas import heads, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {name: heads(rng, B, 4, N, 16) for name in "qkv"}


def outputs(q, k, v):
    return {"y": product(softmax(scores(q, k) / q.dtype.type(4)), v)}
