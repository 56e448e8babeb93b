"""Synthesizer: factorised random scores, which no input changes.

Tay et al. 2021, https://arxiv.org/abs/2005.00743, section 3.2; rank 8.
"""

from formulas import heads, normal, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {"r": normal(rng, 4, N, 8), "s": normal(rng, 4, N, 8), "v": heads(rng, B, 4, N, 16)}


def outputs(r, s, v):
    return {"y": product(softmax(scores(r, s)), v)}
