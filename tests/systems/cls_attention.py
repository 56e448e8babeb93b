"""CLS attention: one query per head over all tokens, as CaiT's class attention and attention pooling have it.

Touvron et al. 2021, https://arxiv.org/abs/2103.17239, section 3.
"""

from formulas import heads, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 900]}


def inputs(rng, B, N):
    return {"q": heads(rng, B, 4, 1, 16), "k": heads(rng, B, 4, N, 16), "v": heads(rng, B, 4, N, 16)}


def outputs(q, k, v):
    return {"y": product(softmax(scores(q, k) * q.dtype.type(0.25)), v)}
