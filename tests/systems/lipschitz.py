"""Lipschitz transformers: scores divided by the depth instead of its root, a third of the output, a damped residual.

Newhouse et al. 2025, https://arxiv.org/abs/2507.13338; causal, 12 layers.
"""

from formulas import heads, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "x": heads(rng, B, 4, N, 16)}


def outputs(q, k, v, x):
    one = q.dtype.type
    i, j = positions(q.shape[2])
    o = product(softmax(scores(q, k) / one(16), j <= i), v)
    return {"y": x * one(23 / 24) + o / one(3) / one(24)}
